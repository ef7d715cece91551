"""Standardized: each feature by its own running mean and deviation, missing values at the mean."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from backhand.arguments import whole
from backhand.layer import Layer
from backhand.learning.buffer import Buffer

FAR = 30.0
"""Deviations from the mean: a value further out counts as if it were there."""

ROUNDING = 1e-12
"""Of a mean: what is closer to it differs by the rounding of float64 only."""


class Standardized(Layer):
    """output = (input - mean) / deviation, feature by feature; NaN marks a value that is missing.

    Mean and deviation are those of all values learnt from and of the given ones, so that what is
    used after training is what was trained on, and |output| is at most √(number of values - 1).
    A missing value, or one of a feature that never varied, gives 0. In training a value further
    from the mean of those before than FAR of their deviations counts as one just so far, so that
    a single wild one does not drown all others; a feature that comes in another unit
    is followed in some rows, as each of them multiplies the deviation.

    A feature's n present values of a batch, of mean m and sum of squared distances from it q,
    join what is known of it (Chan et al. 1983; Welford 1962 where n is 1):
    count' = count + n;  mean' = mean + (m - mean) n / count';
    squares' = squares + q + (m - mean)² count n / count';  deviation² = squares' / count'.

    Shapes: input (batch, features) in float64, output the same in float32.
    Backward: an input has no derivative here; count, mean and squares become those above.

    Args:
        features: how many there are.

    Raises:
        TypeError: features is no whole number.
        ValueError: features less than 1.
        LayerError: (at a call) the input's last axis is not `features`, or its dtype another.
    """

    def __init__(self, features: int) -> None:
        self.features = whole("Standardized", "features", features)
        self.count, self.mean, self.squares = (
            Buffer(torch.zeros(self.features, dtype=torch.float64), keeps_dtype=True)
            for _ in range(3)
        )

    def forward(
        self, input: Float64[Tensor, "batch features"], training: bool
    ) -> tuple[Float[Tensor, "batch features"], tuple[Tensor, Tensor, Tensor]]:
        self.expect_features(input, self.features, self.mean.value)
        if training:
            input = self._bounded(input)
        present = input == input
        nothing = torch.zeros_like(input)
        number = present.to(torch.float64).sum(0)
        own_mean = torch.where(present, input, nothing).sum(0) / number.clamp(min=1)
        own = torch.where(present, input - own_mean, nothing)
        seen = self.count.value
        count = seen + number
        share = number / count.clamp(min=1)
        step = own_mean - self.mean.value
        mean = self.mean.value + step * share
        squares = self.squares.value + (own * own).sum(0) + step * step * seen * share
        deviation = (squares / count.clamp(min=1)).sqrt()
        known = torch.logical_and(present, deviation > 0)
        output = torch.where(known, (input - mean) / deviation, nothing)
        return output.to(torch.float32), (count, mean, squares)

    def _bounded(self, input: Tensor) -> Tensor:
        """The input, what is further from the mean than FAR deviations at just that distance."""
        known_by = (self.squares.value / self.count.value.clamp(min=1)).sqrt() * FAR
        # what never varied but by rounding says nothing of how far is far
        varied = known_by > self.mean.value.abs() * ROUNDING
        limit = torch.where(varied, known_by, torch.full_like(known_by, torch.inf))
        return torch.minimum(torch.maximum(input, self.mean.value - limit), self.mean.value + limit)

    def propagate(self, error: Any, memory: Any, learning_rate: float) -> None:
        for statistic, now in zip((self.count, self.mean, self.squares), memory, strict=True):
            statistic.become(now)
