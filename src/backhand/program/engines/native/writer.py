"""The writer: lines of C, the names in them, and what every emitter needs to know of a plan."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from backhand.program.calls import Scalar, View
from backhand.program.engines.native.c_text import identifier, not_among
from backhand.program.engines.native.layout import C_TYPES, REAL, Window
from backhand.program.plan import (
    ALIGNMENT,
    ARGUMENT,
    CONSTANT,
    TEMPORARY,
    Operation,
    Plan,
    scalars_in,
)
from backhand.program.scalars import Tree

STACK = 1 << 15
"""Bytes of a packed matrix up to which it stands on the stack; larger ones share `scratch`."""

SHARED_ELEMENTS = 1 << 16
"""Elements of a loop from which threads share it; torch's number of them, as it is then."""

SHARED_PRODUCTS = 4_000_000
"""Multiplications of a matrix product from which threads share its rows."""

SHARED = "#pragma omp parallel for schedule(static)"
SHARED_VECTORS = "#pragma omp parallel for simd schedule(static)"


class NotNative(RuntimeError):
    """A plan has an operation that cannot be written as C; names the call and the layer."""


@dataclass(frozen=True)
class Frame:
    """Memory and live scalars as a kernel knows them: by number, whatever they are in a call.

    Attributes:
        pointers: the element type of each; no two of them meet.
        places: of each view, by its origin, its pointer, and bytes from there.
        scalars: the number of each.
    """

    pointers: tuple[torch.dtype, ...]
    places: dict[tuple[int, int], tuple[int, int]]
    scalars: dict[Tree, int]


