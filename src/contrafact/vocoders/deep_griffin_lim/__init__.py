"""Griffin-Lim whose rounds a small network corrects (Masuyama, Yatabe, Koizumi, Oikawa and Harada, "Deep Griffin-Lim
iteration", ICASSP 2019; "Deep Griffin-Lim iteration: trainable iterative phase reconstruction using neural network",
IEEE JSTSP 2021).

`FAITHFUL` has the shape of the public re-implementation (Sytronik/deep-griffinlim-iteration: real convolutions and
batch norm where the paper's are complex and without; one network for all rounds, as in the paper). The small
configuration sees phases relative to each other only, works on top of the fast method's momentum, and is trained for
what Griffin-Lim is measured by, some plain rounds after it included. So it corrects the first rounds alone, which
decide where the others end; they are Griffin-Lim's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.registry import Card
from contrafact.representation import Representation
from contrafact.vocoders import griffin_lim
from contrafact.vocoders._phase_recovery import Rounds
from contrafact.vocoders._phase_recovery import griffin_lim as recovered
from contrafact.vocoders.deep_griffin_lim._recovery import DeepRecovery

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]

CARD = Card(
    summary="Iterative phase recovery from STFT or mel magnitudes whose first rounds a network corrects.",
    source="Masuyama et al., Deep Griffin-Lim Iteration, ICASSP 2019; after the fast Griffin-Lim of Perraudin et al.",
    needs="nothing: its weights come along",
    known_failures="Each corrected round costs as much as several plain ones; mel bands smear attacks as ever.",
)
LEARNED = ("inputs", "channels", "first_kernel", "kernel", "layers", "gated_last", "batch_norm", "momentum")
CHUNK_VALUES = 1 << 20  # spectral values in memory at a time; the network needs many times as much


@dataclass(frozen=True)
class Config:
    """Settings; the defaults are the small configuration.

    Attributes:
        representation: of the features, "stft" or "mel". The network knows no frequencies: it learned at windows of
            1024 and 2048 samples and hops of a quarter, but any will do.
        inputs: what the network sees: "relative" phases, or the paper's "plain" spectra.
        channels: of the network.
        first_kernel, kernel: of its convolutions, in bins and frames.
        layers: gated layers between the first and the last one.
        gated_last: whether one more gated layer stands before the last convolution.
        batch_norm: after the first two convolutions.
        momentum: of the fast Griffin-Lim beneath; 0 for none, as in the paper.
        iterations: rounds in all.
        deep_iterations: of them, those at the beginning that the network corrects.
        start: first phases: "advance" along spectral peaks, or "random".
        seed: of random phases.
        weights: name of weights that come along, or an ONNX file with its card beside it; the settings from inputs to
            momentum follow from the card.
        threads: of the network. Changes no result beyond rounding.
    """

    representation: Representation = field(default_factory=lambda: Representation("stft", bins=513))
    inputs: Literal["relative", "plain"] = "relative"
    channels: int = 8
    first_kernel: int = 3
    kernel: int = 3
    layers: int = 1
    gated_last: bool = False
    batch_norm: bool = False
    momentum: float = 0.99
    iterations: int = 60
    deep_iterations: int = 6
    start: Literal["advance", "random"] = "advance"
    seed: int = 0
    weights: str = "deep_griffin_lim"
    threads: int = 2

    def __post_init__(self) -> None:
        if self.representation.kind not in ("stft", "mel"):
            raise ValueError("representation must be of kind stft or mel")
        if min(self.channels, self.layers, self.threads) < 1:
            raise ValueError("channels, layers and threads must be 1 or more")
        if self.first_kernel % 2 == 0 or self.kernel % 2 == 0:
            raise ValueError("first_kernel and kernel must be odd")
        if not 0 <= self.deep_iterations <= self.iterations or not 0 <= self.momentum <= 1 or self.seed < 0:
            raise ValueError("0 <= deep_iterations <= iterations, 0 <= momentum <= 1 and 0 <= seed must hold")

    @property
    def seen(self) -> int:
        """Channels that the network sees."""
        return 6 if self.inputs == "plain" else 5

    @property
    def beta(self) -> float:
        """Weight of the round before."""
        return float(Rounds(momentum=self.momentum).beta)


FAITHFUL = Config(
    Representation("stft", 16_000, 256, 257, window_samples=512),
    inputs="plain",
    channels=16,
    first_kernel=11,
    kernel=7,
    layers=2,
    gated_last=True,
    batch_norm=True,
    momentum=0.0,
    iterations=32,
    deep_iterations=32,
    start="random",
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
        """Of the features."""
        return self.config.representation

    def __call__(self, features: Floats) -> Floats:
        """Sound of each example.

        Raises:
            InputError: FEATURES_SHAPE, FEATURES_NOT_FINITE, FEATURES_NEGATIVE or FEATURES_TOO_LOUD.
            SettingsError: WEIGHTS_UNKNOWN.
            MissingError: the weights are missing or not those of their card.
        """
        return np.stack([self._one(item) for item in self.representation.check(features)])

    def _one(self, features: Floats) -> Floats:
        want, (session, learned) = self.representation, self._opened
        usual = griffin_lim.Config
        magnitudes = griffin_lim.spectrum(want, features, usual.above, usual.tilt_db)
        made = recovered(
            magnitudes,
            want.window_samples,
            want.hop_samples,
            Rounds(self.config.iterations, learned.momentum, self.config.start, self.config.seed),
            recovery=partial(DeepRecovery, session=session, config=learned),
            chunk_values=CHUNK_VALUES,
        )
        return griffin_lim.loud(made)

    @cached_property
    def _opened(self) -> tuple[InferenceSession, Config]:
        """The network, and the settings that fit it."""
        session, learned = weights.open_network(self.config.weights, Config, self.config.threads)
        return session, replace(self.config, **{key: getattr(learned, key) for key in LEARNED})
