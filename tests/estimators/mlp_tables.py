"""Small tables and perceptrons that the estimators' tests share."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_classification, make_regression

import backhand as bh
from backhand.estimators import MLPClassifier, MLPRegressor

X, Y = make_classification(
    330, 8, n_informative=6, n_classes=3, n_clusters_per_class=1, random_state=0
)
BINARY = np.where(Y == 1, "yes", "no")
LABELS = np.stack([Y == 0, Y > 0, X[:, 0] > 0], axis=1).astype(int)
XR, NUMBERS = make_regression(330, 8, n_targets=2, noise=1.0, random_state=0)
NUMBERS = NUMBERS / NUMBERS.std()
COUNTS = np.random.RandomState(0).poisson(np.exp(X[:, 0] / 2))
WEIGHTS = np.random.RandomState(1).uniform(0, 2, 330)


def classifier(**options) -> MLPClassifier:
    return MLPClassifier(**{"hidden_layer_sizes": (7,), "max_iter": 8, "random_state": 0} | options)


def regressor(**options) -> MLPRegressor:
    return MLPRegressor(**{"hidden_layer_sizes": (7,), "max_iter": 8, "random_state": 0} | options)


def same_weights(left, right) -> bool:
    return all(map(np.array_equal, left.coefs_, right.coefs_))


def small_network(inputs: int, outputs: int) -> bh.Layer:
    return bh.Sequential(
        [
            bh.FullyConnected(inputs, 6),
            bh.Residual(bh.Sequential([bh.FullyConnected(6, 6), bh.Tanh()])),
            bh.FullyConnected(6, outputs),
        ]
    )
