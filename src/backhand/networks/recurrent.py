"""Recurrent networks: layers over layers, in one direction or both."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor

from backhand.arguments import share, shown, truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.dropout import Dropout
from backhand.layers.recurrent.cells import (
    GatedRecurrence,
    LongShortTermMemory,
    PlainRecurrence,
    RectifiedRecurrence,
)
from backhand.layers.recurrent.recurrence import Recurrence
from backhand.networks.branches import add_errors
from backhand.networks.parts import forward_child, propagate_child


class Recurrent(Layer):
    """What RNN, LSTM and GRU have in common; see RNN."""

    cell: ClassVar[type[Recurrence]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        truncation: int | None = None,
        return_state: bool = False,
    ) -> None:
        name = type(self).__name__
        self.input_size = whole(name, "input_size", input_size)
        self.hidden_size = whole(name, "hidden_size", hidden_size)
        self.num_layers = whole(name, "num_layers", num_layers)
        self.bias = truth(name, "bias", bias)
        self.dropout = share(name, "dropout", dropout)
        self.bidirectional = truth(name, "bidirectional", bidirectional)
        self.truncation = None if truncation is None else whole(name, "truncation", truncation)
        self.return_state = truth(name, "return_state", return_state)
        self._between = Dropout(dropout)
        if self.dropout and self.num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} stands between layers, and there is one", stacklevel=2
            )
        directions = (False, True) if bidirectional else (False,)
        self._cells: list[dict[str, Recurrence]] = []
        for depth in range(num_layers):
            width = input_size if depth == 0 else len(directions) * hidden_size
            cells = {}
            for reverse in directions:
                name = f"l{depth}_reverse" if reverse else f"l{depth}"
                cells[name] = self._cell(width, reverse)
            self._cells.append(cells)

    def _cell(self, width: int, reverse: bool) -> Recurrence:
        return self.cell(width, self.hidden_size, self.bias, reverse, self.truncation)

    def children(self) -> dict[str, Layer]:
        """The layers by PyTorch's names: l0, l0_reverse, l1 …"""
        return {name: cell for cells in self._cells for name, cell in cells.items()}

    def check_values(self, input: Any) -> None:
        x, _, lengths = self._parts(input)
        for each in lengths:
            if each.numel() and not 0 <= int(each.min()) <= int(each.max()) <= x.shape[1]:
                wrong = int(each.min()) if each.min() < 0 else int(each.max())
                raise LayerError(
                    f"{self!r} expected lengths from 0 to the time {x.shape[1]}, got {wrong}"
                )

    def forward(self, input: Any, training: bool) -> tuple[Any, Any]:
        x, initial, lengths = self._parts(input)
        memories: list[Any] = []
        masks: list[Tensor | None] = []
        finals: list[Any] = []
        for depth, cells in enumerate(self._cells):
            outputs = []
            for name, cell in cells.items():
                states = [state[:, len(memories)] for state in initial]
                found, memory = forward_child(cell, name, (x, *states, *lengths), training)
                outputs.append(found[0])
                finals.append(found[1:])
                memories.append(memory)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            mask = None
            if self.dropout and depth < self.num_layers - 1:
                x, mask = self._between.forward(x, training)
            masks.append(mask)
        given = 0 if isinstance(input, Tensor) else len(input)
        memory = (memories, masks, given, len(lengths))
        if not self.return_state:
            return x, memory
        return (x, *(torch.stack(each, 1) for each in zip(*finals, strict=True))), memory

    def propagate(self, error: Any, memory: Any, learning_rate: float) -> Any:
        memories, masks, given, lengths = memory
        error, *states = error if self.return_state else (error,)
        initial: list[Any] = []
        for depth in reversed(range(self.num_layers)):
            if masks[depth] is not None:
                error = self._between.propagate(error, masks[depth], learning_rate)
            cells = list(self._cells[depth].items())
            parts = error.chunk(len(cells), -1)
            error = None
            for (name, cell), part in zip(reversed(cells), reversed(parts), strict=True):
                at = len(memories) - 1
                final = [state[:, at] for state in states] or self._nothing(part)
                found = propagate_child(cell, name, (part, *final), memories.pop(), learning_rate)
                error = add_errors(error, found[0])
                initial.append(found[1 : 1 + len(final)])
        if given == 0:
            return error
        if given == 1 + lengths:
            return (error, *(None,) * lengths)
        before = (torch.stack(each[::-1], 1) for each in zip(*initial, strict=True))
        return (error, *before, *(None,) * lengths)

    def _nothing(self, error: Tensor) -> list[Tensor]:
        """The errors of final states that nobody looks at."""
        zeros = error.new_zeros(len(error), self.hidden_size)
        return [zeros] * len(self.cell.state_names)

    def _parts(self, input: Any) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The sequences, the states before them (zeros where none are given), and the lengths."""
        given = input if isinstance(input, tuple) and input else (input,)
        for each in given:
            self.expect_tensor(each, floats=False)
        x, *rest = given
        lengths = (rest.pop(),) if rest and not rest[-1].is_floating_point() else ()
        names = self.cell.state_names
        if x.dim() != 3:
            raise LayerError(
                f"{self!r} expected input (batch, time, {self.input_size}), got {tuple(x.shape)}"
            )
        shape = (len(x), len(self.children()), self.hidden_size)
        if not rest:
            return x, (x.new_zeros(shape),) * len(names), lengths
        if len(rest) != len(names) or any(tuple(state.shape) != shape for state in rest):
            raise LayerError(
                f"{self!r} expected (x, {', '.join(names)}) with {' and '.join(names)} of shape "
                f"{shape}, got {', '.join(str(tuple(state.shape)) for state in rest)}"
            )
        return x, tuple(rest), lengths


class RNN(Recurrent):
    """h ← tanh(W_ih x + b_ih + W_hh h + b_hh) from time step to time step, layer over layer.

    Elman, "Finding Structure in Time" (1990).
    Shapes: the input is x (batch, time, input_size), or a tuple of it and any of: the states
    before it, (batch, num_layers · directions, hidden_size) each; lengths (batch,) of int64, from
    which on a sequence is over: its output is 0 there, and its state stays. Output (batch, time,
    directions · hidden_size); with return_state, a tuple of it and the states after it. Layers
    and directions stand in PyTorch's order: l0, l0_reverse, l1 …, each with weight_ih (hidden_size,
    inputs), weight_hh (hidden_size, hidden_size), bias_ih and bias_hh (hidden_size,).
    Backward: through time. A step's error e gives a = e (1 - h²); the step before it gets a · W_hh,
    and each weight learns from one product over all times.

    Args:
        input_size, hidden_size: features, at least 1.
        num_layers: each over the outputs of the one before; default 1.
        bias: whether there are biases; default True. They begin at 0.
        dropout: the share of a layer's outputs that the next one does not see in training, in
            [0, 1); default 0.
        bidirectional: whether a second recurrence runs from the end to the beginning; default
            False.
        truncation: time steps that errors are passed back over at most: they stop at every
            multiple of it (Williams & Peng 1990); default None, all.
        return_state: whether the states after the last step are returned too; default False.
        nonlinearity: "tanh" or "relu" (RNN only); default "tanh".

    Raises:
        ValueError: an argument is out of range.
        LayerError: (at a call) a shape or dtype does not fit; the layer is named.
    """

    cell = PlainRecurrence

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        truncation: int | None = None,
        return_state: bool = False,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f'RNN: expected nonlinearity "tanh" or "relu", got {shown(nonlinearity)}'
            )
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, dropout, bidirectional, truncation,
            return_state,
        )  # fmt: skip

    def _cell(self, width: int, reverse: bool) -> Recurrence:
        kind = PlainRecurrence if self.nonlinearity == "tanh" else RectifiedRecurrence
        return kind(width, self.hidden_size, self.bias, reverse, self.truncation)


class LSTM(Recurrent):
    """(i, f, g, o) = W_ih x + b_ih + W_hh h + b_hh;  c ← σ(f) c + σ(i) tanh(g);  h ← σ(o) tanh(c).

    Hochreiter & Schmidhuber, "Long Short-Term Memory" (1997); the forget gate f by Gers et al.
    (2000), its bias beginning at 1 (Jozefowicz et al. 2015).
    Shapes: as RNN, with two states, h and c; weight_ih (4 hidden_size, inputs), weight_hh
    (4 hidden_size, hidden_size), biases (4 hidden_size,), gates in the order i, f, g, o.
    Backward: through time; see LongShortTermMemory and docs/math/recurrent.md.
    Arguments and errors: as RNN.
    """

    cell = LongShortTermMemory


class GRU(Recurrent):
    """(r, z) = σ(W_ih x + b_ih + W_hh h + b_hh);  n = tanh(W_in x + b_in + r (W_hn h + b_hn));
    h ← (1 - z) n + z h.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder" (2014), with r inside
    the tangent after the product, as cuDNN and PyTorch have it.
    Shapes: as RNN; weight_ih (3 hidden_size, inputs), weight_hh (3 hidden_size, hidden_size),
    biases (3 hidden_size,), gates in the order r, z, n.
    Backward: through time; see GatedRecurrence and docs/math/recurrent.md.
    Arguments and errors: as RNN.
    """

    cell = GatedRecurrence


class LastStep(Layer):
    """output = input at the last time step: (batch, time, features) to (batch, features).

    Backward: the error at the last step, 0 at the others.

    Raises:
        LayerError: (at a call) the input is not (batch, time, …) of at least one step.
    """

    def forward(self, input: Tensor, training: bool) -> tuple[Tensor, Any]:
        self.expect_tensor(input, floats=False)
        if input.dim() < 2 or input.shape[1] == 0:
            raise LayerError(
                f"{self!r} expected input (batch, time, …) of at least one step, "
                f"got {tuple(input.shape)}"
            )
        return input[:, -1], tuple(input.shape)

    def propagate(self, error: Tensor, shape: Any, learning_rate: float) -> Tensor:
        input_error = error.new_zeros(shape)
        input_error[:, -1] = error
        return input_error
