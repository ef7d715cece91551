"""TableClassifier and TableRegressor: DataFrames as they are, scikit-learn's checks, files."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.inspection import permutation_importance
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from backhand.estimators.tables import TableClassifier, TableRegressor, load_table_model
from backhand.estimators.tables.columns import read_columns
from backhand.networks import NetworkFileError
from backhand.training import Epoch

QUICK = {"hidden": (32,), "epochs": 60, "random_state": 0}


@parametrize_with_checks([TableClassifier(**QUICK), TableRegressor(**QUICK)])
def test_scikit_learns_checks(estimator, check) -> None:
    check(estimator)


def people(rows: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A table of every kind of column, with gaps; the label follows from two of them."""
    random = np.random.default_rng(seed)
    age = random.uniform(18, 90, rows)
    city = random.choice(["Oslo", "Bern", "Rome"], rows)
    member = random.random(rows) < 0.5
    start = np.datetime64("2020-01-01") + random.integers(0, 1000, rows).astype("timedelta64[D]")
    label = np.where((age > 50) ^ (city == "Rome"), "yes", "no")
    table = pd.DataFrame({"age": age, "city": city, "member": member, "start": start})
    table["income"] = random.lognormal(10, 1, rows)
    table["city"] = table["city"].astype(object)
    table.loc[::17, "income"] = np.nan
    table.loc[::23, "city"] = None
    return table, label


def as_polars(table: pd.DataFrame) -> pl.DataFrame:
    columns = {name: table[name].to_list() for name in table if name != "start"}
    frame = pl.DataFrame(columns, strict=False)
    return frame.insert_column(
        3, pl.Series("start", table["start"].to_numpy().astype("datetime64[us]"))
    )


def test_learns_from_a_table_of_every_kind() -> None:
    table, label = people(1500)
    unseen, truth = people(500, seed=1)
    model = TableClassifier(hidden=(64, 64), epochs=100, random_state=0).fit(table, label)
    given = unseen["city"].notna().to_numpy()
    assert (model.predict(unseen) == truth)[given].mean() > 0.93
    assert list(model.classes_) == ["no", "yes"]
    assert np.allclose(model.predict_proba(unseen).sum(1), 1)


def test_pandas_and_polars_are_the_same_to_it() -> None:
    table, label = people()
    one = TableClassifier(**QUICK).fit(table, label)
    other = TableClassifier(**QUICK).fit(as_polars(table), label)
    assert np.array_equal(one.predict_proba(table), other.predict_proba(as_polars(table)))


def test_unseen_categories_and_gaps_count_as_missing() -> None:
    table, label = people()
    model = TableClassifier(**QUICK).fit(table, label)
    odd, gone = table.copy(), table.copy()
    odd["city"] = "Atlantis"
    gone["city"] = None
    assert np.array_equal(model.predict_proba(odd), model.predict_proba(gone))
    assert not np.array_equal(model.predict_proba(odd), model.predict_proba(table))


def test_members_are_trained_side_by_side_and_averaged() -> None:
    table, target = load_diabetes(return_X_y=True, as_frame=True)
    model = TableRegressor(members=3, **QUICK).fit(table, target)
    assert len(model.network_.branches) == len(model.best_epochs_) == 3
    raw = model._raw(table)[..., 0]
    assert np.abs(raw[:, 0] - raw[:, 1]).max() > 0.01  # each its own network
    assert np.allclose(model.predict(table), raw.mean(1) * model.deviation_ + model.mean_)


