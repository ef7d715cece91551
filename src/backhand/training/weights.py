"""A copy of what a network has learnt, to go back to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.learning.interrupts import uninterrupted


class Weights:
    """What a network had learnt at one moment.

    Args:
        network: kept at once, in memory of its own as large as the weights, states and buffers.
    """

    def __init__(self, network: Layer) -> None:
        self._parameters = list(network.parameters().values())
        self._parts = list(network.parts().values())
        self.keep()

    def keep(self) -> None:
        """Copy what the network has learnt by now; all of it, or nothing, if Ctrl-C comes."""
        uninterrupted(self._keep)

    def _keep(self) -> None:
        self._kept = [{k: v.clone() for k, v in each.tensors().items()} for each in self._parts]
        self._updates = [each.updates for each in self._parameters]

    def all_finite(self) -> bool:
        """Whether every weight, state and buffer the network has now is a finite number."""
        return all(_finite(tensor) for each in self._parts for tensor in each.tensors().values())

    def restore(self) -> None:
        """Give the network back what was kept, in place, and forget what its gates still hold."""
        uninterrupted(self._restore)

    def _restore(self) -> None:
        for parameter in self._parameters:
            parameter.forget()  # what has begun to learn since then had no state
        for part, kept in zip(self._parts, self._kept, strict=True):
            for name, tensor in part.tensors().items():
                if name in kept:
                    tensor.copy_(kept[name])
        for parameter, updates in zip(self._parameters, self._updates, strict=True):
            parameter.updates = updates
        for gate in {each.gate for each in self._parameters}:
            if gate is not None:
                gate.drop()  # micro-batches summed at weights that are gone


def _finite(values: Tensor) -> bool:
    """Whether all of them are; a finite sum says so at once."""
    return math.isfinite(values.sum()) or bool(torch.isfinite(values).all())
