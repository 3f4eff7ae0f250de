"""The compiled loop of cached generation: numba, with the matrix products written as LLVM vector code.

Whether LLVM vectorizes a loop over small matrices depends on its version; vector types do not. Weights are packed in
tiles of `TILE` outputs, each tile a row of `TILE` numbers for every input, so that the inner loop reads memory in order
and needs no horizontal sums. All streams of a group take a tile while it is in the cache.

Everything is compiled for float32, with approximations of tanh and exp, and for float64, with those of the C library.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from llvmlite.binding import get_host_cpu_features  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from contrafact.vocoders.wavenet._packed import TILE

_RECKONING: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": True, "error_model": "numpy"}

# tanh x = x P(x²) / Q(x²) on |x| <= 8, fitted by reweighted least squares of the relative error (7e-9)
_P = (0.9999999936759613, 0.13444575088621322, 3.5716896564603733e-3, 2.1896179436853127e-5, 1.5232555904127612e-8)
_Q = (1.0, 0.4677790245091613, 0.026164791314274856, 3.411442185956012e-4, 8.523313197492398e-7)
_P32, _Q32 = (tuple(np.float32(c) for c in row) for row in (_P, _Q))
_LIMIT32, _LOWEST32 = np.float32(8.0), np.float32(-87.0)
_LOG2E32, _LN2_HIGH32, _LN2_LOW32 = (
    np.float32(1.4426950408889634),
    np.float32(0.693145751953125),
    np.float32(1.42860677e-6),
)
_E32 = tuple(np.float32(1 / math.factorial(k)) for k in range(8))


def _tile_product(streams: int) -> Any:
    """out[s, :TILE] += sum over k of weights[k, :TILE] * x[s, k], for that many streams s at once."""

    @intrinsic
    def product(  # type: ignore[no-untyped-def]
        typing, out, out_at, out_stride, weights, weights_at, x, x_at, x_stride, inputs, ahead, pace
    ):
        index = types.intp
        signature = types.void(out, index, index, weights, index, x, index, index, index, index, index)
        return signature, lambda *given: _emit_tile_product(streams, *given)

    return product


def _emit_tile_product(streams: int, context: Any, builder: Any, signature: Any, args: Any) -> Any:
    out, out_at, out_stride, weights, weights_at, x, x_at, x_stride, inputs, ahead, pace = args
    scalar = context.get_value_type(signature.args[0].dtype)
    vector, integer = ir.VectorType(scalar, TILE), ir.IntType(64)
    name = f"llvm.fmuladd.v{TILE}f{32 if scalar == ir.FloatType() else 64}"
    byte = ir.IntType(8).as_pointer()
    prefetch_type = ir.FunctionType(ir.VoidType(), [byte, *[ir.IntType(32)] * 3])
    declare: Any = cgutils.get_or_insert_function
    prefetch = declare(builder.module, prefetch_type, "llvm.prefetch.p0")
    multiply_add = declare(builder.module, ir.FunctionType(vector, [vector] * 3), name)

    def number(value: int) -> Any:
        return ir.Constant(integer, value)

    def pointer(argument: int, array: Any, at: Any) -> Any:
        data = context.make_array(signature.args[argument])(context, builder, array).data
        return builder.gep(data, [at])

    def row(start: Any, stride: Any, stream: int) -> Any:
        return builder.gep(start, [builder.mul(stride, number(stream))])

    def spread(value: Any) -> Any:
        undefined, lane = ir.Constant(vector, ir.Undefined), ir.IntType(32)
        one = builder.insert_element(undefined, value, ir.Constant(lane, 0))
        return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(lane, TILE), [0] * TILE))

    align = context.get_abi_sizeof(scalar)
    sums_at = [
        builder.bitcast(row(pointer(0, out, out_at), out_stride, s), vector.as_pointer()) for s in range(streams)
    ]
    inputs_at = [row(pointer(5, x, x_at), x_stride, s) for s in range(streams)]
    first = pointer(3, weights, weights_at)
    starts = [builder.load(at) for at in sums_at]
    for start in starts:
        start.align = align
    before, loop, after = builder.block, builder.append_basic_block("inputs"), builder.append_basic_block("done")
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(integer)
    sums = [builder.phi(vector) for _ in range(streams)]
    column = builder.load(builder.bitcast(builder.gep(first, [builder.mul(k, number(TILE))]), vector.as_pointer()))
    column.align = align
    soon = builder.add(ahead, builder.mul(k, pace))
    for line in range(2 if streams == 1 else 1):  # a lone stream reads a row of two cache lines in each step
        place = builder.gep(first, [builder.add(soon, number(line * TILE // 2))])
        builder.call(prefetch, [builder.bitcast(place, byte), *(ir.Constant(ir.IntType(32), n) for n in (0, 2, 1))])
    added = [
        builder.call(multiply_add, [column, spread(builder.load(builder.gep(at, [k]))), total])
        for at, total in zip(inputs_at, sums, strict=True)
    ]
    following = builder.add(k, number(1))
    for phi, start, end in [(k, number(0), following), *zip(sums, starts, added, strict=True)]:
        phi.add_incoming(start, before)
        phi.add_incoming(end, loop)
    builder.cbranch(builder.icmp_signed("<", following, inputs), loop, after)

    builder.position_at_end(after)
    for at, total in zip(sums_at, added, strict=True):
        builder.store(total, at).align = align
    return context.get_dummy_value()


_one_stream, _two_streams, _four_streams = (_tile_product(streams) for streams in (1, 2, 4))
_AT_ONCE = 4 if get_host_cpu_features().get("avx512vl") else 2  # streams whose sums the processor's registers hold


@njit(**_RECKONING)
def add_product(  # type: ignore[no-untyped-def]
    out, out_at, out_stride, weights, weights_at, x, x_at, x_stride, outputs, inputs, streams
):
    """out[s, :outputs] += x[s, :inputs] times packed weights, where row s begins at out_at + s * out_stride.

    Returns where the next matrix begins. While a tile is multiplied, each group of streams asks the memory for its
    share of the next one: all matrices together hardly fit a cache that other programs use too.
    """
    share = TILE // ((streams + _AT_ONCE - 1) // _AT_ONCE)
    size, at = TILE * inputs, weights_at
    for j in range(0, outputs, TILE):
        ahead = size
        for s in range(0, streams, _AT_ONCE):
            target, source, left = out_at + s * out_stride + j, x_at + s * x_stride, min(_AT_ONCE, streams - s)
            if left == 4:
                _four_streams(out, target, out_stride, weights, at, x, source, x_stride, inputs, ahead, share)
            elif left > 1:
                _two_streams(out, target, out_stride, weights, at, x, source, x_stride, inputs, ahead, share)
            if left % 2:
                target, source = target + (left - 1) * out_stride, source + (left - 1) * x_stride
                _one_stream(out, target, out_stride, weights, at, x, source, x_stride, inputs, ahead, share)
            ahead += share * inputs
        at += size
    return at


def gated(filtered: Any, gating: Any) -> Any:
    """tanh(filtered) times the logistic function of twice ``gating``: within 1e-6 in float32."""
    return np.tanh(filtered) * (0.5 + 0.5 * np.tanh(gating))


def exp_of(x: Any) -> Any:
    """Exponential of a number up to 0: within 1e-6, relatively, in float32 above -87."""
    return np.exp(x)


@overload(gated, jit_options={"fastmath": True, "error_model": "numpy"})
def _gated(filtered, gating):  # type: ignore[no-untyped-def]
    if filtered != types.float32:
        return lambda filtered, gating: math.tanh(filtered) * (0.5 + 0.5 * math.tanh(gating))

    def rational(filtered, gating):  # type: ignore[no-untyped-def]
        x = min(max(filtered, -_LIMIT32), _LIMIT32)
        y = min(max(gating, -_LIMIT32), _LIMIT32)
        u, v = x * x, y * y
        tanh_top = x * ((((_P32[4] * u + _P32[3]) * u + _P32[2]) * u + _P32[1]) * u + _P32[0])
        tanh_bottom = (((_Q32[4] * u + _Q32[3]) * u + _Q32[2]) * u + _Q32[1]) * u + _Q32[0]
        gate_top = y * ((((_P32[4] * v + _P32[3]) * v + _P32[2]) * v + _P32[1]) * v + _P32[0])
        gate_bottom = (((_Q32[4] * v + _Q32[3]) * v + _Q32[2]) * v + _Q32[1]) * v + _Q32[0]
        return tanh_top * (gate_bottom + gate_top) / (tanh_bottom * (gate_bottom + gate_bottom))  # one division

    return rational


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


@njit(**_RECKONING)
def gate(out, out_at, pre, pre_at, residual):  # type: ignore[no-untyped-def]
    """tanh of the filter half times the logistic function of the gate half, which was packed at half its size."""
    for r in range(residual):
        out[np.uint64(out_at + r)] = gated(pre[np.uint64(pre_at + r)], pre[np.uint64(pre_at + residual + r)])


@njit(**_RECKONING)
def draw(seed, stream, position):  # type: ignore[no-untyped-def]
    """A number in [0, 1) that follows from its place alone: splitmix64's mixing, once for each word."""
    h = np.uint64(seed)
    for word in (np.uint64(stream), np.uint64(position)):
        h = (h + word) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h = h ^ (h >> np.uint64(31))
    return np.float64(h >> np.uint64(11)) * 2.0**-53


