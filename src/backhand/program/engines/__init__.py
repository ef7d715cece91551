"""Engines: what runs a plan. Each takes the same plan."""

from backhand.program.engines.engine import Bound, Engine
from backhand.program.engines.replay import Replay

__all__ = ["Bound", "Engine", "Replay"]
