"""Sound from noise in one pass, by a network that can be run backwards (Prenger, Valle and Catanzaro, "WaveGlow: A
flow-based generative network for speech synthesis", ICASSP 2019).

Samples are folded into groups; each flow mixes a group's channels and scales and shifts one half of them by what a
WaveNet stack makes of the other half and of the mel spectrogram. In training, sound runs forward and is to become
noise; here, noise runs backwards. `FAITHFUL` has the published code's shape (NVIDIA/waveglow, 256 channels where the
paper has 512). The small configuration is narrower, hears the whole band instead of 8 kHz, and gets features by linear
interpolation to the rate of the groups instead of a learned transposed convolution.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.registry import Card
from contrafact.representation import Representation

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]

CARD = Card(
    summary="Mel spectrograms to sound in one pass by a flow: noise, run backwards through an invertible network.",
    source="Prenger, Valle and Catanzaro, WaveGlow: A Flow-based Generative Network for Speech Synthesis, ICASSP 2019",
    needs="weights of your own training: contrafact train waveglow; none come along",
    known_failures="Good only when large and trained for weeks; on sung notes its users heard wavering and hum.",
)

CHUNK_FRAMES = 512  # computed at a time, besides the margins


@dataclass(frozen=True)
class Config:
    """Settings; the defaults are the small configuration, `FAITHFUL` is the published one.

    Attributes:
        representation: of the features; its hop must be a multiple of ``group``.
        flows: how many.
        group: samples that are channels of one step.
        early_every, early_size: after so many flows, so many channels become noise for good.
        layers, channels, kernel: of the WaveNet stack in each flow; its dilations are 1, 2, 4, ...
        upsampling: "transposed" (learned; its window spans four hops) at the rate of samples, or "linear" at that of
            groups.
        sigma: deviation of the noise at inference; below 1 the sound is calmer.
        seed: of the noise.
        weights: an ONNX file with its card beside it; all settings above but sigma and seed follow from the card.
        threads: of the network. Changes no result beyond rounding.
    """

    representation: Representation = field(default_factory=Representation)
    flows: int = 8
    group: int = 8
    early_every: int = 4
    early_size: int = 2
    layers: int = 6
    channels: int = 64
    kernel: int = 3
    upsampling: Literal["transposed", "linear"] = "linear"
    sigma: float = 0.6
    seed: int = 0
    weights: str = "waveglow"
    threads: int = 2

    def __post_init__(self) -> None:
        if min(self.flows, self.early_every, self.layers, self.channels, self.threads) < 1:
            raise ValueError("flows, early_every, layers, channels and threads must be 1 or more")
        if self.kernel % 2 == 0:
            raise ValueError("kernel must be odd")
        if self.group % 2 or self.early_size % 2 or self.widths[-1] < 2:
            raise ValueError("group and early_size must be even, and at least 2 channels must be left in the last flow")
        if self.representation.hop_samples % self.group:
            raise ValueError("hop_samples must be a multiple of group")
        if self.sigma < 0 or self.seed < 0:
            raise ValueError("sigma and seed must be 0 or more")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels in each flow."""
        return tuple(self.group - self.early_size * (flow // self.early_every) for flow in range(self.flows))

    @property
    def steps(self) -> int:
        """Groups of a frame."""
        return self.representation.hop_samples // self.group

    @property
    def margin_frames(self) -> int:
        """Frames on each side on which a sample depends, at most; the upsampling looks 4 frames far."""
        reach = (self.kernel - 1) // 2 * ((1 << self.layers) - 1) * self.flows
        return -(-reach // self.steps) + 4


FAITHFUL = Config(Representation(high_hz=8000.0), flows=12, layers=8, channels=256, upsampling="transposed")


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
        return np.stack([self._one(item) for item in self.representation.check(features)])

    def _one(self, features: Floats) -> Floats:
        """One example in chunks, whose margins are discarded: the same as all at once."""
        session, shape = self._opened
        frames, hop = features.shape[1], shape.representation.hop_samples
        noise = np.random.default_rng(self.config.seed).standard_normal((frames, hop), dtype=np.float32)
        noise *= np.float32(self.config.sigma)
        out = np.empty((frames, hop), np.float32)
        for begin in range(0, frames, CHUNK_FRAMES):
            end = min(begin + CHUNK_FRAMES, frames)
            first, last = max(0, begin - shape.margin_frames), min(frames, end + shape.margin_frames)
            given = {"features": features[None, :, first:last], "noise": noise[None, first:last]}
            made = session.run(None, given)[0].reshape(last - first, hop)
            out[begin:end] = made[begin - first : end - first]
        return out.reshape(-1)

    @cached_property
    def _opened(self) -> tuple[InferenceSession, Config]:
        """The network and its shape."""
        return weights.open_network(self.config.weights, Config, self.config.threads)
