"""Schedules: a step as a list of calls of kernels, with islands where C does not know the way."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from backhand.program.engines.native.c_text import as_comment
from backhand.program.engines.native.kernels import Call, Group, call_of
from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.operations import comment, write_group
from backhand.program.engines.native.writer import NotNative, Writer
from backhand.program.plan import Operation


@dataclass(frozen=True)
class Island:
    """Operations that C does not know, so that torch does them between two calls.

    Attributes:
        at: the numbers of the schedule before it.
        operations: one after another.
    """

    at: int
    operations: tuple[Operation, ...]


def write_kernels(
    writer: Writer, groups: Sequence[Group], storages: tuple[int, ...]
) -> tuple[str, tuple[int, ...], tuple[Island, ...]]:
    """The kernels of a step, its calls as numbers, and the islands between them.

    A call is: how many numbers it has, its kernel, the operation that fails where it does, the
    number of its random draws; then for each pointer which of the step's pointers it begins from
    and how many bytes further on, and each live scalar's number.

    Raises:
        NotNative: there is nothing but islands, or there is one where a row's bits shall be the
            same in any batch; says why of the first.
    """
    rates = writer.number_rates()
    bases = {number: at + 2 for at, number in enumerate(storages)}
    kernels: dict[Hashable, int] = {}
    texts: list[str] = []
    schedule: list[int] = []
    islands: dict[int, tuple[Operation, ...]] = {}
    refused: NotNative | None = None
    for group in groups:
        draws = writer.draws
        try:
            call = call_of(writer, group)
            if call.signature not in kernels:
                texts.append(_kernel(writer, group, call, len(kernels)))
                kernels[call.signature] = len(kernels)
            elif any(each.random for each in group.operations):
                writer.draws += 1
        except NotNative as problem:
            refused = refused or problem
            writer.draws = draws
            islands[len(schedule)] = (*islands.get(len(schedule), ()), *group.operations)
            continue
        numbers = [kernels[call.signature], group.begin + 1, draws]
        for storage, begin in call.pointers:
            numbers += [bases.get(storage, 0), begin]
        numbers += [rates[tree] for tree in call.scalars]
        schedule += [len(numbers) + 1, *numbers]
    if refused and (writer.steady or not schedule):  # of torch's bits nobody knows whose they are
        raise refused
    table = ", ".join(f"kernel_{number}" for number in kernels.values())
    texts.append(f"static Kernel *const kernels[] = {{{table}}};\n")
    if islands:
        texts.append(as_comment("Between the calls, by torch:"))
        texts += [comment(writer, each) for several in islands.values() for each in several]
        texts.append("")
    found = tuple(Island(at, operations) for at, operations in islands.items())
    return "\n".join([KERNEL_TYPE, *texts]), tuple(schedule), found


KERNEL_TYPE = """typedef int64_t Kernel(
    const int64_t *call, char *const *bases, const double *rates, uint64_t key, uint64_t step);
"""


def _kernel(writer: Writer, group: Group, call: Call, number: int) -> str:
    with writer.kernel(call.frame) as lines:
        write_group(writer, group)
    words = set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", "\n".join(lines))))
    at = 4
    declared = []
    for place, dtype in enumerate(call.frame.pointers):
        type_, name = C_TYPES[dtype], f"p{place}_"
        declared.append(
            (
                name,
                f"{type_} *restrict const {name} = "
                f"({type_} *)(bases[call[{at}]] + call[{at + 1}]);",
            )
        )
        at += 2
    for place in range(len(call.scalars)):
        declared.append((f"s{place}_", f"const double s{place}_ = rates[call[{at}]];"))
        at += 1
    declared.append(("call_number", "const uint32_t call_number = (uint32_t)call[3];"))
    declared.append(("scratch", "char *const scratch = bases[1];"))
    return "\n".join(
        [
            f"static int64_t kernel_{number}(",
            "    const int64_t *call, char *const *bases, const double *rates, uint64_t key, "
            "uint64_t step) {",
            "    (void)rates; (void)key; (void)step;",
            *(f"    {text}" for name, text in declared if name in words),
            *lines,
            "    return 0;",
            "}\n",
        ]
    )
