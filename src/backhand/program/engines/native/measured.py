"""What a product costs on this machine, by the C written here and by the BLAS; measured once.

Which of them is the faster depends on the processor: on one, tiles written for a product's very
size beat the library, on the next they lost to it. So both are timed, where the step at hand has
a product that is not plainly too small for the library, and what was found is kept in the cache
folder with the processor's name.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from backhand.program.calls import View
from backhand.program.engines.engine import CannotCompile
from backhand.program.engines.native import cache
from backhand.program.engines.native.addresses import NAMES, blas_addresses
from backhand.program.engines.native.compile import processor, vector_bytes
from backhand.program.engines.native.compiled import Compiled
from backhand.program.engines.native.emit import write_c
from backhand.program.plan import OUTSIDE, Operation, Plan, Storage

SIDES = (16, 32, 64, 128, 256)
"""Of the square matrices whose products are timed. What is smaller than the first is never left
to the library: there its call costs as much as the product."""

ROUNDS = 20
"""Of all in turn; the best of each counts, for the machine's other work only makes them slower."""

NAME = "products"
"""What is kept is noted as."""


@dataclass(frozen=True)
class Costs:
    """Seconds that a product takes on this machine, for each of SIDES, and a call of torch.

    Attributes:
        own: by the C written here; infinite where none can be compiled.
        library: by the BLAS that torch brings, called from C; infinite where that is not shown.
        torch: by a call of torch.
        call: of torch, on tensors so small that nothing else counts.
    """

    own: tuple[float, ...]
    library: tuple[float, ...]
    torch: tuple[float, ...]
    call: float

    @property
    def library_from(self) -> float:
        """Multiplications of a product from which the library is the faster; infinite for none."""
        best = math.inf
        for side, own, library in zip(SIDES[::-1], self.own[::-1], self.library[::-1], strict=True):
            if library > own:
                break
            best = side**3
        return best

    def native(self, multiplications: int, steady: bool) -> float:
        """Seconds of a product in a compiled step; in a steady one the library takes none."""
        own = _seconds(self.own, multiplications)
        if steady or multiplications < self.library_from:
            return own
        return _seconds(self.library, multiplications)

    def replayed(self, multiplications: int) -> float:
        """Seconds of a product in a replayed step."""
        return max(self.call, _seconds(self.torch, multiplications))


def _seconds(table: Sequence[float], multiplications: int) -> float:
    """By the rate of the largest side whose product is not larger."""
    at = max((n for n, side in enumerate(SIDES) if side**3 <= multiplications), default=0)
    return table[at] * multiplications / SIDES[at] ** 3


def costs_for(plan: Plan) -> dict[torch.dtype, Costs]:
    """What products cost, for each real dtype in which a plan has one that is not plainly small."""
    dtypes = {
        each.target.dtype for each in plan.operations if each.multiplications >= SIDES[0] ** 3
    }
    return {dtype: _known(dtype) for dtype in sorted(dtypes & NAMES.keys(), key=str)}


def kept() -> dict[str, Costs]:
    """What has been measured and kept, by processor, dtype and number of threads."""
    found = {}
    for key, written in cache.noted(NAME).items():
        with suppress(ValueError, TypeError, KeyError):
            found[key] = _read(written)
    return found


def _read(written: dict[str, Any]) -> Costs:
    """What was written as JSON.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    own, library, by_torch = (
        tuple(map(float, written[name])) for name in ("own", "library", "torch")
    )
    if not len(own) == len(library) == len(by_torch) == len(SIDES):
        raise ValueError("it was measured for other sizes")
    return Costs(own, library, by_torch, float(written["call"]))


def _known(dtype: torch.dtype) -> Costs:
    return _measured(dtype, torch.get_num_threads(), cache.folder())


@functools.cache
def _measured(dtype: torch.dtype, threads: int, folder: object) -> Costs:
    """From the cache folder, else measured and kept there."""
    key = f"{processor()}, {str(dtype).removeprefix('torch.')}, {threads} threads"
    found = kept().get(key)
    if found is None:
        found = measure(dtype)
        cache.note(NAME, key, asdict(found))
    return found


def measure(dtype: torch.dtype) -> Costs:
    """Time products of square matrices, in each of the three ways; takes about a second."""
    ways: list[list[Callable[[], object]]] = []
    for library_from in (math.inf, 0):
        try:
            can = library_from > 0 or blas_addresses() is not None
            ways.append(_steps(dtype, library_from) if can else [])
        except CannotCompile:
            ways.append([])
    ways.append(
        [partial(_products_of_torch, torch.ones(side, side, dtype=dtype)) for side in SIDES]
    )
    own, library, by_torch = _times(ways)
    one = torch.ones(1, dtype=dtype)
    call = min(_time(lambda: [torch.mul(one, one, out=one) for _ in range(60)]) for _ in range(20))
    return Costs(own, library, by_torch, call / 60)


def _products_of_torch(matrix: Tensor) -> None:
    out = torch.empty_like(matrix)
    for _ in range(_times_over(len(matrix))):
        torch.mm(matrix, matrix.t(), out=out)
        torch.mm(matrix, matrix, out=out)
        torch.mm(matrix.t(), matrix, out=out)


def _times_over(side: int) -> int:
    """How often the three products of a layer are taken at once, for a clock to see them."""
    return int(max(1, 32**3 * 8 // side**3))


def _times(ways: Sequence[Sequence[Callable[[], object]]]) -> list[tuple[float, ...]]:
    """The least time of a product in each way, for each side; infinite where there is no way."""
    found = [[math.inf] * len(SIDES) for _ in ways]
    for at, side in enumerate(SIDES):
        for _ in range(ROUNDS):
            for way, steps in enumerate(ways):
                if steps:
                    seconds = _time(steps[at]) / (3 * _times_over(side))
                    found[way][at] = min(found[way][at], seconds)
    return [tuple(each) for each in found]


def _time(step: Callable[[], object]) -> float:
    begun = perf_counter()
    step()
    return perf_counter() - begun


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
        some = calls[at * each : (at + 1) * each] * _times_over(side)
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
