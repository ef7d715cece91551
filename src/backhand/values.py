"""Values: what goes into a layer and comes out, one tensor or a tuple of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from backhand.given import NotNumbers, from_numbers
from backhand.learning.parameter import ALIGNMENT

Value: TypeAlias = Tensor | tuple[Tensor, ...]
Shape: TypeAlias = tuple[Any, ...]


def tensors(value: Value) -> list[Tensor]:
    """The tensors of a value."""
    return [value] if isinstance(value, Tensor) else list(value)


def together(tensors: Sequence[Tensor]) -> Any:
    """The value of these tensors: one alone, several as a tuple."""
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


def rows_of(value: Value, rows: Any) -> Any:
    """The same rows of every tensor, by a slice or by numbers."""
    return value[rows] if isinstance(value, Tensor) else tuple(each[rows] for each in value)


def row_count(value: Value) -> int:
    """How many rows a value has: those of its first tensor."""
    return len(value) if isinstance(value, Tensor) else len(value[0])


def outputs_of(prediction: Value) -> int:
    """The length of a prediction's last axis; of its first tensor's, where it is a tuple."""
    first = prediction if isinstance(prediction, Tensor) else prediction[0]
    return first.shape[-1] if first.dim() else 1


def shape_of(value: Value) -> Shape:
    """The shape of a tensor; of a tuple, a tuple of shapes."""
    if isinstance(value, tuple):
        return tuple(shape_of(each) for each in value)
    return value.shape


def dtype_of(value: Value) -> Any:
    """The dtype of a tensor; of a tuple, a tuple of dtypes."""
    if isinstance(value, tuple):
        return tuple(dtype_of(each) for each in value)
    return value.dtype


def plain_shape(shape: Shape) -> Shape:
    """The shape as it should print."""
    return tuple(plain_shape(each) if isinstance(each, tuple) else each for each in shape)


def misfit(value: Any) -> str | None:
    """What in a value is no dense tensor, for a message; None where all of it is."""
    if isinstance(value, tuple):
        found = ((i, misfit(each)) for i, each in enumerate(value))
        return next((f"{wrong} at {i} of a tuple" for i, wrong in found if wrong), None)
    if not isinstance(value, Tensor):
        try:
            from_numbers(value)
        except NotNumbers as problem:
            return str(problem)
        return f"a {type(value).__name__}"
    return None if value.layout is torch.strided else f"a tensor of {value.layout}"


def settled(value: Value) -> Any:
    """The same values without autograd's history, contiguous and aligned."""
    if isinstance(value, tuple):
        return tuple(settled(each) for each in value)
    return aligned(value).detach()


def aligned_all(value: Value) -> Any:
    """Every tensor as `aligned` gives it."""
    return aligned(value) if isinstance(value, Tensor) else tuple(map(aligned, value))


def ordinary(value: Any) -> Any:
    """The same values in tensors that may be edited anywhere, not only in inference mode."""
    if isinstance(value, tuple):
        return tuple(ordinary(each) for each in value)
    if isinstance(value, Tensor) and value.is_inference() and not torch.is_inference_mode_enabled():
        return value.clone()
    return value


def aligned(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of it where it is not contiguous or its address is not aligned.

    A matrix product may round differently for another address or other strides; so a step
    depends on its values only.
    """
    tensor = tensor.resolve_neg()  # an engine reads the memory, not the sign beside it
    if tensor.data_ptr() % ALIGNMENT or not tensor.is_contiguous():
        return tensor.clone(memory_format=torch.contiguous_format)
    return tensor
