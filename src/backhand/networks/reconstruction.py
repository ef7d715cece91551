"""Reconstruction: how far a row lies from what an autoencoder makes of it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from backhand.arguments import instance
from backhand.layer import Layer, LayerError
from backhand.layers.standardized import Standardized
from backhand.networks.parts import forward_child

LARGEST = 1.5
"""Deviations at which the network's input is clipped, and in training its target too: an outlier
then teaches it little, and its distance still shows how far out it is."""


class Reconstruction(Layer):
    """How far standardized rows z lie from coder(clip(z)); NaN marks a missing value.

    In training: distance = mean over the present features of (coder(clip(z)) - clip(z))².
    In use: distance = mean over them of log(1 + (coder(clip(z)) - z)²), in which no feature
    drowns the others.
    Shapes: input (batch, features) in float64, output (batch, 1).
    Backward: the coder's error = error · 2 (coder(clip(z)) - clip(z)) / number of present ones.

    Args:
        standardized: the input's standardisation.
        coder: from (batch, features) to (batch, features).

    Raises:
        TypeError: one of them is no such layer.
        LayerError: (at a call) the input has other axes, or is not of float64.
    """

    def __init__(self, standardized: Standardized, coder: Layer) -> None:
        self.standardized = instance("Reconstruction", "standardized", standardized, Standardized)
        self.coder = instance("Reconstruction", "coder", coder, Layer)

    def forward(
        self, input: Float64[Tensor, "batch features"], training: bool
    ) -> tuple[Float[Tensor, "batch 1"], Any]:
        self.expect_tensor(input)
        if input.dim() != 2:
            raise LayerError(f"{self!r} expected input (batch, features), got {tuple(input.shape)}")
        z, statistics = forward_child(self.standardized, "standardized", input, training)
        clipped = z.clamp(-LARGEST, LARGEST)
        guess, memory = forward_child(self.coder, "coder", clipped, training)
        present = (input == input).to(torch.float32)
        count = present.sum(1, keepdim=True).clamp(min=1)
        difference = (guess - (clipped if training else z)) * present
        squares = difference * difference
        each = squares if training else torch.log1p(squares)
        distance = each.sum(1, keepdim=True) / count
        return distance, (statistics, memory, difference, count)

    def propagate(self, error: Float[Tensor, "batch 1"], memory: Any, learning_rate: float) -> None:
        statistics, coder_memory, difference, count = memory
        self.coder.propagate(difference * (2 * error / count), coder_memory, learning_rate)
        self.standardized.propagate(None, statistics, learning_rate)
