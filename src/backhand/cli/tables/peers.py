"""scikit-learn's MLP and its boosted trees on the same split, for an honest comparison."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from backhand.cli.tables.measures import Predictions
from backhand.cli.tables.target import CLASSIFICATION
from backhand.data.column_kinds import CATEGORY
from backhand.estimators.tables.columns import read_columns
from backhand.estimators.tables.encoding import Encoding

MOST_CATEGORIES = 255
"""The categories of a column that the trees take as such."""


@dataclass(frozen=True)
class Peer:
    """One model beside ours: what it is, what it predicts, how long it took to fit."""

    name: str
    predictions: Predictions
    seconds: float


def peers(
    task: str, train: Any, truth: np.ndarray, test: Any, seed: int, check: Callable[[], None]
) -> Iterator[Peer]:
    """Fit each with its defaults and let it predict the test rows.

    The MLP gets the columns encoded and standardised (and, for numbers, a standardised target);
    the trees get numbers as they are, with their gaps, and categories as such.
    """
    for name, model in _models(task, seed, train).items():
        check()
        begun = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train, truth)
        seconds = time.perf_counter() - begun
        yield Peer(name, Predictions.of(model, test), seconds)


def knowing_nothing(truth: np.ndarray, rows: int, classes: np.ndarray | None) -> Predictions:
    """The most frequent class and each one's share, or the mean, for as many rows.

    Args:
        truth: what is known.
        rows: how many predictions.
        classes: of the model it stands beside, of which some may not occur; None for numbers.
    """
    if classes is None:
        return Predictions.of(DummyRegressor().fit(truth, truth), np.zeros(rows))
    found = Predictions.of(DummyClassifier().fit(truth, truth), np.zeros(rows))
    assert found.classes is not None
    shares = np.zeros((rows, len(classes)))
    shares[:, np.searchsorted(classes, found.classes)] = found.probabilities
    return Predictions(found.values, classes, shares)


def _models(task: str, seed: int, train: Any) -> dict[str, Any]:
    categories = [
        column.kind == CATEGORY and len(set(column.values.tolist())) <= MOST_CATEGORIES
        for column in read_columns(train)
    ]
    options = {"categorical_features": categories, "random_state": seed}
    if task == CLASSIFICATION:
        perceptron: Any = MLPClassifier(random_state=seed)
        trees: Any = HistGradientBoostingClassifier(**options)
    else:
        perceptron = TransformedTargetRegressor(
            MLPRegressor(random_state=seed), transformer=StandardScaler()
        )
        trees = HistGradientBoostingRegressor(**options)
    return {
        "MLP (scikit-learn)": make_pipeline(_Encoded(), StandardScaler(), perceptron),
        "boosted trees (scikit-learn)": make_pipeline(_Codes(), trees),
    }


class _Encoded(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A table as our own models see it."""

    def fit(self, X: Any, y: Any = None) -> _Encoded:
        self.encoding_ = Encoding.of(read_columns(X))
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self.encoding_.matrix(read_columns(X))


class _Codes(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A table as trees take it: numbers and dates with their gaps, categories as codes."""

    def fit(self, X: Any, y: Any = None) -> _Codes:
        options = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}
        self.encoders_ = [
            OrdinalEncoder(**options).fit(_given(column)) if column.kind == CATEGORY else None
            for column in read_columns(X)
        ]
        return self

    def transform(self, X: Any) -> np.ndarray:
        found = []
        for column, encoder in zip(read_columns(X), self.encoders_, strict=True):
            if encoder is not None:
                found.append(encoder.transform(_text(column))[:, 0])
            else:
                found.append(np.where(column.missing, np.nan, column.values))
        return np.stack(found, axis=1)


def _text(column: Any) -> np.ndarray:
    """A category's values as objects (rows, 1); what is missing is as good as never seen."""
    values = column.values.astype(object)
    values[column.missing] = "\0"
    found: np.ndarray = values[:, None]
    return found


def _given(column: Any) -> np.ndarray:
    given = _text(column)[~column.missing]
    return given if len(given) else np.array([["\0"]], dtype=object)
