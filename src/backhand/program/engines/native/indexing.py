"""Elements chosen by index: gather, scatter, index_select, masked_fill … and random ones."""

from __future__ import annotations

from typing import Any

import torch

from backhand.program.calls import Scalar, View
from backhand.program.engines.native.copying import write_copy
from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.operands import argument, only
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


def _write_checked_index(writer: Writer, index: str, length: int) -> None:
    """Leave the step where an index is out of range: torch raises there too."""
    writer.line(f"const int64_t at = {index};")
    writer.line(f"if (at < 0 || at >= {length}) return {writer.fault()};")


def write_gather(writer: Writer, operation: Operation) -> None:
    """out[i][j] = input[i][index[i][j]], along any axis."""
    only(writer, operation, "dim", "index")
    source = writer.window(operation.operands[0])
    axis = argument(operation, 1, "dim") % max(len(source.shape), 1)
    index, target = writer.window(argument(operation, 2, "index")), writer.window(operation.target)
    with writer.loops(index.shape) as indices, writer.block():
        _write_checked_index(writer, index.at(*indices), source.shape[axis])
        chosen = [*indices[:axis], "at", *indices[axis + 1 :]]
        writer.line(f"{target.at(*indices)} = {source.at(*chosen)};")


def write_scatter(writer: Writer, operation: Operation) -> None:
    """Out = input, then out[i][index[i][j]] = source[i][j], or += for scatter_add."""
    only(writer, operation, "dim", "index", "src", "value")
    target = writer.window(operation.target)
    write_copy(writer, writer.window(operation.operands[0]), target)
    axis = argument(operation, 1, "dim") % max(len(target.shape), 1)
    index = writer.window(argument(operation, 2, "index"))
    given = argument(operation, 3, "src", operation.keywords.get("value"))
    sign = "+=" if operation.name.startswith("scatter_add") else "="
    with writer.loops(index.shape) as indices, writer.block():
        _write_checked_index(writer, index.at(*indices), target.shape[axis])
        chosen = [*indices[:axis], "at", *indices[axis + 1 :]]
        value = _value(writer, given, target, indices)
        writer.line(f"{target.at(*chosen)} {sign} {value};")


def _value(writer: Writer, given: Any, target: Window, indices: list[str]) -> str:
    if isinstance(given, View):
        return writer.window(given).at(*indices)
    if isinstance(given, int | float | Scalar):
        return writer.number(given, target.dtype)
    raise writer.refuse(f"takes {given!r}")


def write_index_select(writer: Writer, operation: Operation) -> None:
    """out[j] = input[index[j]], along any axis."""
    only(writer, operation, "dim", "index")
    source = writer.window(operation.operands[0])
    axis = argument(operation, 1, "dim") % max(len(source.shape), 1)
    index, target = writer.window(argument(operation, 2, "index")), writer.window(operation.target)
    with writer.loops(target.shape) as indices, writer.block():
        _write_checked_index(writer, index.at(indices[axis]), source.shape[axis])
        chosen = [*indices[:axis], "at", *indices[axis + 1 :]]
        writer.line(f"{target.at(*indices)} = {source.at(*chosen)};")


def write_rows(writer: Writer, operation: Operation) -> None:
    """input[index]: rows by a tensor of their numbers; negative ones count from the end."""
    only(writer, operation)
    given, chosen = operation.operands
    index = chosen[0] if isinstance(chosen, tuple) and len(chosen) == 1 else chosen
    if not isinstance(index, View) or index.dtype is not torch.int64 or not given.shape:
        raise writer.refuse(f"is not written for the index {chosen!r}")
    source, target = writer.window(given), writer.window(operation.target)
    numbers = writer.window(index)
    length, axes = source.shape[0], len(index.shape)
    with writer.loops(target.shape) as indices, writer.block():
        writer.line(f"const int64_t given = {numbers.at(*indices[:axes])};")
        _write_checked_index(writer, f"given < 0 ? given + {length} : given", length)
        writer.line(f"{target.at(*indices)} = {source.at('at', *indices[axes:])};")


