"""Loudness and true peak after ITU-R BS.1770-5, in blocks, so that memory does not grow with length.

The K weighting is pyloudnorm's; what is ours is that it runs block by block.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.signal
from numpy.typing import NDArray

Samples = NDArray[np.float32]
HOP_S = 0.1  # gating blocks of 0.4 s overlap by three quarters
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OVERSAMPLING = 4
_OFFSET = -0.691


def k_weighting(sample_rate: int) -> NDArray[np.float64]:
    """The K weighting as second-order sections, shape (2, 6)."""
    from pyloudnorm import Meter

    filters = Meter(sample_rate)._filters
    return np.array([np.concatenate([f.b, f.a]) for f in filters.values()])


class KWeighted:
    """Streams sound into the energies of 0.1 s hops, summed over channels, and those into integrated loudness."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._sections = k_weighting(sample_rate)
        self._state = np.zeros((len(self._sections), channels, 2))
        self._hop = round(HOP_S * sample_rate)
        self._rest = np.zeros(0)
        self._energies: list[NDArray[np.float64]] = []

    def push(self, samples: Samples) -> NDArray[np.float64]:
        """Take a block (channels, time); gives its K-weighted energy at each sample, summed over channels."""
        weighted, self._state = scipy.signal.sosfilt(self._sections, samples, axis=-1, zi=self._state)
        energy = np.einsum("ct,ct->t", weighted, weighted)
        joined = np.concatenate([self._rest, energy])
        whole = len(joined) // self._hop * self._hop
        self._energies.append(joined[:whole].reshape(-1, self._hop).mean(axis=1))
        self._rest = joined[whole:]
        return energy

    def integrated(self) -> float:
        """Integrated loudness in LUFS of all blocks so far; -inf for silence or under 0.4 s."""
        return gated_loudness(np.concatenate([*self._energies, np.zeros(0)]))


def gated_loudness(energies: NDArray[np.float64]) -> float:
    """LUFS from the mean energies of consecutive 0.1 s hops (BS.1770-5, Annex 1, equations 3 to 7)."""
    if len(energies) < 4:
        return -np.inf
    blocks = np.convolve(energies, np.full(4, 0.25), mode="valid")
    loud = blocks[_lufs(blocks) > ABSOLUTE_GATE_LUFS]
    if not len(loud):
        return -np.inf
    loud = loud[_lufs(loud) > _lufs(loud.mean()) + RELATIVE_GATE_LU]
    return float(_lufs(loud.mean()))


def _lufs(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_OFFSET + 10 * np.log10(np.maximum(energy, 1e-20)))


def integrated_loudness(blocks: Iterable[Samples], sample_rate: int) -> float:
    """Integrated loudness in LUFS of blocks of shape (channels, time)."""
    meter: KWeighted | None = None
    for block in blocks:
        meter = meter or KWeighted(sample_rate, len(block))
        meter.push(block)
    return meter.integrated() if meter else -np.inf


_TAPS = (scipy.signal.firwin(48, 1 / OVERSAMPLING, window=("kaiser", 7.0)) * OVERSAMPLING).astype(np.float32)


class TruePeak:
    """Streams sound into the magnitude of its four times oversampled waveform, the largest of each sample's four."""

    def __init__(self, channels: int) -> None:
        self._history = np.zeros((channels, len(_TAPS) // OVERSAMPLING), dtype=np.float32)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Take a block (channels, time); gives magnitudes (time,), the largest over channels, 6 samples late."""
        joined = np.concatenate([self._history, samples], axis=1)
        lead = self._history.shape[1]
        self._history = joined[:, -lead:]
        peaks = np.abs(joined).max(axis=0)[lead // 2 : lead // 2 + samples.shape[1]]
        for phase in range(OVERSAMPLING):
            taps = _TAPS[phase::OVERSAMPLING]
            for channel in joined:
                shifted = np.convolve(channel, taps, mode="valid")[1:]
                np.maximum(peaks, np.abs(shifted), out=peaks)
        return np.asarray(peaks)
