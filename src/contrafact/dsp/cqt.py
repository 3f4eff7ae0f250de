"""A constant-Q transform that inverts, and the same bands on a regular grid, for numpy and torch arrays.

Every band is the classic constant-Q atom (Brown, JASA 1991): a Hann window in time of Q periods of its frequency, Q being
the number that puts neighbouring bands one window width apart, times ``filter_scale``. It is applied in the frequency
domain, where its spectrum is known in closed form: one FFT of the signal, then a product and a small inverse FFT a band.

* `ConstantQ.forward` keeps the main lobe of each atom and samples each band at a hop of its own, short enough that nothing
  aliases. With one band below for everything down to DC and one above for everything up to Nyquist this is a painless
  non-stationary Gabor frame (Balazs, Dörfler et al., "Theory, implementation and applications of nonstationary Gabor
  frames", 2011; Velasco, Holighaus et al., "Constructing an invertible constant-Q transform", DAFx 2011): its dual is the
  bands divided by the sum of their squares, and `ConstantQ.inverse` is exact for any signal of any length.
* `ConstantQ.grid` keeps the side lobes too and samples all bands at one hop: the image that networks want. A hop beyond the
  shortest atom leaves samples between the atoms that no coefficient of that band has seen; what fell there is gone, whatever
  the network or the inverse does. `ConstantQ.hop_loss` says so.

Long signals: the grid is computed in slices whose edges are thrown away; `ConstantQ.stream` gives the invertible
coefficients slice by slice, with cross-fades between slices as in the sliCQ (Holighaus, Dörfler, Velasco, Grill, "A framework
for invertible, real-time constant-Q transforms", IEEE TASLP 2013).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp._arrays import Array, Floats, as_real, fourier, namespace, padded, zeros
from contrafact.dsp.stft import frame_count
from contrafact.errors import SettingsError

MAIN_LOBE = 2.0  # half the width of a Hann window's main lobe, in widths of the window's spectrum
SIDE_LOBES = 6.0  # where the grid cuts the atoms' spectra: 0.13 % of white noise lies beyond
SLICE_ATOMS = 8  # length of a slice of the grid, in lengths of the longest atom
SLICES_AT_ONCE = 16  # of the grid, so that memory does not grow with the signal


class HopWarning(UserWarning):
    """A grid's hop is longer than its shortest atom."""


