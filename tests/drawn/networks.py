"""What is trained: a drawn network, its loss, rules, gates, and what of it is frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

import backhand as bh
from backhand.losses import Weighted
from cases import LAYERS, LOSSES, RULES
from cases.case import Members
from cases.losses import LossCase
from drawn.layers import Centred, Settled, Slowly, Turned


def seeded(seed: int) -> None:
    """torch.manual_seed, which is slower: it tells other devices too."""
    torch.default_generator.manual_seed(seed)


WIDTHS = (1, 1, 2, 2, 3, 3, 4, 5, 7, 17)


@dataclass
class Learner:
    """A network and all that trains it.

    Attributes:
        case: of the loss.
        weighted: whether the loss takes weights.
        inputs, outputs: how many features go in and come out.
        axes: between the rows and the features.
        exact: whether nothing in it draws and Native knows it all.
    """

    network: bh.Sequential
    loss: bh.Loss
    case: LossCase
    weighted: bool
    inputs: int
    outputs: int
    axes: tuple[int, ...]

    def batch(self, rows: int, dtype: torch.dtype) -> tuple[torch.Tensor, Any]:
        """Inputs and targets; draws from torch's generator."""
        shape = (rows, *self.axes)
        count = torch.Size(shape).numel()
        input = torch.randn(*shape, self.inputs, dtype=dtype)
        target = self.case.target(count, self.outputs, dtype)
        target = target.reshape(*shape, *target.shape[1:])
        if self.weighted:
            return input, (target, torch.rand(shape, dtype=dtype) + 0.1)
        return input, target

    def __str__(self) -> str:
        lines = [f"network: {self.network!r}", f"loss: {self.loss!r}, axes {self.axes}"]
        gates: dict[Any, int] = {}
        for path, each in self.network.parameters().items():
            gate = f"{shown(each.gate)}, the gate {gates.setdefault(each.gate, len(gates))}"
            marks = [word for word in ("shared", "frozen") if getattr(each, word)]
            lines.append(f"  {path}{tuple(each.value.shape)}: {each.rule!r}, {gate}, {marks}")
        return "\n".join(lines)


def shown(gate: bh.Gate | None) -> str:
    """A gate and its options."""
    options = {} if gate is None else {k: v for k, v in vars(gate).items() if k[0] != "_"}
    return f"{type(gate).__name__}({', '.join(f'{k}={v}' for k, v in options.items())})"


