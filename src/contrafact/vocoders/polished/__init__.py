"""Vocos, and a second network that polishes its sound.

What a mel spectrogram does not tell, Griffin-Lim's phases fill with chance, and the spectra of chance are full of
holes. The network hears the sound's spectra beside what the mel bins tell, and answers with a change of them. It has
learned through the inverse transform, from distances at several resolutions: so it knows which changes last when the
spectra become sound. At last the sound is brought into agreement with the mel spectrogram once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import istft, stft
from contrafact.registry import Card
from contrafact.representation import Representation
from contrafact.vocoders import vocos
from contrafact.vocoders.polished import _spectra
from contrafact.vocoders.vocos import _spectra as _bins

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]

CARD = Card(
    summary="Mel spectrograms to sound: vocos, whose sound a second network polishes.",
    source="own; Siuzdak, Vocos, 2023, before it, and losses after Yamamoto, Song and Kim, Parallel WaveGAN, 2020",
    needs="weights of your own training: contrafact train polished; none come along",
    known_failures="Trained for small distances, which noise without holes has: hiss may sound too smooth.",
)
MARGIN = 24  # frames on each side of a piece; more than the network sees


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        rough: of the vocoder whose sound is polished; its hop must be a quarter of its window.
        width, layers: channels of the convolutions over frequencies and frames, and their number.
        fold: neighbouring frequencies that are channels of one place; a multiple of four: with a hop of a quarter of
            the window, phases turn by so many quarters a frame, and each channel sees one such turn alone.
        agreements: at the very end, rounds that draw the sound's own mel spectrogram towards the given one.
        weights: name of weights that come along, or an ONNX file with its card beside it; the network's settings, and
            the mel spectrogram, follow from their card.
        threads: of both networks. Changes no result beyond rounding.
    """

    rough: vocos.Config = field(default_factory=lambda: vocos.Config(iterations=16, agreements=4))
    width: int = 64
    layers: int = 6
    fold: int = 4
    agreements: int = 4
    weights: str = "polished"
    threads: int = 2

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.fold, self.threads) < 1 or self.agreements < 0:
            raise ValueError("width, layers, fold and threads must be 1 or more, agreements 0 or more")
        if self.fold % 4:
            raise ValueError("fold must be a multiple of 4")
        if self.layers > MARGIN - 8:
            raise ValueError(f"layers must be {MARGIN - 8} or fewer")
        if self.rough.window_samples != 4 * self.rough.hop_samples:
            raise ValueError("rough.hop_samples must be a quarter of rough.window_samples")


def build(config: Config = Config()) -> Vocoder:
    """A vocoder with these weights, which are looked for when it is first used."""
    return Vocoder(config)


@dataclass(frozen=True)
class Vocoder:
    """Features (batch, bins, frames) to samples (batch, frames * hop_samples)."""

    config: Config

    @property
    def representation(self) -> Representation:
        """Of the features, as the card of the weights has it.

        Raises:
            SettingsError: WEIGHTS_UNKNOWN.
            MissingError: the weights are missing or not those of their card.
        """
        return self._opened[1].rough.representation

    def __call__(self, features: Floats) -> Floats:
        """Sound of each example.

        Raises:
            InputError: FEATURES_SHAPE or FEATURES_NOT_FINITE.
            SettingsError, MissingError: as `representation`.
        """
        session, learned = self._opened
        log_mels = self.representation.check(features)
        made = self._rough(log_mels)
        mel, times = learned.rough.mel, self.config.agreements
        polished = (_polished(session, mel, *item) for item in zip(made, log_mels, strict=True))
        return np.stack([_bins.agreeing(mel, *item, times) for item in zip(polished, log_mels, strict=True)])

    @cached_property
    def _rough(self) -> vocos.Vocoder:
        return vocos.build(replace(self.config.rough, threads=self.config.threads))

    @cached_property
    def _opened(self) -> tuple[InferenceSession, Config]:
        """The network and its settings."""
        return weights.open_network(self.config.weights, Config, self.config.threads)


def _polished(session: InferenceSession, mel: Mel, sound: Floats, log_mel: Floats) -> Floats:
    """Samples (frames * hop,) after the network's change, piece by piece."""
    frames = sound.reshape(-1, mel.hop_samples)
    made = np.empty_like(frames)
    for piece in _bins.pieces(len(frames), MARGIN):
        samples, told = frames[piece.seen].reshape(-1), _bins.told(mel, log_mel[:, piece.seen])
        spectra = stft(samples, mel.window_samples, mel.hop_samples)[:, : told.shape[-1]]
        planes = np.asarray(_spectra.heard(spectra, told)[None], dtype=np.float32)
        changed = _spectra.changed(spectra, told, session.run(None, {"planes": planes})[0][0])
        sounding = istft(changed, len(samples), mel.window_samples, mel.hop_samples)
        made[piece.made] = sounding.reshape(-1, mel.hop_samples)[piece.inside]
    return made.reshape(-1)
