"""Rows: what a network says of each row, the same bits whatever rows stand beside it."""

from __future__ import annotations

import math
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.layers import (
    SELU,
    Dropout,
    FullyConnected,
    Mish,
    NeuralTangentLinear,
    ReLU,
    Scale,
    Sigmoid,
    Tanh,
)
from backhand.networks import Sequential, Stack
from backhand.program import Native, NotRecordable, Prediction, PredictionInPlace
from backhand.training.threads import running_on
from backhand.waiting import wait_without_spinning

ROWS_AT_ONCE = 8192

BLOCK = 240
"""Rows of a block: whole tiles of every size that Native multiplies by."""

WORTH_BLOCKS = 10_000
"""Weights from which blocks of rows gain; measured: below, a row takes 0.2 µs either way."""

SECONDS_BEFORE_BLOCKS = 0.5
"""Spent row by row before a program for blocks is compiled, which takes about as long."""

ROWS_APART = frozenset(
    (
        Dropout, FullyConnected, Mish, NeuralTangentLinear, ReLU, SELU, Scale, Sequential,
        Sigmoid, Stack, Tanh,
    )
)  # fmt: skip
"""Layers that look at each row by itself; what the estimators are made of."""


class RowPredictor:
    """Predicts rows: each has the bits it has alone, in any batch, any order, on any threads.

    What a row gets is said by one program, recorded for one row and run for each. A batch would
    not do: the BLAS rounds a row by how many there are and by its place among them, and so do
    elementwise functions, at the end of a vector. Where Native runs the program and its layers
    look at each row by itself, a program for blocks takes over once it pays: by Native these are
    the same bits. Elsewhere one thread does it, for several may share the sums of a product.
    Not for two threads at once.

    Args:
        network: from (rows, …) to one tensor (rows, …).
        prediction: of the network, where there is one already.
    """

    def __init__(self, network: Layer, prediction: Prediction | None = None) -> None:
        self.network = network
        self._prediction = prediction or Prediction(network)
        self._blocks: Prediction | None = None
        self._single: PredictionInPlace | None = None
        self._recordable = True
        self._seconds = 0.0
        layers = [layer for _, layer in network.layers_by_path()]
        weights = sum(parameter.value.numel() for parameter in network.parameters().values())
        if weights < WORTH_BLOCKS or not all(type(layer) in ROWS_APART for layer in layers):
            self._seconds = -math.inf

    def place_for(self, row: Tensor) -> Tensor | None:
        """Where `one` finds its row: of the shape (1, …) and dtype of this one.

        None where the network cannot be recorded; `many` still predicts.
        """
        if self._single is None and self._recordable:
            try:
                self._single = self._prediction.in_place(row)
            except NotRecordable:
                self._recordable = False
        return None if self._single is None else self._single.input

    def one(self) -> Any:
        """The prediction (1, …) for the row in its place; the next call writes over it."""
        assert self._single is not None
        with self._on_its_threads():
            return self._single()

    def many(self, rows: Tensor) -> Tensor:
        """The predictions for one row or more."""
        place = self.place_for(rows[:1])
        if place is not None and len(rows) == 1:
            place.copy_(rows)
            found: Tensor = self.one().clone()
            return found
        return torch.cat([self._part(part) for part in torch.split(rows, ROWS_AT_ONCE)])

    def _part(self, rows: Tensor) -> Tensor:
        if len(rows) >= BLOCK and self._seconds >= SECONDS_BEFORE_BLOCKS and self._block(rows):
            assert self._blocks is not None
            wait_without_spinning()
            found: Tensor = self._blocks.run(rows, BLOCK)
            return found
        begun = perf_counter()
        with self._on_its_threads():
            if self._recordable:
                found = self._prediction.run(rows, batch_size=1)
            else:
                found = torch.cat([self.network.predict(row) for row in torch.split(rows, 1)])
        self._seconds += perf_counter() - begun
        return found

    def _block(self, rows: Tensor) -> bool:
        """Whether there is a program for blocks that gives the same bits; makes it."""
        if self._blocks is None and self._by_native():
            self._blocks = Prediction(self.network, Native())
        if self._blocks is None or not self._by_native():
            return False
        return isinstance(self._blocks.record(rows[:BLOCK]).engine, Native)

    def _by_native(self) -> bool:
        return isinstance(self._prediction.engine, Native)

    def _on_its_threads(self) -> Any:
        return _AS_IT_IS if self._by_native() else running_on(1)


_AS_IT_IS = nullcontext()
