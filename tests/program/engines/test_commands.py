"""`backhand cache` and `backhand export`, as a person types them."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

import backhand as bh
from backhand.cli import app
from backhand.program.engines.native import Native, cache


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def saved(tmp_path):
    network = bh.Sequential([bh.FullyConnected(2, 5), bh.Tanh(), bh.FullyConnected(5, 1)])
    bh.save(network, tmp_path / "my-disc.safetensors")
    return tmp_path / "my-disc.safetensors"


def test_cache_shows_and_clears(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    assert run("cache").output == f"{tmp_path / 'cache'}: 0 compiled steps, 0 bytes\n"
    bh.Prediction(bh.Sequential([bh.Tanh()]), Native())(torch.zeros(1, 2))
    assert ": 1 compiled steps, " in run("cache").output
    assert run("cache", "--clear").output.startswith("removed 1 compiled steps from ")
    assert ": 0 compiled steps, 0 bytes" in run("cache").output


def test_export_writes_two_files(saved, tmp_path) -> None:
    out = tmp_path / "c"
    done = run("export", saved, "--c", "--loss", "mse", "--batch-size", 4, "--out", out)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["my_disc.c", "my_disc.h"]
    assert (
        "int my_disc_train_step(const float input[8], const float target[4]"
        in (out / "my_disc.h").read_text()
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say --c"),
        (["--c", "--ram", "1k", "--loss", "mse", "--batch-size", 64], "1024 are allowed"),
        (["--c", "--ram", "lots"], "expected a number of bytes"),
        (["--c", "--loss", "hinge"], "expected one of mse"),
        (["--c", "--loss", "mse", "--batch-size", 0], "batch size: expected 1 or more"),
        (["--c", "--name", "2d"], "expected letters"),
    ],
)
def test_what_cannot_be_exported_is_said(saved, words, message) -> None:
    done = run("export", saved, *words)
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception)
