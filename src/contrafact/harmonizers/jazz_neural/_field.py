"""A conditional random field over a song's chords: best path and marginals, both exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TINY = 1e-300


@dataclass(frozen=True)
class Field:
    """Log-weights of paths.

    Attributes:
        chords: of each chord in each half bar, (slots, chords).
        stay: of staying on the chord before, (slots,).
        moves: of going from a chord (row) to a chord, on the diagonal of staying beside that; (chords, chords).
    """

    chords: Floats
    stay: Floats
    moves: Floats

    def best(self) -> Ints:
        """The path of greatest weight, (slots,)."""
        total, back = self.chords[0], []
        for here, stay in zip(self.chords[1:], self.stay[1:], strict=True):
            scores = total[:, None] + self.moves
            scores[np.diag_indices(len(total))] += stay
            back.append(scores.argmax(axis=0))
            total = scores.max(axis=0) + here
        path = [int(total.argmax())]
        for pointers in reversed(back):
            path.append(int(pointers[path[-1]]))
        return np.array(path[::-1])

    def marginals(self) -> Floats:
        """Probability of each chord in each half bar, whatever the others are; (slots, chords)."""
        moved = np.exp(self.moves)
        forward, backward = self.chords.copy(), np.zeros(self.chords.shape)
        for t in range(1, len(forward)):
            forward[t] += _summed(forward[t - 1], self.stay[t], moved)
        for t in range(len(forward) - 2, -1, -1):
            backward[t] = _summed(self.chords[t + 1] + backward[t + 1], self.stay[t + 1], moved.T)
        total = forward + backward
        made = np.exp(total - total.max(axis=1, keepdims=True))
        return np.asarray(made / made.sum(axis=1, keepdims=True))


def _summed(weights: Floats, stay: float, moved: Floats) -> Floats:
    """Log-sum over the chord that is left, from the weights so far and those of going."""
    top = weights.max()
    shares = np.exp(weights - top)
    summed = shares @ moved + shares * moved.diagonal() * np.expm1(stay)
    return np.asarray(np.log(np.maximum(summed, TINY)) + top)
