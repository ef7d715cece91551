"""Emission: a plan as C, one function for a step and one that runs many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from backhand.program.engines.native import blas
from backhand.program.engines.native.c_text import as_comment
from backhand.program.engines.native.entry import Entry
from backhand.program.engines.native.kernels import Group, groups_of
from backhand.program.engines.native.operations import write_group
from backhand.program.engines.native.scheduled import Island, write_kernels
from backhand.program.engines.native.writer import NotNative, Writer
from backhand.program.plan import TEMPORARY, Plan

SUPPORT = Path(__file__).parent


MOST_IN_ONE = 48
"""Groups of operations up to which a step is one function; beyond, it is a list of calls. A call
costs some nanoseconds, a function so long seconds to compile."""


@dataclass(frozen=True)
class Code:
    """A plan written as C.

    Attributes:
        text: a whole source file.
        storages: the numbers of the storages that `memory` points to, after arena and scratch.
        schedule: the calls of a step, where it is a list of calls; see write_kernels.
        islands: the operations between those calls that torch does.
        scalar_names: the live scalars of a step, in order.
        scratch: bytes.
        random: whether a step draws random numbers.
        steady: whether a row's bits are the same in a batch of any size.
    """

    text: str
    storages: tuple[int, ...]
    schedule: tuple[int, ...]
    islands: tuple[Island, ...]
    scalar_names: tuple[str, ...]
    scratch: int
    random: bool
    steady: bool


def write_c(
    plan: Plan,
    function: str,
    vector_bytes: int,
    library_from: Mapping[torch.dtype, float] | None = None,
    most_in_one: int | None = None,
) -> Code:
    """A plan as a C source file whose entry is `backhand_run`.

    Args:
        plan: what to write.
        function: the name of a step.
        vector_bytes: of the machine's vectors.
        library_from: multiplications from which a product is left to the BLAS; default none is.
        most_in_one: groups of operations up to which a step is one function; default MOST_IN_ONE.

    A plan that only goes forward, a prediction, is written so that each row's result has the
    same bits in a batch of any size: every sum runs in an order that does not depend on it, and
    no product and sum are contracted into one rounding, which compilers do as loops allow.
    What C does not know is an island, in a step that trains: torch does it between two calls.

    Raises:
        NotNative: nothing of it can be written, or not all of a prediction; says what and why.
    """
    lanes = {dtype: vector_bytes // dtype.itemsize for dtype in (torch.float32, torch.float64)}

    def writer() -> Writer:
        return Writer(plan, lanes, plan.only_predicts, library_from)

    groups = groups_of(writer())
    if len(groups) <= (MOST_IN_ONE if most_in_one is None else most_in_one):
        with suppress(NotNative):
            return _in_one(writer(), groups, function)
    return _in_calls(writer(), groups, function)


def _in_one(writer: Writer, groups: Sequence[Group], function: str) -> Code:
    """A step as one function."""
    entry = _entry(writer, function)
    write_body(writer, groups)
    return _code(entry, entry.step_function(), (), ())


def _in_calls(writer: Writer, groups: Sequence[Group], function: str) -> Code:
    """A step as a list of calls."""
    entry = _entry(writer, function)
    kernels, schedule, islands = write_kernels(writer, groups, entry.storages)
    return _code(entry, kernels + entry.scheduled_step(), schedule, islands)


def _entry(writer: Writer, function: str) -> Entry:
    storages = tuple(
        number
        for number, storage in writer.plan.storages.items()
        if storage.kind != TEMPORARY and number not in writer.numbers
    )
    return Entry(writer, function, storages, tuple(sorted(writer.plan.scalar_names())))


def _code(entry: Entry, step: str, schedule: tuple[int, ...], islands: tuple[Island, ...]) -> Code:
    """A whole source file around a step."""
    parts = [
        "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n#include <string.h>\n",
        *(support(name) for name in ("vectors.h", "mathematics.h", "choices.h", "randomness.h")),
        blas.DECLARED if "gemm_(" in step else "",
        step,
        entry.text(scheduled=bool(schedule)),
    ]
    writer = entry.writer
    return Code(
        "\n".join(parts), entry.storages, schedule, islands, entry.scalar_names, writer.scratch,
        writer.draws > 0, writer.steady,
    )  # fmt: skip


def support(name: str) -> str:
    """The text of a C file that stands beside this one."""
    return (SUPPORT / name).read_text()


def write_body(writer: Writer, groups: Sequence[Group]) -> None:
    """Write every operation of the plan where it stands, grouped as the printed step is."""
    writer.write_rates()
    phase = ""
    for group in groups:
        phase = write_phase(writer, group, phase)
        write_group(writer, group)


def phase_of(group: Group) -> str:
    """The part of the step that a group is of; updates happen on the way back."""
    phase = group.operations[0].phase
    return "backward" if phase == "update" else phase


def write_phase(writer: Writer, group: Group, before: str) -> str:
    """Write where another part of the step begins; gives which part the group is of."""
    phase = phase_of(group)
    if phase != before:
        writer.line("")
        writer.line(as_comment(phase))
    return phase
