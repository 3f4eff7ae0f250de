"""The compiled loop of cached generation: numba around the matrix products of `_products`.

Everything is compiled for sums in float32, with approximations of tanh and exp, and in float64, with those of the C
library.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic, overload

from contrafact.vocoders.wavenet._products import MULTIPLIES_HALVES, RECKONING, add_product, gate, put  # noqa: F401

_LOWEST32 = np.float32(-87.0)
_LOG2E32, _LN2_HIGH32, _LN2_LOW32 = (
    np.float32(1.4426950408889634),
    np.float32(0.693145751953125),
    np.float32(1.42860677e-6),
)
_E32 = tuple(np.float32(1 / math.factorial(k)) for k in range(8))


def exp_of(x: Any) -> Any:
    """Exponential of a number up to 0: within 1e-6, relatively, in float32 above -87."""
    return np.exp(x)


@intrinsic
def _as_float(typing, bits):  # type: ignore[no-untyped-def]
    """The float32 of these 32 bits."""
    return types.float32(types.int32), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.FloatType()
    )


@overload(exp_of, jit_options={"fastmath": True, "error_model": "numpy"})
def _exp(x):  # type: ignore[no-untyped-def]
    if x != types.float32:
        return lambda x: math.exp(x)  # noqa: PLW0108 (numba wants a function of its own)

    def polynomial(x):  # type: ignore[no-untyped-def]
        y = max(x, _LOWEST32)
        power = np.int32(y * _LOG2E32 - np.float32(0.5))
        r = y - np.float32(power) * _LN2_HIGH32 - np.float32(power) * _LN2_LOW32
        top = ((_E32[6] * r + _E32[5]) * r + _E32[4]) * r + _E32[3]
        series = ((top * r + _E32[2]) * r + np.float32(1.0)) * r + np.float32(1.0)
        return series * _as_float(np.int32((power + np.int32(127)) << np.int32(23)))  # type: ignore[call-arg]

    return polynomial


@njit(**RECKONING)
def draw(seed, stream, position):  # type: ignore[no-untyped-def]
    """A number in [0, 1) that follows from its place alone: splitmix64's mixing, once for each word."""
    h = np.uint64(seed)
    for word in (np.uint64(stream), np.uint64(position)):
        h = (h + word) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h = h ^ (h >> np.uint64(31))
    return np.float64(h >> np.uint64(11)) * 2.0**-53


@njit(**RECKONING)
def choose(logits, at, classes, temperature, fraction, odds):  # type: ignore[no-untyped-def]
    """The most likely class at temperature 0, else the class in which ``fraction`` of the odds' running sum falls."""
    highest = logits[at]
    for c in range(classes):
        highest = max(highest, logits[np.uint64(at + c)])
    best = 0
    while logits[at + best] < highest:
        best += 1
    if temperature == 0:
        return best
    inverse = logits.dtype.type(1 / temperature)
    for c in range(classes):
        odds[c] = exp_of((logits[np.uint64(at + c)] - highest) * inverse)
    total = 0.0
    for c in range(classes):
        total += odds[c]
    reached = 0.0
    for c in range(classes):
        reached += odds[c]
        if reached > fraction * total:
            return c
    return best  # rounding: the fraction is just below 1


@njit(**RECKONING)
def add_condition(out, rows, frame, share, streams, begin, width):  # type: ignore[no-untyped-def]
    """out (streams, width) += that part of the frame's rows, with a share of the next frame's."""
    following = min(frame + 1, len(rows) - 1)
    for s in range(streams):
        if share == 0:
            for j in range(width):
                out[np.uint64(s * width + j)] += rows[frame, s, begin + j]
            continue
        for j in range(width):
            step = rows[following, s, begin + j] - rows[frame, s, begin + j]
            out[np.uint64(s * width + j)] += rows[frame, s, begin + j] + share * step


@njit(**RECKONING)
def add_look_up(out, width, table, history, streams):  # type: ignore[no-untyped-def]
    """out[s] += sum over the input's taps of the table's rows for the last codes."""
    for tap in range(history.shape[1]):
        for s in range(streams):
            for r in range(width):
                out[np.uint64(s * width + r)] += table[tap, history[s, tap], r]


@njit(**RECKONING)
def foresee(pre, queue, network, layer, time, streams, block):  # type: ignore[no-untyped-def]
    """pre (block, streams, gates) = what a layer's past taps give for ``block`` steps, all of which the queue holds."""
    residual, taps, dilation = network.residual_bias.shape[1], network.kernel - 1, network.dilations[layer]
    gates, rows = 2 * residual, block * streams
    at = layer * taps * residual * gates
    pre[: rows * gates] = 0
    for tap in range(taps):
        slot = network.bases[layer] + (time + tap * dilation) % (taps * dilation)
        heard = queue[slot * streams * residual :]
        at = add_product(pre, gates, network.past, at, heard, residual, gates, residual, rows)


@njit(**RECKONING)
def add_vector(out, vector, row, width, streams):  # type: ignore[no-untyped-def]
    """out[s] += vector[row]."""
    for s in range(streams):
        for r in range(width):
            out[np.uint64(s * width + r)] += vector[row, r]


