"""Dropout."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import share
from backhand.layer import Layer


class Dropout(Layer):
    """In training, output = input · mask: each element 0 with probability `rate`, else 1/(1-rate).

    Backward: input error = error · mask. In `predict`, output = input. Any shape.
    Srivastava et al., "Dropout" (2014), in its inverted form. Draws from torch's generator.

    Args:
        rate: the share set to 0, in [0, 1); default 0.5.

    Raises:
        TypeError: the rate is no number.
        ValueError: the rate is outside [0, 1).
    """

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = share("Dropout", "rate", rate)

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"] | None]:
        self.expect_tensor(input)
        if not training:
            return input, None
        mask = torch.empty_like(input).bernoulli_(1 - self.rate).div_(1 - self.rate)
        return input * mask, mask

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        mask: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        return error * mask
