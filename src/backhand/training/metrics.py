"""Metrics: what a person reads of a network, beside its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from jaxtyping import Float, Shaped
from torch import Tensor

from backhand.layer import Layer
from backhand.losses import Loss
from backhand.values import Value, misfit, outputs_of, row_count, rows_of

Metric: TypeAlias = Callable[[Tensor, Tensor], Tensor]

ROWS_AT_ONCE = 8192
"""How many rows are predicted at a time, so that a large data set needs little memory."""


def accuracy(threshold: float = 0.5) -> Metric:
    """The share of rows classified rightly, as a metric (prediction, target) -> 0-dim tensor.

    With class indices as targets (batch,), the class is the largest of (batch, classes); with
    targets of the prediction's shape, 1 is predicted above the threshold (0.5 for
    probabilities, 0 for logits) and a row is right where all its elements are. Any other
    target is refused with a ValueError: broadcasting would hide a mistake.
    """

    def measure(
        prediction: Float[Tensor, "batch outputs"], target: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, ""]:
        if target.shape == prediction.shape:
            right = ((prediction > threshold) == (target > 0.5)).reshape(len(target), -1).all(1)
        elif target.shape == prediction.shape[:-1] and not target.is_floating_point():
            right = prediction.argmax(-1) == target
        else:
            raise ValueError(
                f"accuracy expected targets of the prediction's shape {tuple(prediction.shape)}, "
                f"or class indices of shape {tuple(prediction.shape[:-1])}, "
                f"got {target.dtype} of shape {tuple(target.shape)}"
            )
        return right.double().mean()

    return measure


def evaluate(
    network: Layer,
    loss: Loss,
    data: tuple[Value, Value],
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
        TypeError: the data are no tensors.
        ValueError: there are no rows, or a target is out of the loss's range.
        LayerError: the inputs do not fit the network.
    """
    inputs, targets = data
    for name, value in (("inputs", inputs), ("targets", targets)):
        found = misfit(value)
        if found is not None:
            raise TypeError(f"evaluate: expected dense tensors as {name}, got {found}")
    measures: dict[str, Metric] = {"loss": loss.forward, **(metrics or {})}
    totals = dict.fromkeys(measures, 0.0)
    for rows in _slices(row_count(inputs)):
        prediction = (predict or network.predict)(rows_of(inputs, rows))
        if rows.start == 0:
            loss.check_values(targets, outputs_of(prediction))
        target = rows_of(targets, rows)
        for name, measure in measures.items():
            totals[name] += float(measure(prediction, target)) * row_count(target)
    return {name: total / row_count(inputs) for name, total in totals.items()}


def _slices(rows: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))
