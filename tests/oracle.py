"""The oracle: autograd, and central finite differences, for any layer or loss.

A layer's own forward is differentiated by autograd on leaf tensors put in place of its weights,
so that every layer, a user's too, has its oracle for free. Autograd lives here and nowhere else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from backhand import Layer
from backhand.learning.settling import gradients_read
from cases.case import flat, mapped


def leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.is_floating_point())


def autograd_of_layer(layer: Layer, input: Any, error: Any, seed: int = 0):
    """The input error and every parameter's gradient, by autograd."""
    twin = copy.deepcopy(layer)
    for parameter in twin.parameters().values():
        parameter.value = leaf(parameter.value)
    given = mapped(leaf, input)
    torch.manual_seed(seed)
    output, _ = twin.forward(given, True)
    propagate(output, error)
    parameters = twin.parameters()
    gradients = {path: _grad(each.value) for path, each in parameters.items()}
    return mapped(_grad, given), gradients


def autograd_of_module(module: torch.nn.Module, input: Any, error: Any, seed: int = 0):
    """The output, the input error and every parameter's gradient of a PyTorch module."""
    given = mapped(leaf, input)
    torch.manual_seed(seed)
    output = module(*given) if isinstance(given, tuple) else module(given)
    propagate(output, error)
    gradients = {name: _grad(each) for name, each in module.named_parameters()}
    return mapped(Tensor.detach, output), mapped(_grad, given), gradients


def propagate(output: Any, error: Any) -> None:
    """Let autograd go back from every output that has a history."""
    pairs = [
        (one, of_one)
        for one, of_one in zip(flat(output), flat(error), strict=True)
        if one.requires_grad
    ]
    if pairs:
        torch.autograd.backward([one for one, _ in pairs], [of_one for _, of_one in pairs])


def _grad(tensor: Tensor) -> Tensor | None:
    if not tensor.is_floating_point():
        return None
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def by_hand(layer: Layer, input: Any, error: Any, seed: int = 0):
    """The same by the layer's own backward, learning nothing."""
    torch.manual_seed(seed)
    _, memory = layer.forward(input, True)
    input_error, found = gradients_read(layer.propagate, error, memory, 0.0)
    return input_error, {path: found[each] for path, each in layer.parameters().items()}


def finite_differences(function: Callable[[], Tensor], values: Tensor, step: float = 1e-6):
    """dfunction/dvalues by central differences; `values` is edited in place and set back."""
    elements = values.view(-1)
    slopes = torch.zeros_like(elements)
    for i in range(elements.numel()):
        kept = float(elements[i])
        elements[i] = kept + step
        above = float(function())
        elements[i] = kept - step
        below = float(function())
        elements[i] = kept
        slopes[i] = (above - below) / (2 * step)
    return slopes.view(values.shape)


def close(one: Tensor, other: Tensor, tolerance: float = 1e-10) -> bool:
    """Whether two tensors agree, relative to the largest element."""
    if one.shape != other.shape:
        return False
    if one.numel() == 0:
        return True
    scale = max(1.0, float(other.abs().max()))
    return float((one - other).abs().max()) <= tolerance * scale


def all_close(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two values agree, tensor by tensor; None agrees with None alone."""
    return all(
        a is b if a is None or b is None else a.dtype is b.dtype and close(a, b, tolerance)
        for a, b in zip(flat(one), flat(other), strict=True)
    )


def gradients_by_autograd(
    layer: Layer, loss: Callable[[Any, Any], Tensor], input: Any, target: Any
) -> dict[str, Tensor]:
    """Every parameter's gradient of PyTorch's own loss, by autograd alone: ours has no history."""
    twin = copy.deepcopy(layer)
    for parameter in twin.parameters().values():
        parameter.value = leaf(parameter.value)
    output, _ = twin.forward(input, True)
    loss(output, target).backward()
    return {path: _grad(each.value) for path, each in twin.parameters().items()}
