"""Whether a cover keeps the song's time: local lags between the onset envelopes of two recordings.

Only the song's onsets near beats that it shares with the cover count. Between them a cover that swings or that plays
three beats against four is meant to be elsewhere, and its beats would be taken for late ones of the song.

Recipe: spectral flux (Hann, 1,024 samples at 22,050 Hz, hop 256, 24 bands, logarithmic), of the song within 100 ms of
the shared beats; in windows of 8 s every 4 s, the normalized cross-correlation of both envelopes within ±200 ms,
interpolated four times and averaged over five neighbouring windows. A window's lag is its peak within ±50 ms of that of
the mean over all windows (itself within ±100 ms), refined by a parabola: further off lies what a swinging band plays
between the beats (``benchmarks/drift.py`` tells how far off the drift is told). Windows without a clear peak do not
count. Lag is the median; drift is the slope of Theil and Sen over the windows, times the song's length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d
from scipy.sparse import csr_array

from contrafact.audio import ANALYSIS_RATE

Floats = NDArray[np.float32]
SAMPLE_RATE = ANALYSIS_RATE
FRAME = 1024
HOP = 256
RATE = SAMPLE_RATE / HOP
BANDS = 24
BLOCK = 4096  # frames transformed at a time
WINDOW_S, STEP_S = 8.0, 4.0
FINER = 4  # lags to a frame
REACH = round(0.2 * RATE)  # frames of lag looked at, to both sides
WHOLE = FINER * round(0.1 * RATE)  # lags within which the whole song's is sought
NEAR = FINER * round(0.05 * RATE)  # lags from the whole song's within which a window's is sought
AROUND_S = 0.1  # of a shared beat
NEIGHBOURS = 5  # windows averaged
CLEAR = 0.1  # least correlation of a peak above the median over all lags
FEWEST = 3  # clear windows without which nothing is said


@dataclass(frozen=True)
class Timing:
    """How a recording runs beside another.

    Attributes:
        lag_ms: median lag; positive where the second comes late.
        drift_ms: change of the lag over the song; positive where the second falls behind.
        clear: share of windows with a clear lag; where it is 0, lag and drift are NaN.
    """

    lag_ms: float
    drift_ms: float
    clear: float


def timing(first: Floats, second: Floats, together_s: NDArray[np.float64]) -> Timing:
    """Lag and drift of ``second`` against ``first``.

    Args:
        first, second: the song and the cover, mono at 22,050 Hz, shape (time,).
        together_s: beats that both have, increasing.
    """
    times, correlations = local_correlations(near(onset_envelope(first), together_s), onset_envelope(second))
    if not len(times):
        return Timing(np.nan, np.nan, 0.0)
    lags, clear = _peaks(uniform_filter1d(correlations, NEIGHBOURS, axis=0))
    if clear.sum() < min(FEWEST, len(times)) or not clear.any():
        return Timing(np.nan, np.nan, 0.0)
    lags_ms = 1000 * lags[clear] / (FINER * RATE)
    length_s = min(len(first), len(second)) / SAMPLE_RATE
    from scipy.stats import theilslopes  # slow to import

    slope = theilslopes(lags_ms, times[clear])[0] if clear.sum() > 1 else 0.0
    return Timing(float(np.median(lags_ms)), float(slope * length_s), float(clear.mean()))


def onset_envelope(samples: Floats) -> Floats:
    """Rise of logarithmic band energies: (frames,), frame i centred on i / RATE seconds."""
    frames = len(samples) // HOP + 1
    bands = np.empty((frames, BANDS), np.float32)
    for begin in range(0, frames, BLOCK):
        count = min(BLOCK, frames - begin)
        bands[begin : begin + count] = (_bands() @ _magnitudes(samples, begin, count).T).T
    np.log1p(bands * np.float32(1000 / max(float(bands.max(initial=0)), 1e-5)), out=bands)
    rise = np.zeros(frames, np.float32)
    rise[1:-1] = np.maximum(bands[2:] - bands[:-2], 0).sum(axis=1)  # centred, so that it has no delay
    return np.asarray(rise - uniform_filter1d(rise, round(RATE)), dtype=np.float32)


def near(envelope: Floats, at_s: NDArray[np.float64]) -> Floats:
    """The envelope within `AROUND_S` of given times, 0 elsewhere."""
    seconds = np.arange(len(envelope)) / RATE
    edges = np.concatenate([[-np.inf], at_s, [np.inf]])
    after = np.searchsorted(at_s, seconds)
    distance = np.minimum(seconds - edges[after], edges[after + 1] - seconds)
    return np.where(distance <= AROUND_S, envelope, np.float32(0))


def local_correlations(first: Floats, second: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normalized cross-correlation of two envelopes in windows.

    Returns:
        Centres of the windows in seconds, (windows,), and correlations (windows, 2 * FINER * REACH + 1), FINER lags
        to a frame, lag 0 in the middle. Windows in which an envelope is silent are left out.
    """
    frames = min(len(first), len(second))
    size = min(round(WINDOW_S * RATE), frames)
    starts = np.arange(0, frames - size + 1, round(STEP_S * RATE))
    padded = np.pad(second[:frames], REACH)
    a = np.stack([first[s : s + size] for s in starts]).astype(np.float64)
    b = np.stack([padded[s : s + size + 2 * REACH] for s in starts]).astype(np.float64)
    length = next_fast_len(size + 2 * REACH, real=True)
    spectrum = FINER * np.conj(rfft(a, length, axis=1)) * rfft(b, length, axis=1)
    product = irfft(spectrum, FINER * length, axis=1)[:, : 2 * FINER * REACH + 1]
    energy = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    sounding = energy > 1e-6
    return (starts[sounding] + size / 2) / RATE, product[sounding] / energy[sounding, None]


