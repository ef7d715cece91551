"""Emission: a plan as C, one function for a step and one that runs many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from backhand.program.calls import contiguous_strides
from backhand.program.engines.native import elementwise, indexing, product_calls, reductions
from backhand.program.engines.native.c_text import as_comment
from backhand.program.engines.native.layout import C_TYPES, Window, bytes_of
from backhand.program.engines.native.writer import NotNative, Writer
from backhand.program.plan import TEMPORARY, Operation, Plan

SUPPORT = Path(__file__).parent

ENTRY = "backhand_run"


@dataclass(frozen=True)
class Code:
    """A plan written as C.

    Attributes:
        text: a whole source file.
        storages: the numbers of the storages that `memory` points to, after arena and scratch.
        scalar_names: the live scalars of a step, in order.
        scratch: bytes.
        random: whether a step draws random numbers.
        steady: whether a row's bits are the same in a batch of any size.
    """

    text: str
    storages: tuple[int, ...]
    scalar_names: tuple[str, ...]
    scratch: int
    random: bool
    steady: bool


def write_c(plan: Plan, function: str, vector_bytes: int) -> Code:
    """A plan as a C source file whose entry is `backhand_run`.

    Args:
        plan: what to write.
        function: the name of a step.
        vector_bytes: of the machine's vectors.

    A plan that only goes forward, a prediction, is written so that each row's result has the
    same bits in a batch of any size: every sum runs in an order that does not depend on it, and
    no product and sum are contracted into one rounding, which compilers do as loops allow.

    Raises:
        NotNative: an operation cannot be written; says which.
    """
    lanes = {dtype: vector_bytes // dtype.itemsize for dtype in (torch.float32, torch.float64)}
    steady = all(each.phase == "forward" for each in plan.operations)
    writer = Writer(plan, lanes, steady)
    write_body(writer)
    for number, view in enumerate(plan.results.values()):
        source = writer.window(view)
        shape, stride = view.shape, contiguous_strides(view.shape)
        target = Window(f"result_{number}", shape, stride, 0, view.dtype)
        indexing.write_copy(writer, source, target)
    writer.line("return 0;")
    scalar_names = tuple(sorted(plan.scalar_names()))
    storages = tuple(
        number
        for number, storage in plan.storages.items()
        if storage.kind != TEMPORARY and number not in writer.numbers
    )
    parts = [
        "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n#include <string.h>\n",
        *(support(name) for name in ("vectors.h", "mathematics.h", "choices.h", "randomness.h")),
        _step_function(writer, function, storages, scalar_names),
        _entry(writer, function, storages, scalar_names),
    ]
    return Code("\n".join(parts), storages, scalar_names, writer.scratch, writer.draws > 0, steady)


def support(name: str) -> str:
    """The text of a C file that stands beside this one."""
    return (SUPPORT / name).read_text()


def write_body(writer: Writer) -> None:
    """Write every operation of the plan, grouped as the printed step is."""
    operations = writer.plan.operations
    writer.write_rates()
    phase, position = "", 0
    while position < len(operations):
        operation = operations[position]
        part = "backward" if operation.phase == "update" else operation.phase
        if part != phase:
            phase = part
            writer.line("")
            writer.line(as_comment(phase))
        writer.operation, writer.position = operation, position
        if elementwise.is_elementwise(operation):
            first = len(writer.lines)
            taken = elementwise.write_loops(writer, position, operations)
            writer.lines[first:first] = [
                f"    {comment(writer, each)}" for each in operations[position : position + taken]
            ]
            position += taken
        else:
            writer.line(comment(writer, operation))
            _write(writer, operation)
            position += 1


def comment(writer: Writer, operation: Operation) -> str:
    """The operation as a C comment, with where in the network it comes from."""
    text = writer.plan.written(operation)
    place = f"{operation.path}: {operation.layer}" if operation.path else operation.layer
    return as_comment(f"{text}   {place}".rstrip())


def _write(writer: Writer, operation: Operation) -> None:
    known = _WRITERS.get(operation.name.rstrip("_"))
    in_place_only = operation.name.rstrip("_") in _IN_PLACE
    fits = operation.how == "out" or (operation.how == "in place") == in_place_only
    if known is None or not fits or len(operation.targets) != 1:
        raise writer.refuse("the native engine does not know it")
    if _reads_what_it_writes(writer, operation):
        raise writer.refuse("writes over what it still reads")
    known(writer, operation)


def _reads_what_it_writes(writer: Writer, operation: Operation) -> bool:
    """Whether an operand lies where the result goes; the sums' start and a few others may."""
    reads, target = operation.reads(), operation.target
    begun = operation.name.rstrip("_") in _WRITE_WHERE_THEY_READ and reads[:1] == (target,)
    goes = bytes_of(writer.plan, target)
    return any(goes.meets(bytes_of(writer.plan, view)) for view in reads[1 if begun else 0 :])


