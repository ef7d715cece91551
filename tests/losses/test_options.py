"""Losses beyond their rows: what is refused, what counts for nothing, and logits of any size."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

import backhand as bh
from backhand.losses import (
    BinaryCrossEntropyLoss,
    ContrastiveLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    HingeLoss,
    HuberLoss,
    Itself,
    KLDivLoss,
    L1Loss,
    MSELoss,
    MultiMarginLoss,
    NLLLoss,
    QuantileLoss,
    SmoothL1Loss,
    TripletMarginLoss,
    Weighted,
)
from cases import LOSSES, every_loss
from cases.case import mapped
from oracle import all_close, close, finite_differences, leaf

double = torch.float64


def given_to(case, rows: int):
    """A prediction and a target for a case."""
    outputs = case.outputs or 4
    return case.prediction(rows, outputs, double), case.target(rows, outputs, double)


@every_loss
def test_is_the_mean_of_its_rows_or_has_none(case) -> None:
    loss, (prediction, target) = case.loss(), given_to(case, 5)
    if getattr(loss, "reduction", "mean") == "sum":
        with pytest.raises(NotImplementedError, match="it is a sum"):
            loss.rows(prediction, target)
    elif not isinstance(loss, Itself):
        rows = loss.rows(prediction, target)
        assert rows.shape == (5,)
        assert close(rows.mean(), loss(prediction, target))


@pytest.mark.parametrize(
    "case", [x for x in LOSSES if not x.rows and vars(x.loss()).get("reduction") == "mean"], ids=str
)
def test_weights_for_rows_whose_share_hangs_on_the_batch(case) -> None:
    loss, (prediction, target) = case.loss(), given_to(case, 5)
    each, weighted = torch.rand(5, dtype=double), Weighted(loss)
    slopes = finite_differences(lambda: weighted(prediction, (target, each)), prediction)
    assert close(weighted.backward(prediction, (target, each)), slopes, 1e-6)


@every_loss
def test_leading_axes_are_rows(case) -> None:
    loss, (prediction, target) = case.loss(), given_to(case, 6)

    def folded(tensor):
        return tensor.reshape(2, 3, *tensor.shape[1:])

    deep = mapped(folded, prediction), mapped(folded, target)
    assert close(loss(*deep), loss(prediction, target))
    expected = mapped(folded, loss.backward(prediction, target))
    assert all_close(loss.backward(*deep), expected, 1e-10)


@every_loss
def test_pickles_and_prints_what_makes_it_again(case) -> None:
    loss, (prediction, target) = case.loss(), given_to(case, 3)
    twin = pickle.loads(pickle.dumps(loss))
    assert torch.equal(twin(prediction, target), loss(prediction, target))
    again = eval(repr(loss), dict(vars(bh.losses)))
    assert close(again(prediction, target), loss(prediction, target))


@pytest.mark.parametrize("make", [CrossEntropyLoss, NLLLoss])
def test_a_batch_that_counts_for_nothing_has_no_loss_and_no_error(make) -> None:
    prediction, target = torch.randn(3, 4), torch.full((3,), -100)
    loss = make(ignore_index=-100)
    assert loss(prediction, target) == 0
    assert not loss.backward(prediction, target).any()
    assert not loss.rows(prediction, target).any()


@pytest.mark.parametrize("size", [1.0, 1e4, 1e8, 1e30])
def test_cross_entropy_is_right_for_logits_of_any_size(size) -> None:
    logits = torch.tensor([[1.0, 1.0, -1.0], [1.0, 0.5, 1.0]]) * size
    target = torch.tensor([0, 2])
    exact = logits.double()
    rows = -torch.log_softmax(exact, -1)[[0, 1], target]
    assert close(CrossEntropyLoss().rows(logits, target).double(), rows, 1e-6)
    error = (torch.softmax(exact, -1) - functional.one_hot(target, 3)) / 2
    assert close(CrossEntropyLoss().backward(logits, target).double(), error, 1e-6)


def test_bfloat16_logits_of_some_size() -> None:
    logits = torch.tensor([[31.0, 30.0, 29.0]]).to(torch.bfloat16)
    error = CrossEntropyLoss().backward(logits, torch.tensor([0])).double()
    exact = torch.softmax(logits.double(), -1) - torch.tensor([1.0, 0.0, 0.0])
    assert close(error, exact, 0.01)


def test_hidden_classes_cost_nothing() -> None:
    logits = torch.tensor([[1.0, -torch.inf, 0.5]])
    for loss in (CrossEntropyLoss(), CrossEntropyLoss(weight=[1.0, 1.0, 1.0])):
        for target in (torch.tensor([0]), torch.tensor([[0.5, 0.0, 0.5]])):
            assert loss(logits, target).isfinite()
            assert loss.backward(logits, target)[0, 1] == 0


def test_equal_outputs_have_no_direction() -> None:
    same = torch.ones(2, 3)
    error, _ = ContrastiveLoss().backward((same, same), torch.tensor([0.0, 1.0]))
    assert not error.any()
    errors = TripletMarginLoss(eps=0.0).backward((same, same, same), None)
    assert not any(each.any() for each in errors)
    assert not QuantileLoss(0.3).backward(torch.ones(2, 1), torch.ones(2, 1)).any()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MSELoss("none"), r"MSELoss: .*call rows\(prediction, target\)"),
        (lambda: L1Loss("max"), "expected reduction 'mean' or 'sum', got 'max'"),
        (lambda: KLDivLoss(reduction="none"), "call rows"),
        (lambda: HuberLoss(delta=0.0), "delta above 0, got 0.0"),
        (lambda: SmoothL1Loss(beta=-1.0), "beta of 0 or more, got -1.0"),
        (lambda: QuantileLoss([]), r"quantiles in \(0, 1\), got \[\]"),
        (lambda: QuantileLoss(1.0), r"\(0, 1\), got 1.0"),
        (lambda: BinaryCrossEntropyLoss(torch.ones(1, 1)), "pos_weight as a number or a vector"),
        (lambda: CrossEntropyLoss(weight=2.0), "a weight for each class, got 2.0"),
        (lambda: CrossEntropyLoss(weight=[1.0, torch.nan]), "finite floats"),
        (lambda: NLLLoss(torch.tensor([1, 2])), "finite floats"),
        (lambda: HingeLoss(torch.inf), "finite margin, got inf"),
        (lambda: ContrastiveLoss(0.0), "margin above 0, got 0.0"),
        (lambda: TripletMarginLoss(0.0), "margin above 0"),
        (lambda: TripletMarginLoss(p=0.5), "p of 1 or more, got 0.5"),
        (lambda: TripletMarginLoss(eps=-1.0), "eps of 0 or more"),
    ],
)
def test_constructors_refuse(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()


float_pair = (torch.zeros(4, 2), torch.zeros(4, 2))


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "kind", "says"),
    [
        (CrossEntropyLoss(weight=[1.0, 2.0]), torch.zeros(2, 3), torch.zeros(2).long(), ValueError,
         r"weight for \(3,\) outputs, got 2"),
        (CrossEntropyLoss(), torch.zeros(2, 3), torch.zeros(2, 4), ValueError, r"got \(2, 4\)"),
        (CrossEntropyLoss(ignore_index=1), torch.zeros(2, 3), torch.ones(2, 3), ValueError,
         "of which one is to be ignored"),
        (NLLLoss(), torch.zeros(2, 3), torch.zeros(2), TypeError, "int64 class indices"),
        (NLLLoss(), torch.zeros(0, 3), torch.zeros(0).long(), ValueError, "empty batch"),
        (MultiMarginLoss(), torch.zeros(2, 3), torch.zeros(3).long(), ValueError, r"got \(3,\)"),
        (KLDivLoss(), torch.zeros(2, 3), torch.zeros(2, 3).double(), TypeError, "got torch.float"),
        (BinaryCrossEntropyLoss([1.0, 2.0]), torch.zeros(2, 3), torch.zeros(2, 3), ValueError,
         r"pos_weight for \(3,\) outputs, got 2"),
        (QuantileLoss([0.1, 0.9]), torch.zeros(4, 1), torch.zeros(4, 1), ValueError,
         r"prediction \(batch, 2\) and a target \(batch, 1\), got \(4, 1\)"),
        (QuantileLoss([0.1, 0.9]), torch.zeros(4, 2), torch.zeros(4), ValueError, r"\(4,\)"),
        (CosineEmbeddingLoss(), torch.zeros(4, 2), torch.zeros(4), TypeError, "of 2 tensors"),
        (CosineEmbeddingLoss(), float_pair, torch.zeros(3), ValueError, r"got \(3,\)"),
        (ContrastiveLoss(), float_pair, torch.zeros(4).double(), TypeError, "got torch.float64"),
        (ContrastiveLoss(), (torch.zeros(4, 2), torch.zeros(4, 3)), torch.zeros(4), ValueError,
         r"one shape and dtype, got \(4, 2\)"),
        (TripletMarginLoss(), float_pair, None, TypeError, "of 3 tensors"),
        (TripletMarginLoss(), (torch.zeros(0, 2),) * 3, None, ValueError, "empty batch"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(loss, prediction, target, kind, says) -> None:
    for method in (loss.forward, loss.rows, loss.backward):
        with pytest.raises(kind, match=says):
            method(prediction, target)


@pytest.mark.parametrize(
    ("loss", "target", "says"),
    [
        (HingeLoss(), torch.tensor([1.0, 0.0]), "1 and -1, got 0"),
        (CosineEmbeddingLoss(), torch.tensor([1.0, 2.0]), "1 and -1, got 2"),
        (ContrastiveLoss(), torch.tensor([1.0, -1.0]), "0 and 1, got -1"),
        (MultiMarginLoss(), torch.tensor([0, 3]), "from 0 to 2, got 3"),
        (NLLLoss(), torch.tensor([0, -100]), "got -100"),
        (CrossEntropyLoss(ignore_index=-1), torch.tensor([-1, 5]), "got 5"),
        (CrossEntropyLoss(), torch.tensor([[0.5, -0.5, 1.0]]), "0 or more, got -0.5"),
        (KLDivLoss(), torch.tensor([[0.5, -0.5, 1.0]]), "0 or more, got -0.5"),
    ],
)
def test_values_out_of_range_are_refused_at_the_door(loss, target, says) -> None:
    with pytest.raises(ValueError, match=says):
        loss.check_values(target, 3)


def test_ignored_and_padded_targets_pass_the_door() -> None:
    CrossEntropyLoss(ignore_index=-100).check_values(torch.tensor([-100, 2]), 3)
    CrossEntropyLoss(ignore_index=-100).check_values(torch.tensor([-100]), 3)
    KLDivLoss(log_target=True).check_values(torch.tensor([[-3.0]]), 1)


def test_negative_class_weights_follow_torch() -> None:
    weight = torch.tensor([-2.5, 0.5, 3.0], dtype=torch.float64)
    prediction = torch.randn(5, 3, dtype=torch.float64)
    target = torch.tensor([0, 0, 1, 2, 1])
    twin = nn.CrossEntropyLoss(weight)
    given_leaf = leaf(prediction)
    twin(given_leaf, target).backward()
    assert close(CrossEntropyLoss(weight=weight).backward(prediction, target), given_leaf.grad)
