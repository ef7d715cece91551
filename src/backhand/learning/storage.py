"""Storage: which tensors lie in memory of their own, which share it, and which may stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from backhand.learning.interrupts import InferenceMode


def on_its_own(tensor: Tensor) -> Tensor:
    """The tensor; copied, where it is a part of a larger storage."""
    if tensor.untyped_storage().nbytes() > tensor.nbytes:
        return tensor.detach().clone()
    return tensor


def all_on_their_own(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The same attributes or states, every tensor on its own; to be copied or pickled.

    A pickle of a part of a storage holds all of it, and once for every part.
    """
    return {
        name: on_its_own(each) if isinstance(each, Tensor) else each
        for name, each in tensors.items()
    }


def lasting(tensor: Tensor) -> Tensor:
    """The tensor without autograd's history; copied, where it was made in inference mode.

    Such a one could be changed in inference mode only, and keeps no count of its changes. Copied,
    too, where its memory holds the negative of it.
    """
    if tensor.is_inference():
        with InferenceMode(False):
            return tensor.clone()
    return tensor.detach().resolve_neg()
