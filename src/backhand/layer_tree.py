"""LayerTree: the layers, parameters and buffers inside a layer, each by its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast

import torch
from torch import Tensor

from backhand.arguments import instance
from backhand.learning.buffer import Buffer
from backhand.learning.gates import Gate
from backhand.learning.parameter import Parameter, lay_side_by_side
from backhand.learning.rules import UpdateRule
from backhand.learning.storage import checked_target

if TYPE_CHECKING:
    from backhand.layer import Layer

SameLayer = TypeVar("SameLayer", bound="LayerTree")
Part = TypeVar("Part", Parameter, Buffer)


class LayerTree:
    """What every layer has by holding others: what is inside is found in its attributes.

    Not for use by itself: every one is a Layer.
    """

    def children(self) -> dict[str, Layer]:
        """The layers directly inside, by name: attributes that are layers, or lists of them."""
        found: dict[str, Layer] = {}
        for name, value in vars(self).items():
            if _is_layer(value):
                found[name] = value
            elif isinstance(value, list | tuple):
                items = ((f"{name}.{i}", item) for i, item in enumerate(value))
                found.update((path, item) for path, item in items if _is_layer(item))
        return found

    def layers_by_path(self) -> Iterator[tuple[str, Layer]]:
        """This layer (path "") and all inside, parents first, each once, by its first path."""
        seen: set[Layer] = set()
        waiting: list[tuple[str, Layer]] = [("", cast("Layer", self))]
        while waiting:
            path, layer = waiting.pop()
            if layer in seen:  # and so all inside it: paths double at every level
                continue
            seen.add(layer)
            yield path, layer
            inside = reversed(layer.children().items())
            waiting += [(f"{path}.{name}" if path else name, child) for name, child in inside]

    def own_parameters(self) -> dict[str, Parameter]:
        """The parameters directly in this layer, by attribute name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    def own_buffers(self) -> dict[str, Buffer]:
        """The buffers directly in this layer, by attribute name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Buffer)}

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter inside by path ("2.branch.0.weight"); a shared one by its first path."""
        return self._by_path(LayerTree.own_parameters)

    def buffers(self) -> dict[str, Buffer]:
        """Every buffer inside by path ("0.mean"); a shared one by its first path."""
        return self._by_path(LayerTree.own_buffers)

    def _by_path(self, own: Callable[[Layer], dict[str, Part]]) -> dict[str, Part]:
        found: dict[str, Part] = {}
        seen: set[Part] = set()
        for path, layer in self.layers_by_path():
            for name, part in own(layer).items():
                if part not in seen:
                    seen.add(part)
                    found[f"{path}.{name}" if path else name] = part
        return found

    def parts(self) -> dict[str, Parameter | Buffer]:
        """Every parameter and buffer inside by path: what is learnt, and so what is saved."""
        return {**self.parameters(), **self.buffers()}

    def lasting_tensors(self) -> dict[str, Tensor]:
        """Every tensor that lasts from one step to the next, by path.

        Weights ("0.weight"), what rules remember of them ("0.weight.velocity"), what gates have
        summed ("0.weight.gate.sum"), buffers ("1.mean").
        """
        found: dict[str, Tensor] = {}
        for path, part in self.parts().items():
            for name, tensor in part.tensors().items():
                found[f"{path}.{name}" if name else path] = tensor
        for path, parameter in self.parameters().items():
            held = parameter.gate.tensors(parameter) if parameter.gate is not None else {}
            found.update({f"{path}.gate.{name}": tensor for name, tensor in held.items()})
        return found

    # What holds for all parameters and buffers inside at once.

    def learn_with(
        self: SameLayer, rule: UpdateRule, where: Callable[[Parameter], bool] | None = None
    ) -> SameLayer:
        """Set the update rule of the parameters inside, with fresh state.

        Args:
            rule: what updates them.
            where: chooses among them, each given by itself; default all. What is not chosen keeps
                the rule it has: `network.learn_with(AdamW(weight_decay=0.0))`, then
                `network.learn_with(AdamW(), where=lambda weight: weight.value.dim() > 1)`, decays
                no bias and no norm.

        Raises:
            TypeError: the rule is none, as a class or a name.
            ValueError: there are parameters, and `where` chooses none.
        """
        instance(f"{type(self).__name__}.learn_with", "rule", rule, UpdateRule)
        found = self.parameters().values()
        parameters = [each for each in found if where is None or where(each)]
        if found and not parameters:
            raise ValueError(f"learn_with: where chose none of {len(found)} parameters")
        for parameter in parameters:
            parameter.learn_with(rule)
        lay_side_by_side(parameters)
        return self

    def gate_with(self: SameLayer, gate: Gate | None) -> SameLayer:
        """Set one gate before every parameter inside (None: learn at once, as at first)."""
        if gate is not None:
            instance(f"{type(self).__name__}.gate_with", "gate", gate, Gate)
        for parameter in self.parameters().values():
            parameter.gate_with(gate)
        return self

    def freeze(self: SameLayer, frozen: bool = True) -> SameLayer:
        """Keep all parameters and buffers inside as they are; `freeze(False)` lets them learn.

        What was never updated under its rule has no state while it is frozen; else the state waits.
        """
        for part in self.parts().values():
            part.frozen = frozen
        lay_side_by_side(self.parameters().values())
        return self

    def to(self: SameLayer, target: torch.dtype | torch.device | str) -> SameLayer:
        """Convert every parameter, its state and every buffer, in this very layer.

        A dtype is for floating-point tensors, and buffers that keep their own are left alone.

        Raises:
            TypeError: neither a floating-point dtype nor a device.
        """
        target = checked_target(type(self).__name__, target)
        for part in self.parts().values():
            part.to(target)
        return self

    def float_dtype(self) -> torch.dtype:
        """The dtype of the first weight or buffer of floats; without one, torch's default."""
        for _, layer in self.layers_by_path():
            parts: list[Parameter | Buffer] = [*layer.own_parameters().values()]
            for part in [*parts, *layer.own_buffers().values()]:
                dtype: torch.dtype = part.value.dtype
                if dtype.is_floating_point:
                    return dtype
        return torch.get_default_dtype()


def _is_layer(value: Any) -> TypeGuard[Layer]:
    return isinstance(value, LayerTree)
