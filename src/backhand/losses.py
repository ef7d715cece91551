"""Losses: error functions, with a layer's interface but not layers.

A loss is a pure function of (prediction, target). Its value is the mean over the batch, its
`backward` the error dLoss/dPrediction, so that layers only ever sum.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


class Loss:
    """What every loss keeps. An author writes `forward` and `backward`.

    The target is a tensor, or a tuple of them where a loss takes more than one.
    """

    def __call__(
        self, prediction: Float[Tensor, "*batch outputs"], target: Any
    ) -> Float[Tensor, ""]:
        """The loss, a 0-dim tensor; the same as `forward`."""
        return self.forward(prediction, target)

    def forward(
        self, prediction: Float[Tensor, "*batch outputs"], target: Any
    ) -> Float[Tensor, ""]:
        """The loss, a 0-dim tensor."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(
        self, prediction: Float[Tensor, "*batch outputs"], target: Any
    ) -> Float[Tensor, "*batch outputs"]:
        """The error dLoss/dPrediction, of the prediction's shape."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Any
    ) -> Float[Tensor, "*batch"]:
        """The loss of each row alone; `forward` is their mean. `Weighted` needs it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rows: the loss of each row, which weights need"
        )

    def check_values(self, target: Any, outputs: int) -> None:
        """Refuse target values this loss cannot take: read once per data set, not each step.

        Args:
            target: all targets of a data set.
            outputs: the length of the prediction's last axis.

        Raises:
            ValueError: a value is out of range.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _expect_same_shape(loss: Loss, prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"{loss!r} expected a target of the prediction's shape {tuple(prediction.shape)}, "
            f"got {tuple(target.shape)}"
        )
    if prediction.dtype is not target.dtype:
        raise TypeError(
            f"{loss!r} expected a target of the prediction's dtype {prediction.dtype}, "
            f"got {target.dtype}"
        )
    _expect_rows(loss, prediction)


def _expect_rows(loss: Loss, prediction: Tensor) -> None:
    if prediction.numel() == 0:
        raise ValueError(
            f"{loss!r}: the mean over an empty batch is not defined; "
            f"got a prediction of shape {tuple(prediction.shape)}"
        )


class MSELoss(Loss):
    """loss = mean of (prediction - target)², over all n elements.

    Shapes: prediction and target (*batch, outputs).
    Backward: error = 2 (prediction - target) / n.

    Raises:
        ValueError: shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        _expect_same_shape(self, prediction, target)
        difference = (prediction - target).reshape(-1)
        return torch.dot(difference, difference) / difference.numel()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, "*batch"]:
        _expect_same_shape(self, prediction, target)
        return (prediction - target).square().mean(-1)

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        _expect_same_shape(self, prediction, target)
        return (prediction - target) * (2 / prediction.numel())


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
        _expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, "*batch"]:
        _expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean(-1)

    @staticmethod
    def _elements(prediction: Tensor, target: Tensor) -> Tensor:
        softplus = prediction.clamp(min=0) + torch.log1p(torch.exp(-prediction.abs()))
        return softplus - target * prediction

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        _expect_same_shape(self, prediction, target)
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
        chosen = prediction.gather(-1, target.unsqueeze(-1))
        if self.label_smoothing:
            mean = prediction.mean(-1, keepdim=True)
            chosen = chosen * (1 - self.label_smoothing) + mean * self.label_smoothing
        return (torch.logsumexp(prediction, -1, keepdim=True) - chosen).squeeze(-1)

    def backward(
        self, prediction: Float[Tensor, "*batch classes"], target: Int[Tensor, "*rows"]
    ) -> Float[Tensor, "*batch classes"]:
        self._expect_classes(prediction, target)
        index = target.unsqueeze(-1)
        share = torch.full_like(index, self.label_smoothing - 1, dtype=prediction.dtype)
        # The softmax by the logarithm that the value needs, too: recorded, it is formed once.
        softmax = torch.exp(prediction - torch.logsumexp(prediction, -1, keepdim=True))
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
        _expect_rows(self, prediction)


