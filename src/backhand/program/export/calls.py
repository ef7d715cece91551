"""Calls: what a large step repeats is written once in C, as kernels that a table calls.

A small step is written where it stands, operation after operation. Of a larger one each group of
operations that comes more than once, up to where its memory lies, is one function, a kernel (see
engines/native/kernels.py), and the step walks through a table of their calls: the number of a
kernel, then what differs between that kernel's calls. What is the same in all of them, an array or
a place in the memory, stands in the kernel; so the weights of a recurrent layer take no number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from backhand.program.engines.native.c_text import as_comment
from backhand.program.engines.native.emit import phase_of, write_phase
from backhand.program.engines.native.kernels import Call, Group, call_of
from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.operations import write_group
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import ARGUMENT, TEMPORARY

ARENA = -1
"""Stands for the memory of intermediate values, among the numbers of storages."""


@dataclass
class _Kernel:
    """A kernel and its calls.

    Attributes:
        name: of the function.
        group: the first that it serves.
        lines: its body.
        calls: one after another, each a call, the operation's number, and the number of its draw.
        columns: the numbers that the table holds, each in every call.
    """

    name: str
    group: Group
    lines: list[str]
    calls: list[tuple[Call, int, int]] = field(default_factory=list)
    columns: list[list[int]] = field(default_factory=list)

    @property
    def call(self) -> Call:
        """The first one."""
        return self.calls[0][0]

    def number(self, in_each: list[int]) -> str:
        """C text of a number: from the table, where the calls differ in it."""
        if len(set(in_each)) == 1:
            return str(in_each[0])
        if in_each not in self.columns:
            self.columns.append(in_each)
        return f"call[{self.columns.index(in_each) + 1}]"

    def writes_to(self, pointer: int) -> bool:
        """Whether it writes to what one of its pointers points to."""
        places = self.call.frame.places
        targets = (view for each in self.group.operations for view in each.targets)
        return any(places[view.origin][0] == pointer for view in targets)


class CallTable:
    """The operations of a large step: those that repeat as calls, in a table, the others in place.

    Args:
        writer: of the step, which gets the walk; its storages' names are those in the file.
        groups: of the step's operations.
        step: the name of the function that takes it.
        memory: C text of where intermediate values begin.

    Attributes:
        text: the kernels and the table, to stand before the step; "" where nothing repeats.
        flash: bytes of the table.
    """

    WORDS = ("Number", "Now", "bases", "kernels", "calls", "take")
    """What its names end in, after the step's and a "_"; a kernel's has a number there."""

    def __init__(self, writer: Writer, groups: Sequence[Group], step: str, memory: str) -> None:
        self.writer = writer
        self.step = step
        self.memory = memory
        self._kernels: dict[Hashable, _Kernel] = {}
        self._bases: dict[int, int] = {}
        calls = [call_of(writer, group) for group in groups]
        times = Counter(map(self._signature, calls))
        repeated = [call for call in calls if times[self._signature(call)] > 1]
        self._has_rates = any(call.scalars for call in repeated)
        self._rates = writer.number_rates() if self._has_rates else {}
        called = [
            self._called(group, call) if times[self._signature(call)] > 1 else None
            for group, call in zip(groups, calls, strict=True)
        ]
        texts = [self._function(each) for each in self._kernels.values()]
        rows = [None if each is None else self._row(*each) for each in called]
        numbers = [number for row in rows for number in row or ()]
        kind, size = ("uint32_t", 4) if max(numbers, default=0) >> 16 else ("uint16_t", 2)
        self.flash = size * len(numbers)
        self.text = self._text(kind, texts, groups, rows) if self._kernels else ""
        self._write_step(groups, rows)

    # Kernels.

    def _signature(self, call: Call) -> Hashable:
        """Equal for calls of one kernel, which finds what the step is given in one place."""
        given = [storage if self._is_given(storage) else None for storage, _ in call.pointers]
        return call.signature, tuple(given)

    def _is_given(self, storage: int) -> bool:
        return self.writer.plan.storages[storage].kind == ARGUMENT

    def _called(self, group: Group, call: Call) -> tuple[_Kernel, int]:
        """The group's kernel, written where it is the first of its kind, and which call it is."""
        writer, draws = self.writer, self.writer.draws
        kernel = self._kernels.get(self._signature(call))
        if kernel is None:
            with writer.kernel(call.frame) as lines:
                write_group(writer, group)
            words = "_".join(each.name.strip("_") for each in group.operations[:3])
            name = f"{self.step}_{len(self._kernels)}_{words}"
            kernel = self._kernels[self._signature(call)] = _Kernel(name, group, lines)
        elif any(each.random for each in group.operations):
            writer.draws += 1
        kernel.calls.append((call, group.begin + 1, draws))
        return kernel, len(kernel.calls) - 1

    def _function(self, kernel: _Kernel) -> str:
        """A kernel as a function; its numbers that differ from call to call become columns."""
        if any("return 1;" in line for line in kernel.lines):  # first, where the walk looks for it
            kernel.columns.append([operation for _, operation, _ in kernel.calls])
        used = _words(kernel.lines)
        declared = [
            self._pointer(kernel, place)
            for place in range(len(kernel.call.frame.pointers))
            if f"p{place}_" in used
        ]
        for place in range(len(kernel.call.frame.scalars)):
            if f"s{place}_" in used:
                at = kernel.number([self._rates[call.scalars[place]] for call, *_ in kernel.calls])
                declared.append(f"const double s{place}_ = now->rates[{at}];")
        if "call_number" in used:
            at = kernel.number([draw for *_, draw in kernel.calls])
            declared.append(f"const uint32_t call_number = {at};")
            declared.append("const uint64_t key = now->key, step = now->step;")
        unused = [name for name in ("call", "now") if name not in _words(declared)]
        return "\n".join(
            [
                as_comment(f"{len(kernel.calls)} calls; the names are those of the first."),
                f"static int {kernel.name}({self._parameters()}) {{",
                *(f"    (void){name};" for name in unused),
                *(f"    {each}" for each in declared),
                *kernel.lines,
                "    return 0;",
                "}\n",
            ]
        )

    def _parameters(self) -> str:
        return f"const {self.step}_Number *call, const {self.step}_Now *now"

    def _pointer(self, kernel: _Kernel, place: int) -> str:
        """The declaration of one of a kernel's pointers."""
        dtype = kernel.call.frame.pointers[place]
        pointers = [call.pointers[place] for call, *_ in kernel.calls]
        storages = [self._home(storage) for storage, _ in pointers]
        kind = f"{'' if kernel.writes_to(place) else 'const '}{C_TYPES[dtype]}"
        if len(set(storages)) > 1:
            for storage in storages:
                self._bases.setdefault(storage, len(self._bases))
            number = kernel.number([self._bases[storage] for storage in storages])
            begin = f"({kind} *){self.step}_bases[{number}]"
        else:
            storage = storages[0]
            is_given = self._is_given(pointers[0][0])
            begin = f"now->{self._begin(storage)}" if is_given else self._begin(storage)
            if self.writer.types.get(storage) != dtype:
                begin = f"({kind} *){begin}"
        elements = kernel.number([bytes_ // dtype.itemsize for _, bytes_ in pointers])
        further = f" + {elements}" if elements != "0" else ""
        return f"{kind} *const p{place}_ = {begin}{further};"

    def _home(self, storage: int) -> int:
        kind = self.writer.plan.storages[storage].kind
        return ARENA if kind == TEMPORARY else storage

    def _begin(self, storage: int) -> str:
        """C text of where a storage begins."""
        return self.memory if storage == ARENA else self.writer.names[storage]

    # The table.

    def _row(self, kernel: _Kernel, which: int) -> list[int]:
        """The numbers of a call."""
        number = [each.name for each in self._kernels.values()].index(kernel.name)
        return [number, *(column[which] for column in kernel.columns)]

    def _text(
        self,
        kind: str,
        functions: Sequence[str],
        groups: Sequence[Group],
        rows: Sequence[list[int] | None],
    ) -> str:
        step = self.step
        return "\n".join(
            [
                f"typedef {kind} {step}_Number;\n",
                as_comment("What the kernels of a step are given."),
                "typedef struct {",
                *(f"    {each};" for each in self._given().values()),
                f"}} {step}_Now;\n",
                *self._written_bases(),
                *functions,
                as_comment("Each kernel, and how many numbers a call of it takes."),
                f"static const struct {{\n    int (*run)({self._parameters()});\n"
                f"    int numbers;\n}} {step}_kernels[] = {{",
                *(f"    {{{k.name}, {len(k.columns) + 1}}}," for k in self._kernels.values()),
                "};\n",
                as_comment(
                    "Calls: a kernel's number, then what differs from its other calls, mostly",
                    "how many elements further on its operands begin.",
                ),
                f"static const {step}_Number {step}_calls[] = {{",
                *_written_rows(groups, rows),
                "};\n",
                as_comment("Makes the calls of the table from one number to another."),
                f"static int {step}_take(int at, int end, const {step}_Now *now) {{",
                "    while (at < end) {",
                f"        const {step}_Number *const call = {step}_calls + at;",
                f"        if ({step}_kernels[call[0]].run(call, now)) return (int)call[1];",
                f"        at += {step}_kernels[call[0]].numbers;",
                "    }",
                "    return 0;",
                "}\n",
            ]
        )

    def _written_bases(self) -> list[str]:
        """The arrays that some kernel is called on in turn."""
        if not self._bases:
            return []
        names = [f"    {self._begin(storage)}," for storage in self._bases]
        return [f"static const void *const {self.step}_bases[] = {{", *names, "};\n"]

    def _given(self) -> dict[str, str]:
        """What a kernel is given, by name, and its declaration."""
        given = {
            name: f"const {C_TYPES[view.dtype]} *{name}"
            for name, view in self.writer.plan.arguments.items()
        }
        if self._has_rates:
            given["rates"] = "const double *rates"
        if self.writer.draws:
            given |= {"key": "uint64_t key", "step": "uint64_t step"}
        return given

    # The step.

    def _write_step(self, groups: Sequence[Group], rows: Sequence[list[int] | None]) -> None:
        """Write the operations in order, as walks through the table or in place."""
        writer = self.writer
        if not self._has_rates:
            writer.write_rates()
        if self._kernels:
            writer.line(f"const {self.step}_Now now = {{{', '.join(self._given())}}};")
            writer.line("int fault;")
        phase, begin, end = "", 0, 0
        for group, row in zip(groups, rows, strict=True):
            if row is None or phase_of(group) != phase:
                self._write_walk(begin, end)
                begin = end
            phase = write_phase(writer, group, phase)
            if row is None:
                write_group(writer, group)
            else:
                end += len(row)
        self._write_walk(begin, end)

    def _write_walk(self, begin: int, end: int) -> None:
        if begin < end:
            self.writer.line(f"fault = {self.step}_take({begin}, {end}, &now);")
            self.writer.line("if (fault) return fault;")


def _written_rows(groups: Sequence[Group], rows: Sequence[list[int] | None]) -> Iterator[str]:
    """The table, with where in the network its calls come from."""
    place = ""
    for group, row in zip(groups, rows, strict=True):
        if row is not None:
            first = group.operations[0]
            found = f"{phase_of(group)}   {first.path or 'network'}: {first.layer}"
            if found != place:
                place = found
                yield f"    {as_comment(place)}"
            yield f"    {', '.join(map(str, row))},"


def _words(lines: Sequence[str]) -> set[str]:
    """The words of C that are not in comments."""
    return set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", "\n".join(lines))))
