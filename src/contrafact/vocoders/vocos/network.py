"""The network, its losses and its training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data.sounds import Sounds
from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import istft, stft
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Networks, Player
from contrafact.vocoders.vocos import Config, _spectra
from contrafact.vocoders.vocos._augment import augmented

QUIET = 1e-4  # magnitudes below count as this much in the log losses


@dataclass(frozen=True)
class Training:
    """Weights of the losses.

    Attributes:
        mel: mean absolute difference of the log-mel spectrograms.
        convergence: spectral convergence, the relative distance of the magnitudes.
        magnitude: mean absolute difference of the log magnitudes.
        detail: mean absolute difference of the log magnitudes that the network answers, before the inverse transform.
        windows: of the spectra of convergence and magnitude, in samples; a quarter of each is its hop.
    """

    mel: float = 2.0
    convergence: float = 1.0
    magnitude: float = 1.0
    detail: float = 1.0
    windows: tuple[int, ...] = (384, 1280, 3072)


@dataclass(frozen=True)
class Data:
    """Where the sound is and how it is taken.

    Attributes:
        folder: of prepared sound; "" takes the environment's ``CONTRAFACT_SOUNDS``.
        frames: of a training example.
        augment: equalize, saturate, add noise and change the level at random.
        held_out: items at the end of the collection that are not learned from.
    """

    folder: str = ""
    frames: int = 96
    augment: bool = True
    held_out: int = 8


class Block(nn.Module):
    """A ConvNeXt block: one wide convolution for each channel, then two layers at each frame (Liu et al. 2022)."""

    def __init__(self, width: int, inner: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, F) to the same."""
        y = self.norm(self.depthwise(x).transpose(1, 2))
        y = self.narrow(nn.functional.gelu(self.widen(y)))
        out: Tensor = x + (self.scale * y).transpose(1, 2)
        return out


class Vocos(nn.Module):
    """Features (B, inputs, F) -> answer (B, outputs, F); what both mean is told in ``_spectra``."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed = nn.Conv1d(config.inputs, config.width, config.reach, padding=config.reach // 2)
        self.first_norm = nn.LayerNorm(config.width, eps=1e-6)
        blocks = (Block(config.width, config.inner, 1 / config.layers) for _ in range(config.layers))
        self.blocks = nn.ModuleList(blocks)
        self.last_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.outputs)
        self.apply(_initialize)
        if config.start_iterations:
            nn.init.zeros_(self.head.weight)  # the first answer is the start itself

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, inputs, F) -> answer (B, outputs, F)."""
        x: Tensor = self.first_norm(self.embed(features).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        answer: Tensor = self.head(self.last_norm(x.transpose(1, 2))).transpose(1, 2)
        return answer


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Crops:
    """Crops of rendered music, augmented, with their mel spectrogram and rough start."""

    def __init__(self, config: Config, data: Data) -> None:
        self._sounds = Sounds(data.folder, config.sample_rate, data.held_out)
        self._config, self._data, self._mel = config, data, config.mel

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Crops of ``frames`` frames."""
        made = [self._example(draws.generator(slot)) for slot in range(size)]
        return {name: np.stack([example[name] for example in made]) for name in made[0]} if made else {}

    def _example(self, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
        wave = self._sounds.crop(draw, self._data.frames * self._config.hop_samples)
        if self._data.augment:
            wave = augmented(wave, draw)
        log_mel = self._mel.forward(wave)[:, : self._data.frames].astype(np.float32)
        if not self._config.start_iterations:
            return {"wave": wave, "log_mel": log_mel}
        seed, rounds = int(draw.integers(1 << 30)), self._config.start_iterations
        magnitudes, start = _spectra.rough_start(self._mel, log_mel, rounds, seed)
        return {"wave": wave, "log_mel": log_mel, "magnitudes": magnitudes, "start": start}


def make_source(config: Config, data: Data) -> Crops:
    """Training data."""
    return Crops(config, data)


def make_game(config: Config, training: Training) -> Game:
    """One player, the vocoder."""
    mel = config.mel

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        made = spectra(networks["vocoder"], config, batch)
        length = batch["wave"].shape[-1]
        real = stft(batch["wave"], mel.window_samples, mel.hop_samples)[..., : made.shape[-1]]
        return {
            **losses(istft(made, length, mel.window_samples, mel.hop_samples), batch["wave"], mel, training.windows),
            "detail": (_magnitude(made).log() - _magnitude(real).log()).abs().mean(),
        }

    weights = {"mel": training.mel, "convergence": training.convergence, "magnitude": training.magnitude}
    weights["detail"] = training.detail
    vocoder = Vocos(config)
    return Game({"vocoder": vocoder}, {"vocoder": Player(("vocoder",), play, weights)}, ("vocoder",))


def spectra(network: nn.Module, config: Config, batch: Batch) -> Tensor:
    """Spectra (B, K, F) that the network makes of a batch of `Crops`."""
    mel, log_mel = config.mel, batch["log_mel"]
    made: Tensor
    if config.start_iterations:
        start = _spectra.start_spectra(mel, batch["start"], log_mel.shape[-1])
        answer = network(_spectra.features(mel, log_mel, batch["magnitudes"], start))
        made = _spectra.refined(batch["magnitudes"], start, answer)
    else:
        made = _spectra.from_scratch(network(log_mel))
    return made


def _magnitude(values: Tensor) -> Tensor:
    """With a gradient that is finite at zero, and what is quiet counted as `QUIET`."""
    return (values.real**2 + values.imag**2 + QUIET**2).sqrt()


def losses(made: Tensor, real: Tensor, mel: Mel, windows: tuple[int, ...]) -> dict[str, Tensor]:
    """Distances of two sounds (B, time) by name."""
    convergence, magnitude = [], []
    for window in windows:
        ours, theirs = (_magnitude(stft(x, window, window // 4)) for x in (made, real))
        off, whole = (torch.linalg.vector_norm(x, dim=(1, 2)) for x in (ours - theirs, theirs))
        convergence.append((off / whole).mean())
        magnitude.append((ours.log() - theirs.log()).abs().mean())
    return {
        "mel": (_log_mel(made, mel) - _log_mel(real, mel)).abs().mean(),
        "convergence": torch.stack(convergence).mean(),
        "magnitude": torch.stack(magnitude).mean(),
    }


def _log_mel(samples: Tensor, mel: Mel) -> Tensor:
    """As `Mel.forward`, with a gradient that is finite at zero."""
    values = stft(samples, mel.window_samples, mel.hop_samples)
    projected: Tensor = mel.project((values.real**2 + values.imag**2 + 1e-12).sqrt())
    return projected


def make_export(config: Config, networks: Networks) -> Exportable:
    """The network itself; transforms stay outside of the graph."""
    example = np.random.default_rng(0).standard_normal((2, config.inputs, 40)).astype(np.float32)
    axes = {"features": {0: "batch", 2: "frames"}}
    return Exportable(networks["vocoder"], {"features": example}, ("answer",), axes)