class PoissonLoss(Loss):
    """loss = mean of eᶻ - target · z + target · log target - target, where z is the prediction.

    Half the Poisson deviance of counts whose expectation is eᶻ (0 · log 0 is 0); 0 where
    eᶻ = target. Targets are 0 or more.
    Shapes: prediction and target (*batch, outputs), n elements in all.
    Backward: error = (eᶻ - target) / n.

    Raises:
        ValueError: shapes differ, or the batch is empty.
        TypeError: dtypes differ.
    """

    def forward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, ""]:
        _expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, "*batch"]:
        _expect_same_shape(self, prediction, target)
        return self._elements(prediction, target).mean(-1)

    def backward(
        self, prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*like"]
    ) -> Float[Tensor, "*shape"]:
        _expect_same_shape(self, prediction, target)
        return (torch.exp(prediction) - target) * (1 / prediction.numel())

    @staticmethod
    def _elements(prediction: Tensor, target: Tensor) -> Tensor:
        constant = torch.xlogy(target, target) - target
        return torch.exp(prediction) - target * prediction + constant

    def check_values(self, target: Shaped[Tensor, "..."], outputs: int) -> None:
        lowest = float(target.min())
        if lowest < 0:
            raise ValueError(f"{self!r} expected targets of 0 or more, got {lowest:g}")


class Weighted(Loss):
    """loss = mean over the rows of weight · row loss; the target is a pair (target, weights).

    The mean divides by the number of rows, not by the sum of the weights: a row of weight 2
    counts as two, one of weight 0 as none. With all weights 1 it is the loss itself.
    Shapes: weights (*batch), of the prediction's dtype, one for each row; the rest as `loss` has
    it.
    Backward: error = weight · error of `loss`, row by row.

    Args:
        loss: a mean over its rows, with `rows`.

    Raises:
        TypeError: the target is no pair, or the weights' dtype is another.
        ValueError: the weights' shape is not the prediction's without its last axis.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def forward(
        self, prediction: Float[Tensor, "*batch outputs"], target: Any
    ) -> Float[Tensor, ""]:
        target, weights = self._expect_weights(prediction, target)
        return (self.loss.rows(prediction, target) * weights).mean()

    def rows(
        self, prediction: Float[Tensor, "*batch outputs"], target: Any
    ) -> Float[Tensor, "*batch"]:
        target, weights = self._expect_weights(prediction, target)
        return self.loss.rows(prediction, target) * weights

    def backward(
        self, prediction: Float[Tensor, "*batch outputs"], target: Any
    ) -> Float[Tensor, "*batch outputs"]:
        target, weights = self._expect_weights(prediction, target)
        return self.loss.backward(prediction, target) * weights.unsqueeze(-1)

    def check_values(self, target: Any, outputs: int) -> None:
        values, weights = self._expect_pair(target)
        self.loss.check_values(values, outputs)
        lowest = float(weights.min())
        if lowest < 0:
            raise ValueError(f"{self!r} expected weights of 0 or more, got {lowest:g}")

    def _expect_pair(self, target: Any) -> tuple[Tensor, Tensor]:
        if not isinstance(target, tuple) or len(target) != 2:
            raise TypeError(
                f"{self!r} expected a pair (target, weights), got {type(target).__name__}"
            )
        return target

    def _expect_weights(self, prediction: Tensor, target: Any) -> tuple[Tensor, Tensor]:
        values, weights = self._expect_pair(target)
        if weights.shape != prediction.shape[:-1]:
            raise ValueError(
                f"{self!r} expected weights of shape {tuple(prediction.shape[:-1])} for a "
                f"prediction of shape {tuple(prediction.shape)}, got {tuple(weights.shape)}"
            )
        if weights.dtype is not prediction.dtype:
            raise TypeError(
                f"{self!r} expected weights of the prediction's dtype {prediction.dtype}, "
                f"got {weights.dtype}"
            )
        return values, weights

    def __repr__(self) -> str:
        return f"Weighted({self.loss!r})"
