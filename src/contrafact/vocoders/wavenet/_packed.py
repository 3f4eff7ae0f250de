"""The network's weights in the order in which the compiled loop reads them, and its memory of the past."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
TILE = 32  # outputs at a time: four registers of AVX2, times two streams, or four with AVX-512


class Packed(NamedTuple):
    """Weights for the loop; channel counts are rounded up to multiples of `TILE`, with zeros.

    Attributes:
        table: input rows, (taps, codes, residual): the last of ``taps`` codes takes the last.
        skip_table: the same for a connection from the input to the skips, (taps, codes, skip), or (0, 0, 0).
        weights: all matrices as `tiled`, in the order of their use: of each layer the convolution (inputs are the taps
            from the oldest on, gates at half their size), the projections to the residual and to the skips; then those
            of the head, skip to middle and middle to codes.
        residual_bias: (layers, residual).
        skip_bias: (skip,), of all layers together.
        out_bias: (codes,).
        dilations: (layers,), samples.
        bases: (layers,), where a layer's ring buffer begins, for one stream and channel.
        kernel: taps of the dilated convolutions.
        middle: channels before the last layer.
    """

    table: Array
    skip_table: Array
    weights: Array
    residual_bias: Array
    skip_bias: Array
    out_bias: Array
    dilations: Array
    bases: Array
    kernel: int
    middle: int

    @property
    def row_width(self) -> int:
        """Numbers that a frame's conditions take: two for every residual channel of every layer, and the head's."""
        return 2 * self.residual_bias.size + self.middle

    @property
    def memory(self) -> int:
        """Samples that all layers' ring buffers hold together."""
        return (self.kernel - 1) * int(self.dilations.sum())


class State(NamedTuple):
    """What a group of streams remembers, and the loop's buffers; made by `start`.

    Attributes:
        history: (streams, taps), the last codes.
        queue: all layers' ring buffers.
        x, pre, z, skips, hidden, logits, odds: buffers.
        clock: (1,), steps done.
    """

    history: Array
    queue: Array
    x: Array
    pre: Array
    z: Array
    skips: Array
    hidden: Array
    logits: Array
    odds: Array
    clock: Array


def start(network: Packed, streams: int, silence: int) -> State:
    """The state of streams that have heard nothing yet: zeros in all layers, and the code of silence."""
    taps, codes, residual = network.table.shape
    kind = network.table.dtype

    def empty(size: int) -> Array:
        return np.zeros(streams * size, dtype=kind)

    return State(
        history=np.full((streams, taps), silence, dtype=np.int64),
        queue=empty(network.memory * residual),
        x=empty(network.kernel * residual),
        pre=empty(2 * residual),
        z=empty(residual),
        skips=empty(len(network.skip_bias)),
        hidden=empty(network.middle),
        logits=empty(codes),
        odds=np.zeros(codes, dtype=kind),
        clock=np.zeros(1, dtype=np.int64),
    )


def tiled(weights: Array, kind: DTypeLike) -> Array:
    """(outputs, inputs) as (outputs / TILE, inputs, TILE), flat; outputs must be a multiple of `TILE`."""
    outputs, inputs = weights.shape
    return np.ascontiguousarray(weights.reshape(outputs // TILE, TILE, inputs).transpose(0, 2, 1), dtype=kind).ravel()


def rounded(channels: int) -> int:
    """The next multiple of `TILE`."""
    return -(-channels // TILE) * TILE


def padded(weights: Array, *sizes: int) -> Array:
    """``weights`` with zeros behind them along every axis."""
    return np.pad(weights, [(0, size - have) for size, have in zip(sizes, weights.shape, strict=True)])
