"""The examples run, and reach what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent


def test_digits_reach_97_5_percent_and_show_the_mistakes(tmp_path, monkeypatch, capsys) -> None:
    picture = tmp_path / "mistakes.png"
    monkeypatch.setattr("sys.argv", ["digits.py", str(picture)])
    accuracy = runpy.run_path(str(ROOT / "examples" / "digits.py"))["main"]()
    assert accuracy >= 0.975
    assert f"{accuracy:.2%} of 360 test digits" in capsys.readouterr().out
    with Image.open(picture) as image:
        assert len(image.getcolors(1 << 20)) > 10  # digits, not a blank page
