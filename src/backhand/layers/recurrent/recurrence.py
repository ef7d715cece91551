"""Recurrence: what RNN, GRU and LSTM have in common, over one layer and in one direction.

What a time step takes from the input alone is one product before the loop. In backward, the loop
only passes the error from step to step; each weight then learns from one product over all times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.initializers import Initializer, Orthogonal, XavierUniform
from backhand.learning.parameter import Parameter

States = tuple[Tensor, ...]


class Unrolled(NamedTuple):
    """What a recurrence's backward needs, each list by time."""

    input: Tensor
    """(time, batch, inputs)"""
    before: list[States]
    traces: list[States]
    present: Tensor | None
    """(time, batch, 1) of bool: False after a sequence's end."""
    given: int
    """How many tensors the input was."""


class Recurrence(Layer):
    """Passes a state from time step to time step; see RNN, GRU and LSTM.

    Shapes: the input is (x, *states) or (x, *states, lengths): x (batch, time, input_size), each
    state (batch, hidden_size), lengths (batch,) of int64, from which on a sequence is over: its
    state stays as it is, and its output is 0. The output is (output, *states), output (batch,
    time, hidden_size).
    """

    gates: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        reverse: bool = False,
        truncation: int | None = None,
    ) -> None:
        name = type(self).__name__
        self.input_size = whole(name, "input_size", input_size)
        self.hidden_size = whole(name, "hidden_size", hidden_size)
        self.reverse = truth(name, "reverse", reverse)
        self.truncation = None if truncation is None else whole(name, "truncation", truncation)
        self.bias = truth(name, "bias", bias)
        self.weight_ih = Parameter(self._drawn(XavierUniform(), input_size))
        self.weight_hh = Parameter(self._drawn(Orthogonal(), hidden_size))
        zeros = [torch.zeros(self.gates * hidden_size) for _ in range(2)]
        self.bias_ih = Parameter(zeros[0]) if bias else None
        self.bias_hh = Parameter(zeros[1]) if bias else None

    def _drawn(self, initializer: Initializer, inputs: int) -> Tensor:
        return torch.cat([initializer(self.hidden_size, inputs) for _ in range(self.gates)])

    # What a kind of recurrence writes: its mathematics.

    def projection_bias(self) -> Tensor | None:
        """What is added to the input's projection, at all times alike."""
        if self.bias_ih is None or self.bias_hh is None:
            return None
        return self.bias_ih.value + self.bias_hh.value

    def advance(self, projected: Tensor, states: States) -> tuple[States, States]:
        """The states after a time step, and what its derivative needs beside the states."""
        raise NotImplementedError(f"{type(self).__name__} has no advance")

    def slopes(self, before: Sequence[Tensor], traces: Sequence[Tensor]) -> States:
        """Derivatives that `retreat` multiplies errors with, at all times at once (time, …)."""
        raise NotImplementedError(f"{type(self).__name__} has no slopes")

    def retreat(self, errors: States, slopes: States) -> tuple[Tensor, Tensor | None, States]:
        """The errors of a step's hidden projection, of its input projection (None: the same), and
        of the states before it."""
        raise NotImplementedError(f"{type(self).__name__} has no retreat")

    # What they share.

    def forward(self, input: tuple[Tensor, ...], training: bool) -> tuple[States, Unrolled]:
        x, states, present = self._parts(input)
        time, batch, _ = x.shape
        rows, bias = x.reshape(time * batch, self.input_size), self.projection_bias()
        weight = self.weight_ih.transposed
        product = torch.mm(rows, weight) if bias is None else torch.addmm(bias, rows, weight)
        projected = product.reshape(time, batch, self.gates * self.hidden_size)
        before: list[Any] = [None] * time
        traces: list[Any] = [None] * time
        outputs: list[Any] = [None] * time
        for t in self._times(time):
            before[t] = states
            new, traces[t] = self.advance(projected[t], states)
            if present is not None:
                new = tuple(map(torch.where, [present[t]] * len(new), new, states))
            states, outputs[t] = new, new[0]
        output = torch.stack(outputs, 1)
        if present is not None:
            output = output * present.transpose(0, 1).to(output.dtype)
        return (output, *states), Unrolled(x, before, traces, present, len(input))

    def propagate(
        self, error: tuple[Tensor, ...], memory: Unrolled, learning_rate: float
    ) -> tuple[Tensor | None, ...]:
        x, before, traces, present, given = memory
        time = len(before)
        befores = [torch.stack(each) for each in zip(*before, strict=True)]
        slopes = self.slopes(befores, [torch.stack(each) for each in zip(*traces, strict=True)])
        output_error, *carried = error
        hidden: list[Any] = [None] * time
        inward: list[Any] = [None] * time
        for count, t in enumerate(reversed(self._times(time)), start=1):
            now = [output_error[:, t] + carried[0], *carried[1:]]
            stay: list[Tensor] = []
            if present is not None:
                shown = present[t].to(x.dtype)
                stay = [each * (1 - shown) for each in carried]
                now = [each * shown for each in now]
            hidden[t], inward[t], back = self.retreat(tuple(now), tuple(s[t] for s in slopes))
            carried = list(map(torch.add, back, stay)) if stay else list(back)
            if self.truncation and count < time and (time - count) % self.truncation == 0:
                carried = [torch.zeros_like(each) for each in carried]
        input_error = self._learn(x, befores[0], torch.stack(hidden), inward, learning_rate)
        return (input_error, *carried, *(None,) * (given - 1 - len(carried)))

    def _learn(
        self, x: Tensor, states: Tensor, hidden: Tensor, inward: list[Any], learning_rate: float
    ) -> Float[Tensor, "batch time inputs"]:
        """One product over all times for each weight; returns the input error."""
        errors = hidden.flatten(0, 1)
        inward_errors = torch.stack(inward).flatten(0, 1) if inward[0] is not None else errors
        input_error = torch.mm(inward_errors, self.weight_ih.value)
        rows, states = x.flatten(0, 1), states.flatten(0, 1)
        self.weight_hh.learn_product(errors.t(), states, learning_rate)
        self.weight_ih.learn_product(inward_errors.t(), rows, learning_rate)
        if self.bias_ih is not None and self.bias_hh is not None:
            self.bias_hh.learn_sum(errors, learning_rate)
            self.bias_ih.learn_sum(inward_errors, learning_rate)
        return input_error.reshape(x.shape).transpose(0, 1)

    def _times(self, time: int) -> range:
        """The time steps in the order in which they are taken."""
        return range(time - 1, -1, -1) if self.reverse else range(time)

    def _parts(self, input: tuple[Tensor, ...]) -> tuple[Tensor, States, Tensor | None]:
        """The input time first, the states before it, and where sequences are not over yet."""
        states = len(self.state_names)
        if not isinstance(input, tuple) or len(input) not in (1 + states, 2 + states):
            raise LayerError(
                f"{self!r} expected (x, {', '.join(self.state_names)}) or (…, lengths)"
            )
        x = input[0]
        for each in input:
            self.expect_tensor(each, floats=False)
            self.expect_beside(each, self.weight_ih.value)
        if x.dim() != 3 or x.shape[1] == 0 or x.shape[2] != self.input_size:
            raise LayerError(
                f"{self!r} expected input (batch, time, {self.input_size}) of at least one time "
                f"step, got {tuple(x.shape)}"
            )
        self.expect_features(x, self.input_size, self.weight_ih.value)
        for name, state in zip(self.state_names, input[1:], strict=False):
            if state.shape != (len(x), self.hidden_size):
                raise LayerError(
                    f"{self!r} expected {name} of shape {(len(x), self.hidden_size)}, "
                    f"got {tuple(state.shape)}"
                )
            self.expect_like(state, x)
        return x.transpose(0, 1), input[1 : 1 + states], self._present(x, input[1 + states :])

    def _present(self, x: Tensor, lengths: tuple[Tensor, ...]) -> Tensor | None:
        if not lengths:
            return None
        if lengths[0].dtype is not torch.int64 or lengths[0].shape != x.shape[:1]:
            raise LayerError(
                f"{self!r} expected lengths (batch,) of int64, got {lengths[0].dtype} of shape "
                f"{tuple(lengths[0].shape)}"
            )
        times = torch.arange(x.shape[1], device=x.device)
        return (times.unsqueeze(1) < lengths[0]).unsqueeze(2)
