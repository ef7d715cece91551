"""A command run as a child with all its own children, none of which outlives it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

SAID = 2000
"""Bytes kept of what a command says."""

SOONEST, LATEST = 0.001, 0.01
"""Seconds between looks whether it has ended."""

_running: set[subprocess.Popen[bytes]] = set()


def run(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command in a process group of its own; the group ends when this does.

    So a compiler's driver takes the passes it started with it: at the time limit, at Ctrl-C, at
    the end of the interpreter.

    Args:
        command: and its arguments.
        seconds: how long it may take.

    Returns:
        Its exit code (negative: the signal that ended it), and the beginning of what it said.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took longer.
    """
    task = _Task(command, seconds)
    try:
        threading.Thread(target=task.run, name="compiler", daemon=True).start()
        task.ended.wait()
    finally:
        task.unwanted.set()
        task.ended.wait(1)
    if task.problem is not None:
        raise task.problem
    return task.code, task.said


class _Task:
    """A command under way, in a thread of its own: Ctrl-C comes in the main thread only, and so
    never between the start of the child and the moment it is known here."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self.command = command
        self.seconds = seconds
        self.unwanted = threading.Event()
        self.ended = threading.Event()
        self.problem: Exception | None = None
        self.code = 0
        self.said = ""

    def run(self) -> None:
        """Run it; `ended` is set when nothing of it is left."""
        try:
            with tempfile.TemporaryFile() as said:  # no pipe, which a child's child may keep open
                self._run(said)
                said.seek(0)
                self.said = said.read(SAID).decode(errors="replace").strip()
        except (OSError, subprocess.TimeoutExpired) as problem:
            self.problem = problem
        finally:
            self.ended.set()

    def _run(self, said: Any) -> None:
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(process)
        end, pause = time.monotonic() + self.seconds, SOONEST
        while process.poll() is None and not self.unwanted.wait(pause):
            pause = min(2 * pause, LATEST)
            if time.monotonic() > end:
                self.problem = subprocess.TimeoutExpired(self.command, self.seconds)
                break
        _end(process)
        self.code = process.wait()
        _running.discard(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # there is none of it left
        os.killpg(process.pid, signal.SIGKILL)


os.register_at_fork(after_in_child=_running.clear)  # they are the parent's


@atexit.register
def _end_all() -> None:
    for process in list(_running):
        _end(process)
