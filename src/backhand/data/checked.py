"""A data set, and the door where its values are read and checked, once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


class Data(NamedTuple):
    """Inputs and targets, row by row."""

    inputs: Float[Tensor, "rows *features"]
    targets: Shaped[Tensor, "rows ..."]


def check_data(data: tuple[Tensor, Tensor], name: str) -> Data:
    """Refuse a data set that is empty, of unequal lengths, or has a value that is not finite.

    Args:
        data: (inputs, targets), with one row for each example.
        name: what to call it in messages ("train", "test").

    Raises:
        TypeError: not a pair of tensors.
        ValueError: empty, lengths differ, or a NaN or infinity (its first row is named).
    """
    if not (isinstance(data, tuple) and len(data) == 2 and all(_is_tensor(x) for x in data)):
        raise TypeError(f"{name}: expected a pair of tensors (inputs, targets), got {data!r}")
    inputs, targets = data
    if inputs.dim() == 0 or len(inputs) == 0:
        raise ValueError(f"{name}: expected at least one row, got inputs {tuple(inputs.shape)}")
    if targets.dim() == 0 or len(inputs) != len(targets):
        raise ValueError(
            f"{name}: expected one target for each of {len(inputs)} inputs, "
            f"got targets {tuple(targets.shape)}"
        )
    _check_finite(inputs, f"{name} inputs")
    _check_finite(targets, f"{name} targets")
    return Data(inputs, targets)


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _check_finite(values: Tensor, name: str) -> None:
    if values.is_floating_point():
        finite = torch.isfinite(values).reshape(len(values), -1).all(1)
        if not finite.all():
            row = int((~finite).nonzero()[0])
            raise ValueError(f"{name}: row {row} holds a value that is not a finite number")
