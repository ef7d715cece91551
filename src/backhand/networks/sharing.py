"""Sharing: parameters that one step uses in several places learn once, by the sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from backhand.arguments import shown
from backhand.layer import Layer
from backhand.learning.parameter import Parameter


def share(layer: Layer) -> Layer:
    """Declare that one step uses this layer several times; returns the layer.

    Its parameters then learn once a step, by the sum of their contributions. Containers do
    this for layers they are given twice; call it in the constructor of a layer that uses
    another in a loop.
    """
    for parameter in layer.parameters().values():
        parameter.shared = True
    return layer


def share_repeated(network: Layer) -> None:
    """Mark the parameters that the network reaches by more than one path as shared."""
    seen: set[Parameter] = set()
    edges: Counter[Layer] = Counter()
    for _, layer in network.layers_by_path():
        edges.update(layer.children().values())
        for parameter in layer.own_parameters().values():
            parameter.shared = parameter.shared or parameter in seen
            seen.add(parameter)
    # What is inside a layer that is used twice is used twice; each is looked at once all the same.
    reached: set[Layer] = set()
    waiting = [layer for layer, count in edges.items() if count > 1]
    while waiting:
        layer = waiting.pop()
        if layer not in reached:
            reached.add(layer)
            waiting += layer.children().values()
            for parameter in layer.own_parameters().values():
                parameter.shared = True


def layers_in(owner: str, given: Iterable[Layer]) -> list[Layer]:
    """The layers given to a container.

    Raises:
        TypeError: they are no list or the like of layers.
    """
    if isinstance(given, Layer) or not isinstance(given, Iterable):
        raise TypeError(f"{owner}: expected a list of layers, got {shown(given)}")
    layers = list(given)
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"{owner}: expected layers, got {shown(layer)}")
    return layers
