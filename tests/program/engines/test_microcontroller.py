"""The microcontroller example: it trains in C, on a computer, what its README says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "microcontroller"


def make(folder: Path, target: str) -> str:
    done = subprocess.run(
        ["make", "-s", target, f"PYTHON={sys.executable}"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("example") / "microcontroller")


@pytest.fixture(scope="module")
def said(folder) -> str:
    """What `make check` prints: all of it runs under sanitizers."""
    return make(folder, "check")


def test_the_disc_is_learnt(said) -> None:
    assert float(re.search(r"after: ([\d.]+) % of new points right", said)[1]) > 97


def test_the_readme_has_the_bytes(said, folder) -> None:
    table = (folder / "README.md").read_text()
    printed = re.findall(r"(\d+) bytes of numbers, (\d+) bytes of RAM", said)
    assert len(printed) == 5
    for numbers, ram in printed:
        assert f"| {int(numbers):,} bytes | {int(ram):,} bytes |" in table
    # What a linker sees; beside it only what aligns arrays.
    listed = [line.split() for line in make(folder, "size").splitlines() if line.endswith(".o")]
    linked = sorted(int(data) + int(bss) for _, data, bss, *_ in listed)
    for ram, found in zip(sorted(int(ram) for _, ram in printed), linked, strict=True):
        assert ram <= found <= ram + 256


@pytest.mark.parametrize(("name", "least"), [("motion_conv", 0.95), ("motion_gru", 0.9)])
def test_real_recordings_are_told_apart(name, least, said) -> None:
    counts = re.findall(rf"{name}: (\d+) of (\d+) held out right", said)
    before, after = (int(right) / int(count) for right, count in counts)
    assert before < 0.5
    assert after >= least


def test_python_trains_the_same_to_rounding(folder) -> None:
    rows = re.findall(r"^\| (motion_\w+) \|(.*)\|$", make(folder, "beside"), re.MULTILINE)
    assert [name for name, _ in rows] == ["motion_conv", "motion_gru"]
    for _, rest in rows:
        in_c, in_python, apart, right_in_c, right = (each.strip() for each in rest.split("|"))
        assert float(in_c) == pytest.approx(float(in_python), rel=1e-4)
        assert float(apart) < 1e-4
        assert right_in_c == right
