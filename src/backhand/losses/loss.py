"""Losses: error functions, with a layer's interface but not layers.

A loss is a pure function of (prediction, target). Its value is the mean over the batch, its
`backward` the error dLoss/dPrediction, so that layers only ever sum.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
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


def expect_same_shape(loss: Loss, prediction: Tensor, target: Tensor) -> None:
    """Refuse a target that is not of the prediction's shape and dtype, and an empty batch."""
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
    expect_rows(loss, prediction)


def expect_rows(loss: Loss, prediction: Tensor) -> None:
    """Refuse an empty batch: there is no mean over it."""
    if prediction.numel() == 0:
        raise ValueError(
            f"{loss!r}: the mean over an empty batch is not defined; "
            f"got a prediction of shape {tuple(prediction.shape)}"
        )
