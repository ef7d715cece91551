"""Windows: what convolution and pooling have in common, sizes and steps along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from backhand.arguments import shown, whole
from backhand.layer import Layer, LayerError

Size: TypeAlias = int | Sequence[int]
"""One number for all axes, or one for each."""


def sizes(layer: Layer, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """A size along each axis.

    Raises:
        TypeError: a size is no whole number.
        ValueError: one is less than `least`, or there are not as many as axes.
    """
    owner = type(layer).__name__
    numbers = value if isinstance(value, tuple | list) else (value,) * axes
    if len(numbers) != axes:
        raise ValueError(
            f"{owner}: expected {name} as one number or one for each of {axes} axes, "
            f"got {shown(value)}"
        )
    return tuple(whole(owner, name, number, least) for number in numbers)


def written(numbers: tuple[Any, ...]) -> Any:
    """Sizes as a person would write them: one number, or None, where all are equal."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def images(layer: Layer, input: Tensor, axes: int, channels: int | None = None) -> Tensor:
    """The input with all its batch axes in one: (batch, channels, …), a view where it can be one.

    Raises:
        LayerError: there are too few axes, or another number of channels.
    """
    layer.expect_tensor(input)
    names = {1: "channels, length", 2: "channels, height, width"}[axes]
    if input.dim() < axes + 1 or (channels is not None and input.shape[-axes - 1] != channels):
        expected = names if channels is None else names.replace("channels", str(channels), 1)
        raise LayerError(f"{layer!r} expected input (batch, {expected}), got {tuple(input.shape)}")
    if input.dim() == axes + 2:
        return input
    shape = input.shape[-axes - 1 :]
    rows = 1
    for length in input.shape[: -axes - 1]:
        rows *= length
    return input.reshape(rows, *shape)


def like(output: Tensor, input: Tensor, axes: int) -> Tensor:
    """The output under the batch axes that the input has."""
    if input.dim() == axes + 2:
        return output
    return output.reshape(*input.shape[: -axes - 1], *output.shape[1:])


def positions(
    layer: Layer, length: int, window: int, stride: int, padding: int, ceil_mode: bool
) -> int:
    """How many windows of pooling there are along an axis.

    Raises:
        LayerError: the axis is shorter than a window, or empty.
    """
    free = length + 2 * padding - window
    count = (-(-free // stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (count - 1) * stride >= length + padding:
        count -= 1
    if count < 1 or length < 1:
        least = max(1, window - 2 * padding)
        raise LayerError(f"{layer!r} expected at least {least} along each axis, got {length}")
    return count


def padded(images: Tensor, before: tuple[int, ...], after: tuple[int, ...]) -> Tensor:
    """Zeros before and after along each of the last axes; the same tensor where there are none."""
    if not any(before) and not any(after):
        return images
    widths = [
        width for pair in zip(reversed(before), reversed(after), strict=True) for width in pair
    ]
    return torch.constant_pad_nd(images, widths)


def cut(images: Tensor, before: tuple[int, ...], lengths: Sequence[int]) -> Tensor:
    """What is left without the padding: the transpose of `padded`."""
    first = images.dim() - len(before)
    for axis, (start, length) in enumerate(zip(before, lengths, strict=True), start=first):
        if images.shape[axis] != length:
            images = images.narrow(axis, start, length)
    return images
