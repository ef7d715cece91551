"""Operands of an operation, however they were passed."""

from __future__ import annotations

from typing import Any

from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


def argument(operation: Operation, position: int, name: str, default: Any = None) -> Any:
    """An operand, however it was passed."""
    if len(operation.operands) > position:
        return operation.operands[position]
    return operation.keywords.get(name, default)


def only(writer: Writer, operation: Operation, *names: str) -> None:
    """Refuse keywords that are not written."""
    for name, setting in operation.keywords.items():
        if name not in names and setting is not None:
            raise writer.refuse(f"takes {name}={setting!r}")


def pair(writer: Writer, given: Any, axes: int = 2, nothing: int = 1) -> tuple[int, int]:
    """A number for each axis of an image; for a signal's one axis, `nothing` for the other."""
    if isinstance(given, int):
        given = (given,)
    if not isinstance(given, list | tuple) or not all(isinstance(n, int) for n in given):
        raise writer.refuse(f"takes {given!r}")
    *first, last = tuple(given) * (axes if len(given) == 1 else 1)
    return (first[0] if first else nothing), last


def within_image(height: int, width: int) -> str:
    """C text of whether `at_y` and `at_x` are in an image."""
    return f"at_y >= 0 && at_y < {height} && at_x >= 0 && at_x < {width}"