_IN_PLACE = frozenset(["bernoulli", "uniform", "normal", "index_add", "masked_fill"])

_WRITE_WHERE_THEY_READ = _IN_PLACE | frozenset(
    "addmm addmv addr baddbmm cumsum scatter scatter_add softmax".split()
)
"""What may be given its first operand to write to: it reads each element before it writes there."""

_WRITERS: dict[str, Callable[[Writer, Operation], None]] = {
    **dict.fromkeys(("mm", "mv", "bmm", "addmm", "addmv", "baddbmm"), product_calls.write_products),
    "addr": product_calls.write_outer,
    **dict.fromkeys(("dot", "vdot"), product_calls.write_dot),
    **dict.fromkeys(("sum", "mean"), reductions.write_sum),
    **dict.fromkeys(("amax", "amin"), reductions.write_extreme),
    **dict.fromkeys(("argmax", "argmin"), reductions.write_place_of_extreme),
    "cumsum": reductions.write_running_sum,
    "log_softmax": reductions.write_log_softmax,
    "logsumexp": reductions.write_logsumexp,
    "softmax": reductions.write_softmax,
    "cat": indexing.write_cat,
    "gather": indexing.write_gather,
    "index_add": indexing.write_index_add,
    "index_select": indexing.write_index_select,
    "masked_fill": indexing.write_masked_fill,
    "scatter": indexing.write_scatter,
    "scatter_add": indexing.write_scatter,
    "stack": indexing.write_stack,
    **dict.fromkeys(("bernoulli", "uniform", "normal"), indexing.write_random),
}
"""How each primitive that is no elementwise one is written."""


def _step_function(
    writer: Writer, function: str, storages: tuple[int, ...], scalar_names: tuple[str, ...]
) -> str:
    parameters = ["char *restrict arena", "char *restrict scratch"]
    for number in storages:
        type_ = C_TYPES[_type_of(writer, number)]
        parameters.append(f"{type_} *restrict {writer.names[number]}")
    for number, view in enumerate(writer.plan.results.values()):
        parameters.append(f"{C_TYPES[view.dtype]} *restrict result_{number}")
    parameters += [f"double {name}" for name in scalar_names]
    parameters += ["uint64_t key", "uint64_t step"]
    head = f"static __attribute__((noinline)) int64_t {function}(\n    "
    unused = ["arena", "scratch", "key", "step", *scalar_names]
    return "\n".join(
        [
            head + ",\n    ".join(parameters) + ") {",
            "    " + " ".join(f"(void){name};" for name in unused),
            *writer.used_declarations(),
            *writer.lines,
            "}\n",
        ]
    )


def _type_of(writer: Writer, number: int) -> torch.dtype:
    dtype = writer.types.get(number, torch.uint8)
    if dtype not in C_TYPES:
        raise NotNative(f"{dtype} has no type in C")
    return dtype


def _entry(
    writer: Writer, function: str, storages: tuple[int, ...], scalar_names: tuple[str, ...]
) -> str:
    """Many steps in one call, first to last of a run; returns how many it took.

    Rows are gathered by order, live scalars are read from an array.
    """
    plan = writer.plan
    gathers = []
    for number, view in enumerate(plan.arguments.values()):
        if view.storage not in storages:
            continue
        rows = view.shape[0] if view.shape else 1
        row = view.nbytes // max(rows, 1)
        at = storages.index(view.storage) + 2
        gathers.append(
            f"            for (int64_t i = 0; i < {rows}; i++)\n"
            f"                memcpy(memory[{at}] + i * {row}, "
            f"data[{number}] + order[turn * {rows} + i] * {row}, {row});"
        )
    passed = ["memory[0]", "memory[1]"]
    passed += [
        f"({C_TYPES[_type_of(writer, number)]} *)memory[{at + 2}]"
        for at, number in enumerate(storages)
    ]
    passed += [
        f"({C_TYPES[view.dtype]} *)(results[{number}] + turn * {view.nbytes})"
        for number, view in enumerate(plan.results.values())
    ]
    passed += [f"scalars[turn * {len(scalar_names)} + {at}]" for at in range(len(scalar_names))]
    passed += ["key", "(uint64_t)turn"]
    arguments = ",\n            ".join(passed)
    return f"""int64_t {ENTRY}(
    char *const *memory, int64_t first, int64_t last, const double *scalars,
    const int64_t *order, const char *const *data, char *const *results, uint64_t key,
    int64_t *fault) {{
    (void)scalars; (void)data; (void)results;
    for (int64_t turn = first; turn < last; turn++) {{
        if (order) {{
{chr(10).join(gathers)}
        }}
        *fault = {function}(
            {arguments});
        if (*fault) return turn - first;
    }}
    return last - first;
}}
"""
