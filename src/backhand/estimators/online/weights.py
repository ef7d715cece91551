"""Weights of a stream's rows, which multiply the learning rate."""

from __future__ import annotations

from typing import Any

from backhand.arguments import finite
from backhand.estimators.online.estimator import OnlineEstimator


def rate_for(model: OnlineEstimator, w: Any) -> float:
    """The learning rate for a row of this weight.

    Raises:
        TypeError: the weight is no number.
        ValueError: it is less than 0, or not finite.
    """
    if w == 1:
        return model.learning_rate
    owner = type(model).__name__
    weight = finite(owner, "w", w)
    if weight < 0:
        raise ValueError(f"{owner}: expected a weight w of 0 or more, got {w}")
    return model.learning_rate * weight


def rates_for(model: OnlineEstimator, w: Any, rows: int) -> list[float]:
    """The learning rate for each of so many rows, by their weights, or of 1 each for None."""
    return [model.learning_rate] * rows if w is None else [rate_for(model, each) for each in w]
