"""Live scalars: the learning rate and the step number, which differ from step to step.

While a step is recorded they travel as `Live`, a float that keeps how it was computed. Whatever
would freeze one value into the recording (a comparison, a format, math.sqrt) raises, or leaves
its mark: the float inside is not a number.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

import numpy as np

from backhand.arguments import plain

Tree: TypeAlias = str | float | tuple[Any, ...]
"""A name, a number, or (operator, operand …)."""

_UFUNCS = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.divide: "/",
    np.power: "**",
}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


class FrozenScalar(TypeError):
    """Something tried to turn a live scalar into one number while a step was recorded."""


class Live(float):
    """A float whose value is not known yet: a tree of +, -, *, / and ** over names.

    Args:
        tree: how it is computed.
        payload: the float that C code sees, which nothing may use; two recordings with
            different payloads tell whether something did.
    """

    __slots__ = ("payload", "tree")
    tree: Tree
    payload: float

    def __new__(cls, tree: Tree, payload: float = math.nan) -> Live:
        made = super().__new__(cls, payload)
        made.tree = tree
        made.payload = payload
        return made

    def _with(self, sign: str, other: object, reflected: bool = False) -> Any:
        if not isinstance(other, int | float | np.integer):  # nor float32, which would round
            return NotImplemented
        mine, theirs = self.tree, other.tree if isinstance(other, Live) else plain(other)
        match sign, mine:
            case "+", ("-", minuend, subtrahend) if subtrahend == theirs:
                return Live(minuend, self.payload)  # (t - 1) + 1 is t, the step number
        tree = (sign, theirs, mine) if reflected else (sign, mine, theirs)
        return Live(tree, self.payload)

    def __add__(self, other: float) -> Any:
        return self._with("+", other)

    def __radd__(self, other: float) -> Any:
        return self._with("+", other, reflected=True)

    def __sub__(self, other: float) -> Any:
        return self._with("-", other)

    def __rsub__(self, other: float) -> Any:
        return self._with("-", other, reflected=True)

    def __mul__(self, other: float) -> Any:
        return self._with("*", other)

    def __rmul__(self, other: float) -> Any:
        return self._with("*", other, reflected=True)

    def __truediv__(self, other: float) -> Any:
        return self._with("/", other)

    def __rtruediv__(self, other: float) -> Any:
        return self._with("/", other, reflected=True)

    def __pow__(self, other: float, modulus: None = None) -> Any:
        return self._with("**", other)

    def __rpow__(self, other: float, modulus: None = None) -> Any:
        return self._with("**", other, reflected=True)

    def __array_ufunc__(self, function: np.ufunc, method: str, *given: Any, **named: Any) -> Any:
        """What NumPy's numbers do with it, asked before it: the same, or it freezes."""
        if method == "__call__" and function in _UFUNCS and not named:
            other = given[given[0] is self]
            found = self._with(_UFUNCS[function], other, reflected=given[0] is not self)
            if found is not NotImplemented:
                return found
        return _freezes(self)

    def __neg__(self) -> Live:
        return Live(("-", self.tree), self.payload)

    def __pos__(self) -> Live:
        return self

    def __repr__(self) -> str:
        return f"<{source(self.tree)}>"

    def __hash__(self) -> int:
        return _freezes(self)


def _freezes(self: Live, *_: object) -> NoReturn:
    raise FrozenScalar(
        f"{source(self.tree)} was about to be frozen into one number; in a recorded step a "
        "learning rate or step number may only be added, subtracted, multiplied, divided and "
        "raised to a power, and passed to tensor operations"
    )


for _name in (
    "abs bool ceil complex divmod eq float floor floordiv format ge getnewargs gt index int le lt "
    "mod ne rdivmod reduce reduce_ex rfloordiv rmod round str trunc"
).split():
    setattr(Live, f"__{_name}__", _freezes)
for _name in ("as_integer_ratio", "conjugate", "hex", "is_integer"):
    setattr(Live, _name, _freezes)
for _name in ("real", "imag"):
    setattr(Live, _name, property(_freezes))


def source(tree: Tree) -> str:
    """The tree as a Python expression."""
    if isinstance(tree, str):
        return tree
    if not isinstance(tree, tuple):
        return repr(tree)
    if len(tree) == 2:
        return f"-{_operand(tree[1])}"
    return f"{_operand(tree[1])} {tree[0]} {_operand(tree[2])}"


def _operand(tree: Tree) -> str:
    text = source(tree)
    return f"({text})" if isinstance(tree, tuple) else text


def number_of(tree: Tree, values: Mapping[str, float]) -> float:
    """The tree's value, for values of its names; the same operations as a plain step does."""
    if isinstance(tree, str):
        return values[tree]
    if not isinstance(tree, tuple):
        return tree
    if len(tree) == 2:
        return -number_of(tree[1], values)
    left, right = number_of(tree[1], values), number_of(tree[2], values)
    return float(_BINARY[tree[0]](left, right))
