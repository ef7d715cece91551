"""A copy of a network's weights and rule states, to go back to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backhand.layer import Layer


class Weights:
    """What a network had learnt at one moment.

    Args:
        network: kept at once, in memory of its own as large as the weights and states.
    """

    def __init__(self, network: Layer) -> None:
        self._parameters = list(network.parameters().values())
        self.keep()

    def keep(self) -> None:
        """Copy what the network has learnt by now."""
        self._values = [each.value.clone() for each in self._parameters]
        self._states = [{k: v.clone() for k, v in each.state.items()} for each in self._parameters]
        self._updates = [each.updates for each in self._parameters]

    def all_finite(self) -> bool:
        """Whether every weight and state the network has now is a finite number."""
        return all(
            _finite(tensor)
            for each in self._parameters
            for tensor in (each.value, *each.state.values())
        )

    def restore(self) -> None:
        """Give the network back what was kept, in place, and forget what its gates still hold."""
        kept = zip(self._parameters, self._values, self._states, self._updates, strict=True)
        for parameter, value, state, updates in kept:
            parameter.value.copy_(value)
            parameter.updates = updates
            for name, tensor in state.items():
                parameter.state[name].copy_(tensor)
        for gate in {each.gate for each in self._parameters}:
            if gate is not None:
                gate.drop()  # micro-batches summed at weights that are gone


def _finite(values: Tensor) -> bool:
    """Whether all of them are; a finite sum says so at once."""
    return math.isfinite(values.sum()) or bool(torch.isfinite(values).all())
