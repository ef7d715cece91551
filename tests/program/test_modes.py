"""Inference mode, of the caller's or a thread's, changes nothing about what is learnt."""

from __future__ import annotations

import copy

import pytest
import torch

import backhand as bh
from backhand.program import Inductor, Native, NotRecordable, Replay

ENGINES = [Replay(), Native()]
engines = pytest.mark.parametrize("engine", ENGINES, ids=repr)
with_inductor = pytest.mark.parametrize(
    "engine", [*ENGINES, pytest.param(Inductor(), marks=pytest.mark.soak)], ids=repr
)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
BATCH = (torch.randn(6, 3), torch.randn(6, 2))
BOUNDS = {Replay: {"rtol": 0, "atol": 0}, Native: {"rtol": 1e-5, "atol": 1e-6}}
BOUNDS[Inductor] = BOUNDS[Native]


def network() -> bh.Sequential:
    torch.manual_seed(2)
    layers = [bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)]
    return bh.Sequential(layers).learn_with(bh.Adam())


def plain_steps(network, count: int) -> list[torch.Tensor]:
    losses = []
    for _ in range(count):
        prediction = network(BATCH[0])
        losses.append(bh.MSELoss()(prediction, BATCH[1]))
        network.backward(bh.MSELoss().backward(prediction, BATCH[1]), 0.1)
    return losses


def assert_same(one: bh.Layer, other: bh.Layer, **bounds) -> None:
    for path, parameter in other.parameters().items():
        found = one.parameters()[path]
        assert found.updates == parameter.updates
        for name, tensor in parameter.tensors().items():
            torch.testing.assert_close(found.tensors()[name], tensor, **bounds)


@with_inductor
@pytest.mark.parametrize("made_inside", [False, True], ids=["network outside", "network inside"])
def test_a_step_recorded_in_inference_mode_learns(engine, made_inside) -> None:
    twin = network()
    expected = plain_steps(twin, 10)
    made = network()
    with torch.inference_mode():
        if made_inside:
            made = network().to(torch.float64).to(torch.float32)
        step = bh.TrainingStep(made, bh.MSELoss(), engine)
        batch = [each.clone() for each in BATCH]
        losses = [step(*batch, 0.1) for _ in range(5)]
    losses += [step(*batch, 0.1) for _ in range(5)]
    torch.testing.assert_close(torch.stack(losses), torch.stack(expected), **BOUNDS[type(engine)])
    assert_same(made, twin, **BOUNDS[type(engine)])
    assert isinstance(step.engine, type(engine))
    for parameter in made.parameters().values():
        assert not any(each.is_inference() for each in parameter.tensors().values())


@with_inductor
def test_a_step_recorded_outside_learns_in_inference_mode_too(engine) -> None:
    twin, made = network(), network()
    expected = plain_steps(twin, 9)
    step = bh.TrainingStep(made, bh.MSELoss(), engine)
    losses = [step(*BATCH, 0.1) for _ in range(3)]
    with torch.inference_mode():
        losses += [step(*BATCH, 0.1) for _ in range(3)]
    losses += [step(*BATCH, 0.1) for _ in range(3)]
    torch.testing.assert_close(torch.stack(losses), torch.stack(expected), **BOUNDS[type(engine)])
    assert_same(made, twin, **BOUNDS[type(engine)])
    assert isinstance(step.engine, type(engine))


@pytest.mark.parametrize("made_inside", [False, True], ids=["network outside", "network inside"])
def test_plain_steps_in_inference_mode_learn(made_inside) -> None:
    twin, made = network(), network()
    plain_steps(twin, 10)
    with torch.inference_mode():
        if made_inside:
            made = network()
        plain_steps(made, 5)
    plain_steps(made, 5)
    assert_same(made, twin, rtol=0, atol=0)


@engines
@pytest.mark.parametrize("gate", [bh.Gate(0.1), bh.Accumulation(2)], ids=["Gate", "Accumulation"])
def test_gates_set_in_inference_mode_work_outside(engine, gate) -> None:
    twin = network().gate_with(copy.deepcopy(gate))
    with torch.inference_mode():
        made = network().gate_with(gate)
        step = bh.TrainingStep(made, bh.MSELoss(), engine)
        step(*BATCH, 0.1)
    step(*BATCH, 0.1)
    plain_steps(twin, 2)
    assert_same(made, twin, **BOUNDS[type(engine)])


@engines
@pytest.mark.parametrize("record", [True, False], ids=["recorded", "plain"])
def test_fit_in_inference_mode_is_fit(engine, record) -> None:
    settings = {"epochs": 3, "batch_size": 4, "engine": engine, "record": record}
    twin, made = network(), network()
    expected = bh.fit(twin, bh.MSELoss(), BATCH, validation=0.34, **settings)
    with torch.inference_mode():
        found = bh.fit(made, bh.MSELoss(), BATCH, validation=0.34, **settings)
    assert [each.loss for each in found.epochs] == [each.loss for each in expected.epochs]
    assert len({each.loss for each in found.epochs}) == 3
    assert_same(made, twin, rtol=0, atol=0)


@engines
def test_predictions_in_inference_mode_follow_the_weights(engine) -> None:
    made = network()
    with torch.inference_mode():
        predict = bh.Prediction(made, engine)
        placed = predict.in_place(BATCH[0])
        predict(BATCH[0])
        made.layers[0].weight.value.mul_(2)
        torch.testing.assert_close(predict(BATCH[0]), made.predict(BATCH[0]))
    placed.input.mul_(1.0)
    torch.testing.assert_close(placed(), made.predict(BATCH[0]))


class WritesInside(bh.Layer):
    """Changes what it made in inference mode, of which no count is kept."""

    def forward(self, input, training):
        with torch.inference_mode():
            output = input * 2
            output.add_(1)
        return output, None

    def propagate(self, error, memory, learning_rate):
        return error * 2


def test_writes_that_keep_no_count_are_refused() -> None:
    made = bh.Sequential([bh.FullyConnected(3, 2), WritesInside()])
    with pytest.raises(NotRecordable, match=r"add_ in .*1: WritesInside.*inference tensor"):
        bh.TrainingStep(made, bh.MSELoss(), Replay()).record(*BATCH)


@engines
def test_results_are_ordinary_tensors(engine) -> None:
    made = network()
    predict, step = bh.Prediction(made, engine), bh.TrainingStep(made, bh.MSELoss(), engine)
    order = torch.arange(6)
    results = [
        predict(BATCH[0]),
        predict.run(BATCH[0], 4),
        predict.in_place(BATCH[0])(),
        step(*BATCH, 0.1),
        step.run(*BATCH, order, [0.1] * 3),
        step.in_place(*BATCH)(0.1),
        *bh.Prediction(bh.Sequential([Twice()]), engine)(BATCH[0]),
    ]
    for result in results:
        kept = result.clone()
        assert not result.is_inference()
        assert not result.requires_grad
        assert torch.equal(result.mul_(2), kept * 2)
    first, second = predict(BATCH[0]), predict(BATCH[0])
    assert first.data_ptr() != second.data_ptr()


class Twice(bh.Layer):
    """Two outputs, one of them the input itself."""

    def forward(self, input, training):
        return (input, input * 2), None
