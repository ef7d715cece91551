"""The multi-layer perceptron of scikit-learn's arguments, as a Backhand network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from backhand.layer import Layer
from backhand.layers import Dropout, FullyConnected, ReLU, Sigmoid, Tanh, XavierUniform
from backhand.networks import Sequential

ACTIVATIONS: dict[str, Callable[[], Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
}
"""The hidden activations by scikit-learn's names."""


@dataclass(frozen=True)
class Architecture:
    """Fully connected layers, with an activation and dropout after each but the last.

    Args:
        sizes: inputs, hidden units layer by layer, outputs.
        activation: a name of ACTIVATIONS.
        dropout: the share of hidden outputs set to 0 in training.
    """

    sizes: tuple[int, ...]
    activation: str
    dropout: float

    def build(self) -> Sequential:
        """The network, its weights still to be initialized. Leaves torch's generator alone."""
        layers: list[Layer] = []
        with torch.random.fork_rng(devices=[]):
            for inputs, outputs in self._pairs():
                if layers:
                    layers += self._between()
                layers.append(FullyConnected(inputs, outputs, initializer=self._initializer()))
        return Sequential(layers)

    def build_from(self, learnt: Mapping[str, Any]) -> Sequential:
        """The network that has learnt this: its "rule", "updates", and "arrays" by path."""
        arrays = learnt["arrays"]
        network = self.build().to(torch.from_numpy(arrays["0.weight"]).dtype)
        network.learn_with(learnt["rule"])
        for name, tensor in network.lasting_tensors().items():
            tensor.copy_(torch.from_numpy(arrays[name]))
        for parameter, updates in zip(
            network.parameters().values(), learnt["updates"], strict=True
        ):
            parameter.updates = updates
        return network

    def initialize(self, network: Layer, random: np.random.RandomState) -> None:
        """Draw weights and biases as scikit-learn does: the same from the same random state.

        Uniform with variance gain² · 2 / (inputs + outputs), biases too (Glorot & Bengio 2010).
        """
        for layer, (inputs, outputs) in zip(connected(network), self._pairs(), strict=True):
            bound = self._initializer().gain * math.sqrt(6 / (inputs + outputs))
            weight = random.uniform(-bound, bound, (inputs, outputs))
            layer.weight.value.copy_(torch.from_numpy(weight.T))
            assert layer.bias is not None
            layer.bias.value.copy_(torch.from_numpy(random.uniform(-bound, bound, outputs)))

    def _initializer(self) -> XavierUniform:
        return XavierUniform(math.sqrt(1 / 3) if self.activation == "logistic" else 1.0)

    def _between(self) -> list[Layer]:
        activation = ACTIVATIONS[self.activation]
        layers: list[Layer] = [] if activation is None else [activation()]
        return [*layers, Dropout(self.dropout)] if self.dropout else layers

    def _pairs(self) -> list[tuple[int, int]]:
        return list(zip(self.sizes, self.sizes[1:], strict=False))


def connected(network: Layer) -> list[FullyConnected]:
    """The fully connected layers of a network, in order."""
    return [layer for _, layer in network.layers_by_path() if isinstance(layer, FullyConnected)]
