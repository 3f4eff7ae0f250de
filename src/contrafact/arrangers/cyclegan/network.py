"""The networks, the game and the training data of the symbolic CycleGAN.

Brunner, Wang, Wattenhofer and Zhao, "Symbolic Music Genre Transfer with CycleGAN", ICTAI 2018, as their published code
has it. Known differences: noise is drawn for each input of a critic anew, not once for all; the pool of old images is
used in all three models and phrase by phrase, where the code skips it in the base model and swaps whole batches; the
third genre of the mix is ragtime, not classical music. In the code the extra critics have no say in the generators'
loss, though the paper's picture suggests one: `Training.heed` is 0 as in the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.arrangers.cyclegan import THRESHOLD, Config
from contrafact.data import phrases
from contrafact.metrics.strength import kept
from contrafact.registry import JUDGES
from contrafact.theory.phrases import PITCHES, STEPS
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

SIDES = ("jazz", "pop")
LISTENED = 64


@dataclass(frozen=True)
class Training:
    """What the networks are taught with.

    Attributes:
        model: "base"; "partial" and "full" have an extra critic on either side, whose real phrases come from both
            genres, or from all music.
        cycle: weight of the way there and back (L1).
        gamma: weight of the extra critics' own losses.
        heed: weight of the extra critics' verdict for the generators.
        noise: standard deviation of the noise that is added, as its magnitude, to all that critics see.
        pool: old phrases of either side that critics are shown half of the time; 0 for none.
    """

    model: Literal["base", "partial", "full"] = "base"
    cycle: float = 10.0
    gamma: float = 1.0
    heed: float = 0.0
    noise: float = 1.0
    pool: int = 50

    def __post_init__(self) -> None:
        if min(self.cycle, self.gamma, self.heed, self.noise, self.pool) < 0:
            raise ValueError("cycle, gamma, heed, noise and pool must be 0 or more")


@dataclass(frozen=True)
class Data:
    """What they learn from.

    Attributes:
        folder: of prepared phrases, see `contrafact.data.phrases`.
        seed: of the choice of phrases where a genre has more than another.
    """

    folder: str = ""
    seed: int = 0


class Generator(nn.Module):
    """Phrases (B, `STEPS`, `PITCHES`) in 0..1 -> the same in the other genre.

    Args:
        width: of the first layer, 64 in the paper.
        blocks: residual blocks, 10 in the paper.
        carry: logit that a sounding cell brings to its place in the output, and a silent one takes from it.
    """

    def __init__(self, width: int, blocks: int, carry: float = 0.0) -> None:
        super().__init__()
        w, self.carry = width, carry
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normed(nn.Conv2d(1, w, 7, bias=False)),
            _halved(w, 2 * w, 3),
            *_norm(2 * w),
            _halved(2 * w, 4 * w, 3),
            *_norm(4 * w),
            *(Block(4 * w) for _ in range(blocks)),
            Doubled(4 * w, 2 * w),
            *_norm(2 * w),
            Doubled(2 * w, w),
            *_norm(w),
            nn.ReflectionPad2d(3),
            nn.Conv2d(w, 1, 7, bias=False),
        )
        _start(self)

    def forward(self, rolls: Tensor) -> Tensor:
        """Probability that each cell sounds."""
        logits = self.layers(rolls[:, None])[:, 0]
        out: Tensor = (logits + self.carry * (2 * rolls - 1)).sigmoid()
        return out


class Block(nn.Module):
    """Two convolutions beside a shortcut, and a ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_normed(nn.Conv2d(channels, channels, 3, bias=False)),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        out: Tensor = (x + self.layers(x)).relu()
        return out


class Doubled(nn.Module):
    """Twice the steps and pitches: the transpose of a convolution that pads at the far end only."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(into, out, 3, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, into, H, W) -> (B, out, 2 H, 2 W)."""
        out: Tensor = self.conv(x)[..., :-1, :-1]
        return out


