"""TargetScale: where a stream's targets lie and how far they spread, whatever some of them are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from backhand.arguments import real, shown, whole
from backhand.tensor_file import Malformed, expect

WINDOW = 128
"""Targets that are looked at together; so many lost to a burst are less than half of them."""

LOOKS = 16
"""Beyond the first WINDOW targets a look is taken after each so many."""

FEW = 8
"""So few targets say little: center and spread are theirs, whatever they were."""

WELL = 0.25
"""Of a spread: an error that leaves nothing to mend."""

FAR = 30.0
"""Spreads from the center: a target out there is no more than noted, until a quarter are."""


class TargetScale:
    """Center and spread of the latest targets, by their quartiles: what a quarter says is ignored.

    They are looked at as the 1st, 2nd, 4th … target comes, up to the window's length; from then
    on every LOOKS targets. Where they lie elsewhere, by a spread or a factor of 2, and the network
    errs, they are taken over; while it predicts well it may well know why they moved.

    Attributes:
        count: how many targets there were.
        center, spread: what targets are standardized by.
        window: the latest targets, each in the place of its number modulo WINDOW.
    """

    def __init__(
        self,
        count: int = 0,
        center: float = 0.0,
        spread: float = 1.0,
        window: Sequence[float] = (),
    ) -> None:
        self.count = whole("TargetScale", "count", count, least=0, most=math.inf)
        self.center = real("TargetScale", "center", center)
        self.spread = real("TargetScale", "spread", spread)
        if not self.spread > 0:
            raise ValueError(f"TargetScale: expected a spread above 0, got {spread}")
        self.window = [real("TargetScale", "window", each) for each in window]
        if len(self.window) != min(self.count, WINDOW):
            raise ValueError(f"TargetScale: {len(self.window)} targets in the window of {count}")

    @classmethod
    def of(cls, described: Any) -> TargetScale:
        """From what `described` said of one.

        Raises:
            TypeError, ValueError: it is something else.
        """
        found = expect("targets", described, dict)
        if set(found) != {"count", "center", "spread", "window"}:
            raise Malformed(f"targets: expected a scale, got {shown(sorted(map(str, found)))}")
        return cls(**{**found, "window": expect("window", found["window"], list)})

    def described(self) -> dict[str, Any]:
        """What `of` takes."""
        return {**vars(self), "window": list(self.window)}

    def learn(self, target: float) -> bool:
        """Take in a target; whether the latest lie elsewhere by now."""
        if self.count < WINDOW:
            self.window.append(target)
        else:
            self.window[self.count % WINDOW] = target
        self.count += 1
        count = self.count
        due = count & (count - 1) == 0 if count <= WINDOW else count % LOOKS == 0
        if not due:
            return False
        center, spread = self._latest()
        near = abs(center - self.center) <= self.spread and 0.5 <= spread / self.spread <= 2
        return not near or count <= FEW

    def adopt(self, error: float) -> bool:
        """Take over where the latest targets lie, unless the network predicts them well.

        Args:
            error: its usual distance from the target, in spreads.
        """
        center, spread = self._latest()
        far = sum(map(self.is_far, self.window))
        if self.count > WINDOW and 4 * far < WINDOW and error * self.spread <= WELL * spread:
            return False
        self.center, self.spread = center, spread
        return True

    def _latest(self) -> tuple[float, float]:
        center, spread = _center_and_spread(self.window)
        if not 0 < spread < math.inf:
            spread = self.spread if self.count > 1 else abs(center) or 1.0
        return center, spread

    def is_far(self, target: float) -> bool:
        """Whether a target is too far out to be learnt from."""
        return not abs(target - self.center) <= FAR * self.spread

    def standardized(self, target: float) -> float:
        """(target - center) / spread."""
        return (target - self.center) / self.spread

    def back(self, standardized: float) -> float:
        """The number that a standardized one stands for."""
        return self.center + standardized * self.spread if self.count else 0.0


def _center_and_spread(numbers: Sequence[float]) -> tuple[float, float]:
    """The median, and the distance of the quartiles in a normal's deviations.

    Where more than half are equal, that of wider quantiles, or the largest distance.
    """
    ordered = sorted(numbers)
    last = len(ordered) - 1
    center = _at(ordered, 0.5 * last)
    for share, deviations in ((0.25, 1.349), (0.05, 3.290), (0.0, 6.0)):
        spread = (_at(ordered, (1 - share) * last) - _at(ordered, share * last)) / deviations
        if spread > 0:
            break
    return center, spread


def _at(ordered: Sequence[float], place: float) -> float:
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    part = place - below
    return ordered[below] * (1 - part) + ordered[above] * part
