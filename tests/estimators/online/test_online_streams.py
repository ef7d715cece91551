"""Features and classes come and go; many rows at once; memory; bad input."""

from __future__ import annotations

import gc
import math
import random
import tracemalloc
from collections import defaultdict

import pandas as pd
import pytest
import torch
from streams import KINDS, answer, learn, rows, target

from backhand import SGD, NonFiniteLoss
from backhand.estimators.online import OnlineAnomalyDetector, OnlineClassifier, OnlineRegressor

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_before_the_first_row_there_is_nothing_to_say(kind) -> None:
    assert answer(kind(), {"a": 1.0}) == ({} if kind is OnlineClassifier else 0.0)
    if kind is OnlineClassifier:
        assert kind().predict_one({"a": 1.0}) is None


@kinds
def test_growing_leaves_what_was_learnt(kind) -> None:
    model = kind(seed=0)
    learn(model, rows(200))
    before = [answer(model, x) for x in rows(10, seed=1)]
    model._admit([f"new{i}" for i in range(30)])
    assert model._learner.inputs == 40
    assert model._learner.updates == [200] * len(model._learner.updates)
    name, weight = next(iter(model._learner.network.parameters().items()))
    assert weight.state["square"][:, :4].ne(0).any(), name
    assert weight.state["square"][:, 8:].eq(0).all(), name
    after = [answer(model, x) for x in rows(10, seed=1)]
    if kind is OnlineClassifier:
        before, after = ([list(each.values()) for each in some] for some in (before, after))
    torch.testing.assert_close(torch.tensor(after), torch.tensor(before), rtol=1e-4, atol=1e-5)


@kinds
def test_a_feature_that_appears_is_learnt_from(kind) -> None:
    model = kind(seed=0)
    learn(model, rows(100, features=2))
    learn(model, rows(300, features=20))
    assert len(model._columns.places) == 20
    assert model._learner.statistics.count.value[:20].tolist() == [400.0] * 2 + [300.0] * 18
    weight = next(iter(model._learner.network.parameters().values())).value
    fresh = kind(seed=0)
    learn(fresh, rows(1, features=20))
    unlearnt = next(iter(fresh._learner.network.parameters().values())).value
    assert weight.shape == unlearnt.shape
    assert not torch.equal(weight[:, 5], unlearnt[:, 5])


@kinds
def test_missing_none_and_nan_are_the_same(kind) -> None:
    models = [kind(seed=0) for _ in range(3)]
    for n, x in enumerate(rows(60)):
        gone = f"f{n % 4}"
        y = target(kind, x)
        spellings = (
            {name: value for name, value in x.items() if name != gone},
            x | {gone: None},
            x | {gone: math.nan},
        )
        if n:
            for model, spelling in zip(models, spellings, strict=True):
                learn_as(model, spelling, y)
        else:
            for model in models:
                learn_as(model, x, y)
    first, *others = [answer(model, {"f0": 4.0, "f3": None}) for model in models]
    assert all(other == first for other in others)


def learn_as(model, x, y) -> None:
    if isinstance(model, OnlineAnomalyDetector):
        model.learn_one(x)
    else:
        model.learn_one(x, y)


@kinds
def test_order_of_the_features_changes_nothing(kind) -> None:
    one, other = kind(seed=0), kind(seed=0)
    for x in rows(50, features=11):
        names = list(x)
        random.shuffle(names)
        learn(one, [x])
        learn_as(other, {name: x[name] for name in names}, target(kind, x))
    assert answer(one, x) == answer(other, x)


@kinds
def test_the_feature_seen_least_gives_way(kind) -> None:
    model = kind(seed=0, max_features=8)
    learn(model, rows(50, features=7))
    learn(model, [{"rare": 1.0, "f0": 2.0}] * 3)
    assert list(model._columns.places)[7] == "rare"
    learn(model, [{"new": 9.0, "f1": 2.0}])
    assert list(model._columns.places)[7] == "new"
    assert model._learner.inputs == 8
    assert model._learner.statistics.count.value[7] == 1
    assert model._learner.statistics.mean.value[7] == 9.0
    for i in range(100):
        learn(model, [{f"word{i}": 1.0, "f0": 1.0}])
    assert len(model._columns.places) == 8
    assert set(list(model._columns.places)[:7]) == {f"f{i}" for i in range(7)}


def test_classes_appear_one_by_one() -> None:
    model = OnlineClassifier(seed=0)
    for label in range(9):
        for x in rows(40, seed=label):
            model.learn_one({name: value + 10 * label for name, value in x.items()}, label)
        probabilities = model.predict_proba_one(x)
        assert list(probabilities) == model.classes_ == list(range(label + 1))
        assert sum(probabilities.values()) == pytest.approx(1)
    assert model._learner.outputs == 16


def test_too_many_classes_are_numbers() -> None:
    model = OnlineClassifier(max_classes=3)
    for number in (0.5, 1.5, 2.5):
        model.learn_one({"a": 1.0}, number)
    with pytest.raises(ValueError, match=r"3\.5 would be class 4.* there is OnlineRegressor"):
        model.learn_one({"a": 1.0}, 3.5)


