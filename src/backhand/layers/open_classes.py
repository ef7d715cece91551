"""OpenClasses: room for classes that have not been seen yet."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import whole
from backhand.layer import Layer
from backhand.learning.buffer import Buffer

SHUT = -1e9
"""What is added to the logit of a class not yet seen: its probability is 0, its error too."""


class OpenClasses(Layer):
    """output = input + shut: logits, those of classes that are not open pressed down to nothing.

    Shapes: input and output (batch, classes), shut (classes,).
    Backward: input error = error.

    Args:
        classes: how many there is room for; none is open at first.

    Raises:
        TypeError: classes is no whole number.
        ValueError: classes less than 1.
        LayerError: (at a call) the input's last axis is not `classes`, or its dtype another.
    """

    def __init__(self, classes: int) -> None:
        self.classes = whole("OpenClasses", "classes", classes)
        self.shut = Buffer(torch.full((self.classes,), SHUT))

    def are_open(self, count: int) -> bool:
        """Whether the first `count` classes take part, and no other."""
        open_ones, others = self.shut.value[:count], self.shut.value[count:]
        return bool((open_ones == 0).all() and (others == SHUT).all())

    def open(self, count: int) -> None:
        """Let the first `count` classes take part."""
        self.shut.value[:count] = 0

    def forward(
        self, input: Float[Tensor, "batch classes"], training: bool
    ) -> tuple[Float[Tensor, "batch classes"], None]:
        self.expect_features(input, self.classes, self.shut.value)
        return input + self.shut.value, None

    def propagate(
        self, error: Float[Tensor, "batch classes"], memory: None, learning_rate: float
    ) -> Float[Tensor, "batch classes"]:
        return error
