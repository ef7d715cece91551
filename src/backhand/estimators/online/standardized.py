"""Standardized: each feature by its own running mean and deviation, missing values at the mean."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from backhand.layer import Layer


class Standardized(Layer):
    """output = (input - mean) / deviation, feature by feature; NaN marks a value that is missing.

    Mean and deviation are those of all values learnt from and of the given ones, so that what is
    used after training is what was trained on, and |output| is at most √(number of values - 1).
    A missing value, or one of a feature that never varied, gives 0.

    For n present values x of a feature in this batch (Welford 1962, Chan et al. 1983):
    count' = count + n;  mean' = mean + Σ(x - mean) / count';
    squares' = squares + Σ(x - mean)(x - mean');  deviation² = squares' / count'.

    Shapes: input (batch, features) in float64, output the same in float32.
    Backward: an input has no derivative here; count, mean and squares become those above.

    Args:
        features: how many there are.

    Raises:
        LayerError: (at a call) the input's last axis is not `features`, or its dtype another.
    """

    def __init__(self, features: int) -> None:
        self.features = features
        self.count = torch.zeros(features, dtype=torch.float64)
        self.mean = torch.zeros(features, dtype=torch.float64)
        self.squares = torch.zeros(features, dtype=torch.float64)

    def forward(
        self, input: Float64[Tensor, "batch features"], training: bool
    ) -> tuple[Float[Tensor, "batch features"], tuple[Tensor, Tensor, Tensor]]:
        self.expect_features(input, self.features, self.mean)
        present = input == input
        delta = torch.where(present, input - self.mean, torch.zeros_like(input))
        count = self.count + present.to(torch.float64).sum(0)
        divisor = count.clamp(min=1)
        step = delta.sum(0) / divisor
        # A missing value must count as the mean in what follows, too: hence the mask.
        rest = torch.where(present, delta - step, torch.zeros_like(input))
        squares = self.squares + (delta * rest).sum(0)
        deviation = (squares / divisor).sqrt()
        varied = deviation > 0
        output = torch.where(varied, rest / deviation, torch.zeros_like(rest))
        return output.to(torch.float32), (count, self.mean + step, squares)

    def propagate(self, error: Any, memory: Any, learning_rate: float) -> None:
        for statistic, now in zip((self.count, self.mean, self.squares), memory, strict=True):
            statistic.copy_(now)
