"""Programs: a step recorded once, planned, and run by an engine."""

from backhand.program.engines import Bound, Engine, Replay
from backhand.program.memory import Memory
from backhand.program.plan import Plan
from backhand.program.record import NotRecordable
from backhand.program.scalars import FrozenScalar, Live
from backhand.program.step import Prediction, TrainingStep

__all__ = [
    "Bound",
    "Engine",
    "FrozenScalar",
    "Live",
    "Memory",
    "NotRecordable",
    "Plan",
    "Prediction",
    "Replay",
    "TrainingStep",
]
