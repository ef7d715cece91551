"""The page a teacher shows first runs, learns, and its derivatives are right."""

from __future__ import annotations

import runpy
from pathlib import Path

import torch

from oracle import close, finite_differences

FILE = Path(__file__).parent.parent / "docs" / "whole_idea.py"


def test_it_learns_the_disc() -> None:
    assert runpy.run_path(str(FILE))["main"]() > 0.96


def test_its_derivatives_agree_with_finite_differences() -> None:
    idea = runpy.run_path(str(FILE))
    layers = [idea["FullyConnected"](3, 4), idea["Tanh"](), idea["FullyConnected"](4, 2)]
    for layer in layers[::2]:
        layer.weight, layer.bias = layer.weight.double(), layer.bias.double()
    network, loss = idea["Sequential"](layers), idea["MeanSquaredError"]()
    input, target = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    weight = layers[0].weight
    slopes = finite_differences(lambda: loss.forward(network(input), target), weight)
    by_input = finite_differences(lambda: loss.forward(network(input), target), input)
    before = weight.clone()
    input_error = network.backward(loss.backward(network(input), target), 0.1)
    assert close(input_error, by_input, 1e-6)
    assert close((before - weight) / 0.1, slopes, 1e-6)
