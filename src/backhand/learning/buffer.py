"""Buffer: what a layer remembers that no rule touches, as running statistics and counts."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from backhand.learning.interrupts import InferenceMode
from backhand.learning.settling import reads_only
from backhand.learning.storage import all_on_their_own, lasting


class Buffer:
    """A tensor that the layer itself changes in backward; no gradient reaches it, no rule.

    Keep it as an attribute of the layer and call `become` or `follow` in `propagate`. Where
    nothing is to change, neither does anything: while gradients are only read (`gradients`,
    `gradient_check`), and while it is frozen.

    Args:
        value: as it is at first, of any dtype; kept, and changed in place.
        keeps_dtype: whether `to` leaves its dtype alone, as statistics need that are kept more
            exactly than the weights; default False. Only floating-point values are converted.
    """

    def __init__(self, value: Shaped[Tensor, "..."], keeps_dtype: bool = False) -> None:
        self.value = lasting(value)
        self.keeps_dtype = keeps_dtype
        self.frozen = False

    def become(self, new: Shaped[Tensor, "..."]) -> None:
        """Value ← new, of the same shape and in the value's own dtype.

        Raises:
            ValueError: the shapes differ.
            TypeError: an integer value cannot hold what is not an integer.
        """
        self._expect(new)
        if new.is_floating_point() and not self.value.is_floating_point():
            raise TypeError(f"{self!r}.become: a value of {self.value.dtype} holds no {new.dtype}")
        if not (self.frozen or reads_only()):
            self.value.copy_(new)

    def follow(self, new: Shaped[Tensor, "..."], share: float) -> None:
        """Value ← (1 - share) · value + share · new: a running mean.

        Raises:
            ValueError: the shapes differ.
            TypeError: the value or the new one is not floating-point.
        """
        self._expect(new)
        if not (self.value.is_floating_point() and new.is_floating_point()):
            raise TypeError(
                f"{self!r}.follow: expected floating-point tensors, "
                f"got {new.dtype} for a value of {self.value.dtype}"
            )
        if not (self.frozen or reads_only()):
            self.value.lerp_(new.to(self.value.dtype), share)

    def tensors(self) -> dict[str, Tensor]:
        """What lasts from one step to the next: the value, under ""."""
        return {"": self.value}

    def to(self, target: torch.dtype | torch.device | str) -> None:
        """Convert the value to a device, or to a dtype where that is for floating-point values."""
        if isinstance(target, torch.dtype) and (
            self.keeps_dtype or not self.value.is_floating_point()
        ):
            return
        with InferenceMode(False):
            self.value = self.value.to(target)

    def _expect(self, new: Tensor) -> None:
        if new.shape != self.value.shape:
            raise ValueError(f"{self!r}: expected a new value of its shape, got {tuple(new.shape)}")

    def __getstate__(self) -> dict[str, Any]:
        return all_on_their_own(vars(self))

    def __repr__(self) -> str:
        return f"Buffer{tuple(self.value.shape)}"
