"""Programs: a step recorded once, planned, and run by an engine."""

from backhand.program.calls import NotRecordable
from backhand.program.engines import Bound, CannotCompile, Engine, Replay
from backhand.program.engines.choice import choose
from backhand.program.engines.inductor import Inductor
from backhand.program.engines.native import Native, NotNative
from backhand.program.in_place import PredictionInPlace, TrainingStepInPlace
from backhand.program.memory import Memory
from backhand.program.plan import Plan
from backhand.program.scalars import FrozenScalar, Live
from backhand.program.step import Prediction, TrainingStep

__all__ = [
    "Bound",
    "CannotCompile",
    "Engine",
    "FrozenScalar",
    "Inductor",
    "Live",
    "Memory",
    "Native",
    "NotNative",
    "NotRecordable",
    "Plan",
    "Prediction",
    "PredictionInPlace",
    "Replay",
    "TrainingStep",
    "TrainingStepInPlace",
    "choose",
]
