"""Saving and loading networks."""

from typing import Any


def save(network: Any, path: Any) -> None: ...
def load(path: Any, layers: Any = ()) -> Any: ...
