"""From named weights, as the networks in torch store them, to what the compiled loop reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from contrafact.vocoders.wavenet import CODES
from contrafact.vocoders.wavenet._packed import Array, Packed, by_inputs, padded, rounded, summed

Weights = Mapping[str, NDArray[Any]]
NO_TABLE = np.zeros((0, 0, 0))


def below(weights: Weights, prefix: str) -> dict[str, Array]:
    """The weights whose names begin with ``prefix``, without it, in float64."""
    return {k.removeprefix(prefix): np.asarray(v, np.float64) for k, v in weights.items() if k.startswith(prefix)}


def pack(
    stack: Weights,
    dilations: tuple[int, ...],
    table: Array,
    head: Array,
    out: Array,
    out_bias: Array,
    skip_table: Array = NO_TABLE,
    kind: DTypeLike = np.float32,
) -> Packed:
    """A decoder around a `contrafact.nn.wavenet.WaveNetStack`, packed.

    Args:
        stack: the stack's weights by their names in torch.
        dilations: of its layers.
        table: (taps, codes, residual), what the last codes put into the stack, its biases included.
        head: (middle, skip).
        out: (codes, middle).
        out_bias: (codes,).
        skip_table: (taps, codes, skip), what the last codes add to the skips' sum.
        kind: float16, float32, or float64 for exact comparisons.
    """
    channels, _, kernel = stack["dilated.0.weight"].shape
    layers, residual, skip, middle = len(dilations), rounded(channels // 2), rounded(head.shape[1]), rounded(len(head))
    span = (kernel - 1) * np.array(dilations, dtype=np.int64)
    past: list[Array] = []
    matrices: list[Array] = []
    for layer in range(layers):
        taps = padded(_halves(stack[f"dilated.{layer}.weight"], residual), 2 * residual, residual, kernel)
        past += [taps[:, :, tap] for tap in range(kernel - 1)]
        matrices.append(taps[:, :, -1])
        matrices.append(_square(stack, f"residual.{layer}.weight", residual, residual))
        matrices.append(_square(stack, f"skip.{layer}.weight", skip, residual))
    matrices += [padded(head, middle, skip), padded(out, CODES, middle)]
    x_bias = [_square(stack, f"residual.{i}.bias", residual) for i in range(layers)]
    skip_bias = np.sum([_square(stack, f"skip.{i}.bias", skip) for i in range(layers)], axis=0)
    total = summed(kind)
    return Packed(
        table=padded(table, *table.shape[:2], residual).astype(total),
        skip_table=padded(skip_table, *skip_table.shape[:2], skip if len(skip_table) else 0).astype(total),
        past=by_inputs(past, kind),
        weights=by_inputs(matrices, kind),
        residual_bias=np.stack(x_bias).astype(total),
        skip_bias=skip_bias.astype(total),
        out_bias=np.asarray(out_bias, dtype=total),
        dilations=np.array(dilations, dtype=np.int64),
        bases=np.concatenate([[0], np.cumsum(span)[:-1]]).astype(np.int64),
        kernel=kernel,
        middle=middle,
    )


def _square(stack: Weights, name: str, *sizes: int) -> Array:
    """A 1x1 convolution's weights or biases with zeros behind them; only zeros where the layer has none."""
    if name not in stack:
        return np.zeros(sizes)
    return padded(stack[name].reshape(stack[name].shape[:2][: len(sizes)]), *sizes)


def _halves(values: Array, residual: int) -> Array:
    """(2 R, ...) with each half padded to ``residual``; the gate's is halved, for the logistic function as a tanh."""
    filtered, gated = np.split(values, 2)
    rest = values.shape[1:]
    return np.concatenate([padded(filtered, residual, *rest), padded(gated / 2, residual, *rest)])


