"""Spellings of tensor calls in layers, each recorded beside the plain step."""

from __future__ import annotations

import pytest
import torch

import backhand as bh
from program.test_equal_bits import assert_equal_steps


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
