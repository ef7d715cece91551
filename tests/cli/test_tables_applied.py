"""`predict` and `evaluate` take the files that people have: with more columns, other names, names
of rows to carry through; and never write over what they read."""

from __future__ import annotations

import csv

import numpy as np
import polars as pl
import pytest
from test_disc import run
from test_tables import people, rows_of

from backhand.estimators.tables import load_table_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Trained without `who`, `since` and `age`'s code for a gap."""
    folder = tmp_path_factory.mktemp("model")
    whole(0).write_csv(folder / "people.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = ("--target", "buys", "--drop", "since", "--id", "who", "--missing", "age=-1")
        more = ("--epochs", 20, "--no-compare", "--no-importance", "--out", "made")
        assert run(patch, "train", "people.csv", *words, *more) == 0
    return folder / "made" / "model.safetensors"


def whole(seed: int) -> pl.DataFrame:
    table = people(seed)
    who = pl.Series([f"n{at}" for at in range(len(table))])
    return table.with_columns(who=who, age=pl.col("age").fill_null(-1.0))


def test_the_test_rows_carry_their_names(model) -> None:
    rows = rows_of(model.parent / "predictions.csv")
    assert all(row["who"] == f"n{int(row['row']) - 1}" for row in rows)
    loaded = load_table_model(model)
    assert loaded.left_out_ == ["since", "who"]
    assert [code.name for code in loaded.encoding_.codes] == ["age", "city"]
    assert loaded.encoding_.codes[0].missing == ("-1",)


def test_columns_dropped_in_training_are_no_fault_and_others_are_noted(
    model, tmp_path, monkeypatch, capsys
) -> None:
    whole(1).write_csv(tmp_path / "whole.csv")
    assert run(monkeypatch, "predict", model, tmp_path / "whole.csv") == 0
    said = capsys.readouterr()
    assert not said.err
    whole(1).drop("since", "who").with_columns(more=1, much=2).write_csv(tmp_path / "other.csv")
    assert run(monkeypatch, "predict", model, tmp_path / "other.csv") == 0
    other = capsys.readouterr()
    assert other.out == said.out
    assert other.err == (
        "Not looked at, since model.safetensors has not learnt from it: more, much.\n"
    )


def test_categories_that_training_did_not_have_are_noted(
    model, tmp_path, monkeypatch, capsys
) -> None:
    table = whole(1).with_columns(city=pl.int_range(pl.len()))
    table.write_csv(tmp_path / "numbers.csv")
    assert run(monkeypatch, "predict", model, tmp_path / "numbers.csv") == 0
    said = capsys.readouterr().err
    assert said == "city: '0', '1', '2' … in 200 rows: not known from training, taken as missing.\n"
    one = whole(1)
    one[5, "city"] = "Lima"
    one.write_csv(tmp_path / "one.csv")
    words = ("--no-importance", "--out", tmp_path / "out")
    assert run(monkeypatch, "evaluate", model, tmp_path / "one.csv", *words) == 0
    note = "city: 'Lima' in 1 row: not known from training, taken as missing."
    assert note in capsys.readouterr().out
    assert note.replace("'", "&#39;") in (tmp_path / "out" / "report.html").read_text()


def test_predictions_carry_columns(model, tmp_path, monkeypatch, capsys) -> None:
    table = whole(1).with_columns(prediction=pl.lit("old"))
    table.write_csv(tmp_path / "a.csv")
    assert run(monkeypatch, "predict", model, tmp_path / "a.csv", "--id", "who") == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0]) == ["row", "who", "prediction", "probability of no", "probability of yes"]
    assert [row["who"] for row in rows] == table["who"].to_list()
    assert run(monkeypatch, "predict", model, tmp_path / "a.csv", "--keep") == 0
    kept = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    names = ["row", "age", "city", "since", "buys", "who", "prediction of the table", "prediction"]
    assert list(kept[0])[:8] == names
    assert [row["prediction"] for row in kept] == [row["prediction"] for row in rows]
    assert run(monkeypatch, "predict", model, tmp_path / "a.csv", "--id", "whom") == 2
    assert "id: there is no column 'whom'; did you mean 'who'?" in capsys.readouterr().err


def test_evaluates_against_another_column(model, tmp_path, monkeypatch, capsys) -> None:
    table = whole(1).rename({"buys": "bought"})
    table[::2].write_csv(tmp_path / "a.csv")
    words = ("--target", "bought", "--id", "who", "--no-importance", "--out", tmp_path / "out")
    assert run(monkeypatch, "evaluate", model, tmp_path / "a.csv", *words) == 0
    assert "100 test rows" in capsys.readouterr().out
    rows = rows_of(tmp_path / "out" / "predictions.csv")
    assert [row["bought"] for row in rows] == table["bought"][::2].to_list()
    assert [row["who"] for row in rows] == table["who"][::2].to_list()
    assert np.mean([row["bought"] == row["prediction"] for row in rows]) > 0.8
    assert run(monkeypatch, "evaluate", model, tmp_path / "a.csv", "--target", "city") == 2
    assert "learnt from the column 'city' itself" in capsys.readouterr().err


def test_what_is_wrong_is_named_by_its_line_and_value(model, tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "a.csv"
    path.write_text('age,city,buys\n30,"a\nb",no\n40,Oslo,yes\noops,Bern,no\n50,Rome,perhaps\n')
    assert run(monkeypatch, "predict", model, path) == 0
    assert capsys.readouterr().err == (
        "age: 'oops' in line 5: no number, taken as missing.\n"
        "city: 'a\\nb' in 1 row: not known from training, taken as missing.\n"
    )
    assert run(monkeypatch, "evaluate", model, path) == 2
    expected = "expected one of the classes no, yes, got perhaps in line 6"
    assert expected in capsys.readouterr().err
    path.write_text("age,city\nold,Oslo\nyoung,Bern\n")
    assert run(monkeypatch, "predict", model, path) == 2
    assert "column 'age': expected numbers as in training, got 'old' in line 2" in (
        capsys.readouterr().err
    )


def test_nothing_that_is_read_is_written_over_unless_forced(
    model, tmp_path, monkeypatch, capsys
) -> None:
    path = tmp_path / "predictions.csv"
    whole(1).write_csv(path)
    before = path.read_bytes()
    for words in (
        ("predict", model, path, "--out", path),
        ("evaluate", model, path, "--out", tmp_path),
        ("train", path, "--target", "buys", "--out", tmp_path),
    ):
        assert run(monkeypatch, *words) == 2
        assert f"{path}: is what is read; --force writes over it" in capsys.readouterr().err
        assert path.read_bytes() == before
    assert run(monkeypatch, "predict", model, path, "--out", path, "--force") == 0
    assert len(rows_of(path)) == len(whole(1))
    assert run(monkeypatch, "predict", model, path, "--out", tmp_path / "none" / "a.csv") == 2
    assert f"there is no folder {tmp_path / 'none'}" in capsys.readouterr().err


def test_headers_with_quotes(model, tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "a.csv"
    answers = []
    for text in (
        '"age","city","said ""so"""\n30,Oslo,1\n',
        "'age'\t'city'\t'it''s'\n30\tOslo\t1\n",
        '"age", "city"\n30, "Oslo"\n',
        '"age"; "city"\n"30,0"; "Oslo"\n',
    ):
        path.write_text(text)
        assert run(monkeypatch, "predict", model, path) == 0, text
        answers.append(capsys.readouterr().out)
    assert len(set(answers)) == 1
