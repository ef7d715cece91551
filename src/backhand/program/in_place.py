"""In place: a program on tensors that stay where they are, for calls that must cost nothing.

Fill the input (a NumPy view of it will do), call, read the output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from backhand.arguments import checked_rate
from backhand.learning.interrupts import InferenceMode
from backhand.values import together

if TYPE_CHECKING:
    from backhand.program.program import Program
    from backhand.program.structure import Structure

    Find = Callable[[list[Tensor], list[Tensor]], tuple[Program, Structure]]


class _InPlace:
    """What both share: buffers of its own, and the program that reads and writes them."""

    def __init__(self, find: Find, input: list[Tensor], target: list[Tensor]) -> None:
        self._find = find
        self._buffers = ([_own(each) for each in input], [_own(each) for each in target])
        self._input: Any = together(self._buffers[0])
        self._bind()

    def _bind(self) -> None:
        self._program, self._structure = self._find(*self._buffers)
        if self._program.gates:
            raise ValueError("in_place: a gate accumulates, so that steps differ; call the step")
        inputs, targets = self._buffers
        with InferenceMode(False):
            self._run, results = self._program.bound.in_place([*inputs, *targets])
        self._results: Any = together(results) if results else None

    @property
    def input(self) -> Any:
        """The batch, to be filled: a tensor of the given one's shape, or a tuple of them."""
        return self._input

    def __repr__(self) -> str:
        shapes = [tuple(each.shape) for part in self._buffers for each in part]
        return f"{type(self).__name__}({', '.join(map(str, shapes))})"


class PredictionInPlace(_InPlace):
    """`Prediction.in_place`: called without arguments, it predicts for what `input` holds by then.

    Attributes:
        input: fill it; a tensor of the given one's shape, or a tuple of them.
        output: what the last call predicted; written over by the next.
    """

    @property
    def output(self) -> Any:
        return self._results

    def __call__(self) -> Any:
        """Predict for what `input` holds; returns `output`."""
        if not self._structure.still_holds():
            self._bind()
        self._run()
        return self._results


class TrainingStepInPlace(_InPlace):
    """`TrainingStep.in_place`: a step on what `input` and `target` hold by then.

    Attributes:
        input, target: fill them; tensors of the given ones' shapes, or tuples of them.
    """

    def __init__(self, find: Find, input: list[Tensor], target: list[Tensor]) -> None:
        super().__init__(find, input, target)
        self._target: Any = together(self._buffers[1])

    @property
    def target(self) -> Any:
        """The targets, to be filled: a tensor of the given one's shape, or a tuple of them."""
        return self._target

    def __call__(self, learning_rate: float) -> Any:
        """One step; returns the loss before it, in a tensor that the next call writes over."""
        learning_rate = checked_rate(learning_rate)
        program = self._program
        if not (self._structure.still_holds() and program.counts_hold(self._structure)):
            self._bind()
            program = self._program
        self._run(*program.scalar_values(learning_rate))
        return self._results


def _own(tensor: Tensor) -> Tensor:
    """A copy that fills a storage of its own, contiguous and aligned."""
    with InferenceMode(False):
        return tensor.detach().clone(memory_format=torch.contiguous_format)
