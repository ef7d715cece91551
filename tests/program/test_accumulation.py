"""One Accumulation gate in front of more than the network that is recorded."""

from __future__ import annotations

import copy

import pytest
import torch

import backhand as bh
from backhand.program import Native, Replay

every_engine = pytest.mark.parametrize("engine", [Replay(), Native()], ids=repr)
LOSS = bh.MSELoss()


def two_tasks(gate: bh.Gate) -> list[bh.Sequential]:
    """Two networks with a trunk in common and heads of their own, behind one gate."""
    torch.manual_seed(0)
    trunk = bh.FullyConnected(3, 4)
    heads = [bh.FullyConnected(4, 2), bh.FullyConnected(4, 1)]
    return [
        bh.Sequential([trunk, bh.Tanh(), head])
        .to(torch.float64)
        .learn_with(bh.Adam())
        .gate_with(gate)
        for head in heads
    ]


def plain(network: bh.Layer):
    def step(input, target, rate):
        network.backward(LOSS.backward(network(input), target), rate)

    return step


def weights(networks) -> list[torch.Tensor]:
    return [p.value.clone() for each in networks for p in each.parameters().values()]


def assert_alike(ones, others, engine) -> None:
    for one, other in zip(weights(ones), weights(others), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
        assert not isinstance(engine, Replay) or torch.equal(one, other)


@every_engine
@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("max_norm", [None, 0.1])
@pytest.mark.parametrize("varied", [False, True], ids=["one rate", "rates"])
def test_two_networks_behind_one_gate_learn_as_plainly(engine, every, max_norm, varied) -> None:
    recorded, twins = (two_tasks(bh.Accumulation(every, max_norm)) for _ in range(2))
    steps = [bh.TrainingStep(each, LOSS, engine) for each in recorded]
    others = [plain(each) for each in twins]
    before = weights(recorded)
    for i in range(14):
        which = i % 2 if i < 8 else (i // 2) % 2
        x = torch.randn(5, 3, dtype=torch.float64)
        y = torch.randn(5, 2 - which, dtype=torch.float64)
        rate = 0.1 / (1 + i) if varied else 0.1
        for step in (steps[which], others[which]):
            step(x, y, rate)
        assert_alike(recorded, twins, engine)
    assert all(
        not torch.equal(one, now) for one, now in zip(before, weights(recorded), strict=True)
    )


@every_engine
@pytest.mark.parametrize("max_norm", [None, 0.1])
def test_a_layer_taken_out_between_micro_batches_counts_as_plainly(engine, max_norm) -> None:
    torch.manual_seed(0)
    layers = [bh.FullyConnected(3, 3), bh.FullyConnected(3, 3), bh.FullyConnected(3, 2)]
    network = bh.Sequential(layers).to(torch.float64).gate_with(bh.Accumulation(2, max_norm))
    twin = copy.deepcopy(network)
    step, other = bh.TrainingStep(network, LOSS, engine), plain(twin)
    taken = []
    for i in range(6):
        x, y = torch.randn(5, 3).double(), torch.randn(5, 2).double()
        step(x, y, 0.1)
        other(x, y, 0.1)
        if i == 2:
            taken = [each.layers.pop(1) for each in (network, twin)]
        assert_alike([network, *taken[:1]], [twin, *taken[1:]], engine)


@every_engine
def test_plain_and_recorded_steps_share_a_gate(engine) -> None:
    recorded, twins = (two_tasks(bh.Accumulation(2)) for _ in range(2))
    step = bh.TrainingStep(recorded[0], LOSS, engine)
    for i in range(9):
        x, ys = torch.randn(5, 3).double(), (torch.randn(5, 2).double(), torch.randn(5, 1).double())
        (step if i % 3 else plain(recorded[0]))(x, ys[0], 0.1)
        plain(recorded[1])(x, ys[1], 0.05)
        plain(twins[0])(x, ys[0], 0.1)
        plain(twins[1])(x, ys[1], 0.05)
        assert_alike(recorded, twins, engine)


@every_engine
def test_fewer_micro_batches_than_are_summed_by_then_update_at_the_next(engine) -> None:
    torch.manual_seed(0)
    network = bh.FullyConnected(3, 2, bias=False).to(torch.float64).gate_with(bh.Accumulation(4))
    twin = copy.deepcopy(network)
    step, other = bh.TrainingStep(network, LOSS, engine), plain(twin)
    before, gradients = network.weight.value.clone(), []
    for i in range(9):
        x, y = torch.randn(5, 3).double(), torch.randn(5, 2).double()
        if i == 3:
            for each in (network, twin):
                each.weight.gate.every = 2
        if i < 4:
            gradients.append(bh.gradients(copy.deepcopy(network), LOSS, x, y)["weight"])
        step(x, y, 0.1)
        other(x, y, 0.1)
        assert_alike([network], [twin], engine)
        if i == 3:
            mean = torch.stack(gradients).mean(0)
            torch.testing.assert_close(network.weight.value, before - 0.1 * mean)
    assert network.weight.gate.phase == 1
