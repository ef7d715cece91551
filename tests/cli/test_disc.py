"""`backhand disc` and `backhand xor`: what they write, print and refuse."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from backhand import load
from backhand.cli import main
from backhand.cli.claims import NOT_LEARNT
from backhand.data import Data
from backhand.experiments import XOR, Settings, own_points, train_seed, xor_settings

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


def own(path, points: int = 60, noise: bool = False) -> Path:
    """A file of points, 1 right of the middle, or 1 by chance."""
    random = np.random.default_rng(0)
    x, y = random.uniform(-2, 3, (2, points)).round(3)
    label = random.integers(0, 2, points) if noise else (x > 0.5).astype(int)
    rows = "".join(f"{c},{a},{b}\n" for a, b, c in zip(x, y, label, strict=True))
    path.write_text("label,x,y\n" + rows)
    return path


def test_own_points_are_tested_on_a_share_held_out(tmp_path, monkeypatch, capsys) -> None:
    table, out = own(tmp_path / "mine.csv"), tmp_path / "out"
    words = ("disc", "--seeds", 1, "--epochs", 20, "--learning-rate", 0.5, "--train", table)
    assert run(monkeypatch, *words, "--out", out) == 0
    printed = capsys.readouterr().out
    page = (out / "report.html").read_text()
    for words in (
        "1 seed trained in",
        "points of mine.csv",
        "12 held out",
        "always the larger class",
    ):
        assert words in printed
        assert words in page
    assert "60 of mine.csv: 48 to train on, 12 held out" in page
    told = re.sub(r"<style>.*?</style>|<[^>]*>", "", page, flags=re.S)
    for words in ("1000", "xor", "circle", "claim", "fresh", "the report"):
        assert words not in printed, words
        assert words not in told, words


def test_each_seed_holds_out_other_points_of_both_classes() -> None:
    inputs = torch.arange(50.0).reshape(50, 1).repeat(1, 2)
    task = own_points("mine.csv", Data(inputs, (inputs[:, :1] < 10).float()))
    for seed in range(3):
        train, test = task.train(Settings(), seed), task.test(seed)
        both = torch.cat([train.inputs, test.inputs])[:, 0]
        assert sorted(both.tolist()) == list(range(50))
        assert test.targets.sum() == 2
        assert len(test.inputs) == 10
        assert torch.equal(test.inputs, task.fresh(seed).inputs)
    assert not torch.equal(task.test(0).inputs, task.test(1).inputs)
    few = own_points("f", Data(torch.rand(5, 2), torch.tensor([[0.0], [1.0], [0.0], [1.0], [1.0]])))
    assert len(few.test(0).inputs) == 1


def test_the_epoch_of_convergence_means_nothing_where_nothing_is_learnt(
    tmp_path, monkeypatch, capsys
) -> None:
    table, out = own(tmp_path / "noise.csv", noise=True), tmp_path / "out"
    words = ("disc", "--seeds", 1, "--epochs", 2, "--learning-rate", 1e-6, "--train", table)
    assert run(monkeypatch, *words, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "means nothing" in printed
    said = " ".join(NOT_LEARNT.split())
    assert said in " ".join((out / "report.html").read_text().split())
    assert "no better than always the larger class" in " ".join(printed.split())


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
    "points beside a file of them": (
        ["--points", 9, "--train", "none.csv"], "points: with --train there are the file's",
    ),
    "a table that is not there": (["--train", "none.csv"], "none.csv: No such file"),
}  # fmt: skip


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
