"""A table's model whose parts do not fit is refused when it is read, not when it predicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from backhand import Sequential, Stack, Tanh, save
from backhand.estimators.tables import TableClassifier, TableRegressor, load_table_model
from backhand.networks import NetworkFileError
from mutations import edited


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    found = pd.DataFrame({"age": draw.normal(size=40), "town": draw.choice([*"abc"], 40)})
    found["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 999, 40), "D")
    found["yes"] = draw.random(40) > 0.5
    found.loc[3, "age"] = np.nan
    return found


@pytest.fixture(scope="module")
def models(table, tmp_path_factory) -> dict[type, bytes]:
    path = tmp_path_factory.mktemp("models") / "model"
    found = {}
    for kind, target in ((TableClassifier, table["town"]), (TableRegressor, np.arange(40.0))):
        model = kind(hidden=(4,), epochs=1, members=2, random_state=0).fit(table, target)
        model.save(path)
        found[kind] = path.read_bytes()
        assert np.array_equal(load_table_model(path).predict(table), model.predict(table))
    return found


def code(described, column: int) -> dict:
    return described["about"]["table"]["encoding"]["codes"][column]


def about(described) -> dict:
    return described["about"]["table"]


EDITS = {
    "a category fewer": lambda d: code(d, 1)["categories"].pop(),
    "a category twice": lambda d: code(d, 1).update(categories=["a", "b", "b"]),
    "a category that is no text": lambda d: code(d, 1).update(categories=["a", "b", 3]),
    "categories of numbers": lambda d: code(d, 0).update(categories=["a"]),
    "a kind that is none": lambda d: code(d, 0).update(kind="image"),
    "dates for numbers": lambda d: code(d, 0).update(kind="date"),
    "gaps of booleans": lambda d: code(d, 3).update(shows_missing=True),
    "no gaps, and a column for them": lambda d: code(d, 0).update(shows_missing=False),
    "a median that is a text": lambda d: code(d, 0).update(median="1"),
    "a median that is none": lambda d: code(d, 0).update(median=float("nan")),
    "a day that is none": lambda d: code(d, 2).update(median=1e300),
    "a column fewer": lambda d: about(d)["encoding"]["codes"].pop(),
    "a centre fewer": lambda d: about(d)["encoding"]["centres"].pop(),
    "an infinite factor": lambda d: about(d)["encoding"]["factors"].__setitem__(0, float("inf")),
    "no encoding": lambda d: about(d).pop("encoding"),
    "features that do not count": lambda d: about(d).update(features=3),
    "other names": lambda d: about(d)["names"].reverse(),
    "a target that is a number": lambda d: about(d).update(target=1),
    "no rows in a batch": lambda d: about(d)["arguments"].update(batch_size=0),
    "an argument that is none": lambda d: about(d)["arguments"].update(depth=3),
    "something to call": lambda d: about(d)["arguments"].update(on_epoch="print"),
    "a random state that is a text": lambda d: about(d)["arguments"].update(random_state="x"),
    "members that are no networks of rows": lambda d: (
        d["network"]["branches"].reverse() or d["network"]["branches"].append({"class": "Tanh"})
    ),
}
LEARNT = {
    TableClassifier: {
        "a class fewer": lambda learnt: learnt["classes"].pop(),
        "a class twice": lambda learnt: learnt.update(classes=["a", "b", "b"]),
        "a class of another type": lambda learnt: learnt.update(classes=["a", "b", 3]),
        "a type of numbers": lambda learnt: learnt.update(dtype="<i8"),
        "a type that cuts": lambda learnt: learnt.update(classes=["aa", "ab", "b"], dtype="<U1"),
        "a type beyond any memory": lambda learnt: learnt.update(dtype="<U500000000"),
        "a type of bytes": lambda learnt: learnt.update(dtype="|V8"),
    },
    TableRegressor: {
        "a mean that is none": lambda learnt: learnt.update(mean=float("nan")),
        "a deviation of 0": lambda learnt: learnt.update(deviation=0.0),
        "a deviation that is True": lambda learnt: learnt.update(deviation=True),
    },
}
CASES = [(kind, name, edit) for kind in LEARNT for name, edit in EDITS.items()]
CASES += [
    (kind, name, lambda d, edit=edit: edit(about(d)["learnt"]))
    for kind, edits in LEARNT.items()
    for name, edit in edits.items()
]
CASES.append(
    (
        TableClassifier,
        "smoothing beyond 1",
        lambda d: about(d)["arguments"].update(label_smoothing=1.5),
    )
)


@pytest.mark.parametrize(
    ("kind", "edit"), [(k, e) for k, _, e in CASES], ids=[f"{k.__name__}: {n}" for k, n, _ in CASES]
)
def test_a_model_that_does_not_fit_together_is_refused(kind, edit, models, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(models[kind])
    edited(path, lambda described, tensors: edit(described))
    for load in (kind.load, load_table_model):
        with pytest.raises(
            NetworkFileError, match=r"model\.safetensors: it does not fit together \("
        ):
            load(path)


def test_a_model_of_another_kind_or_none_is_refused(models, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(models[TableRegressor])
    for name, says in (("x" * 10**6, "found a xxx"), (["TableRegressor"], "the name of an estim")):
        edited(path, lambda described, tensors, name=name: about(described).update(estimator=name))
        for load in (TableRegressor.load, load_table_model):
            with pytest.raises(NetworkFileError, match=says) as caught:
                load(path)
            assert len(str(caught.value)) < 500
    save(Stack([Sequential([Tanh()])]), path)
    with pytest.raises(NetworkFileError, match="found a network without one"):
        load_table_model(path)


def test_a_network_that_takes_no_row_of_the_table_is_refused(models, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(models[TableRegressor])

    def widen(described, tensors) -> None:
        tensors.update({name: each.to(torch.float64) for name, each in tensors.items()})

    edited(path, widen)
    with pytest.raises(NetworkFileError, match="does not fit together"):
        load_table_model(path)


def test_what_could_not_be_read_is_not_saved(table, tmp_path) -> None:
    model = TableRegressor(hidden=(4,), epochs=1).fit(table, np.arange(40.0))
    model.set_params(members=3).save(tmp_path / "model")  # the next fit's, not this network's
    assert len(load_table_model(tmp_path / "model").predict(table)) == 40
    with pytest.raises(ValueError, match="batch_size"):
        model.set_params(batch_size=0).save(tmp_path / "model")
