"""Estimators: networks with scikit-learn's interface, and with river's.

Importing this loads neither: each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backhand.estimators.mlp import MLPClassifier
    from backhand.estimators.mlp.regressor import MLPRegressor
    from backhand.estimators.online import (
        OnlineAnomalyDetector,
        OnlineClassifier,
        OnlineRegressor,
    )
    from backhand.estimators.tables import TableClassifier, TableRegressor

HOMES = {
    "MLPClassifier": "backhand.estimators.mlp.classifier",
    "MLPRegressor": "backhand.estimators.mlp.regressor",
    "OnlineAnomalyDetector": "backhand.estimators.online",
    "OnlineClassifier": "backhand.estimators.online",
    "OnlineRegressor": "backhand.estimators.online",
    "TableClassifier": "backhand.estimators.tables",
    "TableRegressor": "backhand.estimators.tables",
}
"""Where each name comes from."""

PACKAGES = {"sklearn": "scikit-learn", "scipy": "scikit-learn"}
"""What to install for a module that is missing."""

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "OnlineAnomalyDetector",
    "OnlineClassifier",
    "OnlineRegressor",
    "TableClassifier",
    "TableRegressor",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(HOMES[name])
    except ModuleNotFoundError as problem:
        package = (problem.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise ModuleNotFoundError(
            f"backhand.estimators.{name} needs {PACKAGES[package]}, which is not installed",
            name=problem.name,
        ) from None
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOMES])
