"""Checks: proof for layers, losses and networks of your own."""

from backhand.checks.checker import GradientCheck, GradientMismatch, gradient_check

__all__ = ["GradientCheck", "GradientMismatch", "gradient_check"]
