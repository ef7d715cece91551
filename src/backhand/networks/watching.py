"""Watching: what each layer of a network is given and returns, without changing the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backhand.layer import Layer


@contextmanager
def watching(network: Layer, seen: Callable[[Layer, Any, Any], None]) -> Iterator[None]:
    """Call `seen(layer, input, output)` after each layer's forward, for as long as it is entered.

    Each layer's `forward` is shadowed on the instance and uncovered again afterwards.
    """
    layers = {layer for _, layer in network.layers_by_path()}
    for layer in layers:
        layer.forward = _watched(layer, layer.forward, seen)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _watched(
    layer: Layer, forward: Callable[..., Any], seen: Callable[[Layer, Any, Any], None]
) -> Callable[..., Any]:
    def watched(input: Any, training: bool) -> Any:
        output, memory = forward(input, training)
        seen(layer, input, output)
        return output, memory

    return watched
