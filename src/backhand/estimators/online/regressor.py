"""OnlineRegressor: a network that learns numbers from a stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from backhand.arguments import real, whole
from backhand.estimators.online.estimator import Features, OnlineEstimator
from backhand.estimators.online.learner import Learner
from backhand.estimators.online.river_bases import MiniBatchRegressor
from backhand.layer import Layer
from backhand.layers.standardized import Standardized
from backhand.learning.rules import UpdateRule
from backhand.losses import MSELoss
from backhand.networks import Sequential
from backhand.tensor_file import expect

if TYPE_CHECKING:
    import pandas as pd


class OnlineRegressor(OnlineEstimator, MiniBatchRegressor):
    """A small network that learns a number from one row after another; river's interface.

    Features and target are standardized by their running mean and deviation. Features may
    appear and vanish: one that is missing, None or NaN counts as its mean. Memory is constant
    but for new features.

    Args:
        hidden: sizes of the hidden layers; () for a linear model. Default (64,).
        activation: "relu" (default), "tanh" or "sigmoid".
        learning_rate: default 0.005; may be set anew at any time.
        rule: how weights learn; default Adam().
        max_features: beyond so many, a new feature takes the place of the one learnt from in
            the fewest rows. Default 1000.
        seed: of the weights' first values; default drawn from torch's generator.

    Raises:
        ValueError, TypeError: an argument is out of range.
    """

    _LEARNT = (*OnlineEstimator._LEARNT, "_targets")

    def __init__(
        self,
        hidden: tuple[int, ...] = (64,),
        activation: str = "relu",
        learning_rate: float = 0.005,
        rule: UpdateRule | None = None,
        max_features: int = 1000,
        seed: int | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.learning_rate = learning_rate
        self.rule = rule
        self.max_features = max_features
        self.seed = seed
        self._check_settings()
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self._targets = Running()

    def learn_one(self, x: Features, y: float) -> None:
        """Learn from one row.

        Args:
            x: the features by name: numbers; None or NaN is missing.
            y: the target, finite.

        Raises:
            TypeError: a value or the target is no number.
            ValueError: a value is infinite, or the target not finite.
            NonFiniteLoss: the weights have run away.
        """
        target = _finite(y)
        learner = self._learner_for(x)
        learner.target[0, 0] = self._targets.learn(target)
        learner.learn(self.learning_rate)

    def predict_one(self, x: Features) -> float:
        """The prediction; 0.0 before the first row."""
        if self._learner is None:
            return 0.0
        return self._targets.back(self._outputs_for(x)[0])

    def learn_many(self, X: pd.DataFrame, y: pd.Series) -> None:
        """Learn from the rows of a DataFrame, one by one: as learn_one for each, in one call."""
        targets = [_finite(each) for each in y]
        if len(targets) != len(X):
            raise ValueError(f"learn_many: {len(X)} rows, and {len(targets)} targets")
        learner, rows = self._rows_to_learn(X)
        standardized = torch.tensor([[self._targets.learn(each)] for each in targets])
        learner.learn_rows(rows, standardized.view(-1, 1), self.learning_rate)

    def predict_many(self, X: pd.DataFrame) -> pd.Series:
        """predict_one for every row: a Series."""
        import pandas as pd

        if self._learner is None:
            return pd.Series([0.0] * len(X), index=X.index)
        outputs = self._outputs_for_many(X)[:, 0].tolist()
        return pd.Series([self._targets.back(each) for each in outputs], index=X.index)

    def _start(self, inputs: int) -> Learner:
        target = torch.zeros(1, 1)
        return Learner(
            self._build, MSELoss(), self._rule(), target, self._drawn_seed, inputs, outputs=1
        )

    def _build(self, inputs: int, outputs: int) -> Layer:
        return Sequential([Standardized(inputs), *self._layers(inputs, outputs)])

    def _described(self) -> dict[str, Any]:
        return super()._described() | {"targets": dict(vars(self._targets))}

    def _restore(self, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self._targets = Running(**expect("targets", described["targets"], dict))
        super()._restore(described, tensors)


class Running:
    """Mean and deviation of numbers that come one after another (Welford 1962).

    Attributes:
        count, mean, squares: how many, their mean, the sum of their squared distances from it.

    Raises:
        TypeError, ValueError: one of them is no such number.
    """

    def __init__(self, count: int = 0, mean: float = 0.0, squares: float = 0.0) -> None:
        self.count = whole("Running", "count", count, least=0, most=math.inf)
        self.mean = real("Running", "mean", mean)
        self.squares = real("Running", "squares", squares)
        if self.squares < 0:
            raise ValueError(f"Running: expected squares of 0 or more, got {squares}")

    def learn(self, number: float) -> float:
        """Take in a number; returns it standardized."""
        delta = number - self.mean
        self.count += 1
        self.mean += delta / self.count
        rest = number - self.mean
        self.squares += delta * rest
        return rest / math.sqrt(self.squares / self.count) if self.squares > 0 else 0.0

    def back(self, standardized: float) -> float:
        """The number that a standardized one stands for."""
        if not self.count:
            return 0.0
        return self.mean + standardized * math.sqrt(self.squares / self.count)


def _finite(y: Any) -> float:
    """The target as a float."""
    try:
        target = float(y)
    except (TypeError, ValueError):
        raise TypeError(f"OnlineRegressor: expected a number as target, got {y!r}")
    if target - target != 0:
        raise ValueError(f"OnlineRegressor: expected a finite target, got {target}")
    return target
