"""Any loss, with a weight for each row."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from backhand.arguments import instance
from backhand.losses.loss import Loss


class Weighted(Loss):
    """loss = mean over the rows of weight · row loss; the target is a pair (target, weights).

    The mean divides by the number of rows, not by the sum of the weights: a row of weight 2
    counts as two, one of weight 0 as none. With all weights 1 it is the loss itself.
    Shapes: weights (*batch), of the prediction's dtype, one for each row; the rest as `loss` has
    it, whose prediction may be a tuple of towers.
    Backward: error = weight · error of `loss`, row by row; of each tower, where there are several.

    Args:
        loss: a mean over its rows, with `rows`.

    Raises:
        TypeError: the target is no pair, or the weights' dtype is another.
        ValueError: the loss is a sum; or (at a call) the weights' shape is not the prediction's
            without its last axis.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss: Loss = instance("Weighted", "loss", loss, Loss)
        if getattr(loss, "reduction", "mean") == "sum":
            raise ValueError(f"Weighted: expected a loss that is a mean of rows, got {loss!r}")

    def forward(self, prediction: Any, target: Any) -> Float[Tensor, ""]:
        target, weights = self._expect_weights(prediction, target)
        return (self.loss.rows(prediction, target) * weights).mean()

    def rows(self, prediction: Any, target: Any) -> Float[Tensor, "*batch"]:
        target, weights = self._expect_weights(prediction, target)
        return self.loss.rows(prediction, target) * weights

    def backward(self, prediction: Any, target: Any) -> Any:
        target, weights = self._expect_weights(prediction, target)
        error, share = self.loss.backward(prediction, target), weights.unsqueeze(-1)
        if isinstance(error, tuple):
            return tuple(each * share for each in error)
        return error * share

    def check_values(self, target: Any, outputs: int) -> None:
        values, weights = self._expect_pair(target)
        self.loss.check_values(values, outputs)
        lowest = float(weights.min())
        if lowest < 0:
            raise ValueError(f"{self!r} expected weights of 0 or more, got {lowest:g}")

    def _expect_pair(self, target: Any) -> tuple[Any, Tensor]:
        if not isinstance(target, tuple) or len(target) != 2:
            raise TypeError(
                f"{self!r} expected a pair (target, weights), got {type(target).__name__}"
            )
        return target

    def _expect_weights(self, prediction: Any, target: Any) -> tuple[Any, Tensor]:
        values, weights = self._expect_pair(target)
        if isinstance(prediction, tuple) and prediction:
            prediction = prediction[0]  # the towers are of one shape, or the loss refuses them
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
