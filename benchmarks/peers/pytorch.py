"""PyTorch with autograd: eager, and compiled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from problem import BATCH, EPOCHS, SMALL, Problem, disc_job
from torch import nn


def network(problem: Problem) -> nn.Sequential:
    """The problem's network, with its weights."""
    layers: list[nn.Module] = []
    for i, (weight, bias) in enumerate(problem.weights()):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        last = i == len(problem.sizes) - 2
        layers += (
            [layer] if last and problem.classes else [layer, nn.Sigmoid() if last else nn.ReLU()]
        )
    return nn.Sequential(*layers)


def _step(problem: Problem, **options: bool) -> Callable[[torch.Tensor, torch.Tensor], None]:
    made = network(problem)
    loss = nn.CrossEntropyLoss() if problem.classes else nn.MSELoss()
    kind = torch.optim.Adam if problem.adam else torch.optim.SGD
    optimizer = kind(made.parameters(), lr=problem.rate, **options)

    def step(input: torch.Tensor, target: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(made(input), target).backward()
        optimizer.step()

    step.network = made  # type: ignore[attr-defined]
    return step


OPTIONS = {"plain": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """Eager with each kind of optimizer."""
    input, target = map(torch.from_numpy, problem.data())
    made = {name: _step(problem, **options) for name, options in OPTIONS.items()}
    return {
        f"PyTorch eager, {name} optimizer": lambda step=step: step(input, target)
        for name, step in made.items()
    }


def predictions(row: np.ndarray) -> dict[str, Callable[[], object]]:
    """A prediction of the small network for one row, from the array to a number."""
    made = network(Problem(SMALL, 1))

    def predict() -> float:
        with torch.inference_mode():
            return made(torch.from_numpy(row)).item()

    return {"PyTorch eager, inference mode": predict}


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(256, 256), nn.ReLU())

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input + self.branch(input)


def residual_steps(
    adam: bool, input: torch.Tensor, target: torch.Tensor
) -> dict[str, Callable[[], object]]:
    """A residual network of six layers 256 wide: eager, and forward and loss compiled."""
    loss = nn.CrossEntropyLoss()

    def made(compiled: bool, **options: bool) -> Callable[[], None]:
        network = nn.Sequential(*[_Block() for _ in range(6)], nn.Linear(256, 10))
        kind = torch.optim.Adam if adam else torch.optim.SGD
        optimizer = kind(network.parameters(), lr=1e-4, **options)

        def forward() -> torch.Tensor:
            return loss(network(input), target)

        value = torch.compile(forward) if compiled else forward

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            value().backward()
            optimizer.step()

        return step

    calls = {f"PyTorch eager, {name}": made(False, **each) for name, each in OPTIONS.items()}
    return calls | {"PyTorch, torch.compile, fused optimizer": made(True, fused=True)}


def compiled_steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """torch.compile of forward, loss and backward, with the plain optimizer."""
    input, target = map(torch.from_numpy, problem.data())
    made = network(problem)
    loss = nn.CrossEntropyLoss() if problem.classes else nn.MSELoss()
    kind = torch.optim.Adam if problem.adam else torch.optim.SGD
    optimizer = kind(made.parameters(), lr=problem.rate)
    compiled = torch.compile(lambda x, t: loss(made(x), t))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        compiled(input, target).backward()
        optimizer.step()

    return {"PyTorch, torch.compile": step}


def jobs() -> dict[str, Callable[[], object]]:
    """The disc job over tensors, and over a DataLoader."""
    problem = disc_job()
    inputs, targets = map(torch.from_numpy, problem.data(1000))

    def over_tensors() -> None:
        step = _step(problem, foreach=False)
        for _ in range(EPOCHS):
            for rows in torch.randperm(1000).split(BATCH):
                step(inputs[rows], targets[rows])

    def over_loader() -> None:
        step = _step(problem, foreach=False)
        dataset = torch.utils.data.TensorDataset(inputs, targets)
        loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True)
        for _ in range(EPOCHS):
            for input, target in loader:
                step(input, target)

    return {"PyTorch eager, over tensors": over_tensors, "PyTorch eager, DataLoader": over_loader}


def weights_after(problem: Problem, count: int) -> list[np.ndarray]:
    """The weights after some steps, for comparing peers."""
    step = _step(problem)
    input, target = map(torch.from_numpy, problem.data())
    for _ in range(count):
        step(input, target)
    made = step.network  # type: ignore[attr-defined]
    return [each.detach().numpy() for each in made.parameters()]
