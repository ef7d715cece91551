"""Threads: as many as pay, of those there are; small networks lose by them.

Their number follows what a step of this size was measured to take on this machine. It does not
follow what else the machine does at the moment: threads sleep while they wait (see `waiting`), so
that several cost no more than one beside other programs, and what a fit gives does not hang on it.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import torch

from backhand.layer import Layer
from backhand.program.engines.native import cache
from backhand.program.engines.native.compile import processor
from backhand.waiting import wait_without_spinning

TOO_SMALL = 4_000_000
"""Multiplications of a forward pass (weights · rows), fewer than this are one thread's anywhere:
they take a fraction of a millisecond, and to wake a thread takes a hundredth of one each time."""

LARGE = 64_000_000
"""Multiplications for each thread from which all threads pay anywhere. Between: measured."""

ROWS = 256
"""Of the batch in what is measured."""

SECONDS, ROUNDS = 0.05, 3
"""Spent measuring, once for a size; and how often each count is measured at least."""

WORTH = 0.9
"""Of the time with fewer threads: what more must come under to be taken."""

NAME = "threads"
"""What was measured is noted as."""

CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where Linux says what share of the processors a container has."""


def threads_for(network: Layer, rows: int) -> int:
    """How many threads a step of this network over so many rows is worth.

    At most as many as torch would use, and as a container's share of the processors allows. One,
    where weights · rows is less than TOO_SMALL; all, from LARGE for each; between, what was the
    fastest for steps of such a size, measured once on a machine that is not busy: a fit has the
    same threads, and bits, the next time.
    """
    most = int(min(torch.get_num_threads(), processors_allowed()))
    weights = sum(parameter.value.numel() for parameter in network.parameters().values())
    work = weights * rows
    if most == 1 or work < TOO_SMALL:
        return 1
    return most if work >= LARGE * most else fastest(math.floor(math.log2(work)), most)


def processors_allowed(group: Path = CONTROL_GROUP) -> float:
    """How many processors' time a container's quota grants, rounded up; inf where there is none.

    Args:
        group: the folder of its control group, of either version.
    """
    try:
        if (both := group / "cpu.max").exists():
            quota, period = both.read_text().split()
        else:
            files = (group / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
            quota, period = (file.read_text().strip() for file in files)
        share = math.inf if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
    return share if share == math.inf else max(1, math.ceil(share))


def fastest(size: int, most: int) -> int:
    """What `measured_fastest` finds, once on a machine; of a busy one, once in a process."""
    return _kept_or_measured(size, most, cache.folder())


@functools.cache
def _kept_or_measured(size: int, most: int, folder: object) -> int:
    """From the cache folder, else measured and noted there."""
    key = f"{processor()}, {most} threads, 2 ** {size} multiplications"
    found = cache.noted(NAME).get(key)
    if not isinstance(found, int) or not 1 <= found <= most:
        found = measured_fastest(size, most)
        if not _is_busy():
            cache.note(NAME, key, found)
    return found


def _is_busy() -> bool:
    """Whether so much else is computed that several threads may have seemed to pay less than they
    do, which should not be kept."""
    with suppress(AttributeError, OSError):  # there is no such figure on Windows
        return os.getloadavg()[0] > (os.cpu_count() or 1) / 2
    return False


def measured_fastest(size: int, most: int) -> int:
    """How many threads a step of 2 ** size multiplications forward is done by soonest.

    The best time of each count is compared, for the machine's other work only makes them longer;
    more threads must win by a tenth.

    Args:
        size: as above.
        most: how many there may be; this, its half and so on are tried, and one.
    """
    counts = [1]
    while most > 1:
        counts.insert(1, most)
        most //= 2
    side = math.isqrt(2**size // ROWS)
    weight, input = torch.ones(side, side), torch.ones(ROWS, side)
    best = dict.fromkeys(counts, math.inf)
    begun, rounds = perf_counter(), 0
    while rounds < ROUNDS or perf_counter() - begun < SECONDS:
        for count in counts:
            with running_on(count):
                _products(weight, input)  # wakes them
                before = perf_counter()
                _products(weight, input)
                best[count] = min(best[count], perf_counter() - before)
        rounds += 1
    chosen = 1
    for count in counts:
        if best[count] < WORTH * best[chosen]:
            chosen = count
    return chosen


def _products(weight: torch.Tensor, input: torch.Tensor) -> None:
    """What a fully connected layer and its activation do in a step."""
    output = torch.tanh(input @ weight.t())
    error = output * (1 - output * output)
    torch.mm(error.t(), input)
    torch.mm(error, weight)


@contextmanager
def running_on(threads: int) -> Iterator[None]:
    """Torch's number of threads set, and set back afterwards; they sleep while they wait.

    Raises:
        ValueError: threads is less than 1.
    """
    if threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        wait_without_spinning()
        yield
    finally:
        torch.set_num_threads(before)
