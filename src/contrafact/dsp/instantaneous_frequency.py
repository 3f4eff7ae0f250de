"""Log magnitude and instantaneous frequency, as in GANSynth (Engel et al., ICLR 2019), and back.

The frequency is the phase's step from frame to frame over pi, wrapped to -1..1; the first frame holds its phase. The
DC bin is dropped and all padding stands in front of the signal, so the last frame ends with it. In the mel variant a
mel matrix is applied to powers and to the unwrapped phase; since differences and matrices commute, to its steps.

GANSynth's settings at 16 kHz, 64,000 samples: 2048/512 (128 frames of 1,024 bins, "+H") or 1024/256 (256 of 512).
"""

from __future__ import annotations

import math

import numpy as np

from contrafact.dsp._arrays import Array, Floats, as_real, fourier, namespace, padded
from contrafact.dsp.mel import mel_filterbank
from contrafact.dsp.stft import hann, overlap_added, window_sum

FLOOR = 1e-6  # added to magnitudes before the logarithm
MAGNITUDE_AFFINE = (0.0661371661726, 0.113718730221)  # GANSynth's prespecified normalizer: factor, offset
FREQUENCY_AFFINE = (0.8, 0.0)
_WEIGHT_FLOOR = 1e-4


def instantaneous_frequency(
    samples: Array, window_samples: int = 2048, hop_samples: int = 512, frames: int = 0
) -> tuple[Array, Array]:
    """Log magnitudes and frequencies in -1..1, both of shape (..., window_samples // 2, frames).

    Args:
        samples: (..., time).
        window_samples: Hann window and transform.
        hop_samples: a divisor of the window.
        frames: wanted; 0 for the fewest that hold all samples under as many windows as possible.
    """
    xp = namespace(samples)
    frames = frames or default_frames(samples.shape[-1], window_samples, hop_samples)
    before = _front(samples.shape[-1], window_samples, hop_samples, frames)
    line = padded(samples, before, 0)
    blocks = xp.reshape(line, (*line.shape[:-1], -1, hop_samples))
    windows = xp.concat([blocks[..., k : k + frames, :] for k in range(window_samples // hop_samples)], axis=-1)
    spectra = fourier(xp).rfft(windows * as_real(hann(window_samples), samples), axis=-1)
    spectra = xp.matrix_transpose(spectra)[..., 1:, :]
    phase = xp.atan2(xp.imag(spectra), xp.real(spectra)) / math.pi
    step = phase[..., 1:] - phase[..., :-1]
    step = step - 2 * xp.round(step / 2)
    return xp.log(xp.abs(spectra) + FLOOR), xp.concat([phase[..., :1], step], axis=-1)


def from_instantaneous_frequency(
    log_magnitude: Array, frequency: Array, length: int, window_samples: int = 2048, hop_samples: int = 512
) -> Array:
    """The signal (..., length) whose phases step by ``frequency``.

    The very last samples lie under the falling edge of one window alone; where less than 1e-4 of its power is left they
    fade instead of being blown up (65 samples at 2048/512). Sounds that end before their last sample lose nothing.
    """
    xp = namespace(log_magnitude)
    angle = xp.cumulative_sum(frequency, axis=-1) * math.pi
    magnitude = xp.clip(xp.exp(log_magnitude) - FLOOR, 0.0, None)
    spectra = magnitude * xp.cos(angle) + 1j * (magnitude * xp.sin(angle))
    spectra = xp.concat([xp.zeros_like(spectra[..., :1, :]), spectra], axis=-2)
    windows = fourier(xp).irfft(xp.matrix_transpose(spectra), n=window_samples, axis=-1)
    summed = overlap_added(windows * as_real(hann(window_samples), windows), hop_samples)
    frames = log_magnitude.shape[-1]
    before = _front(length, window_samples, hop_samples, frames)
    weights = np.maximum(window_sum(frames, window_samples, hop_samples), _WEIGHT_FLOOR)
    return (summed / as_real(weights, summed))[..., before : before + length]


def to_mel(log_magnitude: Array, frequency: Array, sample_rate: int) -> tuple[Array, Array]:
    """The mel variant: log of mel-projected power, and mel-projected steps; as many bins as before."""
    xp = namespace(log_magnitude)
    bank = as_real(_square_bank(log_magnitude.shape[-2], sample_rate), log_magnitude)
    power = xp.exp(log_magnitude) ** 2
    return xp.log(xp.matmul(bank, power) + FLOOR), xp.matmul(bank, frequency)


def from_mel(log_power: Array, frequency: Array, sample_rate: int) -> tuple[Array, Array]:
    """Log magnitudes and frequencies behind the mel variant, by the pseudo-inverse; approximate."""
    xp = namespace(log_power)
    inverse = as_real(np.linalg.pinv(_square_bank(log_power.shape[-2], sample_rate)), log_power)
    power = xp.clip(xp.matmul(inverse, xp.exp(log_power) - FLOOR), 0.0, None)
    return xp.log(xp.sqrt(power) + FLOOR), xp.matmul(inverse, frequency)


def normalized(log_magnitude: Array, frequency: Array) -> tuple[Array, Array]:
    """GANSynth's affine normalizer, clipped to -1..1."""
    xp = namespace(log_magnitude)
    pairs = ((log_magnitude, MAGNITUDE_AFFINE), (frequency, FREQUENCY_AFFINE))
    first, second = (xp.clip(values * a + b, -1.0, 1.0) for values, (a, b) in pairs)
    return first, second


def denormalized(log_magnitude: Array, frequency: Array) -> tuple[Array, Array]:
    """The inverse of `normalized`, but for what it clipped."""
    pairs = ((log_magnitude, MAGNITUDE_AFFINE), (frequency, FREQUENCY_AFFINE))
    first, second = ((values - b) / a for values, (a, b) in pairs)
    return first, second


def default_frames(samples: int, window_samples: int, hop_samples: int) -> int:
    """Frames whose last one ends with the signal and whose first one begins a window less one hop before it."""
    return -(-(samples + window_samples - hop_samples) // hop_samples)


def _front(samples: int, window_samples: int, hop_samples: int, frames: int) -> int:
    """Zeros before the signal."""
    front = (frames - 1) * hop_samples + window_samples - samples
    if window_samples % hop_samples or front < 0:
        raise ValueError(f"{frames} frames of {window_samples}/{hop_samples} do not hold {samples} samples")
    return front


def _square_bank(bins: int, sample_rate: int) -> Floats:
    """As many mel triangles as bins, without the DC bin, each row adding up to 1 where a bin lies under it at all."""
    bank = mel_filterbank(sample_rate, 2 * bins, bins, 0.0, sample_rate / 2, "htk", False)[:, 1:]
    return np.asarray(bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-3))
