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
import math
import os
import threading
from typing import Any

import torch

WISHES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables by which a user says how threads shall wait."""


def wait_without_spinning() -> None:
    """From now on OpenMP's threads in this process sleep soon, when they have nothing to do.

    Called by whatever computes, for torch may share any of it among threads. Costs threads that
    sleep for good: two, and one more for each processor that torch leaves alone. Nothing happens
    where torch has one thread, where the user has said how to wait, or where OpenMP's library is
    not GNU's.
    """
    threads = torch.get_num_threads()
    if 1 < threads < _SLEEPERS.enough_for:
        _SLEEPERS.suffice(threads)


class _Sleepers:
    """Threads of OpenMP's, kept and never used.

    Attributes:
        enough_for: with so many threads at work, or more, there are more than processors.
    """

    def __init__(self) -> None:
        self.enough_for: float = math.inf
        self._kept = 0
        self._lock = threading.Lock()

    def suffice(self, threads: int) -> None:
        """Keep as many as it takes beside so many at work."""
        library = _gnu_openmp()
        with self._lock:
            if library is None or any(wish in os.environ for wish in WISHES):
                self.enough_for = 0
            if threads >= self.enough_for:
                return
            assert library is not None
            count = max(library.omp_get_num_procs() - threads + 1, 1)
            if count > self._kept:
                asleep = threading.Event()
                arguments = (library, count - self._kept, asleep)
                name = "keeps OpenMP's sleepers"
                threading.Thread(target=_sleep, args=arguments, name=name, daemon=True).start()
                asleep.wait()
                self._kept = count
            self.enough_for = threads


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
