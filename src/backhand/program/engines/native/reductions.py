"""Reductions along axes: sums, means, largest and smallest, softmax, logsumexp, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from backhand.program.calls import View
from backhand.program.engines.native.layout import C_TYPES, REAL, Window, coalesce
from backhand.program.engines.native.operands import argument, only
from backhand.program.engines.native.product import MatrixProduct
from backhand.program.engines.native.products import write_sums
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


def _axes(given: Any, dimensions: int) -> list[int]:
    if given is None or given == [] or given == ():
        return list(range(dimensions))
    chosen = given if isinstance(given, list | tuple) else [given]
    return sorted(axis % dimensions if dimensions else 0 for axis in chosen)


class _Split:
    """An input's axes: those kept, with the target's strides, and those reduced.

    has_last: whether the last axis is among those reduced.
    """

    def __init__(self, writer: Writer, operation: Operation, source: View) -> None:
        self.source = writer.window(source)
        target = writer.window(operation.target)
        shape = source.shape
        axes = _axes(argument(operation, 1, "dim"), len(shape)) if shape else []
        kept = [axis for axis in range(len(shape)) if axis not in axes]
        steps = list(target.stride)
        if len(target.shape) == len(shape) and len(kept) != len(shape):
            steps = [steps[axis] for axis in kept]
        kept_shape = [shape[axis] for axis in kept]
        self.has_last = len(shape) - 1 in axes
        self.reduced = math.prod(shape[axis] for axis in axes)
        lengths, (ins, outs) = coalesce(kept_shape, [[source.stride[axis] for axis in kept], steps])
        over, (over_steps,) = coalesce(
            [shape[axis] for axis in axes], [[source.stride[axis] for axis in axes]]
        )
        self.kept, self.kept_in, self.kept_out = lengths, ins, outs
        self.over, self.over_in = over, over_steps
        self.input = replace(self.source, shape=(*lengths, *over), stride=(*ins, *over_steps))
        self.output = replace(target, shape=tuple(lengths), stride=tuple(outs))


def write_sum(writer: Writer, operation: Operation) -> None:
    """Sum and mean: a product with ones."""
    only(writer, operation, "dim", "keepdim", "dtype")
    source = operation.operands[0]
    if source.dtype not in REAL or operation.target.dtype is not source.dtype:
        _write_fold(writer, operation, "0", lambda total, value: f"{total} + {value}")
        return
    split = _Split(writer, operation, source)
    divisor = writer.literal(split.reduced, source.dtype) if operation.name == "mean" else None
    one = writer.literal(1, source.dtype)

    def ones(shape: tuple[int, int]) -> Window:
        return Window("", shape, (0, 0), 0, source.dtype, one)

    # One kept axis and one summed axis at a time; more of them are walked by loops outside.
    outer = split.kept[:-1]
    n, n_in, n_out = (
        (split.kept[-1], split.kept_in[-1], split.kept_out[-1]) if split.kept else (1, 0, 0)
    )
    if len(split.over) > 1:
        _write_sum_over_axes(writer, operation, split, divisor)
        return
    k, k_in = (split.over[0], split.over_in[0]) if split.over else (split.reduced, 0)
    with writer.loops(outer) as indices:
        data, out = split.input, split.output
        for index in indices:
            data = data.without_axis(0, index)
            out = out.without_axis(0, index)
        right = replace(data, shape=(k, n), stride=(k_in, n_in))
        result = replace(out, shape=(1, n), stride=(0, n_out))
        write_sums(
            writer, MatrixProduct(result, ones((1, k)), right, divisor=divisor), split.has_last
        )


def _write_sum_over_axes(
    writer: Writer, operation: Operation, split: _Split, divisor: str | None
) -> None:
    """Sums over axes that are not one: vectors along the last, where its elements lie so."""
    dtype, length = operation.target.dtype, split.over[-1]
    width = writer.width(dtype, length)
    if width == 1 or split.over_in[-1] != 1:
        _write_fold(writer, operation, "0", lambda total, value: f"{total} + {value}", divisor)
        return
    kind = f"{C_TYPES[dtype]}_{width}"
    whole = length - length % width
    with writer.loops(split.kept) as outer, writer.block():
        writer.line(f"{kind} total = {{0}};")
        writer.line(f"{C_TYPES[dtype]} rest = 0;")
        with writer.loops(split.over[:-1]) as inner, writer.block():
            row = split.input.at(*outer, *inner, "0")
            writer.line(f"const {C_TYPES[dtype]} *const row = &{row};")
            writer.line(
                f"for (int x = 0; x < {whole}; x += {width}) total += BH_LOAD({kind}, row + x);"
            )
            writer.line(f"for (int x = {whole}; x < {length}; x++) rest += row[x];")
        folded = "total"
        while width > 1:
            folded = f"fold_{C_TYPES[dtype]}_{width}({folded})"
            width //= 2
        result = f"({folded} + rest)"
        writer.line(
            f"{split.output.at(*outer)} = {f'{result} / {divisor}' if divisor else result};"
        )


def _write_fold(
    writer: Writer,
    operation: Operation,
    start: str,
    combine: Callable[[str, str], str],
    divisor: str | None = None,
) -> None:
    """Total = combine(total, value) over the reduced axes; `start` may be the first value."""
    split = _Split(writer, operation, operation.operands[0])
    dtype = operation.target.dtype
    with writer.loops(split.kept) as outer, writer.block():
        first = split.input.at(*outer, *["0"] * len(split.over))
        writer.line(f"{C_TYPES[dtype]} total = {first if start == 'first' else start};")
        with writer.loops(split.over) as inner, writer.block():
            writer.line(f"const {C_TYPES[dtype]} value = {split.input.at(*outer, *inner)};")
            writer.line(f"total = {combine('total', 'value')};")
        result = f"total / {divisor}" if divisor else "total"
        writer.line(f"{split.output.at(*outer)} = {result};")


def write_extreme(writer: Writer, operation: Operation) -> None:
    """Amax and amin; NaN where there is one."""
    only(writer, operation, "dim", "keepdim")
    sign = ">" if operation.name == "amax" else "<"
    _write_fold(
        writer,
        operation,
        "first",
        lambda total, value: f"{value} {sign} {total} || {value} != {value} ? {value} : {total}",
    )


def write_place_of_extreme(writer: Writer, operation: Operation) -> None:
    """Argmax and argmin: the first of the largest; of the first NaN, where there is one."""
    only(writer, operation, "dim", "keepdim")
    source = operation.operands[0]
    split = _Split(writer, operation, source)
    if len(split.over) > 1:
        raise writer.refuse("is written for axes that lie side by side")
    sign = ">" if operation.name == "argmax" else "<"
    with writer.loops(split.kept) as outer, writer.block():
        writer.line("int64_t place = 0;")
        first = split.input.at(*outer, *["0"] * len(split.over))
        writer.line(f"{C_TYPES[source.dtype]} best = {first};")
        with writer.loops(split.over) as inner, writer.block():
            writer.line(f"const {C_TYPES[source.dtype]} value = {split.input.at(*outer, *inner)};")
            writer.line(
                f"if (best == best && (value {sign} best || value != value)) "
                f"{{ best = value; place = {inner[0] if inner else '0'}; }}"
            )
        writer.line(f"{split.output.at(*outer)} = place;")


def _one_axis(writer: Writer, operation: Operation) -> tuple[View, int]:
    source = operation.operands[0]
    given = argument(operation, 1, "dim")
    axes = _axes(given, len(source.shape))
    if len(axes) != 1 or source.dtype not in REAL or source.dtype is not operation.target.dtype:
        raise writer.refuse("is written for one axis of real numbers")
    return source, axes[0]


def _suffix(dtype: torch.dtype) -> str:
    return "_f" if dtype is torch.float32 else ""


def _largest(writer: Writer, data: Window, length: int) -> None:
    """Declare `largest`, along a vector."""
    writer.line(f"{C_TYPES[data.dtype]} largest = {data.at('0')};")
    with writer.loops([length]) as (i,):
        writer.line(f"largest = bh_maximum{_suffix(data.dtype)}(largest, {data.at(i)});")


def write_softmax(writer: Writer, operation: Operation) -> None:
    """eˣ / Σ eˣ along one axis, with the largest taken from each x first."""
    only(writer, operation, "dim", "dtype")
    source, axis = _one_axis(writer, operation)
    length = source.shape[axis]
    if source.count == 0:
        return
    type_, suffix = C_TYPES[source.dtype], _suffix(source.dtype)
    with _rows(writer, source, operation.target, axis) as (data, out):
        _largest(writer, data, length)
        writer.line(f"{type_} total = 0;")
        with writer.loops([length], independent=True) as (i,):
            writer.line(f"{out.at(i)} = bh_exp{suffix}({data.at(i)} - largest);")
        with writer.loops([length]) as (i,):
            writer.line(f"total += {out.at(i)};")
        with writer.loops([length], independent=True) as (i,):
            writer.line(f"{out.at(i)} /= total;")


def write_log_softmax(writer: Writer, operation: Operation) -> None:
    """X - log Σ eˣ along one axis, with the largest taken from each x first."""
    only(writer, operation, "dim", "dtype")
    source, axis = _one_axis(writer, operation)
    length = source.shape[axis]
    if source.count == 0:
        return
    type_, suffix = C_TYPES[source.dtype], _suffix(source.dtype)
    log = "logf" if source.dtype is torch.float32 else "log"
    with _rows(writer, source, operation.target, axis) as (data, out):
        _largest(writer, data, length)
        writer.line(f"{type_} total = 0;")
        with writer.loops([length]) as (i,):
            writer.line(f"total += bh_exp{suffix}({data.at(i)} - largest);")
        writer.line(f"total = {log}(total);")
        with writer.loops([length], independent=True) as (i,):
            writer.line(f"{out.at(i)} = ({data.at(i)} - largest) - total;")


def write_logsumexp(writer: Writer, operation: Operation) -> None:
    """Log Σ eˣ along one axis, formed so that it does not overflow."""
    only(writer, operation, "dim", "keepdim")
    source, axis = _one_axis(writer, operation)
    length = source.shape[axis]
    type_, suffix = C_TYPES[source.dtype], _suffix(source.dtype)
    target = operation.target
    if len(target.shape) < len(source.shape):  # as if the axis had been kept
        target = replace(
            target,
            shape=(*target.shape[:axis], 1, *target.shape[axis:]),
            stride=(*target.stride[:axis], 0, *target.stride[axis:]),
        )
    with _rows(writer, source, target, axis) as (data, out):
        _largest(writer, data, length)
        # An infinite largest is not subtracted: it would make NaN of an infinity.
        writer.line("if (largest - largest != 0 && largest == largest) largest = 0;")
        writer.line(f"{type_} total = 0;")
        with writer.loops([length]) as (i,):
            writer.line(f"total += bh_exp{suffix}({data.at(i)} - largest);")
        log = "logf" if source.dtype is torch.float32 else "log"
        writer.line(f"{out.at('0')} = {log}(total) + largest;")


def write_running_sum(writer: Writer, operation: Operation) -> None:
    """Cumsum."""
    only(writer, operation, "dim")
    source, axis = _one_axis(writer, operation)
    if source.count == 0:
        return
    with _rows(writer, source, operation.target, axis) as (data, out):
        writer.line(f"{C_TYPES[source.dtype]} total = 0;")
        with writer.loops([source.shape[axis]]) as (i,):
            writer.line(f"total += {data.at(i)};")
            writer.line(f"{out.at(i)} = total;")


class _rows:
    """Loops over all axes but one; gives both arrays as vectors along that one."""

    def __init__(self, writer: Writer, source: View, target: View, axis: int) -> None:
        self.writer = writer
        self.arrays = writer.window(source), writer.window(target)
        self.axis = axis
        self.shape = [n for at, n in enumerate(source.shape) if at != axis]

    def __enter__(self) -> tuple[Window, Window]:
        self.loops = self.writer.loops(self.shape)
        indices = self.loops.__enter__()
        self.block = self.writer.block()
        self.block.__enter__()
        vectors = []
        for array in self.arrays:
            for index in indices[: self.axis]:
                array = array.without_axis(0, index)
            for index in indices[self.axis :]:
                array = array.without_axis(1, index)
            vectors.append(array)
        return vectors[0], vectors[1]

    def __exit__(self, *problem: object) -> None:
        self.block.__exit__(None, None, None)
        self.loops.__exit__(None, None, None)
