"""Loudness and true peak after ITU-R BS.1770-5, streamed: blocks in, one number for each step of 32 samples out.

A gain that changes slowly against a step can be applied to these numbers instead of the sound, which is how the mixer
finds its gain curve without a second pass. The K weighting is pyloudnorm's; ours is that it runs block by block.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]
STEP = 32  # samples
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
GATE_S = 0.4
OVERSAMPLING = 4
_TAPS = 16  # of each phase of the oversampling filter
_OFFSET = -0.691


@cache
def _k_weighting(sample_rate: int) -> Floats:
    """The K weighting as second-order sections, shape (2, 6)."""
    from pyloudnorm import Meter

    return np.array([np.concatenate([f.b, f.a]) for f in Meter(sample_rate)._filters.values()])


class KWeighted:
    """Streams sound into its K-weighted energy in each step, summed over channels."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._sections = _k_weighting(sample_rate)
        self._state = np.zeros((len(self._sections), channels, 2))

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Take a block (channels, time), whole steps unless it is the last; gives sums of squares (steps,)."""
        from scipy.signal import sosfilt

        weighted, self._state = sosfilt(self._sections, samples, axis=-1, zi=self._state)
        np.square(weighted, out=weighted)
        return by_steps(weighted.sum(axis=0), np.add).astype(np.float32)


def by_steps(values: NDArray[np.floating], reduce: np.ufunc) -> NDArray[np.floating]:
    """Sums or maxima of each step of ``values`` (..., time); the last step may be short."""
    whole = values.shape[-1] // STEP * STEP
    steps = reduce.reduce(values[..., :whole].reshape(*values.shape[:-1], -1, STEP), axis=-1)
    if whole == values.shape[-1]:
        return np.asarray(steps)
    return np.concatenate([steps, reduce.reduce(values[..., whole:], axis=-1, keepdims=True)], axis=-1)


def loudness(energies: NDArray[np.floating], sample_rate: int) -> float:
    """Integrated loudness in LUFS of energies by steps; -inf for silence.

    Gating blocks of 0.4 s overlap by three quarters (BS.1770-5, Annex 1, equations 3 to 7); sound shorter than one
    block counts as one. Where a block's edge falls inside a step, the step is shared between both sides.
    """
    frames = len(energies) * STEP
    gate = GATE_S * sample_rate
    count = max(1, 1 + round((frames - gate) / (gate / 4)))
    starts = np.arange(count) * gate / 4
    summed = np.concatenate([[0.0], np.cumsum(energies, dtype=np.float64)])
    edges = np.interp(np.stack([starts, starts + gate]) / STEP, np.arange(len(summed)), summed)
    blocks = (edges[1] - edges[0]) / gate
    loud = blocks[_lufs(blocks) >= ABSOLUTE_GATE_LUFS]
    if not len(loud):
        return -np.inf
    return float(_lufs(loud[_lufs(loud) > _lufs(loud.mean()) + RELATIVE_GATE_LU].mean()))


def _lufs(energy: Floats) -> Floats:
    return np.asarray(_OFFSET + 10 * np.log10(np.maximum(energy, 1e-20)))


def integrated_loudness(blocks: Iterable[Samples], sample_rate: int) -> float:
    """Integrated loudness in LUFS of blocks (channels, time), whole steps but for the last; -inf for silence."""
    meter: KWeighted | None = None
    energies: list[NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)]
    for block in blocks:
        meter = meter or KWeighted(sample_rate, len(block))
        energies.append(meter.push(block))
    return loudness(np.concatenate(energies), sample_rate)


class TruePeak:
    """Streams sound into the largest magnitude of its four times oversampled waveform in each step, over all channels.

    The three new phases of a step are one product of a row of samples with a banded matrix of filter taps.
    """

    def __init__(self, channels: int) -> None:
        self._waiting = np.zeros((channels, _TAPS // 2 - 1), dtype=np.float32)

    def push(self, samples: Samples, floor: float = 0.0) -> NDArray[np.float32]:
        """Take a block (channels, time); gives magnitudes of the steps whose surroundings are known.

        Steps that stay below ``floor`` whatever lies between their samples are told by their samples alone, which
        takes a quarter of the time where only the largest peak matters.
        """
        joined = np.concatenate([self._waiting, samples], axis=1)
        steps = max(0, (joined.shape[1] - (_TAPS - 1)) // STEP)
        self._waiting = joined[:, steps * STEP :]
        return _step_peaks(joined, steps, floor)

    def finish(self) -> NDArray[np.float32]:
        """The magnitudes of the last steps, with silence after them."""
        left = self._waiting.shape[1] - (_TAPS // 2 - 1)
        steps = -(-left // STEP)
        missing = steps * STEP + _TAPS - 1 - self._waiting.shape[1]
        return _step_peaks(np.pad(self._waiting, ((0, 0), (0, missing))), steps)


def _step_peaks(samples: Samples, steps: int, floor: float = 0.0) -> NDArray[np.float32]:
    """Peaks of ``steps`` steps, of which the first starts _TAPS / 2 - 1 samples into ``samples``."""
    width = STEP + _TAPS - 1
    peaks = np.zeros(steps, dtype=np.float32)
    for channel in samples:
        if steps:
            rows = np.lib.stride_tricks.sliding_window_view(channel, width)[: steps * STEP : STEP]
            peaks = np.maximum(peaks, np.abs(rows[:, _TAPS // 2 - 1 : _TAPS // 2 - 1 + STEP]).max(axis=1))
            chosen = np.flatnonzero(np.abs(rows).max(axis=1) * _growth() >= floor) if floor else slice(None)
            between = rows[chosen] @ _oversampling()
            largest = np.maximum(between.max(axis=1), -between.min(axis=1))
            peaks[chosen] = np.maximum(peaks[chosen], largest)
    return peaks


@cache
def _oversampling() -> NDArray[np.float32]:
    """Matrix (samples, 3 * STEP) from a step and its surroundings to the waveform between its samples."""
    matrix = np.zeros((STEP + _TAPS - 1, OVERSAMPLING - 1, STEP))
    offsets = np.arange(_TAPS) - (_TAPS // 2 - 1)
    for phase in range(1, OVERSAMPLING):
        distance = offsets - phase / OVERSAMPLING
        taps = np.sinc(distance) * np.i0(5.0 * np.sqrt(1 - (distance / (_TAPS / 2)) ** 2)) / np.i0(5.0)
        for n in range(STEP):
            matrix[n : n + _TAPS, phase - 1, n] = taps / taps.sum()
    return matrix.reshape(len(matrix), -1).astype(np.float32)


@cache
def _growth() -> float:
    """The most by which the waveform between samples can exceed the samples."""
    return float(np.abs(_oversampling()).sum(axis=0).max())
