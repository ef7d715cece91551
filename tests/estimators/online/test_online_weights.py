"""Rows with weights, which multiply the learning rate."""

from __future__ import annotations

import math
import random

import pandas as pd
import pytest
import torch

import backhand as bh
from backhand.estimators.online import OnlineClassifier, OnlineRegressor

MODELS = [OnlineClassifier, OnlineRegressor]


@pytest.mark.parametrize("kind", MODELS)
def test_a_weight_multiplies_the_rate(kind) -> None:
    weighed, faster = (kind(seed=0, rule=bh.SGD()) for _ in range(2))
    for n in range(100):
        x, y, w = {"a": n % 7}, float(n % 7), 0.5 + n % 3
        weighed.learn_one(x, y, w=w)
        faster.learning_rate = 0.005 * w
        faster.learn_one(x, y)
    assert weighed._outputs_for({"a": 3}) == faster._outputs_for({"a": 3})
    raw = weighed._outputs_for({"a": 3})
    weighed.learn_one({"a": 3}, 5.0, w=0)
    assert weighed._outputs_for({"a": 3}) == pytest.approx(raw, abs=0.02)  # the mean of a moves


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_no_weight_is_refused_and_nothing_learnt(kind) -> None:
    model, table = kind(seed=0), pd.DataFrame({"a": [1, 2]})
    model.learn_one({"a": 1}, 1)
    before = [tensor.clone() for tensor in model._learner.tensors().values()]
    for w, error in (
        (-1.0, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
        ("1", TypeError),
    ):
        with pytest.raises(error, match=rf"{kind.__name__}: expected .*\bw\b"):
            model.learn_one({"a": 3}, 2, w=w)
        with pytest.raises(error, match=rf"{kind.__name__}: expected .*\bw\b"):
            model.learn_many(table, pd.Series([1, 2]), w=[1, w])
    with pytest.raises(ValueError, match=r"2 rows, and 2 [a-z]* of 1 weights"):
        model.learn_many(table, pd.Series([1, 2]), w=[1])
    after = model._learner.tensors().values()
    assert all(map(torch.equal, before, after))
    assert 2 not in getattr(model, "classes_", [])


def test_many_weighed_rows_of_classes_are_learnt_as_each_is() -> None:
    source = random.Random(1)
    xs = [{"a": source.gauss(0, 1), "b": source.gauss(0, 1)} for _ in range(200)]
    ys = ["late" if n > 120 and x["b"] > 0 else x["a"] > 0 for n, x in enumerate(xs)]
    ws = [source.choice([0.0, 1.0, 2.5]) for _ in xs]
    one, many = OnlineClassifier(seed=0), OnlineClassifier(seed=0)
    for x, y, w in zip(xs, ys, ws, strict=True):
        one.learn_one(x, y, w=w)
    many.learn_many(pd.DataFrame(xs), pd.Series(ys), w=ws)
    assert one.classes_ == many.classes_
    assert "late" in one.classes_
    for left, right in zip(
        one._learner.tensors().values(), many._learner.tensors().values(), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)
