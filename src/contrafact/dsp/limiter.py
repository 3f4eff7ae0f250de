"""A look-ahead peak limiter as a gain curve, computed from an envelope of peaks."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def limiter_gain(peaks: Floats, ceiling: float, attack: int, release: float) -> Floats:
    """Gains 0..1 that keep every peak at or below ``ceiling``, smooth, and 1 where nothing nears it.

    Args:
        peaks: largest magnitude in each step of the curve, shape (steps,).
        ceiling: largest magnitude allowed.
        attack: steps of look-ahead; the gain comes down over them.
        release: steps in which the gain comes back by two thirds.
    """
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-12))
    if needed.min() >= 1:
        return np.ones(len(peaks))
    # held for the look-ahead on both sides, so that the average below cannot rise above what a peak needs
    held = scipy.ndimage.minimum_filter1d(needed, 2 * attack + 1, mode="nearest")
    released = _release(held, np.exp(-1.0 / release))
    return np.asarray(scipy.ndimage.uniform_filter1d(released, 2 * attack + 1, mode="nearest"))


def _release(gain: Floats, keep: float) -> Floats:
    """The gain falls at once and comes back exponentially; worked out only where something is limited."""
    released = gain.copy()
    at = 0
    while at < len(gain):
        below = np.flatnonzero(gain[at:] < 1)
        if not len(below):
            break
        at += int(below[0])
        value = float(released[at])
        while at < len(gain) and value < 1 - 1e-4:
            value = min(float(gain[at]), 1 - (1 - value) * keep)
            released[at] = value
            at += 1
    return released
