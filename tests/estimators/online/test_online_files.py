"""Saved and restored, copied and pickled: learning goes on as if nothing had happened."""

from __future__ import annotations

import copy
import pickle
import time

import pytest
from streams import KINDS, answer, learn, rows

from backhand import Adam, Momentum
from backhand.estimators.online import OnlineClassifier, OnlineRegressor
from backhand.learning.rules import UpdateRule
from backhand.networks.saving import NetworkFileError, save
from mutations import edited

NAN = float("nan")
kinds = pytest.mark.parametrize("kind", KINDS)


def through_a_file(model, path):
    model.save(path / "model.safetensors")
    return type(model).load(path / "model.safetensors")


WAYS = {
    "file": through_a_file,
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, path: copy.deepcopy(model),
}


@kinds
@pytest.mark.parametrize(
    ("way", "rule"),
    [("file", None), ("file", Momentum(0.5)), ("pickle", None), ("deepcopy", None)],
    ids=str,
)
def test_learning_goes_on_bit_for_bit(kind, way, rule, tmp_path) -> None:
    model = kind(hidden=(6,), activation="tanh", rule=rule, learning_rate=0.01)
    learn(model, rows(40))
    again = WAYS[way](model, tmp_path)
    assert repr(again) == repr(model)
    for each in (model, again):
        learn(each, rows(40, features=12, seed=1))
    for x in rows(20, seed=2):
        assert answer(again, x) == answer(model, x)


@kinds
def test_what_has_learnt_nothing_can_be_saved(kind, tmp_path) -> None:
    model = kind()
    again = through_a_file(model, tmp_path)
    for each in (model, again):
        learn(each, rows(5))
    assert answer(again, rows(1)[0]) == answer(model, rows(1)[0])


def test_the_file_is_small_and_holds_labels_of_several_types(tmp_path) -> None:
    model = OnlineClassifier(hidden=(32,))
    for x, y in zip(rows(6, features=10), ["a", 1, 2.5, True, False, 1], strict=True):
        model.learn_one(x | {7: 1.0}, y)
    again = through_a_file(model, tmp_path)
    assert again.classes_ == ["a", 1, 2.5, False]
    assert list(map(type, again.classes_)) == list(map(type, model.classes_))
    assert again._columns.places == model._columns.places
    assert (tmp_path / "model.safetensors").stat().st_size < 20_000


def test_files_that_are_something_else(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    model = OnlineClassifier(seed=0)
    learn(model, rows(5))
    model.save(path)
    with pytest.raises(
        NetworkFileError, match=r"model\.safetensors: a saved OnlineClassifier, not"
    ):
        OnlineRegressor.load(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(NetworkFileError, match=r"model\.safetensors: .*cut short"):
        OnlineClassifier.load(path)
    path.write_bytes(whole.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    with pytest.raises(NetworkFileError, match="format 9; this Backhand reads up to 1"):
        OnlineClassifier.load(path)
    path.write_bytes(whole.replace(b": [64]", b": [65]"))
    with pytest.raises(NetworkFileError, match="does not fit"):
        OnlineClassifier.load(path)
    save(model._learner.network.layers[1], path)
    with pytest.raises(NetworkFileError, match="not an online estimator"):
        OnlineClassifier.load(path)


EDITS = {
    "a class fewer": lambda d, t: d["classes"].pop(),
    "a class more": lambda d, t: d["classes"].append("x"),
    "a class twice": lambda d, t: d["classes"].__setitem__(1, d["classes"][0]),
    "a class that is a list": lambda d, t: d["classes"].__setitem__(0, [1]),
    "a feature twice": lambda d, t: d["features"].append(d["features"][0]),
    "more features than inputs": lambda d, t: d["features"].extend(range(100)),
    "inputs that are True": lambda d, t: d.update(inputs=True),
    "inputs beyond any memory": lambda d, t: d.update(inputs=10**12),
    "no learner, and tensors": lambda d, t: d.update(inputs=0, updates=[], features=[]),
    "an update fewer": lambda d, t: d["updates"].pop(),
    "updates below 0": lambda d, t: d["updates"].__setitem__(0, -1),
    "a seed too large": lambda d, t: d.update(seed=2**70),
    "a large hidden layer": lambda d, t: d["settings"].update(hidden=[30_000, 30_000]),
    "a hidden layer of True": lambda d, t: d["settings"].update(hidden=[True]),
    "a rule of another kind": lambda d, t: d["settings"].update(rule={"class": "os"}),
    "a rule with a text": lambda d, t: d["settings"].update(
        rule={"class": "SGD", "weight_decay": ""}
    ),
    "a rate that is True": lambda d, t: d["settings"].update(learning_rate=True),
    "an activation that is a list": lambda d, t: d["settings"].update(activation=[]),
    "no settings": lambda d, t: d.pop("settings"),
    "settings of another": lambda d, t: d["settings"].update(alpha=1),
}


@pytest.mark.parametrize("name", EDITS)
def test_files_that_do_not_fit_together(name, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    model = OnlineClassifier(seed=0, hidden=(4,))
    learn(model, rows(20))
    model.save(path)
    edited(path, EDITS[name])
    begin = time.process_time()
    with pytest.raises(NetworkFileError, match=r"model\.safetensors: it does not fit together \("):
        OnlineClassifier.load(path)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    "targets",
    [
        {"count": -1},
        {"count": 9},
        {"spread": 0.0},
        {"center": NAN},
        {"window": [1.0, NAN, 2.0]},
        {"window": 5},
        {"more": 1},
        5,
    ],
    ids=str,
)
def test_targets_that_are_none(targets, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    model = OnlineRegressor(seed=0, hidden=(4,))
    learn(model, rows(5))
    model.save(path)
    right = {"count": 3, "center": 0.0, "spread": 1.0, "window": [1.0, 2.0, 3.0]}
    edited(path, lambda described, tensors: described.update(targets=right))
    OnlineRegressor.load(path)
    changed = right | targets if targets != 5 else 5
    edited(path, lambda described, tensors: described.update(targets=changed))
    with pytest.raises(NetworkFileError, match="does not fit together"):
        OnlineRegressor.load(path)


class Own(UpdateRule):
    def update(self, parameter, gradient, learning_rate) -> None:
        parameter.value.add_(gradient, alpha=-learning_rate)


def test_what_a_file_cannot_hold_is_refused_and_leaves_no_file(tmp_path) -> None:
    odd = OnlineRegressor()
    odd.learn_one({("a", 1): 1.0}, 1.0)
    for model, message in (
        (odd, r"\('a', 1\), among the features"),
        (OnlineRegressor(rule=Own()), "the rule"),
    ):
        with pytest.raises(TypeError, match=message):
            model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_copies_hold_what_a_file_cannot() -> None:
    model = OnlineClassifier(rule=Own())
    for i in range(20):
        model.learn_one({("a", 1): i, ("a", 2): i % 3}, ("odd", "even")[i % 2 == 0])
    again = pickle.loads(pickle.dumps(model))
    for each in (model, again):
        each.learn_one({("a", 1): 3}, ("both",))
    assert again.classes_ == ["even", "odd", ("both",)]
    assert answer(again, {("a", 2): 1}) == answer(model, {("a", 2): 1})


def test_settings_come_back(tmp_path) -> None:
    model = OnlineRegressor((3,), "sigmoid", 0.25, Adam(beta1=0.5), 7, 9)
    assert through_a_file(model, tmp_path)._settings() == model._settings()
