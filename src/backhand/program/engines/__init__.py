"""Engines: what runs a plan. Each takes the same plan."""

from backhand.program.engines.engine import Bound, CannotCompile, Engine
from backhand.program.engines.replay import Replay

__all__ = ["Bound", "CannotCompile", "Engine", "Replay"]
