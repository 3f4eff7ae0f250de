"""The pace of the beats that the network hears, by dynamic programming over frames and beat lengths.

A state is a beat at a frame that came a given number of frames after the one before it, as in bar-pointer models
without positions between beats (Krebs, Böck and Widmer, "An efficient state-space model for joint tempo and meter
tracking", ISMIR 2015). The path has the most log-odds of beats, and pays for changes of pace.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from contrafact.leadsheets._parts import levels
from contrafact.leadsheets.neural._spectra import FRAME_RATE

Floats = NDArray[np.float64]

CHANGE_COST = 60.0  # log-odds for each change of the beat's length by the factor e; a frame more or less is free
SMOOTH = 5  # beats
OCTAVE = np.sqrt(2)  # to either side of the main pace


def beat_frames(log_odds: Floats, slowest_bpm: float, fastest_bpm: float) -> NDArray[np.int64]:
    """Frames of the beats on the best path.

    Args:
        log_odds: (frames,) that a beat is there.
        slowest_bpm, fastest_bpm: the beat's length keeps between.
    """
    shortest, longest = (round(60 / bpm * FRAME_RATE) for bpm in (fastest_bpm, slowest_bpm))
    lags = np.arange(shortest, longest + 1)
    price = CHANGE_COST * np.abs(np.log(np.divide.outer(lags, lags)))
    price[np.abs(np.subtract.outer(lags, lags)) <= 1] = 0
    frames, rows = len(log_odds), np.arange(len(lags))
    best = np.zeros((frames + longest, len(lags)))  # the path may begin anywhere in the first beat, at no cost
    back = np.zeros((frames, len(lags)), np.int8)
    for t in range(frames):
        before = best[t + longest - lags] - price
        source = before.argmax(axis=1)
        back[t] = source
        best[t + longest] = before[rows, source] + log_odds[t]
    tail = max(frames - longest, 0)
    after, lag = divmod(int(best[tail + longest :].argmax()), len(lags))
    at, found = tail + after, []
    while at >= 0:
        found.append(at)
        at, lag = at - int(lags[lag]), int(back[at, lag])
    return np.array(found[::-1], dtype=np.int64)


def curve(log_odds: Floats, times_s: Floats, slowest_bpm: float, fastest_bpm: float) -> Floats:
    """The beat's length at each time, in seconds; that of the usual tempo where there are hardly any beats.

    It keeps within an octave around the song's main pace: which octave is the beat is decided later.
    """
    bounds = slowest_bpm, fastest_bpm
    frames = beat_frames(log_odds, *bounds)
    if len(frames) > 2:
        main_bpm = 60 * FRAME_RATE / float(np.median(np.diff(frames)))
        bounds = max(slowest_bpm, main_bpm / OCTAVE), min(fastest_bpm, main_bpm * OCTAVE)
        frames = beat_frames(log_odds, *bounds)
    if len(frames) < 3:
        return np.full(len(times_s), 60 / levels.USUAL_BPM)
    gaps = median_filter(np.diff(frames).astype(np.float64), SMOOTH, mode="nearest") / FRAME_RATE
    return np.asarray(np.interp(times_s, frames[1:] / FRAME_RATE, gaps))
