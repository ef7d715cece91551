"""The one loop: epochs of steps, guarded against bad numbers, judged one by one, told.

Passes take the steps, Rates say how fast, a Judge decides whether an epoch was better, what to
keep of it, and when nothing more is to be hoped for. `fit`, the perceptrons and the tables' members
are each a Passes, a Rates and a Judge.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from backhand.arguments import plain
from backhand.layer import Layer
from backhand.learning.interrupts import uninterrupted
from backhand.training.history import Epoch
from backhand.training.passes import Passes
from backhand.training.rates import Rates
from backhand.training.weights import Weights


class NonFiniteLoss(ArithmeticError):
    """Training met a NaN or an infinity; the network has the weights of the last good epoch."""


class Judge:
    """What decides, epoch by epoch. This one lets training run to its end."""

    def undecided(self) -> float:
        """How many epochs must be over before it could decide anything: these may be taken in one
        call. 1 where it looks at the network after each.
        """
        return 1

    def measures(self) -> Mapping[str, Mapping[str, float]]:
        """What it measures of the network after an epoch; {"validation": {"loss": …}, …}."""
        return {}

    def judge(self, epoch: Epoch) -> bool:
        """Whether training no longer improves; keeps the weights, where the epoch was better.

        Raises:
            NonFiniteLoss: what was measured is no finite number.
        """
        return False

    def after_stall(self, lower: float | None) -> None:
        """What came of it: training goes on at a lower rate, or ends, where that is None."""


class Guard:
    """Keeps good weights, to go back to from a bad number.

    Args:
        network: what is kept is what it has now.
        every_call: look at the weights after every call, and keep them. Otherwise once at the
            end, and what is kept is what there was before the training.
    """

    def __init__(self, network: Layer, every_call: bool = True) -> None:
        self.every_call = every_call
        self._good = Weights(network)

    def allows(self, losses: list[float]) -> bool:
        """Whether a call left good numbers; if it did not, the good weights are back."""
        if not all(map(math.isfinite, losses)):
            return self._restored()
        return self.holds() if self.every_call else True

    def holds(self) -> bool:
        """The same, by the weights alone."""
        if not self._good.all_finite():
            return self._restored()
        if self.every_call:
            self._good.keep()
        return True

    def _restored(self) -> bool:
        self._good.restore()
        return False


class Epochs:
    """A training under way.

    Args:
        passes, rates, judge, guard: as above.

    Attributes:
        number: of the epochs that are over.
    """

    def __init__(self, passes: Passes, rates: Rates, judge: Judge, guard: Guard) -> None:
        self.passes = passes
        self.rates = rates
        self.judge = judge
        self.guard = guard
        self.number = 0
        self._begun = time.perf_counter()
        self._told_to_end = False

    def run(self, epochs: int, on_epoch: Callable[[Epoch], Any] | None = None) -> bool:
        """Take epochs until there are `epochs`, or the judge sees no more improvement.

        Args:
            epochs: in all.
            on_epoch: called after every epoch, when it has been judged; where it returns False,
                no more are taken.

        Returns:
            Whether it ended because there were no more epochs.

        Raises:
            NonFiniteLoss: a number is not finite; the good weights are restored.
        """
        while self.number < epochs:
            undecided = 1 if on_epoch is not None else self.judge.undecided()
            stalled = self._take(int(max(1, min(undecided, epochs - self.number))), on_epoch)
            if stalled:
                lower = self.rates.lower()
                self.judge.after_stall(lower)
                if lower is None:
                    return False
            if self._told_to_end:
                return False
        return True

    def _take(self, count: int, on_epoch: Callable[[Epoch], Any] | None) -> bool:
        """So many epochs in one call; whether the last one left nothing to hope for."""
        steps, stalled = self.passes.steps, False
        rates: list[float] = []
        for _ in range(count):
            rates += self.rates.of_epoch(steps)
        losses = self.passes.take(count, rates)
        if not self.guard.allows(losses):
            raise NonFiniteLoss(self._what_is_bad(losses, rates))
        for at, loss in enumerate(losses):
            self.number += 1
            seconds = time.perf_counter() - self._begun
            rate = rates[(at + 1) * steps - 1]
            taken = self.number * steps
            epoch = Epoch(self.number, taken, rate, seconds, loss, self.judge.measures())
            # What it notes of an epoch belongs together.
            stalled = uninterrupted(self.judge.judge, epoch)
            if on_epoch is not None and plain(on_epoch(epoch)) is False:
                self._told_to_end = True
        return stalled

    def _what_is_bad(self, losses: list[float], rates: list[float]) -> str:
        finite = [math.isfinite(loss) for loss in losses]
        first = finite.index(False) if False in finite else len(losses) - 1
        kept = self.number if self.guard.every_call else 0
        return (
            f"epoch {self.number + first + 1}: the loss, a weight or a rule's state is no longer a "
            f"finite number (the learning rate was {rates[first * self.passes.steps]:g}); the "
            f"weights are those of epoch {kept}"
        )
