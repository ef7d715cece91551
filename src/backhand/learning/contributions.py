"""Contributions: what one backward gives to a parameter, its gradient or the factors of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


class Contribution:
    """One use's part of a parameter's gradient, in the form the layer had it in."""

    __slots__ = ()

    def gradient(self) -> Tensor:
        """The gradient, formed."""
        raise NotImplementedError

    def squared_norm(self) -> Tensor:
        """|gradient|², a 0-dim tensor."""
        return self.gradient().square().sum()

    def scaled(self, scale: Tensor) -> Contribution:
        """The same, times a 0-dim tensor."""
        raise NotImplementedError

    def update(self, parameter: Parameter, learning_rate: float) -> None:
        """Let the parameter's rule learn from it."""
        raise NotImplementedError


class Whole(Contribution):
    """A gradient as it is."""

    __slots__ = ("_gradient",)

    def __init__(self, gradient: Tensor) -> None:
        self._gradient = gradient

    def gradient(self) -> Tensor:
        return self._gradient

    def scaled(self, scale: Tensor) -> Whole:
        return Whole(self._gradient * scale)

    def update(self, parameter: Parameter, learning_rate: float) -> None:
        parameter.rule.update(parameter, self._gradient, learning_rate)


class Product(Contribution):
    """gradient = left @ right, not formed: left (outputs, rows), right (rows, inputs)."""

    __slots__ = ("left", "right")

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left = left
        self.right = right

    def gradient(self) -> Tensor:
        return self.left @ self.right

    def squared_norm(self) -> Tensor:
        """|left @ right|² = Σ (leftᵀ left) ∘ (right rightᵀ), or directly where that is smaller."""
        rows, outputs, inputs = self.left.shape[1], self.left.shape[0], self.right.shape[1]
        if rows * rows > outputs * inputs:
            return self.gradient().square().sum()
        return ((self.left.t() @ self.left) * (self.right @ self.right.t())).sum()

    def scaled(self, scale: Tensor) -> Product:
        return Product(self.left * scale, self.right)

    def update(self, parameter: Parameter, learning_rate: float) -> None:
        parameter.rule.update_product(parameter, self.left, self.right, learning_rate)


class Summed(Contribution):
    """gradient = error summed over its rows: error (rows, outputs)."""

    __slots__ = ("error",)

    def __init__(self, error: Tensor) -> None:
        self.error = error

    def gradient(self) -> Tensor:
        return self.error.sum(0)

    def scaled(self, scale: Tensor) -> Summed:
        return Summed(self.error * scale)

    def update(self, parameter: Parameter, learning_rate: float) -> None:
        parameter.rule.update_sum(parameter, self.error, learning_rate)


def together(contributions: Sequence[Contribution]) -> Contribution:
    """The sum of several contributions as one: factors side by side where all are products."""
    if len(contributions) == 1:
        return contributions[0]
    products = [each for each in contributions if isinstance(each, Product)]
    if len(products) == len(contributions):
        lefts = torch.cat([each.left for each in products], dim=1)
        return Product(lefts, torch.cat([each.right for each in products], dim=0))
    sums = [each for each in contributions if isinstance(each, Summed)]
    if len(sums) == len(contributions):
        return Summed(torch.cat([each.error for each in sums], dim=0))
    total = contributions[0].gradient()
    for each in contributions[1:]:
        total = total + each.gradient()
    return Whole(total)
