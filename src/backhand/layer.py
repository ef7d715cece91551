"""Layer: the contract every layer keeps.

The law: forward changes nothing; backward is the only place where anything changes;
the outermost backward settles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from backhand.arguments import checked_rate, shown
from backhand.constructed import constructor_of, written
from backhand.given import (
    NUMBERS,
    REFUSALS,
    WHOLE_AS_INPUT,
    Given,
    NotNumbers,
    are_tensors,
    in_dtypes,
)
from backhand.layer_expectations import LayerError, LayerExpectations
from backhand.layer_tree import LayerTree
from backhand.learning.parameter import Parameter
from backhand.learning.settling import settled_after
from backhand.values import (
    Shape,
    Value,
    aligned_all,
    dtype_of,
    ordinary,
    plain_shape,
    shape_of,
)
from backhand.waiting import wait_without_spinning

__all__ = ["Layer", "LayerError", "forward_of"]


class Layer(LayerTree, LayerExpectations):
    """A function with weights, and its derivative, both written by hand.

    An author writes `forward` and `propagate`. A user calls the layer, then `backward`;
    `predict` is for use after training. One tensor, or a tuple of them, goes in and comes out; a
    user may give numbers in an array, a list or a data frame in a tensor's place (see `as_input`).
    """

    last_input: Value | None = None
    """The input of the last call (not of `predict`); None before the first."""

    _awaiting_backward: tuple[Any, Shape, Any] | None = None

    passing = frozenset({"last_input", "_awaiting_backward"})
    """Attributes that go from call to call. A recorded step depends on all others of a layer, and
    of whatever hangs there; a class that keeps more of the kind names it likewise."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if isinstance(value, Parameter):
            value.note_place()

    # What an author of a layer writes.

    def forward(self, input: Any, training: bool) -> tuple[Any, Any]:
        """Return the output and the memory that `propagate` will need. Changes nothing."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def propagate(self, error: Any, memory: Any, learning_rate: float) -> Any:
        """Form the input error from the old weights, then learn, then return the input error.

        Args:
            error: dLoss/dOutput, of the output's shape; never written to.
            memory: what `forward` returned beside the output.
            learning_rate: passed on to every parameter's `learn…`.

        Returns:
            dLoss/dInput, of the input's shape; None for an input without a derivative.
        """
        raise NotImplementedError(f"{type(self).__name__} has no propagate")

    # What a user calls.

    def __call__(self, input: Given) -> Any:
        """The forward half of a training step: returns the output, keeps what backward needs."""
        self._awaiting_backward = None  # whatever happens, not the call before
        wait_without_spinning()
        input = self.as_input(input)
        output, memory = forward_of(self, self.settled_input(input), True)
        self.last_input = input
        self._awaiting_backward = (memory, shape_of(output), dtype_of(output))
        return output

    def backward(self, error: Given, learning_rate: float | Tensor) -> Any:
        """Pass the error back through the last call, learning on the way.

        Args:
            error: dLoss/dOutput of the last call, of its output's shape; numbers that are no
                tensor become one of its output's dtype.
            learning_rate: finite, at least 0; a number, or a tensor of one.

        Returns:
            The input error dLoss/dInput, computed from the weights before this update.

        Raises:
            RuntimeError: no call is waiting for its backward.
            LayerError: the error's shape or dtype is not the output's.
            ValueError: the learning rate is negative, infinite or not a number.
        """
        if self._awaiting_backward is None:
            raise RuntimeError(
                f"{self!r}.backward: no call is waiting for it; "
                "call the layer first, and backward once for each call"
            )
        rate = checked_rate(learning_rate)
        memory, expected, dtype = self._awaiting_backward
        error = self._as_error(error, dtype)
        shape = shape_of(error)
        if shape != expected:
            raise LayerError(
                f"{self!r}.backward expected an error of its output's shape "
                f"{plain_shape(expected)}, got {plain_shape(shape)}"
            )
        if dtype_of(error) != dtype:
            raise LayerError(
                f"{self!r}.backward expected an error of its output's dtype {dtype}, "
                f"got {dtype_of(error)}"
            )
        self._awaiting_backward = None
        return ordinary(settled_after(self._propagate, error, memory, rate))

    def _propagate(self, error: Value, memory: Any, learning_rate: float) -> Any:
        try:
            error = aligned_all(error)
        except RuntimeError:
            self.expect_value(error, "an error")
            raise
        return self.propagate(error, memory, learning_rate)

    def predict(self, input: Given) -> Any:
        """Return the output as in use after training (no dropout, say); keep nothing."""
        wait_without_spinning()
        input = self.as_input(input)
        return forward_of(self, self.settled_input(input), False)[0]

    def as_input(self, given: Given, known: dict[Any, Any] | None = None) -> Any:
        """What a user gives as input, as tensors; those that are given stay as they are.

        An array, a list or a data frame of floats becomes a tensor of the weights' dtype. Whole
        numbers become floats, too, where the layer takes one row of them so, else int64 (tokens,
        lengths); truth values stay so where it takes that (masks). A tuple holds several inputs.

        Args:
            given: of the input's shape.
            known: for a caller to keep: the dtypes that were found by trying.

        Raises:
            LayerError: something in it is no number, or its rows differ in length.
        """
        if are_tensors(given):
            return given
        with self._expecting("an input"):
            return in_dtypes(given, self.float_dtype(), self._takes, WHOLE_AS_INPUT, known)

    def _as_error(self, given: Given, dtype: Any) -> Any:
        if are_tensors(given):
            return given
        floats = dtype if isinstance(dtype, torch.dtype) else self.float_dtype()
        with self._expecting("an error"):
            return in_dtypes(given, floats, lambda _: True, WHOLE_AS_INPUT)

    @contextmanager
    def _expecting(self, what: str) -> Iterator[None]:
        try:
            yield
        except NotNumbers as problem:
            message = f"{shown(self)} expected {what} of {NUMBERS}, got {problem}"
            raise LayerError(message) from None

    def _takes(self, input: Any) -> bool:
        try:
            self.predict(input)
        except REFUSALS:
            return False
        return True

    def check_values(self, input: Any) -> None:
        """Refuse input values that this layer cannot take, as tokens out of range.

        They are read once, at the door of `fit`, `TrainingStep` and `Prediction`; a container
        hands its input on to the layers that see it as it is.

        Raises:
            LayerError: a value is out of range; names the layer.
        """

    # How a layer is written down.

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, from attributes of the same names: for `save` and `repr`."""
        names = list(constructor_of(self))
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            raise AttributeError(
                f"{type(self).__name__} keeps no attribute {missing[0]!r}, which its constructor "
                "takes; keep it, or override settings()"
            )
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        try:
            return written(self, self.settings())
        except AttributeError:
            return f"{type(self).__name__}(…)"


def forward_of(layer: Layer, input: Any, training: bool) -> tuple[Any, Any]:
    """The layer's output and memory.

    Raises:
        TypeError: its forward returned something else.
    """
    found = layer.forward(input, training)
    if not isinstance(found, tuple) or len(found) != 2:
        kind = f"a tuple of {len(found)}" if isinstance(found, tuple) else shown(type(found))
        raise TypeError(
            f"{type(layer).__name__}.forward: expected (output, memory), the memory being what "
            f"propagate needs (None where it needs nothing), got {kind}"
        )
    return found
