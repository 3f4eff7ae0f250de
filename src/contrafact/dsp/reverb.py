"""A small room: early reflections and a diffuse tail that decays faster at high frequencies; streamed convolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]
REFLECTIONS = 10
EARLY_S = (0.004, 0.045)  # between the first and the last early reflection
EARLY_SHARE = 0.45  # of the response's energy
BANDS_HZ = (250.0, 1000.0, 4000.0)
BAND_RT60 = (1.1, 1.0, 0.85, 0.55)  # decay of each band, relative to the room's: lows ring longer, highs are absorbed
TAIL_START_S = 0.02
LOW_CUT_HZ = 120.0  # a small room that booms hides the bass
PIECES = 2  # of a block, convolved together


def room_response(rt60_s: float, predelay_s: float, sample_rate: int, seed: int = 0) -> Samples:
    """A room's response from each of two loudspeakers (left, right) to each of two ears, shape (2, 2, time).

    White noise on both loudspeakers, uncorrelated, comes out with its own energy in each ear.

    Args:
        rt60_s: time in which the tail falls by 60 dB, between 250 Hz and 1 kHz.
        predelay_s: silence before the first reflection.
        sample_rate: Hz.
        seed: of the reflections' times and the diffuse noise.
    """
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng(seed)
    time = np.arange(int(1.1 * rt60_s * sample_rate)) / sample_rate
    early, tail = _reflections(rng, time, rt60_s, sample_rate), _tail(rng, time, rt60_s, sample_rate)
    response = np.sqrt(EARLY_SHARE) * _unit(early) + np.sqrt(1 - EARLY_SHARE) * _unit(tail)
    low_cut = butter(2, LOW_CUT_HZ, "highpass", fs=sample_rate, output="sos")
    response = sosfilt(low_cut, response, axis=-1)
    delay = np.zeros((2, 2, round(predelay_s * sample_rate)))
    return np.concatenate([delay, _unit(response)], axis=-1).astype(np.float32)


def _unit(response: Floats) -> Floats:
    """The response with energy 1 in each ear, summed over loudspeakers."""
    return np.asarray(response / np.sqrt((response**2).sum(axis=(0, 2), keepdims=True)))


def _tail(rng: np.random.Generator, time: Floats, rt60_s: float, sample_rate: int) -> Floats:
    noise = _bands(rng.standard_normal((2, 2, len(time))), sample_rate)
    decays = (10 ** (-3 * time / (rt60_s * share)) for share in BAND_RT60)
    tail = sum((band * decay for band, decay in zip(noise, decays, strict=True)), np.zeros(noise[0].shape))
    return np.asarray(tail * np.clip(time / TAIL_START_S, 0, 1))


def _reflections(rng: np.random.Generator, time: Floats, rt60_s: float, sample_rate: int) -> Floats:
    """Sparse echoes, the nearer ear first and louder; later ones are weaker and duller, as walls absorb highs."""
    from scipy.signal import butter, sosfilt

    early = np.zeros((2, 2, len(time)))
    spread = (np.arange(REFLECTIONS) + rng.uniform(0, 0.8, (2, REFLECTIONS))) / REFLECTIONS
    for speaker in range(2):
        for at in EARLY_S[0] + spread[speaker] * (EARLY_S[1] - EARLY_S[0]):
            side, sign = rng.uniform(-1, 1), rng.choice((-1.0, 1.0))
            for ear in range(2):
                towards = side * (1 if ear else -1)
                sample = round((at - 0.0003 * towards) * sample_rate)
                if sample < len(time):
                    early[speaker, ear, sample] += sign * (1 + 0.5 * towards) * 10 ** (-3 * at / rt60_s) / (1 + 30 * at)
    dull = butter(1, 7000.0, fs=sample_rate, output="sos")
    return np.asarray(sosfilt(dull, early, axis=-1))


def _bands(noise: Floats, sample_rate: int) -> list[Floats]:
    """Parts of ``noise`` between the edges of `BANDS_HZ`, which sum to it."""
    from scipy.signal import butter, sosfiltfilt

    rest, bands = noise, []
    for edge in BANDS_HZ:
        low = sosfiltfilt(butter(2, edge, fs=sample_rate, output="sos"), rest, axis=-1)
        bands.append(low)
        rest = rest - low
    return [*bands, rest]


class Convolver:
    """Streams stereo sound through a (2, 2, time) response by overlap-add; blocks out are as long as blocks in.

    A block is cut into pieces that are transformed together: four equal transforms at once take half the time of two
    pairs, because each fills one lane of the processor's vectors.

    Args:
        response: from each input channel to each output channel.
        block_samples: of the longest block that will come.
    """

    def __init__(self, response: Samples, block_samples: int) -> None:
        from scipy.fft import next_fast_len, rfft

        self._reach = response.shape[-1] - 1
        self._piece = -(-block_samples // PIECES)
        self._size = next_fast_len(self._piece + self._reach, real=True)
        self._spectrum = rfft(response, self._size, axis=-1)
        self._tail = np.zeros((2, self._reach), dtype=np.float32)

    def push(self, samples: Samples) -> Samples:
        """Take (2, time), give (2, time)."""
        from scipy.fft import irfft, rfft

        count = samples.shape[1]
        pieces = -(-count // self._piece)
        padded = np.pad(samples, ((0, 0), (0, pieces * self._piece - count)))
        spectrum = rfft(padded.reshape(2, pieces, self._piece), self._size, axis=-1)
        wet = np.empty((2, pieces, spectrum.shape[-1]), spectrum.dtype)
        for ear in range(2):
            np.multiply(spectrum[0], self._spectrum[0, ear], out=wet[ear])
            wet[ear] += spectrum[1] * self._spectrum[1, ear]
        return self._joined(irfft(wet, self._size, axis=-1, overwrite_x=True), count)

    def _joined(self, pieces: Samples, count: int) -> Samples:
        """Add the overlapping pieces (2, pieces, size) and what the last block left; keep what reaches beyond."""
        out = np.zeros((2, pieces.shape[1] * self._piece + self._reach), dtype=np.float32)
        out[:, : self._reach] = self._tail
        for i in range(pieces.shape[1]):
            start = i * self._piece
            out[:, start : start + self._piece + self._reach] += pieces[:, i, : self._piece + self._reach]
        self._tail = out[:, count : count + self._reach].copy()
        return out[:, :count]
