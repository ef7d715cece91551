"""Given: numbers as people have them (arrays, lists, data frames), made into tensors.

Every door that takes a tensor from a user takes these by one of two methods, `Layer.as_input` and
`Loss.as_target`, which know the dtypes that are wanted; what goes on from there is tensors alone.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

Given: TypeAlias = Any
"""A tensor, or numbers in an array, a (nested) list or a data frame; a tuple holds several."""

NUMBERS = "numbers (a tensor, an array, a list, a data frame)"

REFUSALS = (ValueError, TypeError, RuntimeError, IndexError)
"""What a layer, a loss, or a torch call in them, raises for what does not fit."""

WHOLE_AS_INPUT = "float int"
WHOLE_AS_TARGET = "int float"
"""What whole numbers are tried as: tokens are refused as floats, classes are taken as they are."""

KINDS = {"U": "strings", "S": "bytes", "M": "dates", "m": "times", "c": "complex numbers"}


class NotNumbers(TypeError):
    """Something is neither a dense tensor nor numbers; the message says what it is."""


def are_tensors(given: Given) -> bool:
    """Whether there is nothing to be made into a tensor."""
    if isinstance(given, tuple):
        return all(isinstance(each, Tensor) or are_tensors(each) for each in given)
    return isinstance(given, Tensor)


def from_numbers(given: Given) -> Any:
    """The same numbers as tensors of their own memory: float16 to float64, int64, or bool.

    What is a dense tensor stays as it is; of a tuple, each part.

    Raises:
        NotNumbers: says what is none, and where.
    """
    if isinstance(given, tuple):
        return tuple(_part(i, each) for i, each in enumerate(given))
    if isinstance(given, Tensor):
        if given.layout is not torch.strided:
            raise NotNumbers(f"a tensor of {given.layout}")
        return given
    return _tensor(_array(given))


def in_dtypes(
    given: Given,
    floats: torch.dtype,
    takes: Callable[[Any], bool],
    whole_as: str,
    known: MutableMapping[Any, Any] | None = None,
) -> Any:
    """Numbers as tensors of the dtypes that are wanted; tensors are left alone.

    Floats become `floats`. Whole numbers and truth values are tried on one row.

    Args:
        floats: the dtype of floats.
        takes: whether what they are for takes this row (or these tuples of rows).
        whole_as: in which order whole numbers are tried.
        known: what was found before, by the dtypes and shapes given.

    Raises:
        NotNumbers: see from_numbers.
    """
    value = from_numbers(given)
    if isinstance(value, Tensor):
        parts, foreign = [value], [not isinstance(given, Tensor)]
    else:
        parts, foreign = list(value), [not isinstance(each, Tensor) for each in given]
    if not any(foreign):
        return value
    choices = [
        _choices(part, floats, whole_as) if other else [part.dtype]
        for part, other in zip(parts, foreign, strict=True)
    ]
    key = (whole_as, floats, *((each.dtype, each.shape[1:]) for each in parts))
    dtypes = None if known is None else known.get(key)
    if dtypes is None:
        dtypes = _tried(parts, choices, takes, isinstance(value, tuple))
        if known is not None:
            known[key] = dtypes
    made = [part.to(dtype) for part, dtype in zip(parts, dtypes, strict=True)]
    return tuple(made) if isinstance(value, tuple) else made[0]


def _choices(part: Tensor, floats: torch.dtype, whole_as: str) -> list[torch.dtype]:
    if part.is_floating_point():
        return [floats]
    kinds = {"float": floats, "int": torch.int64}
    found = [kinds[kind] for kind in whole_as.split()]
    return [torch.bool, *found] if part.dtype is torch.bool else found  # perhaps a mask


def _tried(
    parts: Sequence[Tensor],
    choices: Sequence[Sequence[torch.dtype]],
    takes: Callable[[Any], bool],
    several: bool,
) -> Sequence[torch.dtype]:
    """The first dtypes in which one row is taken; the first of all where none is."""
    first = [each[0] for each in choices]
    if all(len(each) == 1 for each in choices):
        return first
    rows = [part[:1] if part.dim() else part for part in parts]
    for sample in (rows, [torch.zeros_like(row) for row in rows]):  # tokens may be out of range
        for dtypes in itertools.product(*choices):
            made = [row.to(dtype) for row, dtype in zip(sample, dtypes, strict=True)]
            if takes(tuple(made) if several else made[0]):
                return dtypes
    return first


def _part(at: int, given: Given) -> Tensor:
    if isinstance(given, tuple):
        raise NotNumbers(f"a tuple at {at} of a tuple")
    try:
        found: Tensor = from_numbers(given)
    except NotNumbers as problem:
        raise NotNumbers(f"{problem} at {at} of a tuple") from None
    return found


def _tensor(array: np.ndarray) -> Tensor:
    kind, dtype = array.dtype.kind, array.dtype
    if kind == "O":
        array = _of_objects(array)
    elif kind == "u" and array.size and int(array.max()) > torch.iinfo(torch.int64).max:
        raise NotNumbers(f"the whole number {int(array.max())}, which int64 does not hold")
    elif kind not in "biuf":
        example = f", {array.flat[0]!s:.40} first" if array.size and kind in KINDS else ""
        raise NotNumbers(f"an array of {KINDS.get(kind, str(dtype))}{example}")
    return torch.from_numpy(np.array(array, dtype=_kept(array.dtype), order="C"))


def _kept(dtype: np.dtype[Any]) -> Any:
    """The dtype of an array that torch takes."""
    if dtype.kind == "f":
        return dtype.newbyteorder("=") if dtype.itemsize <= 8 else np.float64
    return np.bool_ if dtype.kind == "b" else np.int64


def _array(given: Given) -> np.ndarray:
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        return np.asarray(np.ma.filled(given.astype(np.float64), np.nan))
    if isinstance(given, np.ndarray):
        return given
    if isinstance(given, list | range):
        return _of_list(given)
    if hasattr(given, "to_numpy") and hasattr(given, "columns"):
        return _of_frame(given)
    if hasattr(given, "to_numpy"):
        return _of_column(given, f"a {type(given).__name__} that")
    if hasattr(given, "__array__") and not isinstance(given, np.generic):
        return np.asarray(given)
    raise NotNumbers("None" if given is None else f"a {type(given).__name__}")


def _of_list(given: Sequence[Any]) -> np.ndarray:
    if any(isinstance(each, Tensor) for each in given):
        raise NotNumbers("a list of tensors (torch.stack makes one of them)")
    try:
        array = np.asarray(given)
    except (ValueError, OverflowError):
        raise NotNumbers(_ragged(given)) from None
    if array.dtype.kind in "US":  # which NumPy makes of numbers, too, beside one string
        array = np.asarray(given, dtype=object)
    return array


def _ragged(rows: Sequence[Any]) -> str:
    lengths = [len(row) if hasattr(row, "__len__") else None for row in rows]
    for i, length in enumerate(lengths):
        if length != lengths[0]:
            shown = ["a number" if each is None else str(each) for each in (lengths[0], length)]
            return f"a list whose rows differ in length: row 0 has {shown[0]}, row {i} {shown[1]}"
    return "a list whose rows differ in shape"


def _of_frame(frame: Any) -> np.ndarray:
    whole = frame.to_numpy()
    if whole.dtype.kind in "biuf":
        return np.asarray(whole)
    columns = []
    for i, name in enumerate(frame.columns):
        column = frame.iloc[:, i] if hasattr(frame, "iloc") else frame[:, i]
        columns.append(_of_column(column, f"a {type(frame).__name__} whose column {name!r}"))
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def _of_column(column: Any, where: str) -> np.ndarray:
    """A column's numbers; gaps are NaN."""
    kind = getattr(column.dtype, "kind", None) if hasattr(column, "dtype") else None
    if kind in ("b", "i", "u", "f") and getattr(column, "hasnans", False):
        array = column.to_numpy(dtype=np.float64, na_value=math.nan)
    else:
        array = column.to_numpy()
    if array.dtype.kind == "O":
        return _of_objects(array, where)
    if array.dtype.kind not in "biuf":
        raise NotNumbers(f"{where} holds {KINDS.get(array.dtype.kind, str(array.dtype))}")
    return np.asarray(array)


def _of_objects(array: np.ndarray, where: str = "an array or list that") -> np.ndarray:
    """Python's own numbers: as whole numbers or truth values where all are, else as floats."""
    for index, each in np.ndenumerate(array):
        if not _is_number(each):
            at = f"row {index[0]}" if len(index) == 1 else f"at {list(index)}"
            raise NotNumbers(f"{where} holds {each!r:.40} ({at})" if index else f"{each!r:.40}")
    flat: Iterable[Any] = array.flat
    whole = all(isinstance(each, numbers.Integral) for each in flat)
    try:
        return array.astype(np.int64 if whole and array.size else np.float64)
    except OverflowError:
        raise NotNumbers(f"{where} holds a whole number that int64 does not hold") from None


def _is_number(each: Any) -> bool:
    if isinstance(each, numbers.Real):
        return True
    return isinstance(each, numbers.Number) and not isinstance(each, complex | np.complexfloating)