@njit(**_RECKONING)
def choose(logits, at, classes, temperature, fraction, odds):  # type: ignore[no-untyped-def]
    """The most likely class at temperature 0, else the class in which ``fraction`` of the odds' running sum falls."""
    best, highest = 0, logits[at]
    for c in range(1, classes):
        if logits[at + c] > highest:
            best, highest = c, logits[at + c]
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


@njit(**_RECKONING)
def set_condition(out, rows, frame, share, streams, begin, width):  # type: ignore[no-untyped-def]
    """out (streams, width) = that part of the frame's rows, with a share of the next frame's."""
    following = min(frame + 1, len(rows) - 1)
    for s in range(streams):
        if share == 0:
            for j in range(width):
                out[np.uint64(s * width + j)] = rows[frame, s, begin + j]
            continue
        for j in range(width):
            step = rows[following, s, begin + j] - rows[frame, s, begin + j]
            out[np.uint64(s * width + j)] = rows[frame, s, begin + j] + share * step


@njit(**_RECKONING)
def look_up(out, stride, column, table, width, history, streams):  # type: ignore[no-untyped-def]
    """out[s, column:] = sum over the input's taps of the table's rows for the last codes."""
    for s in range(streams):
        for r in range(width):
            out[np.uint64(s * stride + column + r)] = 0
    for tap in range(history.shape[1]):
        for s in range(streams):
            for r in range(width):
                out[np.uint64(s * stride + column + r)] += table[tap, history[s, tap], r]


