"""Losses of classes, on logits."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from backhand.losses.loss import Loss, expect_rows, expect_same_shape


class BinaryCrossEntropyLoss(Loss):
    """loss = mean of log(1 + eᶻ) - target · z, where z is the prediction, a logit.

    That is the cross-entropy of sigmoid(z), formed so that no z overflows. Targets lie in [0, 1].
    Shapes: prediction and target (*batch, outputs), n elements in all.
    Backward: error = (sigmoid(z) - target) / n.

    Raises:
        ValueError: shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, "*batch"]:
        expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean(-1)

    @staticmethod
    def _elements(prediction: Tensor, target: Tensor) -> Tensor:
        # The lines first: where they cancel, what is left of the logarithm is the whole loss.
        lines = prediction.clamp(min=0) - target * prediction
        return lines + torch.log1p(torch.exp(-prediction.abs()))

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        expect_same_shape(self, prediction, target)
        return (torch.sigmoid(prediction) - target) * (1 / prediction.numel())

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        lowest, highest = float(target.min()), float(target.max())
        if lowest < 0 or highest > 1:
            wrong = lowest if lowest < 0 else highest
            raise ValueError(f"{self!r} expected targets in [0, 1], got {wrong:g}")


class CrossEntropyLoss(Loss):
    """loss = mean over the batch of log Σ eᶻ - Σ p z, where z is the prediction, logits.

    p is the target's distribution: onehot(target), smoothed to (1 - s) onehot + s / classes
    (Szegedy et al., "Rethinking the Inception Architecture" (2016), section 7).
    Shapes: prediction (*batch, classes), target (*batch) of int64 class indices; n rows in all.
    Backward: error = (softmax(z) - p) / n.

    Args:
        label_smoothing: s, in [0, 1); default 0.

    Raises:
        ValueError: the target's shape is not the prediction's without its last axis, or the
            batch is empty.
        TypeError: the target is not int64.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"CrossEntropyLoss: expected label_smoothing in [0, 1), got {label_smoothing}"
            )
        self.label_smoothing = label_smoothing

    def __repr__(self) -> str:
        smoothed = f"label_smoothing={self.label_smoothing}" if self.label_smoothing else ""
        return f"CrossEntropyLoss({smoothed})"

    def forward(
        self, prediction: Float[Tensor, "*batch classes"], target: Int[Tensor, "*rows"]
    ) -> Float[Tensor, ""]:
        return self.rows(prediction, target).mean()

    def rows(
        self, prediction: Float[Tensor, "*batch classes"], target: Int[Tensor, "*rows"]
    ) -> Float[Tensor, "*rows"]:
        self._expect_classes(prediction, target)
        logarithms = torch.log_softmax(prediction, -1)
        chosen = logarithms.gather(-1, target.unsqueeze(-1))
        if self.label_smoothing:
            mean = logarithms.mean(-1, keepdim=True)
            chosen = chosen * (1 - self.label_smoothing) + mean * self.label_smoothing
        return -chosen.squeeze(-1)

    def backward(
        self, prediction: Float[Tensor, "*batch classes"], target: Int[Tensor, "*rows"]
    ) -> Float[Tensor, "*batch classes"]:
        self._expect_classes(prediction, target)
        index = target.unsqueeze(-1)
        share = torch.full_like(index, self.label_smoothing - 1, dtype=prediction.dtype)
        # The softmax by the logarithms that the value needs, too: recorded, they are formed once.
        softmax = torch.exp(torch.log_softmax(prediction, -1))
        if self.label_smoothing:
            softmax = softmax - self.label_smoothing / prediction.shape[-1]
        return softmax.scatter_add(-1, index, share) * (1 / target.numel())

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        lowest, highest = int(target.min()), int(target.max())
        if lowest < 0 or highest >= outputs:
            wrong = lowest if lowest < 0 else highest
            raise ValueError(
                f"{self!r} expected class indices from 0 to {outputs - 1}, got {wrong}"
            )

    def _expect_classes(self, prediction: Tensor, target: Tensor) -> None:
        if prediction.dim() == 0 or prediction.shape[:-1] != target.shape:
            raise ValueError(
                f"{self!r} expected a target of shape {tuple(prediction.shape[:-1])} for a "
                f"prediction of shape {tuple(prediction.shape)}, got {tuple(target.shape)}"
            )
        if target.dtype is not torch.int64:
            raise TypeError(f"{self!r} expected int64 class indices, got {target.dtype}")
        expect_rows(self, prediction)
