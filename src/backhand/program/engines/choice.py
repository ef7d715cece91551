"""Choice: which engine runs a plan, where the caller does not say."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor

from backhand.program.engines.engine import Bound, CannotCompile, Engine
from backhand.program.engines.native import Native, NotNative
from backhand.program.engines.native.compile import seconds_to_compile
from backhand.program.engines.native.emit import Code
from backhand.program.engines.native.engine import bound, code_of
from backhand.program.engines.native.measured import costs_for
from backhand.program.engines.replay import Replay
from backhand.program.plan import Operation, Plan

MOST_OPERATIONS = 10_000
"""Of a plan up to which it is written as C to see how long that would take to compile."""

WIDE = 32
"""Channels, in and out, from which torch's own convolutions are the faster: between the 16 of a
LeNet-5, where they lose, and the 64 of a residual block, where they win (benchmarks/
ARCHITECTURES.md)."""

LONGEST_COMPILATION = 2.0
"""Seconds that compiling may be expected to take; Native(), asked for, takes as long as it does."""

_said: set[str] = set()


def choose(plan: Plan) -> Engine:
    """Native for what compiles soon and is not slower by its products, else Replay.

    What products and calls cost is measured once on a machine; see Costs. Whether a plan is
    compiled already counts for nothing: what a step's bits are shall not depend on that.
    """
    return Replay() if _worth_compiling(plan, "step") is None else Native()


def _worth_compiling(plan: Plan, name: str) -> Code | None:
    """The plan as C, where that is the choice."""
    if len(plan.operations) > MOST_OPERATIONS or _is_faster_replayed(plan):
        return None
    try:
        code = code_of(plan, name)
    except NotNative:
        return None
    if _calls_of_torch(code) >= len(plan.operations):
        return None
    return code if seconds_to_compile(code.text) <= LONGEST_COMPILATION else None


def _calls_of_torch(code: Code) -> int:
    """What islands cost in calls: each of theirs, and one for the way there and one back."""
    return sum(len(each.operations) + 2 for each in code.islands)


def _is_faster_replayed(plan: Plan) -> bool:
    """Whether what is gained in calls is lost in products: by what they cost on this machine."""
    if any(map(_is_wide_convolution, plan.operations)):
        return True
    costs = costs_for(plan)
    native = replayed = 0.0
    for operation in plan.operations:
        known = costs.get(operation.target.dtype)
        work = operation.multiplications
        if known is not None:
            native += known.native(work, plan.only_predicts) if work else 0.0
            replayed += known.replayed(work) if work else known.call
    return native > replayed


def _is_wide_convolution(operation: Operation) -> bool:
    if not operation.name.startswith("conv") or operation.phase != "forward":
        return False
    return bool(min(operation.operands[1].shape[:2]) >= WIDE)


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
        UserWarning: Native was asked for and can write nothing of the plan, or not all of a
            prediction (it says which operation, of which layer), or there is no compiler that
            works (said once).
    """
    try:
        if engine is not None:
            return engine, engine.bind(plan, outside, name)
        code = _worth_compiling(plan, name)
        if code is not None:
            return Native(), bound(plan, outside, code)
    except NotNative as problem:
        _say(f"Replay runs the step, not {type(engine or Native()).__name__}: {problem}")
    except CannotCompile as problem:
        _say(f"Replay runs the steps, not {type(engine or Native()).__name__}: {problem}")
    replay = Replay()
    return replay, replay.bind(plan, outside, name)


def _say(message: str) -> None:
    if message not in _said:
        _said.add(message)
        warnings.warn(message, stacklevel=2)
