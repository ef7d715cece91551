"""What losses refuse: of their constructors' arguments, and of predictions and targets.

No tensor's values are read for it but those of an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from backhand.arguments import finite, shown
from backhand.losses.loss import Loss

Numbers: TypeAlias = Tensor | Sequence[float] | float
"""Weights, as a constructor takes them."""

REDUCTIONS = ("mean", "sum")


def checked_reduction(loss: Loss, reduction: str, allowed: Sequence[str] = REDUCTIONS) -> str:
    """Refuse a reduction that a loss does not have."""
    if isinstance(reduction, str) and reduction == "none":
        raise ValueError(
            f"{type(loss).__name__}: a loss is one number, and reduction 'none' gives many; "
            "call rows(prediction, target) for the loss of each row"
        )
    if not isinstance(reduction, str) or reduction not in allowed:
        expected = " or ".join(repr(each) for each in allowed)
        raise ValueError(
            f"{type(loss).__name__}: expected reduction {expected}, got {shown(reduction)}"
        )
    return reduction


def above_zero(loss: Loss, name: str, value: Any) -> float:
    """The value as a float, refused where it is not a finite number above 0."""
    number = finite(type(loss).__name__, name, value)
    if number <= 0:
        raise ValueError(f"{type(loss).__name__}: expected {name} above 0, got {value}")
    return number


def expect_mean(loss: Loss, reduction: str) -> None:
    """Refuse rows of a loss that is not their mean."""
    if reduction == "sum":
        raise NotImplementedError(f"{loss!r} has no rows whose mean it is: it is a sum")


def checked_numbers(loss: Loss, name: str, values: Numbers | None) -> Tensor | None:
    """Weights as a tensor of finite numbers, of at most one axis; None where there are none."""
    if values is None:
        return None
    expected = f"{type(loss).__name__}: expected {name} as a number or a vector of finite floats"
    try:
        dtype = None if isinstance(values, Tensor) else torch.float64
        tensor = torch.as_tensor(values, dtype=dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise TypeError(f"{expected}, got {shown(values)}") from None
    if not tensor.is_floating_point() or tensor.dim() > 1 or not tensor.isfinite().all():
        raise ValueError(f"{expected}, got {shown(values)}")
    return tensor.detach()


def fitting(loss: Loss, name: str, weight: Tensor, prediction: Tensor) -> Tensor:
    """A weight for each of the prediction's outputs (or one for all), in its dtype."""
    if weight.dim() == 1 and weight.shape != prediction.shape[-1:]:
        raise ValueError(
            f"{loss!r} expected {name} for {tuple(prediction.shape[-1:])} outputs, "
            f"got {len(weight)}"
        )
    return weight.to(prediction)


def expect_same_shape(loss: Loss, prediction: Tensor, target: Tensor) -> None:
    """Refuse a target that is not of the prediction's shape and dtype, and an empty batch."""
    if prediction.shape != target.shape:
        column = target.shape == prediction.shape[:-1] and prediction.shape[-1:] == (1,)
        raise ValueError(
            f"{loss!r} expected a target of the prediction's shape {tuple(prediction.shape)}, "
            f"got {tuple(target.shape)}" + ("; target[:, None] is a column" if column else "")
        )
    expect_same_dtype(loss, prediction, target)
    expect_rows(loss, prediction)


def expect_same_dtype(loss: Loss, prediction: Tensor, target: Tensor) -> None:
    """Refuse a target that is not of the prediction's dtype."""
    if prediction.dtype is not target.dtype:
        raise TypeError(
            f"{loss!r} expected a target of the prediction's dtype {prediction.dtype}, "
            f"got {target.dtype}"
        )


def expect_rows(loss: Loss, prediction: Tensor) -> None:
    """Refuse an empty batch: there is no mean over it."""
    if prediction.numel() == 0:
        raise ValueError(
            f"{loss!r}: the mean over an empty batch is not defined; "
            f"got a prediction of shape {tuple(prediction.shape)}"
        )