@njit(**_RECKONING)
def add_look_up(out, width, table, history, streams):  # type: ignore[no-untyped-def]
    """out[s] += sum over the input's taps of the table's rows for the last codes."""
    for tap in range(history.shape[1]):
        for s in range(streams):
            for r in range(width):
                out[np.uint64(s * width + r)] += table[tap, history[s, tap], r]


@njit(**_RECKONING)
def pass_queue(x, queue, base, residual, kernel, dilation, streams, time):  # type: ignore[no-untyped-def]
    """Put what the layer heard ``dilation`` steps ago (and before) in front of x, and keep x in its place."""
    span = (kernel - 1) * dilation
    width = kernel * residual
    for tap in range(kernel - 1):
        slot = base + (time + tap * dilation) % span * streams * residual
        for s in range(streams):
            for r in range(residual):
                x[np.uint64(s * width + tap * residual + r)] = queue[np.uint64(slot + s * residual + r)]
    slot = base + time % span * streams * residual
    for s in range(streams):
        for r in range(residual):
            queue[np.uint64(slot + s * residual + r)] = x[np.uint64(s * width + width - residual + r)]


@njit(**_RECKONING)
def add_vector(out, stride, column, vector, row, width, streams):  # type: ignore[no-untyped-def]
    """out[s, column:] += vector[row]."""
    for s in range(streams):
        for r in range(width):
            out[np.uint64(s * stride + column + r)] += vector[row, r]


