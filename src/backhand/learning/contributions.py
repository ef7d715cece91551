"""Contributions: what one backward gives to a parameter, its gradient or the factors of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter
    from backhand.learning.rules.rule import UpdateRule


class Contribution:
    """One use's part of a parameter's gradient, in the form the layer had it in."""

    __slots__ = ()

    def gradient(self) -> Tensor:
        """The gradient, formed."""
        raise NotImplementedError

    def squared_norm(self) -> Tensor:
        """|gradient|², a 0-dim tensor in float64, in which no float32 overflows."""
        return self.gradient().to(torch.float64).square().sum()

    def scaled(self, scale: Tensor) -> Contribution:
        """The same, times a 0-dim tensor of any dtype."""
        raise NotImplementedError

    def add_to(self, total: Tensor) -> None:
        """Add the gradient to a tensor of its shape, in place."""
        total.add_(self.gradient())

    def update(self, parameter: Parameter, rule: UpdateRule, learning_rate: float) -> None:
        """Let the rule move the parameter by it."""
        raise NotImplementedError


class Whole(Contribution):
    """A gradient as it is."""

    __slots__ = ("_gradient",)

    def __init__(self, gradient: Tensor) -> None:
        self._gradient = gradient

    def gradient(self) -> Tensor:
        return self._gradient

    def scaled(self, scale: Tensor) -> Whole:
        return Whole(self._gradient * scale.to(self._gradient.dtype))

    def update(self, parameter: Parameter, rule: UpdateRule, learning_rate: float) -> None:
        rule.update(parameter, self._gradient, learning_rate)


class Factors(Contribution):
    """gradient = left @ right, not formed: left (outputs, rows), right (rows, inputs)."""

    __slots__ = ("left", "right")

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left = left
        self.right = right

    def gradient(self) -> Tensor:
        return self.left @ self.right

    def squared_norm(self) -> Tensor:
        """|left @ right|² = Σ (leftᵀ left) ∘ (right rightᵀ), or directly where that is smaller.

        Rows that cancel leave of that sum its rounding errors, of either sign and as large as
        |left|² |right|² times the precision: in float64 no larger than what forming the gradient
        in float32 loses. What comes in float64 has nothing wider to be summed in: it is formed.
        """
        rows, outputs, inputs = self.left.shape[1], self.left.shape[0], self.right.shape[1]
        if rows * rows > outputs * inputs or self.left.dtype is torch.float64:
            return super().squared_norm()
        left, right = self.left.to(torch.float64), self.right.to(torch.float64)
        return ((left.t() @ left) * (right @ right.t())).sum().clamp(min=0)

    def add_to(self, total: Tensor) -> None:
        total.addmm_(self.left, self.right)

    def scaled(self, scale: Tensor) -> Factors:
        return Factors(self.left * scale.to(self.left.dtype), self.right)

    def update(self, parameter: Parameter, rule: UpdateRule, learning_rate: float) -> None:
        rule.update_product(parameter, self.left, self.right, learning_rate)


class Summed(Contribution):
    """gradient = error summed over its rows: error (rows, outputs)."""

    __slots__ = ("error",)

    def __init__(self, error: Tensor) -> None:
        self.error = error

    def gradient(self) -> Tensor:
        return self.error.sum(0)

    def scaled(self, scale: Tensor) -> Summed:
        return Summed(self.error * scale.to(self.error.dtype))

    def update(self, parameter: Parameter, rule: UpdateRule, learning_rate: float) -> None:
        rule.update_sum(parameter, self.error, learning_rate)


class Rows(Contribution):
    """gradient = 0 but for some rows of it; those that come several times add up.

    Args:
        index: which row of the gradient each is, (rows,) of int64.
        rows: (rows, …), each of a row's shape.
        count: how many rows the gradient has.
    """

    __slots__ = ("count", "index", "rows")

    def __init__(self, index: Tensor, rows: Tensor, count: int) -> None:
        self.index = index
        self.rows = rows
        self.count = count

    def gradient(self) -> Tensor:
        zeros = self.rows.new_zeros(self.count, *self.rows.shape[1:])
        return zeros.index_add_(0, self.index, self.rows)

    def squared_norm(self) -> Tensor:
        """|gradient|² = Σ rows · rowsᵀ over the pairs with one index, or directly where smaller."""
        rows = len(self.index)
        if rows * rows > self.count * self.rows[0:1].numel() or self.rows.dtype is torch.float64:
            return super().squared_norm()
        flat = self.rows.flatten(1).to(torch.float64)
        same = (self.index.unsqueeze(1) == self.index).to(torch.float64)
        return (same * (flat @ flat.t())).sum().clamp(min=0)

    def add_to(self, total: Tensor) -> None:
        total.index_add_(0, self.index, self.rows)

    def scaled(self, scale: Tensor) -> Rows:
        return Rows(self.index, self.rows * scale.to(self.rows.dtype), self.count)

    def update(self, parameter: Parameter, rule: UpdateRule, learning_rate: float) -> None:
        rule.update_rows(parameter, self.index, self.rows, learning_rate)


class Several(Contribution):
    """gradient = the sum of parts of different forms: an embedding that is also a last layer."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Contribution]) -> None:
        self.parts = parts

    def gradient(self) -> Tensor:
        first, *others = self.parts
        total = first.gradient().clone()
        for part in others:
            part.add_to(total)
        return total

    def scaled(self, scale: Tensor) -> Several:
        return Several([part.scaled(scale) for part in self.parts])

    def update(self, parameter: Parameter, rule: UpdateRule, learning_rate: float) -> None:
        rule.update_several(parameter, self, learning_rate)


def sum_of(contributions: Sequence[Contribution]) -> Contribution:
    """The sum of several contributions as one: factors side by side where all are of one form."""
    if len(contributions) == 1:
        return contributions[0]
    products = [each for each in contributions if isinstance(each, Factors)]
    if len(products) == len(contributions):
        lefts = torch.cat([each.left for each in products], dim=1)
        return Factors(lefts, torch.cat([each.right for each in products], dim=0))
    sums = [each for each in contributions if isinstance(each, Summed)]
    if len(sums) == len(contributions):
        return Summed(torch.cat([each.error for each in sums], dim=0))
    rows = [each for each in contributions if isinstance(each, Rows)]
    if len(rows) == len(contributions):
        index = torch.cat([each.index for each in rows])
        return Rows(index, torch.cat([each.rows for each in rows]), rows[0].count)
    return Several(contributions)
