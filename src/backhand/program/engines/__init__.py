"""Engines: what runs a plan. Each takes the same plan."""

from backhand.program.engines.replay import Replay

__all__ = ["Replay"]
