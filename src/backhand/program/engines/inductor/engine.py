"""Inductor: the flat line through PyTorch's own compiler, as one graph.

For large networks and long runs: compiling takes seconds. The line is written without a single
place in memory, each value as a variable of its own, and the compiler fuses and plans anew. Live
scalars go in as 0-dim tensors, so that no learning rate compiles again.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.learning.interrupts import InferenceMode
from backhand.program.calls import View
from backhand.program.engines.engine import CannotCompile
from backhand.program.engines.inductor.flat_line import FlatLine
from backhand.program.engines.plan_memory import PlanMemory
from backhand.program.engines.stepwise import Stepwise
from backhand.program.plan import Plan
from backhand.program.scalars import number_of

OPTIONS: dict[str, str | int | bool | Callable[..., Any]] = {"cpp_wrapper": True}
"""For torch.compile: what calls the kernels is C++ too, not Python."""


class Inductor:
    """The engine for large networks; see the module. Agrees with the plain step to rounding."""

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> CompiledGraph:
        """See Engine.

        Raises:
            CannotCompile: the compiler failed; says what it said.
        """
        return CompiledGraph(plan, outside, name)

    predicts = False  # compiling takes longer than it saves
    packs = False  # the compiler fuses a rule's work itself, and pays for slices of one storage

    def __repr__(self) -> str:
        return "Inductor()"


class CompiledGraph(Stepwise):
    """A plan as one compiled graph; see Bound."""

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> None:
        super().__init__(plan)
        memory = PlanMemory(plan, outside)
        memory.make_constants()
        line = FlatLine(plan, name)
        self.text = line.text
        self.scalar_names = tuple(sorted(plan.scalar_names()))
        self.namespace: dict[str, Any] = {"torch": torch, **line.objects}
        self._lasting = [
            memory.tensor(view) if view.storage in memory.blocks else _typed(outside, view)
            for view in line.lasting
        ]
        self._trees = list(line.trees)
        self._values = [torch.zeros((), dtype=torch.float64) for _ in self._trees]
        self._function = _compiled(line, name, dict(self.namespace))
        self._try_out([torch.zeros(v.shape, dtype=v.dtype) for v in plan.arguments.values()])

    def _try_out(self, batch: list[Tensor]) -> None:
        """Compile now, on a batch of zeros, and on copies of what the step would change."""
        randomness, lasting = torch.random.get_rng_state(), self._lasting
        try:
            self._lasting = [_twin(each) for each in lasting]
            with InferenceMode(True):
                self._step((*batch, *[1.0] * len(self.scalar_names)))
        except Exception as problem:
            raise CannotCompile(f"torch.compile: {problem}") from problem
        finally:
            self._lasting = lasting
            torch.random.set_rng_state(randomness)

    def _step(self, values: Sequence[Any]) -> Any:
        """See Stepwise."""
        count = len(values) - len(self.scalar_names)
        live = dict(zip(self.scalar_names, values[count:], strict=True))
        for place, tree in zip(self._values, self._trees, strict=True):
            place.fill_(number_of(tree, live))
        found = self._function(*values[:count], *self._lasting, *self._values)
        if len(found) > 1:
            return tuple(found)
        return found[0] if found else None


def _twin(tensor: Tensor) -> Tensor:
    """A copy that lies in memory as the tensor does."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype).copy_(tensor)


def _typed(outside: Mapping[int, Tensor], view: View) -> Tensor:
    """A view of a storage that was there before."""
    tensor = outside[view.storage]
    typed = tensor if tensor.dtype is view.dtype else tensor.view(view.dtype)
    return typed.as_strided(view.shape, view.stride, view.offset)


def _compiled(line: FlatLine, name: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    """The function, to be compiled at its first call."""
    file = f"<{name} for inductor {id(line):x}>"
    linecache.cache[file] = (len(line.text), None, line.text.splitlines(keepends=True), file)
    exec(compile(line.text, file, "exec"), namespace)
    compiled: Callable[..., Any] = torch.compile(
        namespace[name], fullgraph=True, dynamic=False, options=OPTIONS
    )
    return compiled
