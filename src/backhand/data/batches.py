"""Minibatches, shuffled with a seeded generator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from backhand.data.checked import Data
from backhand.given import NUMBERS, Given, NotNumbers, in_dtypes
from backhand.values import row_count, rows_of


def batches(
    data: tuple[Given, Given], batch_size: int, generator: torch.Generator | None = None
) -> Iterator[Data]:
    """The rows in batches: shuffled by the generator, or in order where none is given.

    Args:
        data: (inputs, targets), with one row for each example: tensors, or numbers in arrays, lists
            or data frames, whose floats become torch's default dtype and whose whole numbers int64.
        batch_size: rows in a batch; the last one may have fewer.
        generator: draws one permutation of the rows; None for the order they stand in.

    Raises:
        ValueError: batch_size is less than 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 row or more, got {batch_size}")
    inputs, targets = map(_as_tensors, data)
    if generator is not None:
        order = torch.randperm(row_count(inputs), generator=generator)
        inputs, targets = rows_of(inputs, order), rows_of(targets, order)
    for start in range(0, row_count(inputs), batch_size):
        batch = slice(start, start + batch_size)
        yield Data(rows_of(inputs, batch), rows_of(targets, batch))


def _as_tensors(given: Given) -> Any:
    try:
        return in_dtypes(given, torch.get_default_dtype(), lambda _: True, "int")
    except NotNumbers as problem:
        raise TypeError(f"batches: expected {NUMBERS}, got {problem}") from None