def write_index_add(writer: Writer, operation: Operation) -> None:
    """input[index[j]] += alpha · source[j], along any axis, in place."""
    only(writer, operation, "dim", "index", "source", "alpha")
    target = writer.window(operation.target)
    axis = argument(operation, 1, "dim") % max(len(target.shape), 1)
    index = writer.window(argument(operation, 2, "index"))
    source = writer.window(argument(operation, 3, "source"))
    alpha = operation.keywords.get("alpha", 1)
    scale = "" if not isinstance(alpha, Scalar) and alpha == 1 else (
        f"{writer.number(alpha, target.dtype)} * "
    )  # fmt: skip
    with writer.loops(source.shape) as indices, writer.block():
        _write_checked_index(writer, index.at(indices[axis]), target.shape[axis])
        chosen = [*indices[:axis], "at", *indices[axis + 1 :]]
        writer.line(f"{target.at(*chosen)} += {scale}{source.at(*indices)};")


def write_masked_fill(writer: Writer, operation: Operation) -> None:
    """input[mask] = value, in place."""
    only(writer, operation, "mask", "value")
    target = writer.window(operation.target)
    mask = writer.window(argument(operation, 1, "mask")).broadcast(target.shape)
    value = argument(operation, 2, "value")
    with writer.loops(target.shape) as indices:
        text = _value(writer, value, target, [])
        writer.line(f"if ({mask.at(*indices)}) {target.at(*indices)} = {text};")


def write_random(writer: Writer, operation: Operation) -> None:
    """bernoulli_, uniform_, normal_: element e of call c at step s from Philox(key; e, c, s)."""
    only(writer, operation, "p", "from", "to", "mean", "std", "generator")
    target = writer.window(operation.target)
    single = C_TYPES[target.dtype] == "float"
    if C_TYPES[target.dtype] not in ("float", "double"):
        raise writer.refuse("is written for real numbers only")
    numbers = [each for each in operation.operands[1:] if not isinstance(each, View)]
    if len(numbers) != len(operation.operands) - 1:
        raise writer.refuse("takes a tensor of parameters")
    call = writer.draw()
    f, uniform = ("f", "bh_uniform_f") if single else ("", "bh_uniform")
    with writer.block():
        writer.line("uint32_t words[4];")
        writer.line("uint32_t element = 0;")
        with writer.loops(target.shape) as indices, writer.block():
            per_block = 4 if single else 2
            if operation.name == "normal_":
                per_block //= 2
            writer.line(
                f"if (element % {per_block} == 0) "
                f"bh_philox(key, step, {call}, element / {per_block}, words);"
            )
            word = f"words[element % {per_block}]"
            if not single:
                word = f"words[2 * (element % {per_block})], words[2 * (element % {per_block}) + 1]"
            if operation.name == "normal_":
                text = _normal(writer, operation, f, single, target)
            else:
                text = _from_uniform(writer, operation, f"{uniform}({word})", target)
            writer.line(f"{target.at(*indices)} = {text};")
            writer.line("element++;")


def _from_uniform(writer: Writer, operation: Operation, drawn: str, target: Window) -> str:
    dtype = target.dtype
    if operation.name == "bernoulli_":
        share = writer.number(argument(operation, 1, "p", 0.5), dtype)
        return f"{drawn} < {share} ? {writer.literal(1, dtype)} : {writer.literal(0, dtype)}"
    low = argument(operation, 1, "from", 0.0)
    high = argument(operation, 2, "to", 1.0)
    start, end = writer.number(low, dtype), writer.number(high, dtype)
    return f"{start} + ({end} - {start}) * {drawn}"


def _normal(writer: Writer, operation: Operation, f: str, single: bool, target: Window) -> str:
    """By Box and Muller, from two words (or two pairs) each."""
    dtype = target.dtype
    mean = writer.number(argument(operation, 1, "mean", 0.0), dtype)
    deviation = writer.number(argument(operation, 2, "std", 1.0), dtype)
    one, tau = writer.literal(1, dtype), writer.literal(6.283185307179586, dtype)
    if single:
        words = ["words[2 * (element % 2)]", "words[2 * (element % 2) + 1]"]
        drawn = [f"bh_uniform_f({word})" for word in words]
    else:
        drawn = ["bh_uniform(words[0], words[1])", "bh_uniform(words[2], words[3])"]
    radius = f"sqrt{f}({writer.literal(-2, dtype)} * log{f}({one} - {drawn[0]}))"
    return f"{mean} + {deviation} * {radius} * cos{f}({tau} * {drawn[1]})"
