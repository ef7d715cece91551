"""Losses of how near outputs stand to each other, for networks with two or three towers.

The prediction is a tuple of tensors (*batch, features), and so is the error.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.arguments import finite, truth
from backhand.losses.classification import expect_signs
from backhand.losses.elementwise import or_nan
from backhand.losses.expectations import above_zero, checked_reduction, expect_mean, expect_rows
from backhand.losses.loss import Loss


class _OfTowers(Loss):
    """What losses of a tuple share: each row has a loss, and they are averaged or added."""

    towers = 2

    def __init__(self, reduction: str) -> None:
        self.reduction = checked_reduction(self, reduction)

    def _expect(self, prediction: Any) -> None:
        if not isinstance(prediction, tuple) or len(prediction) != self.towers:
            raise TypeError(
                f"{self!r} expected a prediction of {self.towers} tensors, "
                f"got {type(prediction).__name__}"
            )
        first = prediction[0]
        for each in prediction:
            if each.shape != first.shape or each.dtype is not first.dtype or each.dim() == 0:
                shapes = ", ".join(f"{tuple(each.shape)} {each.dtype}" for each in prediction)
                raise ValueError(
                    f"{self!r} expected predictions (batch, features) of one shape and dtype, "
                    f"got {shapes}"
                )
        expect_rows(self, first)

    def _expect_pairs(self, prediction: Any, target: Tensor) -> None:
        """Refuse targets that are not a number for each pair."""
        self._expect(prediction)
        first = prediction[0]
        if target.shape != first.shape[:-1]:
            raise ValueError(
                f"{self!r} expected a target of shape {tuple(first.shape[:-1])}, "
                f"got {tuple(target.shape)}"
            )
        if target.dtype is not first.dtype:
            raise TypeError(
                f"{self!r} expected a target of the prediction's dtype {first.dtype}, "
                f"got {target.dtype}"
            )

    def _rows(self, prediction: Any, target: Any) -> Tensor:
        raise NotImplementedError

    def forward(self, prediction: Any, target: Any) -> Float[Tensor, ""]:
        rows = self._rows(prediction, target)
        return rows.mean() if self.reduction == "mean" else rows.sum()

    def rows(self, prediction: Any, target: Any) -> Float[Tensor, "*batch"]:
        expect_mean(self, self.reduction)
        return self._rows(prediction, target)

    def _share(self, rows: Tensor) -> float:
        """The derivative of the loss by one row's."""
        return 1 / rows.numel() if self.reduction == "mean" else 1.0


