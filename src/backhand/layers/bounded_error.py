"""BoundedError: an error far larger than usual goes back no larger than some times the usual."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import real
from backhand.layer import Layer
from backhand.learning.buffer import Buffer

PACE = 0.02
"""How far the usual moves with a row: a lasting change of scale is followed within 100 rows."""

LEAST, LARGEST = 1e-3, 4.0
"""Of the usual: where errors vanish it can still grow again; and errors on the scale of what is
predicted are no larger."""


class BoundedError(Layer):
    """output = input; its error, element by element, is limited to ± most · usual.

    The usual is a running mean of |error| that counts each as what is let through of it, so that
    it grows by at most 1 + PACE · (most - 1) a call:
    usual' = usual + PACE · (mean min(|error|, most · usual) - usual), within LEAST and LARGEST.
    So one wild target moves weights little, and one after another are learnt from as they are.

    Shapes: any, output as input.
    Backward: input error = min(max(error, -most · usual), most · usual), by the usual from before.

    Args:
        most: how many times the usual is let through; default 5.

    Raises:
        TypeError: most is no number.
        ValueError: most is 1 or less: the usual could not grow.
    """

    def __init__(self, most: float = 5.0) -> None:
        self.most = real("BoundedError", "most", most)
        if not self.most > 1:
            raise ValueError(f"BoundedError: expected most above 1, got {most}")
        self.usual = Buffer(torch.ones(1))

    def forward(
        self, input: Float[Tensor, "..."], training: bool
    ) -> tuple[Float[Tensor, "..."], None]:
        self.expect_tensor(input)
        return input, None

    def propagate(
        self, error: Float[Tensor, "..."], memory: None, learning_rate: float
    ) -> Float[Tensor, "..."]:
        if not error.numel():
            return error
        usual = self.usual.value
        bound = (usual * self.most).to(error.dtype)
        limited = torch.minimum(torch.maximum(error, -bound), bound)
        mean = limited.abs().mean().to(usual.dtype)
        self.usual.become((usual * (1 - PACE) + mean * PACE).clamp(LEAST, LARGEST))
        return limited
