"""Losses: the value and the error, against PyTorch's own and against finite differences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

import backhand as bh
from backhand.losses import PoissonLoss, Weighted
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
    "CrossEntropyLoss, smoothed": (
        bh.CrossEntropyLoss(label_smoothing=0.1),
        lambda z, t: functional.cross_entropy(z, t, label_smoothing=0.1),
        lambda rows, classes, dtype: torch.randint(0, classes, (rows,)),
    ),
    "PoissonLoss": (
        PoissonLoss(),
        lambda z, t: (
            functional.poisson_nll_loss(z, t, reduction="none") + torch.xlogy(t, t) - t
        ).mean(),
        lambda *shape, dtype: torch.randint(0, 4, shape).to(dtype),
    ),
}
every_loss = pytest.mark.parametrize("name", ORACLES)


@every_loss
@given(rows=st.integers(1, 6), outputs=st.integers(1, 5), scale=st.sampled_from([1.0, 30.0, 1e4]))
def test_agrees_with_autograd(name, rows, outputs, scale) -> None:
    loss, oracle, targets = ORACLES[name]
    scale = 1.0 if name == "PoissonLoss" else scale  # e to the 30 is no rate
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


@every_loss
@given(rows=st.integers(1, 6), outputs=st.integers(1, 5))
def test_rows_are_the_losses_of_single_rows(name, rows, outputs) -> None:
    loss, _, targets = ORACLES[name]
    prediction = torch.randn(rows, outputs, dtype=torch.float64)
    target = targets(rows, outputs, dtype=torch.float64)
    alone = [loss(prediction[i : i + 1], target[i : i + 1]) for i in range(rows)]
    assert close(loss.rows(prediction, target), torch.stack(alone))


@every_loss
@given(rows=st.integers(1, 6), outputs=st.integers(1, 5))
def test_weighted_agrees_with_autograd(name, rows, outputs) -> None:
    loss, oracle, targets = ORACLES[name]
    prediction = torch.randn(rows, outputs, dtype=torch.float64)
    target = targets(rows, outputs, dtype=torch.float64)
    weights = torch.rand(rows, dtype=torch.float64) * 3
    weights[0] = 0
    given_leaf = leaf(prediction)
    single = [oracle(given_leaf[i : i + 1], target[i : i + 1]) for i in range(rows)]
    value = (torch.stack(single) * weights).mean()
    value.backward()
    weighted = Weighted(loss)
    assert close(weighted(prediction, (target, weights)), value.detach())
    assert close(weighted.backward(prediction, (target, weights)), given_leaf.grad)
    assert close(weighted.rows(prediction, (target, weights)).mean(), value.detach())
    slopes = finite_differences(lambda: weighted(prediction, (target, weights)), prediction)
    assert close(weighted.backward(prediction, (target, weights)), slopes, 1e-6)


def test_a_weight_of_two_is_the_row_twice() -> None:
    prediction, target = torch.randn(3, 4), torch.randint(0, 4, (3,))
    doubled = torch.tensor([0, 1, 1, 2])
    weights = torch.tensor([1.0, 2.0, 1.0]) * 3 / 4
    weighted = Weighted(bh.CrossEntropyLoss())(prediction, (target, weights))
    assert close(weighted, bh.CrossEntropyLoss()(prediction[doubled], target[doubled]), 1e-6)


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        (torch.zeros(4, 2), TypeError, "a pair"),
        ((torch.zeros(4, 2), torch.ones(4, 1)), ValueError, r"shape \(4,\).*got \(4, 1\)"),
        ((torch.zeros(4, 2), torch.ones(4).double()), TypeError, "got torch.float64"),
    ],
)
def test_weights_that_do_not_fit_are_refused(target, kind, says) -> None:
    for method in (Weighted(bh.MSELoss()).forward, Weighted(bh.MSELoss()).backward):
        with pytest.raises(kind, match=says):
            method(torch.zeros(4, 2), target)


def test_a_loss_without_rows_cannot_be_weighted() -> None:
    with pytest.raises(NotImplementedError, match="Loss has no rows"):
        Weighted(bh.Loss())(torch.zeros(4, 2), (torch.zeros(4, 2), torch.ones(4)))


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
        (PoissonLoss(), torch.tensor([[0.0], [-2.0]]), "0 or more, got -2"),
        (
            Weighted(bh.MSELoss()),
            (torch.zeros(2, 1), torch.tensor([1.0, -1.0])),
            "weights of 0 or more, got -1",
        ),
    ],
)
def test_values_out_of_range_are_refused_at_the_door(loss, target, says) -> None:
    with pytest.raises(ValueError, match=says):
        loss.check_values(target, 3)
