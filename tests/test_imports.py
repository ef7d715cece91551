"""What importing Backhand loads, what it exports, and what its source never names."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import backhand
import backhand.exports

SOURCE = Path(backhand.__file__).parent
HEAVY = "matplotlib typer rich jinja2 sklearn pandas polars river jax numba hypothesis beartype"


def test_import_loads_no_plotting_command_line_or_web_library() -> None:
    loaded = loaded_by("import backhand.exports")
    assert not set(HEAVY.split()) & set(loaded)
    # Beyond torch's own imports: only jaxtyping (and what that needs) and safetensors.
    ours = loaded - loaded_by("import torch") - sys.stdlib_module_names
    assert ours <= {"backhand", "jaxtyping", "safetensors", "wadler_lindig"}


def test_help_and_version_load_neither_torch_nor_rich() -> None:
    for words in ([], ["--help"], ["--version"], ["train", "--help"], ["disc", "--help"]):
        code = f"""
import sys
sys.argv = {["backhand", *words]!r}
from backhand.cli import main
try:
    main()
except SystemExit as ended:
    assert ended.code in (0, 2)
"""
        assert not {"torch", "numpy", "rich", "sklearn", "matplotlib"} & loaded_by(code), words


def test_the_command_line_lets_threads_wait_without_spinning() -> None:
    code = """
import os, sys
sys.argv = ["backhand", "--version"]
from backhand.cli import main
try:
    main()
finally:
    print(os.environ["OMP_WAIT_POLICY"])"""
    for given, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "active"}, "active")):
        bare = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=bare | given
        ).stdout
        assert said.split()[-1] == expected


def test_what_the_package_offers_comes_when_it_is_asked_for() -> None:
    code = """
import sys, backhand
assert "torch" not in sys.modules
assert "Sequential" in dir(backhand) and "torch" in sys.modules
from backhand import *
assert Sequential is backhand.Sequential and backhand.layers.ReLU is ReLU
import pytest
with pytest.raises(AttributeError, match="module 'backhand' has no attribute 'Sequentail'"):
    backhand.Sequentail
with pytest.raises(ImportError):
    from backhand import Sequentail"""
    subprocess.run([sys.executable, "-c", code], check=True)


def loaded_by(code: str) -> set[str]:
    """The names of the packages that are loaded after this code."""
    code += "\nimport sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_exports_are_explicit_sorted_and_documented() -> None:
    assert backhand.__all__ == sorted(backhand.__all__, key=_constants_first)
    for name in backhand.__all__:
        assert inspect.getdoc(getattr(backhand, name)), name
    assert set(backhand.__all__) <= set(dir(backhand))
    public = {
        n
        for n, v in vars(backhand.exports).items()
        if not n.startswith("_") and not inspect.ismodule(v)
    }
    assert public == set(backhand.__all__)


def _constants_first(name: str) -> tuple[bool, bool, str]:
    return (not name.isupper(), not name[0].isupper(), name)


BANNED = [
    r"torch\.autograd",
    r"torch\.nn\b",
    r"torch\.optim",
    r"requires_grad",
    r"[a-z]_backward\(",
    r"\.no_grad",
    r"\bimport autograd",
    r"\.grad\b",
]


def test_the_source_names_nothing_of_autograd() -> None:
    for path in SOURCE.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            code = re.sub(r'"[^"]*"|#.*', "", line)
            for pattern in BANNED:
                prose = "as in torch.optim" in line or "torch.optim's" in line
                assert prose or not re.search(pattern, code), f"{path.name}:{number}: {line}"
