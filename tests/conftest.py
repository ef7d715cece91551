"""Every test runs with the shapes and types in the signatures checked.

But for program/'s: it has few shapes, and records a hundred times as slowly when it is checked.
"""

import importlib.util
import pkgutil
import signal

import jaxtyping
import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

package = importlib.util.find_spec("backhand")
assert package is not None
rooms = [room.name for room in pkgutil.iter_modules(package.submodule_search_locations)]
checked = [f"backhand.{room}" for room in rooms if room != "program"]

with install_import_hook(checked, "typechecking.checked"):
    import backhand.exports  # noqa: F401

settings.register_profile("backhand", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("backhand")

torch.manual_seed(0)  # for what test modules draw when they are imported


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _products_as_measured_once(monkeypatch):
    """From which size the BLAS takes products is measured for each cache folder, and tests make
    many; here it is what was measured on some processor."""
    monkeypatch.setattr("backhand.program.engines.native.measured.measure", lambda dtype: 32**3)


@pytest.fixture
def unchecked(monkeypatch):
    """Shapes and types are checked where layers, losses and rules are tested; what makes thousands
    of their calls goes without, for checking takes most of the time."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def quick_compiler(tmp_path, monkeypatch):
    """Gcc that does not optimize: what it is given is the same."""
    script = tmp_path / "quick"
    script.write_text('#!/bin/sh\nexec gcc "$@" -O0\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))


@pytest.fixture
def doubles():
    """float64 by default: torch's NAdam keeps its product of momenta in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def as_in_a_terminal(monkeypatch):
    """Ctrl-C interrupts, though tests may run in the background, where it is ignored; shapes and
    types are not checked, for these checks are no part of what is interrupted."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
