"""A small room: early reflections and a diffuse tail that decays faster at high frequencies; streamed convolution."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

Samples = NDArray[np.float32]
EARLY_S = (0.0071, 0.0113, 0.0149, 0.0197, 0.0239, 0.0311, 0.0367, 0.0431)
BANDS_HZ = (250.0, 1000.0, 4000.0)
BAND_RT60 = (1.1, 1.0, 0.85, 0.55)  # decay of each band, relative to the room's: lows ring longer, highs are absorbed
TAIL_START_S = 0.02


def impulse_response(rt60_s: float, predelay_s: float, sample_rate: int, seed: int = 0) -> Samples:
    """A stereo room response, shape (2, time), of unit energy in each ear.

    Args:
        rt60_s: time in which the tail falls by 60 dB in the middle band (250 Hz to 4 kHz).
        predelay_s: silence before the first reflection.
        sample_rate: Hz.
        seed: of the diffuse noise.
    """
    rng = np.random.default_rng(seed)
    count = int(1.1 * rt60_s * sample_rate)
    time = np.arange(count) / sample_rate
    tail = sum(
        band * 10 ** (-3 * time / (rt60_s * share))
        for band, share in zip(_bands(rng.standard_normal((2, count)), sample_rate), BAND_RT60, strict=True)
    )
    tail *= np.clip(time / TAIL_START_S, 0, 1)
    tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
    early = np.zeros((2, count))
    for i, at in enumerate(EARLY_S):
        for ear in range(2):
            where = int((at * (1 + 0.07 * ear * (-1) ** i)) * sample_rate)
            if where < count:
                early[ear, where] += 0.5 * (-1) ** (i + ear) * 10 ** (-at / rt60_s) / (1 + 40 * at)
    response = np.concatenate([np.zeros((2, int(predelay_s * sample_rate))), early + tail], axis=1)
    return (response / np.sqrt((response**2).sum(axis=1, keepdims=True))).astype(np.float32)


def _bands(noise: NDArray[np.float64], sample_rate: int) -> list[NDArray[np.float64]]:
    rest, bands = noise, []
    for edge in BANDS_HZ:
        low = scipy.signal.sosfiltfilt(scipy.signal.butter(2, edge, fs=sample_rate, output="sos"), rest, axis=-1)
        bands.append(low)
        rest = rest - low
    return [*bands, rest]


class Convolver:
    """Streams mono sound through a stereo response by overlap-add; output blocks are as long as input blocks."""

    def __init__(self, response: Samples) -> None:
        self._response = response
        self._tail = np.zeros((2, 0), dtype=np.float32)
        self._spectrum: tuple[int, NDArray[np.complex64]] = (0, np.zeros((2, 0), dtype=np.complex64))

    def push(self, samples: Samples) -> Samples:
        """Take (time,), give (2, time)."""
        length = len(samples) + self._response.shape[1] - 1
        size = scipy.fft.next_fast_len(length, real=True)
        if self._spectrum[0] != size:
            self._spectrum = (size, scipy.fft.rfft(self._response, size, axis=1))
        wet = scipy.fft.irfft(scipy.fft.rfft(samples, size)[None, :] * self._spectrum[1], size, axis=1)[:, :length]
        wet[:, : self._tail.shape[1]] += self._tail
        self._tail = wet[:, len(samples) :].copy()
        return np.asarray(wet[:, : len(samples)], dtype=np.float32)
