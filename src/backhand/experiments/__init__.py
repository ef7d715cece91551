"""Experiments: the report's, run over seeds and measured. Nothing here prints or draws."""

from backhand.experiments.perceptron import Perceptron, tuned_perceptron
from backhand.experiments.points import (
    ACTIVATIONS,
    DISC,
    XOR,
    Run,
    Settings,
    Task,
    convergence,
    median_run,
    train_seed,
)

__all__ = [
    "ACTIVATIONS",
    "DISC",
    "XOR",
    "Perceptron",
    "Run",
    "Settings",
    "Task",
    "convergence",
    "median_run",
    "train_seed",
    "tuned_perceptron",
]
