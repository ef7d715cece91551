"""Threads: small networks lose by them, so fit sets their number by size and restores it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from backhand.layer import Layer

WORTH_SHARING = 4_000_000
"""Multiplications of a forward pass (weights · rows) from which threads gain; measured."""


def threads_for(network: Layer, rows: int) -> int:
    """How many threads a step of this network over so many rows is worth.

    One, where weights · rows is less than WORTH_SHARING; else as many as torch would use.
    """
    weights = sum(parameter.value.numel() for parameter in network.parameters().values())
    return 1 if weights * rows < WORTH_SHARING else torch.get_num_threads()


@contextmanager
def running_on(threads: int) -> Iterator[None]:
    """Torch's number of threads set, and set back afterwards.

    Raises:
        ValueError: threads is less than 1.
    """
    if threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)
