"""The native engine: a plan written as C, compiled, cached, and run."""

from backhand.program.engines.native.compile import counted_compilation
from backhand.program.engines.native.engine import Native
from backhand.program.engines.native.writer import NotNative

__all__ = ["Native", "NotNative", "counted_compilation"]
