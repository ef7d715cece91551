"""Sharing: parameters that one step uses in several places learn once, by the sum."""

from __future__ import annotations

from backhand.layer import Layer


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
    seen = set()
    for _, layer in network.layers_by_path():
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(network).__name__} expected layers, got {layer!r}")
        for parameter in layer.own_parameters().values():
            parameter.shared = parameter.shared or parameter in seen
            seen.add(parameter)
