"""The rows for the test: by time, by group, from a file, in folds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from test_disc import run
from test_tables import people, rows_of

from backhand.cli.tables.fitting import fit_splits
from backhand.cli.tables.preparing import Prepared, prepare
from backhand.cli.tables.reading import HowToRead
from backhand.cli.tables.split import Splitting
from backhand.cli.tables.training import Options
from backhand.estimators.tables import load_table_model


@pytest.fixture
def path(tmp_path):
    group = pl.Series([f"g{at % 23}" for at in range(len(people()))])
    people().with_columns(group=group).write_csv(tmp_path / "people.csv")
    return tmp_path / "people.csv"


def split(path, task: str | None = None, target: str = "buys", **options) -> Prepared:
    return prepare(path, target, task, [], HowToRead(), Splitting(**options), 0)


def test_by_time_the_last_rows_are_the_test(path) -> None:
    found = split(path, order="since")
    ((train, test),) = found.splits
    moments = found.table.frame["since"]
    assert moments[train].max() < moments[test].min()
    assert abs(len(test) - 40) <= 2
    for train, test in split(path, order="since", folds=4).splits:
        assert moments[train].max() < moments[test].min()


def test_rows_of_one_moment_are_not_parted(tmp_path) -> None:
    table = pl.DataFrame({"year": [2000] * 15 + [2001] * 5, "x": range(20), "t": ["a", "b"] * 10})
    table.write_csv(tmp_path / "a.csv")
    ((train, test),) = split(tmp_path / "a.csv", target="t", order="year", share=0.2).splits
    assert (len(train), test.tolist()) == (15, [15, 16, 17, 18, 19])


def test_groups_are_on_one_side_and_not_learnt_from(path) -> None:
    found = split(path, group="group")
    assert "group" not in found.table.frame.columns
    assert found.left_out == ["group"]
    groups = found.table.raw["group"].to_numpy()
    folds = split(path, group="group", folds=5).splits
    for train, test in [*found.splits, *folds]:
        assert not set(groups[train]) & set(groups[test])
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(200))


def test_folds_test_every_row_once_and_write_a_model_of_all(path, monkeypatch, capsys) -> None:
    out = path.parent / "out"
    words = ("--target", "buys", "--folds", 3, "--epochs", 12, "--no-importance", "--out", out)
    assert run(monkeypatch, "train", path, *words, "--drop", "group") == 0
    printed = capsys.readouterr().out
    assert "fold 3 of 3" in printed
    assert "200 test rows" in printed
    rows = rows_of(out / "predictions.csv")
    assert sorted(int(row["row"]) for row in rows) == list(range(1, 201))
    right = np.array([row["buys"] == row["prediction"] for row in rows])
    folds = split(path, folds=3).splits
    shares = [
        right[np.isin([int(row["row"]) - 1 for row in rows], test)].mean() for _, test in folds
    ]
    said = f"accuracy {np.mean(shares):.4f} ± {np.std(shares):.4f}"
    assert "Mean and deviation over 3 folds" in printed
    assert said in printed
    page = (out / "report.html").read_text()
    assert said in page
    listed = page[page.index("Fold by fold") : page.index("Class by class")]
    column = re.findall(r'<td data-of="accuracy">([\d.]+)</td>', listed)
    expected = [*shares, np.mean(shares), np.std(shares)]
    assert column == [f"{each:.4f}" for each in expected]
    assert load_table_model(out / "model.safetensors").target_name_ == "buys"


def test_a_file_of_test_rows(path, monkeypatch, capsys) -> None:
    tests = path.parent / "tests.csv"
    people(1).with_columns(group=pl.lit("new"), more=1)[:60].write_csv(tests)
    out = path.parent / "out"
    words = ("--target", "buys", "--test", tests, "--id", "group", "--epochs", 2, "--out", out)
    assert run(monkeypatch, "train", path, *words, "--no-compare", "--no-importance") == 0
    printed = capsys.readouterr().out
    assert "60 test rows" in printed
    assert f"The test rows are those of {tests}." in printed.replace("\n", "")
    rows = rows_of(out / "predictions.csv")
    assert [int(row["row"]) for row in rows] == list(range(1, 61))
    assert [row["buys"] for row in rows] == people(1)["buys"][:60].to_list()
    assert {row["group"] for row in rows} == {"new"}


def test_rows_are_numbered_as_in_the_file_where_some_have_no_target(
    tmp_path, monkeypatch, capsys
) -> None:
    table = people().with_columns(
        buys=pl.when(pl.int_range(pl.len()) < 50).then(None).otherwise("buys")
    )
    table.write_csv(tmp_path / "a.csv")
    words = ("--target", "buys", "--epochs", 1, "--no-compare", "--no-importance")
    assert run(monkeypatch, "train", tmp_path / "a.csv", *words, "--out", tmp_path / "out") == 0
    rows = rows_of(tmp_path / "out" / "predictions.csv")
    assert all(row["buys"] == table["buys"][int(row["row"]) - 1] for row in rows)


REFUSED = {
    "both": (("--order", "since", "--group", "group"), "order and group: expected one of them"),
    "folds of a file": (("--test", "t.csv", "--folds", 3), "a file of test rows leaves nothing"),
    "a share of a file": (
        ("--test", "t.csv", "--test-share", 0.2),
        "test share and test: expected",
    ),
    "a share of folds": (("--folds", 3, "--test-share", 0.2), "test share and folds: expected one"),
    "a gap in no column": (
        ("--missing", "citi=Oslo"),
        "missing: there is no column 'citi'",
    ),
    "a kind of no column": (("--types", "age"), "types: expected COLUMN=KIND, got 'age'"),
    "no folds": (("--folds", 0), "folds: expected 2 or more, or 1 for none, got 0"),
    "too many folds": (("--folds", 999), "folds: expected at most one a row, 200, got 999"),
    "no such order": (
        ("--order", "sinse"),
        "'sinse' is not there; did you mean 'since'?",
    ),
    "order by text": (("--order", "city"), "order: expected numbers or dates in 'city'"),
    "order with gaps": (("--order", "age"), "people.csv, line 5: column 'age' has no value"),
    "order by the target": (("--order", "buys"), "order: the column 'buys' is the target"),
    "group by the target": (("--group", "buys"), "group: 'buys' is the target"),
    "one group": (("--group", "one"), "column 'one': expected at least 2 groups, got 1"),
    "no test file": (("--test", "none.csv"), "none.csv: No such file"),
    "a test file without a column": (("--test", "short.csv"), "there is no column 'since'"),
    "a test file of other classes": (("--test", "other.csv"), "got 'perhaps'"),
}


GUARDED = {
    "few rows": ("ab" * 4, {}, "a.csv: column 't': expected values in at least 10 rows, got 8"),
    "few rows of the table, many of the tests": (
        "ab" * 4, {"file": Path("tests.csv")},
        "a.csv: column 't': expected values in at least 10 rows, got 8",
    ),
    "single rows of most classes": (
        "aaaaaabcde", {"share": 0.6},
        "a.csv: column 't': 6 rows are of classes of more than one, too few for 6 test rows",
    ),
    "more folds than moments": (
        "ab" * 10, {"order": "half", "folds": 2}, "folds: 2 are too many for column 'half'",
    ),
    "a first moment that reaches into the test": (
        "ab" * 10, {"order": "half", "share": 0.6},
        "a.csv: column 'half': all rows before the test are of its first moment",
    ),
    "classes one after another": (
        "a" * 10 + "b" * 10, {"order": "row", "share": 0.5},
        "a.csv: column 't': the test rows are all of classes that no training row has",
    ),
    "groups fewer than folds": (
        "ab" * 10, {"group": "half", "folds": 3},
        "a.csv: column 'half': expected at least 3 groups, got 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GUARDED)
def test_rows_that_cannot_be_split_are_refused_by_file_and_column(
    name, tmp_path, monkeypatch
) -> None:
    classes, options, says = GUARDED[name]
    monkeypatch.chdir(tmp_path)
    table = pl.DataFrame({"t": list(classes), "row": range(len(classes))})
    table = table.with_columns(half=pl.col("row") // (len(classes) // 2))
    table.write_csv("a.csv")
    pl.concat([table] * 3).write_csv("tests.csv")
    with pytest.raises(ValueError, match=re.escape(says)):
        split(Path("a.csv"), target="t", **options)


def test_folds_of_classes_that_are_all_smaller_than_these_are_drawn_by_chance(tmp_path) -> None:
    table = pl.DataFrame({"t": list("abcde") * 4, "x": range(20)})
    table.write_csv(tmp_path / "a.csv")
    folds = split(tmp_path / "a.csv", target="t", folds=5).splits
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(20))


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_a_split(name, path, monkeypatch, capsys) -> None:
    words, says = REFUSED[name]
    monkeypatch.chdir(path.parent)
    table = pl.read_csv(path).with_columns(one=pl.lit(1))
    table.write_csv(path)
    table.drop("since").write_csv("short.csv")
    table.with_columns(buys=pl.lit("perhaps")).write_csv("other.csv")
    assert run(monkeypatch, "train", path, "--target", "buys", *words, "--out", "out") == 2
    assert says in capsys.readouterr().err
    assert not (path.parent / "out").exists()


HELD_OUT = {
    "order": {"order": "since"},
    "group": {"group": "group"},
    "order of a column that is not learnt from": {"order": "since"},
    "order, and a file of test rows": {"order": "since", "file": Path("tests.csv")},
    "group, and a file of test rows": {"group": "group", "file": Path("tests.csv")},
    "order in folds": {"order": "since", "folds": 2},
    "group in folds": {"group": "group", "folds": 2},
}


@pytest.mark.parametrize("name", HELD_OUT)
def test_the_epoch_is_chosen_by_rows_held_out_alike(name, path, monkeypatch) -> None:
    """The model's categories tell by which rows it was trained: each row has one of its own."""
    monkeypatch.chdir(path.parent)
    table = pl.read_csv(path, try_parse_dates=True)[:100]
    table = table.with_columns(own=pl.format("n{}", pl.int_range(pl.len())))
    table.write_csv(path)
    unknown = {"since": pl.lit(None), "own": pl.lit("n0")}
    gone = [HELD_OUT[name]["group"]] if "group" in HELD_OUT[name] else []
    table[:30].with_columns(**unknown).drop(gone).write_csv("tests.csv")
    drop = ["since"] if name.endswith("not learnt from") else []
    prepared = prepare(path, "buys", None, drop, HowToRead(), Splitting(**HELD_OUT[name]), 0)
    fitted = fit_splits(Console(quiet=True), prepared, Options(epochs=1), {})
    codes = {code.name: code for code in fitted.model.encoding_.codes}
    trained_on = pl.col("own").is_in(codes["own"].categories)
    whole = len(prepared.splits) > 1  # the model that is written learnt from all rows
    rest = table if whole else table[prepared.splits[0][0]]
    seen, held_out = rest.filter(trained_on), rest.filter(~trained_on)
    assert 0.1 * len(rest) < len(held_out) < 0.3 * len(rest)
    if "order" in name:
        assert seen["since"].max() < held_out["since"].min()
        assert "The epoch is chosen by the last training rows by since." in prepared.notes
        assert ("since" in codes) == (not drop)
    else:
        assert not set(seen["group"]) & set(held_out["group"])
        assert any("chosen by rows of whole group held out" in note for note in prepared.notes)
        assert "group" not in codes
