"""Constructed: layers and losses as they print, by the arguments of their constructors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

LONG = 80
"""Characters; a longer text of an object stands once in a text, however often the object does."""

_so_far: ContextVar[dict[int, str] | None] = ContextVar("_so_far", default=None)
"""The text of each object in the text that is being written."""


_signature = functools.cache(inspect.signature)


def constructor_of(object: Any) -> Mapping[str, inspect.Parameter]:
    """The parameters of the constructor of an object's class, by name."""
    kind: Any = type(object)
    return _signature(kind).parameters


def written(object: Any, arguments: Mapping[str, Any]) -> str:
    """The call of its constructor that makes an object, without arguments that are the default."""
    so_far = _so_far.get()
    if so_far is None:
        token = _so_far.set({})
        try:
            return written(object, arguments)
        finally:
            _so_far.reset(token)
    text = so_far.get(id(object))
    if text is None:
        text = so_far[id(object)] = _call(object, arguments)
    elif len(text) > LONG:
        return f"{type(object).__name__}(as before)"
    return text


def _call(object: Any, arguments: Mapping[str, Any]) -> str:
    parameters = constructor_of(object)
    words = []
    for name, value in arguments.items():
        default = parameters[name].default
        if default is inspect.Parameter.empty:
            words.append(repr(value))
        elif value != default:
            words.append(f"{name}={value!r}")
    return f"{type(object).__name__}({', '.join(words)})"
