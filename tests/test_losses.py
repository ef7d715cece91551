"""Losses: the value and the error, against PyTorch's own and against finite differences."""

from __future__ import annotations

import importlib
import itertools
import pkgutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import backhand as bh
from backhand import losses
from backhand.losses import PoissonLoss, Weighted
from backhand.values import rows_of
from cases import LOSSES, every_loss, every_loss_of_towers
from cases.case import copied, flat, mapped, same, strided
from oracle import all_close, close, finite_differences, leaf

every_loss_with_rows = pytest.mark.parametrize("case", [x for x in LOSSES if x.rows], ids=str)
every_loss_of_one = pytest.mark.parametrize(
    "case", [x for x in LOSSES if x.rows and x.towers == 1], ids=str
)
double = torch.float64


def loss_classes() -> set[type[bh.Loss]]:
    """Every loss that is defined in the room of the losses."""
    modules = [
        importlib.import_module(f"{losses.__name__}.{found.name}")
        for found in pkgutil.iter_modules(losses.__path__)
    ]
    return {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, bh.Loss) and not each.__subclasses__()
    }


def test_every_loss_has_a_row() -> None:
    assert loss_classes() - {Weighted} <= {type(case.loss()) for case in LOSSES}


@every_loss
@given(rows=st.integers(1, 6), outputs=st.integers(1, 5), data=st.data())
def test_agrees_with_autograd(case, rows, outputs, data) -> None:
    loss, scale = case.loss(), data.draw(st.sampled_from(case.scales))
    outputs = case.outputs or outputs
    prediction = mapped(lambda each: each * scale, case.prediction(rows, outputs, double))
    target = case.target(rows, outputs, double)
    given_leaf = mapped(leaf, prediction)
    value = case.oracle(given_leaf, target)
    value.backward()
    before = copied(prediction), copied(target)
    assert close(loss(prediction, target), value.detach())
    assert torch.equal(loss(prediction, target), loss.forward(prediction, target))
    error = loss.backward(prediction, target)
    assert all_close(error, mapped(lambda each: each.grad, given_leaf), 1e-10)
    assert same(prediction, before[0])
    assert same(target, before[1])


@every_loss
def test_agrees_with_finite_differences(case) -> None:
    loss = case.loss()
    prediction, target = (
        case.prediction(3, case.outputs or 4, double),
        case.target(3, case.outputs or 4, double),
    )
    for each, error in zip(flat(prediction), flat(loss.backward(prediction, target)), strict=True):
        slopes = finite_differences(lambda: loss(prediction, target), each)
        assert close(error, slopes, 1e-6)


@every_loss
@given(rows=st.integers(1, 6), outputs=st.integers(2, 5))
def test_takes_what_is_not_contiguous(case, rows, outputs) -> None:
    loss, outputs = case.loss(), case.outputs or outputs
    prediction, target = case.prediction(rows, outputs, double), case.target(rows, outputs, double)
    apart = strided(prediction), strided(target)
    assert close(loss(*apart), loss(prediction, target))
    assert all_close(loss.backward(*apart), loss.backward(prediction, target), 1e-10)


@every_loss
def test_float32_is_within_its_precision_of_float64(case) -> None:
    loss = case.loss()
    outputs = case.outputs or 3
    exact = case.prediction(5, outputs, double), case.target(5, outputs, double)
    single = mapped(_single, exact)
    assert close(loss(*single).double(), loss(*exact), 1e-5)
    error = mapped(torch.Tensor.double, loss.backward(*single))
    assert all_close(error, loss.backward(*exact), 1e-5)


