"""What a report tells of classes, of mistakes and of numbers, and how its page shows it."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from backhand import drawing, plots
from backhand.cli.tables import details
from backhand.cli.tables.measures import Predictions
from backhand.cli.tables.outcome import TableOutcome, short
from backhand.cli.tables.report import write_files
from backhand.cli.tables.target import Target
from backhand.estimators import TableClassifier, TableRegressor

NAMES = ["苹果", "りんご", "تفاح", "$a_b$ <b>&"]


def outcome(truth: np.ndarray, model, table: pl.DataFrame) -> TableOutcome:
    task = "classification" if hasattr(model, "classes_") else "regression"
    test = np.arange(0, len(truth), 2)
    return TableOutcome(
        "table.csv", Target("kind", task, "", truth), table, test, model,
        Predictions.of(model, table[test]), trained=False,
    )  # fmt: skip


def classes_by_chance(names: list[str], rows: int) -> TableOutcome:
    random = np.random.default_rng(0)
    at = random.integers(0, len(names), rows)
    truth = np.array(names)[at]
    table = pl.DataFrame({"位置": at + random.normal(size=rows), "noise": random.normal(size=rows)})
    model = TableClassifier(hidden=(8,), epochs=3, random_state=0).fit(table, truth)
    return outcome(truth, model, table)


def text_of(path) -> str:
    return re.sub(r"<style>.*?</style>", "", path.read_text(), flags=re.S)


def test_names_of_any_script_are_text_on_the_page(tmp_path) -> None:
    write_files(classes_by_chance(NAMES, 80), tmp_path)
    told = text_of(tmp_path / "report.html")
    for name in NAMES[:3]:
        assert re.search(rf"<td[^>]*>{name}</td>", told)
        assert re.search(rf"<text[^>]*>{name}: area", told)
    assert "$a_b$ &lt;b&gt;&amp;" in told
    assert "<b>" not in told
    assert "位置" in told


def test_of_97_classes_those_most_confused_are_told_and_all_are_in_files(tmp_path) -> None:
    found = classes_by_chance([f"kind {i}" for i in range(97)], 2000)
    write_files(found, tmp_path)
    told = text_of(tmp_path / "report.html")
    assert "Confused most often" in told
    assert "all 97 are in classes.csv" in told
    assert not (tmp_path / "confusion.png").exists()
    listed = pl.read_csv(tmp_path / "confusion.csv")
    pairs = [(a, b) for a, b in zip(found.truth, found.ours.values, strict=True) if a != b]
    assert listed["rows"].sum() == len(pairs)
    first = listed.row(0, named=True)
    assert first["rows"] == pairs.count((first["true"], first["taken for"]))
    assert len(pl.read_csv(tmp_path / "classes.csv")) == 97
    assert told.count('<table class="compact">') == 2  # not a card for each class


def test_classes_are_scored_as_by_scikit_learn() -> None:
    truth, said = np.array(list("aabbbc")), np.array(list("abbbba"))
    predicted = Predictions(said, np.array(list("abcd")), np.full((6, 4), 0.25))
    rows = {row[0]: row[1:] for row in details.class_rows(predicted, truth)}
    assert rows["b"] == ["3", "0.750", "1.000", "0.857"]
    assert rows["c"] == ["1", "–", "0.000", "0.000"]
    assert rows["d"][2] == "–"
    expected = f1_score(truth, said, labels=["a"], average="macro")
    assert float(rows["a"][3]) == pytest.approx(expected, abs=1e-3)


def test_the_worst_mistakes_are_rows_of_the_table() -> None:
    found = classes_by_chance(NAMES, 80)
    mistakes = details.worst_mistakes(found)
    assert mistakes.labels == ("row", "kind", "predicted", "how sure", "位置", "noise")
    sure = [float(row[3].rstrip("%")) for row in mistakes.rows]
    assert sure == sorted(sure, reverse=True)
    for number, true, said, *_, noise in mistakes.rows:
        assert true != said
        assert found.target.values[int(number) - 1] == true
        assert float(noise) == pytest.approx(found.table["noise"][int(number) - 1], rel=1e-3)


@pytest.mark.parametrize("rows", [2, 39, 2000])
def test_residuals_show_every_row(rows) -> None:
    errors = np.random.default_rng(0).normal(size=rows)
    axes = plots.residuals(errors, errors).axes[0]
    dots = sum(len(each.get_offsets()) for each in axes.collections)
    bars = sum(each.get_height() for each in axes.patches)
    assert dots + bars == rows


def test_what_lies_beyond_the_edges_of_residuals_is_said() -> None:
    errors = np.concatenate([np.random.default_rng(0).normal(size=1000), [1e6, -5e5]])
    axes = plots.residuals(errors, errors).axes[0]
    left = len(errors) - sum(each.get_height() for each in axes.patches)
    assert left > 0
    assert (
        f"{left:.0f} of 1,002 lie beyond the edges: all from -5e+05 to 1e+06" in axes.get_xlabel()
    )


def test_legends_lie_below_the_axes() -> None:
    rates = np.linspace(0, 1, 5)
    lines = {f"kind {at}": (rates, rates, 0.5) for at in range(6)}
    for figure in (
        plots.training([1.0, 0.5], [0.9, 0.8], "Brier score"),
        plots.calibration([0.5, 0.9], [0.4, 1.0]),
        plots.roc(lines),
        plots.precision_recall(lines),
    ):
        figure.draw_without_rendering()
        (legend,), (axes,) = figure.legends, figure.axes
        assert axes.get_legend() is None
        assert legend.get_window_extent().y1 <= axes.get_tightbbox().y0
        assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_epochs_are_whole() -> None:
    figure = plots.training([1.0, 0.5, 0.4], [0.9, 0.8, 0.7], "Brier score")
    figure.draw_without_rendering()
    assert [tick for tick in figure.axes[0].get_xticks() if tick != int(tick)] == []


def test_the_network_says_how_wide_it_is_so_that_it_fits_a_narrow_screen(tmp_path) -> None:
    write_files(classes_by_chance(["no", "yes"], 40), tmp_path)
    page = (tmp_path / "report.html").read_text()
    letters, listed = re.search(r'<pre style="--letters: (\d+)">(.*?)</pre>', page, re.S).groups()
    assert int(letters) == max(map(len, listed.splitlines())) > 40
    assert "var(--letters)" in page


def test_values_are_shown_as_people_write_them() -> None:
    values = 89542181.0, 0.1234567, datetime(2020, 3, 19), datetime(2020, 3, 19, 14), None
    assert [short(each) for each in values] == [
        "89542181", "0.123457", "2020-03-19", "2020-03-19 14:00:00", "None",
    ]  # fmt: skip


def test_numbers_have_their_farthest_rows_and_plots(tmp_path) -> None:
    random = np.random.default_rng(0)
    table = pl.DataFrame({"x": random.normal(size=60)})
    truth = table["x"].to_numpy() * 2
    model = TableRegressor(hidden=(8,), epochs=3, random_state=0).fit(table, truth)
    write_files(outcome(truth, model, table), tmp_path)
    told = text_of(tmp_path / "report.html")
    assert "The predictions that are farthest off" in told
    assert told.count("<svg") == 3
    assert "Class by class" not in told


def test_charts_take_the_colours_of_the_page_and_share_no_names(tmp_path) -> None:
    write_files(classes_by_chance(NAMES, 80), tmp_path)
    told = text_of(tmp_path / "report.html")
    names = re.findall(r'\bid="([^"]*)"', told)
    assert len(names) == len(set(names)) > 10
    used = re.findall(r'href="#([^"]*)"', told) + re.findall(r"url\(#([^)]*)\)", told)
    assert set(used) <= set(names)
    assert drawing.TEST not in told
    assert "var(--teal)" in told
