"""Summary of a network."""

from typing import Any


def summary(network: Any, input_shape: Any) -> Any: ...
