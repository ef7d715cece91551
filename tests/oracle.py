"""The oracle: autograd, and central finite differences, for any layer or loss.

A layer's own forward is differentiated by autograd on leaf tensors put in place of its weights,
so that every layer, a user's too, has its oracle for free. Autograd lives here and nowhere else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from backhand import Layer
from backhand.learning.settling import reading


def leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.is_floating_point())


def autograd_of_layer(layer: Layer, input: Tensor, error: Tensor, seed: int = 0):
    """The input error and every parameter's gradient, by autograd."""
    twin = copy.deepcopy(layer)
    for parameter in twin.parameters().values():
        parameter.value = leaf(parameter.value)
    given = leaf(input)
    torch.manual_seed(seed)
    output, _ = twin.forward(given, True)
    if output.requires_grad:
        output.backward(error)
    parameters = twin.parameters()
    gradients = {path: _grad(each.value) for path, each in parameters.items()}
    return _grad(given), gradients


def _grad(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def by_hand(layer: Layer, input: Tensor, error: Tensor, seed: int = 0):
    """The same by the layer's own backward, learning nothing."""
    torch.manual_seed(seed)
    _, memory = layer.forward(input, True)
    with reading() as read:
        input_error = layer.propagate(error, memory, 0.0)
    return input_error, {path: read.gradients[each] for path, each in layer.parameters().items()}


def finite_differences(function: Callable[[], Tensor], values: Tensor, step: float = 1e-6):
    """dfunction/dvalues by central differences; `values` is edited in place and set back."""
    flat = values.view(-1)
    slopes = torch.zeros_like(flat)
    for i in range(flat.numel()):
        kept = float(flat[i])
        flat[i] = kept + step
        above = float(function())
        flat[i] = kept - step
        below = float(function())
        flat[i] = kept
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


def gradients_by_autograd(layer: Layer, loss, input: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Every parameter's gradient of a loss, by autograd alone."""
    twin = copy.deepcopy(layer)
    for parameter in twin.parameters().values():
        parameter.value = leaf(parameter.value)
    output, _ = twin.forward(input, True)
    loss.forward(output, target).backward()
    return {path: _grad(each.value) for path, each in twin.parameters().items()}
