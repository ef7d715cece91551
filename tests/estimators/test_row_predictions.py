"""A prediction of a row has the same bits whatever rows stand beside it, in every estimator."""

from __future__ import annotations

import copy
import functools
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from mlp_tables import BINARY, COUNTS, LABELS, NUMBERS, XR, X, Y
from scipy import sparse

import backhand as bh
from backhand.estimators import (
    MLPClassifier,
    MLPRegressor,
    OnlineAnomalyDetector,
    OnlineClassifier,
    OnlineRegressor,
    TableClassifier,
    TableRegressor,
)
from backhand.estimators.rows import BLOCK, RowPredictor
from backhand.layers.standardized import Standardized
from backhand.program import Native, Replay
from backhand.training.threads import running_on

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROWS = 36


# What is asked, and for whom.


class Sorted(bh.Layer):
    """Each row's numbers in order: a call that Native does not know."""

    def forward(self, input: Any, training: bool) -> Any:
        return torch.sort(input, -1).values, None


class Branching(bh.Layer):
    """Sigmoid, and a look at the numbers, which cannot be recorded."""

    def forward(self, input: Any, training: bool) -> Any:
        output = torch.sigmoid(input) * 3
        return (output if float(input.sum()) > -1e9 else input), output

    def propagate(self, error: Any, output: Any, learning_rate: float) -> Any:
        return error * output * (1 - output / 3)


def own(*layers: bh.Layer) -> bh.Sequential:
    torch.manual_seed(3)
    return bh.Sequential([bh.FullyConnected(8, 30), bh.Tanh(), *layers, bh.FullyConnected(30, 3)])


MLPS: dict[str, Callable[[], Any]] = {
    "classes": lambda: MLPClassifier(max_iter=3).fit(X, Y),
    "two classes, tanh": lambda: MLPClassifier(activation="tanh", max_iter=3).fit(X, BINARY),
    "labels, logistic": lambda: MLPClassifier((21, 13), "logistic", max_iter=3).fit(X, LABELS),
    "numbers": lambda: MLPRegressor(max_iter=3).fit(XR, NUMBERS),
    "numbers, in float32": lambda: MLPRegressor(max_iter=3).fit(XR.astype(np.float32), NUMBERS),
    "counts": lambda: MLPRegressor("poisson", activation="identity", max_iter=3).fit(X, COUNTS),
    "own network": lambda: MLPClassifier(network=own(bh.Mish()), max_iter=2).fit(X, Y),
}
NOT_NATIVE = {
    "sorted": lambda: bh.Sequential([own(), Sorted()]),
    "branching": lambda: own(Branching()),
}


@functools.cache
def table() -> pd.DataFrame:
    """Numbers, text, truth, dates, objects of mixed types, and gaps."""
    random = np.random.default_rng(0)
    found = pd.DataFrame(X[:120, :3], columns=["a", "b", "c"])
    found["city"] = random.choice(np.array(["Oslo", "Bern", None, "Rome"], dtype=object), 120)
    found["mixed"] = random.choice(np.array([1, "one", True, 2.5, None], dtype=object), 120)
    found["counted"] = random.choice(np.array([1, True, 2.5, None], dtype=object), 120)
    found["member"] = random.random(120) < 0.5
    days = random.integers(0, 1000, 120).astype("timedelta64[D]")
    found["start"] = np.datetime64("2020-01-01") + days
    found.loc[::7, "a"] = np.nan
    found.loc[::5, "start"] = pd.NaT
    return found


QUICK: dict[str, Any] = {"hidden": (24, 40), "epochs": 3, "random_state": 0}
TABLES: dict[str, Callable[[], Any]] = {
    "classes": lambda: TableClassifier(**QUICK).fit(table(), Y[:120]),
    "two classes, three members": lambda: TableClassifier(members=3, **QUICK).fit(
        table(), BINARY[:120]
    ),
    "numbers, as wide as by default": lambda: TableRegressor(epochs=4, random_state=0).fit(
        table(), NUMBERS[:120, 0]
    ),
    "numbers, three members": lambda: TableRegressor(members=3, **QUICK).fit(
        table(), NUMBERS[:120, 0]
    ),
}


