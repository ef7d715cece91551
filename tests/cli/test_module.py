"""`python -m backhand` is `backhand`."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [(["--version"], 0, "backhand 0.1"), (["predict", "none", "none.csv"], 2, "backhand: none")],
)
def test_the_module_is_the_command(words, code, says, tmp_path) -> None:
    command = [sys.executable, "-m", "backhand", *words]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == code
    assert (found.stdout + found.stderr).startswith(says)
    assert "Traceback" not in found.stderr
