"""Where the second eighth of a swung beat falls, and the way from straight positions to seconds."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", float, NDArray[np.float64])
SHORT_S, SHORT_SHARE = 0.098, 0.325
"""The short note of a swung pair: never shorter than so many seconds, else so much of the beat (Friberg and Sundström
2002)."""
EVEN, DOTTED = 0.52, 0.72


def swing_phase(beat_s: Real, amount: float = 1.0) -> Real:
    """Place of the off-beat eighth inside a beat, 0.5 when straight.

    Args:
        beat_s: length of the beat in seconds, > 0; or of many.
        amount: 1 for the ride cymbal's own place at this tempo, 0 for straight eighths, linear in between.

    Returns:
        At amount 1, within `EVEN` to `DOTTED`: about two thirds up to 200 beats a minute, then ever more even.
    """
    phase: Any = np.clip(1 - np.maximum(SHORT_S, SHORT_SHARE * beat_s) / beat_s, EVEN, DOTTED)
    swung: Real = 0.5 + amount * (phase - 0.5)
    return swung
