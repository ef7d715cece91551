"""The rows that a table model holds out inside `fit`: by chance, whole groups, or the latest."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.model_selection import GroupKFold, cross_validate

from backhand.estimators.tables import TableClassifier, TableRegressor
from backhand.estimators.tables.held_out import HoldingOut

ROWS = 120
NAMES = np.array([f"n{at:03}" for at in range(ROWS)])
LABELS = np.array(["no", "yes"] * (ROWS // 2))
QUICK = {"hidden": (4,), "epochs": 1, "random_state": 0}


def rows_trained_on(model, y, **told) -> set[int]:
    """The rows by whose columns `fit` made its encoding: those that were not held out."""
    model.fit(pd.DataFrame({"name": NAMES, "x": np.arange(ROWS)}), y, **told)
    return {int(name[1:]) for name in model.encoding_.codes[0].categories}


@pytest.mark.parametrize("estimator", [TableClassifier, TableRegressor])
def test_fit_holds_out_whole_groups_or_the_latest_rows(estimator) -> None:
    random = np.random.default_rng(0)
    groups, moments = random.integers(0, 17, ROWS), random.permutation(ROWS)
    y = LABELS if estimator is TableClassifier else random.normal(size=ROWS)
    every = set(range(ROWS))
    seen = rows_trained_on(estimator(**QUICK), y, groups=groups)
    assert not set(groups[sorted(seen)]) & set(groups[sorted(every - seen)])
    assert 10 <= len(every - seen) <= 24
    seen = rows_trained_on(estimator(**QUICK), y, order=moments)
    assert every - seen == set(np.flatnonzero(moments >= ROWS - 24))
    seen = rows_trained_on(estimator(**QUICK), y)
    assert set(groups[sorted(seen)]) & set(groups[sorted(every - seen)])
    assert moments[sorted(seen)].max() > moments[sorted(every - seen)].min()


DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(at) for at in range(ROWS)]


@pytest.mark.parametrize(
    "order",
    [
        DAYS,
        np.array(DAYS, dtype="datetime64[D]"),
        pd.Series(pd.to_datetime(DAYS)),
        pl.Series(DAYS),
        [9999.0 - at for at in range(ROWS)][::-1],
    ],
    ids=["dates", "datetime64", "pandas", "polars", "numbers"],
)
def test_order_is_of_dates_or_numbers_of_any_library(order) -> None:
    seen = rows_trained_on(TableClassifier(**QUICK), LABELS, order=order)
    assert seen == set(range(96))


def split(share: float = 0.2, targets=None, **told) -> list[int]:
    """The rows held out."""
    given = told.get("groups", told.get("order"))
    targets = np.zeros(len(given), int) if targets is None else np.asarray(targets)
    holding_out = HoldingOut.by(given, told.get("groups"), told.get("order"))
    random = np.random.RandomState(0)
    training, held_out = holding_out.split(targets, share, random, stratified=True)
    assert sorted([*training, *held_out]) == list(range(len(given)))
    return held_out.tolist()


def test_rows_of_one_moment_are_not_parted() -> None:
    assert split(order=[1, 2, 3, 4, 5, 6, 6, 6, 6, 6]) == [5, 6, 7, 8, 9]
    assert split(order=[1, 1, 1, 1, 1, 1, 1, 1, 1, 2], share=0.5) == [9]
    assert len(split(order=[3] * 10)) == 2


def test_groups_fill_the_share_and_the_smallest_is_held_out_where_all_are_larger() -> None:
    assert split(groups=["a"] * 7 + ["b"] * 5 + ["c"] * 8) == [7, 8, 9, 10, 11]
    assert len(split(groups=["a"] * 20)) == 4
    many = np.arange(1000) // 10
    held_out = split(groups=many)
    assert len(held_out) == 200
    assert len(set(many[held_out])) == 20


def test_no_class_is_held_out_whole() -> None:
    assert split(order=range(10), targets=[0, 1] * 4 + [2, 1]) == [9]
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    for share in (0.2, 0.4, 0.6):
        held_out = split(share, groups=groups, targets=[0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        assert 2 not in held_out
        assert 3 not in held_out
    assert len(split(groups=["a"] * 10 + ["b"] * 10, targets=[0] * 10 + [1] * 10)) == 4


REFUSED = {
    "both": ({"groups": NAMES, "order": range(ROWS)}, "groups and order: expected one of them"),
    "other rows": ({"groups": NAMES[1:]}, "inconsistent numbers of samples"),
    "other rows in order": ({"order": range(3)}, "inconsistent numbers of samples"),
    "a gap": ({"order": [1.0, None] * (ROWS // 2)}, "order: row 1 has no value to order by"),
    "no time": ({"order": [np.datetime64("NaT")] * ROWS}, "order: row 0 has no value"),
    "text": ({"order": NAMES}, "order: expected numbers or dates, got text"),
    "booleans": ({"order": LABELS == "no"}, "order: expected numbers or dates, got booleans"),
    "a table": ({"order": np.zeros((ROWS, 2))}, r"order: expected one value a row, got .*120, 2"),
    "groups of two": ({"groups": np.zeros((ROWS, 2))}, "should be a 1d array"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name) -> None:
    told, says = REFUSED[name]
    with pytest.raises(ValueError, match=says):
        TableClassifier(**QUICK).fit(pd.DataFrame({"x": range(ROWS)}), LABELS, **told)


def test_scikit_learn_hands_groups_on() -> None:
    groups = np.arange(ROWS) // 5
    with config_context(enable_metadata_routing=True):
        model = TableClassifier(**QUICK).set_fit_request(groups=True)
        table = pd.DataFrame({"group": groups.astype(str), "x": np.arange(ROWS)})
        options = {"cv": GroupKFold(3), "params": {"groups": groups}, "return_estimator": True}
        found = cross_validate(model, table, LABELS, return_indices=True, **options)
    for fitted, rows in zip(found["estimator"], found["indices"]["train"], strict=True):
        trained_on = fitted.encoding_.codes[0].categories  # 64 rows of 80: 16 groups all but 3
        assert len(trained_on) == len(set(groups[rows])) - 3
