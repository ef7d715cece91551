"""`backhand cache` and `backhand export`, as a person types them."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

import backhand as bh
from backhand.cli import app
from backhand.networks.probing import zeros_for
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
        (["--c", "--input", "2,x"], "expected a shape of one example such as 1,28,28, got '2,x'"),
        (["--c", "--input", "3"], "does not take an example of shape (3,): 0: FullyConnected(2, 5"),
    ],
)
def test_what_cannot_be_exported_is_said(saved, words, message) -> None:
    done = run("export", saved, *words)
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception)


EXPORTED = {
    "a first layer of another class": (bh.Sequential([bh.Scale(3), bh.ReLU()]), None, 3),
    "a branch": (bh.Residual(bh.NeuralTangentLinear(4, 4)), None, 4),
    "a wide bottleneck": (
        bh.Sequential([bh.Tanh(), bh.FullyConnected(2, 7), bh.Scale(7), bh.FullyConnected(7, 3)]),
        None,
        2,
    ),
    "weights of doubles": (bh.FullyConnected(6, 2).to(torch.float64), None, 6),
    "any shape": (bh.Tanh(), "2,3", 6),
    "a signal": (
        bh.Sequential([bh.Conv1d(3, 2, 5), bh.GlobalAvgPool1d(), bh.FullyConnected(2, 4)]),
        "3,20",
        60,
    ),
    "a series": (bh.Sequential([bh.GRU(3, 4), bh.LastStep()]), "40,3", 120),
    "an image": (bh.Sequential([bh.Flatten(), bh.FullyConnected(12, 2)]), "1,3,4", 12),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_export_finds_how_many_numbers_any_network_takes_or_is_told(name, tmp_path) -> None:
    network, shape, inputs = EXPORTED[name]
    bh.save(network, tmp_path / "net.safetensors")
    words = [] if shape is None else ["--input", shape]
    done = run("export", tmp_path / "net.safetensors", "--c", *words, "--out", tmp_path)
    assert done.exit_code == 0, done.exception
    kind = "double" if "doubles" in name else "float"
    assert f"const {kind} input[{inputs}]" in (tmp_path / "net.h").read_text()


def test_a_network_that_does_not_tell_what_it_takes_asks_for_the_shape(tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    bh.save(bh.Sequential([bh.Tanh()]), path)
    done = run("export", path, "--c")
    says = "its weights do not tell the shape of one example; say its shape, such as --input 1,28"
    assert f"{path}: {says}" in str(done.exception)


def test_a_network_of_tokens_is_probed_with_tokens() -> None:
    network = bh.Sequential([bh.Embedding(10, 3), bh.FullyConnected(3, 2)])
    assert zeros_for(network, (5,)).dtype is torch.int64
    with pytest.raises(ValueError, match="do not tell the shape"):
        zeros_for(network)


class Mean(bh.Layer):
    """The mean of however many features."""

    def forward(self, input, training):
        return input.mean(-1, keepdim=True), input.shape

    def propagate(self, error, shape, learning_rate):
        return (error / shape[-1]).expand(shape)


def test_a_network_that_takes_vectors_of_several_lengths_is_not_guessed_at() -> None:
    network = bh.Sequential([Mean(), bh.FullyConnected(1, 3)])
    with pytest.raises(ValueError, match="do not tell the shape"):
        zeros_for(network)
    assert zeros_for(network, (4,)).shape == (1, 4)
