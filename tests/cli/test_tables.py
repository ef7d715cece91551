"""`backhand train`, `predict` and `evaluate` on table files: what they write, say and refuse."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from test_disc import run

from backhand.cli.tables.importance import importances
from backhand.cli.tables.preparing import prepare
from backhand.cli.tables.reading import HowToRead, read_table
from backhand.cli.tables.split import Splitting, split_rows
from backhand.cli.tables.target import Target, split_target
from backhand.estimators import TableClassifier, TableRegressor
from backhand.estimators.tables import load_table_model
from backhand.program.engines.native.cache import VARIABLE

ROWS = 200


def people(seed: int = 0) -> pl.DataFrame:
    """A table of several kinds, with gaps; who buys follows from age and city."""
    random = np.random.default_rng(seed)
    age, city = random.uniform(18, 90, ROWS), random.choice(["Oslo", "Bern", "Rome"], ROWS)
    buys = np.where((age > 50) ^ (city == "Rome"), "yes", "no")
    days = np.datetime64("2020-01-01") + random.integers(0, 900, ROWS).astype("timedelta64[D]")
    table = pl.DataFrame({"age": age, "city": city, "since": days, "buys": buys})
    gone = pl.int_range(pl.len()) % 13 == 3
    return table.with_columns(age=pl.when(gone).then(None).otherwise("age"))


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    people().write_csv(tmp_path / "people.csv")
    return tmp_path / "people.csv"


@pytest.fixture
def trained(table, monkeypatch, capsys):
    words = ("--target", "buys", "--epochs", 2, "--no-compare", "--out", "made")
    assert run(monkeypatch, "train", table, *words) == 0
    capsys.readouterr()
    return table.parent / "made" / "model.safetensors"


def rows_of(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_trains_and_reports_beside_other_models(table, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "train", table, "--target", "buys", "--epochs", 30) == 0
    printed = capsys.readouterr().out
    for words in ("200 rows, 3 columns", "buys: classification, 2 classes", "MLP", "trees"):
        assert words in printed
    out = table.parent / "people"
    assert {each.name for each in out.iterdir()} == {
        "calibration.png", "classes.csv", "confusion.csv", "confusion.png", "history.csv",
        "importance.csv", "importance.png", "model.safetensors", "precision-recall.png",
        "predictions.csv", "report.html", "roc.png", "target.png", "training.png",
    }  # fmt: skip
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "Run again: <code>backhand train" in page
    rows = rows_of(out / "predictions.csv")
    truth = people()["buys"].to_list()
    assert len(rows) == 40
    assert all(row["buys"] == truth[int(row["row"]) - 1] for row in rows)
    assert np.mean([row["buys"] == row["prediction"] for row in rows]) > 0.8
    history = rows_of(out / "history.csv")
    assert len(history) == 30
    assert list(history[0]) == ["epoch", "training loss", "held-out Brier score"]
    again = load_table_model(out / "model.safetensors")
    kept = [int(row["row"]) - 1 for row in rows]
    assert [row["prediction"] for row in rows] == again.predict(
        people()[kept].drop("buys")
    ).tolist()


def test_trains_on_numbers_from_parquet(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    people().with_columns(age=pl.col("age") * 2).write_parquet(tmp_path / "people.parquet")
    words = ("--target", "age", "--drop", "since", "--epochs", 2, "--no-compare")
    assert run(monkeypatch, "train", "people.parquet", *words) == 0
    printed = capsys.readouterr().out
    assert "age: regression, 184 different numbers" in printed
    assert "16 rows have no value in age and were left out" in printed.replace("\n", " ")
    assert "R²" in printed
    names = {each.name for each in (tmp_path / "people").iterdir()}
    assert {"predicted.png", "residuals.png"} < names
    page = (tmp_path / "people" / "report.html").read_text()
    assert "<td>city</td>" in page
    assert "<td>since</td>" not in page
    model = "people/model.safetensors"
    people().drop("since").write_csv(tmp_path / "other.csv")
    assert run(monkeypatch, "evaluate", model, "other.csv") == 0
    assert "184 test rows" in capsys.readouterr().out


def test_predicts_and_evaluates_other_rows(trained, tmp_path, monkeypatch, capsys) -> None:
    other = people(seed=1)
    other.write_csv(tmp_path / "other.csv")
    model = load_table_model(trained)
    expected = model.predict_proba(read_table(tmp_path / "other.csv").frame.drop("buys"))
    assert run(monkeypatch, "predict", trained, tmp_path / "other.csv") == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [float(row["probability of yes"]) for row in rows] == pytest.approx(
        expected[:, 1].tolist(), abs=1e-6
    )
    assert run(monkeypatch, "predict", trained, "other.csv", "--out", "said.csv") == 0
    assert rows_of(tmp_path / "said.csv") == rows
    capsys.readouterr()
    assert run(monkeypatch, "evaluate", trained, "other.csv", "--out", "report") == 0
    accuracy = np.mean(model.classes_[expected.argmax(1)] == other["buys"].to_numpy())
    assert f"{accuracy:.4f}" in capsys.readouterr().out
    assert "evaluated by model.safetensors" in (tmp_path / "report" / "report.html").read_text()


def test_importance_shuffles_one_column_at_a_time() -> None:
    table = people().with_columns(noise=pl.Series(np.arange(ROWS) % 7))
    features, truth = table.drop("buys", "since"), table["buys"].to_numpy()
    model = TableClassifier(hidden=(32,), epochs=80, random_state=0).fit(features, truth)
    found = dict(importances(model, features, truth, seed=0).found)
    assert min(found["age"], found["city"]) > 0.1 > abs(found["noise"])


def test_importance_of_many_columns_keeps_to_its_time_and_finds_what_matters(
    quick_compiler,
) -> None:
    random = np.random.default_rng(0)
    table = pl.DataFrame({f"x{i}": random.normal(size=ROWS) for i in range(200)})
    truth = 3 * table["x123"].to_numpy() + random.normal(size=ROWS) / 10
    model = TableRegressor(hidden=(16,), epochs=30, random_state=0).fit(table, truth)
    told: list[str] = []
    importances(model, table[:2], truth[:2], seed=0)  # compiled and recorded before
    begun = time.perf_counter()
    found = importances(model, table, truth, 0, seconds=0.1, on_progress=told.append)
    assert time.perf_counter() - begun < 2
    assert len(found.found) < 200
    assert "groups of adjacent columns were shuffled together" in found.note
    names = [name for name, _ in found.found]
    assert re.match(r"x123$|x\d+ … x\d+ \(", names[0])
    assert told[0] == "columns shuffled: 1, of 200 columns …"
    whole = importances(model, table, truth, 0, seconds=1000)
    assert whole.found[0][0] == "x123"
    assert len(whole.found) == 200
    assert whole.note == ""


def test_no_importance_leaves_it_out(table, monkeypatch, capsys) -> None:
    words = ("--target", "buys", "--epochs", 2, "--no-compare", "--no-importance")
    assert run(monkeypatch, "train", table, *words) == 0
    out = table.parent / "people"
    assert not list(out.glob("importance*"))
    page = (out / "report.html").read_text()
    assert "What it goes by" not in page
    assert "importance</td>" not in page


def test_a_model_of_a_table_is_no_network_to_export(trained, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "export", trained, "--c", "--out", "c") == 2
    error = capsys.readouterr().err
    assert "model.safetensors: a model of a table, whose columns are encoded outside" in error
    assert len(error.splitlines()) == 1


def test_compilation_is_counted_apart_from_the_fit(
    table, monkeypatch, capsys, quick_compiler
) -> None:
    monkeypatch.setenv(VARIABLE, str(table.parent / "cache"))
    words = ("--target", "buys", "--epochs", 2, "--no-compare", "--no-importance")
    assert run(monkeypatch, "train", table, *words) == 0
    assert "compilation, once, in no fit: " in capsys.readouterr().out
    page = (table.parent / "people" / "report.html").read_text()
    assert "<td>compilation, once</td>" in page
    assert "that are in no fit" in page
    assert run(monkeypatch, "train", table, *words) == 0
    assert "compilation, once" not in capsys.readouterr().out
    assert "compilation, once" not in (table.parent / "people" / "report.html").read_text()


def test_the_split_keeps_every_class_and_every_row() -> None:
    values = np.array(["a"] * 60 + ["b"] * 30 + ["c"])
    ((train, test),) = split_rows(Target("t", "classification", "", values), Splitting(), seed=3)
    assert sorted([*train, *test]) == list(range(91))
    assert (values[test] == "b").sum() == 6
    assert 90 in train
    many = np.array([f"c{i % 40}" for i in range(80)])  # more classes than test rows
    by_tenths = Splitting(share=0.1)
    ((train, test),) = split_rows(Target("t", "classification", "", many), by_tenths, seed=3)
    assert set(many[test]) <= set(many[train])


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([1, 2, 3] * 10, "classification"),
        (list(range(30)), "regression"),
        ([0.5, 1.5, 2.5] * 10, "regression"),
        ([0.0, 1.0] * 10, "classification"),
        ([True, False] * 10, "classification"),
        (["a", "b", None] * 10, "classification"),
    ],
)
def test_the_task_follows_from_the_target(values, task, tmp_path) -> None:
    table = pl.DataFrame({"x": range(len(values)), "t": values})
    _, target, given = split_target(tmp_path, table, "t", None)
    assert target.task == task
    assert given.tolist() == [each is not None for each in values]
    assert len(target.values) == given.sum()


CONTENTS = {
    "without the target": ("age,city\n1,a\n", "there is no column 'buys'"),
    "with another name": ("age,buy\n1,a\n", "there is no column 'buys'; did you mean 'buy'?"),
    "with a constant target": ("age,buys\n" + "1,a\n" * 12, "every row holds 'a'"),
    "with names as the target": (
        "age,buys\n" + "".join(f"1,a{i}\n" for i in range(12)),
        "12 different texts in 12 rows; there are no classes to learn",
    ),
    "with hardly two rows of a class": (
        "age,buys\n1,a0\n1,a1\n" + "".join(f"1,a{i}\n" for i in range(12)),
        "12 different texts in 14 rows; there are no classes to learn",
    ),
    "with no target anywhere": ("age,buys\n1,\n2,NA\n", "no row has a value in the column 'buys'"),
    "with few rows": ("age,buys\n1,a\n2,b\n3,a\n", "expected values in at least 10 rows, got 3"),
    "with nothing to learn from": ("buys\n" + "a\nb\n" * 8, "no column beside the target 'buys'"),
    "with a short line": ("age,buys\n1,a\n2\n", "line 3: expected 2 columns as in the first line"),
    "with two of a name": ("age,age,buys\n1,2,a\n", "expected one column named 'age', got two"),
    "with an open quote": ('age,buys\n1,"a\n2,b\n', "line 3: unexpected end of data"),
    "in another encoding": (b"age,buys\n1,a\n2,caf\xe9\n", "line 3: not UTF-8"),
    "that is empty": ("", "the file is empty"),
    "with an infinity": (
        "age,buys\n" + "1,a\n2,b\n" * 8 + "inf,a\n",
        "column 'age': line 18 holds an infinity (inf); expected a finite number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_refuses_a_table(name, tmp_path, monkeypatch, capsys) -> None:
    content, says = CONTENTS[name]
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(monkeypatch, "train", path, "--target", "buys", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"backhand: {path}") or says.startswith("expected values")
    assert says in error
    assert not list((tmp_path / "out").glob("*"))


def test_refuses_files_that_are_not_what_they_say(table, monkeypatch, capsys) -> None:
    folder = table.parent
    (folder / "a.parquet").write_bytes(table.read_bytes())
    people().write_parquet(folder / "b.csv")
    (folder / "c.docx").write_bytes(b"PK")
    (folder / "d.csv.gz").write_bytes(table.read_bytes())
    for name, says in (
        ("a.parquet", "ends in .parquet, but is not a Parquet file"),
        ("b.csv", "ends in .csv, but is a Parquet file"),
        ("c.docx", "expected a file that ends in one of .csv"),
        ("d.csv.gz", "not a gzip file, or cut short"),
        ("none.csv", "No such file"),
    ):
        assert run(monkeypatch, "train", name, "--target", "buys") == 2
        assert f"{name}: {says}" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["carriage returns", "utf-16"])
def test_text_is_read_as_other_programs_write_it(way, table, tmp_path) -> None:
    text = table.read_text()
    other = tmp_path / "other.csv"
    other.write_bytes(
        text.encode("utf-16") if way == "utf-16" else text.replace("\n", "\r").encode()
    )
    found = read_table(other)
    assert found.frame.equals(read_table(table).frame)
    assert found.lines[:2].tolist() == [2, 3]


def test_a_line_that_is_no_json_is_named(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    for line, says in (("{x", "line 3: not JSON"), ("[1]", r"line 3: expected a JSON object")):
        path.write_text('{"x": 1}\n\n' + line + '\n{"x": 2}\n')
        with pytest.raises(ValueError, match=says):
            read_table(path)


def test_columns_beyond_float32_are_compared_with_the_target(tmp_path) -> None:
    rows = [f"{at}e300,{'no' if at < 30 else 'yes'}\n" for at in range(60)]
    (tmp_path / "a.csv").write_text("age,buys\n" + "".join(rows))
    found = prepare(tmp_path / "a.csv", "buys", None, [], HowToRead(), Splitting(), 0)
    assert "tells buys nearly alone" in found.warnings["age"][0]


def test_refuses_options_before_it_trains(table, monkeypatch, capsys) -> None:
    for words, says in (
        (("--task", "both"), "task: expected classification or regression, got 'both'"),
        (
            ("--task", "regression"),
            "column 'buys': expected numbers for regression, got text, such as '",
        ),
        (("--seed", -1), "seed: expected a whole number from 0 to 4294967295, got -1"),
        (("--types", "aeg=number"), "types: there is no column 'aeg'; did you mean 'age'?"),
        (
            ("--types", "age=float"),
            "types: expected number, category, boolean, date, time, or a form",
        ),
        (("--types", "city=number"), "column 'city': expected numbers as --types says, got '"),
        (("--encoding", "klingon"), "encoding: expected one that Python knows, got 'klingon'"),
        (("--test-share", 1), "test share: expected a number between 0 and 1"),
        (("--drop", "aeg"), "there is no column 'aeg'; did you mean 'age'?"),
        (("--drop", "buys"), "'buys' is the target"),
        (("--epochs", 0), "epochs: expected a whole number of 1 or more, got 0"),
        (("--out", table), "cannot write there"),
    ):
        assert run(monkeypatch, "train", table, "--target", "buys", *words) == 2
        assert says in capsys.readouterr().err


def test_an_encoding_is_of_text(table, tmp_path, monkeypatch, capsys) -> None:
    people(60).write_parquet(tmp_path / "a.parquet")
    words = ("--target", "buys", "--encoding", "latin-1")
    assert run(monkeypatch, "train", tmp_path / "a.parquet", *words) == 2
    assert "a.parquet: no file of text, so --encoding says nothing of it" in capsys.readouterr().err
    how = HowToRead("latin-1")
    mixed = prepare(table, "buys", None, [], how, Splitting(file=tmp_path / "a.parquet"), 0)
    assert len(mixed.table.frame) > 60


def test_refuses_other_columns_than_in_training(trained, tmp_path, monkeypatch, capsys) -> None:
    other = people(1)
    for changed, says in (
        (other.drop("age"), "there is no column 'age', which model.safetensors learnt from"),
        (other.rename({"city": "town"}), "'city', which model.safetensors learnt from"),
        (other.with_columns(age=pl.lit("old")), "column 'age': expected numbers as in training"),
        (other.clear(), "expected at least one row"),
    ):
        changed.write_csv(tmp_path / "other.csv")
        assert run(monkeypatch, "predict", trained, tmp_path / "other.csv") == 2
        error = capsys.readouterr().err
        assert error.startswith(f"backhand: {tmp_path / 'other.csv'}: ")
        assert says in error
    other.with_columns(buys=pl.lit("perhaps")).write_csv(tmp_path / "other.csv")
    assert run(monkeypatch, "evaluate", trained, tmp_path / "other.csv") == 2
    assert "expected one of the classes no, yes, got perhaps" in capsys.readouterr().err
    trained.write_bytes(trained.read_bytes()[:-100])
    assert run(monkeypatch, "evaluate", trained, tmp_path / "other.csv") == 2
    assert "perhaps cut short" in capsys.readouterr().err


def test_text_that_looks_like_numbers_stays_text_where_it_was(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("code;x; y\n01;2,5;7\n02;3; 1\n")
    table = read_table(tmp_path / "a.csv", HowToRead(types=["code=category"])).frame
    assert table["code"].to_list() == ["01", "02"]
    assert table["x"].to_list() == [2.5, 3.0]
    assert table["y"].to_list() == [7, 1]


def test_ctrl_c_keeps_the_best_epoch_so_far(table) -> None:
    words = ["train", str(table), "--target", "buys", "--epochs", "1000000", "--out", "made"]
    code = "from backhand.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=table.parent, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"COLUMNS": "200", "FORCE_COLOR": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    while "loss" not in (process.stdout.readline() or "loss"):
        pass
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "Stopped by Ctrl-C: the model is that of the best epoch so far." in printed
    epochs = rows_of(table.parent / "made" / "history.csv")
    assert 1 <= len(epochs) < 1_000_000
    assert load_table_model(table.parent / "made" / "model.safetensors").target_name_ == "buys"
