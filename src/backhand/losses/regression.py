"""Losses of numbers: squared, absolute and in between; quantiles; counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.arguments import finite, shown
from backhand.losses.elementwise import Elementwise, or_nan
from backhand.losses.expectations import (
    above_zero,
    expect_rows,
    expect_same_dtype,
    expect_same_shape,
)
from backhand.losses.loss import Loss


class MSELoss(Elementwise):
    """loss = mean of (prediction - target)², over all n elements.

    Shapes: prediction and target (*batch, outputs).
    Backward: error = 2 (prediction - target) / n.

    Args:
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: another reduction; or (at a call) shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    decides_above = 0.5

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        self.expect(prediction, target)
        difference = (prediction - target).reshape(-1)
        total = torch.dot(difference, difference)
        return total / difference.numel() if self.reduction == "mean" else total

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square()

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        self.expect(prediction, target)
        share = 2 / prediction.numel() if self.reduction == "mean" else 2
        return (prediction - target) * share


class L1Loss(Elementwise):
    """loss = mean of |prediction - target|, over all n elements: what the median makes smallest.

    Shapes: prediction and target (*batch, outputs).
    Backward: error = sign(prediction - target) / n, 0 where they are equal.

    Args:
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: another reduction; or (at a call) shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    decides_above = 0.5

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        return or_nan(difference.sign(), difference)


class HuberLoss(Elementwise):
    """loss = mean of ½ d² where |d| ≤ delta, else delta (|d| - ½ delta); d = prediction - target.

    With c = min(|d|, delta) both are c (|d| - ½ c). Over all n elements.
    Shapes: prediction and target (*batch, outputs).
    Backward: error = d cut to [-delta, delta], / n.
    Huber, "Robust Estimation of a Location Parameter" (1964), section 4.

    Args:
        reduction: "mean", or "sum", which does not divide by n; default "mean".
        delta: above 0; default 1.

    Raises:
        ValueError: another reduction, or delta is not a finite number above 0; or (at a call)
            shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    decides_above = 0.5

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = above_zero(self, "delta", delta)

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        distance = (prediction - target).abs()
        cut = distance.clamp(max=self.delta)
        return cut * (distance - cut * 0.5)

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).clamp(-self.delta, self.delta)


class SmoothL1Loss(Elementwise):
    """loss = mean of ½ d² / beta where |d| < beta, else |d| - ½ beta; d = prediction - target.

    HuberLoss / beta, which tends to L1Loss as beta goes to 0, and is L1Loss at 0.
    Shapes: prediction and target (*batch, outputs).
    Backward: error = d / beta cut to [-1, 1], / n; sign(d) / n where beta is 0.
    Girshick, "Fast R-CNN" (2015), eq. 3.

    Args:
        reduction: "mean", or "sum", which does not divide by n; default "mean".
        beta: 0 or more; default 1.

    Raises:
        ValueError: another reduction, or beta is negative or not finite; or (at a call) shapes
            differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    decides_above = 0.5

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = finite("SmoothL1Loss", "beta", beta)
        if self.beta < 0:
            raise ValueError(f"SmoothL1Loss: expected beta of 0 or more, got {beta}")

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        distance = (prediction - target).abs()
        if self.beta == 0:
            return distance
        cut = distance.clamp(max=self.beta)
        return cut / self.beta * (distance - cut * 0.5)

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        if self.beta == 0:
            return or_nan(difference.sign(), difference)
        return (difference / self.beta).clamp(-1, 1)


class QuantileLoss(Elementwise):
    """loss = mean of max(q d, (q - 1) d), d = target - prediction: what the q-quantile makes least.

    Shapes: prediction (*batch, quantiles), an output for each of the quantiles, target
    (*batch, 1); n elements of the prediction in all.
    Backward: error = -q / n where the prediction is too low, (1 - q) / n where too high, and 0
    where it is right.
    Koenker & Bassett, "Regression Quantiles" (1978), eq. 3.1.

    Args:
        quantiles: each in (0, 1).
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: there is no quantile, or one outside (0, 1), or another reduction; or (at a
            call) the shapes are others, or the batch is empty.
        TypeError: dtypes differ.
    """

    def __init__(self, quantiles: Sequence[float] | float, reduction: str = "mean") -> None:
        super().__init__(reduction)
        levels = quantiles if isinstance(quantiles, Sequence) else [quantiles]
        self.quantiles = tuple(finite("QuantileLoss", "quantile", each) for each in levels)
        if not self.quantiles or not all(0 < each < 1 for each in self.quantiles):
            raise ValueError(f"QuantileLoss: expected quantiles in (0, 1), got {shown(quantiles)}")
        self._levels = torch.tensor(self.quantiles, dtype=torch.float64)

    def expect(self, prediction: Tensor, target: Tensor) -> None:
        expected = (*prediction.shape[:-1], 1)
        if prediction.shape[-1:] != (len(self.quantiles),) or target.shape != expected:
            raise ValueError(
                f"{self!r} expected a prediction (batch, {len(self.quantiles)}) and a target "
                f"(batch, 1), got {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        expect_same_dtype(self, prediction, target)
        expect_rows(self, prediction)

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference, levels = target - prediction, self._levels.to(prediction)
        return torch.maximum(difference * levels, difference * (levels - 1))

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        levels = self._levels.to(prediction)
        difference = prediction - target
        too_high = (difference > 0) * (1 - levels)
        return or_nan(too_high - (difference < 0) * levels, difference)


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
