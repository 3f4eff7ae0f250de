"""Piano voicings: rootless forms, shells, guide tones, drop 2, quartal and spread, with low-interval limits."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from contrafact.theory.chords import ChordSpec

Voicing = tuple[int, ...]
"""MIDI pitches, increasing."""

ROOTLESS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "maj9": ((4, 7, 11, 14), (11, 14, 16, 19)),
    "6/9": ((4, 7, 9, 14), (9, 14, 16, 19)),
    "maj7#11": ((4, 6, 11, 14), (11, 14, 16, 18)),
    "m9": ((3, 7, 10, 14), (10, 14, 15, 19)),
    "m6/9": ((3, 7, 9, 14), (9, 14, 15, 19)),
    "mMaj9": ((3, 7, 11, 14), (11, 14, 15, 19)),
    "13": ((4, 9, 10, 14), (10, 14, 16, 21)),
    "9": ((4, 7, 10, 14), (10, 14, 16, 19)),
    "7b9b13": ((4, 8, 10, 13), (10, 13, 16, 20)),
    "7#9b13": ((4, 8, 10, 15), (10, 15, 16, 20)),
    "13b9": ((4, 9, 10, 13), (10, 13, 16, 21)),
    "7b9": ((4, 7, 10, 13), (10, 13, 16, 19)),
    "7#11": ((4, 6, 10, 14), (10, 14, 16, 18)),
    "13sus": ((5, 9, 10, 14), (10, 14, 17, 21)),
    "9sus": ((5, 7, 10, 14), (10, 14, 17, 19)),
    "m7b5": ((3, 6, 10, 12), (10, 12, 15, 18)),
    "dim7": ((3, 6, 9, 12), (9, 12, 15, 18)),
    "maj7": ((4, 7, 11, 12), (11, 12, 16, 19)),
    "m7": ((3, 7, 10, 12), (10, 12, 15, 19)),
    "7": ((4, 7, 10, 12), (10, 12, 16, 19)),
    "major": ((4, 7, 12), (7, 12, 16)),
    "minor": ((3, 7, 12), (7, 12, 15)),
    "sus4": ((5, 7, 12), (7, 12, 17)),
    "sus2": ((2, 7, 12), (7, 12, 14)),
}
"""Left-hand forms A (third at the bottom) and B (seventh or sixth at the bottom), semitones above the root."""

SEVENTHS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "maj9": ROOTLESS["maj7"],
    "6/9": ((4, 7, 9, 12), (9, 12, 16, 19)),
    "m9": ROOTLESS["m7"],
    "m6/9": ((3, 7, 9, 12), (9, 12, 15, 19)),
    "mMaj9": ((3, 7, 11, 12), (11, 12, 15, 19)),
    "13": ROOTLESS["7"],
    "9": ROOTLESS["7"],
    "7b9b13": ROOTLESS["7b9"],
    "7#9b13": ((4, 7, 10, 15), (10, 15, 16, 19)),
    "13b9": ROOTLESS["7b9"],
    "13sus": ((5, 7, 10, 12), (10, 12, 17, 19)),
    "9sus": ((5, 7, 10, 12), (10, 12, 17, 19)),
}
"""The same forms with root and fifth in place of the ninth and thirteenth that players add: the plain seventh chord.

