"""Emission: a plan as C, one function for a step and one that runs many."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from backhand.program.engines.native import (
    blas,
    convolutions,
    elementwise,
    indexing,
    pooling,
    product_calls,
    reductions,
)
from backhand.program.engines.native.c_text import as_comment
from backhand.program.engines.native.entry import Entry
from backhand.program.engines.native.kernels import Call, Group, call_of, groups_of
from backhand.program.engines.native.layout import C_TYPES, bytes_of
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import TEMPORARY, Operation, Plan

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
        schedule: the calls of a step, where it is a list of calls; see Schedule.
        scalar_names: the live scalars of a step, in order.
        scratch: bytes.
        random: whether a step draws random numbers.
        steady: whether a row's bits are the same in a batch of any size.
    """

    text: str
    storages: tuple[int, ...]
    schedule: tuple[int, ...]
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

    Raises:
        NotNative: an operation cannot be written; says which.
    """
    lanes = {dtype: vector_bytes // dtype.itemsize for dtype in (torch.float32, torch.float64)}
    steady = plan.only_predicts
    writer = Writer(plan, lanes, steady, library_from)
    scalar_names = tuple(sorted(plan.scalar_names()))
    storages = tuple(
        number
        for number, storage in plan.storages.items()
        if storage.kind != TEMPORARY and number not in writer.numbers
    )
    entry = Entry(writer, function, storages, scalar_names)
    groups = groups_of(writer)
    schedule: tuple[int, ...] = ()
    if len(groups) <= (MOST_IN_ONE if most_in_one is None else most_in_one):
        write_body(writer, groups)
        step = entry.step_function()
    else:
        kernels, schedule = write_kernels(writer, groups, storages)
        step = kernels + entry.scheduled_step()
    parts = [
        "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n#include <string.h>\n",
        *(support(name) for name in ("vectors.h", "mathematics.h", "choices.h", "randomness.h")),
        blas.DECLARED if "gemm_(" in step else "",
        step,
        entry.text(scheduled=bool(schedule)),
    ]
    draws = writer.draws > 0
    text = "\n".join(parts)
    return Code(text, storages, schedule, scalar_names, writer.scratch, draws, steady)


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


def write_group(writer: Writer, group: Group) -> None:
    """Write one piece of C, with what it does as a comment."""
    writer.begin(group.operations[0], group.begin)
    for each in group.operations:
        writer.line(comment(writer, each))
    if group.kept:
        elementwise.write_loop(writer, group.operations, group.kept)
    else:
        _write(writer, group.operations[0])


def comment(writer: Writer, operation: Operation) -> str:
    """The operation as a C comment, with where in the network it comes from."""
    text = writer.plan.written(operation)
    place = f"{operation.path}: {operation.layer}" if operation.path else operation.layer
    return as_comment(f"{text}   {place}".rstrip())


def _write(writer: Writer, operation: Operation) -> None:
    known = _WRITERS.get(operation.name.rstrip("_"))
    in_place_only = operation.name.rstrip("_") in _IN_PLACE
    opaque = operation.name in _OPAQUE and operation.how == "opaque"
    fits = operation.how == "out" or (operation.how == "in place") == in_place_only or opaque
    if known is None or not fits or len(operation.targets) != _RESULTS.get(operation.name, 1):
        raise writer.refuse("the native engine does not know it")
    if _reads_what_it_writes(writer, operation):
        raise writer.refuse("writes over what it still reads")
    known(writer, operation)


def _reads_what_it_writes(writer: Writer, operation: Operation) -> bool:
    """Whether an operand lies where the result goes; the sums' start and a few others may."""
    reads, targets = operation.reads(), operation.targets
    begun = operation.name.rstrip("_") in _WRITE_WHERE_THEY_READ and reads[:1] == targets
    read = [bytes_of(writer.plan, view) for view in reads[1 if begun else 0 :]]
    return any(bytes_of(writer.plan, each).meets(other) for each in targets for other in read)


_IN_PLACE = frozenset(["bernoulli", "uniform", "normal", "index_add", "masked_fill"])

_OPAQUE = frozenset(
    "conv1d conv2d conv_transpose1d conv_transpose2d max_pool2d_with_indices".split()
)
"""What has no form that writes to `out`."""

_RESULTS = {"max_pool2d_with_indices": 2}
"""How many targets an operation has, where it is not one."""

_WRITE_WHERE_THEY_READ = _IN_PLACE | frozenset(
    "addmm addmv addr baddbmm cumsum scatter scatter_add softmax".split()
)
"""What may be given its first operand to write to: it reads each element before it writes there."""

_WRITERS: dict[str, Callable[[Writer, Operation], None]] = {
    **dict.fromkeys(("mm", "mv", "bmm", "addmm", "addmv", "baddbmm"), product_calls.write_products),
    "addr": product_calls.write_outer,
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"),
        convolutions.write_convolution,
    ),
    "max_pool2d_with_indices": pooling.write_max_pool,
    **dict.fromkeys(("dot", "vdot"), product_calls.write_dot),
    **dict.fromkeys(("sum", "mean"), reductions.write_sum),
    **dict.fromkeys(("amax", "amin"), reductions.write_extreme),
    **dict.fromkeys(("argmax", "argmin"), reductions.write_place_of_extreme),
    "cumsum": reductions.write_running_sum,
    "log_softmax": reductions.write_log_softmax,
    "logsumexp": reductions.write_logsumexp,
    "softmax": reductions.write_softmax,
    "gather": indexing.write_gather,
    "index_add": indexing.write_index_add,
    "index_select": indexing.write_index_select,
    "masked_fill": indexing.write_masked_fill,
    "scatter": indexing.write_scatter,
    "scatter_add": indexing.write_scatter,
    **dict.fromkeys(("bernoulli", "uniform", "normal"), indexing.write_random),
}
"""How each primitive that is no elementwise one is written."""


def write_kernels(
    writer: Writer, groups: Sequence[Group], storages: tuple[int, ...]
) -> tuple[str, tuple[int, ...]]:
    """The kernels of a step, and its calls as numbers.

    A call is: how many numbers it has, its kernel, the operation that fails where it does, the
    number of its random draws; then for each pointer which of the step's pointers it begins from
    and how many bytes further on, and each live scalar's number.
    """
    rates = writer.number_rates()
    bases = {number: at + 2 for at, number in enumerate(storages)}
    kernels: dict[Hashable, int] = {}
    texts: list[str] = []
    schedule: list[int] = []
    for group in groups:
        call = call_of(writer, group)
        draws = writer.draws
        if call.signature not in kernels:
            kernels[call.signature] = len(kernels)
            texts.append(_kernel(writer, group, call, kernels[call.signature]))
        elif any(each.random for each in group.operations):
            writer.draws += 1
        numbers = [kernels[call.signature], group.begin + 1, draws]
        for storage, begin in call.pointers:
            numbers += [bases.get(storage, 0), begin]
        numbers += [rates[tree] for tree in call.scalars]
        schedule += [len(numbers) + 1, *numbers]
    table = ", ".join(f"kernel_{number}" for number in kernels.values())
    texts.append(f"static Kernel *const kernels[] = {{{table}}};\n")
    return "\n".join([KERNEL_TYPE, *texts]), tuple(schedule)


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