@dataclass(frozen=True)
class Conditions:
    """What features add inside every gate and before the last layer: an affine map of each frame.

    Attributes:
        weights: (width, bins), packed order: filters and gates of all layers, then the head.
        bias: (width,), the layers' own biases included.
        hop: samples a frame.
        linear: whether conditions run straight between the frames' middles.
        kind: float32 or float64.
        upsampling: (bins, bins, window) and (bins,), weights and bias of a transposed convolution that brings frames to
            samples; then rows are conditions of samples.
        center, scale: features enter as (features - center) / scale.
    """

    weights: Array
    bias: Array
    hop: int
    linear: bool
    kind: DTypeLike = np.float32
    upsampling: tuple[Array, Array] | None = None
    center: float = 0.0
    scale: float = 1.0

    def rows(self, features: Array, first: int, frames: int) -> Array:
        """Conditions (frames, width) of frames ``first`` onwards; the features' ends go on for ever.

        Where conditions run between frames there is one more frame at both ends.

        Args:
            features: shape (bins, all frames).
            first: may be negative.
            frames: how many, beyond the features' end too.
        """
        if self.upsampling is not None:
            return (self._upsampled(features, first, frames) @ self.weights.T + self.bias).astype(self.kind)
        margin = 1 if self.linear else 0
        wanted = np.arange(first - margin, first + frames + margin)
        return (self._scaled(features, wanted) @ self.weights.T + self.bias).astype(self.kind)

    def _scaled(self, features: Array, wanted: NDArray[np.int64]) -> Array:
        """Those frames, (frames, bins); the features' ends go on for ever."""
        inside = np.clip(wanted, 0, features.shape[1] - 1)
        return (features.T[inside].astype(np.float64) - self.center) / self.scale

    def _upsampled(self, features: Array, first: int, frames: int) -> Array:
        """The transposed convolution of frames ``first`` onwards, (frames * hop, bins); before the song are zeros."""
        assert self.upsampling is not None
        weights, bias = self.upsampling
        bins, _, window = weights.shape
        total = np.zeros((frames, self.hop, bins))
        for back in range(window // self.hop):
            wanted = np.arange(first - back, first - back + frames)
            heard = self._scaled(features, wanted) * (wanted >= 0)[:, None]
            tap = weights[:, :, back * self.hop : (back + 1) * self.hop]
            total += np.tensordot(heard, tap, axes=(1, 0)).transpose(0, 2, 1)
        return (total + bias).reshape(frames * self.hop, bins)


def conditions(
    stack: Weights,
    head_bias: Array,
    hop: int,
    linear: bool,
    style: Array | None = None,
    head: Array | None = None,
    upsampling: tuple[Array, Array] | None = None,
    center: float = 0.0,
    scale: float = 1.0,
    kind: DTypeLike = np.float32,
) -> Conditions:
    """The conditions of a stack and its head.

    Args:
        stack: the stack's weights by their names in torch.
        head_bias: (middle,).
        hop: samples a frame.
        linear: see `Conditions`.
        style: the vector of the style, where the stack takes one.
        head: (middle, bins), what features add before the last layer.
        upsampling, center, scale: see `Conditions`.
        kind: float32 or float64.
    """
    layers = sum(name.startswith("dilated.") and name.endswith(".bias") for name in stack)
    channels = len(stack["dilated.0.bias"]) // 2
    residual, middle = rounded(channels), rounded(len(head_bias))
    bins = stack["local.0.weight"].shape[1] if "local.0.weight" in stack else 0
    rows, biases = [], []
    for layer in range(layers):
        bias = stack[f"dilated.{layer}.bias"]
        if bins:
            rows.append(_halves(stack[f"local.{layer}.weight"][:, :, 0], residual))
            bias = bias + stack[f"local.{layer}.bias"]
        if style is not None:
            bias = bias + stack[f"style.{layer}.weight"] @ style + stack[f"style.{layer}.bias"]
        biases.append(_halves(bias, residual))
    rows.append(np.zeros((middle, bins)) if head is None else padded(head, middle, bins))
    if not bins:
        rows = [np.zeros((2 * residual * layers + middle, 0))]
    return Conditions(
        np.concatenate(rows),
        np.concatenate([*biases, padded(head_bias, middle)]),
        hop,
        linear,
        kind,
        upsampling,
        center,
        scale,
    )
