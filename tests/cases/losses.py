"""Rows: losses, each beside PyTorch's own formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import backhand as bh
from backhand.losses import PoissonLoss
from backhand.losses.itself import Itself


@dataclass(frozen=True, eq=False)
class LossCase:
    """A loss, its targets, and what it is compared with.

    Args:
        name: of the test; begins with the class's name.
        loss: makes it.
        oracle: (prediction, target) -> the value, by PyTorch; autograd differentiates it.
        target: (rows, outputs, dtype) -> a target; draws from torch's generator.
        prediction: (rows, outputs, dtype) -> a prediction; default normal numbers.
        scales: what the prediction may be multiplied by.
        rows: whether it is the mean of losses of single rows, and `Weighted` takes it.
        bounded: whether it has a lowest value, so that training comes to rest.
    """

    name: str
    loss: Callable[[], bh.Loss]
    oracle: Callable[[Any, Any], Tensor]
    target: Callable[[int, int, torch.dtype], Any]
    prediction: Callable[[int, int, torch.dtype], Any] = lambda rows, outputs, dtype: torch.randn(
        rows, outputs, dtype=dtype
    )
    scales: tuple[float, ...] = (1.0, 30.0, 1e4)
    rows: bool = True
    bounded: bool = True

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


def normal(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(rows, outputs, dtype=dtype)


def shares(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(rows, outputs, dtype=dtype)


def classes(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.randint(0, outputs, (rows,))


def counts(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.randint(0, 4, (rows, outputs)).to(dtype)


def poisson(z: Tensor, t: Tensor) -> Tensor:
    elements = functional.poisson_nll_loss(z, t, reduction="none")
    return (elements + torch.xlogy(t, t) - t).mean()


CASES = [
    LossCase("MSELoss", bh.MSELoss, functional.mse_loss, normal),
    LossCase(
        "BinaryCrossEntropyLoss",
        bh.BinaryCrossEntropyLoss,
        functional.binary_cross_entropy_with_logits,
        shares,
    ),
    LossCase("CrossEntropyLoss", bh.CrossEntropyLoss, functional.cross_entropy, classes),
    LossCase(
        "CrossEntropyLoss, smoothed",
        lambda: bh.CrossEntropyLoss(label_smoothing=0.1),
        lambda z, t: functional.cross_entropy(z, t, label_smoothing=0.1),
        classes,
    ),
    # e to the 30 is no rate.
    LossCase("PoissonLoss", PoissonLoss, poisson, counts, scales=(1.0,)),
    LossCase("Itself", Itself, lambda z, t: z.mean(), normal, rows=False, bounded=False),
]
