"""How far one distribution is from another."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.arguments import truth
from backhand.losses.expectations import checked_reduction, expect_mean, expect_same_shape
from backhand.losses.loss import Loss


class KLDivLoss(Loss):
    """loss = mean of p (log p - z), over all n elements: how far e^z, the prediction, is from p.

    z are logarithms of shares, p the target (or e^target); 0 · log 0 is 0. A row's divergence is
    the sum over its classes: reduction="batchmean" takes their mean over the batch.
    Kullback & Leibler, "On Information and Sufficiency" (1951), eq. 2.4.
    Shapes: prediction and target (*batch, classes).
    Backward: error = -p / n, with n the elements, or the rows for "batchmean", or 1 for "sum".

    Args:
        log_target: whether the target is log p; default False.
        reduction: "mean" over all elements; "batchmean", over the rows, each a divergence; or
            "sum"; default "mean", as PyTorch's.

    Raises:
        ValueError: another reduction; or (at a call) shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    decides_by_largest = True

    def __init__(self, log_target: bool = False, reduction: str = "mean") -> None:
        self.log_target = truth("KLDivLoss", "log_target", log_target)
        self.reduction = checked_reduction(self, reduction, ("batchmean", "mean", "sum"))

    def _divisor(self, prediction: Tensor) -> int:
        if self.reduction == "batchmean":
            return math.prod(prediction.shape[:-1])
        return prediction.numel() if self.reduction == "mean" else 1

    def _elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        expect_same_shape(self, prediction, target)
        if self.log_target:
            share = torch.exp(target)
            return torch.where(share == 0, 0.0, share * (target - prediction))
        return torch.xlogy(target, target) - torch.where(target == 0, 0.0, target * prediction)

    def forward(
        self, prediction: Float[Tensor, "*batch"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        return self._elements(prediction, target).sum() / self._divisor(prediction)

    def rows(
        self, prediction: Float[Tensor, "*batch classes"], target: Float[Tensor, "*batch classes"]
    ) -> Float[Tensor, "*batch"]:
        expect_mean(self, self.reduction)
        elements = self._elements(prediction, target)
        return elements.sum(-1) if self.reduction == "batchmean" else elements.mean(-1)

    def backward(
        self, prediction: Float[Tensor, "*batch"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*batch"]:
        expect_same_shape(self, prediction, target)
        share = torch.exp(target) if self.log_target else target
        return share * (-1 / self._divisor(prediction))

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        if not self.log_target and float(target.min()) < 0:
            raise ValueError(f"{self!r} expected shares of 0 or more, got {float(target.min()):g}")
