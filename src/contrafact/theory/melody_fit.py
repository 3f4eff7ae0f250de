"""How well a melody note fits a chord: likelihoods counted in song melodies, and notes to avoid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contrafact.theory.chords import ChordSpec

DEGREE_PERCENT: dict[str, tuple[float, ...]] = {
    "major": (26, 0.2, 5, 1, 26, 1.5, 1, 26, 1, 8, 1, 4),
    "dominant": (24, 1, 10, 0.5, 12, 3, 1, 25, 2, 9, 12, 0.6),
    "minor": (21, 0.2, 6, 25, 0.4, 11, 1, 22, 1, 4, 8, 1),
    "diminished": (13, 1, 4, 15, 3, 3, 25, 2, 8, 19, 1, 6),
    "half-diminished": (12, 1, 2, 35, 0.3, 14, 22, 4, 4, 0.5, 10, 0.3),
    "suspended": (20, 0.5, 12, 1, 3, 20, 0.5, 20, 1, 9, 12, 0.5),
}
"""Long notes of composed melodies by degree above the root, in percent (OpenEWLD sheets); suspended by theory."""

_TOO_CLOSE = {
    "major": {1, 3, 5, 8, 10},
    "minor": {1, 4, 6, 8, 11},
    "dominant": {5, 11},
    "half-diminished": {1, 4, 7, 11},
    "diminished": {1, 4, 7, 10},
    "suspended": {1, 3, 6, 8, 11},
    "augmented": {1, 5, 7, 9},
}


def avoid_degrees(spec: ChordSpec) -> frozenset[int]:
    """Semitones above the root that no long or stressed melody note should have.

    Source: common practice; the root over a major seventh is avoided too (a sixth chord takes it), the sixth over a
    minor seventh (it is the third of the dominant that follows), and natural ninths or thirteenths over flat ones.
    """
    has = spec.intervals
    avoid = set(_TOO_CLOSE.get(spec.family, set()))
    if spec.family == "major" and 11 in has:
        avoid.add(0)
    if spec.family == "minor":
        avoid |= _minor_extra(has)
        avoid -= {11} if 11 in has else set()
    if spec.is_dominant and spec.family == "dominant":
        avoid |= _dominant_extra(has)
    return frozenset(avoid - {t % 12 for t in spec.tensions})


def _minor_extra(has: frozenset[int]) -> set[int]:
    return {10} if 11 in has else {9} if 10 in has else set()


def _dominant_extra(has: frozenset[int]) -> set[int]:
    """Plain dominants clash with altered notes next to their ninth or thirteenth, altered ones with plain notes."""
    avoid: set[int] = set()
    if has & {1, 3}:
        avoid.add(2)
    if 8 in has:
        avoid |= {9, 7}
    if 2 in has:
        avoid |= {1, 3}
    if 9 in has:
        avoid.add(8)
    if 6 in has:
        avoid.add(7)
    return avoid


def log_likelihood(spec: ChordSpec) -> NDArray[np.float64]:
    """Log-probability of each degree above the root in a melody over the chord; shape (12,).

    A tension that the symbol names counts as much as a ninth does.
    """
    family = spec.family if spec.family in DEGREE_PERCENT else "major"
    percent = np.array(DEGREE_PERCENT[family], dtype=np.float64)
    for tone in (*spec.tensions, *(t for t in spec.tones if t in (9, 10, 11))):
        percent[tone % 12] = max(percent[tone % 12], 5.0)
    return np.asarray(np.log(percent / percent.sum()))