class Writer:
    """Writes the body of one step.

    Args:
        plan: what to write.
        lanes: for each real dtype, the elements in the widest vector; None for plain C99.
        steady: whether a row's bits shall be the same in a batch of any size.
        library_from: multiplications from which a product is left to the BLAS; default none is.

    Attributes:
        lines: of C, indented.
        scratch: bytes of scratch memory that the body needs.
        draws: whether it draws random numbers.
        position: of the operation being written.
        varying: see Plan.
        last_read: the place of the last operation that reads from a storage; one past the last
            operation where the caller receives it.
        frame: of the kernel being written; None for what stands in the step itself.
    """

    def __init__(
        self,
        plan: Plan,
        lanes: dict[torch.dtype, int] | None,
        steady: bool = False,
        library_from: Mapping[torch.dtype, float] | None = None,
    ) -> None:
        self.plan = plan
        self.lanes = lanes
        self.steady = steady
        self.library_from = library_from or {}
        self.varying = plan.varying()
        self.last_read = {
            view.storage: at for at, each in enumerate(plan.operations) for view in each.reads()
        }
        self.last_read |= {v.storage: len(plan.operations) for v in plan.results.values()}
        self.frame: Frame | None = None
        self.lines: list[str] = []
        self.scratch = 0
        self.draws = 0
        self.operation: Operation
        self.position = 0
        self.declarations: dict[str, str] = {}
        self.rates: dict[Tree, str] = {}
        self.names = self._storage_names()
        self.types = self._storage_types()
        self.numbers = self._constant_numbers()
        self._depth = 1
        self._packed = 0
        self._fresh = 0

    def begin(self, operation: Operation, position: int) -> None:
        """Begin to write an operation, at its place in the plan."""
        self.operation, self.position = operation, position
        self._packed = 0

    # Lines.

    def line(self, text: str) -> None:
        """Write one line."""
        self.lines.append("    " * self._depth + text if text else "")

    @contextmanager
    def block(self, header: str = "") -> Iterator[None]:
        """Braces around what is written inside."""
        self.line(f"{header} {{".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")

    @contextmanager
    def loops(self, shape: Sequence[int], independent: bool = False) -> Iterator[list[str]]:
        """Nested loops over a shape; gives the names of the indices."""
        indices = []
        depth = self._depth
        innermost = max((axis for axis, n in enumerate(shape) if n != 1), default=None)
        for axis, length in enumerate(shape):
            if length == 1:
                indices.append("0")
                continue
            index = self.fresh("ijklmn"[axis % 6])
            indices.append(index)
            shared = independent and self.shares(math.prod(shape), SHARED_ELEMENTS)
            if shared and self._depth == depth:
                self.line(SHARED_VECTORS if axis == innermost else SHARED)
            elif independent and axis == innermost and self.lanes is not None:
                self.line("BH_INDEPENDENT")
            self.line(f"for (int {index} = 0; {index} < {length}; {index}++) {{")
            self._depth += 1
        if self._depth == depth:
            self.line("{")
            self._depth += 1
        yield indices
        while self._depth > depth:
            self._depth -= 1
            self.line("}")

    def library_takes(self, dtype: torch.dtype, work: int) -> bool:
        """Whether a product of so many multiplications is left to the BLAS."""
        return not self.steady and work >= self.library_from.get(dtype, math.inf)

    def shares(self, work: int, least: int) -> bool:
        """Whether threads share a loop of so much work. Each element stays one thread's alone."""
        return self.lanes is not None and work >= least

    def fresh(self, name: str) -> str:
        """A name that has not been used."""
        self._fresh += 1
        return f"{name}{self._fresh}"

    def fault(self) -> str:
        """C text of what a step returns when the operation fails: its number, from 1."""
        return str(self.position + 1) if self.frame is None else "1"

    def draw(self) -> str:
        """C text of the number of the next call that draws random numbers."""
        self.draws += 1
        return str(self.draws - 1) if self.frame is None else "call_number"

    @contextmanager
    def kernel(self, frame: Frame) -> Iterator[list[str]]:
        """Write what follows as a kernel; gives its lines. Refused halfway, it leaves no trace."""
        lines, fresh, depth = self.lines, self._fresh, self._depth
        self.lines, self._fresh, self.frame = [], 0, frame
        try:
            yield self.lines
        finally:
            self.lines, self._fresh, self.frame, self._depth = lines, fresh, None, depth

    def refuse(self, why: str) -> NotNative:
        """The error for an operation that cannot be written."""
        return NotNative(f"{self.operation.name} in {self.operation.place_in_network()}: {why}")

    def used_declarations(self) -> list[str]:
        """The declarations of the pointers that the lines use."""
        words = set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", "\n".join(self.lines))))
        return [f"    {text}" for name, text in self.declarations.items() if name in words]

    # What views and numbers are in C.

    def window(self, view: View) -> Window:
        """A view as an array in C."""
        storage = self.plan.storages[view.storage]
        if view.dtype not in C_TYPES:
            raise self.refuse(f"{view.dtype} has no type in C")
        type_ = C_TYPES[view.dtype]
        if self.frame is not None and view.origin in self.frame.places:
            return self._framed(view, *self.frame.places[view.origin])
        base = self.names[view.storage]
        if storage.kind == TEMPORARY:
            name = base if self.types[view.storage] == view.dtype else f"{base}_{type_}"
            self.declarations[name] = (
                f"{type_} *const {name} = ({type_} *)(arena + {storage.place});"
            )
            base = name
        elif self.types[view.storage] != view.dtype:
            base = f"(({type_} *){base})"
        number = self.numbers.get(view.storage)
        text = None if number is None else self.literal(number, view.dtype)
        return Window(base, view.shape, view.stride, view.offset, view.dtype, text)

    def _framed(self, view: View, pointer: int, begin: int) -> Window:
        """A view as a kernel sees it: from one of its pointers on."""
        assert self.frame is not None
        type_, base, offset = C_TYPES[view.dtype], f"p{pointer}_", begin // view.dtype.itemsize
        if begin % view.dtype.itemsize:
            base, offset = f"(({type_} *)((char *){base} + {begin}))", 0
        elif self.frame.pointers[pointer] != view.dtype:
            base = f"(({type_} *){base})"
        return Window(base, view.shape, view.stride, offset, view.dtype)

    def literal(self, value: Any, dtype: torch.dtype) -> str:
        """A Python number as C text of an element type."""
        if dtype not in REAL:
            if isinstance(value, bool) or dtype is torch.bool:
                return str(int(bool(value)))
            text = f"{int(value)}" if abs(int(value)) < 1 << 31 else f"INT64_C({int(value)})"
            return f"({text})" if text.startswith("-") else text
        value = float(value)
        if value != value:
            return "NAN"
        if value in (float("inf"), float("-inf")):
            return "INFINITY" if value > 0 else "(-INFINITY)"
        text = f"{np.float32(value)!s}f" if dtype is torch.float32 else repr(value)
        if text[:-1] in ("inf", "-inf"):
            text = "INFINITY" if value > 0 else "(-INFINITY)"
        return f"({text})" if text.startswith("-") else text

    def number(self, value: Any, dtype: torch.dtype) -> str:
        """A live scalar or a Python number as C text of an element type."""
        if isinstance(value, Scalar):
            if self.frame is not None:
                return f"({C_TYPES[dtype]})s{self.frame.scalars[value.tree]}_"
            name = self.rates.get(value.tree, value.tree)
            return f"({C_TYPES[dtype]}){name}"
        return self.literal(value, dtype)

    def pack_space(self, dtype: torch.dtype, elements: int) -> str:
        """An array for packed elements, in the block being written."""
        name, size = self.fresh("packed"), elements * dtype.itemsize
        if size <= STACK:
            self.line(f"{C_TYPES[dtype]} {name}[{elements}];")
        else:
            place = f"scratch + {self._packed}" if self._packed else "scratch"
            self._packed += -(-size // ALIGNMENT) * ALIGNMENT
            self.scratch = max(self.scratch, self._packed)
            self.line(f"{C_TYPES[dtype]} *const {name} = ({C_TYPES[dtype]} *)({place});")
        return name

    def width(self, dtype: torch.dtype, length: int) -> int:
        """Lanes of the widest vector that fits a length; 1 for none."""
        widest = 1 if self.lanes is None else self.lanes.get(dtype, 1)
        while widest > length:
            widest //= 2
        return max(widest, 1)

    # Names.

    def _storage_names(self) -> dict[int, str]:
        taken = {
            *self.plan.scalar_names(),
            *self.plan.results,
            *self.plan.arguments,
            "learning_rate",
        }
        names = {}
        for number, storage in self.plan.storages.items():
            name = identifier(storage.name)
            name = name if storage.kind == ARGUMENT else not_among(taken, name)
            taken.add(name)
            names[number] = name
        return names

    def _storage_types(self) -> dict[int, torch.dtype]:
        """The type that each storage is first seen with."""
        types: dict[int, torch.dtype] = {}
        views = [*self.plan.arguments.values(), *self.plan.results.values()]
        for operation in (*self.plan.operations, *self.plan.preparations):
            views += [*operation.reads(), *operation.targets]
        for view in views:
            types.setdefault(view.storage, view.dtype)
        return types

    def _constant_numbers(self) -> dict[int, Any]:
        """Constants all of whose elements are one number."""
        makers: dict[int, list[Operation]] = {}
        for operation in self.plan.preparations:
            for view in operation.targets:
                makers.setdefault(view.storage, []).append(operation)
        return {
            number: each[0].operands[0]
            for number, each in makers.items()
            if len(each) == 1
            and each[0].how == "fill"
            and self.plan.storages[number].kind == CONSTANT
            and isinstance(each[0].operands[0], int | float)
        }

    def write_rates(self) -> None:
        """Declare every live scalar that is computed, each once, in double as Python does."""
        for operation in self.plan.operations:
            for scalar in scalars_in((operation.operands, operation.keywords)):
                self._rate(scalar.tree)

    def number_rates(self) -> dict[Tree, int]:
        """Declare every live scalar and put them into an array; their numbers there."""
        self.write_rates()
        numbers: dict[Tree, int] = {}
        for operation in self.plan.operations:
            for scalar in scalars_in((operation.operands, operation.keywords)):
                numbers.setdefault(scalar.tree, len(numbers))
        words = [self._rate(tree) for tree in numbers] or ["0"]
        self.line(f"const double rates[] = {{{', '.join(words)}}};")
        return numbers

    def _rate(self, tree: Tree) -> str:
        if isinstance(tree, str):
            return tree
        if not isinstance(tree, tuple):
            return self.literal(tree, torch.float64)
        if tree not in self.rates:
            words = [self._rate(each) for each in tree[1:]]
            if tree[0] == "**":
                text = f"pow({words[0]}, {words[1]})"
            else:
                text = f"-{words[0]}" if len(words) == 1 else f"{words[0]} {tree[0]} {words[1]}"
            name = self.rates[tree] = self.fresh("rate")
            self.line(f"const double {name} = {text};")
        return self.rates[tree]
