"""Structure: whether all that a recording depends on is still as it was.

A recording depends on every attribute of every layer, parameter, gate, rule and loss, and of
whatever hangs there, lists and dicts and other objects, except for what a class declares in
`passing`: what goes from call to call; that of a prediction, neither on what is declared in
`of_training`. Of tensors it depends on where they lie, not on what they hold.
"""

from __future__ import annotations

import copy
import sys
from argparse import Namespace
from array import array
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache, partial
from operator import getitem
from types import CellType, FunctionType, MethodType, SimpleNamespace
from typing import Any

import numpy
from torch import Tensor

from backhand.layer import Layer
from backhand.learning.gates import Gate
from backhand.losses import Loss

_CONTAINERS = (dict, list, set, deque, bytearray)
_NOT_LOOKED_INTO = frozenset(sys.stdlib_module_names) | {"torch", "numpy"}
"""Whose objects are compared as a whole, by == or identity; but for these, which hold others:"""

_HOLDERS = (Namespace, SimpleNamespace, UserDict, UserList, ChainMap)


_look_up: Callable[[Any, Any], Any] = getitem


class Structure:
    """What a recording of a network and a loss depends on, as it is now.

    The check is made at every call, so it is a few comparisons in C. A container or an object's
    attributes are compared with a copy; beside that, tensors are compared by their address and
    how they lie, since `==` of two tensors says something else.
    """

    def __init__(self, network: Layer, loss: Loss | None) -> None:
        found = _Walk(network, loss)
        self.gates = [each for each in found.gates if each.accumulates]
        """Those that hold contributions from one step to the next."""
        self._own = frozenset(network.parameters().values()) if self.gates else frozenset()
        self._live = [each for each, _ in found.containers]
        self._passing = [passing for _, passing in found.containers]
        self._kept = [copy.copy(each) for each in self._live]
        shaped = [home[key] for home, key in found.tensors]
        self._tensors = [*shaped, *(home[key] for home, key in found.steady)]
        self._addresses = list(map(Tensor.data_ptr, self._tensors))
        self._matrices = [each for each in self._tensors if each.dim() > 1]
        self._strides = list(map(Tensor.stride, self._matrices))
        self._shaped, self._counts = shaped, list(map(Tensor.numel, shaped))
        # Another tensor in the place of one with several elements is noticed as the containers
        # are compared, for == says neither yes nor no of those; of one element it may say yes.
        places = [*found.tensors, *found.steady]
        small = [(home, key) for home, key in places if home[key].numel() <= 1]
        self._homes, self._keys = [home for home, _ in small], [key for _, key in small]
        self._small = self._small_now()
        self._others = [(read, read()) for read in found.others]
        self.turn = 0
        """How often something that passes from call to call was found to be another."""

    def still_holds(self) -> bool:
        """Whether all is as it was; but rows cut off a tensor where it lies are not missed."""
        try:
            try:
                as_kept = self._live == self._kept
            except RuntimeError:  # two tensors compared, perhaps what passes from call to call
                as_kept = False
            return (
                (as_kept or self._holds_but_for_passing())
                and list(map(Tensor.data_ptr, self._tensors)) == self._addresses
                and list(map(Tensor.stride, self._matrices)) == self._strides
                and (not self._small or self._small == self._small_now())
                and (not self._others or all(read() == kept for read, kept in self._others))
            )
        except Exception:  # whatever cannot be compared with what was there is not the same
            return False

    def held(self) -> tuple[Any, ...]:
        """How far each gate is, and what it holds of whom: for each of these there is a step.

        Whoever is outside of this network contributed at a rate that is none of its step's.
        """
        return tuple(
            (
                gate.phase,
                *((p, None if p in self._own else r) for p, r in gate.contributors().items()),
            )
            for gate in self.gates
        )

    def _small_now(self) -> list[int]:
        return list(map(id, map(_look_up, self._homes, self._keys)))

    def holds_to_the_last(self) -> bool:
        """Whether all is as it was, to the last row; for calls of many steps."""
        return self.still_holds() and list(map(Tensor.numel, self._shaped)) == self._counts

    def _holds_but_for_passing(self) -> bool:
        """The same, where layers were also called by themselves meanwhile."""
        for live, kept, passing in zip(self._live, self._kept, self._passing, strict=True):
            if passing:
                live, kept = _without(live, passing), _without(kept, passing)
            if live != kept:
                return False
        self._kept = [copy.copy(each) for each in self._live]
        self.turn += 1
        return True


def _without(attributes: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in names}


_Place = tuple[Any, Any]
"""What holds a value, and the key or index it has there."""


