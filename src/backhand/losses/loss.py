"""Losses: error functions, with a layer's interface but not layers.

A loss is a pure function of (prediction, target). Its value is the mean over the batch, its
`backward` the error dLoss/dPrediction, so that layers only ever sum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

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