@njit(**_RECKONING)
def rectify(values):  # type: ignore[no-untyped-def]
    """Negative values become 0."""
    for j in range(len(values)):
        values[j] = max(values[j], values.dtype.type(0))


@njit(**_RECKONING)
def spread_vector(out, vector, streams):  # type: ignore[no-untyped-def]
    """out[s] = vector."""
    width = len(vector)
    for s in range(streams):
        for j in range(width):
            out[np.uint64(s * width + j)] = vector[j]


@njit(**_RECKONING)
def run_layers(network, state, rows, frame, share, streams):  # type: ignore[no-untyped-def]
    """All gated layers for one step, from x to the skips' sum. Returns where further weights begin."""
    layers, residual = network.residual_bias.shape
    kernel, skip, gates = network.kernel, len(network.skip_bias), 2 * residual
    width = kernel * residual
    column = width - residual
    x, pre, z, skips, weights = state.x, state.pre, state.z, state.skips, network.weights
    at = 0
    for layer in range(layers):
        base, dilation = network.bases[layer] * streams * residual, network.dilations[layer]
        pass_queue(x, state.queue, base, residual, kernel, dilation, streams, state.clock[0])
        set_condition(pre, rows, frame, share, streams, layer * gates, gates)
        at = add_product(pre, 0, gates, weights, at, x, 0, width, gates, width, streams)
        for s in range(streams):
            gate(z, s * residual, pre, s * gates, residual)
        add_vector(x, width, column, network.residual_bias, layer, residual, streams)
        at = add_product(x, column, width, weights, at, z, 0, residual, residual, residual, streams)
        at = add_product(skips, 0, skip, weights, at, z, 0, residual, skip, residual, streams)
    return at


@njit(**_RECKONING)
def run_head(network, state, rows, frame, share, at, streams):  # type: ignore[no-untyped-def]
    """ReLU, 1x1, ReLU, 1x1: from the skips' sum to logits."""
    skip, codes, middle = len(network.skip_bias), len(network.out_bias), len(state.hidden) // streams
    rectify(state.skips)
    set_condition(state.hidden, rows, frame, share, streams, rows.shape[2] - middle, middle)
    at = add_product(state.hidden, 0, middle, network.weights, at, state.skips, 0, skip, middle, skip, streams)
    rectify(state.hidden)
    spread_vector(state.logits, network.out_bias, streams)
    add_product(state.logits, 0, codes, network.weights, at, state.hidden, 0, middle, codes, middle, streams)


@njit(**_RECKONING)
def hear(network, state, streams):  # type: ignore[no-untyped-def]
    """What the last codes put into the first layer and into the skips' sum."""
    residual, skip = network.residual_bias.shape[1], len(network.skip_bias)
    width = network.kernel * residual
    look_up(state.x, width, width - residual, network.table, residual, state.history, streams)
    spread_vector(state.skips, network.skip_bias, streams)
    if len(network.skip_table) > 0:
        add_look_up(state.skips, skip, network.skip_table, state.history, streams)


@njit(**_RECKONING)
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
