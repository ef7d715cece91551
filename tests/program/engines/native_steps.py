"""What the tests of the native engine share: the same steps natively and plainly."""

from __future__ import annotations

import copy

import torch

import backhand as bh
from backhand.program.engines.native import Native
from backhand.values import row_count, rows_of

ROWS = 64


def train_both(network, loss, inputs, targets, steps=1000, size=8, rate=0.05):
    """The network after native steps, its twin after plain ones, and both their losses."""
    twin = copy.deepcopy(network)
    order = torch.cat([torch.randperm(row_count(inputs)) for _ in range(steps * size // ROWS + 1)])
    order = order[: steps * size]
    rates = [rate / (1 + 0.001 * i) for i in range(steps)]
    losses = bh.TrainingStep(network, loss, Native()).run(inputs, targets, order, rates, size)
    expected = []
    for rows, each in zip(order.split(size), rates, strict=True):
        prediction, target = twin(rows_of(inputs, rows)), rows_of(targets, rows)
        expected.append(loss(prediction, target))
        twin.backward(loss.backward(prediction, target), each)
    return network, twin, losses, torch.stack(expected)


def tensors_of(network):
    """Every value and every rule's state, by name."""
    return {
        f"{path}.{name}": tensor
        for path, parameter in network.parameters().items()
        for name, tensor in {"value": parameter.value, **parameter.state}.items()
    }


def worst(network, twin) -> float:
    """The largest difference in any tensor, relative to that tensor's largest element."""
    return max(
        (
            float((one.double() - other.double()).abs().max() / (other.double().abs().max() + 1e-6))
            for one, other in zip(
                tensors_of(network).values(), tensors_of(twin).values(), strict=True
            )
        ),
        default=0.0,
    )
