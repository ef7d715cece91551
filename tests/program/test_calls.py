"""Spellings of tensor calls in layers, each recorded beside the plain step."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

import backhand as bh
from backhand.program import Native
from backhand.program.engines.native.segmented import Segmented
from program.test_equal_bits import assert_equal_steps, plain_step


class Calls(bh.Layer):
    """Any function of a tensor, in training; the input error is not its derivative."""

    def __init__(self, function) -> None:
        self.function = function

    def forward(self, input, training):
        output = self.function(input) if training else input
        return output, output

    def propagate(self, error, output, learning_rate):
        return error * torch.tanh(output)


def network_of(function) -> bh.Sequential:
    return bh.Sequential([bh.FullyConnected(3, 4), Calls(function), bh.FullyConnected(4, 2)])


def dropped_twice(input):
    kept = torch.sin(input)
    torch.dropout_(kept, 0.4, True)
    return kept + torch.dropout_(input.clone(), 0.2, True)


RANDOM_IN_PLACE = {
    "dropout_": lambda input: torch.dropout_(torch.sin(input), 0.4, True),
    "dropout_, twice": dropped_twice,
    "alpha_dropout_": lambda input: torch.alpha_dropout_(input + 1, 0.4, True),
    "feature_dropout_": lambda input: torch.feature_dropout_(input * 2, 0.4, True),
    "feature_alpha_dropout_": lambda input: torch.feature_alpha_dropout_(input * 2, 0.4, True),
    "rrelu_": lambda input: torch.rrelu_(input - 0.2, 0.1, 0.5, True),
}
"""Calls that draw and write over their operand, having read it."""

OVERWRITING = {
    "bernoulli_": lambda input: torch.empty_like(input).bernoulli_(0.5),
    "bernoulli_ by shares": lambda input: torch.empty_like(input).bernoulli_(input.sigmoid()),
    "uniform_": lambda input: torch.sin(input).uniform_(-1, 1),
    "normal_ on a part": lambda input: with_noise(input),
    "copy_ of a row": lambda input: torch.sin(input).copy_(input[0]),
}
"""Calls that do not read what was there."""


def with_noise(input):
    doubled = input * 2
    doubled[:, 1:].normal_()
    return doubled


@pytest.mark.parametrize("name", [*RANDOM_IN_PLACE, *OVERWRITING])
def test_calls_in_place_read_what_they_read(name) -> None:
    network = network_of({**RANDOM_IN_PLACE, **OVERWRITING}[name])
    assert_equal_steps(network, bh.MSELoss(), torch.randn(20, 3), torch.randn(20, 2), steps=6)


@pytest.mark.parametrize("name", OVERWRITING)
def test_what_is_overwritten_need_not_be_computed(name) -> None:
    step = bh.TrainingStep(network_of(OVERWRITING[name]), bh.MSELoss(), bh.Replay())
    step.record(torch.randn(5, 3), torch.randn(5, 2))
    assert "sin(" not in str(step)


def doubled(input):
    return torch.cat([input, input * 2 + 1], 1)


def onto(function, **keywords):
    """The call on a value of its own, written over that value."""

    def call(input):
        own = input + 1
        return function(own, input, out=own, **keywords)

    return call


def onto_a_part(input):
    both = doubled(input)
    torch.mul(both[:, :4], both[:, 4:], out=both[:, :4])
    return both[:, :4] + both[:, 4:]


def a_part_in_place(input):
    both = doubled(input)
    both[:, :4].add_(both[:, 4:], alpha=0.5).copy_(both[:, 4:] * both[:, :4])
    both[:, 4:].fill_(both[0, 0])
    return both[:, :4] - both[:, 4:]


def by_name(input):
    own = torch.clone(input=input)
    torch.mul(input=own, other=input, out=own)
    own.add_(other=torch.rsub(input=input, other=1), alpha=2)
    mixed = torch.addmm(own, mat1=input, mat2=torch.sub(torch.ones(4, 4), other=torch.eye(4)))
    return torch.selu_(input=torch.tanh(input=mixed))


SPELLINGS = {
    "mul": onto(torch.mul),
    "mul, second": onto(lambda own, input, out: torch.mul(input, own, out=out)),
    "sub, second": onto(lambda own, input, out: torch.sub(input, own, out=out)),
    "add, scaled": onto(torch.add, alpha=2),
    "lerp": onto(torch.lerp, weight=0.3),
    "addcmul": onto(lambda own, input, out: torch.addcmul(own, own, input, value=0.5, out=out)),
    "where": onto(lambda own, input, out: torch.where(own > 1, own, input, out=out)),
    "clamp": onto(lambda own, _, out: torch.clamp(own, min=0.2, max=1, out=out)),
    "pow": onto(lambda own, _, out: torch.pow(own.abs() + 0.1, 2.5, out=out)),
    "exp": onto(lambda own, _, out: torch.exp(own, out=out)),
    "sinh, which no engine knows": onto(lambda own, _, out: torch.sinh(own, out=out)),
    "softmax": onto(lambda own, _, out: torch.softmax(own, 1, out=out)),
    "cumsum": onto(lambda own, _, out: torch.cumsum(own, 1, out=out)),
    "addmm": onto(lambda own, input, out: torch.addmm(own, input, torch.ones(4, 4), out=out)),
    "max, of two": lambda input: (
        torch.max(input, 1, keepdim=True, out=(torch.empty(0), torch.empty(0, dtype=torch.int64)))[
            0
        ]
        * input
    ),
    "onto something empty": lambda input: torch.mul(input, input, out=torch.empty(0)),
    "onto something transposed": lambda input: torch.mul(
        input, input, out=torch.empty(4, len(input)).t()
    ),
    "onto a part": onto_a_part,
    "a part in place": a_part_in_place,
    "by name": by_name,
    "where, a method": lambda input: input.where(input > 0, input * 2),
    "where, a method by name": lambda input: input.where(condition=input > 0, other=input * 2),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_is_written_may_be_an_operand(name) -> None:
    network = network_of(SPELLINGS[name])
    native = copy.deepcopy(network)
    inputs, targets = torch.randn(20, 3), torch.randn(20, 2)
    assert_equal_steps(network, bh.MSELoss(), inputs, targets, steps=6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Replay runs what is not known
        assert_equal_to_rounding(native, inputs, targets)


def assert_equal_to_rounding(network, inputs, targets) -> bh.TrainingStep:
    """Three steps by Native, and plainly on a twin."""
    twin = copy.deepcopy(network)
    step = bh.TrainingStep(network, bh.MSELoss(), Native())
    for rows in (slice(0, 8), slice(5, 13), slice(9, 17)):
        found = step(inputs[rows], targets[rows], 0.05)
        wanted = plain_step(twin, bh.MSELoss(), inputs[rows], targets[rows], 0.05)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        torch.testing.assert_close(one.value, other.value, rtol=1e-4, atol=1e-5)
    return step


def test_native_leaves_to_torch_what_is_written_over_while_it_is_read() -> None:
    network = network_of(onto(lambda own, _, out: torch.mm(own, torch.ones(4, 4), out=out)))
    step = assert_equal_to_rounding(network, torch.randn(20, 3), torch.randn(20, 2))
    assert isinstance(step.latest.bound, Segmented)
    assert "mm" in str(step).partition("Between the calls, by torch")[2].partition("static")[0]
