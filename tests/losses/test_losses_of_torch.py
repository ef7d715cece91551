"""Losses against PyTorch's, by autograd in float64: every option, and predictions of several."""

from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
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
from oracle import close, finite_differences, leaf

CLASSES = 4
weights = torch.tensor([0.5, 2.0, 0.0, 1.5], dtype=torch.float64)


def normal(rows: int):
    return torch.randn(rows, CLASSES, dtype=torch.float64)


def shares(rows: int):
    return torch.rand(rows, CLASSES, dtype=torch.float64)


def classes(rows: int):
    return torch.randint(0, CLASSES, (rows,))


def some_ignored(rows: int):
    return torch.where(torch.arange(rows) % 2 == 0, classes(rows), 1)


def padded(rows: int):
    return torch.where(torch.arange(rows) % 2 == 0, classes(rows), -100)


def distributions(rows: int):
    return torch.softmax(normal(rows), -1)


def signs(rows: int):
    return torch.where(shares(rows) > 0.5, 1.0, -1.0).double()


def row_signs(rows: int):
    return signs(rows)[:, 0].clone()


def logs(rows: int):
    return torch.log_softmax(normal(rows) * 3, -1)


def log_targets(rows: int):
    return torch.log_softmax(normal(rows), -1)


def pairs(rows: int):
    return normal(rows), normal(rows)


def near_pairs(rows: int):
    return normal(rows) * 0.3, normal(rows) * 0.3


def triples(rows: int):
    return normal(rows), normal(rows), normal(rows)


def one_number(rows: int):
    return torch.randn(rows, 1, dtype=torch.float64)


def quantiles_of(*levels: float):
    """The pinball loss as its definition says it."""

    def oracle(z, t):
        q = torch.tensor(levels, dtype=torch.float64)
        d = t - z
        return torch.where(d > 0, q * d, (q - 1) * d).mean()

    return oracle


def contrastive(margin: float):
    def oracle(pair, t):
        d = functional.pairwise_distance(*pair, eps=0.0)
        return (0.5 * t * d**2 + 0.5 * (1 - t) * torch.relu(margin - d) ** 2).mean()

    return oracle


def of(function, **options):
    return lambda z, t: function(z, t, **options)


def of_pair(function, **options):
    return lambda pair, t: function(*pair, t, **options)


def triplet(**options):
    return lambda triple, t: functional.triplet_margin_loss(*triple, **options)


