"""Scales: the notes of keys, the scale that a chord implies, and the best seven-note scale of a set of notes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contrafact.theory.chords import ChordSpec, fifths, key_name, parse, tonic

MAJOR = (0, 2, 4, 5, 7, 9, 11)
DIATONIC: tuple[frozenset[int], ...] = tuple(frozenset((t + s) % 12 for s in MAJOR) for t in range(12))
"""The twelve major scales as pitch-class sets, by tonic."""

CHORD_SCALES: dict[str, tuple[int, ...]] = {
    "ionian": MAJOR,
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "melodic minor": (0, 2, 3, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "lydian dominant": (0, 2, 4, 6, 7, 9, 10),
    "altered": (0, 1, 3, 4, 6, 8, 10),
    "phrygian dominant": (0, 1, 4, 5, 7, 8, 10),
    "half-whole": (0, 1, 3, 4, 6, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "locrian 2": (0, 2, 3, 5, 6, 8, 10),
    "whole-half": (0, 2, 3, 5, 6, 8, 9, 11),
    "whole tone": (0, 2, 4, 6, 8, 10),
}
"""Semitones above the root."""


@lru_cache(maxsize=64)
def collection(key: str) -> frozenset[int]:
    """Pitch classes of the key signature: a minor key has those of its relative major."""
    return DIATONIC[(7 * fifths(key)) % 12]


def chord_scale(spec: ChordSpec, key: str = "N") -> tuple[int, ...]:
    """Pitch classes to walk and fill with over a chord, from the root upwards.

    The chord decides first; among scales that hold all its tones, the one nearest the key wins.
    """
    if spec.is_none:
        pc = tonic(key)[0]
        return tuple(sorted(collection(key), key=lambda p: (p - pc) % 12))
    home = {(p - spec.root) % 12 for p in collection(key)}
    fitting = [s for s in CHORD_SCALES.values() if spec.intervals <= set(s)] or [tuple(sorted(spec.intervals))]
    best = max(fitting, key=lambda s: (len(home & set(s)), -len(s)))
    return tuple((spec.root + s) % 12 for s in best)


def best_diatonic(weights: NDArray[np.float64]) -> int:
    """Tonic of the major scale that holds most of a pitch-class histogram of shape (12,)."""
    return int(np.argmax([weights[sorted(scale)].sum() for scale in DIATONIC]))


def local_keys(symbols: Sequence[str], lengths: Sequence[float], key: str, stay: float = 24.0) -> list[str]:
    """The key at every chord: the song's own where it fits, another where the harmony has left it for long.

    Args:
        symbols: chords in order.
        lengths: their lengths in beats.
        key: the song's key, which is preferred; its mode is kept.
        stay: cost of a change of key, in beats of chord tones outside the scale.

    Returns:
        One key a chord, found by dynamic programming.
    """
    home, is_minor = tonic(key)
    names = [key_name(pc, is_minor) for pc in range(12)]
    cost = np.array([[_outside_cost(s, k) * n for k in names] for s, n in zip(symbols, lengths, strict=True)])
    if not len(cost):
        return []
    if key != "N":
        cost += 0.05 * np.array(lengths)[:, None] * (np.arange(12) != home)
    total, back = cost[0].copy(), []
    for row in cost[1:]:
        leave = int(total.argmin())
        moves = total[leave] + stay < total
        back.append(np.where(moves, leave, np.arange(12)))
        total = np.minimum(total, total[leave] + stay) + row
    path = [int(total.argmin())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return [names[i] for i in reversed(path)]


def _outside_cost(symbol: str, key: str) -> float:
    """Share of a triad's tones outside the key; a minor key may raise its seventh."""
    spec = parse(symbol)
    if spec.is_none:
        return 0.0
    allowed = set(collection(key))
    if key.endswith("min"):
        allowed.add((tonic(key)[0] + 11) % 12)
    tones = [(spec.root + t) % 12 for t in spec.tones if t < 9]
    return sum(t not in allowed for t in tones) / len(tones)