@functools.cache
def fitted(kinds: str, name: str) -> Any:
    return {"mlp": MLPS, "table": TABLES}[kinds][name]()


def answers(model: Any, rows: Any) -> dict[str, np.ndarray]:
    """All that an estimator says of rows."""
    ways = ("predict", "predict_proba", "predict_log_proba")
    return {way: getattr(model, way)(rows) for way in ways if hasattr(model, way)}


def expect_same(found: dict[str, Any], alone: list[dict[str, Any]], rows: list[int]) -> None:
    """Refuse answers that differ by a bit from those for each row by itself."""
    for way, values in found.items():
        expected = np.concatenate([alone[row][way] for row in rows])
        np.testing.assert_array_equal(values, expected, way)


batches = st.lists(st.integers(0, ROWS - 1), min_size=2, max_size=2 * ROWS)


@contextmanager
def compiler(there: bool) -> Iterator[None]:
    """With the machine's compiler, or without any."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        if not there:
            patch.setenv("CC", "no-such-compiler")
            warnings.filterwarnings("ignore", "Replay runs the steps", UserWarning)
        yield


with_and_without_compiler = pytest.mark.parametrize("there", [True, False], ids=["CC", "no CC"])


@functools.cache
def asked(kinds: str, name: str, there: bool) -> tuple[Any, Any, list[dict[str, Any]]]:
    """A model that has recorded nothing yet, rows for it, and what it says of each alone."""
    model = pickle.loads(pickle.dumps(fitted(kinds, name)))
    rows = table()[:ROWS] if kinds == "table" else X[:ROWS]
    with compiler(there):
        alone = [answers(model, rows[i : i + 1]) for i in range(ROWS)]
    engine = model._predictor._rows._prediction.engine
    assert isinstance(engine, Native if there else Replay)
    return model, rows, alone


def taken(rows: Any, order: list[int]) -> Any:
    return rows.iloc[order] if isinstance(rows, pd.DataFrame) else rows[order]


# Perceptrons and tables.


@with_and_without_compiler
@pytest.mark.parametrize(
    ("kinds", "name"), [*(("mlp", name) for name in MLPS), *(("table", name) for name in TABLES)]
)
@settings(max_examples=6, phases=[Phase.generate])
@given(order=batches, threads=st.integers(1, 2))
def test_alone_and_in_any_batch(kinds, name, there, order, threads) -> None:
    with compiler(there):
        model, rows, alone = asked(kinds, name, there)
        with running_on(threads):
            expect_same(answers(model, taken(rows, order)), alone, order)


@with_and_without_compiler
@pytest.mark.parametrize(
    ("kinds", "name"), [("mlp", "classes"), ("table", "numbers, three members")]
)
def test_in_a_copy_and_on_other_threads(kinds, name, there, tmp_path) -> None:
    with compiler(there):
        model, rows, alone = asked(kinds, name, there)
        copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
        if kinds == "table":
            model.save(tmp_path / "model.safetensors")
            copies.append(type(model).load(tmp_path / "model.safetensors"))
        for each in copies:
            with running_on(2):
                expect_same(answers(each, rows), alone, list(range(ROWS)))
                expect_same(answers(each, rows[:1]), alone, [0])


def test_however_the_rows_are_given() -> None:
    model, rows, alone = asked("mlp", "classes", True)
    everything = list(range(ROWS))
    for given_as in (rows.tolist(), sparse.csr_matrix(rows), np.asfortranarray(rows), rows[::1]):
        expect_same(answers(model, given_as), alone, everything)
    expect_same(answers(model, rows[::-2]), alone, everything[::-2])


@pytest.mark.parametrize("name", NOT_NATIVE)
def test_a_network_of_ones_own_that_c_cannot_say(name) -> None:
    predictor = RowPredictor(NOT_NATIVE[name]())
    rows = torch.randn(ROWS, 8)
    alone = torch.cat([predictor.many(row) for row in torch.split(rows, 1)])
    for threads in (1, 2):
        with running_on(threads):
            for order in (torch.randperm(ROWS), torch.arange(ROWS - 5)):
                assert torch.equal(predictor.many(rows[order]), alone[order])
    torch.testing.assert_close(alone, predictor.network.predict(rows))


def test_objects_are_read_as_in_training_whichever_rows_are_given() -> None:
    """The number 1 by itself is a number, and True a truth; in these columns they were others."""
    model, rows, _ = asked("table", "classes", True)
    kinds = {code.name: code.kind for code in model.encoding_.codes}
    assert (kinds["mixed"], kinds["counted"]) == ("category", "number")
    for name, values in (("mixed", [1, True, 2.5, "one", None]), ("counted", [True, 2.5, None])):
        changed = pd.concat([rows[:1]] * len(values), ignore_index=True)
        changed[name] = np.array(values, dtype=object)
        whole = model.predict_proba(changed)
        assert len(np.unique(whole, axis=0)) == len(values)
        for i in range(len(values)):
            assert np.array_equal(model.predict_proba(changed[i : i + 1]), whole[i : i + 1])


# Blocks of rows.


@pytest.fixture
def blocks_at_once(monkeypatch):
    monkeypatch.setattr("backhand.estimators.rows.SECONDS_BEFORE_BLOCKS", 0.0)
    monkeypatch.setattr("backhand.estimators.rows.WORTH_BLOCKS", 0)
    monkeypatch.setattr("backhand.estimators.rows.ROWS_AT_ONCE", 2 * BLOCK)


@pytest.mark.parametrize(
    ("kinds", "name"), [("mlp", "two classes, tanh"), ("table", "two classes, three members")]
)
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_give_the_bits_of_rows(kinds, name, threads, blocks_at_once) -> None:
    _, rows, alone = asked(kinds, name, True)
    model = pickle.loads(pickle.dumps(fitted(kinds, name)))
    order = np.random.default_rng(0).integers(0, ROWS, 3 * BLOCK + 17).tolist()
    with running_on(threads):
        expect_same(answers(model, taken(rows, order)), alone, order)
    blocks = model._predictor._rows._blocks
    assert isinstance(blocks.engine, Native)
    assert blocks.latest.plan.arguments["input"].shape[0] == BLOCK


def test_blocks_are_left_where_they_do_not_compile(blocks_at_once, monkeypatch) -> None:
    predictor, rows = RowPredictor(own()), torch.randn(2 * BLOCK, 8)
    alone = torch.cat([predictor.many(row) for row in torch.split(rows, 1)])
    with compiler(there=False):
        monkeypatch.setenv("BACKHAND_CACHE", os.devnull)
        assert torch.equal(predictor.many(rows), alone)
        assert isinstance(predictor._blocks.engine, Replay)
        assert torch.equal(predictor.many(rows), alone)


def test_a_layer_that_looks_at_its_batch_sees_one_row(blocks_at_once) -> None:
    network = bh.Sequential([Standardized(8), bh.FullyConnected(8, 3)])
    predictor, rows = RowPredictor(network), torch.randn(2 * BLOCK, 8, dtype=torch.float64)
    alone = torch.cat([network.predict(row) for row in torch.split(rows, 1)])
    torch.testing.assert_close(predictor.many(rows), alone)
    assert predictor._blocks is None


def test_blocks_wait_until_they_pay(monkeypatch) -> None:
    monkeypatch.setattr("backhand.estimators.rows.SECONDS_BEFORE_BLOCKS", 1e9)
    large = bh.Sequential([bh.FullyConnected(8, 1200), bh.ReLU(), bh.FullyConnected(1200, 3)])
    predictor, rows = RowPredictor(large), torch.randn(2 * BLOCK, 8)
    before = predictor.many(rows)
    assert predictor._blocks is None
    monkeypatch.setattr("backhand.estimators.rows.SECONDS_BEFORE_BLOCKS", 1e-9)
    assert torch.equal(predictor.many(rows), before)
    assert predictor._blocks is not None


# Streams.

STREAMS: dict[str, Callable[[], Any]] = {
    "classes": lambda: OnlineClassifier(seed=0),
    "numbers, tanh": lambda: OnlineRegressor((20, 11), "tanh", seed=0),
    "anomalies, sigmoid": lambda: OnlineAnomalyDetector((5,), "sigmoid", seed=0),
}


def stream() -> pd.DataFrame:
    found = pd.DataFrame(X[:ROWS, :5], columns=list("abcde"))
    found.loc[::4, "b"] = np.nan
    return found


def one(model: Any, row: dict[str, float]) -> list[Any]:
    """All that a model of a stream says of one row."""
    if isinstance(model, OnlineAnomalyDetector):
        return [model.score_one(row)]
    if isinstance(model, OnlineRegressor):
        return [model.predict_one(row)]
    return [model.predict_one(row), *model.predict_proba_one(row).values()]


def many(model: Any, rows: pd.DataFrame) -> list[list[Any]]:
    """The same of many."""
    if isinstance(model, OnlineAnomalyDetector):
        columns = [model.score_many(rows)]
    elif isinstance(model, OnlineRegressor):
        columns = [model.predict_many(rows)]
    else:
        probabilities = model.predict_proba_many(rows)
        columns = [model.predict_many(rows), *(probabilities[label] for label in probabilities)]
    return [list(each) for each in zip(*columns, strict=True)]


@with_and_without_compiler
@pytest.mark.parametrize("name", STREAMS)
def test_rows_of_a_stream_one_by_one_and_many_at_once(name, there, tmp_path) -> None:
    rows, random = stream(), np.random.default_rng(0)
    with compiler(there):
        model = STREAMS[name]()
        if isinstance(model, OnlineAnomalyDetector):
            model.learn_many(rows)
        else:
            target = Y if isinstance(model, OnlineClassifier) else NUMBERS[:, 0]
            model.learn_many(rows, pd.Series(target[:ROWS]))
        alone = [one(model, row) for row in rows.to_dict("records")]
        model.save(tmp_path / "model.safetensors")
        copies = [
            pickle.loads(pickle.dumps(model)),
            type(model).load(tmp_path / "model.safetensors"),
        ]
        for each in (model, *copies):
            for threads in (1, 2):
                order = random.integers(0, ROWS, 50)
                with running_on(threads):
                    assert many(each, rows.iloc[order]) == [alone[row] for row in order]
                    assert [one(each, rows.iloc[i].to_dict()) for i in range(5)] == alone[:5]
                    assert many(each, rows[3:4]) == [alone[3]]


# Fits of one kind share what was recorded.


def test_a_fit_like_another_is_not_recorded_again_and_predicts_by_its_own_weights() -> None:
    models = [MLPClassifier((13,), max_iter=2, random_state=i).fit(X, Y) for i in range(4)]
    recorded = [list(each._predictor._rows._prediction._programs) for each in models]
    assert [len(each) for each in recorded] == [0, 1, 1, 1]
    found = [each.predict_proba(X) for each in models]
    for model, probabilities in zip(models, found, strict=True):
        again = pickle.loads(pickle.dumps(model))  # which records for itself
        assert np.array_equal(again.predict_proba(X), probabilities)
    assert not np.allclose(found[2], found[3])
    models[2].network_.layers[0].weight.value.zero_()
    models[3].network_.layers[0].weight.value = torch.zeros(13, 8, dtype=torch.float64)
    for model in models[2:]:
        raw = model.network_.predict(torch.from_numpy(X[:1]))
        expected = torch.softmax(raw, 1).numpy().repeat(5, 0)
        np.testing.assert_allclose(model.predict_proba(X[:5]), expected, atol=1e-6)
    assert np.array_equal(models[1].predict_proba(X), found[1])
