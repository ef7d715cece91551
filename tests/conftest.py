"""Every test runs with the shapes and types in the signatures checked."""

from jaxtyping import install_import_hook

with install_import_hook("backhand", "typechecking.checked"):
    import backhand  # noqa: F401

import pytest
import torch
from hypothesis import settings

settings.register_profile("backhand", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("backhand")


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)
