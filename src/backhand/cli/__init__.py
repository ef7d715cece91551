"""The command line: what a person types."""

from __future__ import annotations

import os
import sys

from backhand.cli.app import app
from backhand.cli.errors import sentence

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; what is wrong with the input is one sentence, and exit code 2."""
    # Threads that wait by spinning for work take the processor from each other beside other
    # programs: a training of seconds takes minutes. Read once, when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except (ValueError, ArithmeticError, OSError) as problem:
        print(f"backhand: {sentence(problem)}", file=sys.stderr)
        raise SystemExit(2) from None
