"""The two tasks of the report: the disc in the unit square, and XOR."""

from __future__ import annotations

import math

import torch

from backhand.data.checked import Data

DISC_CENTRE = (0.5, 0.5)
DISC_RADIUS = 1 / math.sqrt(2 * math.pi)
"""The disc takes up half of the unit square."""


def disc(n: int, seed: int) -> Data:
    """Points uniform in the unit square, labelled 1 within DISC_RADIUS of DISC_CENTRE, else 0.

    Args:
        n: how many points; at least 1.
        seed: of a generator of its own; the same seed gives the same points.

    Returns:
        inputs (n, 2) and targets (n, 1), both float32.

    Raises:
        ValueError: n is less than 1.
    """
    if n < 1:
        raise ValueError(f"disc: expected at least 1 point, got {n}")
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(n, 2, generator=generator)
    squared_distance = (points - torch.tensor(DISC_CENTRE)).square().sum(1, keepdim=True)
    return Data(points, (squared_distance <= DISC_RADIUS**2).float())


def xor() -> Data:
    """The four corners of the unit square, labelled 1 where the coordinates differ.

    Returns:
        inputs (4, 2) and targets (4, 1), both float32.
    """
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return Data(points, torch.tensor([[0.0], [1.0], [1.0], [0.0]]))
