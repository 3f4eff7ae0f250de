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


@dataclass(frozen=True)
class Training:
    """Weights of the losses; the first two are those of a network that answers magnitudes alone.

    Attributes:
        detail: mean absolute difference of the log magnitudes that the network answers.
        convergence: spectral convergence, the relative distance of the magnitudes; of the answered ones, or else of the
            sound's spectra.
        mel: mean absolute difference of the log-mel spectrograms.
        magnitude: mean absolute difference of the log magnitudes of the sound's spectra.
        windows: of the sound's spectra, in samples; a quarter of each is its hop.
    """

    detail: float = 1.0
    convergence: float = 1.0
    mel: float = 2.0
    magnitude: float = 1.0
    windows: tuple[int, ...] = (384, 1280, 3072)


@dataclass(frozen=True)
class Data:
    """Where the sound is and how it is taken.

    Attributes:
        folder: of prepared sound; "" takes the environment's ``CONTRAFACT_SOUNDS``.
        frames: of a training example.
        augment: equalize, saturate, add noise and change the level at random.
        held_out: items at the end of the collection that are not learned from; their losses are shown.
    """

    folder: str = ""
    frames: int = 64
    augment: bool = True
    held_out: int = 8


MAPS = 4  # that the blocks give for each frequency; the first goes straight to the answer
SPREAD = 3.0  # of log magnitudes, roughly


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
        self.bins = config.bins
        self.embed = nn.Conv1d(config.bins, config.width, config.reach, padding=config.reach // 2)
        self.first_norm = nn.LayerNorm(config.width, eps=1e-6)
        blocks = (Block(config.width, config.inner, 1 / config.layers) for _ in range(config.layers))
        self.blocks = nn.ModuleList(blocks)
        self.last_norm = nn.LayerNorm(config.width, eps=1e-6)
        maps = MAPS if config.phases == "recovered" else 2
        self.head = nn.Linear(config.width, maps * config.frequencies)
        self.apply(_initialize)
        self.sharpen = Sharpen(config.channels) if config.phases == "recovered" else None
        if self.sharpen:
            nn.init.zeros_(self.head.weight[: config.frequencies])  # the first answer is what the mel bins tell

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, inputs, F) -> answer (B, outputs, F)."""
        x: Tensor = self.first_norm(self.embed(features[:, : self.bins]).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        answer: Tensor = self.head(self.last_norm(x.transpose(1, 2))).transpose(1, 2)
        return answer if self.sharpen is None else self.sharpen(features[:, self.bins :], answer)


class Sharpen(nn.Module):
    """Convolutions over frequencies and frames, which see what the mel bins tell of each place and of its neighbours.

    What a frame's blocks pass on is few numbers for all of its frequencies; the fine shape of each peak is found here.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1 + MAPS, channels, (9, 3), padding=(4, 1))
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, 1, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, told: Tensor, maps: Tensor) -> Tensor:
        """Log magnitudes (B, K, F) and maps (B, MAPS * K, F) -> change of the log magnitudes (B, K, F)."""
        planes = maps.reshape(maps.shape[0], MAPS, told.shape[1], maps.shape[2])
        x = torch.cat([told[:, None] / SPREAD, planes], dim=1).contiguous(memory_format=torch.channels_last)
        x = nn.functional.relu(self.second(nn.functional.relu(self.first(x))))
        change: Tensor = self.last(x)[:, 0] + planes[:, 0]
        return change


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Crops:
    """Crops of rendered music, augmented, with their mel spectrogram."""

    def __init__(self, config: Config, data: Data) -> None:
        self._sounds = Sounds(data.folder, config.sample_rate, data.held_out)
        self._config, self._data, self._mel = config, data, config.mel

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Crops of ``frames`` frames: wave (B, time) and log_mel (B, bins, F)."""
        return self._examples([self._wave(draws.generator(slot)) for slot in range(size)])

    def held_out(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Likewise, of what is held out and as it is."""
        count, length = size if self._sounds.held_out else 0, self._data.frames * self._config.hop_samples
        return self._examples([self._sounds.crop(draws.generator(k), length, held_out=True) for k in range(count)])

    def _examples(self, waves: list[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
        if not waves:
            return {}
        wave = np.stack(waves)
        return {"wave": wave, "log_mel": self._mel.forward(wave)[..., : self._data.frames].astype(np.float32)}

    def _wave(self, draw: np.random.Generator) -> NDArray[np.float32]:
        wave = self._sounds.crop(draw, self._data.frames * self._config.hop_samples)
        return augmented(wave, draw) if self._data.augment else wave


def make_source(config: Config, data: Data) -> Crops:
    """Training data."""
    return Crops(config, data)


def make_game(config: Config, training: Training) -> Game:
    """One player, the vocoder."""
    mel = config.mel

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        wave, log_mel = batch["wave"], batch["log_mel"]
        real = stft(wave, mel.window_samples, mel.hop_samples)[..., : log_mel.shape[-1]]
        if config.phases == "recovered":
            told = _spectra.told(mel, log_mel)
            answer = networks["vocoder"](_spectra.features(log_mel, told))
            return magnitude_losses(_spectra.refined(told, answer), real.abs())
        made = _spectra.from_scratch(networks["vocoder"](log_mel))
        return {
            **losses(istft(made, wave.shape[-1], mel.window_samples, mel.hop_samples), wave, mel, training.windows),
            "detail": (_magnitude(made).log() - _magnitude(real).log()).abs().mean(),
        }

    weights = {"detail": training.detail, "convergence": training.convergence}
    if config.phases == "answered":
        weights |= {"mel": training.mel, "magnitude": training.magnitude}
    vocoder = Vocos(config)
    return Game({"vocoder": vocoder}, {"vocoder": Player(("vocoder",), play, weights)}, ("vocoder",))


def magnitude_losses(made: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Distances of two spectra's magnitudes (B, K, F) by name; what is quiet counts as `_spectra.QUIET`."""
    off, whole = (torch.linalg.vector_norm(x, dim=(1, 2)) for x in (made - real, real))
    ours, theirs = ((x**2 + _spectra.QUIET**2).log() / 2 for x in (made, real))
    return {
        "detail": (ours - theirs).abs().mean(),
        "convergence": (off / whole.clamp_min(_spectra.QUIET)).mean(),
    }


def _magnitude(values: Tensor) -> Tensor:
    """With a gradient that is finite at zero, and what is quiet counted as `_spectra.QUIET`."""
    return (values.real**2 + values.imag**2 + _spectra.QUIET**2).sqrt()


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
