"""What a recording freed goes back to the system before a large arena is asked for."""

from __future__ import annotations

import subprocess
import sys

BLOCKS, BYTES = 100, 1 << 20

SCRIPT = f"""
import resource
from pathlib import Path
import torch
import backhand as bh
from backhand.program.engines.plan_memory import LARGE, PlanMemory
from backhand.program.plan import Plan

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def block(size={BYTES}):
    return torch.ones(size, dtype=torch.uint8)

block(4 * {BYTES})  # freed at once: from here on the C library keeps what is no larger
blocks, between = zip(*((block(), block({BYTES} // 20)) for _ in range({BLOCKS})))
before = resident()
del blocks
kept = resident()
memory = PlanMemory(Plan([], [], {{}}, {{}}, {{}}, arena=LARGE), {{}})
print(before - kept, kept - resident())
"""


def test_a_large_arena_finds_what_was_freed_given_back() -> None:
    command = [sys.executable, "-c", SCRIPT]
    found = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    by_itself, given_back = map(int, found.split())
    assert by_itself < BLOCKS * BYTES / 2, "the C library kept nothing, so nothing is shown"
    assert given_back > BLOCKS * BYTES / 2  # though the arena itself took a third of it
