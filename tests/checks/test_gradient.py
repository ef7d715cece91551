"""The gradient checker passes what is right and names what is wrong."""

from __future__ import annotations

import pytest
import torch

import backhand as bh
from backhand import GradientMismatch, gradient_check
from cases import LAYERS
from cases.case import everything, same, snapshot


@pytest.mark.parametrize("case", [case for case in LAYERS if case.derivative], ids=str)
def test_passes_every_layer(case) -> None:
    layer = case.made(torch.float32)
    before = snapshot(layer)
    input = case.given(4, torch.float32)
    generator = torch.random.get_rng_state()
    found = gradient_check(layer, input)
    assert found.compared >= 12
    assert torch.equal(generator, torch.random.get_rng_state())
    assert same(tuple(before.values()), tuple(everything(layer).values()))


def test_passes_losses_and_networks_with_losses() -> None:
    target = torch.randint(0, 3, (4,))
    assert gradient_check(bh.CrossEntropyLoss(), torch.randn(4, 3), target).compared == 12
    network = bh.Sequential([bh.FullyConnected(2, 3), bh.Dropout(0.5)])
    found = gradient_check(network, torch.randn(4, 2), target, loss=bh.CrossEntropyLoss())
    assert str(found).startswith("17 derivatives agree; worst ")
    with pytest.raises(ValueError, match="needs a target"):
        gradient_check(network, torch.randn(4, 2), loss=bh.MSELoss())


class OneWrong(bh.FullyConnected):
    """A fully connected layer with a mistake in the gradient of one weight."""

    def propagate(self, error, input, learning_rate):
        mistake = torch.zeros_like(self.weight.value)
        mistake[1, 2] = 0.01
        self.weight.learn(error.t() @ input + mistake, learning_rate)
        self.bias.learn_sum(error, learning_rate)
        return error @ self.weight.value


class WrongInputError(bh.Tanh):
    def propagate(self, error, output, learning_rate):
        return error * (1 - output)


class Writes(bh.Tanh):
    def propagate(self, error, output, learning_rate):
        return error.mul_(1 - output * output)


def test_names_the_worst_element_its_layer_and_both_numbers() -> None:
    network = bh.Sequential([bh.FullyConnected(2, 3), OneWrong(3, 2)])
    with pytest.raises(GradientMismatch) as caught:
        gradient_check(network, torch.randn(4, 2))
    message = str(caught.value)
    assert message.startswith("1.weight of OneWrong(3, 2)[1, 2]: backward says ")
    says = float(message.split("backward says ")[1].split(",")[0])
    numeric = float(message.split("finite differences ")[1].split(" ")[0])
    assert says - numeric == pytest.approx(0.01, abs=1e-4)


def test_finds_a_wrong_input_error_and_a_written_argument() -> None:
    with pytest.raises(GradientMismatch, match=r"^input\["):
        gradient_check(WrongInputError(), torch.randn(3, 2))
    with pytest.raises(GradientMismatch, match="propagate changed one of its arguments"):
        gradient_check(Writes(), torch.randn(3, 2))


def test_samples_large_tensors() -> None:
    assert gradient_check(bh.FullyConnected(30, 30), torch.randn(2, 30), samples=10).compared == 30
