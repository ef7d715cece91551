"""The Inductor engine: a plan as one graph for PyTorch's own compiler."""

from backhand.program.engines.inductor.engine import Inductor

__all__ = ["Inductor"]
