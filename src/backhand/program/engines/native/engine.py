"""Native: the plan as C, compiled once; an epoch is one call."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from backhand.program.engines.engine import Bound
from backhand.program.engines.native.compile import vector_bytes
from backhand.program.engines.native.compiled import Compiled
from backhand.program.engines.native.emit import Code, write_c
from backhand.program.engines.native.measured import costs_for
from backhand.program.engines.native.segmented import Segmented
from backhand.program.plan import Plan


class Native:
    """The engine for small networks, which drown in the overhead of calls.

    Agrees with the plain step to rounding, and with itself bit for bit. Random numbers come
    from a counter-based generator whose key is drawn from torch's at every call.
    """

    packs = True
    predicts = True

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> Bound:
        """See Engine.

        Raises:
            NotNative: nothing of the plan can be written as C, or not all of a prediction.
            CannotCompile: there is no C compiler, or it failed.
        """
        return bound(plan, outside, code_of(plan, name))

    def __repr__(self) -> str:
        return "Native()"


def bound(plan: Plan, outside: Mapping[int, Tensor], code: Code) -> Bound:
    """A plan and its C, bound to memory."""
    return (Segmented if code.islands else Compiled)(plan, outside, code)


def code_of(plan: Plan, name: str) -> Code:
    """A plan as C for this machine: its vectors, and its BLAS where that is the faster.

    Raises:
        NotNative: nothing of the plan can be written as C, or not all of a prediction.
    """
    costs = costs_for(plan)
    library_from = {dtype: each.library_from for dtype, each in costs.items()}
    return write_c(plan, name, vector_bytes(), library_from)
