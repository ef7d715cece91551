"""Building what a file names, but nothing larger than its tensors account for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from backhand.tensor_file import Malformed

TIMES = 4
"""How many times the file's elements a network's constructors may make: an initializer may need
matrices beside the weight, a layer constants that it does not learn."""

ALWAYS = 1 << 22
"""Elements that they may make whatever the file holds."""

ALWAYS_CALLS = 1000
"""Tensors, likewise: a layer may make many of an element each."""

FACTORIES = frozenset(
    "arange empty empty_permuted empty_strided eye full linspace logspace ones rand randint randn "
    "randperm range tril_indices triu_indices zeros "
    "new_empty new_empty_strided new_full new_ones new_zeros".split()
)
"""Torch's functions that make a tensor of any size out of a few numbers."""


class Covered(TorchFunctionMode):
    """While it is entered, tensors are counted before they are made.

    Args:
        tensors: those of the file.

    Raises:
        Malformed: (when one is asked for) it would be more than they account for.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        held = [tensor.numel() for tensor in tensors]
        self._held = sum(held)
        self._left: float = TIMES * self._held + ALWAYS
        self._calls = TIMES * len(held) + ALWAYS_CALLS

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func.__name__ in FACTORIES:
            self._left -= elements(func.__name__, args, kwargs or {})
            self._calls -= 1
            if self._left < 0 or self._calls < 0:
                raise Malformed(
                    f"its layers ask for more memory than its {self._held} numbers account for"
                )
        return func(*args, **kwargs) if kwargs else func(*args)


def elements(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    """How many elements a factory makes, or more: the product of the numbers it is given."""
    given = (*args, *kwargs.values()) if kwargs else args
    for each in given:
        if isinstance(each, tuple | list):
            given = tuple(each)
            break
    sizes = [each for each in given if isinstance(each, int | float) and each > 1]
    count = math.prod(sizes)
    return count**2 if name == "eye" and len(sizes) == 1 else count
