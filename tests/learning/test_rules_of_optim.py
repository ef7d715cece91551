"""Rules recorded with live step numbers, as values, and where their numbers are out of range."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import backhand as bh
from backhand.learning.rules import Adagrad, Lion, NAdam, RAdam, RMSProp
from cases import RULES, every_rule

BY_NAME = {case.name: case.rule for case in RULES}


def batches(steps: int):
    for i in range(steps):
        rows = 5 + 3 * (i % 2)
        yield torch.randn(rows, 3), torch.randn(rows, 2), 0.02 + 0.01 * (i % 4)


@every_rule
def test_recorded_it_gives_the_plain_steps_bits(rule) -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)])
    network.learn_with(rule.rule())
    twin, step = copy.deepcopy(network), bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    for input, target, rate in batches(100):
        step(input, target, rate)
        prediction = twin(input)
        twin.backward(bh.MSELoss().backward(prediction, target), rate)
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        assert torch.equal(one.value, other.value)
        assert one.updates == other.updates == 100
        for key, state in one.state.items():
            assert torch.equal(state, other.state[key]), key


@pytest.mark.parametrize("name", ["NAdam", "RAdam", "RMSProp, all", "Momentum, dampened"])
def test_bfloat16_learns_in_its_own_dtype(name) -> None:
    layer = bh.FullyConnected(3, 2).to(torch.bfloat16).learn_with(BY_NAME[name]())
    for _ in range(8):
        layer(torch.randn(4, 3, dtype=torch.bfloat16))
        layer.backward(torch.randn(4, 2, dtype=torch.bfloat16), 0.01)
    assert layer.weight.value.dtype is torch.bfloat16
    assert layer.weight.value.isfinite().all()


def test_a_constant_gradient_leaves_centered_rmsprop_finite() -> None:
    parameter = bh.Parameter(torch.zeros(64))
    parameter.learn_with(RMSProp(alpha=0.5, centered=True))
    gradient = torch.randn(64)
    for _ in range(300):
        parameter.learn(gradient, 1e-9)
    assert parameter.value.isfinite().all()


def test_radam_without_epsilon_leaves_untouched_elements_alone() -> None:
    parameter = bh.Parameter(torch.ones(2))
    parameter.learn_with(RAdam(epsilon=0.0))
    for _ in range(3):
        parameter.learn(torch.tensor([1.0, 0.0]), 0.1)
    assert parameter.value[1] == 1


@every_rule
def test_rules_are_values(rule) -> None:
    made = rule.rule()
    assert pickle.loads(pickle.dumps(made)) == made == rule.rule()
    assert made != bh.SGD(weight_decay=0.5)
    assert type(made).__name__ in repr(made)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bh.Momentum(dampening=1.5), r"dampening in \[0, 1\], got 1.5"),
        (lambda: bh.Momentum(nesterov=True, dampening=0.1), "without dampening, got 0.1"),
        (lambda: RMSProp(alpha=1.0), "alpha"),
        (lambda: RMSProp(momentum=-1.0), "momentum"),
        (lambda: Adagrad(lr_decay=-1.0), "lr_decay"),
        (lambda: NAdam(momentum_decay=-1.0), "momentum_decay"),
        (lambda: RAdam(beta2=1.0), "beta2"),
        (lambda: Lion(weight_decay=float("inf")), "weight_decay"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()
