"""Batches: a table cut into steps of one size, so that one recording serves every table.

The last batch of an epoch, and the only one of a small table, is filled up with an empty row
of weight 0; its other rows weigh more, so that its mean is still over them.
"""

from __future__ import annotations

import bisect
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

SIZES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 160, 200)
"""The rows of a step for tables smaller than a batch: few, so that few steps are recorded."""

LARGEST = 1_000_000
"""Numbers in a table up to which batches are filled up: its rows then stand there twice."""


def filled_size(rows: int) -> int:
    """The smallest of SIZES that holds so many rows; beyond the largest, the rows themselves."""
    return rows if rows > SIZES[-1] else SIZES[bisect.bisect_left(SIZES, rows)]


class Batches:
    """The rows to train on, and the weight that each has in its batch.

    A row's weight in a step is scale · weight · rows / Σ weights over its batch, so that a step's
    loss is scale · Σ weight · row loss / Σ weights, as in scikit-learn.

    Args:
        inputs: (rows, features), float32 or float64.
        targets: (rows, …); floating-point ones are taken over in the inputs' dtype.
        weights: (rows,), or None for all equal.
        size: rows of a batch, at most the rows there are.
        scale: what the loss is multiplied by.
        fill: whether batches may be filled up; not where a layer looks at the batch as a whole.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        size: int,
        scale: float,
        fill: bool,
    ) -> None:
        rows = len(inputs)
        if targets.dtype.kind == "f":
            targets = targets.astype(inputs.dtype)
        fill = fill and inputs.size <= LARGEST
        self.rows = rows
        self.steps = math.ceil(rows / size)
        self.data_size = size
        """Rows of a batch."""
        self.size = filled_size(rows) if fill and self.steps == 1 else size
        """Rows of a step: a batch, filled up."""
        self._starts = np.arange(self.steps) * self.size
        self._scale = scale
        self._short = self.steps * self.size - rows if fill else 0
        self.mean_weight = 1.0 if weights is None else float(weights.mean())
        self.one_epoch_at_a_time = weights is not None or (not fill and rows % size > 0)
        """Whether a row's weight depends on the batch it is in, or the last batch is shorter."""
        if self._short:
            # Each row twice, for the last batch and for the others, and the empty row.
            inputs, targets = _twice(inputs), _twice(targets)
            weights = None if weights is None else _twice(weights)
        self._given = weights
        self.inputs, self.targets = _tensor(inputs), _tensor(targets)
        self._weights = np.full(len(inputs), scale, dtype=inputs.dtype)
        if self._short:
            last = rows - int(self._starts[-1])
            self._weights[rows:] *= self.size / last
            self._weights[-1] = 0
        self.weights = torch.from_numpy(self._weights)
        self.shares = np.diff(self._starts, append=rows) / rows
        """Of all rows, in each batch: what its loss counts in the epoch's."""

    def target(self) -> Any:
        """What `Weighted` takes."""
        return self.targets, self.weights

    def order(self, epochs: list[np.ndarray]) -> Tensor:
        """The order of the steps that take the rows in these orders, one after another.

        Where weights vary it sets them, for one epoch.
        """
        if not self._short:
            order = epochs[0] if len(epochs) == 1 else np.concatenate(epochs)
        else:
            length = self.rows + self._short
            order = np.empty(len(epochs) * length, dtype=np.int64)
            for place, rows in zip(order.reshape(-1, length), epochs, strict=True):
                place[: self.rows] = rows
                place[self._starts[-1] : self.rows] += self.rows
                place[self.rows :] = 2 * self.rows
        if self._given is not None:
            self._weigh(order)
        return torch.from_numpy(order)

    def _weigh(self, order: np.ndarray) -> None:
        assert self._given is not None
        used = self._given[order]
        sums = np.add.reduceat(used, self._starts)
        lengths = np.diff(self._starts, append=len(order))
        factors = np.divide(self._scale * lengths, sums, out=np.zeros_like(sums), where=sums > 0)
        self._weights[order] = used * np.repeat(factors, lengths)


def _twice(values: np.ndarray) -> np.ndarray:
    """The rows, the rows again, and a row of zeros."""
    return np.concatenate([values, values, np.zeros_like(values[:1])])


def _tensor(values: np.ndarray) -> Tensor:
    """The rows as a tensor, sharing memory where it may."""
    if not (values.flags.writeable and values.flags.c_contiguous):
        values = np.array(values, order="C")
    return torch.from_numpy(values)
