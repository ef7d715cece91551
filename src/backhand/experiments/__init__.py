"""Experiments: the report's, run over seeds and measured. Nothing here prints or draws."""

from backhand.experiments.perceptron import Comparison, Perceptron, compare, tuned_perceptron
from backhand.experiments.points import (
    ACTIVATIONS,
    DISC,
    XOR,
    Run,
    Settings,
    Task,
    convergence,
    median_run,
    own_points,
    train_seed,
    xor_settings,
)

__all__ = [
    "ACTIVATIONS",
    "DISC",
    "XOR",
    "Comparison",
    "Perceptron",
    "Run",
    "Settings",
    "Task",
    "compare",
    "convergence",
    "median_run",
    "own_points",
    "train_seed",
    "tuned_perceptron",
    "xor_settings",
]