@njit(**RECKONING)
def rectify(values):  # type: ignore[no-untyped-def]
    """Negative values become 0."""
    for j in range(len(values)):
        values[j] = max(values[j], values.dtype.type(0))


@njit(**RECKONING)
def spread_vector(out, vector, streams):  # type: ignore[no-untyped-def]
    """out[s] = vector."""
    width = len(vector)
    for s in range(streams):
        for j in range(width):
            out[np.uint64(s * width + j)] = vector[j]


@njit(**RECKONING)
def run_layers(network, state, rows, frame, share, streams):  # type: ignore[no-untyped-def]
    """All gated layers for one step, from x to the skips' sum. Returns where further weights begin."""
    layers, residual = network.residual_bias.shape
    skip, gates = len(network.skip_bias), 2 * residual
    x, z, skips, weights, time = state.x, state.z, state.skips, network.weights, state.clock[0]
    at = 0
    for layer in range(layers):
        step = time % state.blocks[layer]
        pre = state.pre[(state.begins[layer] + step) * streams * gates :]
        if step == 0:
            foresee(pre, state.queue, network, layer, time, streams, state.blocks[layer])
        slot = network.bases[layer] + time % ((network.kernel - 1) * network.dilations[layer])
        heard = state.queue[slot * streams * residual :]
        put(heard, 0, x, 0, streams * residual)
        add_condition(pre, rows, frame, share, streams, layer * gates, gates)
        at = add_product(pre, gates, weights, at, heard, residual, gates, residual, streams)
        gate(pre, residual, streams)
        for s in range(streams):
            put(z, s * residual, pre, s * gates, residual)
        add_vector(x, network.residual_bias, layer, residual, streams)
        at = add_product(x, residual, weights, at, z, residual, residual, residual, streams)
        at = add_product(skips, skip, weights, at, z, residual, skip, residual, streams)
    return at


@njit(**RECKONING)
def run_head(network, state, rows, frame, share, at, streams):  # type: ignore[no-untyped-def]
    """ReLU, 1x1, ReLU, 1x1: from the skips' sum to logits."""
    skip, codes, middle = len(network.skip_bias), len(network.out_bias), len(state.hidden) // streams
    rectify(state.skips)
    put(state.heard, 0, state.skips, 0, len(state.skips))
    state.hidden[:] = 0
    add_condition(state.hidden, rows, frame, share, streams, rows.shape[2] - middle, middle)
    at = add_product(state.hidden, middle, network.weights, at, state.heard, skip, middle, skip, streams)
    rectify(state.hidden)
    put(state.heard, 0, state.hidden, 0, len(state.hidden))
    spread_vector(state.logits, network.out_bias, streams)
    add_product(state.logits, codes, network.weights, at, state.heard, middle, codes, middle, streams)


@njit(**RECKONING)
def hear(network, state, streams):  # type: ignore[no-untyped-def]
    """What the last codes put into the first layer and into the skips' sum."""
    residual, skip = network.residual_bias.shape[1], len(network.skip_bias)
    state.x[:] = 0
    add_look_up(state.x, residual, network.table, state.history, streams)
    spread_vector(state.skips, network.skip_bias, streams)
    if len(network.skip_table) > 0:
        add_look_up(state.skips, skip, network.skip_table, state.history, streams)


@njit(**RECKONING)
def advance(  # type: ignore[no-untyped-def]
    codes, given, network, state, rows, hop, linear, offset, temperature, seed, series, positions
):
    """Draw the next ``codes.shape[1]`` codes of every stream.

    Args:
        codes: (streams, steps), written.
        given: (streams, steps), codes to take instead of drawing, where not negative.
        network: see `Packed`.
        state: see `State`.
        rows: (frames, streams, width), conditions and biases.
        hop: steps a frame.
        linear: whether rows run straight between the frames' middles; ``rows`` then has one more frame at both ends.
        offset: steps of the first frame that are already done.
        temperature: of the draws; 0 takes the likeliest code.
        seed: of the draws.
        series: (streams,), number of each stream's series of draws.
        positions: (streams,), place of the first step in its series.
    """
    streams, steps = codes.shape
    taps, classes = state.history.shape[1], len(network.out_bias)
    for i in range(steps):
        frame, share = (offset + i) // hop, rows.dtype.type(0)
        if linear:
            place = 2 * (offset + i) + 1 + hop
            frame, share = place // (2 * hop), rows.dtype.type((place % (2 * hop)) / (2 * hop))
        hear(network, state, streams)
        at = run_layers(network, state, rows, frame, share, streams)
        run_head(network, state, rows, frame, share, at, streams)
        for s in range(streams):
            code = given[s, i]
            if code < 0:
                fraction = draw(seed, series[s], positions[s] + i)
                code = choose(state.logits, s * classes, classes, temperature, fraction, state.odds)
            codes[s, i] = code
            for tap in range(taps - 1):
                state.history[s, tap] = state.history[s, tap + 1]
            state.history[s, taps - 1] = code
        state.clock[0] += 1
