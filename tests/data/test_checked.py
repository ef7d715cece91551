"""The door where the values of a data set are checked, once."""

from __future__ import annotations

import inspect

import pytest
import torch

from backhand.data import check_data

ROWS = torch.rand(3, 2)


def with_value(value: float) -> torch.Tensor:
    """Three rows whose last holds the value."""
    rows = ROWS.clone()
    rows[2, 1] = value
    return rows


def test_a_good_data_set_comes_through_as_it_is() -> None:
    targets = torch.tensor([0, 1, 2])
    data = check_data((ROWS, targets), "train")
    assert data.inputs is ROWS
    assert data.targets is targets


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_refused_with_its_row(value) -> None:
    with pytest.raises(ValueError, match=r"^test inputs: row 2 holds a value that is not"):
        check_data((with_value(value), ROWS), "test")
    with pytest.raises(ValueError, match=r"^test targets: row 2 holds a value that is not"):
        check_data((ROWS, with_value(value)), "test")


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        ([ROWS, ROWS], TypeError, r"expected a pair of tensors \(inputs, targets\)"),
        ((ROWS,), TypeError, "expected a pair of tensors"),
        ((ROWS, [0, 1, 1]), TypeError, "expected a pair of tensors"),
        ((ROWS[:0], ROWS[:0]), ValueError, r"at least one row, got inputs \(0, 2\)"),
        ((torch.tensor(1.0), torch.tensor(1.0)), ValueError, "at least one row"),
        ((ROWS, ROWS[:2]), ValueError, r"one target for each of 3 inputs, got targets \(2, 2\)"),
        ((ROWS, torch.tensor(1.0)), ValueError, r"got targets \(\)"),
    ],
    ids=["a list", "one tensor", "no tensor", "no rows", "a number", "lengths", "one target"],
)
def test_what_is_no_data_set_is_refused_by_name(data, kind, says) -> None:
    unchecked = inspect.unwrap(check_data)  # else the tests' type checker refuses it first
    with pytest.raises(kind, match=f"^train: .*{says}"):
        unchecked(data, "train")
