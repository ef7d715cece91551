"""Problems: sizes, first weights and data, the same for every peer, as NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Problem:
    """A network of fully connected layers with ReLU between them, and a batch for it.

    Attributes:
        sizes: of the layers, from the input on.
        batch: rows in a batch.
        classes: whether the output is logits for cross-entropy; else one sigmoid and the mean
            squared error.
        rate: the learning rate.
        adam: Adam instead of plain gradient descent.
    """

    sizes: tuple[int, ...]
    batch: int
    classes: bool = False
    rate: float = 0.1
    adam: bool = False

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(weight (outputs, inputs), bias) of every layer."""
        generator = np.random.default_rng(0)
        made = []
        for inputs, outputs in zip(self.sizes, self.sizes[1:], strict=False):
            bound = (6 / (inputs + outputs)) ** 0.5
            weight = generator.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
            made.append((weight, np.zeros(outputs, np.float32)))
        return made

    def data(self, rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets: the disc's for two inputs, else random."""
        generator = np.random.default_rng(1)
        rows = rows or self.batch
        inputs = generator.random((rows, self.sizes[0]), dtype=np.float32)
        if self.classes:
            return inputs, generator.integers(0, self.sizes[-1], rows)
        inside = ((inputs[:, :2] - 0.5) ** 2).sum(1, keepdims=True) < 1 / (2 * np.pi)
        return inputs, inside.astype(np.float32)


SMALL = (2, 25, 25, 1)
MANY = 1000
"""How many steps of the small network a compiled peer takes in one call."""

EPOCHS, BATCH, POINTS = 60, 8, 1000
"""The disc job: 7500 steps."""


def disc_job() -> Problem:
    """2-25-25-1 on 1000 points, 60 epochs, batches of 8."""
    return Problem(SMALL, BATCH)


def orders() -> list[np.ndarray]:
    """The shuffled order of the points for every epoch."""
    generator = np.random.default_rng(2)
    return [generator.permutation(POINTS) for _ in range(EPOCHS)]
