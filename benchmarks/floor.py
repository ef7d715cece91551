"""The floor of a step: its matrix products, bare, into buffers made before."""

from __future__ import annotations

from collections.abc import Callable

import torch
from problem import Problem


def bare_products(problem: Problem) -> Callable[[], None]:
    """Forward, input errors (not the first layer's) and weight updates, and nothing else."""
    weights = [torch.from_numpy(weight) for weight, _ in problem.weights()]
    biases = [torch.from_numpy(bias) for _, bias in problem.weights()]
    values = [torch.rand(problem.batch, size) for size in problem.sizes]
    errors = [torch.rand(problem.batch, size) for size in problem.sizes]
    last = len(weights) - 1

    def products() -> None:
        for i, weight in enumerate(weights):
            torch.addmm(biases[i], values[i], weight.t(), out=values[i + 1])
        for i in range(last, -1, -1):
            if i:
                torch.mm(errors[i + 1], weights[i], out=errors[i])
            weights[i].addmm_(errors[i + 1].t(), values[i], alpha=-1e-9)

    return products


def bare_residual_products() -> Callable[[], None]:
    """The same of six layers 256 wide, at batch 256 (see engines.residual)."""
    weights = [torch.randn(256, 256) for _ in range(6)]
    values, bias = [torch.randn(256, 256) for _ in range(7)], torch.zeros(256)
    errors = [torch.randn(256, 256) * 1e-9 for _ in range(7)]

    def products() -> None:
        for i, weight in enumerate(weights):
            torch.addmm(bias, values[0], weight.t(), out=values[i + 1])
        for i in range(5, -1, -1):
            if i:
                torch.mm(errors[6], weights[i], out=errors[i])
            weights[i].addmm_(errors[6].t(), values[0], alpha=-1e-9)

    return products
