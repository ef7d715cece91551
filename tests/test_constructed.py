"""Layers and losses print as the calls that make them."""

from __future__ import annotations

import torch

import backhand as bh


def test_a_default_is_not_written() -> None:
    assert repr(bh.FullyConnected(3, 2)) == "FullyConnected(3, 2)"
    assert repr(bh.FullyConnected(3, 2, bias=False)) == "FullyConnected(3, 2, bias=False)"
    assert repr(bh.MSELoss(reduction="sum")) == "MSELoss(reduction='sum')"


def test_weights_of_a_loss_are_written_as_numbers() -> None:
    loss = bh.CrossEntropyLoss(weight=torch.tensor([1.0, 2.5]))
    assert repr(loss) == "CrossEntropyLoss(weight=[1.0, 2.5])"


def test_a_layer_that_stands_in_many_places_is_written_once() -> None:
    network: bh.Layer = bh.FullyConnected(3, 3)
    for _ in range(40):
        network = bh.Sequential([network, network])
    text = repr(network)
    assert len(text) < 10_000
    assert text.count("FullyConnected(3, 3)") == 4
    assert text.count("Sequential(as before)") == 38
    assert text == repr(network)


def test_what_is_short_is_written_wherever_it_stands() -> None:
    tanh = bh.Tanh()
    assert repr(bh.Sequential([tanh, tanh])) == "Sequential([Tanh(), Tanh()])"
