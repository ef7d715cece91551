"""Programs on tensors that stay where they are, and predictions for whole data sets."""

from __future__ import annotations

import pytest
import torch

import backhand as bh
from backhand.program import Native

ENGINES = [bh.Replay(), Native()]
engines = pytest.mark.parametrize("engine", ENGINES, ids=repr)


def network(dtype: torch.dtype = torch.float64) -> bh.Sequential:
    torch.manual_seed(3)
    layers = [bh.FullyConnected(3, 5), bh.Tanh(), bh.Dropout(0.0), bh.FullyConnected(5, 2)]
    return bh.Sequential(layers).to(dtype)


def batch(rows: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, 3).double(), torch.randn(rows, 2).double()


@engines
@pytest.mark.parametrize("rule", [bh.SGD(), bh.Adam()], ids=repr)
def test_steps_in_place_are_the_plain_steps(engine, rule) -> None:
    one, other = network().learn_with(rule), network().learn_with(rule)
    step = bh.TrainingStep(one, bh.MSELoss(), engine).in_place(*batch())
    for _ in range(20):
        input, target = batch()
        step.input.numpy()[:] = input.numpy()
        step.target.copy_(target)
        loss = step(0.1)
        prediction = other(input)
        assert loss.item() == pytest.approx(float(bh.MSELoss()(prediction, target)), rel=1e-12)
        other.backward(bh.MSELoss().backward(prediction, target), 0.1)
    for path, parameter in other.parameters().items():
        torch.testing.assert_close(
            one.parameters()[path].value, parameter.value, rtol=1e-10, atol=0
        )
        assert one.parameters()[path].updates == parameter.updates == 20


@engines
def test_predictions_in_place_follow_the_weights(engine) -> None:
    made = network()
    predict = bh.Prediction(made, engine).in_place(torch.zeros(1, 3).double())
    for change in (
        lambda: None,
        lambda: made.layers[0].weight.value.mul_(2),
        lambda: replace(made),
    ):
        change()
        predict.input.copy_(torch.randn(1, 3))
        torch.testing.assert_close(predict(), made.predict(predict.input), rtol=1e-12, atol=1e-15)
        assert predict.output is predict()


def replace(made: bh.Sequential) -> None:
    made.layers[0] = bh.FullyConnected(3, 5).to(torch.float64)


@engines
def test_a_layer_frozen_meanwhile_learns_no_more(engine) -> None:
    made = network()
    step = bh.TrainingStep(made, bh.MSELoss(), engine).in_place(*batch())
    step(0.1)
    made.layers[0].freeze()
    before = made.layers[0].weight.value.clone()
    step(0.1)
    assert torch.equal(made.layers[0].weight.value, before)


@engines
def test_two_in_place_do_not_share_buffers(engine) -> None:
    prediction = bh.Prediction(network(), engine)
    one, other = (prediction.in_place(torch.zeros(1, 3).double()) for _ in range(2))
    one.input.fill_(1)
    other.input.fill_(-1)
    first, second = one().clone(), other().clone()
    assert torch.equal(one(), first)
    assert not torch.equal(first, second)


def test_accumulating_gates_are_refused() -> None:
    made = network().gate_with(bh.Accumulation(every=2))
    with pytest.raises(ValueError, match="in_place: a gate accumulates"):
        bh.TrainingStep(made, bh.MSELoss()).in_place(*batch())


def test_a_bad_rate_is_refused_in_place() -> None:
    step = bh.TrainingStep(network(), bh.MSELoss()).in_place(*batch())
    with pytest.raises(ValueError, match="learning rate: expected a finite number"):
        step(float("nan"))


@engines
@pytest.mark.parametrize(("rows", "batch_size"), [(1, 256), (7, 3), (256, 256), (600, 256)])
def test_a_whole_data_set_is_predicted(engine, rows, batch_size) -> None:
    made, inputs = network(), torch.randn(rows, 3).double()
    found = bh.Prediction(made, engine).run(inputs, batch_size)
    torch.testing.assert_close(found, made.predict(inputs), rtol=1e-12, atol=1e-15)


def test_one_program_serves_data_sets_of_any_size() -> None:
    prediction = bh.Prediction(network(), Native())
    for rows in (64, 65, 100, 1000):
        prediction.run(torch.randn(rows, 3).double(), 64)
    assert len(prediction._programs) == 1


@pytest.mark.parametrize(("rows", "batch_size"), [(0, 8), (4, 0)])
def test_run_refuses_no_rows_and_no_batch_size(rows, batch_size) -> None:
    with pytest.raises(ValueError, match="run: expected rows and a batch size"):
        bh.Prediction(network()).run(torch.zeros(rows, 3).double(), batch_size)
