"""Mel spectrograms and the way back to magnitudes.

Scales: "slaney" (linear to 1 kHz, then logarithmic: Slaney, Auditory Toolbox, 1998; librosa's default) and "htk"
(2595 log10(1 + f / 700): O'Shaughnessy, 1987; torchaudio's default). ``area_normalized`` divides each triangle by its
width in Hz, so that noise has the same level in all bins.

The way back is non-negative least squares by the multiplicative rule of Lee and Seung, NIPS 2000, from the clipped
pseudo-inverse: bins between the triangles' tops are filled smoothly and nothing turns negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from contrafact.dsp._arrays import Array, Floats, as_real, namespace
from contrafact.dsp.stft import stft

Scale = Literal["slaney", "htk"]
NNLS_STEPS = 30
_BREAK_HZ, _HZ_A_MEL, _LOG_STEP = 1000.0, 200 / 3, np.log(6.4) / 27  # Slaney's scale


@dataclass(frozen=True)
class Mel:
    """A log-mel spectrogram.

    Attributes:
        sample_rate: Hz.
        window_samples: Hann window and transform.
        hop_samples: between frames; frame i is centred on sample i * hop_samples.
        bins: mel bins.
        low_hz: lower edge of the lowest triangle.
        high_hz: upper edge of the highest; None for half of the sample rate.
        scale: "slaney" or "htk".
        area_normalized: triangles of equal area instead of equal height.
        power: 1 adds magnitudes, 2 powers.
        floor: values below it count as it before the logarithm (natural), so silence stays finite.
    """

    sample_rate: int
    window_samples: int = 1024
    hop_samples: int = 256
    bins: int = 80
    low_hz: float = 0.0
    high_hz: float | None = None
    scale: Scale = "slaney"
    area_normalized: bool = True
    power: int = 1
    floor: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 <= self.low_hz < self.top_hz <= self.sample_rate / 2:
            raise ValueError("low_hz < high_hz <= sample_rate / 2 must hold")
        if self.power not in (1, 2) or self.floor <= 0 or self.bins < 1:
            raise ValueError("power must be 1 or 2, floor above 0 and bins at least 1")

    @property
    def top_hz(self) -> float:
        """Upper edge of the highest triangle."""
        return self.sample_rate / 2 if self.high_hz is None else self.high_hz

    def filterbank(self) -> Floats:
        """Triangles, shape (bins, window_samples // 2 + 1)."""
        return mel_filterbank(
            self.sample_rate, self.window_samples, self.bins, self.low_hz, self.top_hz, self.scale, self.area_normalized
        )

    def forward(self, samples: Array) -> Array:
        """Log-mel spectrogram of (..., time): shape (..., bins, frames)."""
        xp = namespace(samples)
        return self.project(xp.abs(stft(samples, self.window_samples, self.hop_samples)))

    def project(self, magnitudes: Array) -> Array:
        """Log-mel spectrogram of STFT magnitudes (..., window_samples // 2 + 1, frames)."""
        xp = namespace(magnitudes)
        energies = magnitudes**2 if self.power == 2 else magnitudes
        mel = xp.matmul(as_real(self.filterbank(), magnitudes), energies)
        return xp.log(xp.clip(mel, self.floor, None))

    def magnitudes(self, log_mel: Array, steps: int = NNLS_STEPS) -> Array:
        """Non-negative STFT magnitudes whose `project` comes nearest to ``log_mel`` in the squared mel values.

        Args:
            log_mel: shape (..., bins, frames).
            steps: multiplicative updates; 0 gives the clipped pseudo-inverse.

        Returns:
            shape (..., window_samples // 2 + 1, frames); bins outside of all triangles are 0.
        """
        xp = namespace(log_mel)
        bank, inverse = (as_real(m, log_mel) for m in (self.filterbank(), _pseudo_inverse(self)))
        mel = xp.exp(log_mel)
        wanted = xp.matmul(bank.T, mel)
        start = xp.matmul(inverse, mel)
        # a bin that starts at zero would stay there: none is let below a thousandth of its plain back-projection
        energies = xp.maximum(start, wanted * (1e-3 / (bank.T @ bank).sum())) if steps else xp.clip(start, 0.0, None)
        for _ in range(steps):
            energies = energies * (wanted / xp.clip(xp.matmul(bank.T, xp.matmul(bank, energies)), 1e-20, None))
        return xp.sqrt(energies) if self.power == 2 else energies


def hz_to_mel(hz: Floats, scale: Scale) -> Floats:
    """Mel of frequencies."""
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hz / 700))
    above = _BREAK_HZ / _HZ_A_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_A_MEL, above)


def mel_to_hz(mel: Floats, scale: Scale) -> Floats:
    """Frequencies of mel."""
    if scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_HZ / _HZ_A_MEL))
    return np.where(mel < _BREAK_HZ / _HZ_A_MEL, mel * _HZ_A_MEL, above)


@lru_cache(maxsize=16)
def mel_filterbank(
    sample_rate: int,
    window_samples: int,
    bins: int,
    low_hz: float,
    high_hz: float,
    scale: Scale = "slaney",
    area_normalized: bool = True,
) -> Floats:
    """Triangles over the bins of a Fourier transform, shape (bins, window_samples // 2 + 1)."""
    ends = hz_to_mel(np.array([low_hz, high_hz]), scale)
    edges = mel_to_hz(np.linspace(ends[0], ends[1], bins + 2), scale)
    hz = np.arange(window_samples // 2 + 1) * sample_rate / window_samples
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(bank * (2 / (edges[2:] - edges[:-2]))[:, None] if area_normalized else bank)


@lru_cache(maxsize=8)
def _pseudo_inverse(mel: Mel) -> Floats:
    return np.asarray(np.linalg.pinv(mel.filterbank()), dtype=np.float64)
