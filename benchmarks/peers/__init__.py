"""The peers. Each module has NAME, PACKAGE, steps(problem) and, where it can, jobs().

steps(problem) -> {name: callable that takes one training step}
jobs() -> {name: callable that trains the disc job from nothing}
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

MODULES = tuple(
    "ours pytorch c_by_hand numpy_by_hand numba_by_hand jax_peer sklearn_peer thinc_peer".split()
)


def available(keras: bool = False) -> tuple[list[ModuleType], list[str]]:
    """The peers that are installed, and the names of those that are not."""
    found, missing = [], []
    for name in (*MODULES, *(["keras_peer"] if keras else [])):
        package = _package(name)
        if importlib.util.find_spec(package) is None:
            missing.append(package)
        else:
            found.append(importlib.import_module(f"peers.{name}"))
    return found, missing


def _package(module: str) -> str:
    packages = {"ours": "backhand", "c_by_hand": "backhand", "pytorch": "torch"}
    packages |= {"numpy_by_hand": "numpy"}
    packages |= {"numba_by_hand": "numba", "jax_peer": "jax", "sklearn_peer": "sklearn"}
    packages |= {"thinc_peer": "thinc", "keras_peer": "keras"}
    return packages[module]
