"""Branches: layers side by side over the same input, and what becomes of their outputs.

The input fans out, so the errors that come back from the branches are summed. Memory: the list
of the branches' memories, popped on the way back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import LARGEST, instance, whole
from backhand.layer import Layer, LayerError, forward_of
from backhand.layer_expectations import placed
from backhand.networks.parts import check_child
from backhand.networks.sharing import layers_in, share_repeated


class Branches(Layer):
    """What Sum, Product, Concatenate and Stack have in common.

    Args:
        branches: at least one layer.

    Raises:
        ValueError: no branch given.
        TypeError: an item is not a Layer.
    """

    def __init__(self, branches: Iterable[Layer]) -> None:
        self.branches = layers_in(type(self).__name__, branches)
        if not self.branches:
            raise ValueError(f"{type(self).__name__} expected at least one branch, got none")
        share_repeated(self)

    def children(self) -> dict[str, Layer]:
        return {str(i): branch for i, branch in enumerate(self.branches)}

    def check_values(self, input: Any) -> None:
        for i, branch in enumerate(self.branches):
            check_child(branch, str(i), input)

    def fan_out(self, input: Any, training: bool) -> tuple[list[Tensor], list[Any]]:
        """Every branch's output and memory."""
        outputs: list[Tensor] = []
        memories: list[Any] = []
        try:
            for branch in self.branches:
                output, memory = forward_of(branch, input, training)
                outputs.append(output)
                memories.append(memory)
        except Exception as problem:
            raise placed(problem, str(len(memories)), self.branches[len(memories)])
        for i, output in enumerate(outputs):
            _expect_one(self, f"branch {i}'s output", output)
        return outputs, memories

    def fan_in(self, errors: list[Tensor], memories: list[Any], learning_rate: float) -> Any:
        """The sum of the input errors that the branches send back for these errors."""
        total = None
        try:
            for branch, error in zip(reversed(self.branches), reversed(errors), strict=True):
                total = add_errors(total, branch.propagate(error, memories.pop(), learning_rate))
        except Exception as problem:
            raise placed(problem, str(len(memories)), self.branches[len(memories)])
        return total

    def expect_equal_shapes(self, outputs: list[Tensor]) -> None:
        """Refuse outputs whose shapes differ: broadcasting would hide a mistake."""
        for i, output in enumerate(outputs):
            if output.shape != outputs[0].shape:
                raise LayerError(
                    f"{type(self).__name__} expected every branch's output of shape "
                    f"{tuple(outputs[0].shape)} as branch 0's, got {tuple(output.shape)} "
                    f"from branch {i}"
                )


def _expect_one(owner: Layer, name: str, value: Any) -> None:
    """Refuse several tensors where they are to be joined with others, element by element."""
    if not isinstance(value, Tensor):
        found = f"a tuple of {len(value)}" if isinstance(value, tuple) else type(value).__name__
        raise LayerError(f"{type(owner).__name__} expected one tensor as {name}, got {found}")


def add_errors(one: Any, other: Any) -> Any:
    """The sum of two input errors, either of which may be None, or a tuple of such."""
    if one is None or other is None:
        return one if other is None else other
    if isinstance(one, tuple):
        return tuple(add_errors(a, b) for a, b in zip(one, other, strict=True))
    return one + other


class Sum(Branches):
    """output = Σ branch(input). Backward: every branch gets the same error.

    Shapes: all branches' outputs, the output and the error are of one shape.
    Raises LayerError where they are not.
    """

    def forward(self, input: Any, training: bool) -> tuple[Float[Tensor, "*shape"], list[Any]]:
        outputs, memories = self.fan_out(input, training)
        self.expect_equal_shapes(outputs)
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total, memories

    def propagate(
        self, error: Float[Tensor, "*shape"], memories: list[Any], learning_rate: float
    ) -> Any:
        return self.fan_in([error] * len(self.branches), memories, learning_rate)


class Product(Branches):
    """output = Π branch(input), element by element (a gate, where one branch ends in a sigmoid).

    Backward: each branch gets the error times the product of the other branches' outputs.
    Shapes: all branches' outputs, the output and the error are of one shape.
    Raises LayerError where they are not.
    """

    def forward(
        self, input: Any, training: bool
    ) -> tuple[Float[Tensor, "*shape"], tuple[list[Tensor], list[Any]]]:
        outputs, memories = self.fan_out(input, training)
        self.expect_equal_shapes(outputs)
        return math.prod(outputs[1:], start=outputs[0]), (outputs, memories)

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        memory: tuple[list[Tensor], list[Any]],
        learning_rate: float,
    ) -> Any:
        outputs, memories = memory
        errors = [
            math.prod(outputs[:i] + outputs[i + 1 :], start=error) for i in range(len(outputs))
        ]
        return self.fan_in(errors, memories, learning_rate)


