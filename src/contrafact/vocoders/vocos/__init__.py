"""Vocos: a network that answers with spectra, which one inverse Fourier transform makes sound.

Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders", 2023: ConvNeXt blocks at frame
rate and a head of log magnitudes and phases. A network of frames alone cannot count the turns of a steady tone from
frame to frame, which music is full of. So the small configuration does not answer from scratch: a few rounds of
Griffin-Lim make a rough start, the network sees how its phases turn in time and frequency, and answers with a change of
magnitudes and phases; a few more rounds then bring the answer's spectra into agreement with each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.config import from_mapping
from contrafact.dsp._arrays import Array
from contrafact.dsp.mel import Mel
from contrafact.registry import Card
from contrafact.representation import Representation
from contrafact.runtime import open_session
from contrafact.vocoders.vocos import _spectra

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]

CARD = Card(
    summary="Mel spectrograms to sound by a small network at frame rate and an inverse Fourier transform.",
    source="Siuzdak, Vocos, 2023; with a start by Griffin-Lim in place of phases from scratch",
    needs="weights of your own training: contrafact train vocos; none come along yet",
    known_failures="What the mel bins do not tell is made up: fine noise above 3 kHz sounds smoother than it was.",
)


@dataclass(frozen=True)
class Config:
    """Settings; the defaults are the small configuration, `FAITHFUL` is the paper's.

    Attributes:
        sample_rate: Hz.
        bins: mel bins, up to half of the sample rate.
        window_samples, hop_samples: of mel spectrogram and answer.
        width, inner, layers: channels of the blocks, channels inside of them, and their number.
        reach: frames that the first layer sees.
        start_iterations: rounds of Griffin-Lim before the network; 0 lets it answer from scratch, as in the paper.
        end_iterations: rounds after it, towards the magnitudes that it answered.
        agreements: at the very end, corrections of the sound's own mel spectrogram towards the given one.
        weights: name of weights that come along, or an ONNX file with its card beside it; all settings above follow
            from their card.
        threads: of the network. Changes no result beyond rounding.
    """

    sample_rate: int = 22_050
    bins: int = 100
    window_samples: int = 1024
    hop_samples: int = 256
    width: int = 192
    inner: int = 384
    layers: int = 8
    reach: int = 1
    start_iterations: int = 4
    end_iterations: int = 8
    agreements: int = 8
    weights: str = "vocos"
    threads: int = 2

    def __post_init__(self) -> None:
        if min(self.width, self.inner, self.layers, self.bins, self.threads) < 1:
            raise ValueError("width, inner, layers, bins and threads must be 1 or more")
        if self.reach % 2 == 0:
            raise ValueError("reach must be odd")
        if min(self.start_iterations, self.end_iterations, self.agreements) < 0:
            raise ValueError("iterations must be 0 or more")

    @property
    def representation(self) -> Representation:
        """Of the features."""
        return Representation("mel", self.sample_rate, self.hop_samples, self.bins, window_samples=self.window_samples)

    @property
    def mel(self) -> Mel:
        """The transform."""
        return self.representation.mel

    @property
    def frequencies(self) -> int:
        """Bins of the transform."""
        return self.window_samples // 2 + 1

    @property
    def inputs(self) -> int:
        """Features at each frame."""
        return self.bins + (5 * self.frequencies if self.start_iterations else 0)

    @property
    def outputs(self) -> int:
        """Numbers that the network answers at each frame."""
        return (3 if self.start_iterations else 2) * self.frequencies


FAITHFUL = Config(sample_rate=24_000, bins=100, width=512, inner=1536, layers=8, reach=7, start_iterations=0)


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
        return self._opened[1].representation

    def __call__(self, features: Floats) -> Floats:
        """Sound of each example.

        Raises:
            InputError: FEATURES_SHAPE or FEATURES_NOT_FINITE.
            SettingsError, MissingError: as `representation`.
        """
        session, fitting = self._opened
        return np.stack([_one(session, fitting, item) for item in fitting.representation.check(features)])

    @cached_property
    def _opened(self) -> tuple[InferenceSession, Config]:
        """The network, and the settings that fit it."""
        config, (name, folder) = self.config, weights.place(self.config.weights)
        learned = from_mapping(Config, weights.card(name, folder).config, name)
        fitting = replace(
            learned, end_iterations=config.end_iterations, agreements=config.agreements, threads=config.threads
        )
        return open_session(weights.locate(name, folder), config.threads), fitting


def _one(session: InferenceSession, config: Config, log_mel: Floats) -> Floats:
    """Sound (frames * hop,) of one spectrogram (bins, frames)."""
    mel, frames = config.mel, log_mel.shape[1]
    if not config.start_iterations:
        made = _spectra.from_scratch(_answer(session, log_mel))
        return _finished(config, log_mel, np.abs(made), made)
    magnitudes, rough = _spectra.rough_start(mel, log_mel, config.start_iterations, seed=0)
    start = _spectra.start_spectra(mel, rough, frames)
    answer = _answer(session, _spectra.features(mel, log_mel, magnitudes, start))
    wanted = _spectra.refined_magnitudes(magnitudes, _spectra.thirds(answer)[0])
    return _finished(config, log_mel, wanted, _spectra.refined(magnitudes, start, answer))


def _finished(config: Config, log_mel: Floats, wanted: Floats, made: Array) -> Floats:
    """Sound of spectra, after the rounds and corrections that follow the network."""
    mel = config.mel
    corrected = _spectra.corrected(mel, wanted, log_mel, _spectra.CORRECTIONS) if config.agreements else wanted
    phased = made * (corrected / np.maximum(wanted, _spectra.FLOOR))
    sound = _spectra.settled(mel, corrected, phased, config.end_iterations)
    return _spectra.agreeing(mel, sound, log_mel, config.agreements)


def _answer(session: InferenceSession, features: Floats) -> Floats:
    answer: Floats = session.run(None, {"features": np.asarray(features[None], dtype=np.float32)})[0][0]
    return answer
