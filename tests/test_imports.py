"""What importing Backhand loads, what it exports, and what its source never names."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import backhand

SOURCE = Path(backhand.__file__).parent
HEAVY = "matplotlib typer rich jinja2 sklearn pandas polars river jax numba hypothesis beartype"


def test_import_loads_no_plotting_command_line_or_web_library() -> None:
    code = "import sys, backhand; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(HEAVY.split()) & set(loaded)
    # Beyond torch's own imports: only jaxtyping (and what that needs) and safetensors.
    code = "import sys, torch; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    of_torch = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = set(loaded) - set(of_torch) - sys.stdlib_module_names
    assert ours <= {"backhand", "jaxtyping", "safetensors", "wadler_lindig"}


def test_exports_are_explicit_sorted_and_documented() -> None:
    assert backhand.__all__ == sorted(backhand.__all__, key=_constants_first)
    for name in backhand.__all__:
        assert inspect.getdoc(getattr(backhand, name)), name
    public = {
        n for n, v in vars(backhand).items() if not n.startswith("_") and not inspect.ismodule(v)
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
