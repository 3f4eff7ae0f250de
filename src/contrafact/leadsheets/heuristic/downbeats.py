"""Bars: the metre and the first beat of each bar, by Viterbi over positions in the bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import Metre
from contrafact.leadsheets.heuristic.beatwise import Accents

Floats = NDArray[np.float64]

# How each accent (change, bass, kick, snare, pitched, long) speaks for each position in the bar.
WEIGHTS: dict[Metre, Floats] = {
    "4/4": np.array(
        [
            [1.2, 0.5, 0.5, -0.5, 0.3, 0.3],
            [-0.6, -0.3, -0.4, 0.5, -0.1, -0.1],
            [0.1, 0.1, 0.3, -0.5, 0.0, 0.0],
            [-0.7, -0.3, -0.4, 0.5, -0.2, -0.2],
        ]
    ),
    "3/4": np.array(
        [
            [1.2, 0.5, 0.5, -0.3, 0.3, 0.3],
            [-0.6, -0.3, -0.3, 0.15, -0.1, -0.1],
            [-0.6, -0.3, -0.3, 0.15, -0.2, -0.2],
        ]
    ),
}
SLIP_COST = 12.0  # against losing or gaining beats in a bar
TRIPLE_COST = 0.06  # a beat: 3/4 is rarer


@dataclass(frozen=True)
class Bars:
    """Where bars start.

    Attributes:
        metre: "4/4" or "3/4".
        downbeats: indices of beats, increasing.
        confidence: 0..1, from the margin over the next best answer.
    """

    metre: Metre
    downbeats: NDArray[np.int64]
    confidence: float


def find_bars(accents: Accents) -> Bars:
    """The metre and bar lines that explain the accents best."""
    matrix = accents.matrix()
    found = {metre: _positions(matrix @ WEIGHTS[metre].T) for metre in WEIGHTS}
    beats = len(matrix)
    rate = {metre: score / beats - (TRIPLE_COST if metre == "3/4" else 0) for metre, (score, _) in found.items()}
    metre: Metre = max(rate, key=lambda m: rate[m])
    positions = found[metre][1]
    return Bars(metre, np.flatnonzero(positions == 0), _confidence(matrix @ WEIGHTS[metre].T, positions))


def _positions(score: Floats) -> tuple[float, NDArray[np.int64]]:
    """Best total and positions for (beats, positions) scores; each beat advances by one, a slip to 0 costs."""
    beats, size = score.shape
    best = score[0].copy()
    back = np.empty((beats, size), np.int64)
    for k in range(1, beats):
        source = (np.arange(size) - 1) % size
        value = best[source]
        slip = int(best.argmax())
        slipped = best[slip] - SLIP_COST > value
        back[k] = np.where(slipped, slip, source)
        best = np.where(slipped, best[slip] - SLIP_COST, value) + score[k]
    path = np.empty(beats, np.int64)
    path[-1] = int(best.argmax())
    for k in range(beats - 1, 0, -1):
        path[k - 1] = back[k, path[k]]
    return float(best.max()), path


def _confidence(score: Floats, positions: NDArray[np.int64]) -> float:
    """Margin, a beat, between the chosen phase and the best other one, squashed to 0..1."""
    beats, size = score.shape
    rows = np.arange(beats)
    shifted = [float(score[rows, (positions + k) % size].mean()) for k in range(size)]
    margin = shifted[0] - max(shifted[1:])
    return float(np.clip(1 - np.exp(-3 * max(margin, 0.0)), 0, 1))


def positions(bars: Bars, beats: int, beats_per_bar: int) -> NDArray[np.int64]:
    """Position of each of ``beats`` beats in its bar, 0 = first; before the first bar line it counts backwards."""
    starts = bars.downbeats if len(bars.downbeats) else np.zeros(1, np.int64)
    latest = np.searchsorted(starts, np.arange(beats), side="right") - 1
    offset = np.arange(beats) - starts[np.maximum(latest, 0)]
    return np.where(latest >= 0, offset, offset % beats_per_bar)
