"""Bars: the metre and the first beat of each bar, by Viterbi over positions in the bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import Metre

Floats = NDArray[np.float64]

# Log-odds of each position in the bar for each column of `beatwise.ACCENTS`: logistic regression on rendered pop songs
# whose bars are known (numbers ending in 7 of pop909), rounded.
WEIGHTS: dict[Metre, Floats] = {
    "4/4": np.array(
        [
            [0.5, 0.1, 0.05, 1.0, 0.1, -0.4, -0.3, 0.2],
            [-0.35, 0.1, 0.0, -1.4, 0.0, 0.35, 0.3, 0.2],
            [0.4, -0.6, -0.05, 1.0, -0.1, -0.45, -0.5, 0.3],
            [-0.55, 0.4, 0.0, -0.6, 0.0, 0.5, 0.5, -0.7],
        ]
    ),
    "3/4": np.array(
        [
            [0.6, 0.6, 0.0, 0.2, 1.2, 0.1, -0.2, 0.8],
            [-0.3, -0.6, 0.1, -0.1, -1.0, -0.1, -0.4, 0.4],
            [-0.3, 0.0, -0.1, -0.1, -0.2, 0.0, 0.6, -1.2],
        ]
    ),
}
SLIP_COST = 10.0  # against losing or gaining beats in a bar
TRIPLE_COST = 0.06  # a beat: 3/4 is rarer
RECURRENCE_WEIGHT = 4.0  # a beat, for 4/4: in rendered songs the recurrence is 0.02 to 0.2 there, -0.05 to -0.12 in 3/4


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


def find_bars(matrix: Floats, recurrence: float = 0.0) -> Bars:
    """The metre and bar lines that explain the accents best.

    Args:
        matrix: (beats, accents) of `beatwise.accents`.
        recurrence: of `beatwise.duple_recurrence`.
    """
    found = {metre: best_places(matrix @ WEIGHTS[metre].T) for metre in WEIGHTS}
    rate = {metre: score / len(matrix) for metre, (score, _) in found.items()}
    duple = rate["4/4"] - rate["3/4"] + TRIPLE_COST + RECURRENCE_WEIGHT * recurrence
    metre: Metre = "4/4" if duple >= 0 else "3/4"
    place = found[metre][1]
    return Bars(metre, np.flatnonzero(place == 0), _confidence(matrix @ WEIGHTS[metre].T, place))


def best_score(matrix: Floats) -> float:
    """Score a beat of the best metre and bar lines."""
    scores = {metre: best_places(matrix @ WEIGHTS[metre].T)[0] / len(matrix) for metre in WEIGHTS}
    return max(score - TRIPLE_COST * (metre == "3/4") for metre, score in scores.items())


def best_places(score: Floats) -> tuple[float, NDArray[np.int64]]:
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
