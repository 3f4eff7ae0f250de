"""The network, its losses and its training data.

Shapes: B batch, K frequencies, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data.shards import Shards
from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import istft, stft
from contrafact.errors import InputError, SettingsError
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Networks, Player
from contrafact.vocoders.polished import Config, _spectra
from contrafact.vocoders.polished.pairs import ROUGH
from contrafact.vocoders.vocos import _spectra as _bins
from contrafact.vocoders.vocos.network import losses


@dataclass(frozen=True)
class Training:
    """Weights of the losses.

    Attributes:
        mel: mean absolute difference of the log-mel spectrograms.
        convergence: spectral convergence, the relative distance of the magnitudes.
        magnitude: mean absolute difference of the log magnitudes.
        windows: of the spectra of the last two, in samples; a quarter of each is its hop.
    """

    mel: float = 1.0
    convergence: float = 1.0
    magnitude: float = 1.0
    windows: tuple[int, ...] = (512, 768, 1024, 1536, 2048, 2560)


@dataclass(frozen=True)
class Data:
    """Where the sound is and how it is taken.

    Attributes:
        folder: of pairs, as ``python -m contrafact.vocoders.polished.pairs`` makes it.
        frames: of a training example.
        quietest_db: lowest of the random gains that examples get; the highest is 0.
    """

    folder: str = ""
    frames: int = 64
    quietest_db: float = -12.0


class Polish(nn.Module):
    """What `_spectra.heard` gives (B, HEARD, K, F) -> change (B, 2, K, F) for `_spectra.changed`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.fold, self.bands = config.fold, -(-config.rough.frequencies // config.fold)
        self.first = nn.Conv2d(_spectra.HEARD * config.fold, config.width, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(config.width, self.bands, 1))
        self.layers = nn.ModuleList(nn.Conv2d(config.width, config.width, 3, padding=1) for _ in range(config.layers))
        self.last = nn.Conv2d(config.width, 2 * config.fold, 1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, planes: Tensor) -> Tensor:
        """(B, HEARD, K, F) -> (B, 2, K, F); nothing before the first step."""
        batch, count, frequencies, frames = planes.shape
        x = nn.functional.pad(planes, (0, 0, 0, self.bands * self.fold - frequencies))
        x = x.reshape(batch, count, self.bands, self.fold, frames).transpose(2, 3).flatten(1, 2)
        x = self.first(x) + self.place
        for layer in self.layers:
            x = x + layer(nn.functional.silu(x))
        y: Tensor = self.last(nn.functional.silu(x)).reshape(batch, 2, self.fold, self.bands, frames)
        return y.transpose(2, 3).flatten(2, 3)[:, :, :frequencies]


class Crops:
    """Crops of pairs.

    Raises:
        SettingsError: DATA_FOLDER, none is named.
        InputError: DATA_MISSING or DATA_DAMAGED; DATA_RATE, at another rate; DATA_OTHER, not pairs.
    """

    def __init__(self, config: Config, data: Data) -> None:
        how = "Run: python -m contrafact.vocoders.polished.pairs SOUNDS -o DIR"
        if not data.folder:
            raise SettingsError("DATA_FOLDER", "The recipe names no folder of pairs.", "Add --set data.folder=DIR.")
        self._shards, self._data = Shards(Path(data.folder)), data
        if self._shards.sample_rate != config.rough.sample_rate:
            raise InputError("DATA_RATE", f"The pairs in {data.folder} have another sample rate.", how)
        if not len(self._shards) or ROUGH not in self._shards.stems(0, 0, 1):
            raise InputError("DATA_OTHER", f"There are no pairs in {data.folder}.", how)
        self._samples = data.frames * config.rough.hop_samples

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Sound as it was and as it was made, "wave" and "rough", each (B, time)."""
        pairs = [self._pair(draws.generator(slot)) for slot in range(size)]
        return {name: np.stack([pair[k] for pair in pairs]) for k, name in enumerate(("wave", ROUGH)) if pairs}

    def _pair(self, draw: np.random.Generator) -> NDArray[np.float32]:
        item = int(draw.integers(len(self._shards)))
        start = int(draw.integers(max(self._shards.samples(item) - self._samples, 0) + 1))
        gain = np.float32(10 ** (draw.uniform(self._data.quietest_db, 0) / 20))
        wave = self._shards.audio(item, start, self._samples)
        made = np.stack([wave, self._shards.stems(item, start, self._samples)[ROUGH]]) * gain
        return np.pad(made, ((0, 0), (0, self._samples - len(wave))))


def make_source(config: Config, data: Data) -> Crops:
    """Training data."""
    return Crops(config, data)


def make_game(config: Config, training: Training) -> Game:
    """One player, the network."""
    mel = config.rough.mel

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        wave, rough = batch["wave"], batch[ROUGH]
        told = _bins.told(mel, mel.forward(wave)[..., : wave.shape[-1] // mel.hop_samples])
        return losses(polished(networks["polish"], mel, rough, told), wave, mel, training.windows)

    weights = {"mel": training.mel, "convergence": training.convergence, "magnitude": training.magnitude}
    return Game({"polish": Polish(config)}, {"polish": Player(("polish",), play, weights)}, ("polish",))


def polished(network: nn.Module, mel: Mel, samples: Tensor, told: Tensor) -> Tensor:
    """Samples (B, F * hop) after the network's change, given the magnitudes (B, K, F) that the mel bins tell."""
    spectra = stft(samples, mel.window_samples, mel.hop_samples)[..., : told.shape[-1]]
    answer = network(_spectra.heard(spectra, told)).float()
    changed = _spectra.changed(spectra, told, answer)
    made: Tensor = istft(changed, samples.shape[-1], mel.window_samples, mel.hop_samples)
    return made


def make_export(config: Config, networks: Networks) -> Exportable:
    """The network itself; transforms stay outside of the graph."""
    shape = (2, _spectra.HEARD, config.rough.frequencies, 40)
    example = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return Exportable(networks["polish"], {"planes": example}, ("change",), {"planes": {0: "batch", 3: "frames"}})
