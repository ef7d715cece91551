"""What is frozen costs nothing on the way back."""

from __future__ import annotations

import copy
import re

import pytest
import torch

import backhand as bh
from backhand.program import Native, Replay
from backhand.training.weights import Weights

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
        velocities = [each.state.get("velocity") for each in layer.parameters().values()]
        assert all((each is None) == (i < frozen) for each in velocities)
        assert all(each is None or each.any() for each in velocities)


def states(layer: bh.Layer) -> list[set[str]]:
    return [set(each.state) for each in layer.parameters().values()]


@pytest.mark.parametrize("engine", [None, Replay(), Native()], ids=repr)
@pytest.mark.parametrize("first", ["frozen", "rule"])
def test_what_is_frozen_before_it_learns_has_no_state_until_it_is_free(first, engine) -> None:
    torch.manual_seed(0)
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)])
    loss, x, y = bh.MSELoss(), torch.randn(5, 3), torch.randn(5, 2)
    if first == "frozen":
        network[0].freeze()
        network.learn_with(bh.Adam())
    else:
        network.learn_with(bh.Adam())
        network[0].freeze()
    twin = copy.deepcopy(network)
    step = bh.TrainingStep(network, loss, engine) if engine else plain(network, loss)
    step(x, y, 0.1)
    assert states(network[0]) == [set(), set()]
    if engine:
        held = sum(each.value.nbytes for each in network[2].parameters().values())
        assert step.memory.state == 2 * held
    network[0].freeze(False)
    twin_step = plain(twin, loss)
    twin_step(x, y, 0.1)
    twin[0].freeze(False)
    for each in (step, twin_step):
        each(x, y, 0.1)
        each(x, y, 0.1)
    assert states(network[0]) == [{"mean", "square"}] * 2
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        assert one.updates == other.updates
        torch.testing.assert_close(one.value, other.value, rtol=1e-5, atol=1e-6)
        assert not isinstance(engine, Replay) or torch.equal(one.value, other.value)


def test_what_has_learnt_keeps_its_state_while_it_is_frozen() -> None:
    torch.manual_seed(0)
    network = bh.FullyConnected(3, 2).learn_with(bh.Adam())
    step = plain(network, bh.MSELoss())
    step(torch.randn(5, 3), torch.randn(5, 2), 0.1)
    before = {name: each.clone() for name, each in network.weight.state.items()}
    network.freeze()
    step(torch.randn(5, 3), torch.randn(5, 2), 0.1)
    network.freeze(False)
    assert network.weight.updates == 1
    assert all(torch.equal(network.weight.state[name], each) for name, each in before.items())


def test_weights_restored_from_before_a_layer_was_freed_begin_its_state_anew() -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.FullyConnected(4, 2)])
    network[0].freeze()
    network.learn_with(bh.Adam())
    kept = Weights(network)
    network[0].freeze(False)
    plain(network, bh.MSELoss())(torch.randn(5, 3), torch.randn(5, 2), 0.1)
    kept.restore()
    for parameter in network.parameters().values():
        assert parameter.updates == 0
        assert not any(each.any() for each in parameter.state.values())


def plain(network: bh.Layer, loss: bh.Loss):
    def step(input, target, rate):
        network.backward(loss.backward(network(input), target), rate)

    return step
