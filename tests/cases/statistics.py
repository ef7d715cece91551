"""Rows: layers that keep statistics of what they saw, and take float64 with values missing."""

import torch

import backhand as bh
from backhand.layers.bounded_error import BoundedError
from backhand.layers.open_classes import OpenClasses
from backhand.layers.standardized import Standardized
from backhand.networks.reconstruction import Reconstruction
from cases.case import Case, over_features


def with_gaps(batch: int, dtype: torch.dtype) -> torch.Tensor:
    """Values (batch, 3), a sixth of them missing."""
    values = torch.randn(batch, 3, dtype=torch.float64) * 2 + 1
    return values.masked_fill_(torch.rand(batch, 3) < 1 / 6, float("nan"))


def autoencoder() -> bh.Layer:
    return bh.Sequential([bh.FullyConnected(3, 2), bh.Tanh(), bh.FullyConnected(2, 3)])


def all_open(width: int) -> bh.Layer:
    layer = OpenClasses(width)
    layer.open(width)
    return layer


CASES = [
    # so many times the usual that none of the errors here are limited, as finite differences are
    over_features("BoundedError", lambda width: BoundedError(most=1e6)),
    over_features("OpenClasses", all_open),
    Case("Standardized", lambda: Standardized(3), with_gaps, only=torch.float32, derivative=False),
    Case(
        "Reconstruction",
        lambda: Reconstruction(Standardized(3), autoencoder()),
        with_gaps,
        only=torch.float32,
        derivative=False,
    ),
]
