"""Matrix products, gates and roundings of the compiled loop, written as LLVM vector code.

Whether LLVM vectorizes a loop over small matrices depends on its version; vector types do not. A matrix lies with the
weights of one input side by side, so that the innermost loop needs no horizontal sums, and a lone stream reads memory
from end to end. Several streams take `TILE` outputs at a time, while their weights are in the cache.

Weights in float16 are multiplied in float16 with inputs in float16 (sums of `BLOCK` products, which are then added in
float32), or are widened for inputs in float32. numba does not know float16: arrays hold its bits as uint16.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from llvmlite.binding import get_host_cpu_features  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from contrafact.vocoders.wavenet._packed import TILE

# without numba's runtime: nothing is allocated, and counting references to arrays takes longer than a small product
RECKONING: dict[str, Any] = {"nogil": True, "_nrt": False, "cache": True, "fastmath": True, "error_model": "numpy"}
BLOCK = 64
MULTIPLIES_HALVES = bool(get_host_cpu_features().get("avx512fp16"))
_ACCUMULATORS = 8 if get_host_cpu_features().get("avx512vl") else 2  # tiles of sums that the registers hold
_SHAPES = [(1 << s, 1 << t) for s in range(4) for t in range(4) if 1 << s + t <= _ACCUMULATORS]  # streams, tiles
_AHEAD = 16384  # weights; how far ahead of their use the memory is asked for them
_LARGEST_HALF = 65504.0
_BITS = {ir.HalfType(): 16, ir.FloatType(): 32, ir.DoubleType(): 64}

# tanh x = x P(x²) / Q(x²) on |x| <= 8, fitted by reweighted least squares of the relative error (7e-9)
_P = (0.9999999936759613, 0.13444575088621322, 3.5716896564603733e-3, 2.1896179436853127e-5, 1.5232555904127612e-8)
_Q = (1.0, 0.4677790245091613, 0.026164791314274856, 3.411442185956012e-4, 8.523313197492398e-7)
_TANH_LIMIT = 8.0


@njit(**RECKONING)
def add_product(  # type: ignore[no-untyped-def]
    out, out_stride, weights, weights_at, x, x_stride, outputs, inputs, streams
):
    """out[s, :outputs] += x[s, :inputs] times weights (inputs, outputs), where row s begins at s * its stride.

    Every output is summed in the same order, however many streams there are. Returns where the next matrix begins.
    """
    block = min(BLOCK, inputs) if weights.itemsize == 2 else inputs
    at, ahead, pace = weights_at, weights_at + _AHEAD, max(1, TILE * _ACCUMULATORS // streams)
    for i in range(0, inputs, block):
        count, j = min(block, inputs - i), 0
        while j < outputs:
            rows, s = _ACCUMULATORS, 0
            while rows > streams:
                rows //= 2
            tiles = _ACCUMULATORS // rows
            while j + tiles * TILE > outputs:
                tiles //= 2
            while s < streams:
                while rows > streams - s:
                    rows //= 2
                _add_tiles(  # type: ignore[call-arg]
                    (rows, tiles),
                    (out, s * out_stride + j, out_stride),
                    (weights, at + j, outputs),
                    (x, s * x_stride + i, x_stride),
                    count,
                    (ahead, pace),
                )
                ahead, s = ahead + count * pace, s + rows
            j += tiles * TILE
        at += count * outputs
    return at


@njit(**RECKONING)
def put(out, out_at, values, at, count):  # type: ignore[no-untyped-def]
    """out[out_at:] = values[at : at + count], rounded to float16, within its range, where only ``out`` holds it."""
    for j in range(0, count, TILE):
        _put_tile(out, out_at + j, values, at + j)  # type: ignore[call-arg]


@njit(**RECKONING)
def gate(pre, residual, streams):  # type: ignore[no-untyped-def]
    """pre[s, :residual] = their tanh times the logistic function of the rest, which was packed at half its size.

    Within 1e-6 in float32.
    """
    for s in range(streams):
        at = 2 * s * residual
        for r in range(at, at + residual, TILE):
            _gate_tile(pre, r, r + residual)


def _gate_tile(pre: Any, at: int, gate_at: int) -> None:
    """pre[at : at + TILE] = tanh of it * (1 + tanh of pre[gate_at : gate_at + TILE]) / 2."""
    pre[at : at + TILE] = 0.5 * math.tanh(pre[at]) * (1 + math.tanh(pre[gate_at]))


@overload(_gate_tile, jit_options={"fastmath": True, "error_model": "numpy"})
def _(pre, at, gate_at):  # type: ignore[no-untyped-def]
    def by_library(pre, at, gate_at):  # type: ignore[no-untyped-def]
        for r in range(TILE):
            pre[at + r] = math.tanh(pre[at + r]) * (0.5 + 0.5 * math.tanh(pre[gate_at + r]))

    def by_vectors(pre, at, gate_at):  # type: ignore[no-untyped-def]
        _gate_vector(pre, at, gate_at)  # type: ignore[call-arg]

    return by_vectors if pre.dtype == types.float32 else by_library


@intrinsic
def _add_tiles(typing, shape, out, weights, x, inputs, ahead):  # type: ignore[no-untyped-def]
    """out[s, j] += sum over k of weights[k, j] * x[s, k], for ``shape`` streams s and tiles of outputs j.

    Matrices are told as array, place of the first number, and numbers from row to row.
    """

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def unpacked(argument: int) -> list[Any]:
            return [builder.extract_value(args[argument], n) for n in range(len(signature.args[argument]))]

        def matrix(argument: int) -> tuple[Any, Any, Any]:
            array, at, stride = unpacked(argument)
            kind = signature.args[argument][0]
            data = context.make_array(kind)(context, builder, array).data
            scalar = ir.HalfType() if kind.dtype == types.uint16 else context.get_value_type(kind.dtype)
            return scalar, builder.bitcast(data, scalar.as_pointer()), (at, stride)

        (total, out, (out_at, out_stride)), (stored, weights, (weights_at, outputs)), (heard, x, (x_at, x_stride)) = (
            matrix(argument) for argument in (1, 2, 3)
        )
        given, (ahead_at, pace) = unpacked(0), unpacked(5)
        places = [builder.gep(array, [at]) for array, at in ((out, out_at), (weights, weights_at), (x, x_at))]
        for known in _SHAPES:
            wanted = [
                builder.icmp_signed("==", number, ir.Constant(number.type, n))
                for number, n in zip(given, known, strict=True)
            ]
            with builder.if_then(builder.and_(*wanted)):
                function = _product(builder.module, known, total, stored, heard)
                strides = out_stride, outputs, x_stride
                builder.call(function, [*places, *strides, args[4], builder.gep(weights, [ahead_at]), pace])
        return context.get_dummy_value()

    return types.void(shape, out, weights, x, inputs, ahead), emit


def _product(module: Any, shape: tuple[int, int], total: Any, stored: Any, heard: Any) -> Any:
    """A function of its own, so that the innermost loop finds all registers free for addresses and sums."""
    streams, tiles = shape
    kinds = (total, stored, heard)
    name = "_".join(["contrafact_product", *(str(n) for n in (*shape, *(_BITS[kind] for kind in kinds)))])
    if name in module.globals:
        return module.globals[name]
    integer, byte, lane = ir.IntType(64), ir.IntType(8).as_pointer(), ir.IntType(32)
    pointers = [kind.as_pointer() for kind in kinds]
    signature = ir.FunctionType(ir.VoidType(), [*pointers, *[integer] * 4, stored.as_pointer(), integer])
    function = ir.Function(module, signature, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    out, weights, x, out_stride, outputs, x_stride, inputs, ahead, pace = function.args
    totals, columns, sums = (ir.VectorType(kind, TILE) for kind in (total, stored, heard))
    declare: Any = cgutils.get_or_insert_function
    multiply_add = declare(module, ir.FunctionType(sums, [sums] * 3), f"llvm.fmuladd.v{TILE}f{_BITS[heard]}")
    prefetch = declare(module, ir.FunctionType(ir.VoidType(), [byte, *[lane] * 3]), "llvm.prefetch.p0")
    builder = ir.IRBuilder(function.append_basic_block("before"))

    def rows(start: Any, stride: Any) -> list[Any]:
        return [builder.gep(start, [builder.mul(stride, ir.Constant(integer, s))]) for s in range(streams)]

    def tile(start: Any, number: int, kind: Any) -> Any:
        return builder.bitcast(builder.gep(start, [ir.Constant(integer, number * TILE)]), kind.as_pointer())

    def load(place: Any, kind: Any) -> Any:
        value = builder.load(place)
        value.align = _BITS[kind] // 8
        return value

    def widened(value: Any, kind: Any) -> Any:
        return value if value.type == kind else builder.fpext(value, kind)

    def spread(value: Any) -> Any:
        one = builder.insert_element(ir.Constant(sums, ir.Undefined), value, ir.Constant(lane, 0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(lane, TILE), [0] * TILE))

    outs, xs = rows(out, out_stride), rows(x, x_stride)
    before, loop, after = builder.block, builder.append_basic_block("inputs"), builder.append_basic_block("done")
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(integer)
    sofar = [[builder.phi(sums) for _ in range(streams)] for _ in range(tiles)]
    row = builder.gep(weights, [builder.mul(k, outputs)])
    column = [widened(load(tile(row, t, columns), stored), sums) for t in range(tiles)]
    if streams >= 4:  # fewer are bound by the memory: asking for more only keeps them from loading
        place = builder.bitcast(builder.gep(ahead, [builder.mul(k, pace)]), byte)
        builder.call(prefetch, [place, *(ir.Constant(lane, n) for n in (0, 2, 1))])
    inputs_k = [spread(load(builder.gep(at, [k]), heard)) for at in xs]
    added = [
        [builder.call(multiply_add, [column[t], inputs_k[s], sofar[t][s]]) for s in range(streams)]
        for t in range(tiles)
    ]
    following = builder.add(k, ir.Constant(integer, 1))
    zero = ir.Constant(sums, [ir.Constant(heard, 0.0)] * TILE)
    for t in range(tiles):
        for s in range(streams):
            sofar[t][s].add_incoming(zero, before)
            sofar[t][s].add_incoming(added[t][s], loop)
    k.add_incoming(ir.Constant(integer, 0), before)
    k.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, inputs), loop, after)

    builder.position_at_end(after)
    for t in range(tiles):
        for s in range(streams):
            place = tile(outs[s], t, totals)
            value = builder.fadd(load(place, total), widened(added[t][s], totals))
            builder.store(value, place).align = _BITS[total] // 8
    builder.ret_void()
    return function


@intrinsic
def _put_tile(typing, out, out_at, values, at):  # type: ignore[no-untyped-def]
    """out[out_at:] = values[at : at + TILE]; see `put`."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        rounding = signature.args[0].dtype != signature.args[2].dtype

        def place(argument: int) -> Any:
            kind = signature.args[argument]
            data = context.make_array(kind)(context, builder, args[argument]).data
            scalar = ir.HalfType() if kind.dtype == types.uint16 else context.get_value_type(kind.dtype)
            data = builder.gep(builder.bitcast(data, scalar.as_pointer()), [args[argument + 1]])
            return builder.bitcast(data, ir.VectorType(scalar, TILE).as_pointer())

        source, target = place(2), place(0)
        value = builder.load(source)
        value.align = _BITS[value.type.element] // 8
        if rounding:
            declare: Any = cgutils.get_or_insert_function
            for name, limit in (("minnum", _LARGEST_HALF), ("maxnum", -_LARGEST_HALF)):
                kind = ir.FunctionType(value.type, [value.type] * 2)
                clip = declare(builder.module, kind, f"llvm.{name}.v{TILE}f32")
                limits = ir.Constant(value.type, [ir.Constant(value.type.element, limit)] * TILE)
                value = builder.call(clip, [value, limits])
            value = builder.fptrunc(value, target.type.pointee)
        builder.store(value, target).align = _BITS[target.type.pointee.element] // 8
        return context.get_dummy_value()

    return types.void(out, types.intp, values, types.intp), emit