def _peaks(correlations: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Lag of every window, in units of frames / FINER, and whether it is clear."""
    middle = FINER * REACH
    whole = int(correlations.mean(axis=0)[middle - WHOLE : middle + WHOLE + 1].argmax()) + middle - WHOLE
    around = correlations[:, whole - NEAR : whole + NEAR + 1].argmax(axis=1)
    peak = around + whole - NEAR
    inner = (around > 0) & (around < 2 * NEAR)
    peak = np.clip(peak, 1, correlations.shape[1] - 2)
    rows = np.arange(len(peak))
    left, top, right = (correlations[rows, peak + k] for k in (-1, 0, 1))
    bend = left - 2 * top + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-12), 0.0)
    clear = inner & (top - np.median(correlations, axis=1) > CLEAR)
    return peak + shift - FINER * REACH, clear


def _magnitudes(samples: Floats, begin: int, count: int) -> Floats:
    """Fourier magnitudes of frames ``begin`` and on, zeros outside the recording: (count, FRAME // 2 + 1)."""
    start, size = begin * HOP - FRAME // 2, (count - 1) * HOP + FRAME
    inside = samples[max(start, 0) : max(start + size, 0)]
    offset = max(-start, 0)
    stretch = np.pad(inside, (offset, size - offset - len(inside)))
    windows = np.lib.stride_tricks.sliding_window_view(stretch, FRAME)[::HOP]
    return np.asarray(np.abs(rfft(windows * np.hanning(FRAME + 1)[:-1].astype(np.float32), axis=1)), np.float32)


@lru_cache(maxsize=1)
def _bands() -> csr_array:
    """Which Fourier bin belongs to which of the bands, even on a logarithmic axis from 40 Hz: (BANDS, bins)."""
    frequency = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
    edges = np.geomspace(40, SAMPLE_RATE / 2, BANDS + 1)
    band = np.searchsorted(edges, frequency, side="right") - 1
    return csr_array((np.arange(BANDS)[:, None] == np.minimum(band, BANDS - 1)[None, :]).astype(np.float32))
