"""A vocabulary of jazz chords, and how willingly one follows another: root motion, function and voice leading."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contrafact.theory.chords import ChordSpec, build, parse
from contrafact.theory.melody_fit import avoid_degrees, log_likelihood
from contrafact.theory.voice_leading import movement
from contrafact.theory.voicings import rootless

QUALITIES = (
    "maj7",
    "maj9",
    "maj6(9)",
    "maj9(#11)",
    "min7",
    "min9",
    "min11",
    "min6(9)",
    "minmaj7(9)",
    "7",
    "9",
    "13",
    "9(#11)",
    "7(b9,b13)",
    "7(#9,b13)",
    "7(b9,13)",
    "sus4(b7,9)",
    "sus4(b7,9,13)",
    "hdim7",
    "dim7",
)
SIZE = 12 * len(QUALITIES) + 1
NO_CHORD = SIZE - 1
"""Index of "no chord"; chord ``quality, root`` has index 12 * quality + root."""

ALTERED = ("7(b9,b13)", "7(#9,b13)", "7(b9,13)")
_CLASS = {
    **dict.fromkeys(QUALITIES[:4], "maj"),
    **dict.fromkeys(QUALITIES[4:9], "min"),
    **dict.fromkeys(QUALITIES[9:16], "dom"),
    **dict.fromkeys(QUALITIES[16:18], "sus"),
    "hdim7": "hdim",
    "dim7": "dim",
}

MOTION: dict[str, tuple[float, ...]] = {
    "maj": (0.02, 0.05, 0.16, 0.04, 0.06, 0.17, 0.03, 0.12, 0.04, 0.19, 0.06, 0.06),
    "min": (0.03, 0.03, 0.08, 0.04, 0.02, 0.58, 0.01, 0.05, 0.04, 0.02, 0.04, 0.06),
    "dom": (0.05, 0.03, 0.05, 0.01, 0.01, 0.61, 0.01, 0.04, 0.01, 0.02, 0.05, 0.11),
    "sus": (0.30, 0.02, 0.06, 0.01, 0.01, 0.42, 0.01, 0.04, 0.01, 0.03, 0.05, 0.04),
    "hdim": (0.02, 0.04, 0.02, 0.02, 0.01, 0.75, 0.01, 0.02, 0.02, 0.01, 0.02, 0.06),
    "dim": (0.02, 0.21, 0.06, 0.02, 0.02, 0.07, 0.14, 0.03, 0.02, 0.03, 0.02, 0.36),
}
"""P(root motion in semitones up | class of the chord left) when the root moves: style facts 3.2 and 3.3, by class."""

VOICE_LEADING = 0.04
"""Cost of a semitone of voice movement."""


def index(quality: str, root: int) -> int:
    """Place of a chord in the vocabulary."""
    return 12 * QUALITIES.index(quality) + root % 12


def class_of(place: int) -> str:
    """ "maj", "min", "dom", "sus", "hdim", "dim", or "N"."""
    return "N" if place == NO_CHORD else _CLASS[QUALITIES[place // 12]]


def symbol_of(place: int, key: str) -> str:
    """Harte symbol of a chord in the vocabulary."""
    return "N" if place == NO_CHORD else build(place % 12, QUALITIES[place // 12], key)


@lru_cache(maxsize=1)
def specs() -> tuple[ChordSpec, ...]:
    """The chords of the vocabulary without "no chord"."""
    return tuple(parse(build(root, quality)) for quality in QUALITIES for root in range(12))


@lru_cache(maxsize=1)
def classes() -> NDArray[np.str_]:
    """`class_of` of every chord; shape (SIZE,)."""
    return np.array([class_of(i) for i in range(SIZE)])


@lru_cache(maxsize=1)
def transitions() -> NDArray[np.float32]:
    """Log-preference of going from a chord (row) to a chord (column); shape (SIZE, SIZE), 0 on the diagonal."""
    table = np.zeros((SIZE, SIZE), dtype=np.float32)
    lead = _movements()
    for i, before in enumerate(QUALITIES):
        for j, after in enumerate(QUALITIES):
            for step in range(12):
                value = _preference(before, after, step)
                rows = 12 * i + np.arange(12)
                table[rows, 12 * j + (np.arange(12) + step) % 12] = value
    table[:NO_CHORD, :NO_CHORD] -= VOICE_LEADING * lead
    np.fill_diagonal(table, 0.0)
    return table


def _preference(before: str, after: str, step: int) -> float:
    a, b = _CLASS[before], _CLASS[after]
    score = float(np.log(MOTION[a][step]))
    if step == 5:
        return score + _fall_of_a_fifth(before, after, a, b)
    if step == 11 and a == "dom":
        return score - (0.0 if before == "9(#11)" else 0.8) - (0.4 if b == "dom" else 0.0)
    if a == "dom" and before in ALTERED:
        return score - 0.8
    if step == 0:
        return score + (0.6 if (a, b) == ("sus", "dom") else 0.0)
    return score


def _fall_of_a_fifth(before: str, after: str, a: str, b: str) -> float:
    """ii goes to V, altered dominants to minor and natural ones to major."""
    if a == "min" and before in ("min6(9)", "minmaj7(9)"):
        return -1.0
    if a == "min":
        return {"dom": -0.5 if after in ALTERED[:2] else 0.0, "sus": -0.2, "min": -0.9}.get(b, -1.3)
    if a == "hdim":
        return (0.0 if after in ALTERED else -0.9) if b == "dom" else -1.6
    if a in ("dom", "sus"):
        if before in ALTERED[:2]:
            return {"min": 0.0, "hdim": -0.1}.get(b, -0.8)
        if before == ALTERED[2]:
            return -0.2
        return {"min": -0.5, "hdim": -0.5}.get(b, 0.0)
    return 0.0


def _movements() -> NDArray[np.float32]:
    """Least voice movement between rootless voicings of every two chords; by transposition, from root 0 only."""
    table = np.zeros((NO_CHORD, NO_CHORD), dtype=np.float32)
    forms = [rootless(spec, range(48, 62)) for spec in specs()]
    for i in range(len(QUALITIES)):
        for j in range(len(QUALITIES)):
            for step in range(12):
                least = min(movement(v, w) for v in forms[12 * i] for w in forms[12 * j + step])
                table[12 * i + np.arange(12), 12 * j + (np.arange(12) + step) % 12] = least
    return table


@lru_cache(maxsize=1)
def melody_tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihood of melody pitch classes over every chord, and 1 where to be avoided; shapes (SIZE - 1, 12)."""
    fit = np.zeros((NO_CHORD, 12))
    avoid = np.zeros((NO_CHORD, 12))
    for i, spec in enumerate(specs()):
        degrees = (np.arange(12) - spec.root) % 12
        fit[i] = log_likelihood(spec)[degrees]
        avoid[i] = np.isin(degrees, sorted(avoid_degrees(spec)))
    return fit, avoid


@lru_cache(maxsize=1)
def tone_sets() -> NDArray[np.float64]:
    """1 where a chord has a pitch class; shape (SIZE - 1, 12)."""
    return np.array([[float(t in s.pitch_classes) for t in range(12)] for s in specs()])


@lru_cache(maxsize=1)
def tone_profiles() -> NDArray[np.float64]:
    """Pitch-class weight of every chord as a band sounds it, each of unit length; shape (SIZE - 1, 12)."""
    table = np.zeros((NO_CHORD, 12))
    for row, spec in zip(table, specs(), strict=True):
        row[:] = profile(spec)
    return table


def profile(spec: ChordSpec) -> NDArray[np.float64]:
    """Pitch-class weights of one chord, of unit length: bass and third strongest, tensions weakest; shape (12,)."""
    weights = np.zeros(12)
    for tone in spec.tones:
        weight = 1.0 if tone == 0 else 0.9 if tone < 6 else 0.8 if tone < 9 else 0.6 if tone < 12 else 0.35
        weights[(spec.root + tone) % 12] = max(weights[(spec.root + tone) % 12], weight)
    length = float(np.linalg.norm(weights))
    return weights / length if length else weights
