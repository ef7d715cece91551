"""Gates: what holds contributions to a parameter until the outermost backward settles.

Everything that must know more than one contribution stands here: a parameter used in two
places, accumulation over micro-batches, clipping by the global norm, reading gradients.
No layer knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from backhand.arguments import real, whole
from backhand.learning.contributions import Contribution, Whole, sum_of

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


class Gate:
    """Updates each parameter once, by the sum of its contributions, when backward settles.

    With `max_norm` the update is that of gradients clipped by their global norm over all
    parameters behind this gate: g · min(1, max_norm / (|g| + 1e-6)), as torch's
    clip_grad_norm_; exact, in one backward, and from factors where they are smaller: no
    gradient is formed for it then (but in float64, see Factors.squared_norm). The price is
    memory: the factors (an input and an error for each layer) live until backward ends. A
    gradient that is infinite or not a number makes the norm so, and with it the weights.

    Args:
        max_norm: the largest global norm let through; None for no clipping.

    Raises:
        TypeError: max_norm is no number.
        ValueError: max_norm is not positive.
    """

    passing = frozenset({"_held", "_rates"})
    """Attributes that go from step to step; see Layer.passing."""

    def __init__(self, max_norm: float | None = None) -> None:
        if max_norm is not None:
            max_norm = real(type(self).__name__, "max_norm", max_norm)
            if not max_norm > 0:
                raise ValueError(f"max_norm: expected a positive number, got {max_norm}")
        self.max_norm = max_norm
        self._held: dict[Parameter, list[Contribution]] = {}
        self._rates: dict[Parameter, float] = {}

    def admit(self, parameter: Parameter) -> None:
        """Called when the gate is set before a parameter, or the parameter is converted."""

    def tensors(self, parameter: Parameter) -> dict[str, Tensor]:
        """What the gate keeps of a parameter from one backward to the next, by name."""
        return {}

    accumulates = False
    """Whether it holds contributions from one backward to the next."""

    @property
    def phase(self) -> int:
        """How many backwards it has held since its last update."""
        return 0

    def contributors(self) -> dict[Parameter, float]:
        """Those that have contributed since its last update, and their learning rates then."""
        return self._rates

    def take_over(self, contributors: Iterable[Parameter], learning_rate: float) -> None:
        """Note and count what a recorded step has done: the backward of these contributions."""

    def hold(self, parameter: Parameter, contribution: Contribution, learning_rate: float) -> None:
        """Keep a contribution until backward settles."""
        self._held.setdefault(parameter, []).append(contribution)
        self._rates[parameter] = learning_rate

    def settle(self) -> None:
        """Update every parameter that got a contribution. Called as the outermost backward ends."""
        self.release({parameter: sum_of(held) for parameter, held in self._held.items()})
        self.drop()

    def release(self, contributions: dict[Parameter, Contribution]) -> None:
        """Clip, then update; what is frozen by now has no part in either."""
        contributions = {p: each for p, each in contributions.items() if not p.frozen}
        if self.max_norm is not None and contributions:
            squares = [each.squared_norm() for each in contributions.values()]
            norm = torch.stack(squares).sum().sqrt()
            scale = (self.max_norm / (norm + 1e-6)).clamp(max=1.0)
            contributions = {p: each.scaled(scale) for p, each in contributions.items()}
        for parameter, contribution in contributions.items():
            parameter.update(contribution, self._rates[parameter])

    def drop(self) -> None:
        """Forget what is held, unlearnt: after settling, or when a backward failed."""
        self._held.clear()
        self._rates.clear()


class Accumulation(Gate):
    """One update for every so many backwards, by the mean of their gradients.

    Over equal micro-batches that is the gradient of the whole batch. The gradients' sums take
    as much memory as the weights. A backward that fails drops the micro-batches summed so far;
    what is frozen, or behind another gate, when an update is due does not move, and its sum is
    forgotten. Where `every` is set to fewer than are summed by then, the next backward updates,
    by the mean of all that are.

    Args:
        every: how many outermost backwards make one update.
        max_norm: clip the mean by its global norm (see Gate); None for no clipping.

    Raises:
        TypeError: every is no whole number, or max_norm no number.
        ValueError: every is less than 1, or max_norm not positive.
    """

    accumulates = True
    passing = frozenset({"count"})
    steady = frozenset({"_sums"})
    """Attributes whose tensors keep their shapes; see Parameter.steady."""

    def __init__(self, every: int, max_norm: float | None = None) -> None:
        super().__init__(max_norm)
        self.every = whole("Accumulation", "every", every)
        self.count = 0
        self._sums: dict[Parameter, Tensor] = {}

    def admit(self, parameter: Parameter) -> None:
        known = self._sums.get(parameter)
        value = parameter.value
        self._sums[parameter] = torch.zeros_like(value) if known is None else known.to(value)

    def hold(self, parameter: Parameter, contribution: Contribution, learning_rate: float) -> None:
        contribution.add_to(self._sums[parameter])
        self._rates[parameter] = learning_rate

    def tensors(self, parameter: Parameter) -> dict[str, Tensor]:
        return {"sum": self._sums[parameter]}

    @property
    def phase(self) -> int:
        return self.count

    def take_over(self, contributors: Iterable[Parameter], learning_rate: float) -> None:
        if self._is_due():  # the step has made the update
            self.count = 0
            self._rates.clear()
        else:
            self.count += 1
            self._rates.update(dict.fromkeys(contributors, learning_rate))

    def _is_due(self) -> bool:
        """Whether the backward that ends now is the last before an update."""
        return self.count + 1 >= self.every

    def _still_before(self, parameter: Parameter) -> bool:
        """Whether it is this gate, or the one it stands in for in a recording."""
        gate = parameter.gate
        return gate is not None and gate.tensors(parameter).get("sum") is self._sums[parameter]

    def settle(self) -> None:
        if not self._is_due():
            self.count += 1
            return
        due = [parameter for parameter in self._rates if self._still_before(parameter)]
        self.release({p: Whole(self._sums[p] / (self.count + 1)) for p in due})
        self.drop()

    def drop(self) -> None:
        super().drop()
        self.count = 0
        for total in self._sums.values():
            total.zero_()


class Reading(Gate):
    """Keeps the gradients and lets nothing learn."""

    passing = frozenset({"gradients"})

    def __init__(self) -> None:
        super().__init__()
        self.gradients: dict[Parameter, Tensor] = {}

    def release(self, contributions: dict[Parameter, Contribution]) -> None:
        self.gradients = {p: each.gradient() for p, each in contributions.items()}
