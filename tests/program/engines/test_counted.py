"""Seconds that compilers took, counted by who asks."""

from __future__ import annotations

import threading

import pytest

from backhand.program.engines.engine import CannotCompile
from backhand.program.engines.native import cache, counted_compilation
from backhand.program.engines.native.compile import load_library
from backhand.program.engines.native.entry import ENTRY

SOURCE = f"long {ENTRY}(void) {{ return %d; }}"


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch, quick_compiler) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


def test_counts_what_is_compiled_and_nothing_that_is_cached() -> None:
    with counted_compilation() as outer:
        with counted_compilation() as first:
            load_library(SOURCE % 1)
        with counted_compilation() as again:
            load_library(SOURCE % 1)
    assert first.seconds > 0 == again.seconds
    assert outer.seconds == first.seconds
    load_library(SOURCE % 2)
    assert outer.seconds == first.seconds


def test_counts_what_failed_too() -> None:
    with counted_compilation() as counted, pytest.raises(CannotCompile):
        load_library("no C at all")
    assert counted.seconds > 0


def test_counts_for_each_thread_by_itself() -> None:
    counts = {}

    def work(number: int, compiles: bool) -> None:
        with counted_compilation() as counted:
            if compiles:
                load_library(SOURCE % number)
            barrier.wait()
        counts[number] = counted.seconds

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=work, args=(n, n == 3)) for n in (3, 4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert counts[3] > 0 == counts[4]
