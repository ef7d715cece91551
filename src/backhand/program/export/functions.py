"""Functions: what an exported file does, recorded and planned for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.losses import Loss
from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.writer import Writer
from backhand.program.line import RATE, Line, record_prediction, record_training
from backhand.program.plan import Plan
from backhand.program.planning import plan_line
from backhand.values import Value, tensors

NARROW = 8
"""Alignment of intermediate values, in bytes: a microcontroller has no wide vectors to feed."""


@dataclass
class Function:
    """A line as a C function: its plan, its writer, and the numbers it begins with."""

    name: str
    line: Line
    plan: Plan
    writer: Writer
    about: str
    counters: dict[str, float] = field(default_factory=dict)

    def parameters(self) -> list[str]:
        written = [
            f"const {C_TYPES[view.dtype]} {name}[{max(view.count, 1)}]"
            for name, view in self.plan.arguments.items()
        ]
        if RATE in self.plan.scalar_names():
            written.append("double learning_rate")
        return written + [
            f"{C_TYPES[view.dtype]} {name}[{max(view.count, 1)}]"
            for name, view in self.plan.results.items()
        ]

    def signature(self) -> str:
        return f"int {self.name}({', '.join(self.parameters())})"


def _apart(value: Value) -> list[Tensor]:
    """The tensors of a batch in memory of their own, as they are in C, in order and apart."""
    return [each.clone(memory_format=torch.contiguous_format) for each in tensors(value)]


def prediction(network: Layer, input: Value, name: str) -> Function:
    """The function that predicts for an input."""
    line = record_prediction(network, _apart(input))
    plan = plan_line(line, line.recording.results, NARROW)
    return Function(f"{name}_predict", line, plan, Writer(plan, None), "Predicts for one row.")


def training(network: Layer, loss: Loss, input: Value, target: Value, name: str) -> Function:
    """The function that takes a training step on such a batch."""
    line = record_training(network, loss, _apart(input), targets := _apart(target))
    plan = plan_line(line, ["loss"], NARROW, packed=False)  # which would take memory
    rows = len(targets[0])
    about = f"Takes one training step on {rows} rows; gives the loss before it."
    function = Function(f"{name}_train_step", line, plan, Writer(plan, None), about)
    for counter, parameters in line.counters.items():
        if counter in plan.scalar_names():
            function.counters[counter] = parameters[0].updates
    return function
