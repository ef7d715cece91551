"""Rules side by side: several groups of parameters in one step, and what may not be moved."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import backhand as bh
from backhand.data import disc
from backhand.learning.parameter import lay_side_by_side
from backhand.program.line import record_training
from backhand.program.planning import plan_line
from cases.case import differences
from program.test_equal_bits import assert_equal_steps


def tower(depth: int = 2, width: int = 5) -> bh.Sequential:
    layers: list[bh.Layer] = [bh.FullyConnected(4, width), bh.Tanh()]
    for _ in range(depth - 2):
        layers += [bh.FullyConnected(width, width), bh.Tanh()]
    return bh.Sequential([*layers, bh.FullyConnected(width, 3)])


def learning(*rules: bh.UpdateRule) -> bh.Sequential:
    """A network whose first fully connected layer learns by the first rule, and so on."""
    network = tower(len(rules))
    for layer, rule in zip(network.layers[::2], rules, strict=True):
        layer.learn_with(rule)
    return network


def gated_in_part() -> bh.Sequential:
    network = tower(3).learn_with(bh.Adam())
    network.layers[2].gate_with(bh.Gate(max_norm=0.05))
    return network


def unfrozen() -> bh.Sequential:
    """Adam, of which one layer has taken more steps than the others."""
    network = tower(3).learn_with(bh.Adam())
    network.layers[0].freeze()
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    step(torch.randn(6, 4), torch.randn(6, 3), 0.1)
    network.layers[0].freeze(False)
    return network


GROUPS = {
    "Adam beside AdamW": lambda: learning(bh.Adam(), bh.AdamW()),
    "AdamW beside Adam": lambda: learning(bh.AdamW(), bh.Adam()),
    "other betas": lambda: learning(bh.Adam(), bh.Adam(beta1=0.5)),
    "another rate": lambda: learning(bh.WithRate(bh.Adam(), 3.0), bh.Adam()),
    "four groups": lambda: learning(
        bh.Adam(), bh.Momentum(), bh.AdamW(), bh.Momentum(0.5, nesterov=True)
    ),
    "groups that alternate": lambda: learning(bh.Adam(), bh.AdamW(), bh.Adam(), bh.AdamW()),
    "a gate on a part": gated_in_part,
    "a part that was frozen": unfrozen,
}


@pytest.mark.parametrize("groups", GROUPS)
def test_several_groups_of_rules_give_the_same_bits(groups) -> None:
    network = GROUPS[groups]()
    assert_equal_steps(network, bh.MSELoss(), torch.randn(20, 4), torch.randn(20, 3), steps=20)


def test_freezing_and_unfreezing_between_epochs_gives_the_same_bits() -> None:
    network = bh.Sequential(
        [bh.FullyConnected(2, 9), bh.Tanh(), bh.FullyConnected(9, 1), bh.Sigmoid()]
    )
    network.learn_with(bh.Adam())
    networks = [network, copy.deepcopy(network)]
    for frozen in (False, True, False):
        for each, record in zip(networks, (True, False), strict=True):
            each.layers[0].freeze(frozen)
            bh.fit(
                each, bh.MSELoss(), disc(120, 0), epochs=3, learning_rate=0.01,
                record=record, engine=bh.Replay(),
            )  # fmt: skip
    assert differences(*networks) == []


DRAWN = [
    bh.SGD(),
    bh.SGD(weight_decay=0.1),
    bh.Momentum(),
    bh.Momentum(0.5, nesterov=True, weight_decay=0.01),
    bh.Adam(),
    bh.Adam(beta1=0.5),
    bh.AdamW(),
    bh.WithRate(bh.AdamW(), 2.0),
]


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_drawn_groups_give_the_same_bits(seed) -> None:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    network = tower(draw.randint(2, 5), draw.randint(1, 20))
    if draw.random() < 0.5:
        network.learn_with(draw.choice(DRAWN))
    gate = draw.choice([None, bh.Gate(), bh.Gate(max_norm=0.05)])
    parameters = list(network.parameters().values())
    for parameter in draw.sample(parameters, draw.randint(0, len(parameters))):
        parameter.learn_with(draw.choice(DRAWN))
        parameter.gate_with(draw.choice([None, gate]))
        parameter.updates = draw.choice([0, 0, 7])
    if draw.random() < 0.5:
        draw.shuffle(parameters)
        lay_side_by_side(parameters)
    for layer in draw.sample(network.layers, 1):
        layer.freeze()
    inputs, targets = torch.randn(20, 4), torch.randn(20, 3)
    assert_equal_steps(network, bh.MSELoss(), inputs, targets, steps=3, sizes=(4,))


class LearnsFirst(bh.Layer):
    """Scales by a weight, and forms its input error from the weight that has learnt already."""

    def __init__(self) -> None:
        self.weight = bh.Parameter(torch.rand(5) + 0.5)

    def forward(self, input, training):
        return input * self.weight.value, input

    def propagate(self, error, input, learning_rate):
        self.weight.learn((error * input).sum(0), learning_rate)
        return error * self.weight.value


def test_what_is_read_before_the_last_lane_ends_is_not_put_off() -> None:
    network = bh.Sequential([bh.FullyConnected(4, 5), LearnsFirst(), bh.FullyConnected(5, 3)])
    network.learn_with(bh.Adam())
    assert_equal_steps(network, bh.MSELoss(), torch.randn(20, 4), torch.randn(20, 3), steps=10)


class OneMemory(bh.UpdateRule):
    """Keeps the last gradient of any parameter in one tensor, and learns from it."""

    def __init__(self) -> None:
        self.last = torch.zeros(4, 4)

    def state(self, value):
        return {"mean": torch.zeros_like(value)}

    def update(self, parameter, gradient, learning_rate):
        mean = parameter.state["mean"].mul_(0.9).add_(self.last)
        torch.mul(gradient, 0.5, out=self.last)
        parameter.value.sub_(mean, alpha=learning_rate)


def test_lanes_that_read_what_another_writes_are_not_joined() -> None:
    network = bh.Sequential([bh.FullyConnected(4, 4, bias=False) for _ in range(3)])
    network.learn_with(OneMemory())
    network.layers[1].learn_with(OneMemory())
    lay_side_by_side(network.parameters().values())
    twin = copy.deepcopy(network)
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    for _ in range(5):
        input, target = torch.randn(3, 4), torch.randn(3, 4)
        step(input, target, 0.1)
        twin.backward(bh.MSELoss().backward(twin(input), target), 0.1)
    assert differences(network, twin) == []


class TwoAtOnce(bh.Layer):
    """Two parameters that learn from one gradient, by different rules."""

    def __init__(self) -> None:
        self.one = bh.Parameter(torch.rand(4))
        self.other = bh.Parameter(torch.rand(4))
        self.one.learn_with(bh.Adam())
        self.other.learn_with(bh.Adam(beta1=0.5))

    def forward(self, input, training):
        return input * self.one.value * self.other.value, input

    def propagate(self, error, input, learning_rate):
        gradient = (error * input).sum(0)
        input_error = error * self.one.value * self.other.value
        self.one.learn(gradient, learning_rate)
        self.other.learn(gradient, learning_rate)
        return input_error


def test_a_gradient_that_two_groups_read_moves_once() -> None:
    network = bh.Sequential([TwoAtOnce(), TwoAtOnce()])
    lay_side_by_side([layer.one for layer in network.layers])
    lay_side_by_side([layer.other for layer in network.layers])
    assert_equal_steps(network, bh.MSELoss(), torch.randn(20, 4), torch.randn(20, 4), steps=10)


def test_what_stands_between_two_states_keeps_its_values() -> None:
    network = tower(2).learn_with(bh.Momentum())
    first, second = (layer.bias for layer in network.layers[::2])
    together = torch.zeros(16 + 3)
    first.state["velocity"], second.state["velocity"] = together[:5], together[16:]
    network.layers[0].weight.state["velocity"] = torch.zeros(5, 4)
    network.layers[2].weight.state["velocity"] = torch.zeros(3, 5)
    between = together[8:12].fill_(1.0)
    network.between = bh.Parameter(between)
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    step(torch.randn(6, 4), torch.randn(6, 3), 0.1)
    assert torch.equal(between, torch.ones(4))
    assert torch.count_nonzero(first.state["velocity"]) == 5


def test_each_group_is_worked_at_once() -> None:
    network = learning(bh.Adam(), bh.AdamW(), bh.Adam(beta1=0.5))
    line = record_training(network, bh.MSELoss(), [torch.randn(6, 4)], [torch.randn(6, 3)])
    names = [operation.name for operation in plan_line(line, []).operations]
    assert names.count("lerp") == 3
    assert names.count("sqrt") == 3
