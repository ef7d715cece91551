"""Any file either loads to what works, or is refused in one sentence, soon and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mutations import LOADERS


def faults(loader: str, count: int, seed: int) -> list[str]:
    """What goes wrong in so many mutations of a file, in a process of its own."""
    command = [sys.executable, "-m", "mutations", loader, str(count), str(seed)]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("loader", LOADERS)
def test_files_changed_at_random(loader) -> None:
    assert faults(loader, 300, seed=0) == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("loader", LOADERS)
def test_thousands_of_files_changed_at_random(loader, seed) -> None:
    assert faults(loader, 3000, seed) == []
