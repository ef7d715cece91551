"""gradients: all gradients of a step, read without learning anything."""

from __future__ import annotations

import torch
from torch import Tensor

from backhand.given import Given
from backhand.layer import Layer, forward_of
from backhand.learning.settling import gradients_read
from backhand.losses import Loss
from backhand.values import settled


def gradients(network: Layer, loss: Loss, input: Given, target: Given) -> dict[str, Tensor]:
    """The gradient of the loss by every parameter, of its shape, keyed by path. Changes nothing.

    Parameters that are frozen, or that the step does not use, have no entry. Gates the
    network has are passed by, so these are the gradients before clipping or accumulation.

    Args:
        network: any Layer.
        loss: a Loss.
        input: one batch.
        target: one batch, as the loss takes it.

    Raises:
        LayerError, ValueError, TypeError: the batch does not fit the network or the loss.
    """
    generator = torch.random.get_rng_state()
    input = network.as_input(input)
    try:
        prediction, memory = forward_of(network, network.settled_input(input), True)
        error = settled(loss.backward(prediction, target))
        _, found = gradients_read(network.propagate, error, memory, 0.0)
    finally:
        torch.random.set_rng_state(generator)
    return {path: found[each] for path, each in network.parameters().items() if each in found}
