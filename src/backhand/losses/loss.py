"""Losses: error functions, with a layer's interface but not layers.

A loss is a pure function of (prediction, target). Its value is the mean over the batch, its
`backward` the error dLoss/dPrediction, so that layers only ever sum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import finite, shown
from backhand.constructed import constructor_of, written
from backhand.given import (
    NUMBERS,
    REFUSALS,
    WHOLE_AS_TARGET,
    Given,
    NotNumbers,
    are_tensors,
    in_dtypes,
)
from backhand.values import misfit, outputs_of, rows_of

Numbers: TypeAlias = Tensor | Sequence[float] | float
"""Weights, as a constructor takes them."""

REDUCTIONS = ("mean", "sum")


class Loss:
    """What every loss keeps. An author writes `forward` and `backward`.

    The prediction is what the network puts out, a tensor or a tuple of them; the target is a
    tensor, or a tuple where a loss takes more than one. In a target's place a user may give
    numbers in an array, a list or a data frame (see `as_target`).
    """

    decides_above: float | None = None
    """Where targets are one of two: the prediction above which the higher one is predicted. None
    where the loss does not say."""

    decides_by_largest = False
    """Whether prediction and target may share one among classes: the largest is the one meant."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name in ("forward", "backward", "rows"):
            if name in vars(cls):
                setattr(cls, name, _of_values(vars(cls)[name]))

    def __call__(self, prediction: Any, target: Any) -> Float[Tensor, ""]:
        """The loss, a 0-dim tensor; the same as `forward`."""
        return self.forward(prediction, target)

    def forward(self, prediction: Any, target: Any) -> Float[Tensor, ""]:
        """The loss, a 0-dim tensor."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, prediction: Any, target: Any) -> Any:
        """The error dLoss/dPrediction, of the prediction's shape."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def rows(self, prediction: Any, target: Any) -> Float[Tensor, "*batch"]:
        """Each row's part of the loss; `forward` is their mean. `Weighted` needs it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rows: the loss of each row, which weights need"
        )

    def as_target(
        self,
        given: Given,
        dtype: torch.dtype,
        first: Callable[[], Any],
        known: dict[Any, Any] | None = None,
    ) -> Any:
        """What a user gives as target, as tensors; those that are given stay as they are.

        An array, a list or a data frame of floats becomes a tensor of the prediction's dtype. Whole
        numbers become int64 where the loss takes one row of them so (classes), else floats.

        Args:
            given: the target, or a tuple where the loss takes more than one.
            dtype: of the prediction.
            first: gives the prediction for the first row, where it is needed.
            known: for a caller to keep: the dtypes that were found by trying.

        Raises:
            TypeError: something in it is no number, or its rows differ in length.
        """
        if are_tensors(given):
            return given
        row = functools.cache(first)

        def takes(target: Any) -> bool:
            try:
                self.forward(row(), target)
            except REFUSALS:
                return False
            return True

        try:
            return in_dtypes(given, dtype, takes, WHOLE_AS_TARGET, known)
        except NotNumbers as problem:
            raise TypeError(f"{self!r} expected a target of {NUMBERS}, got {problem}") from None

    def check_values(self, target: Any, outputs: int) -> None:
        """Refuse target values this loss cannot take: read once per data set, not each step.

        Args:
            target: all targets of a data set.
            outputs: the length of the prediction's last axis.

        Raises:
            ValueError: a value is out of range.
        """

    def __repr__(self) -> str:
        arguments = {name: getattr(self, name) for name in constructor_of(self)}
        listed = {
            name: value.tolist() if isinstance(value, Tensor) else value
            for name, value in arguments.items()
        }
        return written(self, listed)


def _of_values(method: Callable[..., Any]) -> Callable[..., Any]:
    """A loss's method, for which a target is its values, whatever autograd knows of it."""

    @functools.wraps(method)
    def on_values(loss: Loss, prediction: Any, target: Any) -> Any:
        if not (
            isinstance(prediction, Tensor)
            and prediction.is_floating_point()
            and prediction.layout is torch.strided
        ):
            _expect_floats(loss, prediction)
        if not isinstance(target, Tensor):
            target = _as_target(loss, prediction, target)
        try:
            return method(loss, prediction, _values(target))
        except (AttributeError, IndexError, RuntimeError) as problem:
            _expect_tensors(loss, prediction, target, problem)
            raise

    return on_values


