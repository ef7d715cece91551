"""The verdict: who did best on the test rows, and how far these can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backhand.cli.tables.measures import LOW_IS_GOOD, bootstrap, figure, interval

OURS = "Backhand"
NOTHING = "knowing nothing"
"""Who always says the most frequent class, or the mean."""

TOO_FEW, FEW = 10, 100
"""Test rows from which there is a verdict, and from which nothing need be said about them."""

SHOWN = 6
"""Classes named in a sentence."""


@dataclass(frozen=True)
class Verdict:
    """The models by one metric, on the test rows and on many draws of them.

    Attributes:
        measure: the metric.
        values: each model's.
        draws: each model's on the bootstrap's draws, the same for all.
        truth: of the test rows.
    """

    measure: str
    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    truth: np.ndarray

    @classmethod
    def of(
        cls,
        measure: str,
        values: Mapping[str, float],
        predicted: Mapping[str, np.ndarray],
        truth: np.ndarray,
    ) -> Verdict:
        """The verdict on what each model predicts for the test rows."""
        return cls(measure, values, bootstrap(predicted, truth, measure), truth)

    def interval(self, who: str) -> str:
        """Where the metric would lie on other test rows like these, "0.91–0.96"."""
        low, high = self.ends(who)
        return f"{figure(low)} – {figure(high)}"

    def ends(self, who: str) -> tuple[float, float]:
        """The interval's."""
        return interval(self.draws[who])

    def sentences(self) -> list[str]:
        """Who is ahead, whether knowing nothing does as well, and what few rows cannot tell."""
        rows = len(self.truth)
        if rows < TOO_FEW:
            return [f"{_count(rows)}: too few to say how good a model is, or which is better."]
        return [*self._ranking(), *self._beside_nothing(), *self._few()]

    def _ranking(self) -> list[str]:
        models = [who for who in self.values if who != NOTHING]
        if len(models) < 2:
            return []
        models.sort(key=self._goodness, reverse=True)
        best, level = models[0], [who for who in models if not self._differ(models[0], who)]
        behind = [who for who in models if who not in level]
        listed = [f"{who} {figure(self.values[who])}" for who in [*level, *behind]]
        if len(level) == 1:
            did = "did best here" if level == [OURS] else "did better than Backhand here"
            return [f"{best} {did}, by {self.measure}: {', '.join(listed)}."]
        after = f"; behind: {', '.join(listed[len(level) :])}" if behind else ""
        return [
            f"Level by {self.measure}, as far as {_count(len(self.truth))} can tell: "
            f"{', '.join(listed[: len(level)])}{after}."
        ]

    def _beside_nothing(self) -> list[str]:
        if NOTHING not in self.values:
            return []
        better = self._goodness(OURS) > self._goodness(NOTHING)
        if better and self._differ(OURS, NOTHING):
            return []
        return [
            f"By {self.measure} Backhand is no better than {NOTHING}: "
            f"{figure(self.values[OURS])} and {figure(self.values[NOTHING])}."
        ]

    def _few(self) -> list[str]:
        rows, said = len(self.truth), []
        if rows < FEW:
            said.append(f"{_count(rows)} are few: other rows would give other figures.")
        if self.truth.dtype.kind != "f":
            classes, counts = np.unique(self.truth, return_counts=True)
            few = [f"{classes[at]} ({counts[at]})" for at in np.argsort(counts, kind="stable")]
            few = few[: int((counts < TOO_FEW).sum())]
            if few:
                more = f" and {len(few) - SHOWN:,} more" if len(few) > SHOWN else ""
                said.append(f"Classes with few test rows: {', '.join(few[:SHOWN])}{more}.")
        return said

    def _goodness(self, who: str) -> float:
        value = self.values[who]
        return -value if self.measure in LOW_IS_GOOD else value

    def _differ(self, one: str, other: str) -> bool:
        """Whether one is ahead of the other on nearly all draws, not on these rows only."""
        low, high = interval(self.draws[one] - self.draws[other])
        return low > 0 or high < 0


def _count(rows: int) -> str:
    return f"{rows:,} test rows" if rows != 1 else "1 test row"
