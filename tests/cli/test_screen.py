"""What the commands print fits a screen of 80 columns, and is cut nowhere."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from test_details import classes_by_chance, outcome

from backhand.cli.tables.measures import Predictions, figure
from backhand.cli.tables.outcome import COMPILATION, TableOutcome
from backhand.cli.tables.peers import Peer, knowing_nothing
from backhand.cli.tables.report import results_table
from backhand.estimators import TableRegressor

PEERS = "MLP (scikit-learn)", "boosted trees (scikit-learn)"


def printed(thing, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(thing)
    return console.file.getvalue()


def beside_others(found: TableOutcome, worse: Predictions) -> TableOutcome:
    found.peers = [Peer(name, worse, 123.4) for name in PEERS]
    found.baseline = knowing_nothing(found.truth, len(found.truth), found.ours.classes)
    found.trained, found.seconds = True, {"training": 1234.5, COMPILATION: 12.3}
    return found


def large_numbers() -> TableOutcome:
    truth = np.random.default_rng(0).normal(size=200) * 1e12
    table = pl.DataFrame({"x": truth / 1e12})
    model = TableRegressor(hidden=(4,), epochs=1, random_state=0).fit(table, truth)
    found = outcome(truth, model, table)
    return beside_others(found, Predictions(-1000 * found.ours.values - 1e15))


def two_classes() -> TableOutcome:
    found = classes_by_chance(["no", "yes"], 80)
    return beside_others(found, found.ours)


def test_a_figure_has_four_decimals_or_six_digits() -> None:
    values = 0.98765, -12.3, 999.99994, 123456.7, -1.23456e12
    assert [*map(figure, values)] == ["0.9877", "-12.3000", "999.9999", "123457", "-1.23456e+12"]


@pytest.mark.parametrize("make", [two_classes, large_numbers])
def test_the_figures_of_four_models_fit_a_screen(make) -> None:
    found = make()
    said = printed(results_table(found))
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= 80
    words = said.split()
    for who, measured in found.results().items():
        assert all(word in words for word in who.split())
        for name, value in measured.items():
            assert figure(value) in words
            assert any(line.startswith(f"{name} ") for line in said.splitlines())
        assert all(figure(end) in words for end in found.verdict().ends(who))
    assert "1234.5" in words
    assert "…" not in printed(results_table(found), width=50)
