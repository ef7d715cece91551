"""Elementwise: what losses share whose elements each have a loss of their own."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.losses.expectations import checked_reduction, expect_mean, expect_same_shape
from backhand.losses.loss import Loss


class Elementwise(Loss):
    """A loss of each element alone, their mean or their sum.

    An author writes `elements` and `slopes`. "none" is no reduction here: a loss is one number;
    `rows` gives those of single rows.

    Args:
        reduction: "mean" over all elements, or "sum"; default "mean".

    Raises:
        ValueError: another reduction; or (at a call) shapes differ, or the batch is empty.
        TypeError: (at a call) dtypes differ.
        NotImplementedError: (at `rows`) the loss is no mean.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = checked_reduction(self, reduction)

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of each element, of the prediction's shape."""
        raise NotImplementedError(f"{type(self).__name__} has no elements")

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The derivative of each element's loss by its prediction."""
        raise NotImplementedError(f"{type(self).__name__} has no slopes")

    def expect(self, prediction: Tensor, target: Tensor) -> None:
        """Refuse a target that does not fit."""
        expect_same_shape(self, prediction, target)

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        self.expect(prediction, target)
        elements = self.elements(prediction, target)
        return elements.mean() if self.reduction == "mean" else elements.sum()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "..."]
    ) -> Float[Tensor, "*batch"]:
        expect_mean(self, self.reduction)
        self.expect(prediction, target)
        return self.elements(prediction, target).mean(-1)

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        self.expect(prediction, target)
        slopes = self.slopes(prediction, target)
        return slopes * (1 / prediction.numel()) if self.reduction == "mean" else slopes


def or_nan(slopes: Tensor, of: Tensor) -> Tensor:
    """The slopes, NaN where what they are slopes of is: a comparison makes a number of it."""
    return torch.where(of == of, slopes, of)
