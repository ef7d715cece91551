"""Values of a check: the tensors in them, copies, and whether two agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors that a layer was given: those of a value or a memory, as they are by now."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    if not isinstance(value, tuple | list):
        return []
    return [each for part in value for each in tensors_in(part)]


def copied(value: Any) -> Any:
    """The same, its tensors copied."""
    if isinstance(value, Tensor):
        return value.clone()
    return tuple(map(copied, value)) if isinstance(value, tuple) else value


def flat(value: Any) -> list[Any]:
    """The tensors of a value, and what stands for one, in order."""
    if isinstance(value, tuple):
        return [each for part in value for each in flat(part)]
    return [value]


def same(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two values agree, element by element, relative to the largest of each tensor."""
    ones, others = flat(one), flat(other)
    return len(ones) == len(others) and all(map(_close(tolerance), ones, others))


def _close(tolerance: float) -> Callable[[Any, Any], bool]:
    def close(one: Any, other: Any) -> bool:
        if not isinstance(one, Tensor) or not isinstance(other, Tensor):
            return bool(one is other or one == other)
        if one.shape != other.shape or one.dtype is not other.dtype:
            return False
        if torch.equal(one, other) or one.numel() == 0:
            return True
        if not one.is_floating_point():
            return False
        bound = tolerance * float(one.abs().max())
        return bool(torch.isclose(one, other, rtol=0.0, atol=bound, equal_nan=True).all())

    return close