@kinds
def test_many_rows_are_as_one_after_another_to_the_bit(kind) -> None:
    one, many = kind(seed=0), kind(seed=0)
    stream = rows(120)
    stream[30]["f1"] = math.nan
    learn(one, stream)
    for begin in (0, 50):
        part = stream[begin : begin + 50] if begin == 0 else stream[begin:]
        table = pd.DataFrame(part)
        labels = [] if kind is OnlineAnomalyDetector else [[target(kind, x) for x in part]]
        many.learn_many(table, *map(pd.Series, labels))
    probe = pd.DataFrame(rows(20, seed=5), index=range(100, 120))
    ones = [answer(one, x) for x in probe.to_dict("records")]
    if kind is OnlineClassifier:
        table = many.predict_proba_many(probe)
        assert list(table.columns) == one.classes_
        for mine, theirs in zip(ones, table.to_dict("records"), strict=True):
            assert mine == pytest.approx(theirs, rel=1e-12)
        labels = many.predict_many(probe)
        assert labels.tolist() == [one.predict_one(x) for x in probe.to_dict("records")]
        assert labels.index.tolist() == probe.index.tolist()
    else:
        found = (
            many.score_many(probe) if kind is OnlineAnomalyDetector else many.predict_many(probe)
        )
        assert found.tolist() == ones
        assert found.index.tolist() == probe.index.tolist()


@kinds
def test_no_rows_and_no_learning_yet(kind) -> None:
    model, table = kind(seed=0), pd.DataFrame(rows(3))
    for learnt in (False, True):
        if kind is OnlineClassifier:
            assert model.predict_proba_many(table).shape == (3, len(model.classes_))
        many = model.score_many if kind is OnlineAnomalyDetector else model.predict_many
        assert len(many(table)) == 3
        assert len(many(table[:0])) == 0
        if not learnt:
            learn(model, rows(10))


@kinds
def test_memory_is_flat(kind) -> None:
    model, stream = kind(seed=0), rows(500)
    learn(model, stream)
    answer(model, stream[0])
    gc.collect()
    tracemalloc.start()
    for _ in range(4):
        learn(model, stream)
        for x in stream:
            answer(model, x)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000


BAD = [
    ({"a": "red"}, TypeError, "feature 'a': expected a number, got 'red'"),
    ({"a": math.inf}, ValueError, "feature 'a': expected a finite number or NaN, got inf"),
    ({"a": 10**400}, ValueError, "feature 'a': expected a finite number"),
    ([1.0], TypeError, "expected a dict of features, got list"),
]


@kinds
@pytest.mark.parametrize(
    ("x", "error", "message"), BAD, ids=["text", "infinite", "too large", "list"]
)
def test_bad_rows_are_refused_and_change_nothing(kind, x, error, message) -> None:
    model = kind(seed=0)
    learn(model, [{"a": value} for value in (1.0, 2.0, 3.0)])
    before = answer(model, {"a": 2.5})
    for ask in (lambda: learn_as(model, x, 1.0), lambda: answer(model, x)):
        with pytest.raises(error, match=message):
            ask()
    after = answer(model, {"a": 2.5})
    assert after == before


def test_a_dict_that_makes_up_values_is_left_alone() -> None:
    model = OnlineRegressor(seed=0)
    learn(model, rows(5))
    x = defaultdict(float, f0=1.0, f1=2.0, other=3.0, f2=1.0)
    model.predict_one(x)
    model.learn_one(x, 1.0)
    assert sorted(x) == ["f0", "f1", "f2", "other"]


def test_a_label_refused_leaves_a_model_that_works() -> None:
    model = OnlineClassifier(seed=0)
    with pytest.raises(TypeError, match="expected a label"):
        model.learn_one({"a": 1.0}, None)
    with pytest.raises(TypeError, match="expected a label"):
        model.learn_many(pd.DataFrame(rows(3)), pd.Series(["x", None, "y"]))
    assert model.predict_proba_one({"a": 1.0}) == {}
    with pytest.raises(TypeError, match="feature 'a'"):
        model.learn_one({"a": "red"}, "x")
    assert model.predict_one({"a": 1.0}) is None


@pytest.mark.parametrize("y", [None, math.nan], ids=str)
def test_a_label_or_target_that_is_none(y) -> None:
    with pytest.raises(TypeError, match="expected a label"):
        OnlineClassifier().learn_one({"a": 1.0}, y)
    with pytest.raises((TypeError, ValueError), match="target"):
        OnlineRegressor().learn_one({"a": 1.0}, y)


def test_a_target_that_is_text_or_infinite() -> None:
    with pytest.raises(TypeError, match="expected a number as target, got 'high'"):
        OnlineRegressor().learn_one({"a": 1.0}, "high")
    with pytest.raises(ValueError, match="expected a finite target, got inf"):
        OnlineRegressor().learn_one({"a": 1.0}, math.inf)


def test_a_row_wider_than_allowed() -> None:
    with pytest.raises(ValueError, match="a row of 4 features; max_features=3"):
        OnlineRegressor(max_features=3).learn_one(rows(1)[0], 1.0)


def test_as_many_targets_as_rows() -> None:
    table = pd.DataFrame(rows(3))
    for model in (OnlineClassifier(), OnlineRegressor()):
        with pytest.raises(ValueError, match="3 rows, and 2"):
            model.learn_many(table, pd.Series([1, 2]))


def test_weights_that_run_away_are_noticed() -> None:
    model = OnlineRegressor(rule=SGD(), learning_rate=1e6, seed=0)
    with pytest.raises(NonFiniteLoss, match="smaller learning_rate"):
        learn(model, rows(100))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": (0,)}, "hidden"),
        ({"activation": "gelu"}, "one of relu, sigmoid, tanh"),
        ({"learning_rate": -1.0}, "learning rate"),
        ({"rule": "adam"}, "UpdateRule"),
        ({"max_features": 0}, "max_features"),
    ],
    ids=str,
)
@kinds
def test_settings_out_of_range(kind, settings, message) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        kind(**settings)


def test_a_linear_model_and_other_rules() -> None:
    for rule in (SGD(), None):
        model = OnlineRegressor(hidden=(), rule=rule, learning_rate=0.01, seed=0)
        learn(model, rows(2000))
        errors = [abs(model.predict_one(x) - target(OnlineRegressor, x)) for x in rows(50, seed=3)]
        assert sum(errors) / 50 < 1
