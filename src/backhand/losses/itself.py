"""The prediction itself as the loss."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.losses.elementwise import or_nan
from backhand.losses.loss import Loss


class Itself(Loss):
    """loss = mean of the prediction: for a network that computes what is to become small.

    The target is not looked at.
    Backward: error = 1 / n for each of n elements.
    """

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Shaped[Tensor, "..."]
    ) -> Float[Tensor, ""]:
        return prediction.mean()

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Shaped[Tensor, "..."]
    ) -> Float[Tensor, "*shape"]:
        return or_nan(torch.full_like(prediction, 1 / prediction.numel()), prediction)
