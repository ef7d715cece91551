"""The entry of a compiled step: a function for one step, and one that takes many."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from backhand.program.calls import contiguous_strides
from backhand.program.engines.native.copying import write_copy
from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.writer import NotNative, Writer

ENTRY = "backhand_run"


@dataclass(frozen=True)
class Entry:
    """What is around a step's body, written or scheduled.

    Attributes:
        writer: of the body.
        function: the name of a step.
        storages: those that `memory` points to, after arena and scratch and before the schedule.
        scalar_names: the live scalars of a step, in order.
    """

    writer: Writer
    function: str
    storages: tuple[int, ...]
    scalar_names: tuple[str, ...]

    def step_function(self) -> str:
        """The step as a function of all its storages, around the body that the writer holds."""
        self._write_results()
        writer = self.writer
        parameters = ["char *restrict arena", "char *restrict scratch"]
        for number in self.storages:
            parameters.append(f"{self._type(number)} *restrict {writer.names[number]}")
        unused = ["arena", "scratch"]
        return self._function(parameters, unused, writer.used_declarations(), writer.lines)

    def scheduled_step(self) -> str:
        """The step as a list of calls, after the rates that the writer holds."""
        writer = self.writer
        rates, writer.lines = writer.lines, []
        self._write_results()
        calls = [
            "    for (const int64_t *call = schedule; call < end; call += call[0])",
            "        if (kernels[call[1]](call, bases, rates, key, step)) return call[2];",
        ]
        named = {view.storage for view in writer.plan.results.values()}
        declared = [
            f"    {self._type(number)} *const {writer.names[number]} = "
            f"({self._type(number)} *)bases[{at + 2}];"
            for at, number in enumerate(self.storages)
            if number in named
        ]
        used = writer.used_declarations()
        if any("(arena" in each for each in used):
            declared.append("    char *const arena = bases[0];")
        parameters = ["char *const *bases", "const int64_t *schedule", "const int64_t *end"]
        return self._function(parameters, [], [*declared, *used], [*rates, *calls, *writer.lines])

    def _write_results(self) -> None:
        """Write what copies the results to where the caller receives them."""
        writer = self.writer
        for number, view in enumerate(writer.plan.results.values()):
            target = Window(
                f"result_{number}", view.shape, contiguous_strides(view.shape), 0, view.dtype
            )
            write_copy(writer, writer.window(view), target)
        writer.line("return 0;")

    def _function(
        self, first: list[str], unused: list[str], declared: list[str], lines: list[str]
    ) -> str:
        parameters = [*first]
        for number, view in enumerate(self.writer.plan.results.values()):
            parameters.append(f"{C_TYPES[view.dtype]} *restrict result_{number}")
        parameters += [f"double {name}" for name in self.scalar_names]
        parameters += ["uint64_t key", "uint64_t step"]
        unused = [*unused, "key", "step", *self.scalar_names]
        head = f"static __attribute__((noinline)) int64_t {self.function}(\n    "
        return "\n".join(
            [
                head + ",\n    ".join(parameters) + ") {",
                "    " + " ".join(f"(void){name};" for name in unused),
                *declared,
                *lines,
                "}\n",
            ]
        )

    def _type(self, number: int) -> str:
        dtype = self.writer.types.get(number, torch.uint8)
        if dtype not in C_TYPES:
            raise NotNative(f"{dtype} has no type in C")
        return C_TYPES[dtype]

    def text(self, scheduled: bool) -> str:
        """Many steps in one call, first to last of a run; returns how many it took.

        Rows are gathered by order, live scalars are read from an array.
        """
        plan = self.writer.plan
        gathers = []
        for number, view in enumerate(plan.arguments.values()):
            if view.storage not in self.storages:
                continue
            rows = view.shape[0] if view.shape else 1
            row = view.nbytes // max(rows, 1)
            at = self.storages.index(view.storage) + 2
            gathers.append(
                f"            for (int64_t i = 0; i < {rows}; i++)\n"
                f"                memcpy(memory[{at}] + i * {row}, "
                f"data[{number}] + order[turn * {rows} + i] * {row}, {row});"
            )
        if scheduled:
            at = len(self.storages) + 2
            passed = [
                "memory",
                f"(const int64_t *)memory[{at}]",
                f"(const int64_t *)memory[{at + 1}]",
            ]
        else:
            passed = ["memory[0]", "memory[1]"]
            passed += [
                f"({self._type(number)} *)memory[{at + 2}]"
                for at, number in enumerate(self.storages)
            ]
        passed += [
            f"({C_TYPES[view.dtype]} *)(results[{number}] + turn * {view.nbytes})"
            for number, view in enumerate(plan.results.values())
        ]
        count = len(self.scalar_names)
        passed += [f"scalars[turn * {count} + {at}]" for at in range(count)]
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
        *fault = {self.function}(
            {arguments});
        if (*fault) return turn - first;
    }}
    return last - first;
}}
"""
