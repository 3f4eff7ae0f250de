"""How loud a sound is from moment to moment, roughly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 0.25
SMOOTH = 3  # windows
LOUD = 0.9  # quantile of the windows' levels that loud ones reach


def levels_db(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Power of each whole window of (time,), with those beside it, against full scale: (windows,)."""
    from scipy.ndimage import uniform_filter1d

    count = int(len(samples) / sample_rate / WINDOW_S)
    edges = np.rint(np.arange(count + 1) * WINDOW_S * sample_rate).astype(int).tolist()
    power = [float(np.square(samples[a:b], dtype=np.float64).mean()) for a, b in pairwise(edges)]
    return np.asarray(10 * np.log10(uniform_filter1d(np.asarray(power, dtype=np.float64), SMOOTH) + 1e-12))
