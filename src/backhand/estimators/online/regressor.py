"""OnlineRegressor: a network that learns numbers from a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from backhand.estimators.online.estimator import Features, OnlineEstimator
from backhand.estimators.online.learner import Learner
from backhand.estimators.online.river_bases import MiniBatchRegressor
from backhand.estimators.online.scale import TargetScale
from backhand.estimators.online.weights import rate_for, rates_for
from backhand.layer import Layer
from backhand.layers.bounded_error import BoundedError
from backhand.layers.standardized import Standardized
from backhand.learning.rules import UpdateRule
from backhand.losses import MSELoss
from backhand.networks import Sequential

if TYPE_CHECKING:
    import pandas as pd


class OnlineRegressor(OnlineEstimator, MiniBatchRegressor):
    """A small network that learns a number from one row after another; river's interface.

    Features are standardized by their running mean and deviation, the target by median and
    quartiles of the latest 128, which follow it where it moves and the network errs. An error far
    larger than usual counts as five times the usual, and a target 30 deviations out is not learnt
    from before a quarter are like it: a burst of wild targets does nothing, and a lasting change,
    of units even, is followed. Features may appear and vanish: one
    that is missing, None or NaN counts as its mean. Memory is constant but for new features.

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
        self._targets = TargetScale()

    def learn_one(self, x: Features, y: float, w: float = 1.0) -> None:
        """Learn from one row.

        Args:
            x: the features by name: numbers; None or NaN is missing.
            y: the target, finite.
            w: the row's weight, which multiplies the learning rate; 0 leaves the weights.

        Raises:
            TypeError: a value or the target is no number.
            ValueError: a value is infinite, the target not finite, or the weight less than 0
                or not finite.
            NonFiniteLoss: the weights have run away.
        """
        target = _finite(y)
        rate = rate_for(self, w)
        learner = self._learner_for(x)
        if self._targets.learn(target):
            self._follow(learner)
        if self._targets.is_far(target):
            _pass_over(learner)
        else:
            learner.target[0, 0] = self._targets.standardized(target)
            learner.learn(rate)

    def predict_one(self, x: Features) -> float:
        """The prediction; 0.0 before the first row."""
        if self._learner is None:
            return 0.0
        return self._targets.back(self._outputs_for(x)[0])

    def learn_many(self, X: pd.DataFrame, y: pd.Series, w: Any = None) -> None:
        """Learn from the rows of a DataFrame, one by one: as learn_one for each, in one call.

        Args:
            X, y: the rows and their targets.
            w: a weight for each row; default 1 for all.
        """
        targets = [_finite(each) for each in y]
        rates = rates_for(self, w, len(X))
        if not len(targets) == len(rates) == len(X):
            raise ValueError(
                f"learn_many: {len(X)} rows, and {len(targets)} targets of {len(rates)} weights"
            )
        learner, rows = self._rows_to_learn(X)
        waiting: list[tuple[int, float]] = []
        for at, target in enumerate(targets):
            if self._targets.learn(target):
                _learn_waiting(learner, rows, waiting, rates)
                self._follow(learner)
            if self._targets.is_far(target):
                _learn_waiting(learner, rows, waiting, rates)
                learner.row[:] = rows[at].numpy()
                _pass_over(learner)
            else:
                waiting.append((at, self._targets.standardized(target)))
        _learn_waiting(learner, rows, waiting, rates)

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
        return Sequential([Standardized(inputs), *self._layers(inputs, outputs), BoundedError()])

    def _follow(self, learner: Learner) -> None:
        """Let the scale follow the targets, where the network does not foresee them."""
        assert isinstance(learner.network, Sequential)
        bounded = learner.network.layers[-1]
        assert isinstance(bounded, BoundedError)
        usual = bounded.usual.value
        if self._targets.adopt(float(usual) / 2):  # the loss's derivative is twice the distance
            usual.fill_(1)

    def _described(self) -> dict[str, Any]:
        return super()._described() | {
            "targets": {**vars(self._targets), "window": list(self._targets.window)}
        }

    def _restore(self, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self._targets = TargetScale.of(described["targets"])
        super()._restore(described, tensors)


def _pass_over(learner: Learner) -> None:
    """Let the features of `row` be seen: its target is what is predicted, and no weight moves."""
    learner.question[:] = learner.row
    learner.target[0, 0] = learner.predict()[0]
    learner.learn(0.0)


def _learn_waiting(
    learner: Learner, rows: Tensor, waiting: list[tuple[int, float]], rates: Sequence[float]
) -> None:
    """Learn from these rows, by number, with their standardized targets; none waits after that."""
    places = [at for at, _ in waiting]
    found = torch.tensor([each for _, each in waiting], dtype=torch.float32).view(-1, 1)
    learner.learn_rows(rows[places], found, [rates[at] for at in places])
    waiting.clear()


def _finite(y: Any) -> float:
    """The target as a float."""
    try:
        target = float(y)
    except (TypeError, ValueError):
        raise TypeError(f"OnlineRegressor: expected a number as target, got {y!r}")
    if target - target != 0:
        raise ValueError(f"OnlineRegressor: expected a finite target, got {target}")
    return target
