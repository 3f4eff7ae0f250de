"""Vocos: a network that answers with spectra, which one inverse Fourier transform makes sound.

Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders", 2023: ConvNeXt blocks at frame
rate and a head of log magnitudes and phases. A network of frames alone cannot count the turns of a steady tone from
frame to frame, which music is full of. So the small configuration answers with what it can know, the fine shape of the
magnitudes that mel bins blur: a change of the log magnitudes that the bins tell. Phases for such magnitudes are
Griffin-Lim's own trade. At last the sound is brought into agreement with the mel spectrogram, which is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.dsp._arrays import Array
from contrafact.dsp.mel import Mel
from contrafact.registry import Card
from contrafact.representation import Representation
from contrafact.vocoders._phase_recovery import Rounds, griffin_lim
from contrafact.vocoders.griffin_lim import loud
from contrafact.vocoders.vocos import _spectra

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]

CARD = Card(
    summary="Mel spectrograms to sound: a small network sharpens the magnitudes, Griffin-Lim finds phases for them.",
    source="Siuzdak, Vocos, 2023; with phases by the fast Griffin-Lim in place of phases from scratch",
    needs="nothing: its weights come along",
    known_failures="Noise and attacks are little better than Griffin-Lim's; what mel bins above 4 kHz do not tell of "
    "single partials is guessed.",
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
        channels: of the convolutions over frequencies and frames that follow where phases are recovered.
        phases: "recovered" by Griffin-Lim from magnitudes, or "answered" by the network from scratch, as in the paper.
        iterations: rounds of Griffin-Lim, towards the magnitudes that the network answered.
        settlings: then, rounds through windows of three lengths in turn.
        agreements: at the very end, rounds that draw the sound's own mel spectrogram towards the given one.
        weights: name of weights that come along, or an ONNX file with its card beside it; all settings above follow
            from their card, but for the rounds, of which the paper's network needs none.
        threads: of the network. Changes no result beyond rounding.
    """

    sample_rate: int = 22_050
    bins: int = 100
    window_samples: int = 1024
    hop_samples: int = 256
    width: int = 256
    inner: int = 384
    layers: int = 6
    reach: int = 3
    channels: int = 16
    phases: Literal["recovered", "answered"] = "recovered"
    iterations: int = 60
    settlings: int = 4
    agreements: int = 12
    weights: str = "vocos"
    threads: int = 2

    def __post_init__(self) -> None:
        if min(self.width, self.inner, self.layers, self.channels, self.bins, self.threads) < 1:
            raise ValueError("width, inner, layers, channels, bins and threads must be 1 or more")
        if self.reach % 2 == 0:
            raise ValueError("reach must be odd")
        if min(self.iterations, self.settlings, self.agreements) < 0:
            raise ValueError("iterations, settlings and agreements must be 0 or more")

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
        return self.bins + (self.frequencies if self.phases == "recovered" else 0)

    @property
    def outputs(self) -> int:
        """Numbers that the network answers at each frame."""
        return (1 if self.phases == "recovered" else 2) * self.frequencies

    @property
    def margin_frames(self) -> int:
        """Frames on each side on which an answer depends, at most."""
        return self.reach // 2 + 3 * self.layers + 3


FAITHFUL = Config(
    sample_rate=24_000,
    width=512,
    inner=1536,
    layers=8,
    reach=7,
    phases="answered",
    iterations=0,
    settlings=0,
    agreements=0,
)


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
            InputError: FEATURES_SHAPE, FEATURES_NOT_FINITE or FEATURES_TOO_LOUD.
            SettingsError, MissingError: as `representation`.
        """
        session, fitting = self._opened
        items = fitting.representation.check(features)
        with np.errstate(over="ignore", invalid="ignore"):
            return loud(np.stack([_one(session, fitting, item) for item in items]))

    @cached_property
    def _opened(self) -> tuple[InferenceSession, Config]:
        """The network, and the settings that fit it."""
        config = self.config
        session, learned = weights.open_network(config.weights, Config, config.threads)
        rounds = {key: getattr(config, key) for key in ("iterations", "settlings", "agreements")}
        return session, replace(learned, **rounds)


def _one(session: InferenceSession, config: Config, log_mel: Floats) -> Floats:
    """Sound (frames * hop,) of one spectrogram (bins, frames)."""
    return sounding(config, answers(session, config, log_mel), log_mel)


def answers(session: InferenceSession, config: Config, log_mel: Floats) -> Array:
    """Spectra (frequencies, frames) of one spectrogram (bins, frames), or their magnitudes alone where phases are to be
    recovered.
    """
    made = [
        _answered(session, config, log_mel[:, piece.seen])[:, piece.inside]
        for piece in _spectra.pieces(log_mel.shape[1], config.margin_frames)
    ]
    return np.concatenate(made, axis=1)


def sounding(config: Config, spectra: Array, log_mel: Floats) -> Floats:
    """Sound (frames * hop,) of what `answers` gave for ``log_mel``."""
    mel = config.mel
    magnitudes = np.asarray(np.abs(spectra), dtype=np.float32)
    if config.phases == "answered":
        sound = _spectra.continued(mel, magnitudes, spectra, config.iterations)
    else:
        rounds = Rounds(config.iterations, _spectra.MOMENTUM)
        sound = griffin_lim(magnitudes, mel.window_samples, mel.hop_samples, rounds)
    return _spectra.finished(mel, sound, log_mel, config.agreements, magnitudes, config.settlings)


def _answered(session: InferenceSession, config: Config, log_mel: Floats) -> Array:
    """Spectra (frequencies, frames), or magnitudes alone where phases are to be recovered."""
    told = None if config.phases == "answered" else _spectra.told(config.mel, log_mel)
    features = log_mel if told is None else _spectra.features(log_mel, told)
    answer = session.run(None, {"features": np.asarray(features[None], dtype=np.float32)})[0][0]
    if told is None:
        return _spectra.from_scratch(answer)
    magnitudes = _spectra.refined(told, answer)
    if not config.agreements:
        return magnitudes
    return _spectra.corrected(config.mel, magnitudes, log_mel, _spectra.CORRECTIONS)
