"""Changes that bring rendered music nearer to what recordings may hold: level, equalizer, saturation, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

Floats = NDArray[np.float32]


def augmented(wave: Floats, draw: np.random.Generator) -> Floats:
    """A random version of samples (time,), peaking between -24 dB and full scale."""
    if draw.random() < 0.4:
        wave = _equalized(wave, draw)
    if draw.random() < 0.15:
        drive = draw.uniform(1, 4) / max(float(np.abs(wave).max()), 1e-5)
        wave = np.tanh(drive * wave)
    if draw.random() < 0.3:
        wave = wave + _noise(len(wave), draw) * np.float32(10 ** (-draw.uniform(15, 60) / 20) * np.std(wave))
    peak = max(float(np.abs(wave).max()), 1e-4)
    return np.asarray(wave * (10 ** (-draw.uniform(0, 24) / 20) / peak), dtype=np.float32)


def _equalized(wave: Floats, draw: np.random.Generator) -> Floats:
    """A smooth random response of up to ±12 dB, drawn at eight points on a logarithmic frequency axis."""
    spectrum = rfft(wave)
    points = draw.uniform(-12, 12, 8)
    place = np.log2(1 + np.arange(len(spectrum)) / len(spectrum) * 255) / 8 * 7
    return np.asarray(irfft(spectrum * 10 ** (np.interp(place, np.arange(8), points) / 20), len(wave)), np.float32)


def _noise(length: int, draw: np.random.Generator) -> Floats:
    """Noise of deviation 1 whose spectrum falls by 0 to 6 dB an octave."""
    spectrum = rfft(draw.standard_normal(length))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** -draw.uniform(0, 1)
    noise = irfft(spectrum, length)
    return np.asarray(noise / noise.std(), dtype=np.float32)
