"""Parts: how a network passes its input through a layer in it, and its error back.

A problem in the layer carries its name on the way up.
"""

from __future__ import annotations

from typing import Any

from backhand.layer import Layer, forward_of
from backhand.layer_expectations import placed


def forward_child(child: Layer, name: str, input: Any, training: bool) -> tuple[Any, Any]:
    """The child's output and memory."""
    try:
        return forward_of(child, input, training)
    except Exception as problem:
        raise placed(problem, name, child)


def propagate_child(child: Layer, name: str, error: Any, memory: Any, learning_rate: float) -> Any:
    """The child's input error."""
    try:
        return child.propagate(error, memory, learning_rate)
    except Exception as problem:
        raise placed(problem, name, child)


def check_child(child: Layer, name: str, input: Any) -> None:
    """Let the child check the values that the network itself is given."""
    try:
        child.check_values(input)
    except Exception as problem:
        raise placed(problem, name, child)