class _Walk:
    """All that can be reached from a network and a loss, each object once.

    Attributes:
        containers: dicts, lists and the like that can be edited in place, the attributes of
            objects among them; with the keys that pass from call to call.
        tensors: their places.
        steady: places of tensors that keep their shapes.
        gates: in front of parameters.
        others: functions that read what takes a comparison of its own.
    """

    def __init__(self, network: Layer, loss: Loss | None) -> None:
        self._left_out = ("passing",) if loss is not None else ("passing", "of_training")
        self.containers: list[tuple[Any, frozenset[str]]] = []
        self.tensors: list[_Place] = []
        self.steady: list[_Place] = []
        self.gates: list[Gate] = []
        self.others: list[Callable[[], Any]] = []
        self._seen: dict[int, Any] = {}
        self._ahead: deque[tuple[Any, Any, list[_Place]]] = deque()
        self._look_ahead([network, loss], self.tensors)
        while self._ahead:
            self._visit(*self._ahead.popleft())

    def _look_ahead(self, home: Any, shapes: list[_Place]) -> None:
        """Note the contents of a list, a tuple or a dict, to be visited."""
        keys = home if isinstance(home, dict) else range(len(home))
        self._ahead.extend((home, key, shapes) for key in keys)

    def _visit(self, home: Any, key: Any, shapes: list[_Place]) -> None:
        value = home[key]
        if isinstance(value, Tensor):
            shapes.append((home, key))
            return
        if isinstance(value, numpy.ndarray | array):
            self.others.append(lambda: _contents(home[key]))
            if isinstance(value, numpy.ndarray) and value.dtype == object:
                self._look_ahead(list(value.flat), shapes)
            return
        kind: Any = type(value)
        if _says_little(kind):
            self.others.append(lambda: id(home[key]))
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, _CONTAINERS):
            self.containers.append((value, frozenset()))
        if isinstance(value, dict):
            if shapes is not self.steady:
                self.others.append(lambda: list(value))  # dicts in another order are equal
            self._look_ahead(list(value), shapes)
            self._look_ahead(value, shapes)
        elif isinstance(value, list | tuple):
            self._look_ahead(value, shapes)
        elif isinstance(value, set | frozenset | deque):
            self._look_ahead(list(value), shapes)
        elif isinstance(value, FunctionType):
            self._enter_function(value, shapes)
        elif isinstance(value, MethodType):
            self._look_ahead([value.__self__, value.__func__], shapes)
        elif isinstance(value, partial):
            self._look_ahead([value.func, value.args, value.keywords], shapes)
        if _is_looked_into(kind):
            self._enter_object(value, kind, shapes)

    def _enter_function(self, function: FunctionType, shapes: list[_Place]) -> None:
        """Look at what it was given as it was made; of the globals it reads, nobody knows."""
        if _made_elsewhere(function):
            return
        self.containers.append((function.__dict__, frozenset()))
        self._look_ahead(function.__dict__, shapes)
        self.others.append(lambda: (function.__code__, function.__defaults__))
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # it is empty as yet
                self._look_ahead([cell.cell_contents], shapes)
                self.others.append(partial(_cell_contents, cell))

    def _enter_object(self, value: Any, kind: Any, shapes: list[_Place]) -> None:
        if isinstance(value, Gate):
            self.gates.append(value)
        passing, steady = _declared(kind, *self._left_out), _declared(kind, "steady")
        attributes = getattr(value, "__dict__", None)
        if attributes is not None:
            self.containers.append((attributes, passing))
            for name in attributes:
                if name not in passing:
                    self._ahead.append(
                        (attributes, name, self.steady if name in steady else shapes)
                    )
        for name in _slots(kind) - passing:
            if hasattr(value, name):
                self.others.append(partial(getattr, value, name))
                self._look_ahead([getattr(value, name)], shapes)


def _contents(values: Any) -> Any:
    """What an array, NumPy's or Python's own, holds, to the bit; of objects, which they are."""
    if isinstance(values, array):
        return values.typecode, values.tobytes()
    return type(values), values.shape, values.dtype, values.tobytes()


def _cell_contents(cell: CellType) -> tuple[Any]:
    return (cell.cell_contents,)


@cache
def _is_looked_into(kind: Any) -> bool:
    """Whether objects of a class are more than a value: they have attributes, and a maker here."""
    has_attributes = getattr(kind, "__dictoffset__", 0) != 0 or bool(_slots(kind))
    if issubclass(kind, type):
        return False
    return issubclass(kind, _HOLDERS) or (has_attributes and not _made_elsewhere(kind))


def _made_elsewhere(what: Any) -> bool:
    return (what.__module__ or "").partition(".")[0] in _NOT_LOOKED_INTO


@cache
def _says_little(kind: Any) -> bool:
    """Whether two objects of a class that are equal may still differ: its `==` is its own."""
    if not _is_looked_into(kind) or kind.__eq__ is object.__eq__:
        return False
    return not (is_dataclass(kind) and all(each.compare for each in fields(kind)))


@cache
def _declared(kind: Any, *names: str) -> frozenset[str]:
    """The attributes that a class and its bases name in class attributes of these names."""
    said = [vars(base).get(name) for base in kind.__mro__ for name in names]
    return frozenset[str]().union(*(each for each in said if isinstance(each, frozenset)))


@cache
def _slots(kind: Any) -> frozenset[str]:
    return frozenset(_slots_of(kind)) - {"__dict__", "__weakref__"}


def _slots_of(kind: Any) -> Iterator[str]:
    for base in kind.__mro__:
        names = vars(base).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            private = name.startswith("__") and not name.endswith("__")
            yield f"_{base.__name__.lstrip('_')}{name}" if private else name
