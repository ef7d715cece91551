"""A weight that is two layers' learns once, by the sum, whenever it was tied."""

from __future__ import annotations

import copy

import pytest
import torch

import backhand as bh
from backhand.program import Native, Replay


def tied_late(network: bh.Sequential) -> bh.Sequential:
    network[2].weight = network[0].weight
    return network


def tied_early() -> bh.Sequential:
    layers = made()
    layers[2].weight = layers[0].weight
    return bh.Sequential(layers)


def made() -> list[bh.Layer]:
    torch.manual_seed(0)
    return [bh.FullyConnected(4, 4), bh.Tanh(), bh.FullyConnected(4, 4, bias=False)]


@pytest.mark.parametrize("rule", [bh.SGD(), bh.Adam()], ids=repr)
@pytest.mark.parametrize("engine", [None, Replay(), Native()], ids=repr)
def test_a_tie_made_late_is_as_one_made_early(engine, rule) -> None:
    late, early = bh.Sequential(made()).learn_with(rule), tied_early().learn_with(rule)
    x, y, loss = torch.randn(5, 4), torch.randn(5, 4), bh.MSELoss()
    step = bh.TrainingStep(late, loss, engine) if engine else None
    tied_late(late)
    for _ in range(3):
        if step:
            step(x, y, 0.1)
        else:
            late.backward(loss.backward(late(x), y), 0.1)
        early.backward(loss.backward(early(x), y), 0.1)
    assert late[0].weight is late[2].weight
    assert late[0].weight.updates == 3
    for one, other in zip(late.parameters().values(), early.parameters().values(), strict=True):
        torch.testing.assert_close(one.value, other.value)
        assert not isinstance(engine, Replay) or torch.equal(one.value, other.value)


def test_a_step_recorded_before_the_tie_is_recorded_anew() -> None:
    network = bh.Sequential(made())
    x, y, loss = torch.randn(5, 4), torch.randn(5, 4), bh.MSELoss()
    step = bh.TrainingStep(network, loss, Replay())
    step(x, y, 0.1)
    twin = tied_late(copy.deepcopy(network))
    tied_late(network)
    step(x, y, 0.1)
    twin.backward(loss.backward(twin(x), y), 0.1)
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        assert torch.equal(one.value, other.value)


def test_a_copy_of_tied_layers_is_tied() -> None:
    network = copy.deepcopy(tied_late(bh.Sequential(made())))
    x, y, loss = torch.randn(5, 4), torch.randn(5, 4), bh.MSELoss()
    network.backward(loss.backward(network(x), y), 0.1)
    assert network[0].weight.updates == 1