def test_the_epoch_kept_is_the_best_of_those_held_out_for_each_member() -> None:
    table, target = load_diabetes(return_X_y=True, as_frame=True)
    epochs: list[Epoch] = []
    weights: list[list[torch.Tensor]] = []

    def remember(epoch: Epoch) -> None:
        epochs.append(epoch)
        members = model.network_.branches
        weights.append([each.layers[1].weight.value.clone() for each in members])

    model = TableRegressor(on_epoch=remember, members=3, **QUICK)
    model.fit(table, target)
    assert [epoch.loss for epoch in epochs] == model.loss_curve_
    assert [epoch.number for epoch in epochs] == list(range(1, 61))
    for epoch, scores in zip(epochs, model.validation_scores_, strict=True):
        mean, each = pytest.approx(sum(scores) / 3), enumerate(scores, 1)
        found = {"score": mean} | {f"member_{i}": score for i, score in each}
        assert epoch.measures == {"validation": found}
    assert len(set(model.best_epochs_)) > 1
    assert max(model.best_epochs_) < 60
    for at, (member, best) in enumerate(
        zip(model.network_.branches, model.best_epochs_, strict=True)
    ):
        seen = [scores[at] for scores in model.validation_scores_]
        assert seen[best - 1] == min(seen)
        assert torch.equal(member.layers[1].weight.value, weights[best - 1][at])


def test_a_rate_that_is_too_high_keeps_the_best_epoch_or_is_refused() -> None:
    table, label = people()
    with pytest.warns(UserWarning, match=r"1e\+20 is too high: .* after epoch 3; each"):
        model = TableClassifier(**QUICK, learning_rate=1e20).fit(table, label)
    assert len(model.loss_curve_) == 3
    assert np.isfinite(model.predict_proba(table)).all()
    with pytest.raises(ValueError, match=r"1e\+20 is too high: .* in the first epoch"):
        TableClassifier(**QUICK, learning_rate=1e20, batch_size=16).fit(table, label)


def test_the_same_seed_gives_the_same_model() -> None:
    table, label = people()
    one, other = (TableClassifier(**QUICK).fit(table, label) for _ in range(2))
    assert np.array_equal(one.predict_proba(table), other.predict_proba(table))


@pytest.mark.parametrize("kind", [TableClassifier, TableRegressor])
def test_a_saved_model_predicts_the_same(kind, tmp_path) -> None:
    table, label = people()
    target = label if kind is TableClassifier else table["age"].to_numpy()
    model = kind(members=2, **QUICK).fit(table, target)
    model.save(tmp_path / "model.safetensors")
    again = kind.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.predict(table), model.predict(table))
    assert again.get_params() == model.get_params() | {"hidden": [32]}
    other = TableRegressor if kind is TableClassifier else TableClassifier
    with pytest.raises(
        NetworkFileError, match=f"expected a {other.__name__}, found a {kind.__name__}"
    ):
        other.load(tmp_path / "model.safetensors")


def test_works_with_permutation_importance_and_cross_validation() -> None:
    table, label = people()
    model = TableClassifier(hidden=(64,), epochs=100, random_state=0).fit(table, label)
    importance = permutation_importance(model, table, label, n_repeats=3, random_state=0)
    found = dict(zip(table, importance.importances_mean, strict=True))
    assert min(found["age"], found["city"]) > max(found["income"], found["start"])
    cells, tumours = load_breast_cancer(return_X_y=True)
    assert cross_val_score(TableClassifier(**QUICK), cells, tumours, cv=3).min() > 0.93


def _changed(table: pd.DataFrame, change) -> pd.DataFrame:
    changed = table.copy()
    return change(changed)


