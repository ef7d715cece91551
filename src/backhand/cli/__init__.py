"""The command line: what a person types."""

from __future__ import annotations

import sys

from backhand.cli.app import app
from backhand.cli.errors import sentence

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; what is wrong with the input is one sentence, and exit code 2."""
    try:
        app()
    except (ValueError, ArithmeticError, OSError) as problem:
        print(f"backhand: {sentence(problem)}", file=sys.stderr)
        raise SystemExit(2) from None
