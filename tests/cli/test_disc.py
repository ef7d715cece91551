"""`backhand disc` and `backhand xor`: what they write, print and refuse."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from backhand import load
from backhand.cli import main
from backhand.experiments import XOR, Settings, train_seed, xor_settings

FILES = {
    "accuracies.png",
    "boundary.png",
    "history.csv",
    "losses.png",
    "network.safetensors",
    "report.html",
}


def run(monkeypatch, *words: object) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr("sys.argv", ["backhand", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_disc_writes_a_report_and_prints_the_claims(tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "made" / "here"
    options = ("--seeds", 2, "--epochs", 3, "--hidden", "7", "--points", 100)
    assert run(monkeypatch, "disc", *options, "--out", out) == 0
    assert {each.name for each in out.iterdir()} == FILES
    printed = capsys.readouterr().out
    for words in (
        "2-7-1, tanh, 2 seeds trained in",
        "up to 90 %",
        "under 0.1",
        "epoch of convergence",
    ):
        assert words in printed
    assert "perceptron on xor" in printed
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["epoch"]) for row in rows] == [
        (seed, epoch) for seed in "01" for epoch in "123"
    ]
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 3
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "--seeds 2" in page
    assert repr(load(out / "network.safetensors")).startswith("Sequential([FullyConnected(2, 7")
    assert run(monkeypatch, "disc", *options, "--out", out) == 0  # the second run replaces


def test_disc_trains_on_somebodys_own_points(tmp_path, monkeypatch, capsys) -> None:
    table = tmp_path / "points.csv"
    table.write_text("label,x,y\n1,0.5,0.5\n0,0.1,0.9\n1,0.4,0.5\n0,0.9,0.1\n0,0,0\n")
    words = ("disc", "--seeds", 1, "--epochs", 2, "--train", table, "--out", tmp_path / "out")
    assert run(monkeypatch, *words) == 0
    assert "1 seed trained in" in capsys.readouterr().out


def test_show_step_prints_the_step_that_runs_and_its_memory(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "disc", "--show-step") == 0
    printed = capsys.readouterr().out
    assert "weight_0.addmm_(" in printed
    assert "2: FullyConnected(25, 25" in printed
    assert "activations" in printed


def test_xor_is_learnt_from_every_seed() -> None:
    settings = xor_settings(Settings())
    assert settings.epochs == 60
    assert all(train_seed(XOR, settings, seed).fresh["accuracy"] == 1 for seed in range(20))


BAD = {
    "a rate of 0": (["--learning-rate", 0], "learning rate: expected a finite number above 0"),
    "a rate that is no number": (["--learning-rate", "nan"], "got nan"),
    "an unknown activation": (["--activation", "step"], "one of relu, sigmoid, tanh, got 'step'"),
    "hidden layers that are no numbers": (["--hidden", "a,b"], "whole numbers"),
    "an empty layer": (["--hidden", "0"], "at least 1 neuron"),
    "no epochs": (["--epochs", 0], "epochs: expected 1 or more, got 0"),
    "no seeds": (["--seeds", 0], "seeds: expected 1 or more, got 0"),
    "no points": (["--points", 0], "points: expected 1 or more, got 0"),
    "a table that is not there": (["--train", "none.csv"], "none.csv: No such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_get_one_sentence_and_write_nothing(
    name, tmp_path, monkeypatch, capsys
) -> None:
    options, says = BAD[name]
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "disc", *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("backhand: ")
    assert says in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused_before_training(
    tmp_path, monkeypatch, capsys
) -> None:
    (tmp_path / "file").write_text("mine")
    assert run(monkeypatch, "disc", "--out", tmp_path / "file" / "out") == 2
    assert "cannot write there" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_rate_that_blows_up_is_one_sentence(tmp_path, monkeypatch, capsys) -> None:
    words = ("disc", "--learning-rate", 1e38, "--activation", "relu", "--seeds", 1)
    assert run(monkeypatch, *words, "--out", tmp_path / "out") == 2
    assert "no longer a finite number" in capsys.readouterr().err


def test_ctrl_c_saves_what_has_been_measured(tmp_path) -> None:
    command = [sys.executable, "-c", "from backhand.cli import main; main()", "disc"]
    process = subprocess.Popen(
        [*command, "--seeds", "5000", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while not (tmp_path / "out").exists():
        time.sleep(0.05)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    printed, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Stopped by Ctrl-C after" in printed
    assert {each.name for each in (tmp_path / "out").iterdir()} == FILES
    assert "Stopped by Ctrl-C" in (tmp_path / "out" / "report.html").read_text()
