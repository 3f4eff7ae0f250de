"""Short-time Fourier transform and its exact inverse, for signals of any length.

Frame i is centred on sample i * hop; beyond its ends the signal is silent. The inverse is the least-squares one of
Griffin and Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP 1984, equation 6: windowed
frames are added and divided by the sum of the squared windows that really were there, so nothing is lost at the ends.

Framing needs no gather: the signal is cut into blocks of one hop; a frame is a few neighbouring blocks side by side.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from contrafact.dsp._arrays import Array, Floats, as_real, fourier, namespace, padded, zeros


def frame_count(samples: int, hop_samples: int) -> int:
    """Frames of a signal: one each hop, the first on its first sample."""
    return 1 + samples // hop_samples


def stft(samples: Array, window_samples: int = 2048, hop_samples: int = 512) -> Array:
    """Spectra of frames under a periodic Hann window.

    Args:
        samples: real, shape (..., time).
        window_samples: length of window and transform.
        hop_samples: at most half of the window, so that the transform can be inverted.

    Returns:
        complex, shape (..., window_samples // 2 + 1, 1 + time // hop_samples).

    Raises:
        ValueError: the hop is not between 1 and half of the window.
    """
    _check(window_samples, hop_samples)
    xp = namespace(samples)
    frames = frame_count(samples.shape[-1], hop_samples)
    windows = framed(samples, frames, window_samples, hop_samples) * as_real(hann(window_samples), samples)
    return xp.matrix_transpose(fourier(xp).rfft(windows, axis=-1))


def istft(spectra: Array, length: int, window_samples: int = 2048, hop_samples: int = 512) -> Array:
    """The signal whose `stft` is nearest to ``spectra``; the signal itself where ``spectra`` is one's `stft`.

    Args:
        spectra: complex, shape (..., window_samples // 2 + 1, frames).
        length: samples wanted, at most frames * hop_samples.
        window_samples: as in `stft`.
        hop_samples: as in `stft`.

    Returns:
        real, shape (..., length).

    Raises:
        ValueError: bins, hop or length do not fit each other.
    """
    _check(window_samples, hop_samples)
    frames = spectra.shape[-1]
    if spectra.shape[-2] != window_samples // 2 + 1 or length > frames * hop_samples:
        raise ValueError(
            f"spectra of shape {tuple(spectra.shape)} do not fit {window_samples=}, {hop_samples=}, {length=}"
        )
    xp = namespace(spectra)
    windows = fourier(xp).irfft(xp.matrix_transpose(spectra), n=window_samples, axis=-1)
    summed = overlap_added(windows * as_real(hann(window_samples), windows), hop_samples)
    start = window_samples // 2
    weights = as_real(window_sum(frames, window_samples, hop_samples)[start : start + length], summed)
    return summed[..., start : start + length] / weights


def framed(samples: Array, frames: int, window_samples: int, hop_samples: int) -> Array:
    """Frames centred each hop, shape (..., frames, window_samples); silence beyond the ends."""
    pieces = -(-window_samples // hop_samples)
    before = window_samples // 2
    missing = max(0, (frames + pieces) * hop_samples - before - samples.shape[-1])
    line = padded(samples, before, missing)[..., : (frames + pieces) * hop_samples]
    blocks = namespace(line).reshape(line, (*line.shape[:-1], frames + pieces, hop_samples))
    parts = [blocks[..., k : k + frames, : min(hop_samples, window_samples - k * hop_samples)] for k in range(pieces)]
    return namespace(line).concat(parts, axis=-1)


def overlap_added(windows: Array, hop_samples: int) -> Array:
    """The transpose of `framed`, with the half window before the first sample still there: shape (..., time)."""
    frames, window_samples = windows.shape[-2:]
    pieces = -(-window_samples // hop_samples)
    blocks = zeros((*windows.shape[:-2], frames + pieces - 1, hop_samples), windows)
    for k in range(pieces):
        part = windows[..., k * hop_samples : (k + 1) * hop_samples]
        blocks[..., k : k + frames, : part.shape[-1]] += part
    return namespace(blocks).reshape(blocks, (*blocks.shape[:-2], (frames + pieces - 1) * hop_samples))


@lru_cache(maxsize=32)
def hann(samples: int) -> Floats:
    """Periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples))


@lru_cache(maxsize=2)  # each is as long as the signal
def window_sum(frames: int, window_samples: int, hop_samples: int) -> Floats:
    """Sum of the squared windows of all frames at each sample that `overlap_added` gives.

    The Hann window is zero at one point, which no other frame covers at the very ends; those samples lie outside of
    every signal, and get 1.
    """
    pieces = -(-window_samples // hop_samples)
    square = np.zeros(pieces * hop_samples)
    square[:window_samples] = hann(window_samples) ** 2
    blocks = np.zeros((frames + pieces - 1, hop_samples))
    for k, part in enumerate(square.reshape(pieces, hop_samples)):
        blocks[k : k + frames] += part
    return np.where(blocks > 1e-10, blocks, 1.0).reshape(-1)


def _check(window_samples: int, hop_samples: int) -> None:
    if not 1 <= hop_samples <= window_samples // 2:
        raise ValueError(f"hop_samples must be from 1 to half of the window ({window_samples // 2}), not {hop_samples}")
