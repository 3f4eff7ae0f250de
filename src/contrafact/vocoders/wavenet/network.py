"""WaveNet in torch: the network, its loss, its training data, and its weights as the sampler takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from contrafact.audio import Audio
from contrafact.data.sounds import Sounds
from contrafact.dsp import mu_law
from contrafact.errors import SettingsError
from contrafact.nn.wavenet import Upsampler, WaveNetStack
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Game, Networks, Player
from contrafact.vocoders.wavenet import CODES, Config, Network

SILENCE = CODES // 2  # the code before the first one


class WaveNet(nn.Module):
    """Odds of each mu-law code given all codes before it, the features around it, and a style.

    Codes enter through a learned vector each; then come the gated stack and ReLU, 1x1, ReLU, 1x1 (van den Oord et al.,
    2016, figure 4).
    """

    def __init__(self, config: Network) -> None:
        super().__init__()
        self.config = config
        style = config.style_channels if config.styles else 0
        self.embedding = nn.Embedding(CODES, config.residual)
        self.styles = nn.Embedding(config.styles, style) if style else None
        self.upsampler = Upsampler(config.bins, config.hop_samples, config.upsampling) if config.bins else None
        self.stack = WaveNetStack(
            config.residual, config.skip, config.dilations, config.kernel, local=config.bins, style=style
        )
        self.head = nn.Conv1d(config.skip, config.skip, 1)
        self.out = nn.Conv1d(config.skip, CODES, 1)

    def forward(self, codes: Tensor, features: Tensor | None = None, style: Tensor | None = None) -> Tensor:
        """Logits of shape (B, 256, T), those at time t for the code at t given the codes before t.

        Args:
            codes: int64, shape (B, T).
            features: shape (B, bins, T / hop_samples).
            style: numbers of styles, int64, shape (B,).
        """
        before = functional.pad(codes[:, :-1], (1, 0), value=SILENCE)
        local = self.local(features) if features is not None else None
        vector = self.styles(style) if self.styles is not None and style is not None else None
        skips = self.stack(self.embedding(before).transpose(1, 2), local, vector)
        return self.out(functional.relu(self.head(functional.relu(skips))))  # type: ignore[no-any-return]

    def local(self, features: Tensor) -> Tensor:
        """The features at every sample, scaled."""
        if self.upsampler is None:
            raise ValueError("this network takes no features")
        return self.upsampler((features - self.config.center) / self.config.scale)  # type: ignore[no-any-return]

    def loss(
        self, codes: Tensor, features: Tensor | None = None, style: Tensor | None = None, skipped: int = 0
    ) -> Tensor:
        """Mean cross-entropy in nats a sample, without the first ``skipped`` samples, which know too little past."""
        logits = self(codes, features, style)
        return functional.cross_entropy(logits[:, :, skipped:], codes[:, skipped:])


def parameters(network: nn.Module) -> int:
    """Number of trainable weights."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def draw_naively(network: WaveNet, steps: int, features: Tensor | None = None) -> Tensor:
    """The likeliest codes (1, steps) by running the whole network anew for each sample: the slow, obvious way."""
    codes = torch.full((1, steps), SILENCE)
    for t in range(steps):
        codes[0, t] = network(codes[:, :steps], features)[0, :, t].argmax()
    return codes


@dataclass(frozen=True)
class Training:
    """Settings of the game.

    Attributes:
        code: weight of its only loss, the cross-entropy of the codes.
    """

    code: float = 1.0


@dataclass(frozen=True)
class Data:
    """Where the sound is and how it is taken.

    Attributes:
        folder: of prepared sound; "" takes the environment's ``CONTRAFACT_SOUNDS``.
        frames: of a training example, besides those that only fill the receptive field.
        quietest_db: lowest of the random gains that examples get; the highest is 0.
        held_out: items at the end of the collection that are not learned from; their losses are shown.
        style: fact of the items by whose values, in alphabetical order, the network's styles are numbered, such as
            "corpus" or "genre"; for a network of several styles.
    """

    folder: str = ""
    frames: int = 32
    quietest_db: float = -12.0
    held_out: int = 8
    style: str = ""


class Crops:
    """Crops of rendered music as codes, with their features and style.

    Raises:
        SettingsError: SETTING_VALUE, the network has not as many styles as the items have.
        As `Sounds`.
    """

    def __init__(self, config: Config, data: Data) -> None:
        self._sounds = Sounds(data.folder, config.network.representation.sample_rate, data.held_out)
        self._network, self._data, self._reversed = config.network, data, config.reverse_time
        self._styles = self._sounds.values(data.style) if data.style else []
        if len(self._styles) != self._network.styles:
            told = f"{data.style!r} has the values {', '.join(self._styles)}" if data.style else "data.style is not set"
            raise SettingsError(
                "SETTING_VALUE",
                f"The network has {self._network.styles} styles, but {told}.",
                "Set config.network.styles to the number of values, and data.style to a fact of the prepared sound.",
            )

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """``codes`` (size, time), ``features`` (size, bins, frames) and ``style`` (size,), where the network has them;
        first comes what fills the receptive field."""
        return self._examples(draws, size, held_out=False)

    def held_out(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Likewise, of what is held out."""
        return self._examples(draws, size if self._sounds.held_out else 0, held_out=True)

    def _examples(self, draws: Draws, size: int, held_out: bool) -> dict[str, NDArray[Any]]:
        made = [self._example(draws.generator(slot), held_out) for slot in range(size)]
        return {name: np.stack([example[name] for example in made]) for name in made[0]} if made else {}

    def _example(self, draw: np.random.Generator, held_out: bool) -> dict[str, NDArray[Any]]:
        frames = self._data.frames + skipped_frames(self._network)
        wave, style = self._sounds.crop_with(draw, frames * self._network.hop_samples, self._data.style, held_out)
        wave = wave * np.float32(10 ** (draw.uniform(self._data.quietest_db, 0) / 20))
        made = example(self._network, wave, self._reversed)
        return made | {"style": np.array(self._styles.index(style))} if self._styles else made


def example(network: Network, wave: NDArray[np.float32], reverse_time: bool = False) -> dict[str, NDArray[Any]]:
    """What the network learns from: samples (frames * hop,) as codes, and their features."""
    codes = np.asarray(mu_law.encode(wave), dtype=np.int64)
    made = {"codes": codes}
    if network.conditional:
        audio = Audio(wave[None], network.representation.sample_rate)
        made["features"] = network.representation.analyse(audio)[0][:, : len(wave) // network.hop_samples]
    return {name: np.ascontiguousarray(a[..., ::-1]) for name, a in made.items()} if reverse_time else made


def skipped_frames(network: Network) -> int:
    """Frames that fill the receptive field before the loss begins."""
    return -(-network.receptive_field // network.hop_samples)


def make_source(config: Config, data: Data) -> Crops:
    """Training data."""
    return Crops(config, data)


def make_game(config: Config, training: Training) -> Game:
    """One player, the network."""
    network = WaveNet(config.network)
    skipped = skipped_frames(config.network) * config.network.hop_samples

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        player: WaveNet = networks["wavenet"]  # type: ignore[assignment]
        return {"code": player.loss(batch["codes"], batch.get("features"), batch.get("style"), skipped)}

    return Game({"wavenet": network}, {"wavenet": Player(("wavenet",), play, {"code": training.code})}, ("wavenet",))
