"""Losses of numbers: the squared error, and counts."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.losses.loss import Loss, expect_same_shape


class MSELoss(Loss):
    """loss = mean of (prediction - target)², over all n elements.

    Shapes: prediction and target (*batch, outputs).
    Backward: error = 2 (prediction - target) / n.

    Raises:
        ValueError: shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        expect_same_shape(self, prediction, target)
        difference = (prediction - target).reshape(-1)
        return torch.dot(difference, difference) / difference.numel()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, "*batch"]:
        expect_same_shape(self, prediction, target)
        return (prediction - target).square().mean(-1)

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        expect_same_shape(self, prediction, target)
        return (prediction - target) * (2 / prediction.numel())


class PoissonLoss(Loss):
    """loss = mean of eᶻ - target · (1 + z - log target), where z is the prediction.

    Half the Poisson deviance of counts whose expectation is eᶻ (0 · log 0 is 0); 0 where
    eᶻ = target. Targets are 0 or more.
    Shapes: prediction and target (*batch, outputs), n elements in all.
    Backward: error = (eᶻ - target) / n.

    Raises:
        ValueError: shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, "*batch"]:
        expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean(-1)

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        expect_same_shape(self, prediction, target)
        return (torch.exp(prediction) - target) * (1 / prediction.numel())

    @staticmethod
    def _elements(prediction: Tensor, target: Tensor) -> Tensor:
        logarithm = torch.log(target.clamp(min=torch.finfo(target.dtype).tiny))
        return torch.exp(prediction) - target * (1 + (prediction - logarithm))

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        lowest = float(target.min())
        if lowest < 0:
            raise ValueError(f"{self!r} expected targets of 0 or more, got {lowest:g}")