class Critic(nn.Module):
    """Phrases (B, `STEPS`, `PITCHES`) -> a map of scores (B, 16, 21), 1 for real.

    Args:
        width: of the first layer, 64 in the paper.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            _halved(1, w, 7),
            nn.LeakyReLU(0.2),
            _halved(w, 4 * w, 7),
            nn.InstanceNorm2d(4 * w, affine=True),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * w, 1, 7, padding=3, bias=False),
        )
        _start(self)

    def forward(self, rolls: Tensor) -> Tensor:
        """Scores."""
        out: Tensor = self.layers(rolls[:, None])[:, 0]
        return out


class Pool(nn.Module):
    """Old phrases: of what comes, half is given back as it is, half is exchanged for an older one.

    Args:
        size: phrases of either side that are remembered.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        for side in SIDES:
            self.register_buffer(side, torch.zeros(size, STEPS, PITCHES))
            self.register_buffer(f"{side}_count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, side: str, rolls: Tensor) -> Tensor:
        """Phrases (B, `STEPS`, `PITCHES`) for a critic; torch's generator decides."""
        kept_rolls, count = getattr(self, side), getattr(self, f"{side}_count")
        shown = rolls.clone()
        for i, roll in enumerate(rolls):
            held = int(count)
            if held < self.size:
                kept_rolls[held].copy_(roll)
                count += 1
            elif self.size and float(torch.rand(())) < 0.5:
                at = int(torch.randint(self.size, ()))
                shown[i] = kept_rolls[at]
                kept_rolls[at].copy_(roll)
        return shown


def _halved(into: int, out: int, kernel: int) -> nn.Sequential:
    """Half the steps and pitches, padded as TensorFlow's "same" does: the odd cell at the far end."""
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    return nn.Sequential(
        nn.ZeroPad2d((before, after, before, after)), nn.Conv2d(into, out, kernel, stride=2, bias=False)
    )


def _norm(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(channels, affine=True), nn.ReLU()


def _normed(conv: nn.Conv2d) -> tuple[nn.Module, ...]:
    return conv, *_norm(conv.out_channels)


def _start(network: nn.Module) -> None:
    """Weights of the published code: normal, deviation .02."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.02)


class Phrases:
    """Phrases of both genres, as many of one as of the other, and of the mix that the extra critics take for real."""

    def __init__(self, data: Data) -> None:
        found = {name: phrases.load(data.folder, name) for name in ("jazz", "pop", "ragtime")}
        fewest = min(len(found[side]) for side in SIDES)
        draw = np.random.default_rng(data.seed)
        self._sides = {side: found[side][np.sort(draw.permutation(len(found[side]))[:fewest])] for side in SIDES}
        self._both = np.concatenate([self._sides[side] for side in SIDES])
        self._all = np.concatenate([self._both, found["ragtime"]])

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays "jazz", "pop", "partial" and "full", each (size, `STEPS`, `PITCHES`)."""
        if not len(self._both):
            return {}
        rolls = {**self._sides, "partial": self._both, "full": self._all}
        chosen = {name: draws.generator(name).integers(len(these), size=size) for name, these in rolls.items()}
        return {name: rolls[name][at].astype(np.float32) for name, at in chosen.items()}


def make_source(config: Config, data: Data) -> Phrases:
    """Training data.

    Raises:
        InputError: the folder holds no phrases, or damaged ones.
    """
    return Phrases(data)


def make_game(config: Config, training: Training) -> Game:
    """Two generators against two critics, or four."""
    extra = training.model != "base"
    critics = {f"critic_{side}": Critic(config.critic_width) for side in SIDES}
    if extra:
        critics |= {f"critic_{side}_all": Critic(config.critic_width) for side in SIDES}
    generators = {f"to_{side}": Generator(config.width, config.blocks, config.carry) for side in SIDES}
    other = dict(zip(SIDES, reversed(SIDES), strict=True))

    def seen(rolls: Tensor) -> Tensor:
        return rolls + training.noise * torch.randn_like(rolls).abs() if training.noise else rolls

    def generate(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        losses = {}
        for side in SIDES:
            made = networks[f"to_{side}"](batch[other[side]])
            losses[f"fooling_{side}"] = (networks[f"critic_{side}"](seen(made)) - 1).square().mean()
            losses[f"cycle_{side}"] = (networks[f"to_{other[side]}"](made) - batch[other[side]]).abs().mean()
            if extra:
                losses[f"fooling_{side}_all"] = (networks[f"critic_{side}_all"](seen(made)) - 1).square().mean()
        return losses

    def judge(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        losses, pool = {}, networks["pool"]
        assert isinstance(pool, Pool)
        for side in SIDES:
            with torch.no_grad():
                made = pool.exchange(side, networks[f"to_{side}"](batch[other[side]]))
            for name, real in ((side, batch[side]), (f"{side}_all", batch.get(training.model))):
                critic = networks.get(f"critic_{name}")
                if critic is not None and real is not None:
                    right = (critic(seen(real)) - 1).square().mean()
                    losses[name] = (right + critic(seen(made)).square().mean()) / 2
        return losses

    weights = {"fooling": 1.0, "cycle": training.cycle}
    fooling = {f"{kind}_{side}": weight for kind, weight in weights.items() for side in SIDES}
    judging = dict.fromkeys(SIDES, 1.0)
    if extra:
        fooling |= {f"fooling_{side}_all": training.heed for side in SIDES}
        judging |= {f"{side}_all": training.gamma for side in SIDES}
    return Game(
        {**generators, **critics, "pool": Pool(training.pool)},
        {
            "generators": Player(tuple(generators), generate, fooling),
            "critics": Player(tuple(critics), judge, judging),
        },
        tuple(generators),
        _listen,
    )


def _listen(networks: Networks) -> Listening:
    """What held-out pop songs become: content kept, how densely cells sound, and how often the judge says jazz."""
    source = phrases.some("pop", "valid", LISTENED)
    device = next(networks["to_jazz"].parameters()).device
    answer = networks["to_jazz"](torch.from_numpy(source.astype(np.float32)).to(device)).cpu().numpy()
    made, judge = answer > THRESHOLD, JUDGES.build("genre")
    figures = {f"kept/{name}": value for name, value in kept(source, made).items()}
    figures |= {"cells": float(made.sum() / source.sum())}
    figures |= {
        "called_jazz/before": float((judge(source) > 0.5).mean()),
        "called_jazz": float((judge(made) > 0.5).mean()),
    }
    return Listening(figures, pictures={"pop": source[0].T.astype(np.float32), "jazz": answer[0].T})


class Both(nn.Module):
    """Phrases -> the same as jazz, and the same as pop."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.to_jazz, self.to_pop = networks["to_jazz"], networks["to_pop"]

    def forward(self, rolls: Tensor) -> tuple[Tensor, Tensor]:
        """Both (B, `STEPS`, `PITCHES`)."""
        return self.to_jazz(rolls), self.to_pop(rolls)


def make_export(config: Config, networks: Networks) -> Exportable:
    """Phrases into either genre."""
    rolls = (np.random.default_rng(0).random((2, STEPS, PITCHES)) < 0.05).astype(np.float32)
    return Exportable(Both(networks), {"phrases": rolls}, SIDES, {"phrases": {0: "batch"}})
