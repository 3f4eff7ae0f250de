"""The gated stack of dilated convolutions (van den Oord et al., "WaveNet", 2016), causal or not.

It serves autoregressive vocoders and decoders (causal, kernel 2) and feed-forward networks over waveforms (centred,
kernel 3). Shapes: B batch, C channels, T samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Upsampling = Literal["repeat", "linear", "transposed"]


def dilation_cycle(layers: int, cycle: int) -> tuple[int, ...]:
    """Dilations 1, 2, 4, ... that start again every ``cycle`` layers."""
    return tuple(2 ** (layer % cycle) for layer in range(layers))


def receptive_field(kernel: int, dilations: Sequence[int]) -> int:
    """Samples that one output of a stack sees: 1 + (kernel - 1) * sum of the dilations."""
    return 1 + (kernel - 1) * sum(dilations)


class WaveNetStack(nn.Module):
    """Layers of z = tanh(F*x + c) · sigmoid(G*x + c); each adds a projection of z to x and another to the skips' sum.

    Args:
        residual: channels of x.
        skip: channels of the sum.
        dilations: one a layer.
        kernel: taps of each dilated convolution.
        local: channels of the local condition, 0 for none; projected in every layer (c above).
        style: length of the global condition, 0 for none; projected in every layer, the same at all times.
        causal: whether an output sees the past and present alone; else its field is centred on it.
        last_residual: whether the last layer projects to x too, as some published decoders do, though nothing reads it.
    """

    def __init__(
        self,
        residual: int,
        skip: int,
        dilations: Sequence[int],
        kernel: int = 2,
        *,
        local: int = 0,
        style: int = 0,
        causal: bool = True,
        last_residual: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.causal = kernel, causal
        self.dilations = tuple(dilations)
        layers = len(self.dilations)
        self.dilated = nn.ModuleList(nn.Conv1d(residual, 2 * residual, kernel, dilation=d) for d in self.dilations)
        self.local = nn.ModuleList(nn.Conv1d(local, 2 * residual, 1) for _ in range(layers if local else 0))
        self.style = nn.ModuleList(nn.Linear(style, 2 * residual) for _ in range(layers if style else 0))
        self.skip = nn.ModuleList(nn.Conv1d(residual, skip, 1) for _ in range(layers))
        self.residual = nn.ModuleList(
            nn.Conv1d(residual, residual, 1) for _ in range(layers if last_residual else layers - 1)
        )

    @property
    def receptive_field(self) -> int:
        """Samples that one output sees."""
        return receptive_field(self.kernel, self.dilations)

    def forward(self, x: Tensor, local: Tensor | None = None, style: Tensor | None = None) -> Tensor:
        """Sum of the skips, shape (B, skip, T).

        Args:
            x: shape (B, residual, T).
            local: local condition at the rate of ``x``, shape (B, local, T).
            style: global condition, shape (B, style).

        Raises:
            ValueError: a condition is given that the stack was not built for, or the other way round.
        """
        if (local is not None) != bool(self.local) or (style is not None) != bool(self.style):
            raise ValueError("the stack needs exactly the conditions that it was built for")
        total = torch.zeros((), dtype=x.dtype, device=x.device)
        for layer in range(len(self.dilations)):
            z = self.gate(layer, x, local, style)
            total = total + self.skip[layer](z)
            if layer < len(self.residual):
                x = x + self.residual[layer](z)
        return total

    def gate(self, layer: int, x: Tensor, local: Tensor | None, style: Tensor | None) -> Tensor:
        """The gated activation z of one layer, shape (B, residual, T)."""
        span = (self.kernel - 1) * self.dilations[layer]
        before = span if self.causal else span // 2
        pre = self.dilated[layer](functional.pad(x, (before, span - before)))
        if local is not None:
            pre = pre + self.local[layer](local)
        if style is not None:
            pre = pre + self.style[layer](style)[:, :, None]
        filtered, gated = pre.chunk(2, dim=1)
        return torch.tanh(filtered) * torch.sigmoid(gated)


class Upsampler(nn.Module):
    """Feature frames brought to the rate of the samples: (B, bins, frames) -> (B, bins, frames * hop).

    Args:
        bins: channels of the features.
        hop: samples a frame.
        way: "repeat" holds each frame; "linear" runs straight between the frames' middles; "transposed" is a learned
            transposed convolution whose window spans four hops (the setting of nv-wavenet's trained example: 800 and
            200 samples) and which looks back only.
    """

    WINDOW_HOPS = 4

    def __init__(self, bins: int, hop: int, way: Upsampling = "linear") -> None:
        super().__init__()
        self.hop, self.way = hop, way
        if way == "transposed":
            self.transposed = nn.ConvTranspose1d(bins, bins, self.WINDOW_HOPS * hop, stride=hop)

    def forward(self, frames: Tensor) -> Tensor:
        """The features at every sample."""
        if self.way == "repeat":
            return frames.repeat_interleave(self.hop, dim=2)
        if self.way == "linear":
            return functional.interpolate(frames, scale_factor=float(self.hop), mode="linear", align_corners=False)
        return self.transposed(frames)[:, :, : frames.shape[2] * self.hop]  # type: ignore[no-any-return]
