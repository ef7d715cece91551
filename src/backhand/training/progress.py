"""Progress: one line on stderr that says how far a training is."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from backhand.training.history import Epoch

AFTER = 1.0
"""Seconds from which a training is long enough to be told of, unless it is asked for."""

BETWEEN = 0.1
BETWEEN_LINES = 10.0
"""Seconds from one line to the next: in a terminal, where it is written over, and elsewhere."""


class Progress:
    """A line that is written over in a terminal; elsewhere, lines now and then.

    Args:
        epochs: of the whole training.
        asked_for: True: from the first epoch on; None: where stderr is a terminal, from AFTER on;
            False: never.
        file: default stderr.
    """

    def __init__(self, epochs: int, asked_for: bool | None, file: TextIO | None = None) -> None:
        self._epochs = epochs
        self._file = sys.stderr if file is None else file
        self._overwrites = self._file.isatty()
        self._shows = self._overwrites if asked_for is None else asked_for
        self._between = BETWEEN if self._overwrites else BETWEEN_LINES
        self._next = time.perf_counter() + (0.0 if asked_for else AFTER)
        self._line = ""
        self._written = ""

    def tell(self, epoch: Epoch) -> None:
        """An epoch is over."""
        if not self._shows:
            return
        now = time.perf_counter()
        self._line = self._text(epoch)
        if now >= self._next:
            self._next = now + self._between
            self._write()

    def end(self) -> None:
        """No more epochs come, or something went wrong: what was begun is ended."""
        if not self._written:
            return
        if self._line != self._written:
            self._write()
        if self._overwrites:
            self._file.write("\n")
            self._file.flush()

    def _write(self) -> None:
        if self._overwrites:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps is not written over
            self._file.write(f"\r{self._line[:width]}\x1b[K")
        else:
            self._file.write(f"{self._line}\n")
        self._file.flush()
        self._written = self._line

    def _text(self, epoch: Epoch) -> str:
        parts = [f"epoch {epoch.number}/{self._epochs}", f"{epoch.seconds:.1f} s"]
        parts.append(f"loss {epoch.loss:.3g}")
        for data, measures in epoch.measures.items():
            parts.append(" ".join([data, *(f"{k} {v:.3g}" for k, v in measures.items())]))
        return "  ".join(parts)
