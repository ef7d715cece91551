"""Structure: whether a network is still the one that was recorded."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from backhand.layer import Layer
from backhand.losses import Loss

_OF_PARAMETER = attrgetter("value", "rule", "gate", "shared", "frozen", "state")
_OF_A_CALL = ("last_input", "_awaiting_backward")


class Structure:
    """What a recording of a network depends on, apart from the values of its tensors.

    Notices a layer that was added, taken out or replaced, a setting that was changed, a weight
    replaced (not edited in place), another rule or gate, a parameter frozen.
    """

    def __init__(self, network: Layer, loss: Loss | None) -> None:
        layers = [layer for _, layer in network.layers_by_path()]
        self._live = [vars(each) for each in layers]
        if loss is not None:
            self._live.append(vars(loss))
        self._kept = [_copied(each) for each in self._live]
        self._parameters = [
            parameter for layer in layers for parameter in layer.own_parameters().values()
        ]
        self._facts = [_facts(parameter) for parameter in self._parameters]
        gates = {each.gate: None for each in self._parameters if each.gate is not None}
        self._gates = [gate for gate in gates if gate.accumulates]

    def phases(self) -> list[int]:
        """How far each accumulating gate has counted: a step does other work at each count."""
        return [gate.phase for gate in self._gates]

    def still_holds(self) -> bool:
        """Whether all is as it was, by identity: a few comparisons in C."""
        return self._parameters_hold() and (self._live == self._kept or self._holds_but_for_calls())

    def _parameters_hold(self) -> bool:
        try:
            return [_facts(each) for each in self._parameters] == self._facts
        except RuntimeError:  # a tensor compared with another one: replaced
            return False

    def _holds_but_for_calls(self) -> bool:
        """The same, where layers were also called by themselves meanwhile."""
        try:
            same = [_settings(each) for each in self._live] == [
                _settings(each) for each in self._kept
            ]
        except RuntimeError:
            return False
        if same:
            self._kept = [_copied(each) for each in self._live]
        return same


def _facts(parameter: Any) -> tuple[Any, ...]:
    *facts, state = _OF_PARAMETER(parameter)
    return (*facts, tuple(state.values()))


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, list) else value
        for name, value in attributes.items()
    }


def _settings(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in _OF_A_CALL}
