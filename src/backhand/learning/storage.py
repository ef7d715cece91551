"""Storage: which tensors lie in memory of their own, which share it, and which may stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from backhand.arguments import shown
from backhand.learning.interrupts import InferenceMode


def on_its_own(tensor: Tensor) -> Tensor:
    """The tensor; copied, where it is a part of a larger storage."""
    if tensor.untyped_storage().nbytes() > tensor.nbytes:
        return tensor.detach().clone()
    return tensor


def checked_target(owner: str, target: Any) -> torch.dtype | torch.device:
    """What to convert weights to: a dtype of floats, or a device.

    Raises:
        TypeError: it is something else; a dtype of whole numbers would cut the weights off.
    """
    if isinstance(target, torch.dtype) and target.is_floating_point:
        return target
    try:
        return torch.device(target)
    except (RuntimeError, TypeError, ValueError):
        raise TypeError(
            f"{owner}.to: expected a floating-point dtype (as torch.float64) or a device, "
            f"got {shown(target)}"
        ) from None


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
