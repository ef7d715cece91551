"""Losses over the whole range of their dtype, against mpmath: an element, or a row of classes."""

from __future__ import annotations

import itertools

import mpmath
import pytest
import torch
from mpmath import mpf

import backhand as bh

every_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
SIZES = [0.0, 1e-4, 0.1, 0.7, 1.0, 2.5, 9.5, 21.0, 37.0, 87.0, 350.0, 999.0, 3e4, 1e8, 1e15, 1e30]


def points(dtype: torch.dtype) -> list[float]:
    """From the smallest number of the dtype to the largest, and of both signs."""
    info = torch.finfo(dtype)
    edges = [info.tiny * info.eps, info.tiny, info.max**0.5, info.max / 8, info.max]
    values = torch.tensor([*SIZES, *edges], dtype=dtype)
    return torch.cat([values, -values]).tolist()


def binary(z, t):
    slope = 1 / (1 + mpmath.exp(-z)) - t
    # A soft target's two lines cancel to the precision of z; a hard one's cancel exactly.
    lines = max(z, mpf(0)) - t * z
    value = lines + mpmath.log1p(mpmath.exp(-abs(z)))
    return value, slope, abs(z) * (t not in (0, 1)), mpf(1)


def squared(p, t):
    return (p - t) ** 2, 2 * (p - t), mpf(0), mpf(0)


def poisson(z, t):
    rise = mpmath.exp(z)
    distance = z - mpmath.log(t) if t else mpf(0)
    value = rise - t * (1 + distance)
    size = rise + t * (1 + abs(distance) + abs(z))
    return value, rise - t, size, rise + t


def absolute(p, t):
    return abs(p - t), mpmath.sign(p - t), mpf(0), mpf(0)


def huber(p, t):
    cut = max(mpf(-2), min(mpf(2), p - t))
    return abs(cut) * (abs(p - t) - abs(cut) / 2), cut, mpf(0), mpf(0)


def smooth(p, t):
    cut = max(mpf(-1), min(mpf(1), (p - t) * 4))
    return abs(cut) * (abs(p - t) - abs(cut) / 8), cut, mpf(0), mpf(0)


def pinball(p, t):
    """Of the level 0.25."""
    low = (p < t) * mpf(0.25)
    return max((t - p) / 4, (p - t) * 3 / 4), (p > t) * mpf(0.75) - low, mpf(0), mpf(0)


def hinge(p, t):
    return max(mpf(0), 1 - t * p), -t * (t * p < 1), mpf(0), mpf(0)


def divergence(z, t):
    value = t * mpmath.log(t) if t else mpf(0)
    return value - t * z, -t, abs(value) + abs(t * z), mpf(0)


def signs(dtype):
    return [1.0, -1.0]


def middling(dtype):
    """Whose difference from any number is one of the dtype."""
    return [0.0, 0.3, 1.0, -1.0, 1e15, -1e30]


def hard_and_soft(dtype):
    return [0.0, 1.0, 0.25, 0.999, torch.finfo(dtype).tiny]


def counts(dtype):
    return [0.0, 1.0, 0.5, 7.0, 1e5, 1e30, torch.finfo(dtype).tiny, torch.finfo(dtype).max / 8]


ELEMENTS = {
    "BinaryCrossEntropyLoss": (bh.BinaryCrossEntropyLoss(), binary, hard_and_soft),
    "MSELoss": (bh.MSELoss(), squared, points),
    "PoissonLoss": (bh.PoissonLoss(), poisson, counts),
    "L1Loss": (bh.L1Loss(), absolute, points),
    "HuberLoss": (bh.HuberLoss(delta=2.0), huber, points),
    "SmoothL1Loss": (bh.SmoothL1Loss(beta=0.25), smooth, points),
    "QuantileLoss": (bh.QuantileLoss(0.25), pinball, middling),
    "HingeLoss": (bh.HingeLoss(), hinge, signs),
    "KLDivLoss": (bh.KLDivLoss(), divergence, hard_and_soft),
}


