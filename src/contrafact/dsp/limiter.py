"""A look-ahead peak limiter as a gain curve, computed from an envelope of peaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_INAUDIBLE_DB = 1e-3  # an exponential release never ends; below this it has


def limiter_gain(peaks: Floats, ceiling: float, attack: int, release: float) -> Floats:
    """Gains 0..1 that keep every peak at or below ``ceiling``, smooth, and exactly 1 where nothing nears it.

    Between two steps the curve may be read linearly: the gains of a peak's own step and of both its neighbours suffice
    for it.

    Args:
        peaks: largest magnitude in each step of the curve, shape (steps,).
        ceiling: largest magnitude allowed, > 0.
        attack: steps of look-ahead, in which the gain comes down along an S.
        release: steps in which the reduction in dB falls to 1/e.
    """
    from scipy.ndimage import maximum_filter1d

    excess_db = np.maximum(peaks / np.float32(ceiling), np.float32(1))
    np.log10(excess_db, out=excess_db)
    excess_db *= np.float32(20)
    if not excess_db.any():
        return np.ones(len(peaks), dtype=np.float32)
    # held for the look-ahead (and one step) on both sides, so that no average below falls short of what a peak needs
    excess_db = maximum_filter1d(excess_db, 2 * attack + 3, mode="nearest")
    s_shape = np.bartlett(2 * attack + 3)
    padded = np.pad(_released(excess_db, release), attack + 1, mode="edge")
    reduction_db = np.convolve(padded, (s_shape / s_shape.sum()).astype(np.float32), mode="valid")
    return np.asarray(np.float32(10) ** (reduction_db / np.float32(-20)))


def _released(reduction_db: Floats, release: float) -> Floats:
    """Each value decays by exp(-1 / release) a step until a larger one comes: y[n] = max(x[n], y[n-1] * decay).

    In logarithms that is a running maximum of log x[n] + n / release, with no loop over steps.
    """
    slope = np.arange(len(reduction_db)) / release
    with np.errstate(divide="ignore"):
        decayed = np.log(reduction_db, dtype=np.float64)
    decayed += slope
    np.maximum.accumulate(decayed, out=decayed)
    decayed -= slope
    np.exp(decayed, out=decayed)
    decayed[decayed < _INAUDIBLE_DB] = 0
    return np.maximum(decayed.astype(np.float32), reduction_db)
