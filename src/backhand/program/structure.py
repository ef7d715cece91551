"""Structure: whether a network is still the one that was recorded."""

from __future__ import annotations

from typing import Any

from backhand.layer import Layer
from backhand.losses import Loss

_OF_A_CALL = ("last_input", "_awaiting_backward")
_OF_A_PARAMETER = ("_progress", "_turned")


class Structure:
    """What a recording of a network depends on, apart from the values of its tensors.

    Notices a layer that was added, taken out or replaced, a setting that was changed, a weight
    or a state replaced (not edited in place), another rule or gate, a parameter frozen.
    """

    def __init__(self, network: Layer, loss: Loss | None) -> None:
        layers = [layer for _, layer in network.layers_by_path()]
        parameters = [each for layer in layers for each in layer.own_parameters().values()]
        gates = {each.gate: None for each in parameters if each.gate is not None}
        self._gates = [gate for gate in gates if gate.accumulates]
        buffers = [each for layer in layers for each in layer.own_buffers().values()]
        self._live = [vars(each) for each in (*layers, *parameters, *buffers)]
        self._live += [each.state for each in parameters]
        if loss is not None:
            self._live.append(vars(loss))
        self._kept = [_copied(each) for each in self._live]

    @property
    def accumulates(self) -> bool:
        """Whether a gate adds up the contributions of several steps."""
        return bool(self._gates)

    def phases(self) -> list[int]:
        """How far each accumulating gate has counted: a step does other work at each count."""
        return [gate.phase for gate in self._gates]

    def still_holds(self) -> bool:
        """Whether all is as it was, by identity: one comparison in C."""
        try:
            return self._live == self._kept or self._holds_but_for_calls()
        except RuntimeError:  # two tensors compared: one was replaced by another
            return False

    def _holds_but_for_calls(self) -> bool:
        """The same, where layers were also called by themselves meanwhile."""
        same = [_settings(each) for each in self._live] == [_settings(each) for each in self._kept]
        if same:
            self._kept = [_copied(each) for each in self._live]
        return same


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    """A copy to compare with, lists of layers copied too; the step number goes on counting."""
    return {
        name: list(value) if isinstance(value, list) and name not in _OF_A_PARAMETER else value
        for name, value in attributes.items()
    }


def _settings(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in _OF_A_CALL}
