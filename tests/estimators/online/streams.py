"""Small streams for the tests."""

from __future__ import annotations

import random
from typing import Any

from backhand.estimators.online import OnlineAnomalyDetector, OnlineClassifier, OnlineRegressor

KINDS = [OnlineClassifier, OnlineRegressor, OnlineAnomalyDetector]


def rows(count: int, features: int = 4, seed: int = 0) -> list[dict[str, float]]:
    source = random.Random(seed)
    return [{f"f{i}": source.gauss(5, 2) for i in range(features)} for _ in range(count)]


def target(kind: type, x: dict[Any, float]) -> Any:
    """What there is to learn: a class of three, or a number."""
    total = sum(value for value in x.values() if value is not None and value == value)
    if kind is OnlineClassifier:
        return ["low", "middle", "high"][(total > 15) + (total > 25)]
    return 100 + 3 * total


def learn(model: Any, stream: list[dict[Any, float]]) -> None:
    for x in stream:
        if isinstance(model, OnlineAnomalyDetector):
            model.learn_one(x)
        else:
            model.learn_one(x, target(type(model), x))


def answer(model: Any, x: dict[Any, float]) -> Any:
    if isinstance(model, OnlineAnomalyDetector):
        return model.score_one(x)
    if isinstance(model, OnlineClassifier):
        return model.predict_proba_one(x)
    return model.predict_one(x)
