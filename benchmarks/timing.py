"""Timing: several callables in turn, again and again, so that a drifting machine is fair to all."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable


def interleaved(
    calls: dict[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, float]:
    """The median time of one call of each, in seconds.

    Each round gives every callable about `seconds` in one block; the order of the callables
    is turned round after every round.
    """
    repeats: dict[str, int] = {}
    for name, call in calls.items():
        call()
        begun = time.perf_counter()
        call()
        once = time.perf_counter() - begun
        repeats[name] = max(1, int(seconds / max(once, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name in names:
            call, count = calls[name], repeats[name]
            begun = time.perf_counter()
            for _ in range(count):
                call()
            times[name].append((time.perf_counter() - begun) / count)
        names.reverse()
    gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}
