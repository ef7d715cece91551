"""Memory: how many bytes a step needs, known from its plan before it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from backhand.layer import Layer
from backhand.program.plan import ARGUMENT, CONSTANT, Plan


@dataclass(frozen=True)
class Memory:
    """Bytes of a step.

    Attributes:
        weights: of all parameters.
        state: what rules and gates remember of them, and the layers' buffers.
        batch: the buffers that each step's input and target are copied into.
        activations: temporaries that live from forward into backward.
        scratch: all other temporaries and constants. Temporaries share one arena, so this is
            what the arena has beyond the activations.
    """

    weights: int
    state: int
    batch: int
    activations: int
    scratch: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.state + self.batch + self.activations + self.scratch

    def __str__(self) -> str:
        parts = {**vars(self), "total": self.total}
        width = max(len(f"{size:,}") for size in parts.values())
        return "\n".join(f"{name:<12}{size:>{width},} bytes" for name, size in parts.items())


def memory_of(network: Layer, plan: Plan) -> Memory:
    """The memory of a network's step as planned."""
    weights = _bytes(parameter.value for parameter in network.parameters().values())
    kinds = {
        kind: sum(each.size for each in plan.storages.values() if each.kind == kind)
        for kind in (ARGUMENT, CONSTANT)
    }
    activations = _activations(plan)
    return Memory(
        weights=weights,
        state=_bytes(network.lasting_tensors().values()) - weights,
        batch=kinds[ARGUMENT],
        activations=activations,
        scratch=max(0, plan.arena - activations) + kinds[CONSTANT],
    )


def _activations(plan: Plan) -> int:
    """Bytes of the arena that forward fills and backward reads."""
    phases = [operation.phase for operation in plan.operations]
    places = set()
    for number, (first, last) in plan.lifetimes().items():
        end = phases[min(last, len(phases) - 1)]
        if phases[first] == "forward" and end in ("backward", "update"):
            places.add((plan.storages[number].place, plan.storages[number].size))
    return sum(size for _, size in places)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
