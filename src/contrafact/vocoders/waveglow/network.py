"""The flow in torch, its likelihood, its training data, and the direction from noise to sound for export.

Shapes: B batch, G channels of a group, S steps (groups), F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from contrafact.audio import Audio
from contrafact.data.sounds import Sounds
from contrafact.nn.wavenet import Upsampler, WaveNetStack
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Networks, Player
from contrafact.vocoders.waveglow import Config


@dataclass(frozen=True)
class Training:
    """Settings of the likelihood.

    Attributes:
        likelihood: weight of the only loss: the negative logarithm of the likelihood a sample, without its constant.
        sigma: deviation of the noise that sound is to become.
    """

    likelihood: float = 1.0
    sigma: float = 1.0


@dataclass(frozen=True)
class Data:
    """Where the sound is and how it is taken.

    Attributes:
        folder: of prepared sound; "" takes the environment's ``CONTRAFACT_SOUNDS``.
        frames: of a training example.
        held_out: items at the end of the collection that are not learned from; their losses are shown.
    """

    folder: str = ""
    frames: int = 62
    held_out: int = 8


class Mixing(nn.Module):
    """A matrix that mixes the channels of every step: at first a random rotation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels))
        rotation[:, 0] *= torch.sign(torch.linalg.det(rotation))
        self.weight = nn.Parameter(rotation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, G, S) mixed, and the logarithm of the matrix's determinant."""
        return self.weight @ x, torch.linalg.slogdet(self.weight)[1]


