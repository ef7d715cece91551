"""Checks: proof for layers, losses and networks of your own."""

from backhand.checks.checker import gradient_check
from backhand.checks.element import GradientCheck
from backhand.checks.mismatch import GradientMismatch

__all__ = ["GradientCheck", "GradientMismatch", "gradient_check"]