def assert_right(got: float, wanted, size, dtype: torch.dtype, where: object) -> None:
    """To a few of the last digits of the result, or of the numbers it is the difference of."""
    info = torch.finfo(dtype)
    bound = 1000 * info.eps * abs(wanted) + 8 * info.eps * size + 4 * info.tiny
    if abs(wanted) > (1 + info.eps) * mpf(info.max):
        assert not abs(got) <= info.max, where
    else:
        assert abs(mpf(got) - wanted) <= bound, (where, got, wanted)


@every_dtype
@pytest.mark.parametrize("name", ELEMENTS)
def test_value_and_error_of_an_element(name, dtype) -> None:
    loss, exact, targets = ELEMENTS[name]
    for z, t in itertools.product(
        points(dtype), torch.tensor(targets(dtype), dtype=dtype).tolist()
    ):
        prediction, target = (torch.tensor([[each]], dtype=dtype) for each in (z, t))
        value, row = loss(prediction, target).item(), loss.rows(prediction, target).item()
        error = loss.backward(prediction, target).item()
        with mpmath.workdps(60):
            wanted, slope, size, slope_size = exact(mpf(z), mpf(t))
            assert_right(value, wanted, size, dtype, (z, t))
            assert_right(row, wanted, size, dtype, (z, t))
            assert_right(error, slope, slope_size, dtype, (z, t))


@every_dtype
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_value_and_error_of_a_row_of_classes(smoothing, dtype) -> None:
    loss = bh.CrossEntropyLoss(smoothing)
    largest = torch.finfo(dtype).max / (8 if smoothing else 1)  # whose sum a mean can form
    sizes = [each for each in points(dtype) if 0 <= each <= largest]
    rows = [[a, a, b] for a, b in itertools.product([*sizes, *(-x for x in sizes[1:])], sizes)]
    for row, chosen in itertools.product(rows, (0, 2)):
        prediction, target = torch.tensor([row], dtype=dtype), torch.tensor([chosen])
        value, error = loss(prediction, target).item(), loss.backward(prediction, target)[0]
        with mpmath.workdps(60):
            largest = max(mpf(x) for x in row)
            shifted = [mpf(x) - largest for x in row]
            total = mpmath.log(sum(mpmath.exp(x) for x in shifted))
            logarithms = [x - total for x in shifted]
            shares = [mpf(smoothing) / 3 + (1 - mpf(smoothing)) * (i == chosen) for i in range(3)]
            wanted = -sum(p * x for p, x in zip(shares, logarithms, strict=True))
            assert_right(value, wanted, mpf(1), dtype, (row, chosen))
            for i in range(3):
                slope = mpmath.exp(logarithms[i]) - shares[i]
                assert_right(error[i].item(), slope, mpf(1), dtype, (row, chosen, i))


BOUNDED = {"HingeLoss", "QuantileLoss"}
"""An infinite prediction may keep the margin; and there is one output for a quantile alone."""
BAD = [float("nan"), float("inf"), -float("inf")]


@every_dtype
@pytest.mark.parametrize("name", [*sorted(ELEMENTS.keys() - BOUNDED), "CrossEntropyLoss"])
@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_is_no_number_is_not_hidden(name, bad, dtype) -> None:
    prediction = torch.tensor([[0.5, bad, -1.0], [1.0, 2.0, 3.0]], dtype=dtype)
    if name == "CrossEntropyLoss":
        loss, target = bh.CrossEntropyLoss(), torch.tensor([1, 2])
    else:
        loss, target = ELEMENTS[name][0], torch.full_like(prediction, 0.5)
    assert not loss(prediction, target).isfinite()
    if bad != bad and name != "KLDivLoss":  # whose error no prediction has a part in
        assert loss.backward(prediction, target)[0, 1].isnan()
        assert loss.backward(prediction, target)[1].isfinite().all()


@every_dtype
def test_a_class_ruled_out_by_minus_infinity_has_no_part(dtype) -> None:
    whole = torch.tensor([[0.5, -torch.inf, -1.0]], dtype=dtype)
    loss, target = bh.CrossEntropyLoss(), torch.tensor([0])
    without = whole[:, [0, 2]]
    torch.testing.assert_close(loss(whole, target), loss(without, target))
    error = loss.backward(whole, target)
    assert error[0, 1] == 0
    torch.testing.assert_close(error[:, [0, 2]], loss.backward(without, target))
