"""A recorded step gives the same bits as the plain one: weights, rule states, step numbers."""

from __future__ import annotations

import copy

import pytest
import torch

import backhand as bh
from backhand.data import disc
from backhand.losses import Weighted
from backhand.values import rows_of
from cases import (
    every_kind_of_loss,
    every_kind_of_rule,
    every_layer,
    every_loss_of_towers,
    every_weighted_loss,
)
from cases.case import Towers, differences, misaligned, randn_like, same

ROWS = 64
GATES = {
    "none": lambda: None,
    "clip": lambda: bh.Gate(max_norm=0.05),
    "accumulate": lambda: bh.Accumulation(every=3),
    "accumulate and clip": lambda: bh.Accumulation(every=2, max_norm=0.05),
}


def plain_step(network, loss, input, target, rate):
    prediction = network(input)
    value = loss(prediction, target)
    network.backward(loss.backward(prediction, target), rate)
    return value


def assert_equal_steps(network, loss, inputs, targets, steps=100, sizes=(8, 5)) -> bh.TrainingStep:
    """Steps of different batches, rates and masks on the network, and plainly on its twin."""
    twin = copy.deepcopy(network)
    step = bh.TrainingStep(network, loss, bh.Replay())
    for i in range(steps):
        rows = slice(i % 7, i % 7 + sizes[i % len(sizes)])
        rate = 0.05 + 0.01 * (i % 9)
        torch.manual_seed(i)
        input, target = rows_of(inputs, rows), rows_of(targets, rows)
        value = step(input, target, rate)
        torch.manual_seed(i)
        assert torch.equal(value, plain_step(twin, loss, input, target, rate))
    assert differences(network, twin) == []
    prediction = bh.Prediction(network, bh.Replay())
    for size in sizes:
        input = rows_of(inputs, slice(size))
        assert same(prediction(input), twin.predict(input))
    return step


@every_layer
def test_every_layer(case) -> None:
    network = case.in_network(torch.float32)
    inputs = misaligned(case.given(ROWS, torch.float32))
    targets = randn_like(network.predict(inputs))
    assert_equal_steps(network, bh.MSELoss(), inputs, targets)


def small_network() -> bh.Sequential:
    return bh.Sequential(
        [
            bh.FullyConnected(3, 7),
            bh.Dropout(0.2),
            bh.Tanh(),
            bh.Residual(bh.FullyConnected(7, 7)),
            bh.FullyConnected(7, 2),
        ]
    )


@pytest.mark.parametrize("gate", GATES)
@every_kind_of_rule
def test_every_rule_and_gate(rule, gate) -> None:
    network = small_network().learn_with(rule.rule()).gate_with(GATES[gate]())
    inputs = misaligned(torch.randn(ROWS, 3))
    assert_equal_steps(network, bh.MSELoss(), inputs, torch.randn(ROWS, 2), steps=30)


@every_kind_of_loss
def test_every_loss(case) -> None:
    target, inputs = case.target(ROWS, 2, torch.float32), misaligned(torch.randn(ROWS, 3))
    assert_equal_steps(small_network(), case.loss(), inputs, target)


@every_loss_of_towers
def test_every_loss_of_towers(case) -> None:
    target, inputs = case.target(ROWS, 2, torch.float32), misaligned(torch.randn(ROWS, 3))
    network = bh.Sequential([bh.FullyConnected(3, 2 * case.towers), Towers(case.towers)])
    assert_equal_steps(network, case.loss(), inputs, target)


@every_weighted_loss
def test_every_loss_weighted(case) -> None:
    target, inputs = case.target(ROWS, 2, torch.float32), misaligned(torch.randn(ROWS, 3))
    weighted = Weighted(case.loss())
    assert_equal_steps(small_network(), weighted, inputs, (target, torch.rand(ROWS)), steps=30)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions_and_leading_axes(dtype) -> None:
    network = small_network().to(dtype).learn_with(bh.Adam())
    inputs, targets = torch.randn(ROWS, 4, 3, dtype=dtype), torch.randn(ROWS, 4, 2, dtype=dtype)
    assert_equal_steps(network, bh.MSELoss(), inputs, targets, steps=30)


