"""Programs train for thousands of steps."""

import pytest


@pytest.fixture(autouse=True)
def _unchecked(unchecked) -> None:
    """All of them go without the check of shapes."""
