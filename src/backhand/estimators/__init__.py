"""Estimators: networks with scikit-learn's interface, and with river's.

Importing this loads neither: each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backhand.estimators.mlp_classifier import MLPClassifier
    from backhand.estimators.mlp_regressor import MLPRegressor

HOMES = {
    "MLPClassifier": "backhand.estimators.mlp_classifier",
    "MLPRegressor": "backhand.estimators.mlp_regressor",
}
"""Where each name comes from."""

PACKAGES = {"sklearn": "scikit-learn", "scipy": "scikit-learn"}
"""What to install for a module that is missing."""

__all__ = ["MLPClassifier", "MLPRegressor"]


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
