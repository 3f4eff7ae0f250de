"""Chroma: how strongly each of the twelve pitch classes sounds, by frame and by beat.

Recipe, all in this file: short-time Fourier magnitudes (Hann, 8,192 samples at 22,050 Hz, hop 2,048) are gathered in
thirds of a semitone from C2 to B6 around its own tuning and compressed logarithmically; their running mean
over an octave is taken away and the negative rest dropped, which removes broadband sound such as drums; the thirds of
each semitone and all octaves are added. After Müller and Ewert, "Chroma Toolbox", ISMIR 2011 (compression) and Mauch,
Dixon, "Approximate Note Transcription for the Improved Identification of Difficult Chords", ISMIR 2010 (running mean).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.ndimage import uniform_filter1d
from scipy.sparse import csr_array

from contrafact.audio import ANALYSIS_RATE

Floats = NDArray[np.float32]
SAMPLE_RATE = ANALYSIS_RATE
WINDOW = 8192
HOP = 2048
FRAME_RATE = SAMPLE_RATE / HOP
BLOCK = 256  # frames transformed at a time
LOWEST = 36  # MIDI pitch C2; below, semitones lie closer than the transform resolves
SEMITONES = 60
THIRDS = 3  # bins a semitone
COMPRESSION = 100.0  # log(1 + COMPRESSION * magnitude / reference)
TUNING_FRAMES = 400  # frames looked at for the tuning, spread over the recording


def chroma(samples: Floats, tuning: float | None = None) -> Floats:
    """Chroma of a recording.

    Args:
        samples: mono at 22,050 Hz, shape (time,).
        tuning: deviation from A4 = 440 Hz in semitones; None estimates it.

    Returns:
        (frames, 12), not normalized, >= 0; frame i is centred on i / FRAME_RATE seconds, column 0 is C.
    """
    offset = estimate_tuning(samples) if tuning is None else tuning
    bank = _bank(round(offset, 2))
    frames = np.arange(len(samples) // HOP + 1)
    pitches = np.empty((len(frames), SEMITONES * THIRDS), np.float32)
    for begin in range(0, len(frames), BLOCK):
        block = frames[begin : begin + BLOCK]
        pitches[block] = (bank @ _magnitudes(samples, block).T).T
    return _fold(_sharpened(pitches))


def by_beat(frames: Floats, beats_s: NDArray[np.float64], frame_rate: float = FRAME_RATE) -> Floats:
    """Mean of the frames between neighbouring beats, with shares of the frames at the borders.

    Args:
        frames: (frames, bins), frame i centred on i / frame_rate seconds.
        beats_s: increasing times, shape (beats,).

    Returns:
        (beats - 1, bins).
    """
    total = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0, dtype=np.float64)])
    edges = np.clip(np.asarray(beats_s) * frame_rate + 0.5, 0, len(frames))
    whole = np.minimum(edges.astype(np.int64), len(frames) - 1)
    share = (edges - whole)[:, None]
    at_edge = (1 - share) * total[whole] + share * total[whole + 1]
    width = np.maximum(np.diff(edges), 1e-9)[:, None]
    return np.asarray(np.diff(at_edge, axis=0) / width, dtype=np.float32)


def estimate_tuning(samples: Floats) -> float:
    """Deviation from A4 = 440 Hz in semitones, -0.5 to 0.5: circular mean over spectral peaks."""
    count = len(samples) // HOP + 1
    frames = np.unique(np.linspace(0, count - 1, min(count, TUNING_FRAMES)).astype(np.int64))
    total = 0j
    for begin in range(0, len(frames), BLOCK):
        total += _tuning_vector(_magnitudes(samples, frames[begin : begin + BLOCK]))
    return float(np.angle(total) / (2 * np.pi)) if abs(total) > 0 else 0.0


def _tuning_vector(magnitudes: Floats) -> complex:
    """Sum over peaks between 110 and 1,760 Hz of magnitude times the unit vector of the distance to a semitone."""
    low, high = (int(f * WINDOW / SAMPLE_RATE) for f in (110, 1760))
    before, middle, after = (magnitudes[:, low + k : high + k] for k in (-1, 0, 1))
    strongest = magnitudes.max(axis=1, keepdims=True)
    row, column = np.nonzero((middle > before) & (middle > after) & (middle > 0.05 * strongest) & (middle > 1e-5))
    a, b, c = (np.log(x[row, column] + 1e-12) for x in (before, middle, after))
    position = column + low + 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-6)
    semitones = 12 * np.log2(position * SAMPLE_RATE / WINDOW / 440)
    return complex(np.sum(middle[row, column] * np.exp(2j * np.pi * semitones)))


def _magnitudes(samples: Floats, frames: NDArray[np.int64]) -> Floats:
    """Fourier magnitudes of frames, a full-scale sine giving 1: shape (frames, WINDOW // 2 + 1)."""
    windows = np.zeros((len(frames), WINDOW), np.float32)
    for row, start in zip(windows, frames * HOP - WINDOW // 2, strict=True):
        inside = samples[max(start, 0) : max(start + WINDOW, 0)]
        offset = max(-start, 0)
        row[offset : offset + len(inside)] = inside
    return np.asarray(np.abs(rfft(windows * _hann(), axis=1)), dtype=np.float32)


@lru_cache(maxsize=1)
def _hann() -> Floats:
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    return np.asarray(window * (2 / window.sum()), dtype=np.float32)


@lru_cache(maxsize=8)
def _bank(tuning: float) -> csr_array:
    """Triangles in thirds of a semitone, never narrower than the transform resolves: (bins, WINDOW // 2 + 1)."""
    bins = np.arange(SEMITONES * THIRDS)
    pitch = LOWEST + (bins - 1) / THIRDS + tuning  # the middle third of each semitone is its centre
    centre = 440 * 2 ** ((pitch - 69) / 12) * WINDOW / SAMPLE_RATE
    width = np.maximum(centre * (2 ** (1 / (12 * THIRDS)) - 1), 1.0)
    distance = np.abs(np.arange(WINDOW // 2 + 1)[None, :] - centre[:, None]) / width[:, None]
    return csr_array(np.maximum(1 - distance, 0).astype(np.float32))


def _sharpened(pitches: Floats) -> Floats:
    """Compressed, with the running mean over an octave taken away; in place."""
    loud = float(np.percentile(pitches.max(axis=1), 90)) if len(pitches) else 0.0
    np.log1p(pitches * np.float32(COMPRESSION / max(loud, 1e-5)), out=pitches)
    pitches -= uniform_filter1d(pitches, 12 * THIRDS, axis=1, mode="nearest")
    return np.maximum(pitches, 0, out=pitches)


def _fold(pitches: Floats) -> Floats:
    """Thirds (the centre counting double) and octaves added up: (frames, 12)."""
    shaped = pitches.reshape(len(pitches), SEMITONES // 12, 12, THIRDS)
    return np.asarray(shaped.sum(axis=1) @ np.array([0.25, 0.5, 0.25], np.float32), dtype=np.float32)
