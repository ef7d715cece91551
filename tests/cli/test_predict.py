"""`backhand predict`: somebody's own points, and what it refuses."""

from __future__ import annotations

import csv

import pytest
import torch
from test_disc import run

import backhand as bh
from backhand.data import disc


@pytest.fixture
def network(tmp_path):
    made = bh.Sequential(
        [bh.FullyConnected(2, 9), bh.Tanh(), bh.FullyConnected(9, 1), bh.Sigmoid()]
    )
    bh.save(made, tmp_path / "network.safetensors")
    return made


def test_prints_output_and_class_of_every_point(tmp_path, network, monkeypatch, capsys) -> None:
    points = disc(20, 1).inputs
    lines = [f"{x},{y},kept out" for x, y in points.tolist()]
    (tmp_path / "points.csv").write_text("\n".join(["x, y, note", *lines]) + "\n")
    assert (
        run(monkeypatch, "predict", tmp_path / "network.safetensors", tmp_path / "points.csv") == 0
    )
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    expected = network.predict(points)[:, 0]
    assert [float(row["output"]) for row in rows] == pytest.approx(expected.tolist(), abs=1e-6)
    assert [row["class"] == "1" for row in rows] == (expected > 0.5).tolist()


TABLES = {
    "without a column": ("x,z\n1,2\n", "expected a column y; it has x, z"),
    "with a word": ("x,y\n1,2\n\n3,four\n", "line 4: expected a number in column y, got 'four'"),
    "with a NaN": ("x,y\n1,nan\n", "line 2: expected a finite number in column y, got 'nan'"),
    "with too large a number": ("x,y\n1,1e300\n", "line 2: expected a finite number"),
    "with a short row": ("x,y\n1\n", "line 2: expected a number in column y, got nothing"),
    "without rows": ("x,y\n", "at least one row"),
    "that is empty": ("", "expected a column x; it has none"),
    "that is no text": (b"\xff\xfe\x00x", "not a text file in UTF-8"),
}


@pytest.mark.parametrize("name", TABLES)
def test_refuses_a_table(name, tmp_path, network, monkeypatch, capsys) -> None:
    content, says = TABLES[name]
    path = tmp_path / "points.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(monkeypatch, "predict", tmp_path / "network.safetensors", path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"backhand: {path}")
    assert says in error


def test_refuses_a_label_that_is_none(tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "points.csv"
    path.write_text("x,y,label\n1,2,1\n3,4,2\n")
    assert run(monkeypatch, "disc", "--train", path, "--out", tmp_path / "out") == 2
    assert f"{path}, line 3: expected label 0 or 1, got '2'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_refuses_a_network_file(tmp_path, network, monkeypatch, capsys) -> None:
    (tmp_path / "points.csv").write_text("x,y\n1,2\n")
    file = tmp_path / "network.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert run(monkeypatch, "predict", file, tmp_path / "points.csv") == 2
    assert "cut short" in capsys.readouterr().err
    bh.save(bh.Sequential([bh.FullyConnected(3, 1)]), file)
    assert run(monkeypatch, "predict", file, tmp_path / "points.csv") == 2
    assert (
        "0: FullyConnected(3, 1) expected input (batch, 3), got (1, 2)" in capsys.readouterr().err
    )
    bh.save(bh.FullyConnected(2, 5), file)
    assert run(monkeypatch, "predict", file, tmp_path / "points.csv") == 2
    assert "one output for each point" in capsys.readouterr().err
    assert torch.equal(network.layers[0].bias.value, torch.zeros(9))


def test_version_and_help(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"backhand {bh.__version__}\n"
    assert run(monkeypatch, "--help") == 0
    assert "disc" in capsys.readouterr().out
