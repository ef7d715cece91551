"""Tokens out of range: refused once, at the door, with the layer named; nothing is learnt."""

from __future__ import annotations

import pytest
import torch

import backhand as bh
from backhand.program import Native

TOKENS = torch.tensor([[0, 3], [2, 1], [4, 4]])
TARGET = torch.tensor([0, 1, 1])


def reader() -> bh.Sequential:
    table = bh.Residual(bh.Sequential([]))
    return bh.Sequential([bh.Sequential([bh.Embedding(5, 3)]), table, bh.Flatten(),
                          bh.FullyConnected(6, 2)])  # fmt: skip


def doors(network: bh.Layer, engine):
    loss = bh.CrossEntropyLoss()
    step = bh.TrainingStep(network, loss, engine)
    order = torch.arange(3)
    return {
        "fit": lambda tokens: bh.fit(network, loss, (tokens, TARGET), epochs=1, engine=engine),
        "step": lambda tokens: step(tokens, TARGET, 0.1),
        "run": lambda tokens: step.run(tokens, TARGET, order, [0.1], 3),
        "prediction": bh.Prediction(network, engine),
        "prediction run": lambda tokens: bh.Prediction(network, engine).run(tokens),
    }


@pytest.mark.parametrize("engine", [bh.Replay(), Native()], ids=repr)
@pytest.mark.parametrize("door", ["fit", "step", "run", "prediction", "prediction run"])
@pytest.mark.parametrize("wrong", [-1, 5, 1 << 40])
def test_every_door_names_the_layer_and_the_token(engine, door, wrong) -> None:
    network = reader()
    call = doors(network, engine)[door]
    call(TOKENS)  # recorded with tokens that are right
    before = {path: each.value.clone() for path, each in network.parameters().items()}
    tokens = TOKENS.clone()
    tokens[1, 1] = wrong
    with pytest.raises(bh.LayerError) as caught:
        call(tokens)
    expected = f"0.0: Embedding(5, 3) expected tokens from 0 to 4, got {wrong}"
    assert expected in str(caught.value)
    for path, parameter in network.parameters().items():
        assert torch.equal(parameter.value, before[path])


@pytest.mark.parametrize("engine", [bh.Replay(), Native()], ids=repr)
def test_a_token_that_only_a_layer_inside_sees_stops_the_step_before_it_learns(engine) -> None:
    class Shifted(bh.Layer):
        """Tokens one further on, which the network's door cannot know."""

        def forward(self, input, training):
            return input + 1, None

        def propagate(self, error, memory, learning_rate):
            return None

    network = bh.Sequential([Shifted(), *reader().layers])
    step = bh.TrainingStep(network, bh.CrossEntropyLoss(), engine)
    step(TOKENS - 1, TARGET, 0.1)
    before = {path: each.value.clone() for path, each in network.parameters().items()}
    with pytest.raises(IndexError):
        step(TOKENS, TARGET, 0.1)
    for path, parameter in network.parameters().items():
        assert torch.equal(parameter.value, before[path])