class Coupling(nn.Module):
    """Scales and shifts the second half of the channels by what it makes of the first half and the condition.

    Its last layer starts at zero, so that it does nothing at first; all others have their weights normalized.
    """

    def __init__(self, half: int, condition: int, config: Config) -> None:
        super().__init__()
        width, dilations = config.channels, [2**layer for layer in range(config.layers)]
        self.start = nn.Conv1d(half, width, 1)
        self.stack = WaveNetStack(width, width, dilations, config.kernel, local=condition, causal=False)
        for module in [m for m in self.modules() if isinstance(m, nn.Conv1d)]:
            parametrizations.weight_norm(module)
        self.end = nn.Conv1d(width, 2 * half, 1)
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)  # type: ignore[arg-type]

    def affine(self, first: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and logarithm of the scale, each (B, half, S)."""
        shift, scale = self.end(self.stack(self.start(first), condition)).chunk(2, dim=1)
        return shift, scale

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(B, G, S) to the same, and the logarithms of the scales."""
        first, second = x.chunk(2, dim=1)
        shift, scale = self.affine(first, condition)
        return torch.cat([first, second * scale.exp() + shift], dim=1), scale

    def inverse(self, x: Tensor, condition: Tensor) -> Tensor:
        """Undo `forward`."""
        first, second = x.chunk(2, dim=1)
        shift, scale = self.affine(first, condition)
        return torch.cat([first, (second - shift) * (-scale).exp()], dim=1)


class WaveGlow(nn.Module):
    """Sound to noise, and back."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        learned, bins = config.upsampling == "transposed", config.representation.bins
        hop = config.representation.hop_samples if learned else config.steps
        self.upsampler = Upsampler(bins, hop, config.upsampling)
        condition = bins * config.group if learned else bins
        self.mixings = nn.ModuleList(Mixing(width) for width in config.widths)
        self.couplings = nn.ModuleList(Coupling(width // 2, condition, config) for width in config.widths)

    def condition(self, features: Tensor) -> Tensor:
        """Features (B, bins, F) at every step: (B, channels, S)."""
        local = self.upsampler(features)
        if self.config.upsampling == "linear":
            return local  # type: ignore[no-any-return]
        folded = local.reshape(*local.shape[:2], -1, self.config.group)  # (B, bins, S, group)
        return folded.permute(0, 1, 3, 2).flatten(1, 2)  # type: ignore[no-any-return]

    def forward(self, features: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Sound to noise.

        Args:
            features: (B, bins, F).
            samples: (B, F * hop_samples).

        Returns:
            noise (B, G, S), and for each of the batch the logarithm of the Jacobian's determinant, (B,).
        """
        config, condition = self.config, self.condition(features)
        x = samples.reshape(len(samples), -1, config.group).transpose(1, 2)
        noise, volume = [], torch.zeros(len(samples), dtype=samples.dtype, device=samples.device)
        for flow, (mixing, coupling) in enumerate(zip(self.mixings, self.couplings, strict=True)):
            if flow and flow % config.early_every == 0:
                noise.append(x[:, : config.early_size])
                x = x[:, config.early_size :]
            x, determinant = mixing(x)
            x, scale = coupling(x, condition)
            volume = volume + scale.sum(dim=(1, 2)) + determinant * x.shape[2]
        return torch.cat([*noise, x], dim=1), volume

    def inverse(self, features: Tensor, noise: Tensor, unmixings: Sequence[Tensor] = ()) -> Tensor:
        """Noise (B, G, S) to sound (B, F * hop_samples).

        Args:
            features: (B, bins, F).
            noise: as `forward` gives it.
            unmixings: inverses of all mixing matrices, where they are known.
        """
        config, condition = self.config, self.condition(features)
        unmixings = unmixings or [torch.linalg.inv(mixing.weight) for mixing in self.mixings]  # type: ignore[arg-type]
        x = noise[:, config.group - config.widths[-1] :]
        for flow in reversed(range(config.flows)):
            x = self.couplings[flow].inverse(x, condition)  # type: ignore[operator]
            x = unmixings[flow] @ x
            if flow and flow % config.early_every == 0:
                before = config.group - config.widths[flow - 1]
                x = torch.cat([noise[:, before : before + config.early_size], x], dim=1)
        return x.transpose(1, 2).flatten(1)


def without_weight_norm(network: WaveGlow) -> WaveGlow:
    """The same network with plain weights; a copy of the modules would share their classes, which hold the norms."""
    plain = WaveGlow(network.config)
    for module in plain.modules():
        if isinstance(module, nn.Conv1d) and parametrize.is_parametrized(module):
            with torch.enable_grad():  # without gradients what is left would be no parameter
                parametrize.remove_parametrizations(module, "weight")
    for name, parameter in plain.named_parameters():
        owner, _, leaf = name.rpartition(".")
        parameter.data = getattr(network.get_submodule(owner), leaf).detach().clone()
    return plain


class Backwards(nn.Module):
    """`WaveGlow.inverse` for export: noise comes as (B, F, hop_samples), and matrices are inverted beforehand."""

    def __init__(self, network: WaveGlow) -> None:
        super().__init__()
        self.network = without_weight_norm(network)
        inverses = (torch.linalg.inv(mixing.weight.detach().double()) for mixing in network.mixings)  # type: ignore[operator]
        self.unmixings = nn.ParameterList(nn.Parameter(inverse.float()) for inverse in inverses)

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """Sound (B, F * hop_samples)."""
        groups = noise.reshape(noise.shape[0], -1, self.network.config.group).transpose(1, 2)
        return self.network.inverse(features, groups, list(self.unmixings))


class Crops:
    """Crops of rendered music with their features."""

    def __init__(self, config: Config, data: Data) -> None:
        self._want, self._data = config.representation, data
        self._sounds = Sounds(data.folder, self._want.sample_rate, data.held_out)

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """``samples`` (size, frames * hop_samples) and ``features`` (size, bins, frames)."""
        return self._examples(draws, size, held_out=False)

    def held_out(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Likewise, of what is held out."""
        return self._examples(draws, size, held_out=True) if self._sounds.held_out else {}

    def _examples(self, draws: Draws, size: int, held_out: bool) -> dict[str, NDArray[Any]]:
        length = self._data.frames * self._want.hop_samples
        samples = np.stack([self._sounds.crop(draws.generator(slot), length, held_out) for slot in range(size)])
        features = self._want.analyse(Audio(samples, self._want.sample_rate))[:, :, : self._data.frames]
        return {"samples": samples, "features": np.ascontiguousarray(features)}


def make_source(config: Config, data: Data) -> Crops:
    """Training data."""
    return Crops(config, data)


def make_game(config: Config, training: Training) -> Game:
    """One player, the flow."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        noise, volume = networks["waveglow"](batch["features"], batch["samples"])
        return {"likelihood": (noise.square().sum() / (2 * training.sigma**2) - volume.sum()) / noise.numel()}

    player = Player(("waveglow",), play, {"likelihood": training.likelihood})
    return Game({"waveglow": WaveGlow(config)}, {"waveglow": player}, ("waveglow",))


def make_export(config: Config, networks: Networks) -> Exportable:
    """The direction from noise to sound."""
    network: WaveGlow = networks["waveglow"]  # type: ignore[assignment]
    draw, frames, hop = np.random.default_rng(0), 6, config.representation.hop_samples
    features = draw.normal(-5, 2, (2, config.representation.bins, frames)).astype(np.float32)
    noise = draw.standard_normal((2, frames, hop), dtype=np.float32)
    axes = {"features": {0: "batch", 2: "frames"}, "noise": {0: "batch", 1: "frames"}}
    return Exportable(Backwards(network), {"features": features, "noise": noise}, ("samples",), axes)