An altered ninth stays, for it is what the chord is there for; chords that are not listed are no plainer than theirs.
"""

LOW_LIMITS = {1: 52, 2: 51, 3: 48, 4: 46, 5: 46, 6: 46, 7: 34, 8: 42, 9: 41, 10: 41, 11: 41, 12: 28}
"""Lowest MIDI pitch of the lower note at which an interval (semitones) still sounds clear, within about two."""

BOTTOM = range(50, 60)
"""Where the lowest note of a rootless voicing lies: D3 to B3."""


def is_plain(spec: ChordSpec) -> bool:
    """Whether a chord is a triad that is to stay one."""
    return spec.family in ("major", "minor", "suspended") and len(spec.intervals) == 3


def rootless_name(spec: ChordSpec) -> str:
    """The row of `ROOTLESS` that fits a chord; ninths are added to sevenths and sixths, plain triads stay plain."""
    has = spec.intervals
    if is_plain(spec):
        return spec.family if spec.third else "sus4" if 5 in has else "sus2"
    if spec.family == "dominant":
        return _dominant_name(spec)
    if spec.family in ("suspended", "power"):
        return "13sus" if 9 in has or 10 not in has else "9sus"
    if spec.family == "diminished":
        return "dim7"
    if spec.family == "half-diminished":
        return "m7b5"
    if spec.family == "minor":
        if 11 in has:
            return "mMaj9"
        if 9 in has and 10 not in has:
            return "m6/9"
        return "m7" if 10 in has and 2 not in has else "m9"
    if 6 in has and 7 in has:
        return "maj7#11"
    if 9 in has and 11 not in has:
        return "6/9"
    return "maj7" if 11 in has and 2 not in has else "maj9" if 11 in has else "6/9"


def _dominant_name(spec: ChordSpec) -> str:
    has = spec.intervals
    if 3 in has:
        return "7#9b13"
    if 1 in has:
        return "7b9b13" if 8 in has else "13b9" if 9 in has else "7b9"
    if 8 in has:
        return "7b9b13"
    if 6 in has:
        return "7#11"
    return "13" if 9 in has else "9" if 2 in has else "7"


def clear(voicing: Voicing) -> bool:
    """Whether every pair of neighbours respects the low-interval limits."""
    return all(low >= LOW_LIMITS.get(high - low, 28) for low, high in pairwise(voicing))


def _place(root: int, shape: tuple[int, ...], bottom: range) -> list[Voicing]:
    """The shape on a root pitch class at every octave whose lowest note is in ``bottom``."""
    return [tuple(low - shape[0] + s for s in shape) for low in bottom if (low - shape[0] - root) % 12 == 0]


@lru_cache(maxsize=2048)
def rootless(spec: ChordSpec, bottom: range = BOTTOM) -> tuple[Voicing, ...]:
    """Forms A and B of a chord with the lowest note in ``bottom``; one at least for every chord, none for "N"."""
    return () if spec.is_none else _forms(spec, ROOTLESS[rootless_name(spec)], bottom)


@lru_cache(maxsize=2048)
def sevenths(spec: ChordSpec, bottom: range = BOTTOM) -> tuple[Voicing, ...]:
    """As `rootless`, with the chord's own root and fifth in place of added colours."""
    if spec.is_none:
        return ()
    return _forms(spec, _plain(spec), bottom)


def _plain(spec: ChordSpec) -> tuple[tuple[int, ...], ...]:
    name = rootless_name(spec)
    return SEVENTHS.get(name, ROOTLESS[name])


def _forms(spec: ChordSpec, shapes: tuple[tuple[int, ...], ...], bottom: range) -> tuple[Voicing, ...]:
    if spec.family == "diminished":
        shapes = tuple(tuple(s + turn for s in (0, 3, 6, 9)) for turn in (0, 3, 6, 9))
    found = [v for shape in shapes for v in _place(spec.root, shape, bottom)]
    return tuple(dict.fromkeys(found))


def guide_tones(spec: ChordSpec, bottom: range = range(50, 62)) -> tuple[Voicing, ...]:
    """Third and seventh alone (or what stands in for them), either one below."""
    if spec.is_none:
        return ()
    third = spec.third if spec.third is not None else (5 if 5 in spec.tones else 7)
    seventh = spec.seventh if spec.seventh is not None else 12
    shapes = ((third, seventh), (seventh - 12, third)) if seventh < 12 else ((third, 12), (0, third))
    return tuple(dict.fromkeys(v for shape in shapes for v in _place(spec.root, shape, bottom)))


