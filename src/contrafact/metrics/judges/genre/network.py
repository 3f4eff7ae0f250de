"""The classifier, its loss and its training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data import phrases
from contrafact.metrics.judges.genre import Config
from contrafact.nn.tensors import beside
from contrafact.theory.phrases import PITCHES, STEPS, Roll, outer_voices
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

LISTENED = 300


@dataclass(frozen=True)
class Training:
    """What the network is taught with.

    Attributes:
        noise: standard deviation of the noise that is added to what it sees, as its magnitude.
        dropout: share of the last features that are silenced; 0 in the paper.
    """

    noise: float = 0.0
    dropout: float = 0.0


@dataclass(frozen=True)
class Data:
    """What it learns from.

    Attributes:
        folder: of prepared phrases, see `contrafact.data.phrases`.
        shift: largest transposition in semitones; notes that would leave the range are lost.
    """

    folder: str = ""
    shift: int = 5


class Classifier(nn.Module):
    """Phrases (B, `STEPS`, `PITCHES`) in 0..1 -> logits (B, 2) of pop and jazz."""

    def __init__(self, width: int, training: Training = Training()) -> None:
        super().__init__()
        w = width
        self.noise = training.noise
        self.layers = nn.Sequential(
            _conv(1, w, (1, 12)),
            nn.LeakyReLU(0.2),
            *_normed(w, 2 * w, (4, 1)),
            *_normed(2 * w, 4 * w, (2, 1)),
            *_normed(4 * w, 8 * w, (8, 1)),
            nn.Dropout(training.dropout),
            _conv(8 * w, 2, (1, 7)),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.02)

    def forward(self, rolls: Tensor) -> Tensor:
        """Logits."""
        seen = rolls
        if self.training and self.noise:
            seen = seen + self.noise * torch.randn_like(seen).abs()
        out: Tensor = self.layers(2 * seen[:, None] - 1).flatten(1)
        return out


class Odds(nn.Module):
    """Log-odds (B,) of jazz."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, rolls: Tensor) -> Tensor:
        """Jazz over pop."""
        logits = self.classifier(rolls)
        out: Tensor = logits[:, 1] - logits[:, 0]
        return out


def _conv(into: int, out: int, kernel: tuple[int, int]) -> nn.Conv2d:
    return nn.Conv2d(into, out, kernel, stride=kernel, bias=False)


def _normed(into: int, out: int, kernel: tuple[int, int]) -> tuple[nn.Module, ...]:
    return _conv(into, out, kernel), nn.InstanceNorm2d(out, affine=True), nn.LeakyReLU(0.2)


class Phrases:
    """Outer voices of jazz and pop in turn, transposed at random."""

    def __init__(self, data: Data) -> None:
        self._shift = data.shift
        self._sides = [phrases.load(data.folder, name) for name in ("pop_lines", "jazz_lines")]

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays "phrases" (size, `STEPS`, `PITCHES`) and "genres" (size,), 1 for jazz."""
        if not all(map(len, self._sides)):
            return {}
        chosen = [self._example(draws.generator(slot), self._sides[slot % 2]) for slot in range(size)]
        rolls = outer_voices(np.stack(chosen)).astype(np.float32)
        return {"phrases": rolls, "genres": np.arange(size, dtype=np.int64) % 2}

    def _example(self, draw: np.random.Generator, side: Roll) -> Roll:
        roll: Roll = side[int(draw.integers(len(side)))]
        shift = int(draw.integers(-self._shift, self._shift + 1))
        moved = np.zeros_like(roll)
        moved[:, max(0, shift) : PITCHES + min(0, shift)] = roll[:, max(0, -shift) : PITCHES - max(0, shift)]
        return moved


def make_source(config: Config, data: Data) -> Phrases:
    """Training data.

    Raises:
        InputError: the folder holds no phrases, or damaged ones.
    """
    return Phrases(data)


def make_game(config: Config, training: Training) -> Game:
    """One player, who tells the genres apart."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        return {"error": nn.functional.cross_entropy(networks["genre"](batch["phrases"]), batch["genres"])}

    def listen(networks: Networks) -> Listening:
        found = {side: _jazz_share(networks["genre"], side) for side in ("jazz", "pop")}
        right = {"jazz": found["jazz"], "pop": 1 - found["pop"]}
        return Listening({f"accuracy/{side}": share for side, share in right.items()})

    network = Classifier(config.width, training)
    return Game({"genre": network}, {"judge": Player(("genre",), play, {"error": 1.0})}, ("genre",), listen)


def _jazz_share(network: nn.Module, side: str) -> float:
    """Share of held-out phrases that it calls jazz."""
    rolls = outer_voices(phrases.some("jazz_lines" if side == "jazz" else "pop_lines", "valid", LISTENED))
    logits = network(beside(network, rolls.astype(np.float32)))
    return float((logits[:, 1] > logits[:, 0]).float().mean())


def make_export(config: Config, networks: Networks) -> Exportable:
    """Phrases to log-odds of jazz."""
    rolls = (np.random.default_rng(0).random((2, STEPS, PITCHES)) < 0.05).astype(np.float32)
    return Exportable(Odds(networks["genre"]), {"phrases": rolls}, ("odds",), {"phrases": {0: "batch"}})
