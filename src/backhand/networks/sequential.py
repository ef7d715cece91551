"""Sequential: layers one after another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backhand.layer import Layer, forward_of
from backhand.layer_expectations import placed
from backhand.networks.parts import check_child
from backhand.networks.sharing import layers_in, share_repeated


class Sequential(Layer):
    """The layers one after another: each one's output is the next one's input.

    Memory: the list of the layers' memories, popped on the way back. A layer that appears
    twice learns once a step, by the sum.

    Args:
        layers: in order; none at all makes the identity.

    Raises:
        TypeError: an item is not a Layer.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = layers_in("Sequential", layers)
        share_repeated(self)

    def __getitem__(self, index: int) -> Layer:
        """The layer of this number, from the end where it is negative."""
        return self.layers[index]

    def children(self) -> dict[str, Layer]:
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def check_values(self, input: Any) -> None:
        if self.layers:
            check_child(self.layers[0], "0", input)

    def forward(self, input: Any, training: bool) -> tuple[Any, list[Any]]:
        memories: list[Any] = []
        try:
            for layer in self.layers:
                input, memory = forward_of(layer, input, training)
                memories.append(memory)
        except Exception as problem:
            raise placed(problem, str(len(memories)), self.layers[len(memories)])
        return input, memories

    def propagate(self, error: Any, memories: list[Any], learning_rate: float) -> Any:
        try:
            for layer in reversed(self.layers):
                error = layer.propagate(error, memories.pop(), learning_rate)
        except Exception as problem:
            raise placed(problem, str(len(memories)), self.layers[len(memories)])
        return error
