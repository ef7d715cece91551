"""Rules beside their counterparts over 100 steps, and recorded with live step numbers."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import optim

import backhand as bh
from backhand.learning.contributions import Product, Summed, Whole
from backhand.learning.rules import Adagrad, Lion, NAdam, RAdam, RMSProp
from oracle import close


class LionOfThePaper(optim.Optimizer):
    """Chen et al. (2023), algorithm 2, line by line."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for theta in group["params"]:
                m = self.state[theta].setdefault("m", torch.zeros_like(theta))
                c = beta1 * m + (1 - beta1) * theta.grad
                theta -= group["lr"] * (torch.sign(c) + group["weight_decay"] * theta)
                self.state[theta]["m"] = beta2 * m + (1 - beta2) * theta.grad


momentum = partial(optim.SGD, momentum=0.8)
RULES = {
    "SGD, decay": (bh.SGD(0.01), partial(optim.SGD, weight_decay=0.01)),
    "Momentum, dampened": (bh.Momentum(0.8, dampening=0.3), partial(momentum, dampening=0.3)),
    "Momentum, dampened, decay": (
        bh.Momentum(0.8, weight_decay=0.01, dampening=0.9),
        partial(momentum, weight_decay=0.01, dampening=0.9),
    ),
    "RMSProp": (RMSProp(), optim.RMSprop),
    "RMSProp, all": (
        RMSProp(0.9, 1e-6, 0.01, momentum=0.7, centered=True),
        partial(optim.RMSprop, alpha=0.9, eps=1e-6, weight_decay=0.01, momentum=0.7, centered=True),
    ),
    "RMSProp, centered": (RMSProp(centered=True), partial(optim.RMSprop, centered=True)),
    "Adagrad": (Adagrad(), optim.Adagrad),
    "Adagrad, all": (
        Adagrad(0.1, 0.01, 0.5, 1e-6),
        partial(
            optim.Adagrad, lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.5, eps=1e-6
        ),
    ),
    "Adam, amsgrad": (
        bh.Adam(beta2=0.9, amsgrad=True),
        partial(optim.Adam, betas=(0.9, 0.9), amsgrad=True),
    ),
    "AdamW, amsgrad": (bh.AdamW(amsgrad=True), partial(optim.AdamW, amsgrad=True)),
    "NAdam": (NAdam(), optim.NAdam),
    "NAdam, decay": (
        NAdam(0.8, 0.99, 1e-6, 0.01, momentum_decay=0.1),
        partial(optim.NAdam, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01, momentum_decay=0.1),
    ),
    "NAdam, decoupled": (
        NAdam(weight_decay=0.01, decoupled_weight_decay=True),
        partial(optim.NAdam, weight_decay=0.01, decoupled_weight_decay=True),
    ),
    "RAdam": (RAdam(), optim.RAdam),
    "RAdam, short": (RAdam(0.5, 0.9), partial(optim.RAdam, betas=(0.5, 0.9))),
    "RAdam, barely": (RAdam(beta2=0.67), partial(optim.RAdam, betas=(0.9, 0.67))),
    "RAdam, never": (RAdam(beta2=0.6), partial(optim.RAdam, betas=(0.9, 0.6))),
    "RAdam, decay": (
        RAdam(epsilon=1e-6, weight_decay=0.01),
        partial(optim.RAdam, eps=1e-6, weight_decay=0.01),
    ),
    "RAdam, decoupled": (
        RAdam(weight_decay=0.01, decoupled_weight_decay=True),
        partial(optim.RAdam, weight_decay=0.01, decoupled_weight_decay=True),
    ),
    "Lion": (Lion(), LionOfThePaper),
    "Lion, decay": (
        Lion(0.8, 0.95, 0.1),
        partial(LionOfThePaper, betas=(0.8, 0.95), weight_decay=0.1),
    ),
}
FORMS = {
    "gradient": lambda left, right: Whole(left @ right),
    "product": Product,
    "sum": lambda left, right: Summed(left.t()),
}


@pytest.fixture
def doubles():
    """float64 by default: torch's NAdam keeps its product of momenta in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", RULES)
@pytest.mark.usefixtures("doubles")
def test_follows_its_counterpart_over_100_steps(name, form) -> None:
    rule, optimizer = RULES[name]
    value = torch.randn((4,) if form == "sum" else (4, 3))
    parameter = bh.Parameter(value.clone())
    parameter.learn_with(rule)
    twin = value.clone().requires_grad_()
    optimizer = optimizer([twin], lr=0.1)
    for step in range(100):
        rows = step % 3 + 1
        left = torch.randn(4, rows) * 10.0 ** (step % 5 - 2)
        contribution = FORMS[form](left, torch.randn(rows, 3))
        rate = 0.1 / (1 + step % 11)
        parameter.update(contribution, rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        twin.grad = contribution.gradient()
        optimizer.step()
        assert close(parameter.value, twin.detach(), 1e-9), step


def batches(steps: int):
    for i in range(steps):
        rows = 5 + 3 * (i % 2)
        yield torch.randn(rows, 3), torch.randn(rows, 2), 0.02 + 0.01 * (i % 4)


@pytest.mark.parametrize("name", RULES)
def test_recorded_it_gives_the_plain_steps_bits(name) -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)])
    network.learn_with(RULES[name][0])
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
    layer = bh.FullyConnected(3, 2).to(torch.bfloat16).learn_with(RULES[name][0])
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


@pytest.mark.parametrize("name", RULES)
def test_rules_are_values(name) -> None:
    rule = RULES[name][0]
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert rule != bh.SGD()
    assert type(rule).__name__ in repr(rule)


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
