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
    """What products cost is measured for each cache folder, and tests make many; here it is as on
    some processor."""
    from backhand.program.engines.native import measured

    seconds = ((1e-6, 5e-6, 2e-5, 1e-4, 8e-4), (2e-6, 4e-6, 1e-5, 6e-5, 5e-4))
    costs = measured.Costs(*seconds, tuple(1e-6 + each for each in seconds[1]), 1e-6)
    monkeypatch.setattr(measured, "measure", lambda dtype: costs)


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
