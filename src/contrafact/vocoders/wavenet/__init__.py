"""Samples drawn one by one from a network that has heard all samples before, on mel, constant-Q or no features at all
(van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016).

Cached as in "Fast WaveNet" (Le Paine et al., 2016) and compiled: each layer keeps what it heard in a ring buffer, so a
sample costs one pass through the layers. Changed against the papers: a song is cut into segments that are drawn as
parallel streams; each begins early enough to forget its silent start, and neighbours are joined where they agree best;
what a layer hears from the past is multiplied for several samples at once, as far ahead as its dilation lets it know;
matrices are multiplied in float16, the precision in which weights are exported, where the processor can.
Channel counts are not published; 64 and 256 are those of nv-wavenet's trained example.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.registry import Card
from contrafact.representation import Representation

CARD = Card(
    summary="Draws audio sample by sample from a network over 256 mu-law codes, on mel or constant-Q features.",
    source="van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016; cached as Le Paine et al., Fast "
    "Wavenet Generation Algorithm, 2016; reverse time and beam search after Huang et al., TimbreTron, ICLR 2019",
    needs="the packages numba and safetensors (extra wavenet), and weights of your own training (recipe wavenet)",
    known_failures="8-bit codes leave audible noise in soft passages; briefly trained networks lose the pitch; "
    "far slower than the other vocoders",
)

CODES = 256
Upsampling = Literal["repeat", "linear", "transposed"]
Precision = Literal["float16", "float32"]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Network:
    """The network's shape; the defaults are the faithful configuration.

    Attributes:
        layers: gated layers.
        cycle: layers after which the dilations 1, 2, 4, ... start again.
        residual: channels between layers; tanh and logistic function have as many each.
        skip: channels of the skip connections and of the layer before the last.
        kernel: taps of the dilated convolutions.
        representation: of the features; it also tells sample rate and hop of a network without features.
        conditional: whether the network hears features.
        upsampling: how frames become samples: "repeat", "linear" or "transposed" (learned).
        center, scale: features enter as (features - center) / scale; -5 and 3 suit logarithms of mel magnitudes.
        styles: number of styles that one network knows, 0 for one without; each has a learned vector.
        style_channels: length of such a vector.
    """

    layers: int = 30
    cycle: int = 10
    residual: int = 64
    skip: int = 256
    kernel: int = 2
    representation: Representation = field(default_factory=lambda: Representation(sample_rate=16_000))
    conditional: bool = True
    upsampling: Upsampling = "linear"
    center: float = -5.0
    scale: float = 3.0
    styles: int = 0
    style_channels: int = 16

    def __post_init__(self) -> None:
        for name in ("layers", "cycle", "residual", "skip", "style_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if self.kernel < 2 or self.styles < 0 or self.scale <= 0:
            raise ValueError("kernel must be at least 2, styles at least 0, and scale above 0")

    @property
    def bins(self) -> int:
        """Of the features that it hears; 0 where it hears none."""
        return self.representation.bins if self.conditional else 0

    @property
    def hop_samples(self) -> int:
        """Samples a frame."""
        return self.representation.hop_samples

    @property
    def dilations(self) -> tuple[int, ...]:
        """Of each layer."""
        return tuple(2 ** (layer % self.cycle) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """Past samples on which the odds of the next one depend."""
        return 1 + (self.kernel - 1) * sum(self.dilations)


SMALL = Network(layers=20, cycle=10, residual=32, skip=64)
TIMBRETRON = Network(
    layers=40,
    representation=Representation("cqt", 16_000, 256, 336, low_hz=32.703, bins_per_octave=48, filter_scale=0.8),
)


@dataclass(frozen=True)
class Config:
    """Settings of the vocoder.

    Attributes:
        network: shape of a network to be trained; weights bring their own.
        weights: safetensors file with its card (JSON) beside it.
        style: number of the style, where the network knows several.
        temperature: 1 draws from the network's odds, lower values prefer likely samples, 0 takes the likeliest.
        seed: of the draws: with the same seed and number of streams, the same samples.
        streams: segments drawn at the same time; 0 lets length and threads decide.
        threads: groups of streams computed at the same time; 0 = one for each core.
            With a given number of streams it changes no result.
        reverse_time: draw from the end to the beginning, for networks that were trained on reversed sound: attacks
            come clean, since their decay is drawn first.
        beams: candidates that are drawn side by side and compared with the features every few frames, the best being
            kept (TimbreTron); 1 draws plainly.
        precision: of the weights, and of what they are multiplied with where the processor multiplies float16 (AVX-512
            FP16), with sums of 64 products. All else is float32.
    """

    network: Network = field(default_factory=Network)
    weights: str = ""
    style: int = 0
    temperature: float = 1.0
    seed: int = 0
    streams: int = 0
    threads: int = 0
    reverse_time: bool = False
    beams: int = 1
    precision: Precision = "float16"

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature is {self.temperature}, but must lie in 0..10")
        if self.streams < 0 or self.threads < 0 or self.beams < 1 or min(self.seed, self.style) < 0:
            raise ValueError("streams, threads, style and seed must be 0 or more, beams at least 1")


def build(config: Config) -> Callable[[Floats], Floats]:
    """The vocoder; weights are read when it is first used."""
    from contrafact.vocoders.wavenet._vocoder import Vocoder

    return Vocoder(config)
