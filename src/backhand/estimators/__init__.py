"""Estimators: networks with scikit-learn's interface, and with river's.

Importing this loads neither: each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backhand.estimators.mlp import MLPClassifier, MLPRegressor

HOMES = {
    "MLPClassifier": "backhand.estimators.mlp",
    "MLPRegressor": "backhand.estimators.mlp",
}
"""Where each name comes from."""

__all__ = ["MLPClassifier", "MLPRegressor"]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOMES])
