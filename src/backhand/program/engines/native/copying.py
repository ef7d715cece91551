"""Copies: of one array to another, and of parts to where they stand together."""

from __future__ import annotations

from dataclasses import replace

from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.operands import argument
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


def write_copy(writer: Writer, source: Window, target: Window) -> None:
    """Target = source, of the target's shape or broadcast to it."""
    source = source.broadcast(target.shape)
    if source.base == target.base and source.offset == target.offset:
        return
    with writer.loops(target.shape, independent=True) as indices:
        cast = "" if source.dtype is target.dtype else f"({C_TYPES[target.dtype]})"
        writer.line(f"{target.at(*indices)} = {cast}{source.at(*indices)};")


def joined_copies(operation: Operation) -> list[Operation] | None:
    """What puts parts together, cat or stack, as a copy of each; None for what does something
    else, or writes where a part lies."""
    target = operation.target
    if operation.name not in ("cat", "stack") or operation.how != "out":
        return None
    if any(part.storage == target.storage for part in operation.reads()):
        return None
    axis = argument(operation, 1, "dim", 0) % len(target.shape)
    copies, begin = [], 0
    for part in argument(operation, 0, "tensors"):
        offset = target.offset + begin * target.stride[axis]
        if operation.name == "stack":
            shape, stride = _without(target.shape, axis), _without(target.stride, axis)
            begin += 1
        elif part.shape == (0,) and len(target.shape) != 1:  # torch leaves these out
            continue
        else:
            shape, stride = part.shape, target.stride
            begin += part.shape[axis]
        place = replace(target, shape=shape, stride=stride, offset=offset)
        copies.append(
            replace(
                operation, name="copy", how="copy", operands=(part,), keywords={}, targets=(place,)
            )
        )
    return copies


def _without(lengths: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return lengths[:axis] + lengths[axis + 1 :]
