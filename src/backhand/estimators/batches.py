"""Batches: a table cut into steps of one size, so that one recording serves every table.

The last batch of an epoch, and the only one of a small table, is filled up with an empty row
of weight 0; the weights of its other rows are raised so that the mean is still over them.
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


def filled_size(rows: int) -> int:
    """The smallest of SIZES that holds so many rows; beyond the largest, the rows themselves."""
    return rows if rows > SIZES[-1] else SIZES[bisect.bisect_left(SIZES, rows)]


class Batches:
    """The rows to train on, and the weight that each has in its batch.

    A row's weight in a step is scale · weight · rows / Σ weights over its batch, so that a step's
    loss is scale · Σ weight · row loss / Σ weights, as in scikit-learn.

    Args:
        inputs: (rows, features), float32.
        targets: (rows, …).
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
        self.steps = math.ceil(rows / size)
        self.size = filled_size(rows) if fill and self.steps == 1 else size
        """Rows of a step, filled up; of data alone, `size_of_data`."""
        short = self.steps * self.size - rows if fill else 0
        extra = 1 if short else 0
        self.inputs = _tensor(inputs, extra)
        self.targets = _tensor(targets, extra)
        self._scale = scale
        self.rows = rows
        self.size_of_data = size
        self._short = short
        self._given = weights
        self._weights = np.full(rows + extra, scale, dtype=np.float32)
        self._weights[rows:] = 0
        self.weights = torch.from_numpy(self._weights)
        self._order = np.full(rows + short, rows, dtype=np.int64)
        self.order = torch.from_numpy(self._order)
        """The rows in the order in which they are used; rewritten by `arrange`."""
        self._starts = np.arange(self.steps) * self.size
        self._lengths = np.diff(self._starts, append=rows + short)
        self.shares = np.diff(self._starts, append=rows) / rows
        """Of all rows, in each batch: what its loss counts in the epoch's."""
        self.mean_weight = 1.0 if weights is None else float(weights.mean())

    def target(self) -> Any:
        """What `Weighted` takes."""
        return self.targets, self.weights

    def arrange(self, rows: np.ndarray) -> Tensor:
        """Take the rows in this order; returns the order of an epoch's steps."""
        if self._given is not None:
            self._order[: self.rows] = rows
            self._weigh()
        elif self._short:
            last = slice(int(self._starts[-1]), self.rows)
            self._weights[self._order[last]] = self._scale  # those of the epoch before
            self._order[: self.rows] = rows
            raised = self._scale * self.size / (last.stop - last.start)
            self._weights[self._order[last]] = raised
            self._weights[self.rows] = 0
        else:
            self._order[:] = rows
        return self.order

    def _weigh(self) -> None:
        assert self._given is not None
        padded = np.append(self._given, 0.0)[self._order]
        sums = np.add.reduceat(padded, self._starts)
        factors = np.divide(
            self._scale * self._lengths, sums, out=np.zeros_like(sums), where=sums > 0
        )
        self._weights[self._order] = padded * np.repeat(factors, self._lengths)


def _tensor(values: np.ndarray, extra: int) -> Tensor:
    """The rows as a tensor, and some of zeros below them. Shares memory where nothing is added."""
    if not extra and values.flags.writeable and values.flags.c_contiguous:
        return torch.from_numpy(values)
    filled = np.zeros((len(values) + extra, *values.shape[1:]), dtype=values.dtype)
    filled[: len(values)] = values
    return torch.from_numpy(filled)
