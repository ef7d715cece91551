"""Checks: proof for layers, losses and networks of your own."""

from backhand.checks.checker import GradientCheck, gradient_check
from backhand.checks.mismatch import GradientMismatch

__all__ = ["GradientCheck", "GradientMismatch", "gradient_check"]
