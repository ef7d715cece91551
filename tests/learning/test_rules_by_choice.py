"""A rule for some parameters and another for the rest, chosen by what they are."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn, optim

import backhand as bh


def network() -> bh.Sequential:
    return bh.Sequential([bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)])


def is_matrix(parameter: bh.Parameter) -> bool:
    return parameter.value.dim() > 1


def test_weights_decay_and_biases_do_not_as_in_torch_optims_groups() -> None:
    ours = network().to(torch.float64)
    ours.learn_with(bh.AdamW(weight_decay=0.0))
    ours.learn_with(bh.AdamW(weight_decay=0.3), where=is_matrix)
    theirs = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    pairs = list(zip(ours.parameters().values(), theirs.parameters(), strict=True))
    for parameter, twin in pairs:
        twin.data.copy_(parameter.value.add_(torch.randn_like(parameter.value)))
    groups = [
        {"params": [twin for _, twin in pairs if twin.dim() > 1], "weight_decay": 0.3},
        {"params": [twin for _, twin in pairs if twin.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = optim.AdamW(groups, lr=0.01)
    recorded = copy.deepcopy(ours)
    step = bh.TrainingStep(recorded, bh.MSELoss(), bh.Replay())
    for _ in range(100):
        input, target = (torch.randn(5, width, dtype=torch.float64) for width in (3, 2))
        optimizer.zero_grad()
        nn.functional.mse_loss(theirs(input), target).backward()
        optimizer.step()
        ours.backward(bh.MSELoss().backward(ours(input), target), 0.01)
        step(input, target, 0.01)
    for (parameter, twin), other in zip(pairs, recorded.parameters().values(), strict=True):
        torch.testing.assert_close(parameter.value, twin.detach(), rtol=1e-9, atol=1e-9)
        assert torch.equal(other.value, parameter.value)


def test_what_is_not_chosen_keeps_its_rule_and_its_state() -> None:
    made = network().learn_with(bh.Momentum())
    made.backward(torch.ones_like(made(torch.randn(5, 3))), 0.1)
    first = made.layers[0]
    kept = first.bias.state["velocity"].clone()
    made.learn_with(bh.Adam(), where=lambda parameter: parameter is first.weight)
    assert first.weight.rule == bh.Adam()
    assert first.weight.updates == 0
    assert first.bias.rule == made.layers[2].weight.rule == bh.Momentum()
    assert torch.equal(first.bias.state["velocity"], kept)
    assert first.bias.updates == 1


def test_a_choice_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="where chose none of 4 parameters"):
        network().learn_with(bh.Adam(), where=lambda parameter: parameter.value.dim() > 2)
    assert bh.Tanh().learn_with(bh.Adam()).parameters() == {}