class Concatenate(Branches):
    """output = the branches' outputs side by side along one axis.

    Shapes: branch i's output (*batch, features_i), the output (*batch, Σ features_i); likewise
    for another axis.
    Backward: each branch gets its own part of the error.

    Args:
        branches: at least one layer.
        dim: the axis; default the last. 1 joins the channels of images.

    Raises:
        TypeError: dim is no whole number, or a branch no Layer.
        LayerError: (at a call) the outputs lack the axis, or differ along another.
    """

    def __init__(self, branches: Iterable[Layer], dim: int = -1) -> None:
        super().__init__(branches)
        self.dim = whole("Concatenate", "dim", dim, least=-LARGEST)

    def forward(
        self, input: Any, training: bool
    ) -> tuple[Float[Tensor, "*batch features"], tuple[list[int], list[Any]]]:
        outputs, memories = self.fan_out(input, training)
        first, dim = outputs[0], self.dim
        if not -first.dim() <= dim < first.dim():
            raise LayerError(
                f"Concatenate expected outputs with an axis {dim}, got {tuple(first.shape)}"
            )
        others = _without_axis(first, dim)
        for i, output in enumerate(outputs):
            if output.dim() != first.dim() or _without_axis(output, dim) != others:
                raise LayerError(
                    f"Concatenate expected axes as branch 0's {tuple(first.shape)} but for "
                    f"axis {dim}, got {tuple(output.shape)} from branch {i}"
                )
        return torch.cat(outputs, dim=dim), ([each.shape[dim] for each in outputs], memories)

    def propagate(
        self,
        error: Float[Tensor, "*batch features"],
        memory: tuple[list[int], list[Any]],
        learning_rate: float,
    ) -> Any:
        widths, memories = memory
        return self.fan_in(list(torch.split(error, widths, dim=self.dim)), memories, learning_rate)


def _without_axis(output: Tensor, dim: int) -> list[int]:
    shape = list(output.shape)
    del shape[dim]
    return shape


class Stack(Branches):
    """output = the branches' outputs beside each other, on a new axis before the last.

    Shapes: all branches' outputs (*batch, outputs), the output and the error
    (*batch, branches, outputs): an ensemble, each of whose members learns from its own error.
    Backward: each branch gets its own row of the error.
    Raises LayerError where the shapes differ.
    """

    def forward(
        self, input: Any, training: bool
    ) -> tuple[Float[Tensor, "*batch branches outputs"], list[Any]]:
        outputs, memories = self.fan_out(input, training)
        self.expect_equal_shapes(outputs)
        return torch.stack(outputs, dim=-2), memories

    def propagate(
        self,
        error: Float[Tensor, "*batch branches outputs"],
        memories: list[Any],
        learning_rate: float,
    ) -> Any:
        return self.fan_in(list(torch.unbind(error, dim=-2)), memories, learning_rate)


class Residual(Layer):
    """output = input + branch(input). Backward: input error = error + the branch's input error.

    Shapes: input, the branch's output and the output are of one shape.
    He et al., "Deep Residual Learning for Image Recognition" (2016), eq. 1.

    Raises:
        TypeError: the branch is no Layer.
        LayerError: (at a call) the branch changes the shape, or the input or its output is a
            tuple.
    """

    def __init__(self, branch: Layer) -> None:
        self.branch = instance("Residual", "branch", branch, Layer)
        share_repeated(self)

    def check_values(self, input: Any) -> None:
        check_child(self.branch, "branch", input)

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Any]:
        _expect_one(self, "input", input)
        try:
            output, memory = forward_of(self.branch, input, training)
        except Exception as problem:
            raise placed(problem, "branch", self.branch)
        _expect_one(self, "its branch's output", output)
        if output.shape != input.shape:
            raise LayerError(
                f"Residual expected its branch to keep the shape {tuple(input.shape)}, "
                f"got {tuple(output.shape)}"
            )
        return input + output, memory

    def propagate(self, error: Float[Tensor, "*shape"], memory: Any, learning_rate: float) -> Any:
        try:
            branch_error = self.branch.propagate(error, memory, learning_rate)
        except Exception as problem:
            raise placed(problem, "branch", self.branch)
        return add_errors(error, branch_error)
