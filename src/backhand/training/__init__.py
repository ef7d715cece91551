"""Training: fit, schedules, metrics, history."""

from backhand.training.fit import fit
from backhand.training.history import Epoch, History
from backhand.training.loop import NonFiniteLoss
from backhand.training.metrics import accuracy, evaluate
from backhand.training.schedules import Schedule, constant, cosine, exponential, one_cycle, stepwise

__all__ = [
    "Epoch",
    "History",
    "NonFiniteLoss",
    "Schedule",
    "accuracy",
    "constant",
    "cosine",
    "evaluate",
    "exponential",
    "fit",
    "one_cycle",
    "stepwise",
]
