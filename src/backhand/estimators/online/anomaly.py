"""OnlineAnomalyDetector: an autoencoder that learns what is usual in a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from backhand.estimators.online.estimator import Features, OnlineEstimator
from backhand.estimators.online.learner import Learner
from backhand.estimators.online.river_bases import AnomalyDetector
from backhand.layer import Layer
from backhand.layers.standardized import Standardized
from backhand.learning.rules import UpdateRule
from backhand.losses.itself import Itself
from backhand.networks import Sequential
from backhand.networks.reconstruction import Reconstruction

if TYPE_CHECKING:
    import pandas as pd


class OnlineAnomalyDetector(OnlineEstimator, AnomalyDetector):
    """An autoencoder that learns what rows of a stream usually look like; river's interface.

    A row's score is how far it lies from what the network makes of it: the mean over its
    features of log(1 + distance²), in running deviations; 0 for what is reconstructed exactly,
    larger for what is stranger. The network sees features clipped at 1.5 deviations, so that
    outliers teach it little. Features may appear and vanish; one that is missing, None or NaN
    takes no part in its row's score.

    Args:
        hidden: sizes of the hidden layers, at best narrower than a row. Default (8,).
        activation: "relu" (default), "tanh" or "sigmoid".
        learning_rate: default 0.01; may be set anew at any time.
        rule: how weights learn; default Adam().
        max_features: beyond so many, a new feature takes the place of the one learnt from in
            the fewest rows. Default 1000.
        seed: of the weights' first values; default drawn from torch's generator.

    Raises:
        ValueError, TypeError: an argument is out of range.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (8,),
        activation: str = "relu",
        learning_rate: float = 0.01,
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

    def learn_one(self, x: Features) -> None:
        """Learn from one row.

        Args:
            x: the features by name: numbers; None or NaN is missing.

        Raises:
            TypeError: a value is no number.
            ValueError: a value is infinite.
            NonFiniteLoss: the weights have run away.
        """
        self._learner_for(x).learn(self.learning_rate)

    def score_one(self, x: Features) -> float:
        """How strange the row is, 0 or more; 0.0 before the first row."""
        if self._learner is None:
            return 0.0
        return self._outputs_for(x)[0]

    def learn_many(self, X: pd.DataFrame) -> None:
        """Learn from the rows of a DataFrame, one by one: as learn_one for each, in one call."""
        learner, rows = self._rows_to_learn(X)
        learner.learn_rows(rows, torch.zeros(len(rows), 1), [self.learning_rate] * len(rows))

    def score_many(self, X: pd.DataFrame) -> pd.Series:
        """score_one for every row: a Series."""
        import pandas as pd

        if self._learner is None:
            return pd.Series([0.0] * len(X), index=X.index)
        return pd.Series(self._outputs_for_many(X)[:, 0].tolist(), index=X.index)

    def _start(self, inputs: int) -> Learner:
        target = torch.zeros(1, 1)
        return Learner(
            self._build, Itself(), self._rule(), target, self._drawn_seed, inputs, outputs=1
        )

    def _build(self, inputs: int, outputs: int) -> Layer:
        return Reconstruction(Standardized(inputs), Sequential(self._layers(inputs, inputs)))
