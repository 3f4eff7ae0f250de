"""The network's weights in the order in which the compiled loop reads them, and its memory of the past."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
TILE = 32  # outputs at a time: four registers of AVX2, two of AVX-512, one of AVX-512 in float16
FORESEEN = 16  # steps, of all streams together, for which past taps are multiplied at once
PAGE = 1 << 21  # bytes of a large page
HALF = np.dtype(np.uint16)  # holds the bits of float16


def stored(kind: DTypeLike) -> np.dtype[Any]:
    """What holds weights of this kind."""
    return HALF if np.dtype(kind) == np.float16 else np.dtype(kind)


def summed(kind: DTypeLike) -> np.dtype[Any]:
    """What holds biases, conditions and sums: float32 for float16."""
    return np.dtype(np.float32) if np.dtype(kind) == np.float16 else np.dtype(kind)


class Packed(NamedTuple):
    """Weights for the loop; channel counts are rounded up to multiples of `TILE`, with zeros.

    Attributes:
        table: input rows, (taps, codes, residual): the last of ``taps`` codes takes the last.
        skip_table: the same for a connection from the input to the skips, (taps, codes, skip), or (0, 0, 0).
        past: matrices (inputs, outputs), `stored`: the dilated convolutions' past taps, of each layer from the oldest
            on, gates at half their size.
        weights: the others in the order of their use: of each layer the convolution's last tap, the projections to the
            residual and to the skips; then those of the head, skip to middle and middle to codes.
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
    past: Array
    weights: Array
    residual_bias: Array
    skip_bias: Array
    out_bias: Array
    dilations: Array
    bases: Array
    kernel: int
    middle: int

    @property
    def kind(self) -> np.dtype[Any]:
        """float16, float32 or float64."""
        return np.dtype(np.float16) if self.weights.dtype == HALF else self.weights.dtype

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
        blocks: (layers,), steps for which a layer's past taps are multiplied at once: they divide its dilation, so that
            all of the block has been heard before it begins.
        pre: what enters the gates, of each layer (block, streams, 2 residual), of which the past taps are known ahead;
            layers with a block of one step share the first.
        begins: (layers,), where a layer's part of ``pre`` begins, in steps.
        heard, z: what is multiplied, of the queue's kind.
        x, skips, hidden, logits, odds: what is summed.
        clock: (1,), steps done.
    """

    history: Array
    queue: Array
    blocks: Array
    pre: Array
    begins: Array
    heard: Array
    z: Array
    x: Array
    skips: Array
    hidden: Array
    logits: Array
    odds: Array
    clock: Array


def start(network: Packed, streams: int, silence: int, halves: bool) -> State:
    """The state of streams that have heard nothing yet: zeros in all layers, and the code of silence.

    Args:
        network: its weights.
        streams: how many.
        silence: the code.
        halves: whether inputs are rounded to float16 to be multiplied with weights in float16.
    """
    taps, codes, residual = network.table.shape
    skip, middle, kind = len(network.skip_bias), network.middle, summed(network.kind)
    multiplied = network.weights.dtype if halves else kind
    blocks = np.gcd(network.dilations, 1 << max(1, FORESEEN // streams).bit_length() - 1)
    ends = 1 + np.cumsum(np.where(blocks > 1, blocks, 0))

    def empty(size: int, kind: DTypeLike = kind) -> Array:
        return np.zeros(streams * size, dtype=kind)

    return State(
        history=np.full((streams, taps), silence, dtype=np.int64),
        queue=empty(network.memory * residual, multiplied),
        blocks=blocks,
        pre=empty(int(ends[-1]) * 2 * residual),
        begins=np.where(blocks > 1, ends - blocks, 0),
        heard=empty(max(skip, middle), multiplied),
        z=empty(residual, multiplied),
        x=empty(residual),
        skips=empty(skip),
        hidden=empty(middle),
        logits=empty(codes),
        odds=np.zeros(codes, dtype=kind),
        clock=np.zeros(1, dtype=np.int64),
    )


def by_inputs(matrices: list[Array], kind: DTypeLike) -> Array:
    """Matrices (outputs, inputs) as (inputs, outputs), flat, one behind the other, from the beginning of a large page.

    numpy asks the system for such pages in arrays from 4 MiB on; at any rate no vector lies across two cache lines.
    """
    flat = np.concatenate([matrix.T.astype(kind).ravel() for matrix in matrices]).view(np.uint8)
    space = np.empty((-(-flat.size // PAGE) + 1) * PAGE, np.uint8)
    begin = -space.ctypes.data % PAGE
    space[begin : begin + flat.size] = flat
    return space[begin : begin + flat.size].view(stored(kind))


def rounded(channels: int) -> int:
    """The next multiple of `TILE`."""
    return -(-channels // TILE) * TILE


def padded(weights: Array, *sizes: int) -> Array:
    """``weights`` with zeros behind them along every axis."""
    return np.pad(weights, [(0, size - have) for size, have in zip(sizes, weights.shape, strict=True)])
