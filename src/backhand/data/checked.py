"""A data set, and the door where its values are read and checked, once."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from backhand.values import Value, plain_shape, shape_of, tensors


class Data(NamedTuple):
    """Inputs and targets, row by row: each one tensor (rows, …), or a tuple of them."""

    inputs: Any
    targets: Any


def check_data(data: tuple[Value, Value], name: str) -> Data:
    """Refuse a data set that is empty, of unequal lengths, or has a value that is not finite.

    Args:
        data: (inputs, targets), with one row for each example; a tuple of tensors where the
            network or the loss takes one.
        name: what to call it in messages ("train", "test").

    Raises:
        TypeError: not a pair of tensors, or of tuples of tensors.
        ValueError: empty, lengths differ, or a NaN or infinity (its first row is named).
    """
    if not (isinstance(data, tuple) and len(data) == 2 and all(_is_value(each) for each in data)):
        raise TypeError(f"{name}: expected a pair of tensors (inputs, targets), got {data!r}")
    inputs, targets = data
    rows = _rows(inputs)
    if not rows:
        raise ValueError(f"{name}: expected at least one row, got inputs {_shown(inputs)}")
    if _rows(targets) != rows:
        raise ValueError(
            f"{name}: expected one target for each of {rows} inputs, got targets {_shown(targets)}"
        )
    _check_finite(inputs, f"{name} inputs")
    _check_finite(targets, f"{name} targets")
    return Data(inputs, targets)


def _is_value(each: object) -> bool:
    if isinstance(each, tuple) and each:
        return all(isinstance(part, Tensor) for part in each)
    return isinstance(each, Tensor)


def _rows(value: Value) -> int | None:
    """How many rows every tensor of the value has; None where they disagree or have none."""
    counts = {len(each) if each.dim() else None for each in tensors(value)}
    return counts.pop() if len(counts) == 1 else None


def _shown(value: Value) -> object:
    return plain_shape(shape_of(value))


def _check_finite(values: Value, name: str) -> None:
    for each in tensors(values):
        if each.is_floating_point():
            finite = torch.isfinite(each).reshape(len(each), -1).all(1)
            if not finite.all():
                row = int((~finite).nonzero()[0])
                raise ValueError(f"{name}: row {row} holds a value that is not a finite number")
