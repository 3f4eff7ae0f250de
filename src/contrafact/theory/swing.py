"""Where the second eighth of a swung beat falls, and the way from straight positions to seconds."""

from __future__ import annotations

import numpy as np

SHORT_S = 0.098
"""The short note of a swung pair does not get shorter than this at fast tempi (Friberg and Sundström 2002)."""


def swing_phase(beat_s: float, amount: float = 1.0) -> float:
    """Place of the off-beat eighth inside a beat, 0.5 when straight.

    Args:
        beat_s: length of the beat in seconds, > 0.
        amount: 1 for the ride cymbal's own place at this tempo, 0 for straight eighths, linear in between.

    Returns:
        At amount 1, within 0.52 to 0.72: about two thirds up to 200 beats a minute, then ever more even.
    """
    phase = 1 - max(SHORT_S, 0.325 * beat_s) / beat_s
    return 0.5 + amount * (float(np.clip(phase, 0.52, 0.72)) - 0.5)


def warp(fraction: float, phase: float) -> float:
    """A straight position inside a beat (0..1), swung so that 0.5 falls on ``phase``.

    Sixteenths keep to the halves of the swung beat; a position exactly on a third of the beat is a triplet already and
    stays. A beat of four even sixteenths, which players do not swing, is the caller's to leave straight (amount 0).
    """
    if abs(fraction * 3 - round(fraction * 3)) < 1e-3:
        return fraction
    if fraction <= 0.5:
        return fraction * phase / 0.5
    return phase + (fraction - 0.5) * (1 - phase) / 0.5