ce, nll, bce = (
    functional.cross_entropy,
    functional.nll_loss,
    functional.binary_cross_entropy_with_logits,
)
# loss, oracle, prediction, target
LOSSES = {
    "MSE": (MSELoss(), functional.mse_loss, normal, normal),
    "MSE, sum": (MSELoss("sum"), of(functional.mse_loss, reduction="sum"), normal, normal),
    "L1": (L1Loss(), functional.l1_loss, normal, normal),
    "L1, sum": (L1Loss("sum"), of(functional.l1_loss, reduction="sum"), normal, normal),
    "Huber": (HuberLoss(), functional.huber_loss, normal, normal),
    "Huber, 0.3": (HuberLoss(delta=0.3), of(functional.huber_loss, delta=0.3), normal, normal),
    "SmoothL1": (SmoothL1Loss(), functional.smooth_l1_loss, normal, normal),
    "SmoothL1, 0.3, sum": (
        SmoothL1Loss("sum", beta=0.3),
        of(functional.smooth_l1_loss, beta=0.3, reduction="sum"),
        normal,
        normal,
    ),
    "SmoothL1, 0": (
        SmoothL1Loss(beta=0.0),
        of(functional.smooth_l1_loss, beta=0.0),
        normal,
        normal,
    ),
    "Quantile": (QuantileLoss(0.3), lambda z, t: quantiles_of(0.3)(z, t), one_number, one_number),
    "Quantiles": (
        QuantileLoss([0.1, 0.5, 0.7, 0.9]),
        quantiles_of(0.1, 0.5, 0.7, 0.9),
        normal,
        one_number,
    ),
    "BCE": (BinaryCrossEntropyLoss(), bce, normal, shares),
    "BCE, pos_weight": (
        BinaryCrossEntropyLoss(pos_weight=weights),
        of(bce, pos_weight=weights),
        normal,
        shares,
    ),
    "BCE, both, sum": (
        BinaryCrossEntropyLoss([0.5, 2.0, 0.0, 1.5], 1.5, "sum"),
        of(bce, pos_weight=weights, weight=torch.tensor(1.5).double(), reduction="sum"),
        normal,
        shares,
    ),
    "Hinge": (
        HingeLoss(0.7),
        lambda z, t: torch.relu(0.7 - t * z).mean(),
        normal,
        signs,
    ),
    "MultiMargin": (MultiMarginLoss(), functional.multi_margin_loss, normal, classes),
    "MultiMargin, sum": (
        MultiMarginLoss(0.4, "sum"),
        of(functional.multi_margin_loss, margin=0.4, reduction="sum"),
        normal,
        classes,
    ),
    "CE": (CrossEntropyLoss(), ce, normal, classes),
    "CE, sum": (CrossEntropyLoss(reduction="sum"), of(ce, reduction="sum"), normal, classes),
    "CE, weight": (CrossEntropyLoss(weight=weights), of(ce, weight=weights), normal, classes),
    "CE, ignored": (CrossEntropyLoss(ignore_index=1), of(ce, ignore_index=1), normal, some_ignored),
    "CE, padded": (CrossEntropyLoss(ignore_index=-100), ce, normal, padded),
    "CE, smoothed": (
        CrossEntropyLoss(0.2),
        of(ce, label_smoothing=0.2),
        normal,
        classes,
    ),
    "CE, smoothed and weight": (
        CrossEntropyLoss(0.2, weights),
        of(ce, label_smoothing=0.2, weight=weights),
        normal,
        classes,
    ),
    "CE, all": (
        CrossEntropyLoss(0.2, weights, -100),
        of(ce, label_smoothing=0.2, weight=weights),
        normal,
        padded,
    ),
    "CE, smoothed and ignored, sum": (
        CrossEntropyLoss(0.2, None, -100, "sum"),
        of(ce, label_smoothing=0.2, reduction="sum"),
        normal,
        padded,
    ),
    "CE, distributions": (CrossEntropyLoss(), ce, normal, distributions),
    "CE, distributions, all": (
        CrossEntropyLoss(0.2, weights),
        of(ce, label_smoothing=0.2, weight=weights),
        normal,
        distributions,
    ),
    "NLL": (NLLLoss(), nll, logs, classes),
    "NLL, weight": (NLLLoss(weights), of(nll, weight=weights), logs, classes),
    "NLL, all": (NLLLoss(weights, -100), of(nll, weight=weights), logs, padded),
    "NLL, sum": (NLLLoss(None, 1, "sum"), of(nll, ignore_index=1, reduction="sum"), logs, classes),
    "KLDiv": (KLDivLoss(), of(functional.kl_div, reduction="batchmean"), logs, distributions),
    "KLDiv, mean": (
        KLDivLoss(reduction="mean"),
        lambda z, t: functional.kl_div(z, t, reduction="none").mean(),
        logs,
        distributions,
    ),
    "KLDiv, sum": (
        KLDivLoss(reduction="sum"),
        of(functional.kl_div, reduction="sum"),
        logs,
        distributions,
    ),
    "KLDiv, log": (
        KLDivLoss(log_target=True),
        of(functional.kl_div, reduction="batchmean", log_target=True),
        logs,
        log_targets,
    ),
    "Cosine": (CosineEmbeddingLoss(), of_pair(functional.cosine_embedding_loss), pairs, row_signs),
    "Cosine, margin, sum": (
        CosineEmbeddingLoss(0.3, "sum"),
        of_pair(functional.cosine_embedding_loss, margin=0.3, reduction="sum"),
        pairs,
        row_signs,
    ),
    "Contrastive": (
        ContrastiveLoss(1.2),
        contrastive(1.2),
        near_pairs,
        lambda rows: (torch.arange(rows) % 2).double(),
    ),
    "Triplet": (TripletMarginLoss(), triplet(), triples, lambda rows: None),
    "Triplet, 1": (
        TripletMarginLoss(2.0, p=1.0, eps=1e-4),
        triplet(margin=2.0, p=1.0, eps=1e-4),
        triples,
        lambda rows: None,
    ),
    "Triplet, 3, swapped, sum": (
        TripletMarginLoss(2.0, 3.0, swap=True, reduction="sum"),
        triplet(margin=2.0, p=3.0, swap=True, reduction="sum"),
        triples,
        lambda rows: None,
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def flat(value) -> list[torch.Tensor]:
    return list(value) if isinstance(value, tuple) else [value]


def rebuilt(like, tensors):
    return tuple(tensors) if isinstance(like, tuple) else tensors[0]


def counted(target) -> bool:
    """Whether any row counts: PyTorch's mean over none is not a number."""
    if target is None or target.is_floating_point():
        return True
    return bool((target != -100).any() and weights[target[target != -100]].sum() > 0)


@every_loss
@given(rows=st.integers(1, 6), seed=st.integers(0, 999))
def test_agrees_with_autograd(name, rows, seed) -> None:
    torch.manual_seed(seed)
    loss, oracle, predictions, targets = LOSSES[name]
    prediction, target = predictions(rows), targets(rows)
    if not counted(target) or (name == "CE, ignored" and bool((target == 1).all())):
        return
    leaves = [leaf(each) for each in flat(prediction)]
    value = oracle(rebuilt(prediction, leaves), target)
    value.backward()
    before = [each.clone() for each in flat(prediction)]
    assert close(loss(prediction, target), value.detach(), 1e-9)
    error = loss.backward(prediction, target)
    assert isinstance(error, tuple) == isinstance(prediction, tuple)
    for one, other in zip(flat(error), leaves, strict=True):
        assert close(one, other.grad, 1e-9)
    for one, other in zip(flat(prediction), before, strict=True):
        assert torch.equal(one, other)


@every_loss
def test_agrees_with_finite_differences(name) -> None:
    loss, _, predictions, targets = LOSSES[name]
    prediction, target = predictions(4), targets(4)
    for one, error in zip(flat(prediction), flat(loss.backward(prediction, target)), strict=True):
        slopes = finite_differences(lambda: loss(prediction, target), one)
        assert close(error, slopes, 1e-6)


@every_loss
def test_is_the_mean_of_its_rows_or_has_none(name) -> None:
    loss, _, predictions, targets = LOSSES[name]
    prediction, target = predictions(5), targets(5)
    if loss.reduction == "sum":
        with pytest.raises(NotImplementedError, match="it is a sum"):
            loss.rows(prediction, target)
        return
    rows = loss.rows(prediction, target)
    assert rows.shape == (5,)
    assert close(rows.mean(), loss(prediction, target))
    if not isinstance(prediction, tuple):
        each = torch.rand(5, dtype=torch.float64)
        weighted = Weighted(loss)
        slopes = finite_differences(lambda: weighted(prediction, (target, each)), prediction)
        assert close(weighted.backward(prediction, (target, each)), slopes, 1e-6)


@every_loss
def test_leading_axes_are_rows(name) -> None:
    loss, _, predictions, targets = LOSSES[name]
    prediction, target = predictions(6), targets(6)

    def folded(tensor):
        return tensor if tensor is None else tensor.reshape(2, 3, *tensor.shape[1:])

    deep = rebuilt(prediction, [folded(each) for each in flat(prediction)])
    assert close(loss(deep, folded(target)), loss(prediction, target))
    errors = flat(loss.backward(deep, folded(target)))
    for one, other in zip(errors, flat(loss.backward(prediction, target)), strict=True):
        assert close(one, folded(other))


@every_loss
def test_pickles_and_prints(name) -> None:
    loss, _, predictions, targets = LOSSES[name]
    prediction, target = predictions(3), targets(3)
    twin = pickle.loads(pickle.dumps(loss))
    assert torch.equal(twin(prediction, target), loss(prediction, target))
    again = eval(repr(loss), vars(bh.losses) | {"torch": torch})
    assert close(again(prediction, target), loss(prediction, target))


@every_loss
def test_recorded_it_gives_the_plain_steps_bits(name) -> None:
    loss, _, predictions, targets = LOSSES[name]
    prediction = predictions(4)
    if isinstance(prediction, tuple):
        return  # a tower's, below
    width = prediction.shape[-1]
    network = bh.FullyConnected(3, width).to(torch.float64)
    step = bh.TrainingStep(network, loss, bh.Replay())
    twin = pickle.loads(pickle.dumps(network))
    for _ in range(5):
        input, target = torch.randn(4, 3, dtype=torch.float64), targets(4)
        output = twin(input)
        value = step(input, target, 0.1)
        assert torch.equal(value, loss(output, target))
        twin.backward(loss.backward(output, target), 0.1)
    assert torch.equal(network.weight.value, twin.weight.value)


@pytest.mark.parametrize("make", [CrossEntropyLoss, NLLLoss])
def test_a_batch_that_counts_for_nothing_has_no_loss_and_no_error(make) -> None:
    prediction, target = logs(3), torch.full((3,), -100)
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
        (CrossEntropyLoss(weight=weights), torch.zeros(2, 3), torch.zeros(2).long(), ValueError,
         r"weight for \(3,\) outputs, got 4"),
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
