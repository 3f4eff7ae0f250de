"""What `ConstantQ` multiplies spectra with: responses of its atoms, duals of the frame, once for a length."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp._arrays import Floats

if TYPE_CHECKING:
    from contrafact.dsp.cqt import ConstantQ

MAIN_LOBE = 2.0  # half the width of a Hann window's main lobe, in widths of the window's spectrum
SIDE_LOBES = 6.0  # where the grid cuts the atoms' spectra: 0.13 % of white noise lies beyond


class Band(NamedTuple):
    """Bins ``first`` to ``last`` of a spectrum, the band's response there and its dual's."""

    first: int
    last: int
    response: NDArray[Any]
    dual: NDArray[Any]


class Group(NamedTuple):
    """Neighbouring bands that share a hop, and so the number of their coefficients."""

    coefficients: int
    bands: list[Band]


class Plan(NamedTuple):
    """All that `forward` and `inverse` need for one length."""

    samples: int
    low: NDArray[Any]
    low_dual: NDArray[Any]
    low_samples: int
    high: NDArray[Any]
    high_dual: NDArray[Any]
    high_samples: int
    groups: list[Group]

    @property
    def shape(self) -> list[int]:
        """Coefficients of each band."""
        bands = [group.coefficients for group in self.groups for _ in group.bands]
        return [self.low_samples, *bands, self.high_samples]


@lru_cache(maxsize=4)
def frame_plan(cqt: ConstantQ, samples: int, double: bool) -> Plan:
    """Responses and duals for a transform of ``samples`` samples."""
    hz = np.arange(samples // 2 + 1) * cqt.sample_rate / samples
    lowest, highest = cqt.frequencies_hz[[0, -1]]
    low = _fall(hz, lowest * (1 - MAIN_LOBE / cqt.quality), lowest)
    high = 1 - _fall(hz, highest, highest * (1 + MAIN_LOBE / cqt.quality))
    total = low**2 + high**2
    spans = [_span(f, MAIN_LOBE * f / cqt.quality, hz) for f in cqt.frequencies_hz]
    responses = [
        hann_response((hz[a:b] - f) / f * cqt.quality) for f, (a, b) in zip(cqt.frequencies_hz, spans, strict=True)
    ]
    for (a, b), response in zip(spans, responses, strict=True):
        total[a:b] += response**2
    kind = np.float64 if double else np.float32
    groups = []
    for hop in sorted(set(cqt.hops.tolist()), reverse=True):
        bands = []
        for k in np.flatnonzero(cqt.hops == hop):
            (a, b), response = spans[k], responses[k]
            dual = hop * response / total[a:b]
            bands.append(Band(a, b, (response / hop).astype(kind), dual.astype(kind)))
        groups.append(Group(samples // hop, bands))
    low_bins, high_bins = int(np.count_nonzero(low)), int(np.count_nonzero(high))
    low_hop, high_hop = (easy_hop(samples / (2 * bins)) for bins in (low_bins, high_bins))
    return Plan(
        samples,
        (low[:low_bins] / low_hop).astype(kind),
        (low_hop * low / total)[:low_bins].astype(kind),
        samples // low_hop,
        (high[::-1][:high_bins] / high_hop).astype(kind),
        (high_hop * high / total)[::-1][:high_bins].astype(kind),
        samples // high_hop,
        groups,
    )


def hann_response(offset: Floats) -> Floats:
    """Spectrum of a Hann window, 1 at its centre; ``offset`` in widths of the window's spectrum (1 / its length)."""
    edge = np.abs(np.abs(offset) - 1) < 1e-9
    return np.where(edge, 0.5, np.sinc(offset) / np.where(edge, 1.0, 1 - offset**2))


def _fall(hz: Floats, begin: float, end: float) -> Floats:
    """1 below ``begin``, 0 from ``end`` on, a squared cosine between."""
    return np.asarray(np.cos(np.pi / 2 * np.clip((hz - begin) / (end - begin), 0, 1)) ** 2 * (hz < end))


def _span(centre: float, width: float, hz: Floats) -> tuple[int, int]:
    """First and last (excluded) bin within ``width`` of ``centre``."""
    first, last = np.searchsorted(hz, [centre - width, centre + width])
    return int(first), int(max(last, first))


def easy_hop(limit: float) -> int:
    """The largest 2^a or 3 * 2^a that is at most ``limit``; at least 1."""
    power: int = 2 ** int(np.log2(max(limit, 1)))
    return int(power + power // 2 if power > 1 and power * 1.5 <= limit else power)


def easy_length(count: int) -> int:
    """The next number that Fourier transforms like (small factors)."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(max(1, count)))


@lru_cache(maxsize=4)
def grid_plan(cqt: ConstantQ, hop: int, frames: int, double: bool) -> list[tuple[int, NDArray[Any]]]:
    """For each band the first row of the spectrum cut in rows of ``frames`` bins, and the response in its rows."""
    rows = -(-(hop * frames // 2 + 1) // frames)
    hz = np.arange(rows * frames) * cqt.sample_rate / (hop * frames)
    bands = []
    for f in cqt.frequencies_hz:
        offset = (hz - f) / f * cqt.quality
        response = np.where(np.abs(offset) < SIDE_LOBES, hann_response(offset), 0.0) / hop
        response[hop * frames // 2 + 1 :] = 0
        used = np.flatnonzero(response.reshape(rows, frames).any(axis=1))
        first, last = (used[0], used[-1] + 1) if len(used) else (0, 1)
        block = response.reshape(rows, frames)[first:last]
        bands.append((int(first), block.astype(np.float64 if double else np.float32)))
    return bands
