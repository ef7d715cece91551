"""Sums over windows along one axis, and their transpose.

Each sum adds the elements of its own window and no others: an infinity or NaN stays in the windows
that hold it, which a product with a matrix of zeros and ones would spread everywhere (0 · ∞ is
NaN). Time and memory grow with the windows alone. Along two axes, one goes after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Run: TypeAlias = tuple[int, int]
"""How many windows stand side by side whose sum has one divisor, and the divisor."""


@dataclass(frozen=True)
class Windows:
    """Windows along an axis, each on its own: where it begins and ends. One call for each."""

    length: int
    spans: Sequence[tuple[int, int]]
    runs: Sequence[Run]

    def sums(self, input: Tensor, axis: int) -> Tensor:
        """output[…, p, …] = the sum of window p along the axis (counted from the end), all new."""
        sums = [input.narrow(axis, begin, end - begin).sum(axis, True) for begin, end in self.spans]
        return torch.cat(sums, axis)

    def spread(self, error: Tensor, axis: int) -> Tensor:
        """The transpose of sums: input_error[…, i, …] = the sum of error over i's windows."""
        input_error = error.new_zeros(_along(error, axis, self.length))
        for position, (begin, end) in enumerate(self.spans):
            place = input_error.narrow(axis, begin, end - begin)
            place.add_(error.narrow(axis, position, 1))
        return input_error


@dataclass(frozen=True)
class SteppedWindows:
    """Windows along an axis: element k of window p is p·stride + k - padding. A call for each k."""

    length: int
    kernel: int
    stride: int
    padding: int
    positions: int
    runs: Sequence[Run]

    def _elements(self) -> list[tuple[int, int, int]]:
        """For each k: the first window whose element k lies in the input, how many, and where.

        Those that lie in the most windows come first.
        """
        found = []
        for k in range(self.kernel):
            first = max(0, -((k - self.padding) // self.stride))
            last = min(self.positions - 1, (self.length - 1 + self.padding - k) // self.stride)
            if first <= last:
                found.append((first, last - first + 1, first * self.stride + k - self.padding))
        return sorted(found, key=lambda element: -element[1])

    def sums(self, input: Tensor, axis: int) -> Tensor:
        """As Windows.sums."""
        wholes, rest = [], []
        for first, count, begin in self._elements():
            part = _every(input, axis, begin, count, self.stride)
            if count == self.positions:
                wholes.append(part)
            else:
                rest.append((first, count, part))
        if len(wholes) > 1:
            total = wholes[0] + wholes[1]
        elif wholes:
            total = wholes[0].clone(memory_format=torch.contiguous_format)
        else:
            total = input.new_zeros(_along(input, axis, self.positions))
        for part in wholes[2:]:
            total.add_(part)
        for first, count, part in rest:
            total.narrow(axis, first, count).add_(part)
        return total

    def spread(self, error: Tensor, axis: int) -> Tensor:
        """As Windows.spread."""
        # What meets every stride-th place of the input is written where others are added.
        begun: set[int] = set()
        writes = []
        for element in self._elements():
            _, count, begin = element
            covers = begin < self.stride and begin + count * self.stride >= self.length
            writes.append((*element, covers and begin not in begun))
            begun.update([begin] if covers else [])
        make = error.new_empty if len(begun) == self.stride else error.new_zeros
        input_error = make(_along(error, axis, self.length))
        for first, count, begin, is_first in writes:
            place = _every(input_error, axis, begin, count, self.stride)
            part = error.narrow(axis, first, count)
            if is_first:
                place.copy_(part)
            else:
                place.add_(part)
        return input_error


def regular_windows(
    length: int, kernel: int, stride: int, padding: int, positions: int, count_include_pad: bool
) -> Windows | SteppedWindows:
    """The windows of a pooling along an axis, in the way that takes fewer calls.

    Args:
        count_include_pad: whether a sum is divided by what lies in the padding, too.
    """
    before = min(positions, -(-padding // stride))  # windows that begin in the padding
    inside = min(positions, (length + padding - kernel) // stride + 1)  # that end in the input
    middle = max(before, inside)
    edges = padding if count_include_pad else 0
    begins = [position * stride - padding for position in range(positions)]
    divisors = [min(b + kernel, length + edges) - max(b, -edges) for b in begins]
    runs = [
        *((1, divisor) for divisor in divisors[:before]),
        *([(middle - before, kernel)] if middle > before else []),
        *((1, divisor) for divisor in divisors[middle:]),
    ]
    if positions >= kernel:
        return SteppedWindows(length, kernel, stride, padding, positions, runs)
    return Windows(length, [(max(b, 0), min(b + kernel, length)) for b in begins], runs)


def adaptive_windows(length: int, positions: int) -> Windows | SteppedWindows:
    """Windows as equal as can be that cover the axis, of whatever length."""
    if length % positions == 0:
        size = length // positions
        return regular_windows(length, size, size, 0, positions, True)
    spans = [(p * length // positions, -(-(p + 1) * length // positions)) for p in range(positions)]
    return Windows(length, spans, [(1, end - begin) for begin, end in spans])


def divided(sums: Tensor, runs: Sequence[Sequence[Run]]) -> Tensor:
    """The sums by their divisors along each of the last axes: a new tensor."""
    divisors = [{divisor for _, divisor in along} for along in runs]
    common = 1
    for found in divisors:
        common *= next(iter(found)) if len(found) == 1 else 1
    means = sums / common
    for axis, along in enumerate(runs, start=-len(runs)):
        begin = 0
        for count, divisor in along if len(divisors[axis]) > 1 else ():
            means.narrow(axis, begin, count).div_(divisor)
            begin += count
    return means


def _every(tensor: Tensor, axis: int, begin: int, count: int, step: int) -> Tensor:
    """A view of `count` places along the axis, `step` apart."""
    index = [slice(None)] * tensor.dim()
    index[axis] = slice(begin, begin + (count - 1) * step + 1, step)
    return tensor[tuple(index)]


def _along(tensor: Tensor, axis: int, length: int) -> list[int]:
    shape = list(tensor.shape)
    shape[axis] = length
    return shape
