"""Parameter: a weight, and the four forms in which a gradient reaches it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.overrides import has_torch_function_unary

from backhand.arguments import instance
from backhand.learning.contributions import Contribution, Factors, Rows, Summed, Whole
from backhand.learning.gates import Gate
from backhand.learning.interrupts import InferenceMode
from backhand.learning.rules import SGD, UpdateRule
from backhand.learning.settling import count_update, hold, learns_at_once, rehearsed_updates
from backhand.learning.storage import all_on_their_own, checked_target, lasting
from backhand.learning.tally import Tally

_DESCENT = SGD()


class Parameter:
    """A tensor that learns by a rule, at once or through a gate.

    Args:
        value: the initial value, of a floating-point dtype; kept, and changed in place.

    Raises:
        TypeError: the value is not floating-point.
    """

    passing = frozenset({"counted", "tally", "_turned"})
    """Attributes that go from step to step, which a recording does not depend on."""

    of_training = frozenset({"rule", "state", "gate", "shared", "_frozen"})
    """Attributes that a recorded prediction does not depend on either."""

    steady = frozenset({"state"})
    """Attributes whose tensors keep their shapes: a recording looks at where they lie only."""

    def __init__(self, value: Tensor) -> None:
        if not value.is_floating_point():
            raise TypeError(f"Parameter: expected a floating-point tensor, got {value.dtype}")
        self.value = lasting(value)
        self.rule: UpdateRule = _DESCENT
        self.state: dict[str, Tensor] = self.rule.state(self.value)
        self.gate: Gate | None = None
        self.shared = False
        """Whether one step uses it in several places: then one update, by the sum."""
        self._placed = False
        self._frozen = False
        self.counted: float = 0
        """The updates that were counted one by one."""
        self.tally = Tally()
        """Of the updates by recorded steps, which are counted for many parameters in one."""
        self._turned: list[Any] = [None, 0, (), None]

    def note_place(self) -> None:
        """It has become a layer's; at the second time it is tied, and so shared."""
        self.shared = self.shared or self._placed
        self._placed = True

    @property
    def transposed(self) -> Tensor:
        """The value's transpose: a view, made once for as long as the value stays as it lies."""
        own = self.value
        if has_torch_function_unary(own):  # watched, as by a recording, which no address is told
            return own.t()
        value, address, stride, turned = self._turned
        if value is not own or address != own.data_ptr() or stride != own.stride():
            turned = own.t()
            self._turned[:] = own, own.data_ptr(), own.stride(), turned
        view: Tensor = turned
        return view

    @property
    def updates(self) -> float:
        """How many updates it has had under its rule: the rule's step number t, from 1."""
        rehearsed = rehearsed_updates()
        return self.counted + self.tally.count if rehearsed is None else rehearsed[self]

    @updates.setter
    def updates(self, count: float) -> None:
        self.counted = count - self.tally.count

    @property
    def frozen(self) -> bool:
        """Whether it stays as it is. Frozen before its first update, it has no state either; later
        its state is kept, for when it learns again."""
        return self._frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._frozen = frozen
        if frozen and self.updates == 0:
            self.state = {}
        elif not frozen and not self.state:
            self.state = self._fresh_state()

    def _fresh_state(self) -> dict[str, Tensor]:
        with InferenceMode(False):
            return self.rule.state(self.value)

    def move_to(self, tally: Tally) -> None:
        """Have recorded steps counted there from now on; `updates` stays as it is."""
        updates = self.updates - tally.count
        self.counted, self.tally = updates, tally

    def learn(self, gradient: Float[Tensor, "..."], learning_rate: float) -> None:
        """Learn from a gradient of the value's shape."""
        if learns_at_once(self):
            self.rule.update(self, gradient, learning_rate)
        else:
            hold(self, Whole(gradient), learning_rate)

    def learn_product(
        self,
        left: Float[Tensor, "outputs rows"],
        right: Float[Tensor, "rows inputs"],
        learning_rate: float,
    ) -> None:
        """Learn from the gradient left @ right, which is not formed unless the rule needs it."""
        if learns_at_once(self):
            self.rule.update_product(self, left, right, learning_rate)
        else:
            hold(self, Factors(left, right), learning_rate)

    def learn_sum(self, error: Float[Tensor, "rows outputs"], learning_rate: float) -> None:
        """Learn from the gradient that is the error summed over its rows."""
        if learns_at_once(self):
            self.rule.update_sum(self, error, learning_rate)
        else:
            hold(self, Summed(error), learning_rate)

    def learn_rows(
        self,
        index: Int64[Tensor, " rows"],
        rows: Float[Tensor, "rows ..."],
        learning_rate: float,
    ) -> None:
        """Learn from the gradient that is 0 but for these rows; equal indices add up."""
        if learns_at_once(self):
            self.rule.update_rows(self, index, rows, learning_rate)
        else:
            hold(self, Rows(index, rows, len(self.value)), learning_rate)

    def update(self, contribution: Contribution, learning_rate: float) -> None:
        """Learn from what a gate has let through."""
        count_update(self)
        contribution.update(self, self.rule, learning_rate)

    def tensors(self) -> dict[str, Tensor]:
        """What lasts from one step to the next: the value, under "", and the rule's state."""
        return {"": self.value, **self.state}

    def learn_with(self, rule: UpdateRule) -> None:
        """Set the rule, with fresh state (none while frozen) and the step number at 0."""
        instance(repr(self), "rule", rule, UpdateRule)
        self.rule = rule
        self.state = {} if self.frozen else self._fresh_state()
        self.updates = 0

    def forget(self) -> None:
        """Begin anew what the rule remembers, where it lies, and the step number at 0."""
        self.updates = 0
        for name, fresh in self._fresh_state().items():
            if name in self.state:
                self.state[name].copy_(fresh)

    def gate_with(self, gate: Gate | None) -> None:
        """Set the gate; None to learn at once (by the sum, where shared)."""
        if gate is not None:
            instance(repr(self), "gate", gate, Gate)
        self.gate = gate
        if gate is not None:
            with InferenceMode(False):
                gate.admit(self)

    def to(self, target: torch.dtype | torch.device | str) -> None:
        """Convert the value and the rule's state to a dtype or device."""
        target = checked_target(repr(self), target)
        with InferenceMode(False):
            self.value = self.value.to(target)
            self.state = {name: tensor.to(target) for name, tensor in self.state.items()}
            if self.gate is not None:
                self.gate.admit(self)

    def __getstate__(self) -> dict[str, Any]:
        """A copy or pickle has the parameter's own elements and count, and makes its own view."""
        kept = all_on_their_own(vars(self)) | {"state": all_on_their_own(self.state)}
        del kept["_turned"], kept["tally"]
        return kept | {"counted": self.updates}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.tally = Tally()
        self._turned = [None, 0, (), None]

    def __repr__(self) -> str:
        return f"Parameter{tuple(self.value.shape)}"


ALIGNMENT = 64
"""Bytes; where torch begins an allocation."""


def lay_side_by_side(parameters: Iterable[Parameter]) -> None:
    """Put what the rules remember of several parameters into one storage for each name and dtype.

    Each parameter's part stays a tensor of its own at an aligned address; an engine may work on
    all of them at once. What lies in one storage already stays there.
    """
    groups: dict[tuple[str, torch.dtype], list[Parameter]] = {}
    for parameter in parameters:
        for name, tensor in parameter.state.items():
            groups.setdefault((name, tensor.dtype), []).append(parameter)
    for (name, dtype), members in groups.items():
        apart = [parameter.state[name] for parameter in members]
        if len({each.untyped_storage().data_ptr() for each in apart}) == 1:
            continue
        spaces = [-(-each.nbytes // ALIGNMENT) * ALIGNMENT // dtype.itemsize for each in apart]
        with InferenceMode(False):
            together = torch.zeros(sum(spaces), dtype=dtype, device=apart[0].device)
        for parameter, tensor in zip(members, torch.split(together, spaces), strict=True):
            own = parameter.state[name]
            part = tensor[: own.numel()].view(own.shape)
            parameter.state[name] = part.copy_(own)