def shells(spec: ChordSpec, low: int = 36, high: int = 57) -> tuple[Voicing, ...]:
    """Root with third and seventh: 1-3, 1-7, 1-3-7, 1-7-10 and 1-5-10, clear at their height, within low..high."""
    if spec.is_none:
        return ()
    third = spec.third if spec.third is not None else 5
    seventh, fifth = spec.seventh or 12, spec.fifth or 7
    shapes = [(0, third), (0, seventh), (0, third, seventh), (0, seventh, third + 12), (0, fifth, third + 12)]
    found = [v for shape in shapes for v in _place(spec.root, shape, range(low, 48)) if v[-1] <= high + 7]
    return tuple(v for v in found if clear(v))


def tenths(spec: ChordSpec, bottom: range = range(34, 46)) -> tuple[Voicing, ...]:
    """Root and tenth, the stride pianist's left hand, at the lowest clear place."""
    if spec.is_none:
        return ()
    third = spec.third if spec.third is not None else 5
    return tuple(_place(spec.root, (0, third + 12), bottom))


def quartal(spec: ChordSpec, bottom: range = range(48, 60)) -> tuple[Voicing, ...]:
    """Stacked fourths: "so what" on minor, 3-6-9-5-7 on major, b7-3-13-9 on dominants; none where they do not fit."""
    has = spec.intervals
    if is_plain(spec):
        return ()
    if spec.family == "minor" and 10 in has:
        shapes: tuple[tuple[int, ...], ...] = ((0, 5, 10, 15, 19), (5, 10, 15, 19))
    elif spec.family == "major" and 6 not in has:
        shapes = ((4, 9, 14, 19, 23), (4, 9, 14, 19)) if 11 in has else ((4, 9, 14, 19),)
    elif spec.family == "dominant" and not has & {1, 3, 6, 8}:
        shapes = ((10, 16, 21, 26),)
    elif spec.family == "suspended":
        shapes = ((0, 5, 10, 14),)
    else:
        return ()
    return tuple(v for shape in shapes for v in _place(spec.root, shape, bottom))


def spread(spec: ChordSpec, bottom: range = range(36, 48)) -> tuple[Voicing, ...]:
    """Wide two-hand chords: root and seventh or tenth below, colour tones above (1-7-3-5-9 and relatives)."""
    if spec.is_none:
        return ()
    colour = ROOTLESS[rootless_name(spec)][0]
    third, seventh = colour[0], next((c for c in colour if c in (9, 10, 11) and c != colour[0]), 12)
    upper = sorted({third + 12} | {c + 12 if c < 12 else c for c in colour if c not in (third, seventh)})
    top = tuple(u if u > third + 12 or u == third + 12 else u + 12 for u in upper)
    shapes = [tuple(sorted({0, seventh, *top})), tuple(sorted({0, spec.fifth or 7, third + 12, seventh + 12}))]
    return tuple(v for s in shapes for v in _place(spec.root, s, bottom) if clear(v) and v[-1] - v[0] <= 36)


def close_below(spec: ChordSpec, top: int, coloured: bool = True) -> Voicing:
    """Four-part close position under ``top``: the nearest tones of `rootless`, or of `sevenths` if not ``coloured``."""
    if spec.is_none:
        return (top,)
    shapes = ROOTLESS[rootless_name(spec)] if coloured else _plain(spec)
    wanted = {(spec.root + c) % 12 for c in shapes[0]}
    below = [p for p in range(top - 1, top - 13, -1) if p % 12 in wanted and p % 12 != top % 12]
    # A semitone right under the melody hides it, so the tone there is left out where another is at hand.
    chosen = [p for p in below if top - p > 1][:3]
    return tuple(sorted((*chosen, top)))


def drop_two(voicing: Voicing) -> Voicing:
    """The second voice from the top an octave lower; fewer than three voices stay as they are."""
    if len(voicing) < 3:
        return voicing
    return tuple(sorted((*voicing[:-2], voicing[-2] - 12, voicing[-1])))
