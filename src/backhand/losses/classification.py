"""Losses of two classes: from logits, and by a margin."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.arguments import finite, whole
from backhand.losses.elementwise import Elementwise, or_nan
from backhand.losses.expectations import (
    Numbers,
    checked_numbers,
    checked_reduction,
    expect_mean,
    expect_rows,
    fitting,
)
from backhand.losses.loss import Loss


class BinaryCrossEntropyLoss(Elementwise):
    """loss = mean of log(1 + eᶻ) - target · z, where z is the prediction, a logit.

    That is the cross-entropy of sigmoid(z), formed so that no z overflows. Targets lie in [0, 1].
    With pos_weight p, the mean of (1 - target) log(1 + eᶻ) + p · target · log(1 + e⁻ᶻ): a positive
    counts p times. With weight, each element times that.
    Shapes: prediction and target (*batch, outputs), n elements in all.
    Backward: error = (sigmoid(z) - target) / n, or
    weight ((1 - target) sigmoid(z) - p · target · sigmoid(-z)) / n.

    Args:
        pos_weight: (outputs,), or one number for all outputs; default 1.
        weight: (outputs,), or one number for all outputs; default 1.
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: a weight that is no vector of finite numbers, another reduction; or (at a call)
            shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    decides_above = 0.0  # a logit

    def __init__(
        self,
        pos_weight: Numbers | None = None,
        weight: Numbers | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.pos_weight = checked_numbers(self, "pos_weight", pos_weight)
        self.weight = checked_numbers(self, "weight", weight)

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        bend = torch.log1p(torch.exp(-prediction.abs()))
        if self.pos_weight is None:
            # The lines first: where they cancel, what is left of the bend is the whole loss.
            elements = prediction.clamp(min=0) - target * prediction + bend
        else:
            positive = target * fitting(self, "pos_weight", self.pos_weight, prediction)
            elements = (1 - target) * (prediction.clamp(min=0) + bend)
            elements = elements + positive * (bend - prediction.clamp(max=0))
        return self._weighted(elements, prediction)

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        if self.pos_weight is None:
            slopes = torch.sigmoid(prediction) - target
        else:
            positive = target * fitting(self, "pos_weight", self.pos_weight, prediction)
            slopes = (1 - target) * torch.sigmoid(prediction)
            slopes = slopes - positive * torch.sigmoid(-prediction)
        return self._weighted(slopes, prediction)

    def _weighted(self, elements: Tensor, prediction: Tensor) -> Tensor:
        if self.weight is None:
            return elements
        return elements * fitting(self, "weight", self.weight, prediction)

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        lowest, highest = float(target.min()), float(target.max())
        if lowest < 0 or highest > 1:
            wrong = lowest if lowest < 0 else highest
            raise ValueError(f"{self!r} expected targets in [0, 1], got {wrong:g}")


class HingeLoss(Elementwise):
    """loss = mean of max(0, margin - target · prediction), over all n elements; targets ±1.

    What a linear support vector machine makes small.
    Shapes: prediction and target (*batch, outputs).
    Backward: error = -target / n where the margin is not kept, else 0.
    Cortes & Vapnik, "Support-Vector Networks" (1995), eq. 19.

    Args:
        margin: default 1.
        reduction: "mean", or "sum", which does not divide by n; default "mean".

    Raises:
        ValueError: the margin is no finite number, another reduction; or (at a call) shapes
            differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    decides_above = 0.0

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = finite(type(self).__name__, "margin", margin)

    def elements(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (self.margin - target * prediction).clamp(min=0)

    def slopes(self, prediction: Tensor, target: Tensor) -> Tensor:
        kept = target * prediction
        return or_nan(torch.where(kept < self.margin, -target, 0.0), kept)

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        expect_signs(self, target)


class MultiMarginLoss(Loss):
    """loss = mean over the batch of w_t Σ max(0, margin - z_t + z_c)ᵖ / classes, over all c ≠ t.

    z is the prediction, a score for each class, and t the target: the hinge of many classes.
    Shapes: prediction (*batch, classes), target (*batch) of int64 class indices; n rows in all.
    Backward: error of c ≠ t = w_t p max(0, …)ᵖ⁻¹ / (n · classes), for p = 1 where z_c comes nearer
    to z_t than the margin, else 0; that of t what makes the row's sum 0.
    Crammer & Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector
    Machines" (2001), summed over the classes as Weston & Watkins (1999), eq. 2.

    Args:
        margin: default 1.
        reduction: "mean", or "sum", which does not divide by n; default "mean".
        p: 1 or 2; default 1.
        weight: w, a number for each class; default 1.

    Raises:
        ValueError: the margin is no finite number, p another, a weight that is no vector of finite
            numbers, another reduction; or (at a call) the target's shape is not the prediction's
            without its last axis, or the batch is empty.
        TypeError: the target is not int64.
    """

    def __init__(
        self,
        margin: float = 1.0,
        reduction: str = "mean",
        p: int = 1,
        weight: Numbers | None = None,
    ) -> None:
        self.margin = finite(type(self).__name__, "margin", margin)
        self.reduction = checked_reduction(self, reduction)
        self.p = whole(type(self).__name__, "p", p, 1, 2)
        self.weight = checked_class_weights(self, weight)

    def _lacking(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What each class lacks of its margin (0 for the target's own), and the targets' index."""
        expect_class_indices(self, prediction, target)
        index = target.unsqueeze(-1)
        lacking = (self.margin + prediction - prediction.gather(-1, index)).clamp(min=0)
        return lacking.scatter(-1, index, 0.0), index

    def _weighted(self, each: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        """The classes' numbers, (*batch, classes), times the weight of the target's."""
        if self.weight is None:
            return each
        return each * fitting(self, "weight", self.weight, prediction)[target].unsqueeze(-1)

    def _rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        lacking, _ = self._lacking(prediction, target)
        powers = lacking if self.p == 1 else lacking.square()
        return self._weighted(powers, prediction, target).mean(-1)

    def forward(
        self, prediction: Float[Tensor, "*batch classes"], target: Shaped[Tensor, "*rows"]
    ) -> Float[Tensor, ""]:
        rows = self._rows(prediction, target)
        return rows.mean() if self.reduction == "mean" else rows.sum()

    def rows(
        self, prediction: Float[Tensor, "*batch classes"], target: Shaped[Tensor, "*rows"]
    ) -> Float[Tensor, "*rows"]:
        expect_mean(self, self.reduction)
        return self._rows(prediction, target)

    def backward(
        self, prediction: Float[Tensor, "*batch classes"], target: Shaped[Tensor, "*rows"]
    ) -> Float[Tensor, "*batch classes"]:
        lacking, index = self._lacking(prediction, target)
        pushed = or_nan(lacking.sign(), lacking) if self.p == 1 else lacking * 2
        pushed = self._weighted(pushed, prediction, target)
        error = pushed.scatter_add(-1, index, -pushed.sum(-1, keepdim=True))
        rows = target.numel() if self.reduction == "mean" else 1
        return error * (1 / (rows * prediction.shape[-1]))

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        expect_known_classes(self, target, outputs)


def checked_class_weights(loss: Loss, weight: Numbers | None) -> Tensor | None:
    """A weight for each class; None where there are none."""
    checked = checked_numbers(loss, "weight", weight)
    if checked is not None and checked.dim() == 0:
        raise ValueError(f"{type(loss).__name__}: expected a weight for each class, got {weight!r}")
    return checked


def expect_signs(loss: Loss, target: Tensor) -> None:
    """Refuse targets other than 1 and -1."""
    wrong = target[target.abs() != 1]
    if wrong.numel():
        raise ValueError(f"{loss!r} expected targets of 1 and -1, got {wrong[0].item():g}")


def expect_known_classes(
    loss: Loss, target: Tensor, outputs: int, ignored: int | None = None
) -> None:
    """Refuse class indices that the prediction has no output for, but for one to ignore."""
    known = target if ignored is None else target[target != ignored]
    if known.numel() == 0:
        return
    lowest, highest = int(known.min()), int(known.max())
    if lowest < 0 or highest >= outputs:
        wrong = lowest if lowest < 0 else highest
        hint = ""
        if wrong == -100 and hasattr(loss, "ignore_index"):  # what PyTorch's losses ignore
            hint = "; for rows that count for nothing, give the loss ignore_index=-100"
        raise ValueError(
            f"{loss!r} expected class indices from 0 to {outputs - 1}, got {wrong}{hint}"
        )


def expect_class_indices(loss: Loss, prediction: Tensor, target: Tensor) -> None:
    """Refuse a target that is not an int64 class index for each row of the prediction."""
    if prediction.dim() == 0 or prediction.shape[:-1] != target.shape:
        raise ValueError(
            f"{loss!r} expected a target of shape {tuple(prediction.shape[:-1])} for a "
            f"prediction of shape {tuple(prediction.shape)}, got {tuple(target.shape)}"
        )
    if target.dtype is not torch.int64:
        raise TypeError(f"{loss!r} expected int64 class indices, got {target.dtype}")
    expect_rows(loss, prediction)
