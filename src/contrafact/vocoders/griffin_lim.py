"""Phases from magnitudes alone, without training: Griffin and Lim 1984; fast: Perraudin, Balazs, Søndergaard 2013.

STFT magnitudes are taken as they are, mel bands are first spread over the spectrum by non-negative least squares, and
constant-Q grids are recovered in the invertible constant-Q transform of the same bands. Changed against the papers:
phases start along spectral peaks instead of at random (`_phase_recovery`).

What lies above the top band of a mel or constant-Q representation is not in the features. By default every band up
there is given the magnitude of the band an octave below, lowered by ``tilt_db``; "silence" leaves it empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.errors import InputError
from contrafact.registry import Card
from contrafact.representation import Representation
from contrafact.vocoders._cqt_recovery import cqt_griffin_lim, extended
from contrafact.vocoders._phase_recovery import Rounds, griffin_lim

Floats = NDArray[np.float32]
Above = Literal["octave", "silence"]
CARD = Card(
    summary="Iterative phase recovery from STFT, mel or constant-Q magnitudes; needs no training.",
    source="Griffin and Lim, Signal estimation from modified short-time Fourier transform, 1984; Perraudin et al., A "
    "fast Griffin-Lim algorithm, 2013; Beauregard et al., Single pass spectrogram inversion, 2015",
    needs="nothing",
    known_failures="attacks smear and steady tones waver, the more so from mel bands; sound above the top band is "
    "a copy of the octave below",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        representation: of the features.
        iterations: rounds.
        momentum: 0 for the original method, 0.99 for the fast one.
        start: first phases: "advance" along spectral peaks, or "random".
        seed: of random phases.
        above: what sounds above the top band: "octave" or "silence".
        tilt_db: how much softer each octave is made than the one below it, for "octave".
    """

    representation: Representation = field(default_factory=Representation)
    iterations: int = 60
    momentum: float = 0.99
    start: Literal["advance", "random"] = "advance"
    seed: int = 0
    above: Above = "octave"
    tilt_db: float = 12.0

    def __post_init__(self) -> None:
        if self.iterations < 0 or not 0 <= self.momentum <= 1 or self.seed < 0:
            raise ValueError("iterations and seed must not be negative, and momentum must lie in 0..1")
        if self.representation.kind == "instantaneous_frequency":
            raise ValueError("instantaneous_frequency holds the phases already and needs no recovery")


def build(config: Config) -> GriffinLim:
    """The vocoder."""
    return GriffinLim(config)


class GriffinLim:
    """Features -> samples."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.representation = config.representation
        self._rounds = Rounds(config.iterations, config.momentum, config.start, config.seed)

    def __call__(self, features: Floats) -> Floats:
        """Sound for each item of a batch.

        Args:
            features: (batch, bins, frames) of the configured representation.

        Returns:
            (batch, frames * hop_samples); sample i * hop_samples is the centre of frame i.

        Raises:
            InputError: the features do not fit the representation.
        """
        checked = self.representation.check(features)
        return np.stack([self._item(item) for item in checked])

    def _item(self, features: Floats) -> Floats:
        want = self.representation
        if want.kind == "cqt":
            magnitudes = want.magnitudes(features)
            if self.config.above == "silence":
                return loud(cqt_griffin_lim(magnitudes, want.cqt, want.hop_samples, self._rounds))
            wide = extended(want.cqt)
            magnitudes = octaves_above(magnitudes, wide.bins, want.bins_per_octave, self.config.tilt_db)
            return loud(cqt_griffin_lim(magnitudes, wide, want.hop_samples, self._rounds))
        magnitudes = spectrum(want, features, self.config.above, self.config.tilt_db)
        return loud(griffin_lim(magnitudes, want.window_samples, want.hop_samples, self._rounds))


def spectrum(want: Representation, features: Floats, above: Above, tilt_db: float) -> Floats:
    """STFT magnitudes (window_samples // 2 + 1, frames) of STFT or mel features (bins, frames)."""
    if want.kind == "stft":
        return np.asarray(want.magnitudes(features))
    log_mel = np.log(np.maximum(want.magnitudes(features), 1e-20)).astype(np.float32)
    magnitudes = np.asarray(want.mel.magnitudes(log_mel))
    if above == "octave":
        first = int(want.mel.top_hz * want.window_samples / want.sample_rate)
        fill_spectrum(magnitudes, first, tilt_db)
    return magnitudes


def octaves_above(magnitudes: Floats, bins: int, bins_per_octave: int, tilt_db: float) -> Floats:
    """Constant-Q magnitudes with further bands up to ``bins``, each like the one an octave below, ``tilt_db`` softer.

    Where the grid spans less than an octave, its top band is copied.
    """
    wide = np.zeros((bins, magnitudes.shape[1]), np.float32)
    wide[: len(magnitudes)] = magnitudes
    step = min(bins_per_octave, len(magnitudes))
    gain = np.float32(10 ** (-tilt_db * step / bins_per_octave / 20))
    for k in range(len(magnitudes), bins):
        wide[k] = wide[k - step] * gain
    return wide


def fill_spectrum(magnitudes: Floats, first: int, tilt_db: float) -> None:
    """Fill STFT bins from ``first`` on, in place: each like the bin at half its frequency, ``tilt_db`` softer."""
    gain = np.float32(10 ** (-tilt_db / 20))
    for k in range(first, len(magnitudes)):
        magnitudes[k] = magnitudes[k // 2] * gain


def loud(samples: Floats) -> Floats:
    """Refuse what is no sound any more.

    Raises:
        InputError: FEATURES_TOO_LOUD.
    """
    if not np.isfinite(samples).all():
        raise InputError("FEATURES_TOO_LOUD", "The features are too large to become sound.", "Check their scaling.")
    return samples
