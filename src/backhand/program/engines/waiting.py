"""Waiting: OpenMP's threads sleep while there is nothing to do, where they would spin.

A thread that spins for its next share of work takes a processor from whoever has work, beside other
programs from its own team: a training of one second takes a minute. `OMP_WAIT_POLICY` is read once,
when torch is loaded, which a library cannot come before. But GNU's OpenMP also lets a thread spin
for microseconds only, where it keeps more threads than there are processors (libgomp, config/linux/
wait.h, `gomp_throttled_spin_count_var`). So as many as it takes are kept, asleep for good.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from typing import Any

WISHES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables by which a user says how threads shall wait."""


def wait_without_spinning(threads: int) -> None:
    """From now on OpenMP's threads in this process sleep soon, when they have nothing to do.

    Costs threads that sleep for good: two, and one more for each processor that the team leaves.
    Nothing happens where the user has said how to wait, or OpenMP's library is not GNU's.

    Args:
        threads: of the team that shares work.
    """
    library = _gnu_openmp()
    if threads < 2 or library is None or any(wish in os.environ for wish in WISHES):
        return
    _SLEEPERS.keep(library, library.omp_get_num_procs() - threads + 1)


class _Sleepers:
    """Threads of OpenMP's, kept and never used."""

    def __init__(self) -> None:
        self._kept = 0
        self._lock = threading.Lock()

    def keep(self, library: ctypes.CDLL, count: int) -> None:
        """No fewer than so many, beside the one of Python's that keeps them."""
        with self._lock:
            if count > self._kept:
                asleep = threading.Event()
                arguments = (library, count - self._kept, asleep)
                threading.Thread(
                    target=_sleep, args=arguments, name="keeps OpenMP's sleepers", daemon=True
                ).start()
                asleep.wait()
                self._kept = count


_SLEEPERS = _Sleepers()


def _sleep(library: ctypes.CDLL, count: int, asleep: threading.Event) -> None:
    # A team is kept as long as the thread lives that began it; what it shares is nothing.
    library.GOMP_parallel(library.omp_get_thread_num, None, count + 1, 0)
    asleep.set()
    threading.Event().wait()


@functools.cache
def _gnu_openmp() -> Any:
    """The library that torch has loaded; None where that is another."""
    try:
        return ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except (OSError, AttributeError):
        return None
