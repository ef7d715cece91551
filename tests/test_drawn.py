"""Drawn networks, losses, rules and gates, changed between steps: all engines train them alike.

Plain steps, Replay (equal bits) and Native (to rounding), over 20 steps of drawn kinds on drawn
batches. What failed prints its seed, the network and all that was done to it; the same again is
`train_all(seed, native)`.
"""

from __future__ import annotations

import jaxtyping
import pytest

from drawn import SUBTLE, train_all

SEEDS = 300
SOAK = 5_000
EACH = 25
"""Seeds to a test."""


def with_native(seed: int) -> bool:
    """Whether Native trains it, too: what it compiles takes its time."""
    return seed % 8 == 0


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Shapes and types are checked where layers are tested; here it takes a third of the time.
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        patch.setenv("BACKHAND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("first", range(0, SEEDS, EACH))
def test_every_engine_trains_what_is_drawn_alike(first) -> None:
    for seed in range(first, first + EACH):
        train_all(seed, with_native(seed))


def test_replay_trains_alike_what_is_changed_subtly() -> None:
    for seed in range(EACH):
        train_all(seed, changes=SUBTLE)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SEEDS, SEEDS + SOAK, EACH))
def test_every_engine_trains_thousands_alike(first) -> None:
    for seed in range(first, first + EACH):
        train_all(seed, with_native(seed))
