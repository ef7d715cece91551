"""Shapes and types are checked where layers, losses and rules are tested; here they train for
thousands of steps, and checking takes most of the time."""

import jaxtyping
import pytest


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
