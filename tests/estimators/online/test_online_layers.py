"""The layers that the online estimators bring: their mathematics, and the law of the house."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backhand as bh
from backhand.layers.open_classes import OpenClasses
from backhand.layers.standardized import Standardized
from backhand.losses.itself import Itself
from backhand.networks.reconstruction import LARGEST, Reconstruction
from backhand.program import Native


def data() -> torch.Tensor:
    torch.manual_seed(1)
    input = torch.randn(60, 4, dtype=torch.float64) * 3 + 1e6
    input[torch.rand(60, 4) < 0.3] = torch.nan
    input[:, 3] = 0.1
    return input


@pytest.mark.parametrize("batch", [1, 7, 60])
def test_statistics_are_those_of_all_values(batch) -> None:
    layer, input = Standardized(4), data()
    for rows in input.split(batch):
        layer(rows)
        layer.backward(torch.zeros(len(rows), 4), 0.1)
    values = input.numpy()
    np.testing.assert_array_equal(layer.count.value, (~np.isnan(values)).sum(0))
    np.testing.assert_allclose(layer.mean.value, np.nanmean(values, 0), rtol=1e-14)
    deviation = (layer.squares.value / layer.count.value).sqrt()
    np.testing.assert_allclose(deviation, np.nanstd(values, 0), rtol=1e-8, atol=1e-9)


def test_rows_are_standardized_by_what_includes_them() -> None:
    layer, input = Standardized(4), data()
    layer(input)
    layer.backward(torch.zeros(60, 4), 0.1)
    row = torch.tensor([[1e6 + 7, torch.nan, 1e6 - 2, 5.0]], dtype=torch.float64)
    seen = np.vstack([input.numpy(), row.numpy()])
    expected = (row.numpy() - np.nanmean(seen, 0)) / np.nanstd(seen, 0)
    expected[0, 1] = 0
    np.testing.assert_allclose(layer.predict(row), expected, rtol=1e-5, atol=1e-6)


def test_what_never_varied_and_what_was_never_there_are_zero() -> None:
    layer = Standardized(2)
    row = torch.tensor([[0.1, torch.nan]], dtype=torch.float64)
    for _ in range(5):
        assert layer(row).tolist() == [[0, 0]]
        layer.backward(torch.zeros(1, 2), 0.1)
    assert layer.count.value.tolist() == [5, 0]


def test_forward_changes_no_statistic() -> None:
    layer, input = Standardized(4), data()
    before = layer.mean.value.clone()
    layer(input)
    layer.predict(input)
    assert torch.equal(layer.mean.value, before)
    assert not layer.count.value.any()


def test_other_widths_and_dtypes_are_refused() -> None:
    with pytest.raises(bh.LayerError, match=r"expected input \(batch, 4\), got \(1, 3\)"):
        Standardized(4).predict(torch.zeros(1, 3, dtype=torch.float64))


def reconstruction() -> Reconstruction:
    torch.manual_seed(2)
    coder = bh.Sequential([bh.FullyConnected(4, 3), bh.Tanh(), bh.FullyConnected(3, 4)])
    return Reconstruction(Standardized(4), coder)


def test_reconstruction_agrees_with_autograd() -> None:
    network, input = reconstruction(), data()[:9]
    parameters = network.parameters()
    z = network.standardized.predict(input).clamp(-LARGEST, LARGEST)
    present = ~input.isnan()
    weight, bias, weight2, bias2 = (
        parameters[f"coder.{name}"].value.clone().requires_grad_()
        for name in ("0.weight", "0.bias", "2.weight", "2.bias")
    )
    guess = torch.tanh(z @ weight.t() + bias) @ weight2.t() + bias2
    distance = ((guess - z).square() * present).sum(1) / present.sum(1)
    distance.mean().backward()
    found = bh.gradients(network, Itself(), input, torch.zeros(9, 1))
    torch.testing.assert_close(network(input)[:, 0], distance.detach())
    for name, tensor in zip(found, (weight, bias, weight2, bias2), strict=True):
        torch.testing.assert_close(found[name], tensor.grad, rtol=1e-4, atol=1e-6)


def test_the_score_sees_beyond_the_clip_and_not_the_missing() -> None:
    network, input = reconstruction(), data()
    network(input)
    network.backward(torch.ones(60, 1), 0.0)
    far, farther = (
        network.predict(torch.tensor([[1e6 + d, 1e6, torch.nan, 0.1]], dtype=torch.float64))
        for d in (1e2, 1e5)
    )
    assert farther > far > 0
    missing = torch.full((1, 4), torch.nan, dtype=torch.float64)
    assert network.predict(missing).item() == 0


@pytest.mark.parametrize("engine", [bh.Replay(), Native()], ids=repr)
def test_recorded_steps_are_the_plain_steps(engine) -> None:
    one, other = reconstruction(), reconstruction()
    step = bh.TrainingStep(one, Itself(), engine)
    for row in data().split(1):
        loss = step(row, torch.zeros(1, 1), 0.1)
        prediction = other(row)
        assert float(loss) == pytest.approx(prediction.item(), rel=1e-5, abs=1e-7)
        other.backward(Itself().backward(prediction, torch.zeros(1, 1)), 0.1)
    for name in ("count", "mean", "squares"):
        mine, plain = (getattr(each.standardized, name).value for each in (one, other))
        torch.testing.assert_close(mine, plain, rtol=1e-9, atol=0)
    for name, parameter in other.parameters().items():
        torch.testing.assert_close(
            one.parameters()[name].value, parameter.value, rtol=1e-4, atol=1e-6
        )


def test_a_shut_class_has_no_probability_and_no_error() -> None:
    layer = OpenClasses(4)
    layer.open(2)
    logits = layer.predict(torch.randn(3, 4))
    assert torch.softmax(logits, 1)[:, 2:].eq(0).all()
    error = bh.CrossEntropyLoss().backward(logits, torch.tensor([0, 1, 0]))
    assert error[:, 2:].eq(0).all()
    assert error[:, :2].ne(0).all()
