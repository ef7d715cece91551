"""What every engine keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from backhand.learning.tally import Tally
from backhand.program.plan import Plan


class CannotCompile(RuntimeError):
    """There is no compiler, or it failed; says what it said."""


@runtime_checkable
class Engine(Protocol):
    """Makes plans ready to run.

    Attributes:
        packs: whether update rules should work side by side on one storage, for fewer calls.
        predicts: whether predictions between epochs gain by being recorded too.
    """

    packs: bool
    predicts: bool

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> Bound:
        """Bind a plan to memory.

        Args:
            plan: what to run.
            outside: for each storage that was there before, a tensor on it; used in place.
            name: of the function to make: "training_step" or "prediction".
        """
        ...


@runtime_checkable
class Bound(Protocol):
    """A plan bound to memory, ready to run.

    Attributes:
        scalar_names: the names of the live scalars that `run` takes after the batch, in order.
        namespace: what the names in `text` stand for.
        text: what runs, for a person to read.
        tally: where its steps are counted; each in one with the step, whatever interrupts. Set by
            whoever counts them.
    """

    scalar_names: tuple[str, ...]
    namespace: dict[str, Any]
    text: str
    tally: Tally

    def run(self, *values: Any) -> Any:
        """Run on the plan's arguments, contiguous and aligned, and the live scalars.

        Returns:
            The results, fresh: one alone, several as a tuple, None where there are none.
        """
        ...

    def bound_to(self, outside: Mapping[int, Tensor]) -> Bound | None:
        """The same on other tensors that were there before; None where it must be bound anew."""
        ...

    def in_place(self, batch: Sequence[Tensor]) -> tuple[Callable[..., None], list[Tensor]]:
        """What runs on these very tensors, contiguous and aligned, whatever they hold by then.

        Returns:
            A function of the live scalars, and the results that it writes over at each call.
        """
        ...

    def run_many(self, data: Sequence[Tensor], order: Tensor, values: Tensor) -> Tensor | None:
        """Run once for each row of values, on the next batch of rows in `order`.

        Args:
            data: a data set for each of the plan's arguments, row by row.
            order: row numbers, exactly one batch of them for each step.
            values: of the live scalars, as `run` takes them (steps, scalars), in float64.

        Returns:
            The result of each step (steps,), or None where there are no results.
        """
        ...
