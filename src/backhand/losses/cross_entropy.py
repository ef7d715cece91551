"""Losses of a class among many, on logits and on their logarithms."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.arguments import finite, whole
from backhand.losses.classification import (
    checked_class_weights,
    expect_class_indices,
    expect_known_classes,
)
from backhand.losses.elementwise import or_nan
from backhand.losses.expectations import (
    Numbers,
    checked_reduction,
    expect_mean,
    expect_same_shape,
    fitting,
)
from backhand.losses.loss import Loss


class _OfClasses(Loss):
    """What the losses of a class index share: class weights, and an index to ignore.

    loss = Σ share · row / Σ share, over the rows: share is the weight of the row's class, 0 where
    its index is ignored. If all are, the loss and its error are 0.
    """

    def __init__(self, weight: Numbers | None, ignore_index: int | None, reduction: str) -> None:
        self.weight = checked_class_weights(self, weight)
        name = type(self).__name__
        if ignore_index is not None:
            ignore_index = whole(name, "ignore_index", ignore_index, least=-math.inf)
        self.ignore_index = ignore_index
        self.reduction = checked_reduction(self, reduction)

    def _shares(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """The index to gather with, and each row's share; None where all count alike."""
        expect_class_indices(self, prediction, target)
        if self.ignore_index is None and self.weight is None:
            return target.unsqueeze(-1), None
        if self.ignore_index is None:
            return target.unsqueeze(-1), self._weights(prediction)[target]
        kept = target != self.ignore_index
        target = torch.where(kept, target, 0)
        shares = kept.to(prediction.dtype)
        if self.weight is not None:
            shares = shares * self._weights(prediction)[target]
        return target.unsqueeze(-1), shares

    def _weights(self, prediction: Tensor) -> Tensor:
        assert self.weight is not None
        return fitting(self, "weight", self.weight, prediction)

    def _whole(self, shares: Tensor) -> Tensor:
        """The sum of the shares, 1 where it is 0: then nothing is divided but 0."""
        total = shares.sum()
        return torch.where(total == 0, 1.0, total)

    def forward(
        self, prediction: Float[Tensor, "*batch classes"], target: Shaped[Tensor, "..."]
    ) -> Float[Tensor, ""]:
        rows, shares = self._rows(prediction, target)
        if self.reduction == "sum":
            return rows.sum()
        return rows.mean() if shares is None else rows.sum() / self._whole(shares)

    def rows(
        self, prediction: Float[Tensor, "*batch classes"], target: Shaped[Tensor, "..."]
    ) -> Float[Tensor, "*batch"]:
        expect_mean(self, self.reduction)
        rows, shares = self._rows(prediction, target)
        return rows if shares is None else rows * (rows.numel() / self._whole(shares))

    def _rows(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Each row's loss times its share, and the shares."""
        raise NotImplementedError

    def _scaled(self, error: Tensor, shares: Tensor | None) -> Tensor:
        """The derivative of the sum, made that of the loss, in place: errors are large."""
        if self.reduction == "sum":
            return error
        if shares is None:
            return error.mul_(1 / math.prod(error.shape[:-1]))
        return error.div_(self._whole(shares))

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        expect_known_classes(self, target, outputs, self.ignore_index)


class CrossEntropyLoss(_OfClasses):
    """loss = mean over the batch of log Σ eᶻ - Σ p z, where z is the prediction, logits.

    p is the target's distribution: onehot(target), smoothed to (1 - s) onehot + s / classes
    (Szegedy et al., "Rethinking the Inception Architecture" (2016), section 7); or the target is
    p itself. In general loss = -Σ w p log softmax(z) / Σ w of the targets' classes, w the class
    weights, and no share for an ignored row; if all are ignored, it is 0. For a p that is given it
    is divided by n.
    Shapes: prediction (*batch, classes), target (*batch) of int64 class indices, or
    (*batch, classes), of the prediction's dtype; n rows in all.
    Backward: error = (softmax(z) - p) / n; in general (softmax(z) Σ w p - w p) over the same
    divisor. Both are right for logits of any size.

    Args:
        label_smoothing: s, in [0, 1); default 0.
        weight: w, a number for each class; default 1.
        ignore_index: a target that counts for nothing, such as that of padding; default none.
        reduction: "mean", or "sum", which does not divide; default "mean".

    Raises:
        ValueError: an argument outside its range; or (at a call) the target's shape is neither the
            prediction's nor that without its last axis, the batch is empty, or distributions were
            given where an index is to be ignored.
        TypeError: the target is not int64, or not of the prediction's dtype.
    """

    decides_by_largest = True

    def __init__(
        self,
        label_smoothing: float = 0.0,
        weight: Numbers | None = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, ignore_index, reduction)
        self.label_smoothing = finite("CrossEntropyLoss", "label_smoothing", label_smoothing)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"CrossEntropyLoss: expected label_smoothing in [0, 1), got {label_smoothing}"
            )

    def _rows(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        if target.is_floating_point():
            distribution = self._distribution(prediction, target)
            log = torch.log_softmax(prediction, -1)
            parts = torch.where(distribution == 0, 0.0, distribution * log)
            return -parts.sum(-1), None
        index, shares = self._shares(prediction, target)
        log = torch.log_softmax(prediction, -1)
        rows = log.gather(-1, index).squeeze(-1) * (self.label_smoothing - 1)
        if shares is not None:
            rows = torch.where(shares == 0, 0.0, rows * shares)
        if self.label_smoothing:
            even = (log if self.weight is None else log * self._weights(prediction)).mean(-1)
            if self.ignore_index is not None:
                even = torch.where(target == self.ignore_index, 0.0, even)
            rows = rows - even * self.label_smoothing
        return rows, shares

    def backward(
        self, prediction: Float[Tensor, "*batch classes"], target: Shaped[Tensor, "..."]
    ) -> Float[Tensor, "*batch classes"]:
        if target.is_floating_point():
            distribution = self._distribution(prediction, target)
            softmax = torch.softmax(prediction, -1)
            pull = distribution.sum(-1, keepdim=True)
            return self._scaled(softmax * pull - distribution, None)
        index, shares = self._shares(prediction, target)
        softmax = torch.softmax(prediction, -1)
        even = self.label_smoothing / prediction.shape[-1]
        if shares is None:
            own = torch.full_like(index, 1 - self.label_smoothing, dtype=prediction.dtype)
            error = softmax - even if self.label_smoothing else softmax
        else:
            own = shares.unsqueeze(-1) * (1 - self.label_smoothing)
            error = softmax * own
            if self.label_smoothing:
                drawn = self._even(prediction, target) * even
                error = error + softmax * drawn.sum(-1, keepdim=True) - drawn
        return self._scaled(error.scatter_add_(-1, index, -own), shares)

    def _even(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What smoothing draws each class with, in each row that is not ignored."""
        even = torch.ones_like(prediction)
        if self.weight is not None:
            even = even * self._weights(prediction)
        if self.ignore_index is not None:
            even = even * (target != self.ignore_index).unsqueeze(-1)
        return even

    def _distribution(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The target times the class weights, smoothed."""
        expect_same_shape(self, prediction, target)
        if self.ignore_index is not None and self.ignore_index >= 0:
            raise ValueError(f"{self!r} expected class indices, of which one is to be ignored")
        if self.label_smoothing:
            even = self.label_smoothing / prediction.shape[-1]
            target = target * (1 - self.label_smoothing) + even
        return target if self.weight is None else target * self._weights(prediction)

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        if not target.is_floating_point():
            super().check_values(target, outputs)
        elif float(target.min()) < 0:
            raise ValueError(f"{self!r} expected shares of 0 or more, got {float(target.min()):g}")


class NLLLoss(_OfClasses):
    """loss = mean over the batch of -z[target], where z is the prediction, logarithms of shares.

    After LogSoftmax it is the cross-entropy. With class weights w, -Σ w z[target] / Σ w.
    Shapes: prediction (*batch, classes), target (*batch) of int64 class indices; n rows in all.
    Backward: error = -1 / n (or -w / Σ w) at the target's class, else 0.

    Args:
        weight: w, a number for each class; default 1.
        ignore_index: a target that counts for nothing; default none. If all are, the loss is 0.
        reduction: "mean", or "sum", which does not divide; default "mean".

    Raises:
        ValueError: an argument outside its range; or (at a call) the target's shape is not the
            prediction's without its last axis, or the batch is empty.
        TypeError: the target is not int64.
    """

    def __init__(
        self,
        weight: Numbers | None = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, ignore_index, reduction)

    def _rows(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        index, shares = self._shares(prediction, target)
        rows = -prediction.gather(-1, index).squeeze(-1)
        return (rows if shares is None else torch.where(shares == 0, 0.0, rows * shares)), shares

    def backward(
        self, prediction: Float[Tensor, "*batch classes"], target: Shaped[Tensor, "..."]
    ) -> Float[Tensor, "*batch classes"]:
        index, shares = self._shares(prediction, target)
        if shares is None:
            own = torch.full_like(index, -1, dtype=prediction.dtype)
        else:
            own = -shares.unsqueeze(-1)
        own = torch.where(own == 0, own, or_nan(own, prediction.gather(-1, index)))
        return self._scaled(torch.zeros_like(prediction).scatter_add(-1, index, own), shares)