def _as_target(loss: Loss, prediction: Any, given: Any) -> Any:
    """The target's tensors; what it is where it is no numbers, for a loss may not look at it."""
    first = prediction
    while isinstance(first, tuple) and first:
        first = first[0]
    try:
        return loss.as_target(given, first.dtype, lambda: rows_of(prediction, slice(1)))
    except (TypeError, AttributeError):
        return given


def _expect_floats(loss: Loss, prediction: Any) -> None:
    """Refuse a prediction that is not of floats, a tensor or a tuple of them."""
    found = misfit(prediction)
    if found is not None:
        raise TypeError(f"{loss!r} expected a prediction of dense tensors, got {found}")
    for each in prediction if isinstance(prediction, tuple) else (prediction,):
        if isinstance(each, tuple):
            _expect_floats(loss, each)
        elif not each.is_floating_point():
            raise TypeError(f"{loss!r} expected a prediction of floats, got {each.dtype}")


def _expect_tensors(loss: Loss, prediction: Any, target: Any, problem: Exception) -> None:
    """Say what was wrong with the arguments of a loss that failed: they are looked into, and a
    target out of range is read, only then, for calls are many."""
    if isinstance(problem, NotImplementedError) and type(loss).__name__ in str(problem):
        return  # it has no rows, and says so
    for name, value in (("prediction", prediction), ("target", target)):
        found = misfit(value)
        if found is not None:
            raise TypeError(f"{loss!r} expected a {name} of dense tensors, got {found}")
        if isinstance(problem, AttributeError) and isinstance(value, tuple):
            raise TypeError(f"{loss!r} expected one tensor as {name}, got a tuple of {len(value)}")
    if isinstance(problem, IndexError) or "out of bounds" in str(problem):
        with suppress(RuntimeError):  # nothing can be read while a step is recorded
            loss.check_values(target, outputs_of(prediction))


def _values(target: Any) -> Any:
    if isinstance(target, tuple):
        return tuple(map(_values, target))
    if not isinstance(target, Tensor):
        return target  # for the loss to refuse, unless it does not look at it
    if target.layout is not torch.strided:
        raise RuntimeError(f"got a target of {target.layout}")
    return target.detach()


class Elementwise(Loss):
    """A loss of each element alone, their mean or their sum.

    An author writes `elements` and `slopes`. "none" is no reduction here: a loss is one number;
    `rows` gives those of single rows.

    Args:
        reduction: "mean" over all elements, or "sum"; default "mean".

    Raises:
        ValueError: another reduction; or (at a call) shapes differ, or the batch is empty.
        TypeError: (at a call) dtypes differ.
        NotImplementedError: (at `rows`) the loss is no mean.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = checked_reduction(self, reduction)

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of each element, of the prediction's shape."""
        raise NotImplementedError(f"{type(self).__name__} has no elements")

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The derivative of each element's loss by its prediction."""
        raise NotImplementedError(f"{type(self).__name__} has no slopes")

    def expect(self, prediction: Tensor, target: Tensor) -> None:
        """Refuse a target that does not fit."""
        expect_same_shape(self, prediction, target)

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        self.expect(prediction, target)
        elements = self.elements(prediction, target)
        return elements.mean() if self.reduction == "mean" else elements.sum()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "..."]
    ) -> Float[Tensor, "*batch"]:
        expect_mean(self, self.reduction)
        self.expect(prediction, target)
        return self.elements(prediction, target).mean(-1)

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        self.expect(prediction, target)
        slopes = self.slopes(prediction, target)
        return slopes * (1 / prediction.numel()) if self.reduction == "mean" else slopes


def or_nan(slopes: Tensor, of: Tensor) -> Tensor:
    """The slopes, NaN where what they are slopes of is: a comparison makes a number of it."""
    return torch.where(of == of, slopes, of)


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
