"""Native's C as a program of its own: the steps of many networks in one compilation and one run.

For vectors of other widths, for other processors, and under sanitizers. What the program is given,
and what it leaves, are bytes: each block of memory is allocated at its exact size, and what no step
has written yet is all ones there, which is NaN in a float.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from backhand.learning.tally import Tally
from backhand.program.engines.native.emit import Code, support, write_c
from backhand.program.engines.plan_memory import PlanMemory
from backhand.program.plan import CONSTANT, OUTSIDE, Plan
from backhand.values import together

KEY = 7
"""Of what is drawn."""


@dataclass
class Job:
    """Steps that were asked for, and the memory they were to work on, as it was then.

    Attributes:
        results: what the program gave, once it has run; its bytes, for each result of the plan.
    """

    plan: Plan
    outside: Mapping[int, Tensor]
    data: list[Tensor]
    order: Tensor
    values: Tensor
    before: dict[int, bytes] = field(init=False)
    results: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        memory = PlanMemory(self.plan, self.outside)
        memory.make_constants()
        self.before = {
            number: bytes_of(memory.blocks[number] if storage.kind == CONSTANT else whole)
            for number, storage in self.plan.storages.items()
            if storage.kind == CONSTANT or storage.kind == OUTSIDE
            for whole in [_storage_of(self.outside.get(number))]
        }

    def written(self, vector_bytes: int, most_in_one: int | None) -> Code:
        """Its C, for vectors of so many bytes."""
        return write_c(self.plan, "whole_step", vector_bytes, most_in_one=most_in_one)

    def blocks(self, code: Code) -> list[bytes]:
        """What its memory holds at first: arena, scratch, storages, schedule."""
        found = [b"\xff" * self.plan.arena, b"\xff" * code.scratch]
        for number in code.storages:
            unknown = b"\xff" * self.plan.storages[number].size
            found.append(self.before.get(number, unknown))
        return [*found, struct.pack(f"{len(code.schedule)}q", *code.schedule)]

    def take_over(self, code: Code, blocks: Sequence[bytes], results: Sequence[bytes]) -> None:
        """Put what the program left where its step would have put it."""
        written = {view.storage for each in self.plan.operations for view in each.targets}
        for number, block in zip(code.storages, blocks[2:], strict=False):
            if self.plan.storages[number].kind == OUTSIDE and number in written:
                _storage_of(self.outside[number]).copy_(from_bytes(block, torch.uint8))
        views = self.plan.results.values()
        self.results = [
            from_bytes(each, view.dtype).reshape(len(self.values), *view.shape)
            for each, view in zip(results, views, strict=True)
        ]


def bytes_of(tensor: Tensor) -> bytes:
    """A contiguous tensor's bytes."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def from_bytes(block: bytes, dtype: torch.dtype) -> Tensor:
    """What they are as numbers of a type."""
    if not block:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(block), dtype=torch.uint8).view(dtype)


def _storage_of(tensor: Tensor | None) -> Tensor:
    """All bytes of the memory that a tensor is in."""
    made = torch.empty(0, dtype=torch.uint8)
    return made if tensor is None else made.set_(tensor.untyped_storage())


class Asked:
    """An engine that takes down what steps it is asked for, and takes none."""

    packs = predicts = True

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> _Bound:
        return _Bound(self.jobs, plan, outside)


class _Bound:
    def __init__(self, jobs: list[Job], plan: Plan, outside: Mapping[int, Tensor]) -> None:
        self.jobs, self.plan, self.outside = jobs, plan, outside
        self.tally = Tally()
        self.scalar_names = tuple(sorted(plan.scalar_names()))
        self.namespace: dict[str, object] = {}
        self.text = ""

    def run(self, *values):
        count = len(self.plan.arguments)
        batch, order = values[:count], torch.arange(max(map(len, values[:count])))
        self.run_many(batch, order, torch.tensor([values[count:]], dtype=torch.float64))
        results = [torch.zeros(view.shape) for view in self.plan.results.values()]
        return together(results) if results else None

    def run_many(self, data, order, values):
        views = self.plan.arguments.values()
        given = [x.to(view.dtype).contiguous() for x, view in zip(data, views, strict=True)]
        self.jobs.append(Job(self.plan, self.outside, given, order, values))
        self.tally.count += len(values)
        results = [torch.zeros(len(values), *view.shape) for view in self.plan.results.values()]
        return results[0] if results else None


