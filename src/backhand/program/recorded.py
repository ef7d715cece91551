"""Recorded: what TrainingStep and Prediction share, a program for each shape of batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from backhand.arguments import instance, shown
from backhand.given import Given, are_tensors
from backhand.layer import Layer
from backhand.learning.interrupts import InferenceMode
from backhand.losses import Loss
from backhand.program.engines import Engine
from backhand.program.memory import Memory
from backhand.program.program import Program
from backhand.program.structure import Structure
from backhand.values import rows_of, tensors, together

if TYPE_CHECKING:
    from backhand.program.export.c_files import CFiles

_kind_of: Callable[[Tensor], tuple[Any, ...]] = attrgetter("shape", "dtype", "is_cpu", "layout")

Kind = TypeVar("Kind")

KEPT = 16
"""How many recordings (for different shapes and dtypes) a step keeps; the oldest goes first."""


class Asked(Generic[Kind]):
    """An attribute that recordings depend on: set anew, it is recorded anew at the next call."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, recorded: Recorded, owner: type) -> Kind:
        value: Kind = getattr(recorded, self._name)
        return value

    def __set__(self, recorded: Recorded, value: Kind) -> None:
        setattr(recorded, self._name, value)
        recorded._forget()


class Recorded:
    """What TrainingStep and Prediction share: one program for each shape, while they hold."""

    network: Asked[Layer] = Asked()
    loss: Asked[Loss | None] = Asked()

    def __init__(self, network: Layer, loss: Loss | None, engine: Engine | None) -> None:
        self._forget()
        self.network = instance(type(self).__name__, "network", network, Layer)
        self.loss = loss
        self._asked_for = engine

    def _forget(self) -> None:
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        self._structure: Structure | None = None
        self._latest: Program | None = None
        self._known: dict[Any, Any] = {}  # dtypes of numbers that are no tensors

    def _structure_now(self, to_the_last: bool = False) -> Structure:
        """The network's structure; what was recorded of another one is forgotten."""
        structure = self._structure
        if structure is None or not (
            structure.holds_to_the_last() if to_the_last else structure.still_holds()
        ):
            self._forget()
            structure = self._structure = Structure(self.network, self.loss)
        return structure

    def _program(
        self, input: list[Tensor], target: list[Tensor], rows: int | None = None
    ) -> Program:
        """The program for batches of these shapes and dtypes; recorded where there is none.

        With `rows`, for batches of so many rows of these data.
        """
        batch = [*input, *target]
        structure = self._structure_now(to_the_last=rows is not None)
        kinds = map(_kind_of, batch)
        if rows is not None:
            kinds = map(partial(_of_rows, rows), kinds)
        key: tuple[Any, ...] = (len(target), *kinds)
        if structure.gates:
            key += structure.held()
        program = self._programs.get(key)
        if program is None or not program.counts_hold(structure):
            self._check_memory(batch)
            program = self._programs[key] = self._recorded(input, target, rows)
            program.counts_hold(structure)
            if len(self._programs) > KEPT:
                self._programs.popitem(last=False)
        self._latest = program
        return program

    def _targets(self, given: Given, inputs: list[Tensor]) -> list[Tensor]:
        """The tensors of a target; what the loss makes of numbers that are none."""
        if isinstance(given, Tensor):
            return [given]
        if not are_tensors(given):
            given = self._target_of_numbers(given, inputs)
        return self._tensors("target", given)

    def _target_of_numbers(self, given: Given, inputs: list[Tensor]) -> Any:
        if self.loss is None or given is None:
            raise TypeError(
                f"{type(self).__name__} of {shown(self.network)}: expected a target (an empty "
                "tuple, where the loss does not look at it), got None"
            )

        def first() -> Any:
            return self.network.predict(rows_of(together(inputs), slice(1)))

        return self.loss.as_target(given, self.network.float_dtype(), first, self._known)

    def _tensors(self, name: str, given: Any) -> list[Tensor]:
        found = tensors(given)
        if not all(isinstance(each, Tensor) for each in found):
            owner = f"{type(self).__name__} of {shown(self.network)}"
            raise TypeError(f"{owner}: expected tensors as {name}, got tuples in a tuple")
        return found

    def _check_memory(self, batch: list[Tensor]) -> None:
        for each in batch:
            if not each.is_cpu:
                raise ValueError(f"{self!r} runs on the CPU, got a batch on {each.device}")
            if each.layout is not torch.strided:
                raise TypeError(f"{self!r} takes dense batches, got one of {each.layout}")

    def _inputs(self, given: Given) -> list[Tensor]:
        """The tensors of an input, or what the network makes of numbers that are none. Tokens are
        in range: whole numbers are read once a call, floats never."""
        if isinstance(given, Tensor):
            inputs = [given]
        else:
            if not are_tensors(given):
                self._structure_now()  # what is known is of this network
                given = self.network.as_input(given, self._known)
            inputs = self._tensors("input", given)
        for each in inputs:
            if not each.is_floating_point():
                self._check_memory(inputs)
                self.network.check_values(given)
                break
        return inputs

    def _recorded(self, input: list[Tensor], target: list[Tensor], rows: int | None) -> Program:
        with InferenceMode(False):  # the memory that a program keeps serves in any mode
            return self._record(
                [_own_batch(each, rows) for each in input],
                [_own_batch(each, rows) for each in target],
            )

    def _record(self, input: list[Tensor], target: list[Tensor]) -> Program:
        raise NotImplementedError

    def _program_and_structure(
        self, input: list[Tensor], target: list[Tensor]
    ) -> tuple[Program, Structure]:
        program = self._program(input, target)
        assert self._structure is not None
        return program, self._structure

    def _to_c(self, name: str, ram: int | None) -> CFiles:
        from backhand.program.export.c import export_c

        given = {
            name: torch.zeros(view.shape, dtype=view.dtype)
            for name, view in self.latest.plan.arguments.items()
        }
        inputs = tuple(each for name, each in given.items() if name.startswith("input"))
        targets = tuple(each for name, each in given.items() if name.startswith("target"))
        return export_c(self.network, inputs, self.loss, targets, name, ram)

    @property
    def engine(self) -> Engine | None:
        """What runs the program recorded last; before that, what was asked for."""
        return self._asked_for if self._latest is None else self._latest.engine

    @property
    def latest(self) -> Program:
        """The program that was recorded or run last.

        Raises:
            RuntimeError: nothing has been recorded yet.
        """
        if self._latest is None:
            raise RuntimeError(f"{self!r} has recorded nothing yet: call it or its record() first")
        return self._latest

    @property
    def memory(self) -> Memory:
        """The bytes that the program recorded last needs."""
        return self.latest.memory

    @property
    def namespace(self) -> dict[str, Any]:
        """What the names in the printed text stand for: exec(str(step), step.namespace)."""
        return dict(self.latest.bound.namespace)

    def __str__(self) -> str:
        return self.latest.bound.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.network!r}, engine={self.engine!r})"

    def __getstate__(self) -> dict[str, Any]:
        """A copy or pickle holds no recording; it makes its own."""
        kept = dict(vars(self))
        for name in ("_programs", "_structure", "_latest"):
            del kept[name]
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


def _of_rows(rows: int, kind: tuple[Any, ...]) -> tuple[Any, ...]:
    """The kind of a batch of so many rows of data of this kind."""
    shape, *others = kind
    return ((rows, *shape[1:]), *others)


def _own_batch(tensor: Tensor, rows: int | None) -> Tensor:
    """A copy that fills a storage of its own; with `rows`, of so many rows, in turn."""
    tensor = tensor.detach()
    if rows is None:
        return tensor.clone(memory_format=torch.contiguous_format)
    return tensor[torch.arange(rows) % len(tensor)].contiguous()
