"""The network, its losses and its training data.

Shapes: B batch, C channels, K frequencies, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data.sounds import Sounds
from contrafact.dsp.stft import stft
from contrafact.representation import Representation
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Networks, Player
from contrafact.vocoders._phase_recovery import first_turns, turned
from contrafact.vocoders.deep_griffin_lim import Config
from contrafact.vocoders.deep_griffin_lim._iteration import deep_round


@dataclass(frozen=True)
class Training:
    """What is to come near to what.

    Attributes:
        rounds: that the network corrects in a training step.
        plain_rounds: of Griffin-Lim that follow before the last measurement.
        convergence: weight of the logarithm of the spectral convergence, measured after the network's rounds, after a
            third of the plain ones, and at the end.
        spectra: weight of the mean distance to the true spectra after each of the network's rounds, later ones more.
    """

    rounds: int = 6
    plain_rounds: int = 24
    convergence: float = 1.0
    spectra: float = 0.0


@dataclass(frozen=True)
class Data:
    """Where the sound is and how it is taken.

    Attributes:
        folder: of prepared sound; "" takes the environment's ``CONTRAFACT_SOUNDS``.
        frames: of a training example.
        start: what the first round gets: "phases", as at inference (a quarter of them random), or the true spectra
            under "noise" of -6 to 12 dB, as in the paper.
        windows: of the transforms in samples, one drawn for each step; their hops are in the representation's
            proportion. Empty for the representation's own.
        held_out: items at the end of the collection that are not learned from; their losses are shown.
    """

    folder: str = ""
    frames: int = 48
    start: Literal["phases", "noise"] = "phases"
    windows: tuple[int, ...] = (1024, 2048)
    held_out: int = 8


class Gated(nn.Module):
    """A convolution, one half of whose channels opens the other half."""

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, 2 * outputs, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(2 * outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, K, F) to (B, outputs, K, F)."""
        value, gate = self.norm(self.convolution(x)).chunk(2, dim=1)
        out: Tensor = value * gate.sigmoid()
        return out


class Corrector(nn.Module):
    """What is seen of a round (B, C, K, F) -> its correction (B, 2, K, F); at first there is none."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, kernel = config.channels, config.kernel
        self.first = Gated(config.seen, width, config.first_kernel, config.batch_norm)
        self.middle = nn.Sequential(
            *(Gated(width, width, kernel, config.batch_norm and not layer) for layer in range(config.layers))
        )
        self.gate = Gated(width, width, kernel) if config.gated_last else nn.Identity()
        self.last = nn.Conv2d(width, 2, kernel, padding=kernel // 2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, seen: Tensor) -> Tensor:
        """The correction."""
        x = self.first(seen)
        out: Tensor = self.last(self.gate(x + self.middle(x)))
        return out


class Crops:
    """Spectra of crops of rendered music, and what the first round gets."""

    def __init__(self, config: Config, data: Data) -> None:
        self._config, self._data = config, data
        self._sounds = Sounds(data.folder, config.representation.sample_rate, data.held_out)

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """``magnitudes`` (size, K, F), ``spectra`` and ``start``, complex; the magnitudes' mean square is 1."""
        return self._examples(draws, size, held_out=False)

    def held_out(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Likewise, of what is held out."""
        return self._examples(draws, size if self._sounds.held_out else 0, held_out=True)

    def _examples(self, draws: Draws, size: int, held_out: bool) -> dict[str, NDArray[Any]]:
        windows = self._data.windows or (self._config.representation.window_samples,)
        config = with_window(self._config, int(draws.generator("window").choice(windows)))
        made = [self._example(draws.generator(slot), config.representation, held_out) for slot in range(size)]
        return {name: np.stack([example[name] for example in made]) for name in made[0]} if made else {}

    def _example(self, draw: np.random.Generator, want: Representation, held_out: bool) -> dict[str, NDArray[Any]]:
        window, hop, frames = want.window_samples, want.hop_samples, self._data.frames
        sound = self._sounds.crop(draw, frames * hop, held_out)
        spectra = stft(sound, window, hop)[:, :frames].astype(np.complex64)
        spectra /= max(float(np.sqrt(np.mean(np.abs(spectra) ** 2))), 1e-6)
        magnitudes = np.ascontiguousarray(np.abs(spectra))
        if self._data.start == "noise":
            noise = draw.standard_normal((*spectra.shape, 2), dtype=np.float32).view(np.complex64)[..., 0] / np.sqrt(2)
            start = spectra + noise * np.float32(10 ** (-draw.uniform(-6, 12) / 20))
        elif draw.random() < 0.25:
            start = magnitudes * turned(draw.random(spectra.shape, dtype=np.float32))
        else:
            start = magnitudes * turned(first_turns(np.ascontiguousarray(magnitudes.T), hop / window)).T
        return {"magnitudes": magnitudes, "spectra": spectra, "start": start.astype(np.complex64)}


def with_window(config: Config, window_samples: int) -> Config:
    """For spectra of another window, with the hop in proportion."""
    want = config.representation
    hop = want.hop_samples * window_samples // want.window_samples
    kind = Representation("stft", want.sample_rate, hop, window_samples // 2 + 1, window_samples=window_samples)
    return replace(config, representation=kind)


def make_source(config: Config, data: Data) -> Crops:
    """Training data."""
    return Crops(config, data)


def make_game(config: Config, training: Training) -> Game:
    """One player, the network that corrects."""
    weights = {"convergence": training.convergence, "spectra": training.spectra}
    weights = {name: weight for name, weight in weights.items() if weight}

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        magnitudes, x = batch["magnitudes"], batch["start"]
        shaped = with_window(config, 2 * (x.shape[1] - 1))
        before, distances = torch.zeros_like(x), []
        for left in range(training.rounds, 0, -1):
            x, before = deep_round(networks["corrector"], x, before, magnitudes, shaped)
            distances.append(torch.view_as_real(x - batch["spectra"]).abs().mean() / left)
        losses = {"spectra": torch.stack(distances).sum()}
        if "convergence" in weights:
            losses["convergence"] = _convergence(x, before, magnitudes, shaped, training.plain_rounds)
        return {name: losses[name] for name in weights}

    return Game({"corrector": Corrector(config)}, {"corrector": Player(("corrector",), play, weights)}, ("corrector",))


def _convergence(x: Tensor, before: Tensor, magnitudes: Tensor, config: Config, rounds: int) -> Tensor:
    """Mean logarithm of the spectral convergence at once, after a third of the rounds, and after all of them."""
    found = []
    for step in range(rounds + 1):
        following, z = deep_round(None, x, before, magnitudes, config)
        if step in (0, rounds // 3, rounds):
            off, whole = (torch.linalg.vector_norm(v, dim=(1, 2)) for v in (z.abs() - magnitudes, magnitudes))
            found.append((off / whole.clamp_min(1e-6) + 1e-6).log().mean())
        x, before = following, z
    return torch.stack(found).mean()


def make_export(config: Config, networks: Networks) -> Exportable:
    """The network itself; transforms stay outside of the graph."""
    example = np.random.default_rng(0).standard_normal((1, config.seen, 20, 16)).astype(np.float32)
    axes = {"seen": {0: "batch", 2: "frequencies", 3: "frames"}}
    return Exportable(networks["corrector"], {"seen": example}, ("answer",), axes)