BAD_TABLES = {
    "missing": (lambda t: t.drop(columns="age"), "yet now missing.*age"),
    "extra": (lambda t: t.assign(shoe=43), "unseen at fit time.*shoe"),
    "renamed": (lambda t: t.rename(columns={"age": "years"}), "years"),
    "another type": (lambda t: t.assign(age="old"), "column 'age': expected numbers.*got text"),
    "no date": (lambda t: t.assign(start=3.0), "column 'start': expected dates.*got numbers"),
    "infinite": (lambda t: t.assign(age=np.inf), "column 'age': row 0 holds an infinity"),
    "complex": (lambda t: t.assign(age=1j), "column 'age': expected numbers, text"),
    "empty": (lambda t: t.iloc[:0], "0 sample"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_does_not_fit_is_refused(name) -> None:
    change, message = BAD_TABLES[name]
    table, label = people(60)
    model = TableClassifier(**{**QUICK, "epochs": 1}).fit(table, label)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.predict(_changed(table, change))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs: expected a whole number of 1 or more, got 0"),
        ({"members": 1.5}, "members: expected a whole number"),
        ({"hidden": (8, 0)}, "hidden: expected whole numbers above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a finite number"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected a share"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
    ],
)
def test_a_bad_argument_is_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        TableClassifier(**arguments).fit(*people(30))


def test_one_class_and_a_constant_table_are_refused_or_learnt() -> None:
    table, label = people(30)
    with pytest.raises(ValueError, match="expected at least two classes, got one class, no"):
        TableClassifier(**QUICK).fit(table, np.full(30, "no"))
    constant = pd.DataFrame({"x": np.ones(30)})
    model = TableClassifier(**QUICK).fit(constant, label)
    assert len(set(model.predict(constant))) == 1


def test_dates_of_python_are_dates() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(40)]
    table = pd.DataFrame({"day": days})
    target = np.arange(40.0)
    model = TableRegressor(**QUICK).fit(table, target)
    assert model.encoding_.codes[0].kind == "date"
    assert np.corrcoef(model.predict(table), target)[0, 1] > 0.95


def test_a_file_tells_its_kind_and_its_target(tmp_path) -> None:
    table, label = people()
    path = tmp_path / "model.safetensors"
    TableClassifier(**QUICK).fit(table, pd.Series(label, name="buys")).save(path)
    again = load_table_model(path)
    assert type(again) is TableClassifier
    assert again.target_name_ == "buys"
    TableRegressor(**QUICK).fit(table, pl.Series("age", table["age"].to_numpy())).save(path)
    again = load_table_model(path)
    assert type(again) is TableRegressor
    assert again.target_name_ == "age"


def test_large_tables_get_fewer_epochs() -> None:
    few, many, huge = (TableRegressor().epochs_for(rows) for rows in (1000, 40_000, 10_000_000))
    assert (few, many, huge) == (128, 8192 // 125, 16)
    table, _ = people(40)
    model = TableRegressor(hidden=(4,)).fit(table[["age"]], table["age"])
    assert len(model.loss_curve_) == 128


def test_names_that_are_all_different_are_no_categories() -> None:
    table, label = people(1500)

    def width(**more: list[str]) -> int:
        model = TableClassifier(**{**QUICK, "epochs": 1}).fit(table.assign(**more), label)
        return len(model.encoding_.centres)

    rows = range(len(table))
    assert width(name=[f"n{i}" for i in rows]) == width()
    assert width(name=[f"n{i % 140}" for i in rows]) == width() + 128
    assert width(name=[f"n{i % 120}" for i in rows]) == width() + 120


def test_ctrl_c_keeps_the_best_epoch_so_far() -> None:
    table, label = people()

    def third(epoch: Epoch) -> None:
        if epoch.number == 3:
            raise KeyboardInterrupt

    model = TableClassifier(**QUICK, on_epoch=third)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(table, label)
    assert len(model.loss_curve_) == 3
    scores = [each for (each,) in model.validation_scores_]
    assert scores[model.best_epochs_[0] - 1] == min(scores)


def test_decimals_are_numbers() -> None:
    prices = pl.Series("price", [1.5, 2.25, None]).cast(pl.Decimal(10, 2))
    (column,) = read_columns(pl.DataFrame([prices]))
    assert column.kind == "number"
    assert column.values[:2].tolist() == [1.5, 2.25]
    assert column.missing.tolist() == [False, False, True]


def test_the_score_is_brier_with_the_smoothing_taken_back() -> None:
    model = TableClassifier(label_smoothing=0.2)
    model.classes_ = np.array(["a", "b"])
    measure = model._measure(torch.tensor([0, 1]))
    sure = torch.tensor([0.9, 0.1]).log()  # as sure as smoothing lets it be
    raw = torch.stack([sure, sure]).unsqueeze(1)
    assert measure(raw).tolist() == pytest.approx([(0 + 2) / 2], abs=1e-6)
    halves = torch.zeros(2, 1, 2)
    assert measure(halves).tolist() == pytest.approx([0.5])
