"""The examples run, and reach what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent


def run(monkeypatch, name: str, *arguments: object):
    """What an example's main returns."""
    monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
    return runpy.run_path(str(ROOT / "examples" / name))["main"]()


def shows_something(picture: Path) -> bool:
    """Whether a picture is there, and no blank page."""
    with Image.open(picture) as image:
        colours = image.convert("RGB").getcolors(1 << 20)
        return len(colours) > 10


def test_digits_reach_97_5_percent_and_show_the_mistakes(tmp_path, monkeypatch, capsys) -> None:
    picture = tmp_path / "mistakes.png"
    accuracy = run(monkeypatch, "digits.py", picture)
    assert accuracy >= 0.975
    assert f"{accuracy:.2%} of 360 test digits" in capsys.readouterr().out
    assert shows_something(picture)


def test_a_convolutional_network_learns_the_digits(tmp_path, monkeypatch, capsys) -> None:
    picture = tmp_path / "mistakes.png"
    accuracy = run(monkeypatch, "images.py", "digits", "--epochs", 4, "--picture", picture)
    assert accuracy >= 0.97
    assert f"{accuracy:.2%} of 360 test images" in capsys.readouterr().out
    assert shows_something(picture)


@pytest.mark.soak
@pytest.mark.parametrize(("arguments", "least"), [(("digits",), 0.988), (("mnist",), 0.965),
                                                  (("digits", "--residual"), 0.975)])  # fmt: skip
def test_images_reach_what_they_promise(arguments, least, tmp_path, monkeypatch) -> None:
    seeds = range(5) if arguments == ("digits",) else range(1)
    found = sorted(
        run(monkeypatch, "images.py", *arguments, "--seed", seed, "--picture", tmp_path / "p.png")
        for seed in seeds
    )
    assert found[len(found) // 2] >= least


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_forecast_is_better_than_the_seasonal_naive_one(cell, tmp_path, monkeypatch) -> None:
    picture = tmp_path / "forecast.png"
    arguments = ["elnino", "--cell", cell, "--epochs", 8, "--picture", picture]
    ours, naive = run(monkeypatch, "forecast.py", *arguments)
    assert ours < 0.8 * naive
    assert shows_something(picture)


def test_a_gpt_learns_a_text_and_writes_on(tmp_path, monkeypatch, capsys) -> None:
    picture, text = tmp_path / "losses.png", tmp_path / "text"
    text.write_text("the cat sat on the mat. a dog dug in the bog. " * 60)
    small = ["--width", 32, "--depth", 2, "--heads", 2, "--length", 16]
    long = ["--steps", 250, "--rate", 0.01]
    loss = run(
        monkeypatch, "gpt.py", text, *small, *long, "--prompt", "the cat", "--picture", picture
    )
    assert loss < 0.7  # nats a character; guessing by frequency: about 2.5
    written = capsys.readouterr().out
    assert "the mat. a dog" in written.split("ms each")[1]
    assert shows_something(picture)


def test_a_gpt_wants_enough_text(tmp_path, monkeypatch, capsys) -> None:
    text = tmp_path / "text"
    text.write_text("too short")
    with pytest.raises(SystemExit):
        run(monkeypatch, "gpt.py", text)
    assert "has 9 characters; expected more than 640" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"caf\xe9", "not UTF-8"), (b"a", "1 characters")]
)
def test_a_text_that_cannot_be_used_is_refused(content, says, tmp_path, monkeypatch, capsys):
    if content is not None:
        (tmp_path / "text").write_bytes(content)
    with pytest.raises(SystemExit):
        run(monkeypatch, "gpt.py", tmp_path / "text")
    assert says in capsys.readouterr().err.splitlines()[-1]
