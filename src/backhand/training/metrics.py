"""Metrics: what a person reads of a network, beside its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import keep_plain, real
from backhand.given import Given, from_numbers
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.training.sets import as_data
from backhand.values import outputs_of, row_count, rows_of

Metric: TypeAlias = Callable[[Tensor, Tensor], Tensor]

ROWS_AT_ONCE = 8192
"""How many rows are predicted at a time, so that a large data set needs little memory."""


def accuracy(threshold: float | None = None) -> Metric:
    """The share of rows classified rightly, as a metric (prediction, target) -> 0-dim tensor.

    With class indices as targets (batch,), the class is the largest of (batch, classes). With
    targets of the prediction's shape, 1 is predicted above the threshold, and a row is right where
    all its elements are; of shares of classes, as CrossEntropyLoss takes them, the largest counts.

    Args:
        threshold: default what the loss says in `fit` and `evaluate` (0 for BinaryCrossEntropyLoss,
            which takes logits; 0.5 for MSELoss), else 0.5, for probabilities.

    Raises:
        TypeError, ValueError: the threshold is no number.
        ValueError: (when it measures) the targets are of another shape, for broadcasting would
            hide a mistake; or predictions are outside of [0, 1], and neither a threshold nor the
            loss says what they mean.
    """
    return Accuracy(None if threshold is None else real("accuracy", "threshold", threshold))


@dataclass(frozen=True)
class Accuracy:
    """What `accuracy` returns.

    Args:
        threshold: as there.
        loss: what the network learns by, where that is known.
    """

    threshold: float | None = None
    loss: Loss | None = None

    def __post_init__(self) -> None:
        keep_plain(self)

    def under(self, loss: Loss) -> Accuracy:
        """The same, of a network that learns by this loss."""
        return dataclasses.replace(self, loss=loss)

    def __call__(self, prediction: Given, target: Given) -> Float[Tensor, ""]:
        prediction, target = from_numbers(prediction), from_numbers(target)
        if target.shape == prediction.shape:
            right = self._right(prediction, target)
        elif target.shape == prediction.shape[:-1] and not target.is_floating_point():
            right = prediction.argmax(-1) == target
        else:
            raise ValueError(
                f"accuracy expected targets of the prediction's shape {tuple(prediction.shape)}, "
                f"or class indices of shape {tuple(prediction.shape[:-1])}, "
                f"got {target.dtype} of shape {tuple(target.shape)}"
            )
        return right.double().mean()

    def _right(self, prediction: Tensor, target: Tensor) -> Tensor:
        if self.threshold is None and self.loss is not None and self.loss.decides_by_largest:
            return prediction.argmax(-1) == target.argmax(-1)
        right = (prediction > self._threshold(prediction)) == (target > 0.5)
        return right.reshape(len(target), -1).all(1)

    def _threshold(self, prediction: Tensor) -> float:
        if self.threshold is not None:
            return self.threshold
        if self.loss is not None and self.loss.decides_above is not None:
            return self.loss.decides_above
        low, high = (float(each) for each in torch.aminmax(prediction))
        if low < 0 or high > 1:
            raise ValueError(
                f"accuracy: predictions from {low:g} to {high:g} are no probabilities; say above "
                "what 1 is predicted: accuracy(threshold=0) for logits"
            )
        return 0.5


def evaluate(
    network: Layer,
    loss: Loss,
    data: tuple[Given, Given],
    metrics: Mapping[str, Metric] | None = None,
    predict: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """The loss and the metrics of a network over a data set: means over its rows.

    Args:
        network, loss: as for `fit`.
        data: (inputs, targets), at least one row.
        metrics: named functions (prediction, target) -> 0-dim tensor, each a mean over rows.
        predict: what to predict with; default network.predict.

    Returns:
        {"loss": …, and one entry for each metric}.

    Raises:
        TypeError: the data are no numbers.
        ValueError: there are no rows, or a target is out of the loss's range.
        LayerError: the inputs do not fit the network.
    """
    inputs, targets = as_data(network, loss, data, "evaluate")
    measures: dict[str, Metric] = {"loss": loss.forward}
    for name, metric in (metrics or {}).items():
        measures[name] = metric.under(loss) if isinstance(metric, Accuracy) else metric
    totals = dict.fromkeys(measures, 0.0)
    for rows in _slices(row_count(inputs)):
        prediction: Any = (predict or network.predict)(rows_of(inputs, rows))
        if rows.start == 0:
            loss.check_values(targets, outputs_of(prediction))
        target = rows_of(targets, rows)
        for name, measure in measures.items():
            totals[name] += float(measure(prediction, target)) * row_count(target)
    return {name: total / row_count(inputs) for name, total in totals.items()}


def _slices(rows: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))
