"""Stand-ins: what a recording writes to in place of weights and states that were there before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

LARGE = 1 << 20
"""Bytes from which a tensor gets no stand-in to be written to."""


class StandIns:
    """For one call: tensors of the same geometry in place of those that were there before.

    Attributes:
        too_large: whether the first of them would take much memory.
    """

    def __init__(
        self, outside: Mapping[int, Tensor], lookup: Callable[[Tensor], int | None]
    ) -> None:
        self._outside = outside
        self._lookup = lookup
        self._storages: dict[int, Tensor] = {}
        self._originals: dict[int, Tensor] = {}
        self.too_large = False

    def of(self, tensor: Tensor) -> Tensor:
        """The tensor itself, where the step made it; else its stand-in."""
        number = self._lookup(tensor)
        if number is None or number not in self._outside:
            return tensor
        if tensor.untyped_storage().nbytes() > LARGE:
            self.too_large = True
            return tensor
        if number not in self._storages:
            size = tensor.untyped_storage().nbytes() // tensor.element_size()
            self._storages[number] = torch.zeros(size, dtype=tensor.dtype, device=tensor.device)
        stand_in = self._storages[number].as_strided(
            tensor.shape, tensor.stride(), tensor.storage_offset()
        )
        self._originals[id(stand_in)] = tensor
        return stand_in

    def back(self, value: Any) -> Any:
        """The original, where a call returned a stand-in it was given."""
        return self._originals.get(id(value), value)
