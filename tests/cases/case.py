"""Case: one layer as the contract tests take it, whatever its inputs are.

A new layer is one row, `Case(…)` or `over_features(…)`, in a file of this folder; `__init__`
gathers them. A layer over images, tokens, several tensors or states differs by its `input` alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

import backhand as bh
from backhand import Layer

Input = Callable[[int, torch.dtype], Any]
"""Makes an input of so many rows, its floats of that dtype; draws from torch's generator."""


@dataclass(frozen=True, eq=False)
class Case:
    """A layer and what it is given.

    Args:
        name: of the test; begins with the class's name.
        layer: makes it, of small sizes.
        input: makes an input for it (see `floats`, `integers`, `several`, and `Input`).
        variants: draws other cases of the same layer: other shapes and options, and inputs that
            may have more leading axes; default this case alone. `batch` is drawn beside it.
        twin: makes the torch.nn module of the same meaning from the layer; tests give it the
            layer's weights and compare outputs, input errors and gradients.
        twin_names: names of parameters (and buffers) that are others there: {ours: theirs}.
        tolerance: of everything that is compared with autograd in float64, relative.
        only: the one dtype that it computes in; it is never converted then.
        derivative: whether its floating inputs have one; else its input error is None.
        smallest: rows that it needs in training; a batch of fewer is an error of its own.
        draws: whether it draws in training, so that only Replay repeats the plain step's numbers.
        of_width: makes it for inputs (…, width); drawn networks have it inside.
        long: whether its C takes many seconds to compile; then that is left to `make soak`.
    """

    name: str
    layer: Callable[[], Layer]
    input: Input
    variants: st.SearchStrategy[Case] | None = None
    twin: Callable[[Any], torch.nn.Module] | None = None
    twin_names: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-10
    only: torch.dtype | None = None
    derivative: bool = True
    smallest: int = 0
    draws: bool = False
    long: bool = False
    of_width: Callable[[int], Layer] | None = None

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    @property
    def dtype(self) -> torch.dtype:
        """The most exact dtype that it is tested in."""
        return self.only or torch.float64

    @property
    def drawn(self) -> st.SearchStrategy[Case]:
        """This layer in drawn shapes and options."""
        return st.just(self) if self.variants is None else self.variants

    def made(self, dtype: torch.dtype | None = None, seed: int = 1) -> Layer:
        """The layer, of the dtype where it takes any, no weight at a special value such as 0."""
        torch.manual_seed(seed)
        layer = self.layer()
        if self.only is None:
            layer.to(dtype or self.dtype)
        for parameter in layer.parameters().values():
            parameter.value.add_(torch.randn_like(parameter.value) * 0.1)
        return layer

    def given(self, batch: int, dtype: torch.dtype | None = None) -> Any:
        """An input of so many rows."""
        return self.input(batch, self.only or dtype or self.dtype)

    def in_network(self, dtype: torch.dtype | None = None) -> bh.Sequential:
        """The layer in a network that ends in two features, with weights below and above it.

        Weights below need its input error; where it has none they are left out.
        """
        dtype = self.only or dtype or self.dtype
        layer, input = self.made(dtype), self.given(2, dtype)
        below = [_below(input)] if self.derivative and _below(input) is not None else []
        output = layer.predict(input)
        above: list[Layer] = [] if isinstance(output, Tensor) else [Joined()]
        width = bh.Sequential([layer, *above]).predict(input).shape[-1]
        network = bh.Sequential([*below, layer, *above, bh.FullyConnected(width, 2)])
        for each in [*below, *network.layers[-1:]]:
            each.to(dtype)
        return network


# Inputs.


def floats(*shape: int, batched: bool = True) -> Input:
    """Normal numbers (batch, *shape); without the batch axis where not `batched`."""
    return lambda batch, dtype: torch.randn(*([batch] if batched else []), *shape, dtype=dtype)


def integers(below: int, *shape: int) -> Input:
    """Tokens (batch, *shape), from 0 up to `below`, which no token reaches."""
    return lambda batch, dtype: torch.randint(0, below, (batch, *shape))


def several(*inputs: Input) -> Input:
    """A tuple of inputs."""
    return lambda batch, dtype: tuple(each(batch, dtype) for each in inputs)


def over_features(name: str, make: Callable[[int], Layer], **rest: Any) -> Case:
    """A layer over the last axis of its input, of any width, under any leading axes or none.

    Args:
        make: the layer for a width.
        rest: as for Case.
    """

    def variant(width: int, between: list[int], batched: bool) -> Case:
        input = floats(*between, width) if batched else floats(width, batched=False)
        shape = ["batch", *between, width] if batched else [width]
        return Case(f"{name}, input {shape}", lambda: make(width), input, **rest)

    rest["of_width"] = make
    widths, between = st.integers(1, 4), st.lists(st.integers(0, 4), max_size=2)
    variants = st.builds(variant, widths, between, st.integers(0, 9).map(bool))
    return Case(name, lambda: make(3), floats(3), variants=variants, **rest)


# What goes in and out, one tensor or a tuple of them.


def flat(value: Any) -> list[Any]:
    """The tensors of a value, of tuples in tuples too; None where there is none."""
    if isinstance(value, tuple):
        return [tensor for each in value for tensor in flat(each)]
    return [value]


def mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """The value with the function applied to every tensor."""
    if isinstance(value, tuple):
        return tuple(mapped(function, each) for each in value)
    return function(value)


def strided(value: Any) -> Any:
    """The same numbers, not contiguous."""

    def apart(tensor: Tensor) -> Tensor:
        if tensor.dim() == 0:
            return tensor.clone()
        wide = torch.empty(*tensor.shape[:-1], 2 * tensor.shape[-1], dtype=tensor.dtype)
        wide[..., ::2] = tensor
        return wide[..., ::2]

    return mapped(apart, value)


def misaligned(value: Any) -> Any:
    """The same numbers at addresses that no allocation begins at."""

    def shifted(tensor: Tensor) -> Tensor:
        room = torch.empty(tensor.numel() + 1, dtype=tensor.dtype)
        return room[1:].view(tensor.shape).copy_(tensor)

    return mapped(shifted, value)


def copied(value: Any) -> Any:
    """The same numbers, to compare with later."""
    return mapped(Tensor.clone, value)


def same(one: Any, other: Any) -> bool:
    """Whether two values have the same bits (NaN equals NaN), dtypes and shapes."""
    pairs = zip(flat(one), flat(other), strict=True)
    return all(a is b or _same_bits(a, b) for a, b in pairs)


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype is not other.dtype:
        return False
    return torch.equal(one, other) or bool(
        ((one == other) | ((one != one) & (other != other))).all()
    )


def randn_like(value: Any) -> Any:
    """Normal numbers of the same shapes and dtypes: an error for an output."""
    return mapped(torch.randn_like, value)


def everything(layer: Layer) -> dict[str, Any]:
    """What a layer has learnt or counted: weights, rules' states, step numbers, gates' sums."""
    found: dict[str, Any] = {}
    for path, each in layer.layers_by_path():
        for name, held in vars(each).items():
            if name in ("last_input", "_awaiting_backward"):
                continue
            at = f"{path}.{name}".strip(".")
            if isinstance(held, Tensor):
                found[at] = held
            elif isinstance(getattr(held, "value", None), Tensor):
                found[at] = held.value
                found |= {f"{at} {k}": state for k, state in getattr(held, "state", {}).items()}
                found |= {f"{at} updates": torch.tensor(getattr(held, "updates", 0))}
                gate = getattr(held, "gate", None)
                if gate is not None:
                    found |= {f"{at} gate {k}": sums for k, sums in gate.tensors(held).items()}
                    found |= {f"{at} gate phase": torch.tensor(gate.phase)}
    return found


def differences(layer: Layer, other: Layer) -> list[str]:
    """The names of what is not the same, bit for bit, in two copies of a layer."""
    ours, theirs = everything(layer), everything(other)
    assert ours.keys() == theirs.keys()
    return [name for name in ours if not same(ours[name], theirs[name])]


def snapshot(layer: Layer) -> dict[str, Any]:
    """A copy of `everything`."""
    return copy.deepcopy(everything(layer))


# Layers of the tests' own, that put another into a network.


class Joined(Layer):
    """The tensors of a tuple, each flattened to (batch, features), side by side."""

    def forward(self, input, training):
        rows = [each.reshape(each.shape[0], -1) for each in input]
        return torch.cat(rows, dim=1), [each.shape for each in input]

    def propagate(self, error, shapes, learning_rate):
        widths = [shape.numel() // max(shape[0], 1) for shape in shapes]
        parts = torch.split(error, widths, dim=1)
        return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


class Towers(Layer):
    """So many tensors of one, parts of its last axis."""

    def __init__(self, count: int) -> None:
        self.count = count

    def forward(self, input, training):
        return tuple(each.contiguous() for each in input.chunk(self.count, -1)), None

    def propagate(self, error, memory, learning_rate):
        return torch.cat(error, -1)


class EachOf(Layer):
    """A layer for each tensor of a tuple; None lets a tensor without a derivative through."""

    def __init__(self, layers) -> None:
        self.layers = list(layers)

    def forward(self, input, training):
        outputs, memories = [], []
        for layer, tensor in zip(self.layers, input, strict=True):
            output, memory = (tensor, None) if layer is None else layer.forward(tensor, training)
            outputs.append(output)
            memories.append(memory)
        return tuple(outputs), memories

    def propagate(self, error, memories, learning_rate):
        return tuple(
            None if layer is None else layer.propagate(part, memory, learning_rate)
            for layer, part, memory in zip(self.layers, error, memories, strict=True)
        )


def _below(input: Any) -> Layer | None:
    """A layer with weights that keeps the shape of an input; None where it has no floats."""
    if isinstance(input, Tensor):
        return bh.FullyConnected(*input.shape[-1:] * 2) if input.is_floating_point() else None
    layers = [_below(each) for each in input]
    return EachOf(layers) if any(layers) else None


class Members(Layer):
    """The mean of the members that a Stack put beside each other."""

    def forward(self, input, training):
        return input.mean(-2), input.shape[-2]

    def propagate(self, error, members, learning_rate):
        return (error * (1 / members)).unsqueeze(-2).expand(*error.shape[:-1], members, -1)
