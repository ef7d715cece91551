"""Losses: the value and the error, against PyTorch's own and against finite differences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

import backhand as bh
from oracle import close, finite_differences, leaf

ORACLES = {
    "MSELoss": (bh.MSELoss(), functional.mse_loss, torch.randn),
    "BinaryCrossEntropyLoss": (
        bh.BinaryCrossEntropyLoss(),
        functional.binary_cross_entropy_with_logits,
        torch.rand,
    ),
    "CrossEntropyLoss": (
        bh.CrossEntropyLoss(),
        functional.cross_entropy,
        lambda rows, classes, dtype: torch.randint(0, classes, (rows,)),
    ),
}
every_loss = pytest.mark.parametrize("name", ORACLES)


@every_loss
@given(rows=st.integers(1, 6), outputs=st.integers(1, 5), scale=st.sampled_from([1.0, 30.0, 1e4]))
def test_agrees_with_autograd(name, rows, outputs, scale) -> None:
    loss, oracle, targets = ORACLES[name]
    prediction = torch.randn(rows, outputs, dtype=torch.float64) * scale
    target = targets(rows, outputs, dtype=torch.float64)
    given_leaf = leaf(prediction)
    value = oracle(given_leaf, target)
    value.backward()
    before = prediction.clone()
    assert close(loss(prediction, target), value.detach())
    assert torch.equal(loss(prediction, target), loss.forward(prediction, target))
    assert close(loss.backward(prediction, target), given_leaf.grad)
    assert torch.equal(prediction, before)


@every_loss
def test_agrees_with_finite_differences(name) -> None:
    loss, _, targets = ORACLES[name]
    prediction = torch.randn(3, 4, dtype=torch.float64)
    target = targets(3, 4, dtype=torch.float64)
    slopes = finite_differences(lambda: loss(prediction, target), prediction)
    assert close(loss.backward(prediction, target), slopes, 1e-6)


def test_cross_entropy_takes_any_leading_axes() -> None:
    prediction, target = torch.randn(2, 3, 5), torch.randint(0, 5, (2, 3))
    flat = bh.CrossEntropyLoss().backward(prediction.view(6, 5), target.view(6))
    assert close(bh.CrossEntropyLoss().backward(prediction, target), flat.view(2, 3, 5), 1e-6)


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "kind", "says"),
    [
        (bh.MSELoss(), (4, 1), torch.zeros(4), ValueError, r"shape \(4, 1\), got \(4,\)"),
        (bh.MSELoss(), (4, 1), torch.zeros(4, 1).double(), TypeError, "got torch.float64"),
        (bh.MSELoss(), (0, 1), torch.zeros(0, 1), ValueError, "empty batch"),
        (bh.BinaryCrossEntropyLoss(), (4, 2), torch.zeros(4, 1), ValueError, "got"),
        (bh.CrossEntropyLoss(), (4, 3), torch.zeros(4, 3).long(), ValueError, r"shape \(4,\)"),
        (bh.CrossEntropyLoss(), (4, 3), torch.zeros(4).int(), TypeError, "int64"),
        (bh.CrossEntropyLoss(), (0, 3), torch.zeros(0).long(), ValueError, "empty batch"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(loss, prediction, target, kind, says) -> None:
    for method in (loss.forward, loss.backward):
        with pytest.raises(kind, match=says):
            method(torch.zeros(prediction), target)


@pytest.mark.parametrize(
    ("loss", "target", "says"),
    [
        (bh.CrossEntropyLoss(), torch.tensor([0, 3]), "from 0 to 2, got 3"),
        (bh.CrossEntropyLoss(), torch.tensor([0, -1]), "got -1"),
        (bh.BinaryCrossEntropyLoss(), torch.tensor([[0.5], [1.5]]), "got 1.5"),
    ],
)
def test_values_out_of_range_are_refused_at_the_door(loss, target, says) -> None:
    with pytest.raises(ValueError, match=says):
        loss.check_values(target, 3)
