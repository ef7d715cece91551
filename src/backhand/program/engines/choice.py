"""Choice: which engine runs a plan, where the caller does not say."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor

from backhand.program.engines.engine import Bound, CannotCompile, Engine
from backhand.program.engines.native import Native, NotNative
from backhand.program.engines.native.compile import seconds_to_compile
from backhand.program.engines.native.compiled import Compiled
from backhand.program.engines.native.emit import Code
from backhand.program.engines.native.engine import code_of
from backhand.program.engines.replay import Replay
from backhand.program.plan import Plan

LARGEST_WORK = 2_000_000_000
"""Multiplications in a step's matrix products up to which Native is chosen: as far as it was
measured to be the faster, by benchmarks/engines.py."""

MOST_OPERATIONS = 400
"""Operations of a plan up to which it is worth writing it as C."""

LONGEST_COMPILATION = 2.0
"""Seconds that compiling may be expected to take; Native(), asked for, takes as long as it does."""

_said: set[str] = set()


def choose(plan: Plan) -> Engine:
    """Native for small steps that compile soon, else Replay.

    At most LARGEST_WORK, MOST_OPERATIONS and LONGEST_COMPILATION, whatever is compiled already:
    what a step's bits are shall not depend on that.
    """
    return Replay() if _worth_compiling(plan, "step") is None else Native()


def _worth_compiling(plan: Plan, name: str) -> Code | None:
    """The plan as C, where that is the choice."""
    if multiplications(plan) > LARGEST_WORK or len(plan.operations) > MOST_OPERATIONS:
        return None
    try:
        code = code_of(plan, name)
    except NotNative:
        return None
    return code if seconds_to_compile(code.text) <= LONGEST_COMPILATION else None


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
    try:
        if engine is not None:
            return engine, engine.bind(plan, outside, name)
        code = _worth_compiling(plan, name)
        if code is not None:
            return Native(), Compiled(plan, outside, code)
    except NotNative as problem:
        _say(f"Replay runs the step, not {type(engine or Native()).__name__}: {problem}")
    except CannotCompile as problem:
        _say(f"Replay runs the steps, not {type(engine or Native()).__name__}: {problem}")
    replay = Replay()
    return replay, replay.bind(plan, outside, name)


def multiplications(plan: Plan) -> int:
    """Of all matrix products in a step."""
    return sum(each.multiplications for each in plan.operations)


def _say(message: str) -> None:
    if message not in _said:
        _said.add(message)
        warnings.warn(message, stacklevel=2)