# KLDivLoss has an error that no prediction has a part in, and PyTorch's own inputs hold it to that.
@pytest.mark.parametrize("case", [x for x in LOSSES if "KLDiv" not in x.name], ids=str)
@pytest.mark.parametrize("dtype", [double, torch.float32], ids=str)
def test_what_is_no_number_is_none_in_the_error(case, dtype) -> None:
    """In every row whose loss it makes NaN; the other rows' errors stay numbers."""
    loss, outputs = case.loss(), case.outputs or 3
    prediction = case.prediction(4, outputs, dtype)
    target = case.target(4, outputs, dtype)
    seen = 0
    for tensor in flat(prediction):
        for row, output in itertools.product(range(4), range(outputs)):
            kept = float(tensor[row, output])
            tensor[row, output] = torch.nan
            if loss(prediction, target).isnan():
                errors = torch.cat(flat(loss.backward(prediction, target)), -1)
                assert errors[row].isnan().any(), (row, output)
                seen += 1
                if outputs > 1 and "weight" not in vars(loss):
                    assert errors[torch.arange(4) != row].isfinite().all()
            tensor[row, output] = kept
    assert seen


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


@every_loss
def test_a_target_brings_no_history_of_autograd(case) -> None:
    loss = case.loss()
    prediction = case.prediction(3, case.outputs or 4, double)
    target = mapped(leaf, case.target(3, case.outputs or 4, double))
    results = [loss(prediction, target), *flat(loss.backward(prediction, target))]
    if case.rows:
        results.append(loss.rows(prediction, target))
    assert not any(each.requires_grad for each in results)


@every_loss_with_rows
@given(rows=st.integers(1, 6), outputs=st.integers(1, 5))
def test_rows_are_the_losses_of_single_rows(case, rows, outputs) -> None:
    loss, outputs = case.loss(), case.outputs or outputs
    prediction, target = case.prediction(rows, outputs, double), case.target(rows, outputs, double)
    alone = [loss(rows_of(prediction, [i]), rows_of(target, [i])) for i in range(rows)]
    assert close(loss.rows(prediction, target), torch.stack(alone))


@every_loss_of_one
@given(rows=st.integers(1, 6), outputs=st.integers(1, 5))
def test_weighted_agrees_with_autograd(case, rows, outputs) -> None:
    outputs = case.outputs or outputs
    prediction, target = case.prediction(rows, outputs, double), case.target(rows, outputs, double)
    weights = torch.rand(rows, dtype=double) * 3
    weights[0] = 0
    given_leaf = mapped(leaf, prediction)
    single = [case.oracle(rows_of(given_leaf, [i]), rows_of(target, [i])) for i in range(rows)]
    value = (torch.stack(single) * weights).mean()
    value.backward()
    weighted = Weighted(case.loss())
    assert close(weighted(prediction, (target, weights)), value.detach())
    error = weighted.backward(prediction, (target, weights))
    assert all_close(error, mapped(lambda each: each.grad, given_leaf), 1e-10)
    assert close(weighted.rows(prediction, (target, weights)).mean(), value.detach())
    for each, part in zip(flat(prediction), flat(error), strict=True):
        slopes = finite_differences(lambda: weighted(prediction, (target, weights)), each)
        assert close(part, slopes, 1e-6)


@every_loss_of_towers
def test_weighted_towers_agree_with_autograd(case) -> None:
    if vars(case.loss()).get("reduction") == "sum":
        with pytest.raises(ValueError, match="Weighted: expected a loss that is a mean"):
            Weighted(case.loss())
        return
    prediction, target = case.prediction(5, 4, double), case.target(5, 4, double)
    weights = torch.tensor([0.0, 1.0, 2.5, 0.5, 3.0], dtype=double)
    given_leaf = mapped(leaf, prediction)
    single = [case.oracle(rows_of(given_leaf, [i]), rows_of(target, [i])) for i in range(5)]
    value = (torch.stack(single) * weights).mean()
    value.backward()
    weighted = Weighted(case.loss())
    assert close(weighted(prediction, (target, weights)), value.detach())
    error = weighted.backward(prediction, (target, weights))
    assert all_close(error, mapped(lambda each: each.grad, given_leaf), 1e-10)


@pytest.mark.parametrize(
    "loss", [bh.MSELoss("sum"), bh.CrossEntropyLoss(reduction="sum")], ids=repr
)
def test_a_sum_cannot_be_weighted(loss) -> None:
    with pytest.raises(ValueError, match="Weighted: expected a loss that is a mean"):
        Weighted(loss)


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
