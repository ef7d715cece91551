"""Numbers in arrays, lists and data frames, at every door that takes a tensor."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jaxtyping
import numpy as np
import pandas
import polars
import pytest
import torch
from torch import Tensor

import backhand as bh
from backhand.data import batches


@pytest.fixture(autouse=True)
def _as_users_run_it(monkeypatch):
    """Annotations unchecked, as in users' programs: what refuses whole numbers is the layers."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


X = torch.randn(12, 3).double()
CLASSES = torch.randint(3, (12,))

FORMS: dict[str, Callable[[Tensor], Any]] = {
    "array": Tensor.numpy,
    "list": Tensor.tolist,
    "list of arrays": lambda tensor: list(tensor.numpy()),
    "array of float32": lambda tensor: (
        tensor.float().numpy() if tensor.is_floating_point() else tensor.int().numpy()
    ),
    "the other end first": lambda tensor: tensor.numpy().astype(
        tensor.numpy().dtype.newbyteorder()
    ),
    "backwards twice": lambda tensor: tensor.numpy()[::-1].copy()[::-1],
    "read-only": lambda tensor: _read_only(tensor.numpy()),
    "pandas": lambda tensor: _pandas(tensor.numpy()),
    "pandas, column by column": lambda tensor: _nullable(tensor.numpy()),
    "polars": lambda tensor: _polars(tensor.numpy()),
    "objects": lambda tensor: tensor.numpy().astype(object),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _swapped(array):
    return array.astype(array.dtype.newbyteorder())


def _pandas(array):
    return pandas.DataFrame(array) if array.ndim == 2 else pandas.Series(array)


def _nullable(array):
    given = _pandas(array)
    return given.convert_dtypes()


def _polars(array):
    return polars.DataFrame(array) if array.ndim == 2 else polars.Series(array)


def network(outputs: int = 3) -> bh.Sequential:
    torch.manual_seed(0)
    return bh.Sequential([bh.FullyConnected(3, 5), bh.Tanh(), bh.FullyConnected(5, outputs)])


def doors(input: Any, target: Any) -> dict[str, Any]:
    """What every door makes of these, all tensors or numbers."""
    loss, learnt = bh.CrossEntropyLoss(), network()
    step = bh.TrainingStep(learnt, loss, bh.Replay())
    made = {
        "call": network()(input),
        "predict": network().predict(input),
        "prediction": bh.Prediction(network(), bh.Replay())(input),
        "many predictions": bh.Prediction(network(), bh.Replay()).run(input, 5),
        "loss": loss(network().predict(X.float()), target),
        "error": loss.backward(network().predict(X.float()), target),
        "rows": loss.rows(network().predict(X.float()), target),
        "step": step(input, target, 0.1),
        "steps": step.run(input, target, list(range(12)), [0.1] * 3),
        "recorded": step.record(input, target).latest.plan.arguments["input"].dtype,
        "in place": step.in_place(input, target)(0.1),
        "learnt": learnt[0].weight.value,
        "evaluate": bh.evaluate(network(), loss, (input, target), {"accuracy": bh.accuracy()}),
        "batches": [each.targets for each in batches((input, target), 5)],
    }
    made |= bh.gradients(network(), loss, input, target)
    plain = network()
    plain(input)
    made["input error"] = plain.backward(
        target if isinstance(target, str) else _as(input, torch.ones(12, 3)), 0.1
    )
    fitted = network()
    sets = {"validation": (input, target), "test": (input, target)}
    history = bh.fit(fitted, loss, (input, target), epochs=2, engine=bh.Replay(), **sets)
    made["fitted"] = fitted[0].weight.value
    made["history"] = history[-1].measures
    return made


def _as(like: Any, tensor: Tensor) -> Any:
    return tensor if isinstance(like, Tensor) else tensor.double().numpy()


@every_form
def test_every_door_takes_numbers_and_answers_as_for_tensors(form) -> None:
    expected = doors(X.float(), CLASSES)
    found = doors(form(X), form(CLASSES))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        if isinstance(value, Tensor):
            assert isinstance(found[name], Tensor), name
            assert found[name].dtype == value.dtype, name
            assert torch.equal(found[name], value), name
        elif name == "batches":
            assert all(map(torch.equal, value, found[name]))
        else:
            assert found[name] == value, name


def test_numbers_follow_the_dtype_of_the_network() -> None:
    one = network().to(torch.float64)
    assert one.predict(X.numpy()).dtype is torch.float64
    assert torch.equal(one.predict(X.tolist()), one.predict(X))
    step = bh.TrainingStep(one, bh.MSELoss(), bh.Replay())
    assert step(X.numpy(), X.numpy(), 0.1).dtype is torch.float64
    one.to(torch.float32)
    assert step(X.numpy(), X.numpy(), 0.1).dtype is torch.float32


def test_whole_numbers_are_floats_where_floats_are_wanted() -> None:
    corners, values = [[0, 0, 1], [1, 1, 0]], [[0], [1]]
    floats = torch.tensor(corners).float(), torch.tensor(values).float()
    for loss in (bh.MSELoss(), bh.BinaryCrossEntropyLoss()):
        step, twin = (bh.TrainingStep(network(1), loss, bh.Replay()) for _ in range(2))
        for _ in range(2):
            assert torch.equal(step(corners, values, 0.1), twin(*floats, 0.1))
    flags = pandas.DataFrame({"a": [True, False], "b": [False, True], "c": [True, True]})
    expected = network().predict(torch.tensor(flags.to_numpy()).float())
    assert torch.equal(network().predict(flags), expected)
    assert torch.equal(network().predict(flags.assign(c=[1.0, 1.0])), expected)
    shares = np.eye(3, dtype=int)[CLASSES]
    loss, prediction = bh.CrossEntropyLoss(), network().predict(X.float())
    assert torch.equal(loss(prediction, shares), loss(prediction, torch.tensor(shares).float()))


def test_tokens_lengths_and_masks_stay_what_they_are() -> None:
    tokens = bh.Sequential([bh.Embedding(5, 3), bh.Flatten(), bh.FullyConnected(6, 2)])
    given = np.array([[0, 4], [3, 3]], dtype=np.uint8)
    assert torch.equal(tokens.predict(given), tokens.predict(torch.tensor(given).long()))
    with pytest.raises(bh.LayerError, match="expected tokens from 0 to 4, got 5"):
        tokens.predict([[0, 5]])
    with pytest.raises(bh.LayerError, match=r"expected int64 tokens, got torch\.float32"):
        tokens.predict([[0.5, 4]])
    series, attention = bh.LSTM(3, 4), bh.MultiHeadAttention(4, 2)
    x, lengths = torch.randn(2, 6, 3), torch.tensor([6, 2])
    expected = series.predict((x, lengths))
    assert torch.equal(series.predict((x.numpy(), [6, 2])), expected)
    assert torch.equal(series.predict((x, lengths.int().numpy())), expected)
    y, mask = torch.randn(2, 3, 4), torch.tensor([[True, True, False], [True, False, False]])
    found = attention.predict((y.numpy(), mask.numpy()))
    assert torch.equal(found, attention.predict((y, mask)))


def test_a_step_tries_dtypes_once_and_again_where_the_network_is_another() -> None:
    tokens = bh.Sequential([bh.Flatten(), bh.FullyConnected(2, 2)])
    seen: list[torch.dtype] = []

    class Watched(bh.Tanh):
        def forward(self, input, training):
            seen.append(input.dtype)
            return super().forward(input, training)

    tokens.layers.append(Watched())
    step = bh.TrainingStep(tokens, bh.CrossEntropyLoss(), bh.Replay())
    given = np.array([[0, 1], [1, 1]]), np.array([0, 1])
    step(*given, 0.1)
    times = len(seen)
    step(*given, 0.1)
    assert len(seen) == times
    tokens.layers[0] = bh.Sequential([bh.Embedding(2, 1), bh.Flatten()])
    step(*given, 0.1)
    assert len(seen) > times


def test_the_memory_is_their_own() -> None:
    array = X.numpy().copy()
    one, other, loss = network(), network(), bh.MSELoss()
    for each in (one, other):
        each(array)
        if each is one:
            array[:] = 0
        each.backward(torch.ones(12, 3), 0.1)
        array[:] = X
    assert torch.equal(one[0].weight.value, other[0].weight.value)
    assert loss(torch.zeros(2, 1), [[1], [1]]) == 1


def test_gaps_are_nan_and_refused_by_the_row() -> None:
    target = np.zeros((2, 1))
    gaps = {
        "pandas": pandas.DataFrame({"a": [1.0, 2.0], "b": pandas.array([1, None], dtype="Int64")}),
        "truth": pandas.DataFrame(
            {"a": [1.0, 2.0], "b": pandas.array([True, None], dtype="boolean")}
        ),
        "polars": polars.DataFrame({"a": [1.0, 2.0], "b": [1, None]}),
        "masked": np.ma.masked_array([[1, 2], [3, 4]], [[0, 0], [0, 1]]),
    }
    for what, given in gaps.items():
        with pytest.raises(ValueError, match="train inputs: row 1 holds a value that is not"):
            bh.fit(bh.FullyConnected(2, 1), bh.MSELoss(), (given, target))
        assert bh.FullyConnected(2, 1).predict(given)[1].isnan(), what


REFUSED: dict[str, tuple[Any, str]] = {
    "text": ("x", "got a str"),
    "None": (None, "got None"),
    "a number": (1.5, "got a float"),
    "a dict": ({"a": [1.0]}, "got a dict"),
    "a ragged list": ([[1, 2], [3]], "a list whose rows differ in length: row 0 has 2, row 1 1"),
    "a row that is a number": ([[1, 2], 3], "row 0 has 2, row 1 a number"),
    "a deep ragged list": ([[[1, 2], [3]]], "a list whose rows differ in shape"),
    "a string among numbers": ([[1.0, "a"]], r"holds 'a' \(at \[0, 1\]\)"),
    "a gap": ([[1.0, None]], r"holds None \(at \[0, 1\]\)"),
    "strings": (np.array([["a"]]), "an array of strings, a first"),
    "dates": (np.array(["2022-08-27"], "datetime64[D]"), "an array of dates, 2022-08-27 first"),
    "complex": (np.array([1j]), "an array of complex numbers"),
    "too large": (np.array([[2**63]]), "the whole number 9223372036854775808, which int64 does"),
    "far too large": ([[10**400]], "a whole number that int64 does not hold"),
    "tensors in a list": ([torch.ones(2)], r"a list of tensors \(torch.stack makes one"),
    "text in a tuple": ((torch.ones(1, 2), "x"), "got a str at 1 of a tuple"),
    "a pandas column": (pandas.DataFrame({"n": [1], "sex": ["f"]}), r"column 'sex' holds 'f' \(ro"),
    "a category": (
        pandas.DataFrame({"n": [1], "sex": pandas.Categorical(["f"])}),
        "a DataFrame whose column 'sex' holds 'f'",
    ),
    "a date": (
        pandas.DataFrame({"n": [1], "day": pandas.to_datetime(["2022-08-27"])}),
        "column 'day' holds dates",
    ),
    "a polars column": (polars.DataFrame({"n": [1], "sex": ["f"]}), "column 'sex' holds 'f'"),
    "a series": (pandas.Series(["yes"]), r"got a Series that holds 'yes' \(row 0\)"),
    "a lazy frame": (polars.DataFrame({"n": [1]}).lazy(), "got a LazyFrame"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_number_is_refused_in_a_sentence_that_says_what_it_is(name) -> None:
    wrong, says = REFUSED[name]
    layer, loss, right = bh.FullyConnected(2, 2), bh.MSELoss(), torch.ones(1, 2)
    for call in (
        lambda: layer.predict(wrong),
        lambda: bh.TrainingStep(layer, loss)(wrong, right, 0.1),
        lambda: bh.fit(layer, loss, (wrong, right)),
    ):
        with pytest.raises((bh.LayerError, TypeError), match=f"expected an input of .*{says}"):
            call()
    if wrong is None:
        return
    for call in (
        lambda: bh.TrainingStep(layer, loss)(right, wrong, 0.1),
        lambda: bh.fit(layer, loss, (right, wrong)),
        lambda: bh.evaluate(layer, loss, (right, wrong)),
    ):
        with pytest.raises(TypeError, match=rf"MSELoss\(\) expected a target of .*{says}"):
            call()


def test_odd_numbers_are_numbers() -> None:
    layer = bh.FullyConnected(2, 1)
    expected = layer.predict(torch.tensor([[0.5, 2.0]]))
    for given in (
        [[Decimal("0.5"), 2]],
        np.array([[0.5, 2]], dtype=np.longdouble),
        np.array([[0.5, 2]], dtype=np.float16),
        [np.array([0.5, 2])],
        [(0.5, 2)],
    ):
        assert torch.equal(layer.predict(given), expected)
    assert layer.predict(np.zeros((0, 2))).shape == (0, 1)
    assert torch.equal(layer.predict(range(2)), layer.predict(torch.tensor([0.0, 1.0])))


def test_the_gradient_checker_takes_them() -> None:
    loss = bh.CrossEntropyLoss()
    found = bh.gradient_check(network(), X.tolist(), CLASSES.numpy(), loss=loss)
    assert found.compared == bh.gradient_check(network(), X, CLASSES, loss=loss).compared
    assert bh.gradient_check(loss, X.numpy(), CLASSES.tolist()).compared == 36


def test_a_recorded_call_on_tensors_pays_nothing_for_what_is_no_tensor(monkeypatch) -> None:
    step = bh.TrainingStep(network(), bh.CrossEntropyLoss(), bh.Replay())
    x = X.float()
    step(x, CLASSES, 0.1)
    monkeypatch.setattr(bh.Layer, "as_input", None)
    monkeypatch.setattr(bh.Loss, "as_target", None)
    monkeypatch.setattr("backhand.program.recorded.are_tensors", None)
    step(x, CLASSES, 0.1)
