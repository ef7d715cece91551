"""Parts: how a network passes its input through the layers it keeps as attributes."""

from __future__ import annotations

from typing import Any

from backhand.layer import Layer, placed


def forward_part(network: Layer, name: str, input: Any, training: bool) -> tuple[Any, Any]:
    """The output and memory of the layer kept as `name`; a problem in it carries that name."""
    layer: Layer = getattr(network, name)
    try:
        return layer.forward(input, training)
    except Exception as problem:
        raise placed(problem, name, layer)


def propagate_part(network: Layer, name: str, error: Any, memory: Any, learning_rate: float) -> Any:
    """The input error of the layer kept as `name`; a problem in it carries that name."""
    layer: Layer = getattr(network, name)
    try:
        return layer.propagate(error, memory, learning_rate)
    except Exception as problem:
        raise placed(problem, name, layer)