class Drawer:
    """Draws learners from a seed.

    Args:
        random: the seed's generator.
        exact: draw nothing that draws itself, nor what Native does not know or cannot follow.
    """

    def __init__(self, random: Random, exact: bool) -> None:
        self.random = random
        self.exact = exact
        self.linear: dict[tuple[int, int], list[bh.Layer]] = {}
        self.between: list[Callable[[int], bh.Layer]] = [
            case.of_width
            for case in LAYERS
            if case.of_width is not None and not (exact and case.draws)
        ]

    def learner(self) -> Learner:
        random = self.random
        seeded(random.randrange(1 << 30))
        inputs, outputs = random.choice(WIDTHS), random.choice(WIDTHS)
        layers: list[bh.Layer] = [self.block(inputs, outputs, random.choice((0, 0, 0, 1, 1, 2)))]
        if random.random() < 0.3:
            layers.append(Turned())
        network = bh.Sequential(layers)
        case = random.choice(self.losses(outputs))
        weighted = case.rows and random.random() < 0.3
        loss = Weighted(case.loss()) if weighted else case.loss()
        axes = () if random.random() < 0.8 else (random.choice((1, 2, 3)),)
        self.teach(network)
        return Learner(network, loss, case, weighted, inputs, outputs, axes)

    def losses(self, outputs: int) -> list[LossCase]:
        """The losses that take so many outputs, of one tensor."""
        return [
            case
            for case in LOSSES
            if case.kind
            and case.towers == 1
            and case.outputs in (None, outputs)
            and (case.smooth or not self.exact)
        ]

    # The network.

    def block(self, inputs: int, outputs: int, depth: int) -> bh.Layer:
        """Layers from so many features to so many."""
        if depth == 0:
            return bh.Sequential([self.full(inputs, outputs), *self.some(outputs)])
        random, width = self.random, self.random.choice(WIDTHS)
        kinds = ["chain", "chain", "sum", "product", "stack", "residual", "twice"]
        match random.choice([*kinds, "concatenate"] if outputs > 1 else kinds):
            case "chain":
                first = self.block(inputs, width, depth - 1)
                return bh.Sequential(
                    [*self.some(inputs), first, self.block(width, outputs, depth - 1)]
                )
            case "sum":
                return bh.Sum(self.branches(inputs, outputs, depth))
            case "product":
                return bh.Product(self.branches(inputs, outputs, depth))
            case "stack":
                return bh.Sequential([bh.Stack(self.branches(inputs, outputs, depth)), Members()])
            case "concatenate":
                cut = random.randrange(1, outputs)
                parts = [self.block(inputs, each, depth - 1) for each in (cut, outputs - cut)]
                return bh.Concatenate(parts)
            case "residual":
                residual = bh.Residual(self.block(inputs, inputs, depth - 1))
                return bh.Sequential([residual, *self.some(inputs), self.full(inputs, outputs)])
            case _:
                again = self.block(width, width, depth - 1)
                first, last = self.full(inputs, width), self.full(width, outputs)
                return bh.Sequential([first, again, *self.some(width), again, last])

    def branches(self, inputs: int, outputs: int, depth: int) -> list[bh.Layer]:
        """Two or three, perhaps one of them twice."""
        made = [self.block(inputs, outputs, depth - 1) for _ in range(2)]
        return made + made[:1] if self.random.random() < 0.3 else made

    def full(self, inputs: int, outputs: int) -> bh.Layer:
        """A layer of weights: a new one, or one that is there already, or with its weight."""
        random = self.random
        known = self.linear.setdefault((inputs, outputs), [])
        if known and random.random() < 0.25:
            return random.choice(known)
        if random.random() < 0.15:
            made: bh.Layer = bh.NeuralTangentLinear(inputs, outputs)
        else:
            made = bh.FullyConnected(inputs, outputs, bias=random.random() < 0.7)
        if known and type(made) is type(known[0]) and random.random() < 0.25:
            made.weight = known[0].weight
        known.append(made)
        return made

    def some(self, width: int) -> list[bh.Layer]:
        """None, one or two layers that keep the width."""
        random = self.random
        made = []
        for _ in range(random.choice((0, 0, 1, 2))):
            if random.random() < 0.25:
                made.append(random.choice((Settled, lambda: Centred(width)))())
                continue
            layer = random.choice(self.between)(width)
            if layer.predict(torch.zeros(1, width)).shape == (1, width):
                made.append(layer)
        return made

    # How it learns.

    def rule(self) -> bh.UpdateRule:
        """One of all, or one of a user's."""
        if self.random.random() < 0.15:
            return Slowly(self.random.choice((0.5, 0.7)))
        cases = [case for case in RULES if case.smooth or not self.exact]
        return self.random.choice(cases).rule()

    def gate(self) -> bh.Gate:
        """Of any kind."""
        max_norm = self.random.choice((None, 0.01, 0.05, 0.3, 10.0))
        if self.random.random() < 0.5:
            return bh.Gate(max_norm)
        return bh.Accumulation(self.random.choice((1, 2, 2, 2, 3)), max_norm)

    def parts(self, network: bh.Layer, most: int) -> Sequence[bh.Layer]:
        """Some layers that have parameters inside."""
        layers = list(dict.fromkeys(each for _, each in network.layers_by_path()))
        learning = [each for each in layers if each.parameters()]
        return self.random.sample(learning, min(len(learning), self.random.randint(0, most)))

    def teach(self, network: bh.Layer) -> None:
        """Give the parts of a network rules, gates, and frozen parameters."""
        random = self.random
        network.learn_with(self.rule())
        for part in self.parts(network, 3):
            part.learn_with(self.rule())
        if random.random() < 0.5:
            network.gate_with(self.gate())
        if random.random() < 0.3:
            gate = random.choice((None, self.gate()))
            for part in self.parts(network, 2):
                part.gate_with(gate)
        if random.random() < 0.3:
            for part in self.parts(network, 2):
                part.freeze()
