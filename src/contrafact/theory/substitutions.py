"""Which jazz chords may stand for an original chord, and how readily: the rules of reharmonization as log-weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contrafact.theory.chords import ChordSpec, tonic
from contrafact.theory.progression import NO_CHORD, QUALITIES, SIZE
from contrafact.theory.scales import collection
from contrafact.theory.slots import Slot, Target

Qualities = dict[str, float]
FORBIDDEN = -30.0

TONIC_MAJOR: Qualities = {"maj9": -0.4, "maj6(9)": -0.5, "maj7": -1.0}
LYDIAN: Qualities = {"maj9": -0.4, "maj7": -0.8, "maj9(#11)": -1.3, "maj6(9)": -1.5}
TO_MAJOR: Qualities = {
    "13": -0.5,
    "9": -0.5,
    "7": -1.5,
    "sus4(b7,9,13)": -1.6,
    "sus4(b7,9)": -1.6,
    "7(b9,13)": -1.7,
    "9(#11)": -2.8,
    "7(b9,b13)": -3.6,
    "7(#9,b13)": -4.0,
}
TO_MINOR: Qualities = {
    "7(b9,b13)": -0.4,
    "7(#9,b13)": -0.9,
    "7": -1.8,
    "7(b9,13)": -1.8,
    "9": -2.2,
    "13": -2.6,
    "sus4(b7,9)": -2.0,
}
SUSPENDED: Qualities = {"sus4(b7,9)": -0.4, "sus4(b7,9,13)": -0.5, "13": -1.4, "9": -1.4}
BACKDOOR: Qualities = {"13": -0.5, "9": -0.5, "9(#11)": -1.0, "maj9": -1.6, "maj7": -2.0}
TRITONE: Qualities = {"9(#11)": 0.0, "13": -1.0}
TONIC_MINOR: Qualities = {"min9": -0.6, "min6(9)": -0.9, "min7": -1.1, "min11": -1.6, "minmaj7(9)": -2.5}
SECOND: Qualities = {"min9": -0.4, "min7": -0.8, "min11": -1.2}
THIRD: Qualities = {"min7": -0.3, "min11": -1.6}
OTHER_MINOR: Qualities = {"min9": -0.5, "min7": -0.6, "min11": -1.4, "min6(9)": -1.8}
HALF_DIMINISHED: Qualities = {"hdim7": -0.1}
DIMINISHED: Qualities = {"dim7": -0.1}


def enriched(spec: ChordSpec, key: str, target: Target | None) -> Qualities:
    """Jazz qualities of a plain chord on its own root, with log-weights.

    Source: P(quality | triad, degree, next root) in the first choruses of the Weimar Jazz Database, without its blues
    readings of I and IV.

    Args:
        spec: the original chord.
        key: the key there.
        target: the chord it goes to, if any.
    """
    home, is_minor = tonic(key)
    degree = (spec.root - home) % 12
    falls = target is not None and (target.root - spec.root) % 12 == 5
    to_minor = target.is_minor if target is not None and falls else is_minor and degree == 7
    family = spec.family
    if family in ("dominant", "augmented"):
        return TO_MINOR if to_minor or spec.fifth == 8 else TO_MAJOR
    if family == "diminished":
        return DIMINISHED if spec.seventh == 9 or not falls else {**HALF_DIMINISHED, "dim7": -2.0}
    if family == "half-diminished":
        return HALF_DIMINISHED
    if family == "suspended" and spec.is_dominant:
        return SUSPENDED
    third = spec.third or _third_in_key(spec.root, key)
    if family == "suspended" and 5 in spec.tones and degree == 7:
        return SUSPENDED
    if third == 3:
        return _minor(degree, is_minor, spec)
    major = _major(degree, is_minor, spec, to_minor)
    return {**major, "sus4(b7,9)": -1.2} if family == "suspended" and 5 in spec.tones else major


def _third_in_key(root: int, key: str) -> int:
    notes = collection(key)
    return 3 if (root + 3) % 12 in notes and (root + 4) % 12 not in notes else 4


def _minor(degree: int, is_minor: bool, spec: ChordSpec) -> Qualities:
    if 11 in spec.tones:
        return {"minmaj7(9)": -0.3, "min6(9)": -1.0}
    if degree == 0 and is_minor:
        return TONIC_MINOR
    if degree == 2 and not is_minor:
        return SECOND
    if degree == 4 and not is_minor:
        return THIRD
    return OTHER_MINOR


def _major(degree: int, is_minor: bool, spec: ChordSpec, to_minor: bool) -> Qualities:
    if 11 in spec.tones:
        return LYDIAN if degree in (1, 3, 5, 8, 10) else TONIC_MAJOR
    if 9 in spec.tones:
        return {"maj6(9)": -0.2, "maj9": -1.0}
    if degree == 0 and not is_minor:
        return TONIC_MAJOR
    if degree == 10:
        return TO_MAJOR if is_minor else BACKDOOR
    if degree in (1, 3, 8) or (degree == 5 and not is_minor):
        return LYDIAN
    if degree == 0 and is_minor:
        return {**TO_MINOR, "maj6(9)": -1.2}
    return TO_MINOR if to_minor else TO_MAJOR


def weights(slot: Slot) -> NDArray[np.float64]:
    """Log-weight of every chord of the vocabulary in one slot, before melody and neighbours; shape (SIZE,)."""
    table = np.full(SIZE, FORBIDDEN)
    if slot.is_silent:
        table[NO_CHORD] = 0.0
        return table
    _diatonic(table, slot)
    if not slot.chord.is_none:
        nearest = min(slot.targets, key=lambda t: t.slots, default=None)
        _put(table, slot.chord.root, enriched(slot.chord, slot.key, nearest), 0.0)
        _relatives(table, slot)
    for target in slot.targets:
        _approach(table, slot, target)
    return table


def _put(table: NDArray[np.float64], root: int, qualities: Qualities, weight: float) -> None:
    for quality, value in qualities.items():
        place = 12 * QUALITIES.index(quality) + root % 12
        table[place] = max(table[place], weight + value)


def _diatonic(table: NDArray[np.float64], slot: Slot) -> None:
    """The sevenths of the key: the last resort where the melody refuses all else, the first where no chord is known."""
    home, is_minor = tonic(slot.key)
    weight = -5.0 if not slot.chord.is_none else -1.0
    degrees: tuple[tuple[int, Qualities], ...] = (
        (0, TONIC_MAJOR),
        (2, SECOND),
        (4, THIRD),
        (5, LYDIAN),
        (7, {**TO_MAJOR, **SUSPENDED}),
        (9, OTHER_MINOR),
    )
    if is_minor:
        degrees = (
            (0, TONIC_MINOR),
            (2, HALF_DIMINISHED),
            (3, LYDIAN),
            (5, OTHER_MINOR),
            (7, TO_MINOR),
            (8, LYDIAN),
            (10, TO_MAJOR),
        )
    for degree, qualities in degrees:
        _put(table, home + degree, qualities, weight - (0.0 if degree == 0 else 0.5))


def _relatives(table: NDArray[np.float64], slot: Slot) -> None:
    """Chords that share two or three tones with the original: ii for IV, vi and iii for I, and so on."""
    spec = slot.chord
    degree = (spec.root - tonic(slot.key)[0]) % 12
    if spec.third == 4 and not spec.is_dominant:
        _put(table, spec.root + 9, SECOND if degree == 5 else THIRD, -0.7 if degree == 5 else -1.4)
        if degree in (0, 3, 8):
            _put(table, spec.root + 4, THIRD, -2.0)
        if degree == 5:
            _put(table, spec.root, {"min6(9)": -0.5}, -2.6)
    elif spec.third == 3 and spec.fifth != 6:
        _put(table, spec.root + 3, {"maj9": 0.0, "maj7": -0.5}, -2.8)
        if degree == 5:
            _put(table, spec.root + 9, HALF_DIMINISHED, -0.9)
    if spec.third == 4 and degree == 7:
        _put(table, spec.root, SUSPENDED, -1.0)
    if degree == 7 and spec.third == 3 and any((t.root - spec.root) % 12 == 5 for t in slot.targets):
        _put(table, spec.root, TO_MINOR, -0.8)


def _approach(table: NDArray[np.float64], slot: Slot, target: Target) -> None:
    """What leads to the next chord: its dominant, the ii before it, the chain of fifths, and their substitutes."""
    root, k, extra = target.root, target.slots, -0.4 if target.is_return else 0.0
    if k <= 2:
        late = extra - 0.5 * (k - 1)
        is_tonic = k == 2 and (root + 7) % 12 == slot.chord.root == tonic(slot.key)[0]
        _put(table, root + 7, TO_MINOR if target.is_minor else TO_MAJOR, late - (1.5 if is_tonic else 0.7))
        _put(table, root + 1, TRITONE, late - 2.2)
        _diminished(table, slot, root, late)
        _backdoor(table, slot, root, late)
    if target.is_minor:
        _towards_minor(table, root, k, extra)
    else:
        _towards_major(table, root, k, extra)


def _towards_major(table: NDArray[np.float64], root: int, k: int, extra: float) -> None:
    """iii-VI-ii before the V, each as minor seventh or as the dominant of the next."""
    if 2 <= k <= 4:
        late = extra - 0.2 * abs(k - 2.5)
        _put(table, root + 2, SECOND, late - 0.9)
        _put(table, root + 2, TO_MAJOR, late - 1.8)
    if 3 <= k <= 6:
        _put(table, root + 9, {**TO_MINOR, **{q: v - 0.6 for q, v in TO_MAJOR.items()}}, extra - 1.5)
        _put(table, root + 9, THIRD, extra - 1.7)
    if 4 <= k <= 8:
        _put(table, root + 4, THIRD, extra - 1.9)


def _towards_minor(table: NDArray[np.float64], root: int, k: int, extra: float) -> None:
    """iiø, bVI7 or iv before the V, and what leads to them: viø, I7, bIII."""
    if 2 <= k <= 4:
        late = extra - 0.2 * abs(k - 2.5)
        _put(table, root + 2, {**HALF_DIMINISHED, "min7": -1.0, "min9": -1.2}, late - 0.9)
        _put(table, root + 2, TO_MAJOR, late - 2.4)
        _put(table, root + 8, {"9(#11)": -0.5, "maj9": -0.5, "9": -1.0}, late - 1.6)
        _put(table, root + 5, OTHER_MINOR, late - 1.4)
    if 3 <= k <= 6:
        _put(table, root + 9, HALF_DIMINISHED, extra - 1.8)
        _put(table, root, TO_MINOR, extra - 2.2)
        _put(table, root + 3, {"maj9": 0.0, "maj7": -0.4}, extra - 2.2)


def _diminished(table: NDArray[np.float64], slot: Slot, root: int, weight: float) -> None:
    """Passing diminished sevenths where the root moves by a whole step."""
    step = (root - slot.chord.root) % 12 if not slot.chord.is_none else 0
    if step == 2:
        _put(table, root - 1, DIMINISHED, weight - 1.8)
    elif step == 10:
        _put(table, root + 1, DIMINISHED, weight - 2.2)


def _backdoor(table: NDArray[np.float64], slot: Slot, root: int, weight: float) -> None:
    """bVII7 to a major tonic, in place of IV or V."""
    home, is_minor = tonic(slot.key)
    if root == home and not is_minor and (slot.chord.root - home) % 12 in (5, 7):
        _put(table, root + 10, {"9(#11)": 0.0, "13": -0.8, "9": -0.8}, weight - 2.8)


__all__ = ["FORBIDDEN", "NO_CHORD", "enriched", "weights"]
