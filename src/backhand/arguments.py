"""Arguments of constructors, each checked for its type and range in one place.

What a constructor keeps is written into files and read back from those of others: what is said to
be a number must be one.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

LARGEST = (1 << 31) - 1
"""Of sizes: what torch and C count with."""

LARGEST_RATE = (2 - 2**-23) * 2.0**127
"""The largest float32: torch refuses more in the middle of a step, and C makes infinity of it."""


def whole(owner: str, name: str, value: Any, least: float = 1, most: float = LARGEST) -> int:
    """The value as an int.

    Raises:
        TypeError: it is no whole number (a truth value is none).
        ValueError: it is less than `least` or more than `most`.
    """
    if type(value) is not int and (  # the common case is the fast one
        not isinstance(value, numbers.Integral) or isinstance(value, bool)
    ):
        raise TypeError(f"{owner}: expected a whole number as {name}, got {shown(value)}")
    number = int(value)
    if number < least:
        raise ValueError(f"{owner}: expected {name} of {least} or more, got {shown(value)}")
    if number > most:
        raise ValueError(f"{owner}: expected {name} of {most} at most, got {shown(value)}")
    return number


def truth(owner: str, name: str, value: Any) -> bool:
    """The value, True or False.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{owner}: expected True or False as {name}, got {shown(value)}")
    return value


def real(owner: str, name: str, value: Any) -> float:
    """The value as a float, which may be infinite.

    Raises:
        TypeError: it is no number (a truth value is none).
        ValueError: it is NaN, or an int beyond the largest float.
    """
    number = _as_float(owner, name, value)
    if math.isnan(number):
        raise ValueError(f"{owner}: expected a number as {name}, got {shown(value)}")
    return number


def finite(owner: str, name: str, value: Any) -> float:
    """The value as a float.

    Raises:
        TypeError: it is no number (a truth value is none).
        ValueError: it is infinite, NaN, or beyond the largest float.
    """
    number = _as_float(owner, name, value)
    if not math.isfinite(number):
        raise ValueError(f"{owner}: expected a finite {name}, got {shown(value)}")
    return number


def share(owner: str, name: str, value: Any) -> float:
    """The value as a float in [0, 1).

    Raises:
        TypeError: it is no number (a truth value is none).
        ValueError: it is outside [0, 1).
    """
    number = finite(owner, name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{owner}: expected a {name} in [0, 1), got {shown(value)}")
    return number


def _as_float(owner: str, name: str, value: Any) -> float:
    if type(value) is not float and (
        not isinstance(value, numbers.Real) or isinstance(value, bool)
    ):
        raise TypeError(f"{owner}: expected a number as {name}, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.nan


def plain(value: Any) -> Any:
    """The value, where it is a number or a text, as Python's own int, float, bool or str.

    NumPy's scalars, its arrays of no axes, fractions and enumerations print as nothing that makes
    them again, and NumPy's float32 computes in another precision. What is none stays as it is.
    """
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    try:
        return float(value) if isinstance(value, numbers.Real) else value
    except OverflowError:  # a fraction beyond the largest float: for the check to refuse
        return value


def keep_plain(frozen: Any) -> None:
    """Let a frozen dataclass keep the numbers of its fields, and of tuples there, as `plain`."""
    for field in fields(frozen):
        value = getattr(frozen, field.name)
        kept = tuple(map(plain, value)) if type(value) is tuple else plain(value)
        object.__setattr__(frozen, field.name, kept)


def checked_rate(learning_rate: Any) -> float:
    """The learning rate as a float; a tensor or array of one number is one, too.

    Raises:
        TypeError: it is nothing that can be compared with a number.
        ValueError: it is negative, not a number, or beyond LARGEST_RATE.
    """
    try:
        fits = 0 <= learning_rate <= LARGEST_RATE
    except TypeError:
        raise TypeError(
            f"learning rate: expected a number of 0 or more, got {shown(learning_rate)}"
        ) from None
    if not fits:
        raise ValueError(
            "learning rate: expected a finite number of 0 or more, which float32 holds, "
            f"got {learning_rate}"
        )
    return float(learning_rate)


def instance(owner: str, name: str, value: Any, kind: type) -> Any:
    """The value, of a class or one that inherits from it.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, kind):
        expected = f"{owner}: expected a {kind.__name__} as {name}, got {shown(value)}"
        raise TypeError(expected + _instead(value, kind))
    return value


def _instead(value: Any, kind: type) -> str:
    """What to write instead of a class, a name, or a list of such objects."""
    if isinstance(value, type) and issubclass(value, kind):
        return f"; an object of it is meant: {value.__name__}(…)"
    if isinstance(value, list | tuple) and value and all(isinstance(x, kind) for x in value):
        return "; Sequential([…]) makes one of several" if kind.__name__ == "Layer" else ""
    if isinstance(value, str):
        asked = "".join(filter(str.isalnum, value)).lower()
        for each in _below(kind):
            if asked and each.__name__.lower().removesuffix(kind.__name__.lower()) == asked:
                return f"; an object is meant: {each.__name__}(…)"
    return ""


def _below(kind: type) -> Iterator[type]:
    """The classes that inherit from one."""
    each: type
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def shown(value: Any) -> str:
    """The value for a message, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def bare(text: str) -> str:
    """A name that others wrote, for a message: without quotes, escaped, cut where it is long."""
    return shown(text)[1:-1]
