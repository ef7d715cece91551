"""Inductor: the flat line through PyTorch's compiler, to rounding the plain step."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

import backhand as bh
from backhand.program import Inductor
from backhand.program.engines import choice

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def network() -> bh.Sequential:
    torch.manual_seed(1)
    block = bh.Sequential([bh.FullyConnected(6, 6), bh.ReLU()])
    return bh.Sequential(
        [bh.FullyConnected(4, 6), bh.Residual(block), bh.Tanh(), bh.FullyConnected(6, 3)]
    ).to(torch.float64)


def agree(made: bh.Sequential, loss: bh.Loss, engine=Inductor()) -> str:
    """Train a copy plainly and compare; the function that ran."""
    plain = copy.deepcopy(made)
    step = bh.TrainingStep(made, loss, engine)
    classes = isinstance(loss, bh.CrossEntropyLoss)
    for turn in range(1, 7):
        input = torch.randn(5, 4).double()
        target = torch.randint(3, (5,)) if classes else torch.rand(5, 3).double()
        value, prediction = step(input, target, 0.3 / turn), plain(input)
        assert float(value) == pytest.approx(float(loss(prediction, target)), rel=1e-10)
        plain.backward(loss.backward(prediction, target), 0.3 / turn)
    assert isinstance(step.engine, Inductor)
    for path, parameter in plain.parameters().items():
        found = made.parameters()[path]
        torch.testing.assert_close(found.value, parameter.value, rtol=1e-9, atol=1e-12)
        for name, state in parameter.state.items():
            torch.testing.assert_close(found.state[name], state, rtol=1e-9, atol=1e-12)
    return str(step)


def test_sgd_and_what_is_printed() -> None:
    text = agree(network(), bh.CrossEntropyLoss())
    assert "0: FullyConnected(4, 6" in text
    assert text.count("def training_step(input, target, ") == 1


def test_adam_with_clipping() -> None:
    agree(network().learn_with(bh.Adam()).gate_with(bh.Gate(max_norm=0.1)), bh.MSELoss())


def test_momentum_and_a_frozen_layer() -> None:
    made = network().learn_with(bh.Momentum(0.9, nesterov=True))
    made.layers[0].freeze()
    agree(made, bh.BinaryCrossEntropyLoss())


def test_no_rate_compiles_again_and_binding_changes_nothing() -> None:
    made = network()
    before = {path: each.value.clone() for path, each in made.parameters().items()}
    versions = {path: each.value._version for path, each in made.parameters().items()}
    input, target = torch.randn(5, 4).double(), torch.rand(5, 3).double()
    randomness = torch.random.get_rng_state()
    step = bh.TrainingStep(made, bh.MSELoss(), Inductor()).record(input, target)
    assert torch.equal(torch.random.get_rng_state(), randomness)
    assert all(torch.equal(made.parameters()[path].value, each) for path, each in before.items())
    # Nor for a while, in which Ctrl-C could come: a compiler takes its time.
    assert versions == {path: each.value._version for path, each in made.parameters().items()}
    counters = torch._dynamo.utils.counters["stats"]
    compiled = counters["unique_graphs"]
    for turn in range(1, 5):
        step(input, target, 0.1 / turn)
    assert counters["unique_graphs"] == compiled


def test_dropout_draws_anew_at_each_step_and_repeats_with_the_seed() -> None:
    made = bh.Sequential([bh.Dropout(0.5), bh.FullyConnected(50, 1)]).to(torch.float64)
    made.freeze()
    step = bh.TrainingStep(made, bh.MSELoss(), Inductor())
    batch = torch.ones(2, 50).double(), torch.zeros(2, 1).double()
    step.record(*batch)
    torch.manual_seed(0)
    first = [float(step(*batch, 0.1)) for _ in range(3)]
    torch.manual_seed(0)
    assert first == [float(step(*batch, 0.1)) for _ in range(3)]
    assert len(set(first)) == 3


def test_many_steps_and_predictions() -> None:
    made = network()
    plain = copy.deepcopy(made)
    data = torch.randn(20, 4).double(), torch.rand(20, 3).double()
    bh.fit(made, bh.MSELoss(), data, epochs=2, batch_size=5, engine=Inductor())
    bh.fit(plain, bh.MSELoss(), data, epochs=2, batch_size=5, record=False)
    torch.testing.assert_close(
        bh.Prediction(made, Inductor())(data[0]), plain.predict(data[0]), rtol=1e-9, atol=1e-12
    )


class DropoutInPlace(bh.Layer):
    def forward(self, input, training):
        return torch.dropout_(torch.sin(input), 0.0, True), torch.cos(input)

    def propagate(self, error, slope, learning_rate):
        return error * slope


def test_what_a_random_call_in_place_reads() -> None:
    made = network()
    made.layers.insert(1, DropoutInPlace())
    agree(made, bh.MSELoss())


def test_a_compiler_that_fails_is_shown_and_replay_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(choice, "_said", set())
    monkeypatch.setattr(torch, "compile", _failing)
    step = bh.TrainingStep(network(), bh.MSELoss(), Inductor())
    with pytest.warns(UserWarning, match=r"Replay runs the steps, not Inductor: .*no such thing"):
        step(torch.randn(5, 4).double(), torch.rand(5, 3).double(), 0.1)
    assert isinstance(step.engine, bh.Replay)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(torch.randn(5, 4).double(), torch.rand(5, 3).double(), 0.1)


def _failing(*_: object, **__: object):
    def call(*_: object) -> None:
        raise RuntimeError("no such thing")

    return call


@pytest.mark.parametrize("rule", [bh.SGD(), bh.Momentum(0.9), bh.Adam()], ids=str)
def test_large_products_are_onednns_and_round_no_worse(rule) -> None:
    torch.manual_seed(3)
    layers = [bh.FullyConnected(96, 128), bh.Tanh(), bh.FullyConnected(128, 128, bias=False)]
    made = bh.Sequential([*layers, bh.FullyConnected(128, 3)]).learn_with(rule)
    plain, exact = copy.deepcopy(made), copy.deepcopy(made).to(torch.float64)
    step = bh.TrainingStep(made, bh.CrossEntropyLoss(), Inductor())
    for _ in range(5):
        input, target = torch.randn(128, 96), torch.randint(3, (128,))
        step(input, target, 0.01)
        for network, batch in ((plain, input), (exact, input.double())):
            network.backward(bh.CrossEntropyLoss().backward(network(batch), target), 0.01)
    assert "product_0(input" in str(step)
    assert "mm(" in str(step)  # the last layer's are too small
    for path, true in exact.parameters().items():
        errors = [
            (network.parameters()[path].value - true.value).abs().max().item()
            for network in (made, plain)
        ]
        assert errors[0] <= 4 * errors[1] + 1e-6