@dataclass(frozen=True)
class ConstantQ:
    """Bands ``f_min * 2 ** (k / bins_per_octave)``.

    Attributes:
        sample_rate: Hz.
        f_min: centre of the lowest band, Hz.
        bins: bands.
        bins_per_octave: bands an octave.
        filter_scale: length of the atoms in units of Q periods; below 1, shorter atoms and wider bands.
    """

    sample_rate: int
    f_min: float = 32.70319566257483
    bins: int = 84
    bins_per_octave: int = 12
    filter_scale: float = 1.0

    def __post_init__(self) -> None:
        if min(self.sample_rate, self.f_min, self.bins, self.bins_per_octave) <= 0 or not 0 < self.filter_scale <= 2:
            raise SettingsError(
                "CQT_SETTINGS",
                "A constant-Q transform needs positive settings and a filter scale of at most 2.",
                "Correct them.",
            )
        if self.frequencies_hz[-1] * (1 + MAIN_LOBE / self.quality) > self.sample_rate / 2:
            raise SettingsError(
                "CQT_NYQUIST",
                f"The highest of {self.bins} bands, at {self.frequencies_hz[-1]:.0f} Hz, reaches beyond half of the "
                f"sample rate ({self.sample_rate} Hz).",
                "Take fewer bins, a lower f_min or a higher sample rate.",
            )

    @property
    def quality(self) -> float:
        """Periods in an atom."""
        return float(self.filter_scale / (2 ** (1 / self.bins_per_octave) - 1))

    @cached_property
    def frequencies_hz(self) -> Floats:
        """Centres of the bands."""
        return np.asarray(self.f_min * 2 ** (np.arange(self.bins) / self.bins_per_octave), dtype=np.float64)

    @property
    def atom_samples(self) -> Floats:
        """Length of each band's atom in time; falling."""
        return self.quality * self.sample_rate / self.frequencies_hz

    @cached_property
    def hops(self) -> NDArray[np.int64]:
        """The hop of each band in `forward`: the longest 2^a or 3 * 2^a samples at which its main lobe does not alias."""
        return np.array([_easy_hop(length / (2 * MAIN_LOBE)) for length in self.atom_samples])

    def forward(self, samples: Array) -> list[Array]:
        """Invertible coefficients of (..., time).

        Returns:
            one array of shape (..., coefficients) for each band, the lowest first; coefficient n of band k is centred on
            sample n * hops[k], and a sine of amplitude 1 at the band's centre gives magnitude 1/2. The first array is the
            real band below f_min, the last the real band above the highest one (its frequencies mirrored).
        """
        xp = namespace(samples)
        plan = _plan(self, self._padded_length(samples.shape[-1]), _is_double(samples))
        spectrum = fourier(xp).rfft(padded(samples, 0, plan.samples - samples.shape[-1]), axis=-1)
        low = spectrum[..., : len(plan.low)] * as_real(plan.low, samples)
        high = xp.conj(xp.flip(spectrum[..., -len(plan.high) :], axis=-1)) * as_real(plan.high, samples)
        bands: list[Array] = []
        for group in plan.groups:
            bands += _analysed(spectrum, group)
        return [_real_band(low, plan.low_samples), *bands, _real_band(high, plan.high_samples)]

    def inverse(self, coefficients: list[Array], length: int) -> Array:
        """The signal (..., length) whose `forward` is nearest to ``coefficients`` in energy; exact where they are one's.

        Raises:
            ValueError: the coefficients are not those of a signal of this length.
        """
        xp = namespace(*coefficients)
        plan = _plan(self, self._padded_length(length), _is_double(coefficients[0]))
        if [c.shape[-1] for c in coefficients] != plan.shape:
            raise ValueError(f"these are not the coefficients of {length} samples by {self}")
        fft = fourier(xp)
        low, high = (fft.rfft(coefficients[i], axis=-1) for i in (0, -1))
        spectrum = zeros((*low.shape[:-1], plan.samples // 2 + 1), low)
        spectrum[..., : len(plan.low)] += low[..., : len(plan.low)] * as_real(plan.low_dual, low)
        mirrored = xp.conj(high[..., : len(plan.high)]) * as_real(plan.high_dual, high)
        spectrum[..., -len(plan.high) :] += xp.flip(mirrored, axis=-1)
        first = 1
        for group in plan.groups:
            _synthesize(spectrum, xp.stack(coefficients[first : first + len(group.bands)], axis=-2), group)
            first += len(group.bands)
        return fft.irfft(spectrum, n=plan.samples, axis=-1)[..., :length]

    def grid(self, samples: Array, hop_samples: int) -> Array:
        """The constant-Q image: all bands on one grid, side lobes included.

        Args:
            samples: real, shape (..., time).
            hop_samples: between frames; frame i is centred on sample i * hop_samples.

        Returns:
            complex, shape (..., bins, 1 + time // hop_samples); a sine of amplitude 1 at a band's centre gives
            magnitude 1/2.

        Warns:
            HopWarning: the hop is longer than the shortest atom.
        """
        if reason := self.hop_loss(hop_samples):
            warnings.warn(reason, HopWarning, stacklevel=2)
        margin = -(-int(self.atom_samples[0] / 2 + 1) // hop_samples)
        frames = frame_count(samples.shape[-1], hop_samples)
        in_slice = _easy_length(min(SLICE_ATOMS * 2 * margin, frames + 2 * margin))
        core = in_slice - 2 * margin
        count = -(-frames // core)
        line = padded(samples, margin * hop_samples, (count * core + margin) * hop_samples - samples.shape[-1])
        bands = _grid_plan(self, hop_samples, in_slice, _is_double(samples))
        parts = []
        for begin in range(0, count, SLICES_AT_ONCE):
            starts = range(begin * core, min(begin + SLICES_AT_ONCE, count) * core, core)
            part = [line[..., k * hop_samples : (k + in_slice) * hop_samples] for k in starts]
            image = _image(namespace(line).stack(part, axis=-2), bands, in_slice)
            parts += [image[..., i, :, margin : margin + core] for i in range(len(part))]
        return namespace(line).concat(parts, axis=-1)[..., :frames]

    def hop_loss(self, hop_samples: int) -> str:
        """Why a grid with this hop has lost sound for good; empty where it has not."""
        shortest = self.atom_samples[-1]
        if hop_samples <= shortest:
            return ""
        blind = int((self.atom_samples < hop_samples).sum())
        return (
            f"The hop of {hop_samples} samples exceeds the shortest atom ({shortest:.0f} samples at "
            f"{self.frequencies_hz[-1]:.0f} Hz): in the upper {blind} of {self.bins} bands, sound between the atoms is "
            f"seen by none of them and cannot come back. A hop of at most {shortest / (2 * MAIN_LOBE):.0f} samples, or "
            "the transform's own hops (forward, inverse), lose nothing."
        )

    def _padded_length(self, samples: int) -> int:
        """Length of the transform: the signal and silence as long as the longest atom, a multiple of all hops."""
        unit = int(np.lcm.reduce(self.hops)) * 2
        return unit * _easy_length(-(-(samples + int(self.atom_samples[0])) // unit))


class _Band(NamedTuple):
    """Bins ``first`` to ``last`` of a spectrum, the band's response there and its dual's."""

    first: int
    last: int
    response: NDArray[Any]
    dual: NDArray[Any]


class _Group(NamedTuple):
    """Neighbouring bands that share a hop, and so the number of their coefficients."""

    coefficients: int
    bands: list[_Band]


class _Plan(NamedTuple):
    """All that `forward` and `inverse` need for one length."""

    samples: int
    low: NDArray[Any]
    low_dual: NDArray[Any]
    low_samples: int
    high: NDArray[Any]
    high_dual: NDArray[Any]
    high_samples: int
    groups: list[_Group]

    @property
    def shape(self) -> list[int]:
        """Coefficients of each band."""
        bands = [group.coefficients for group in self.groups for _ in group.bands]
        return [self.low_samples, *bands, self.high_samples]


@lru_cache(maxsize=4)
def _plan(cqt: ConstantQ, samples: int, double: bool) -> _Plan:
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
            bands.append(_Band(a, b, (response / hop).astype(kind), dual.astype(kind)))
        groups.append(_Group(samples // hop, bands))
    low_bins, high_bins = int(np.count_nonzero(low)), int(np.count_nonzero(high))
    low_hop, high_hop = (_easy_hop(samples / (2 * bins)) for bins in (low_bins, high_bins))
    return _Plan(
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


def _easy_hop(limit: float) -> int:
    """The largest 2^a or 3 * 2^a that is at most ``limit``; at least 1."""
    power = 2 ** int(np.log2(max(limit, 1)))
    return power + power // 2 if power > 1 and power * 1.5 <= limit else power


def _easy_length(count: int) -> int:
    """The next number that Fourier transforms like (2, 3 and 5 as factors)."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(max(1, count), real=True))


def _is_double(values: Array) -> bool:
    xp = namespace(values)
    return values.dtype in (xp.float64, xp.complex128)


def _real_band(spectrum: Array, samples: int) -> Array:
    """A real band from the lower end of its spectrum."""
    xp = namespace(spectrum)
    return fourier(xp).irfft(padded(spectrum, 0, samples // 2 + 1 - spectrum.shape[-1]), n=samples, axis=-1)


def _analysed(spectrum: Array, group: _Group) -> list[Array]:
    """Coefficients of a group of bands: products folded to the band's own rate, then one batch of inverse FFTs."""
    folded = zeros((*spectrum.shape[:-1], len(group.bands), group.coefficients), spectrum)
    for row, band in enumerate(group.bands):
        product = spectrum[..., band.first : band.last] * as_real(band.response, spectrum)
        start = band.first % group.coefficients
        fitting = min(product.shape[-1], group.coefficients - start)
        folded[..., row, start : start + fitting] = product[..., :fitting]
        folded[..., row, : product.shape[-1] - fitting] = product[..., fitting:]
    coefficients = fourier(namespace(spectrum)).ifft(folded, axis=-1)
    return [coefficients[..., row, :] for row in range(len(group.bands))]


def _synthesize(spectrum: Array, coefficients: Array, group: _Group) -> None:
    """Add a group's share to ``spectrum``, in place."""
    xp = namespace(coefficients)
    folded = fourier(xp).fft(coefficients, axis=-1)
    for row, band in enumerate(group.bands):
        start, bins = band.first % group.coefficients, band.last - band.first
        fitting = min(bins, group.coefficients - start)
        unfolded = xp.concat([folded[..., row, start : start + fitting], folded[..., row, : bins - fitting]], axis=-1)
        spectrum[..., band.first : band.last] += unfolded * as_real(band.dual, coefficients)


@lru_cache(maxsize=4)
def _grid_plan(cqt: ConstantQ, hop: int, frames: int, double: bool) -> list[tuple[int, NDArray[Any]]]:
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


def _image(slices: Array, bands: list[tuple[int, NDArray[Any]]], frames: int) -> Array:
    """Grids (..., bins, frames) of slices (..., samples): sampling in time is folding in frequency."""
    xp = namespace(slices)
    spectrum = fourier(xp).rfft(slices, axis=-1)
    rows = -(-spectrum.shape[-1] // frames)
    spectrum = padded(spectrum, 0, rows * frames - spectrum.shape[-1])
    spectrum = xp.reshape(spectrum, (*spectrum.shape[:-1], rows, frames))
    folded = [
        xp.sum(spectrum[..., first : first + len(response), :] * as_real(response, slices), axis=-2)
        for first, response in bands
    ]
    return fourier(xp).ifft(xp.stack(folded, axis=-2), axis=-1)
