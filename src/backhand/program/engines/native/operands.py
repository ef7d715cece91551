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