class CosineEmbeddingLoss(_OfTowers):
    """loss = mean of 1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where -1.

    cos(a, b) = a · b / √((|a|² + ε)(|b|² + ε)), ε = 1e-12.
    Shapes: prediction (a, b), each (*batch, features); target (*batch), of 1 and -1; n rows.
    Backward: d cos / da = b / √(…) - cos · a / (|a|² + ε), times -1 / n or 1 / n.

    Args:
        margin: default 0.
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: the margin is not finite, another reduction; or (at a call) shapes that do not
            fit, or the batch is empty.
        TypeError: the prediction is no pair, or dtypes differ.
    """

    EPSILON = 1e-12

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = finite("CosineEmbeddingLoss", "margin", margin)

    def _cosine(self, prediction: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The cosine of each pair, its divisor, and both squared lengths; (*batch, 1)."""
        one, other = prediction
        squares = one.square().sum(-1, keepdim=True) + self.EPSILON
        others = other.square().sum(-1, keepdim=True) + self.EPSILON
        divisor = squares.sqrt() * others.sqrt()
        return (one * other).sum(-1, keepdim=True) / divisor, divisor, squares, others

    def _rows(self, prediction: Any, target: Tensor) -> Tensor:
        self._expect_pairs(prediction, target)
        cosine = self._cosine(prediction)[0].squeeze(-1)
        return torch.where(target > 0, 1 - cosine, (cosine - self.margin).clamp(min=0))

    def backward(
        self, prediction: Any, target: Shaped[Tensor, "*batch"]
    ) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
        self._expect_pairs(prediction, target)
        one, other = prediction
        cosine, divisor, squares, others = self._cosine(prediction)
        alike = target.unsqueeze(-1) > 0
        slope = torch.where(alike, -1.0, (cosine > self.margin).to(cosine.dtype))
        slope = slope * self._share(target)
        of_one = other / divisor - one * (cosine / squares)
        of_other = one / divisor - other * (cosine / others)
        return of_one * slope, of_other * slope

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        expect_signs(self, target)


class ContrastiveLoss(_OfTowers):
    """loss = mean of ½ d² for a pair that belongs together, ½ max(0, margin - d)² for one that not.

    d = |a - b|: pairs are drawn together, and pushed apart up to the margin.
    Shapes: prediction (a, b), each (*batch, features); target (*batch), 1 for a pair that belongs
    together and 0 for one that does not; n rows.
    Backward: error of a = target (a - b) / n - (1 - target) max(0, margin - d) (a - b) / (d n), and
    of b the opposite; 0 where d is 0, which has no direction.
    Hadsell, Chopra & LeCun, "Dimensionality Reduction by Learning an Invariant Mapping" (2006),
    eq. 4, with its Y the other way round.

    Args:
        margin: above 0; default 1.
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: the margin is not a finite number above 0, another reduction; or (at a call)
            shapes that do not fit, or the batch is empty.
        TypeError: the prediction is no pair, or dtypes differ.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = above_zero(self, "margin", margin)

    def _rows(self, prediction: Any, target: Tensor) -> Tensor:
        self._expect_pairs(prediction, target)
        one, other = prediction
        square: Tensor = (one - other).square().sum(-1)
        lacking = (self.margin - square.sqrt()).clamp(min=0)
        return (target * square + (1 - target) * lacking.square()) * 0.5

    def backward(
        self, prediction: Any, target: Shaped[Tensor, "*batch"]
    ) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
        self._expect_pairs(prediction, target)
        difference = prediction[0] - prediction[1]
        distance = difference.square().sum(-1).sqrt()
        lacking = (self.margin - distance).clamp(min=0)
        push = torch.where(distance == 0, 0.0, lacking / distance)
        slope = (target - (1 - target) * push) * self._share(target)
        error = difference * slope.unsqueeze(-1)
        return error, -error

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        wrong = target[(target != 0) & (target != 1)]
        if wrong.numel():
            raise ValueError(f"{self!r} expected targets of 0 and 1, got {wrong[0].item():g}")


class TripletMarginLoss(_OfTowers):
    """loss = mean of max(0, d(anchor, positive) - d(anchor, negative) + margin).

    d(a, b) = |a - b + eps| in the p-norm. With swap, the negative's distance is the smaller of
    those from the anchor and from the positive. The target is not looked at.
    Shapes: prediction (anchor, positive, negative), each (*batch, features); n rows.
    Backward: where the maximum is not 0, ± ∂d / n to both ends of either distance, with
    ∂d/∂v = sign(v) |v|ᵖ⁻¹ / dᵖ⁻¹ for v = a - b + eps, 0 where d is 0.
    Balntas et al., "Learning Local Feature Descriptors with Triplets" (2016), section 2.

    Args:
        margin: above 0; default 1.
        p: of the norm, 1 or more; default 2.
        eps: default 1e-6.
        swap: default False.
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: an argument outside its range; or (at a call) shapes that differ, or the batch
            is empty.
        TypeError: the prediction is no triple.
    """

    towers = 3

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        name = "TripletMarginLoss"
        self.margin = above_zero(self, "margin", margin)
        self.p, self.eps = finite(name, "p", p), finite(name, "eps", eps)
        if self.p < 1:
            raise ValueError(f"{name}: expected p of 1 or more, got {p}")
        if self.eps < 0:
            raise ValueError(f"{name}: expected eps of 0 or more, got {eps}")
        self.swap = truth(name, "swap", swap)

    def _distance(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """The distance of each pair (*batch, 1), and its derivative by the first."""
        apart = one - other + self.eps
        sizes = apart.abs()
        if self.p == 1:
            return sizes.sum(-1, keepdim=True), apart.sign()
        if self.p == 2:
            distance = sizes.square().sum(-1, keepdim=True).sqrt()
            return distance, torch.where(distance > 0, apart / distance, 0.0)
        distance = sizes.pow(self.p).sum(-1, keepdim=True).pow(1 / self.p)
        slope = apart.sign() * (sizes / distance).pow(self.p - 1)
        return distance, torch.where(distance > 0, slope, 0.0)

    def _parts(self, prediction: Any) -> Any:
        self._expect(prediction)
        anchor, positive, negative = prediction
        near, far = self._distance(anchor, positive), self._distance(anchor, negative)
        return near, far, self._distance(positive, negative) if self.swap else None

    def _rows(self, prediction: Any, target: Any) -> Tensor:
        (near, _), (far, _), across = self._parts(prediction)
        if across is not None:
            far = torch.minimum(far, across[0])
        rows: Tensor = (near - far + self.margin).clamp(min=0)
        return rows.squeeze(-1)

    def backward(
        self, prediction: Any, target: Any
    ) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."], Float[Tensor, "..."]]:
        (near, toward), (far, away), across = self._parts(prediction)
        nearest = far if across is None else torch.minimum(far, across[0])
        lacking = near - nearest + self.margin
        pushed = or_nan((lacking > 0).to(near.dtype), lacking) * self._share(near)
        toward = toward * pushed
        if across is None:
            away = away * pushed
            return toward - away, -toward, away
        from_anchor = far <= across[0]
        away = away * torch.where(from_anchor, pushed, 0.0)
        aside = across[1] * torch.where(from_anchor, 0.0, pushed)
        return toward - away, -toward - aside, away + aside