def test_inputs_that_are_not_contiguous() -> None:
    inputs = torch.randn(3, ROWS).t()
    assert_equal_steps(small_network(), bh.MSELoss(), inputs, torch.randn(ROWS, 2), steps=20)


class Turned(bh.Layer):
    """The same values, laid out column by column."""

    def __init__(self) -> None:
        self.shift = bh.Parameter(torch.zeros(33))

    def forward(self, input, training):
        return input.t().contiguous().t(), None

    def propagate(self, error, memory, learning_rate):
        self.shift.learn(error.sum(0), learning_rate)
        return error * self.shift.value + torch.softmax(error, 0)


class SlicedLoss(bh.Loss):
    """Σ prediction · target, whose error is a part of something wider."""

    def forward(self, prediction, target):
        return (prediction * target).sum()

    def backward(self, prediction, target):
        return torch.cat([prediction, target], 1)[:, prediction.shape[1] :]


@pytest.mark.parametrize("loss", [bh.MSELoss(), SlicedLoss()], ids=["MSELoss", "SlicedLoss"])
def test_outputs_and_errors_that_are_not_contiguous(loss) -> None:
    network = bh.Sequential([bh.FullyConnected(5, 33), bh.Tanh(), Turned()])
    assert_equal_steps(network, loss, torch.randn(80, 5), torch.randn(80, 33), 30, (37, 64))


class TwoInputs(bh.Layer):
    def __init__(self) -> None:
        self.one = bh.FullyConnected(3, 2)
        self.other = bh.FullyConnected(4, 2)

    def forward(self, input, training):
        one, first = self.one.forward(input[0], training)
        other, second = self.other.forward(input[1], training)
        return one * other, (one, other, first, second)

    def propagate(self, error, memory, learning_rate):
        one, other, first, second = memory
        return (
            self.one.propagate(error * other, first, learning_rate),
            self.other.propagate(error * one, second, learning_rate),
        )


def test_a_tuple_of_inputs() -> None:
    network = TwoInputs()
    twin = copy.deepcopy(network)
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    for _ in range(10):
        input, target = (torch.randn(5, 3), torch.randn(5, 4)), torch.randn(5, 2)
        value = step(input, target, 0.1)
        assert torch.equal(value, plain_step(twin, bh.MSELoss(), input, target, 0.1))
    assert differences(network, twin) == []


@pytest.mark.parametrize("gate", GATES)
def test_run_is_the_same_as_calls(gate) -> None:
    network = small_network().learn_with(bh.Adam()).gate_with(GATES[gate]())
    twin = copy.deepcopy(network)
    inputs, targets = torch.randn(ROWS, 3), torch.randn(ROWS, 2)
    order = torch.randperm(ROWS)
    rates = [0.1 / (1 + i) for i in range(13)]
    torch.manual_seed(5)
    losses = bh.TrainingStep(network, bh.MSELoss(), bh.Replay()).run(
        inputs, targets, order, rates, 5
    )
    torch.manual_seed(5)
    expected = [
        plain_step(twin, bh.MSELoss(), inputs[rows], targets[rows], rate)
        for rows, rate in zip(order.split(5), rates, strict=True)
    ]
    assert torch.equal(losses, torch.stack(expected))
    assert differences(network, twin) == []


def test_fit_records_and_gives_the_same_bits_as_plain_steps() -> None:
    networks = [small_disc_network(), small_disc_network()]
    histories = [
        bh.fit(
            network,
            bh.MSELoss(),
            disc(203, 0),
            epochs=5,
            learning_rate=1.0,
            record=record,
            engine=bh.Replay(),
        )
        for network, record in zip(networks, (True, False), strict=True)
    ]
    assert differences(*networks) == []
    assert histories[0].column("loss") == histories[1].column("loss")


def small_disc_network() -> bh.Sequential:
    torch.manual_seed(3)
    return bh.Sequential(
        [bh.FullyConnected(2, 9), bh.Tanh(), bh.FullyConnected(9, 1), bh.Sigmoid()]
    )
