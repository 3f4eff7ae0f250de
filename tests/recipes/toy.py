"""A small adversarial method: a generator of tones and a critic, with noise, dropout and an average."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from contrafact.training.draws import Draws
from contrafact.training.game import Exportable, Game, Listening, Player
from contrafact.training.recipe import Method

TIME = 32


@dataclass(frozen=True)
class Config:
    width: int = 8


@dataclass(frozen=True)
class Training:
    realism: float = 0.5


@dataclass(frozen=True)
class Data:
    level: float = 1.0
    broken_at: int = -1
    empty: bool = False


class Tones:
    """Sines of random pitch, given with their pitch."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def batch(self, draws: Draws, size: int) -> dict[str, np.ndarray]:
        if self.data.empty:
            size = 0
        pitch = np.array([[draws.generator(slot).uniform(0.1, 1)] for slot in range(size)], np.float32).reshape(-1, 1)
        wave = self.data.level * np.sin(pitch * np.arange(TIME, dtype=np.float32))
        if draws.step == self.data.broken_at:
            wave[0, 0] = np.nan
        return {"pitch": self.data.level * pitch, "wave": wave.astype(np.float32)}


def make_source(config: Config, data: Data) -> Tones:
    return Tones(data)


def make_game(config: Config, training: Training) -> Game:
    generator = nn.Sequential(
        nn.Linear(1, config.width),
        nn.BatchNorm1d(config.width),
        nn.Tanh(),
        nn.Dropout(0.1),
        nn.Linear(config.width, TIME),
    )
    critic = nn.Sequential(nn.Linear(TIME, config.width), nn.LeakyReLU(0.2), nn.Linear(config.width, 1))

    def judge(networks, batch):
        assert not any(p.requires_grad for p in networks["generator"].parameters())
        made = networks["generator"](batch["pitch"]).detach()
        real = networks["critic"](batch["wave"] + 0.01 * torch.randn_like(batch["wave"]))
        return {"real": (1 - real).square().mean(), "made": networks["critic"](made).square().mean()}

    def play(networks, batch):
        assert not any(p.requires_grad for p in networks["critic"].parameters())
        made = networks["generator"](batch["pitch"])
        return {
            "distance": (made - batch["wave"]).abs().mean(),
            "realism": (1 - networks["critic"](made)).square().mean(),
        }

    def listen(networks):
        with torch.no_grad():
            wave = networks["generator"](torch.full((1, 1), 0.5))[0].numpy()
        return Listening({"peak": float(np.abs(wave).max())}, {"tone": (wave, 8000)}, {"tone": np.outer(wave, wave)})

    return Game(
        {"generator": generator, "critic": critic},
        {
            "critic": Player(("critic",), judge, {"real": 1.0, "made": 1.0}),
            "generator": Player(("generator",), play, {"distance": 1.0, "realism": training.realism}),
        },
        ("generator",),
        listen,
    )


def make_export(config: Config, networks) -> Exportable:
    pitch = np.linspace(0.1, 1, 5, dtype=np.float32)[:, None]
    return Exportable(networks["generator"], {"pitch": pitch}, ("wave",), {"pitch": {0: "batch"}})


METHOD = Method("tests/toy", sys.modules[__name__], sys.modules[__name__])
