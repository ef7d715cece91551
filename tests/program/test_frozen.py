"""What is frozen costs nothing on the way back."""

from __future__ import annotations

import re

import pytest
import torch

import backhand as bh

DEPTH = 4


def stepped(frozen: int) -> tuple[bh.Sequential, str]:
    """A network whose lowest layers are frozen, after a step, and that step's lines."""
    blocks = [bh.Sequential([bh.FullyConnected(3, 3), bh.Tanh()]) for _ in range(DEPTH)]
    network = bh.Sequential([*blocks, bh.FullyConnected(3, 2)])
    for i in range(frozen):
        network[i].freeze()
    step = bh.TrainingStep(network.learn_with(bh.Momentum()), bh.MSELoss(), bh.Replay())
    step(torch.randn(5, 3), torch.randn(5, 2), 0.1)
    return network, str(step)


@pytest.mark.parametrize("frozen", range(DEPTH + 2))
def test_nothing_below_the_lowest_layer_that_learns_is_computed_on_the_way_back(frozen) -> None:
    network, lines = stepped(frozen)
    _, _, backward = lines.partition("# backward")
    at_work = {int(found) for found in re.findall(r"  (\d)(?:\.\d)?: [FT]", backward)}
    assert at_work == set(range(frozen, DEPTH + 1))
    learning = DEPTH + 1 - frozen  # each but the lowest has one product for its input error
    assert len(re.findall(r"(?<!add)mm\(", backward)) == max(learning - 1, 0)
    for i, layer in enumerate(network.layers):
        velocities = [each.state["velocity"] for each in layer.parameters().values()]
        assert all(bool(each.any()) == (i >= frozen) for each in velocities)
