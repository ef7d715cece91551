"""Matrix products by oneDNN, which PyTorch's `mm` leaves to another library in float32."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_WORK = 1 << 20
"""Multiplications from which it is the faster, its call being the slower."""


@torch.library.custom_op("backhand::product", mutates_args=())
def product(left: Tensor, right: Tensor) -> Tensor:
    """The product left @ right of matrices (n, k) and (k, m) of any strides."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return found


@product.register_fake
def _(left: Tensor, right: Tensor) -> Tensor:
    return left.new_empty(left.shape[0], right.shape[1])


def worthwhile(left: tuple[int, ...], right: tuple[int, ...], dtype: torch.dtype) -> bool:
    """Whether a product of matrices of these shapes is for oneDNN."""
    large = left[0] * left[1] * right[1] >= LEAST_WORK
    there = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return large and dtype is torch.float32 and there