@intrinsic
def _gate_vector(typing, pre, at, gate_at):  # type: ignore[no-untyped-def]
    """As `_gate_tile`, by a rational function, with one division."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        vector = ir.VectorType(ir.FloatType(), TILE)
        declare: Any = cgutils.get_or_insert_function

        def constant(value: float) -> Any:
            return ir.Constant(vector, [ir.Constant(ir.FloatType(), value)] * TILE)

        def call(name: str, *values: Any) -> Any:
            kind = ir.FunctionType(vector, [vector] * len(values))
            function = declare(builder.module, kind, f"llvm.{name}.v{TILE}f32")
            return builder.call(function, values, fastmath=("fast",))

        def polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
            value = constant(coefficients[-1])
            for c in coefficients[-2::-1]:
                value = call("fmuladd", value, x, constant(c))
            return value

        def fraction(place: Any) -> tuple[Any, Any]:
            value = builder.load(place)
            value.align = 4
            x = call("maxnum", call("minnum", value, constant(_TANH_LIMIT)), constant(-_TANH_LIMIT))
            square = builder.fmul(x, x)
            return builder.fmul(x, polynomial(_P, square)), polynomial(_Q, square)

        target, other = (builder.bitcast(builder.gep(data, [place]), vector.as_pointer()) for place in args[1:])
        (top, bottom), (gate_top, gate_bottom) = fraction(target), fraction(other)
        top = builder.fmul(top, builder.fadd(gate_bottom, gate_top))
        bottom = builder.fmul(bottom, builder.fadd(gate_bottom, gate_bottom))
        builder.store(builder.fdiv(top, bottom, flags=("fast",)), target).align = 4
        return context.get_dummy_value()

    return types.void(pre, types.intp, types.intp), emit
