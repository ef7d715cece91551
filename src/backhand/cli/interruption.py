"""Ctrl-C between epochs, so that no epoch, no cleaning up and no file is cut in half."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


class Interruption:
    """While entered, Ctrl-C is noted, and `check` raises it; a second Ctrl-C raises at once.

    Attributes:
        noted: whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.noted = False
        self._before: signal._HANDLER = None

    def check(self, _: object = None) -> None:
        """Called between epochs.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed since.
        """
        if self.noted:
            raise KeyboardInterrupt

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True
