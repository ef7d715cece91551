"""Choice: which engine runs a plan, where the caller does not say."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor

from backhand.program.engines.engine import Bound, CannotCompile, Engine
from backhand.program.engines.native import Native, NotNative
from backhand.program.engines.replay import Replay
from backhand.program.plan import Plan

LARGEST_WORK = 2_000_000_000
"""Multiplications in a step's matrix products up to which Native is chosen: as far as it was
measured to be the faster, by benchmarks/engines.py."""

MOST_OPERATIONS = 400
"""Operations of a plan up to which it is worth a compilation."""

_said: set[str] = set()


def choose(plan: Plan) -> Engine:
    """Native for small steps, at most LARGEST_WORK and MOST_OPERATIONS; else Replay."""
    small = multiplications(plan) <= LARGEST_WORK and len(plan.operations) <= MOST_OPERATIONS
    return Native() if small else Replay()


def bind(
    engine: Engine | None, plan: Plan, outside: Mapping[int, Tensor], name: str
) -> tuple[Engine, Bound]:
    """Bind a plan to an engine; Replay takes what Native cannot.

    Args:
        engine: what the caller asks for; None to choose.
        plan, outside, name: see Engine.bind.

    Returns:
        The engine that runs the plan, and the plan bound.

    Warns:
        UserWarning: Native was asked for and does not know an operation (it says which, of
            which layer), or there is no compiler that works (said once).
    """
    wanted = engine if engine is not None else choose(plan)
    try:
        return wanted, wanted.bind(plan, outside, name)
    except NotNative as problem:
        if engine is not None:
            _say(f"Replay runs the step, not {type(wanted).__name__}: {problem}")
    except CannotCompile as problem:
        _say(f"Replay runs the steps, not {type(wanted).__name__}: {problem}")
    replay = Replay()
    return replay, replay.bind(plan, outside, name)


def multiplications(plan: Plan) -> int:
    """Of all matrix products in a step."""
    total = 0
    for operation in plan.operations:
        if operation.name in ("mm", "addmm", "mv", "addmv", "bmm", "baddbmm"):
            left = operation.operands[-2]
            rows_and_inner = 1
            for length in left.shape:
                rows_and_inner *= length
            columns = operation.target.shape[-1] if "mv" not in operation.name else 1
            total += rows_and_inner * columns
    return total


def _say(message: str) -> None:
    if message not in _said:
        _said.add(message)
        warnings.warn(message, stacklevel=2)
