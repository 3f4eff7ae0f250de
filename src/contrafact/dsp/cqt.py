"""A constant-Q transform that inverts, and the same bands on a regular grid, for numpy and torch arrays.

Every band is the classic constant-Q atom (Brown, JASA 1991): a Hann window in time of Q periods of its frequency, Q
being the number that puts neighbouring bands one window width apart, times ``filter_scale``. It is applied in the
frequency domain, where its spectrum is known in closed form: one FFT of the signal, then a product and a small inverse
FFT a band.

* `ConstantQ.forward` keeps the main lobe of each atom and samples each band at a hop of its own, short enough that
  nothing aliases. With one band below for everything down to DC and one above for everything up to Nyquist this is a
  painless non-stationary Gabor frame (Balazs, Dörfler et al., "Theory, implementation and applications of nonstationary
  Gabor frames", 2011; Velasco, Holighaus et al., "Constructing an invertible constant-Q transform", DAFx 2011): its
  dual is the bands divided by the sum of their squares, and `ConstantQ.inverse` is exact for any signal of any length.
* `ConstantQ.grid` keeps the side lobes too and samples all bands at one hop: the image that networks want. A hop beyond
  the shortest atom leaves samples between the atoms that no coefficient of that band has seen; what fell there is gone,
  whatever the network or the inverse does. `ConstantQ.hop_loss` says so.

Long signals: the grid is computed in slices whose edges are thrown away; `ConstantQ.stream` gives the invertible
coefficients slice by slice, with cross-fades between slices as in the sliCQ (Holighaus, Dörfler, Velasco, Grill, "A
framework for invertible, real-time constant-Q transforms", IEEE TASLP 2013).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp._arrays import Array, Floats, as_real, fourier, namespace, padded, zeros
from contrafact.dsp._cqt_bands import MAIN_LOBE, Group, easy_hop, easy_length, frame_plan, grid_plan
from contrafact.dsp.stft import frame_count
from contrafact.errors import SettingsError

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
        if self.quality <= MAIN_LOBE:
            raise SettingsError(
                "CQT_WIDE",
                f"Atoms of {self.quality:.1f} periods reach down to 0 Hz.",
                "Take more bins per octave, or a longer filter scale.",
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
        """Of the bands in `forward`: the longest 2^a or 3 * 2^a samples at which a main lobe does not alias."""
        return np.array([easy_hop(length / (2 * MAIN_LOBE)) for length in self.atom_samples])

    def forward(self, samples: Array) -> list[Array]:
        """Invertible coefficients of (..., time).

        Returns:
            one array of shape (..., coefficients) for each band, the lowest first; coefficient n of band k is centred
            on sample n * hops[k], and a sine of amplitude 1 at the band's centre gives magnitude 1/2. The first array
            is the real band below f_min, the last the real band above the highest one (its frequencies mirrored).
        """
        xp = namespace(samples)
        plan = frame_plan(self, self._padded_length(samples.shape[-1]), _is_double(samples))
        spectrum = fourier(xp).rfft(padded(samples, 0, plan.samples - samples.shape[-1]), axis=-1)
        low = spectrum[..., : len(plan.low)] * as_real(plan.low, samples)
        high = xp.conj(xp.flip(spectrum[..., -len(plan.high) :], axis=-1)) * as_real(plan.high, samples)
        bands: list[Array] = []
        for group in plan.groups:
            bands += _analysed(spectrum, group)
        return [_real_band(low, plan.low_samples), *bands, _real_band(high, plan.high_samples)]

    def inverse(self, coefficients: list[Array], length: int) -> Array:
        """The signal (..., length) whose `forward` is nearest to ``coefficients`` in energy; exact where they are
        one's.

        Raises:
            ValueError: the coefficients are not those of a signal of this length.
        """
        xp = namespace(*coefficients)
        plan = frame_plan(self, self._padded_length(length), _is_double(coefficients[0]))
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
        in_slice = easy_length(min(SLICE_ATOMS * 2 * margin, frames + 2 * margin))
        core = in_slice - 2 * margin
        count = -(-frames // core)
        line = padded(samples, margin * hop_samples, (count * core + margin) * hop_samples - samples.shape[-1])
        bands = grid_plan(self, hop_samples, in_slice, _is_double(samples))
        parts = []
        for begin in range(0, count, SLICES_AT_ONCE):
            starts = range(begin * core, min(begin + SLICES_AT_ONCE, count) * core, core)
            part = [line[..., k * hop_samples : (k + in_slice) * hop_samples] for k in starts]
            image = _image(namespace(line).stack(part, axis=-2), bands, in_slice)
            parts += [image[..., i, :, margin : margin + core] for i in range(len(part))]
        return namespace(line).concat(parts, axis=-1)[..., :frames]

    def ungrid(self, coefficients: Array, hop_samples: int, length: int) -> Array:
        """A signal from its complex grid: exact within the bands at hops short enough for every band, else with losses.

        Each band is brought back to its place in the spectrum and all are divided by the sum of their squares; what a
        hop of more than about a quarter of the shortest atom has folded together stays so.

        Args:
            coefficients: of `grid`, shape (..., bins, frames).
            hop_samples: of the grid.
            length: samples wanted.

        Returns:
            real, shape (..., length); nothing outside of the bands.
        """
        xp = namespace(coefficients)
        frames = easy_length(coefficients.shape[-1] + -(-int(self.atom_samples[0]) // hop_samples))
        bands = grid_plan(self, hop_samples, frames, _is_double(coefficients))
        folded = fourier(xp).fft(padded(coefficients, 0, frames - coefficients.shape[-1]), axis=-1)
        rows = -(-(hop_samples * frames // 2 + 1) // frames)
        spectrum = zeros((*folded.shape[:-2], rows, frames), folded)
        total = xp.zeros_like(xp.real(spectrum))
        for k, (first, response) in enumerate(bands):
            weight = as_real(response, folded) * hop_samples
            spectrum[..., first : first + len(response), :] += folded[..., k : k + 1, :] * (weight * hop_samples)
            total[..., first : first + len(response), :] += weight**2
        spectrum = xp.reshape(spectrum / xp.clip(total, 0.1, None), (*spectrum.shape[:-2], rows * frames))
        spectrum = spectrum[..., : hop_samples * frames // 2 + 1]
        return fourier(xp).irfft(spectrum, n=hop_samples * frames, axis=-1)[..., :length]

    def stream(self, blocks: Iterable[Array]) -> Iterator[list[Array]]:
        """`forward` of a signal in blocks (..., time) of any length: the coefficients of one slice at a time.

        Slices are `slice_samples` long, fade into each other over `fade_samples` and add up to the signal, which the
        first one precedes by a fade of silence.
        """
        fade = fade_in(self.fade_samples)
        waiting: Array | None = None
        for block in blocks:
            silence = padded(block[..., :0], self.fade_samples, 0)
            waiting = namespace(block).concat([silence if waiting is None else waiting, block], axis=-1)
            while waiting.shape[-1] >= self.slice_samples:
                yield self.forward(_faded(waiting[..., : self.slice_samples], fade))
                waiting = waiting[..., self.slice_samples - self.fade_samples :]
        if waiting is not None:
            rest = padded(waiting, 0, self.slice_samples - waiting.shape[-1])
            yield self.forward(_faded(rest, fade))
            if waiting.shape[-1] > self.slice_samples - self.fade_samples:
                yield self.forward(_faded(_shifted(rest, self.slice_samples - self.fade_samples), fade))

    def unstream(self, slices: Iterable[list[Array]]) -> Iterator[Array]:
        """The inverse of `stream`, in blocks; silence follows the signal up to a whole slice."""
        tail: Array | None = None
        core = self.slice_samples - self.fade_samples
        for coefficients in slices:
            samples = self.inverse(coefficients, self.slice_samples)
            if tail is not None:
                samples[..., : self.fade_samples] += tail
            yield samples[..., 0 if tail is not None else self.fade_samples : core]
            tail = samples[..., core:]

    @property
    def fade_samples(self) -> int:
        """Cross-fade between slices: two of the longest atoms, a multiple of all hops."""
        return self._unit * -(-2 * int(self.atom_samples[0]) // self._unit)

    @property
    def slice_samples(self) -> int:
        """Length of a slice."""
        return SLICE_ATOMS // 2 * self.fade_samples

    def hop_loss(self, hop_samples: int) -> str:
        """Why a grid with this hop has lost sound for good; empty where it has not."""
        shortest = self.atom_samples[-1]
        if hop_samples <= shortest:
            return ""
        blind = int((self.atom_samples < hop_samples).sum())
        return (
            f"The hop of {hop_samples} samples exceeds the shortest atom ({shortest:.0f} samples at "
            f"{self.frequencies_hz[-1]:.0f} Hz): in the upper {blind} of {self.bins} bands, sound between the atoms is "
            f"seen by none of them and cannot come back. A hop of at most {shortest / (2 * MAIN_LOBE):.0f} samples "
            "keeps nearly all of it; the transform's own hops (forward, inverse) lose nothing."
        )

    def _padded_length(self, samples: int) -> int:
        """Length of the transform: the signal and silence as long as the longest atom, a multiple of all hops."""
        return self._unit * easy_length(-(-(samples + int(self.atom_samples[0])) // self._unit))

    @cached_property
    def _unit(self) -> int:
        return int(np.lcm.reduce(self.hops)) * 2


def _real_band(spectrum: Array, samples: int) -> Array:
    """A real band from the lower end of its spectrum."""
    xp = namespace(spectrum)
    return fourier(xp).irfft(padded(spectrum, 0, samples // 2 + 1 - spectrum.shape[-1]), n=samples, axis=-1)


def _analysed(spectrum: Array, group: Group) -> list[Array]:
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


def _synthesize(spectrum: Array, coefficients: Array, group: Group) -> None:
    """Add a group's share to ``spectrum``, in place."""
    xp = namespace(coefficients)
    folded = fourier(xp).fft(coefficients, axis=-1)
    for row, band in enumerate(group.bands):
        start, bins = band.first % group.coefficients, band.last - band.first
        fitting = min(bins, group.coefficients - start)
        unfolded = xp.concat([folded[..., row, start : start + fitting], folded[..., row, : bins - fitting]], axis=-1)
        spectrum[..., band.first : band.last] += unfolded * as_real(band.dual, coefficients)


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


def _faded(samples: Array, fade: Floats) -> Array:
    """A slice with both its ends faded."""
    window = np.ones(samples.shape[-1])
    window[: len(fade)] = fade
    window[-len(fade) :] = fade[::-1]
    return samples * as_real(window, samples)


def _shifted(samples: Array, by: int) -> Array:
    """``samples`` from ``by`` on, and silence."""
    return padded(samples[..., by:], 0, by)


def _is_double(values: Array) -> bool:
    xp = namespace(values)
    return values.dtype in (xp.float64, xp.complex128)


def fade_in(samples: int) -> Floats:
    """A rising squared sine that adds up to 1 with its mirror image."""
    return np.asarray(np.sin(np.pi / 2 * (np.arange(samples) + 0.5) / samples) ** 2)