MAIN = r"""
#include <stdio.h>
#include <stdlib.h>

typedef int64_t Run(char *const *, int64_t, int64_t, const double *, const int64_t *,
                    const char *const *, char *const *, uint64_t, int64_t *);
typedef struct { int64_t bytes; char *at; } Block;

static int64_t number(void) {
    int64_t found;
    if (fread(&found, sizeof found, 1, stdin) != 1) exit(3);
    return found;
}

static Block block(void) {
    Block made = {number(), 0};
    made.at = malloc((size_t)made.bytes);
    if (!made.at || fread(made.at, 1, (size_t)made.bytes, stdin) != (size_t)made.bytes) exit(4);
    return made;
}

static int64_t blocks(Block *found, char **pointers) {
    int64_t count = number();
    for (int64_t i = 0; i < count; i++) pointers[i] = (found[i] = block()).at;
    return count;
}

static void give(const Block *these, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        fwrite(&these[i].bytes, sizeof these[i].bytes, 1, stdout);
        fwrite(these[i].at, 1, (size_t)these[i].bytes, stdout);
        free(these[i].at);
    }
}

static void take(Run *run) {
    enum { MOST = 4096 };
    static Block memory[MOST], data[MOST], results[MOST];
    static char *memory_at[MOST], *data_at[MOST], *results_at[MOST];
    int64_t steps = number(), key = number(), fault = 0, done[2];
    Block scalars = block(), order = block();
    int64_t count = blocks(memory, memory_at);
    int64_t data_count = blocks(data, data_at), result_count = blocks(results, results_at);
    memory_at[count] = memory_at[count - 1] + memory[count - 1].bytes;
    done[0] = run(memory_at, 0, steps, (const double *)(void *)scalars.at,
                  (const int64_t *)(void *)order.at, (const char *const *)data_at, results_at,
                  (uint64_t)key, &fault);
    done[1] = fault;
    fwrite(done, sizeof done, 1, stdout);
    give(memory, count);
    give(results, result_count);
    for (int64_t i = 0; i < data_count; i++) free(data[i].at);
    free(scalars.at);
    free(order.at);
}

int main(void) {
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) take(runs[i]);
    return 0;
}
"""


def run_elsewhere(
    jobs: Sequence[Job],
    folder: Path,
    command: Sequence[str],
    under: Sequence[str] = (),
    vector_bytes: int = 16,
    most_in_one: int | None = None,
) -> None:
    """Compile the C of all jobs as one program, run it, and take over what it leaves.

    Args:
        folder: for the program.
        command: of the compiler.
        under: what the program is run by.
        vector_bytes, most_in_one: see write_c.
    """
    codes = [each.written(vector_bytes, most_in_one) for each in jobs]
    (folder / "steps.c").write_text(_joined(codes))
    called([*command, "-w", "steps.c", "-o", "steps", "-lm"], folder)
    given = b"".join(_given(job, code) for job, code in zip(jobs, codes, strict=True))
    left = _Reader(called([*under, "./steps"], folder, given))
    for job, code in zip(jobs, codes, strict=True):
        done, fault = left.numbers(2)
        assert (done, fault) == (len(job.values), 0), f"the step after {done} failed at {fault}"
        blocks = [left.block() for _ in job.blocks(code)]
        job.take_over(code, blocks, [left.block() for _ in job.plan.results])
    assert left.at == len(left.bytes)


def called(command: Sequence[str], folder: Path, given: bytes = b"") -> bytes:
    """What a program writes."""
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:3000]
    return done.stdout


def _joined(codes: Sequence[Code]) -> str:
    """Several sources as one: what all begin with once, kernels that are equal once, too."""
    last = support("randomness.h")
    common = codes[0].text.index(last) + len(last)
    parts, known = [codes[0].text[:common]], {}
    for number, code in enumerate(codes):
        assert code.text[:common] == parts[0]
        text = re.sub(r"/\*.*?\*/", "", code.text[common:], flags=re.DOTALL)
        names = {name: f"{name}_in_{number}" for name in set(re.findall(OWN, text))}
        for name, body in re.findall(KERNEL, text, re.DOTALL):
            names[name] = known.setdefault(body, names[name])
            if names[name] != f"{name}_in_{number}":
                text = text.replace(f"static int64_t {name}({body}", "")
        parts.append(re.sub(OWN, lambda found, names=names: names[found[0]], text))
    entries = ", ".join(f"backhand_run_in_{number}" for number in range(len(codes)))
    typed = MAIN.partition("typedef struct")
    parts += [typed[0], f"static Run *const runs[] = {{{entries}}};\n", *typed[1:]]
    return "\n".join(parts)


OWN = r"\b(?:kernel_\d+|kernels|Kernel|backhand_run|whole_step)\b"
"""Names that each source has for something of its own."""

KERNEL = r"static int64_t (kernel_\d+)\((.*?\n}\n)"


def _given(job: Job, code: Code) -> bytes:
    steps = len(job.values)
    results = [b"\xff" * (steps * view.nbytes) for view in job.plan.results.values()]
    return b"".join(
        [
            struct.pack("2q", steps, KEY),
            _block(bytes_of(job.values)),
            _block(bytes_of(job.order)),
            _blocks(job.blocks(code)),
            _blocks([bytes_of(each) for each in job.data]),
            _blocks(results),
        ]
    )


def _block(block: bytes) -> bytes:
    return struct.pack("q", len(block)) + block


def _blocks(blocks: Sequence[bytes]) -> bytes:
    return struct.pack("q", len(blocks)) + b"".join(map(_block, blocks))


class _Reader:
    """What a program wrote, piece by piece."""

    def __init__(self, written: bytes) -> None:
        self.bytes, self.at = written, 0

    def numbers(self, count: int) -> tuple[int, ...]:
        self.at += 8 * count
        return struct.unpack(f"{count}q", self.bytes[self.at - 8 * count : self.at])

    def block(self) -> bytes:
        (size,) = self.numbers(1)
        self.at += size
        return self.bytes[self.at - size : self.at]
