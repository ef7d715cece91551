"""What a product costs on this machine, by the C written here and by the BLAS; measured once.

Which of them is the faster depends on the processor: on one, tiles written for a product's very
size beat the library, on the next they lost to it. So both are timed, where the step at hand has
a product that is not plainly too small for the library, and what was found is kept in the cache
folder with the processor's name.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from time import perf_counter

import torch

from backhand.program.calls import View
from backhand.program.engines.engine import CannotCompile
from backhand.program.engines.native import cache
from backhand.program.engines.native.addresses import NAMES, blas_addresses
from backhand.program.engines.native.compile import processor, vector_bytes
from backhand.program.engines.native.compiled import Compiled
from backhand.program.engines.native.emit import write_c
from backhand.program.plan import OUTSIDE, Operation, Plan, Storage

SIDES = (16, 32, 64, 128)
"""Of the square matrices whose products are timed. What is smaller than the first is never left
to the library: there its call costs as much as the product."""

ROUNDS = 40
"""Of both in turn; the best of each counts, for the machine's other work only makes them slower."""

FILE = "products.json"
"""In the cache folder."""


def library_from(plan: Plan) -> dict[torch.dtype, float]:
    """Multiplications of a product from which the BLAS is the faster, for each real dtype.

    Nothing is measured where all products of a plan are small, or there is no BLAS.
    """
    dtypes = {
        each.target.dtype for each in plan.operations if each.multiplications >= SIDES[0] ** 3
    }
    if blas_addresses() is None:
        return {}
    return {dtype: _known(dtype) for dtype in sorted(dtypes & NAMES.keys(), key=str)}


def known() -> dict[str, float]:
    """What has been measured and kept, by processor, dtype and number of threads."""
    try:
        found = json.loads((cache.folder() / FILE).read_text())
        return {str(key): float(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _known(dtype: torch.dtype) -> float:
    return _measured(dtype, torch.get_num_threads(), cache.folder())


@functools.cache
def _measured(dtype: torch.dtype, threads: int, folder: object) -> float:
    """From the cache folder, else measured and kept there."""
    key = f"{processor()}, {str(dtype).removeprefix('torch.')}, {threads} threads"
    kept = known()
    if key not in kept:
        kept[key] = measure(dtype)
        cache.write(FILE, json.dumps(kept, indent=1).encode())
    return kept[key]


def measure(dtype: torch.dtype) -> float:
    """Multiplications of a square product from which, on this machine, the BLAS is the faster.

    Infinite where it never is, or no C can be compiled.
    """
    try:
        own, library = _steps(dtype, math.inf), _steps(dtype, 0)
    except CannotCompile:
        return math.inf
    best = math.inf
    for side, mine, theirs in zip(SIDES[::-1], own[::-1], library[::-1], strict=True):
        if _time(theirs, mine) > 1:
            break
        best = side**3
    return best


def _time(step: Callable[[], object], other: Callable[[], object]) -> float:
    """How long one takes, as a share of the other."""
    seconds = [math.inf, math.inf]
    for _ in range(ROUNDS):
        for at, each in enumerate((step, other)):
            begun = perf_counter()
            each()
            seconds[at] = min(seconds[at], perf_counter() - begun)
    return seconds[0] / seconds[1]


def _steps(dtype: torch.dtype, library: float) -> list[Callable[[], object]]:
    """For each side the products of a layer's step, some of them; by the library from a size on."""
    plan = _plan(dtype)
    code = write_c(plan, "products", vector_bytes(), {dtype: library}, most_in_one=0)
    matrices = {
        number: torch.ones(storage.size // dtype.itemsize, dtype=dtype)
        for number, storage in plan.storages.items()
        if storage.kind == OUTSIDE
    }
    calls = _calls(code.schedule)
    each = len(calls) // len(SIDES)
    steps: list[Callable[[], object]] = []
    for at, side in enumerate(SIDES):
        some = calls[at * each : (at + 1) * each] * max(1, (SIDES[-1] // side) ** 3 // 8)
        schedule = tuple(chain.from_iterable(some))
        steps.append(Compiled(plan, matrices, replace(code, schedule=schedule)).run)
    return steps


def _calls(schedule: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A schedule's calls one by one."""
    found = []
    while schedule:
        found.append(schedule[: schedule[0]])
        schedule = schedule[schedule[0] :]
    return found


def _plan(dtype: torch.dtype) -> Plan:
    """For each side the products of a layer's step: x Wᵀ, e W and eᵀ x."""
    storages: dict[int, Storage] = {}
    products: list[Operation] = []
    for side in SIDES:
        views = []
        for name in ("input", "weight", "error", "result"):
            number, size = len(storages), side * side * dtype.itemsize
            storages[number] = Storage(number, size, OUTSIDE, f"{name}_{number}")
            views.append(View(number, dtype, (side, side), (side, 1), 0))
        x, weight, error, result = views
        for pair in ((x, weight.turned), (error, weight), (error.turned, x)):
            products.append(
                Operation("mm", "out", pair, {}, (result,), torch.mm, False, "backward", "", "", "")
            )
    return Plan(products, [], storages, {}, {})
