"""Remembered: a copy of all that hangs on an object, and what of it has changed since."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy
from torch import Tensor

from backhand.checks.mismatch import GradientMismatch
from backhand.checks.values import same
from backhand.layer import Layer
from backhand.learning.buffer import Buffer
from backhand.learning.parameter import Parameter

_FOREIGN = frozenset({"builtins", "numpy", "torch"})
"""Whose objects are compared as a whole, by == or identity."""


def remembered(subject: Any) -> dict[str, Any]:
    """A copy of every attribute of an object and of what hangs there, by path.

    All but what a class declares as `passing`: what goes from call to call. Of a parameter or
    buffer, its tensors; of another object, what it holds, however deep in lists and dicts.
    """
    found: dict[str, Any] = {}
    seen: dict[int, Any] = {}  # the objects, too: an id is another's once they are gone
    ahead: deque[tuple[str, Any]] = deque()
    if isinstance(subject, Layer):
        found.update({path: each.clone() for path, each in subject.lasting_tensors().items()})
        ahead.extend(subject.layers_by_path())  # first, so that each has its own path
    else:
        ahead.append(("", subject))
    seen.update({id(each): each for _, each in ahead})
    for path, each in list(ahead):
        ahead.extend(_attributes(path, each))
    while ahead:
        path, value = ahead.popleft()
        if id(value) in seen:
            continue
        inside = list(_inside(path, value))
        if inside or isinstance(value, dict | list | tuple | deque):
            seen[id(value)] = value
            found[f"{path} as a whole"] = type(value), len(inside)
            ahead.extend(inside)
        else:
            found[path] = _copied(value)
    return found


def expect_unchanged(what: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Refuse a change of anything that is remembered, and anything remembered anew.

    Raises:
        GradientMismatch: names the first of them.
    """
    nothing = object()
    for path in [*before, *(path for path in after if path not in before)]:
        if not same(before.get(path, nothing), after.get(path, nothing), 0.0):
            raise GradientMismatch(
                f"{what} changed {path.removesuffix(' as a whole')}; what propagate needs of a "
                "call is the memory that forward returns; weights change by their learn…, "
                "everything else that a layer remembers is a Buffer, and changes in propagate by "
                "become or follow"
            )


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds, by path; nothing, where it is compared as a whole."""
    if isinstance(value, dict):
        yield from ((f"{path}[{key!r}]", each) for key, each in value.items())
    elif isinstance(value, list | tuple | deque):
        yield from ((f"{path}[{i}]", each) for i, each in enumerate(value))
    elif isinstance(value, Parameter | Buffer):
        yield from ((f"{path}.{name}", each) for name, each in value.tensors().items())
    elif not isinstance(value, Tensor | type) and not _is_foreign(value):
        yield from _attributes(path, value)


def _is_foreign(value: Any) -> bool:
    """Whether a value is of Python's, NumPy's or torch's own making."""
    return type(value).__module__.partition(".")[0] in _FOREIGN


def _attributes(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    kinds = type(value).__mro__
    passing = frozenset[str]().union(*(vars(kind).get("passing", ()) for kind in kinds))
    for name, each in getattr(value, "__dict__", {}).items():
        if name not in passing:
            yield f"{path}.{name}".lstrip("."), each


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, numpy.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, set | bytearray):
        return type(value)(value)
    return value
