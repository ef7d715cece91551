"""Compilation: C to a shared library, with the compiler there is, kept in a cache folder."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from backhand.program.engines.engine import CannotCompile
from backhand.program.engines.native import cache

FLAGS = (
    "-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-fno-strict-aliasing", "-shared", "-fPIC", "-w",
)  # fmt: skip
"""For this machine. Products and sums may be contracted into one rounding, which is the same at
every run; nothing here lets the compiler forget that there are NaN and infinities."""

SECONDS = 120


@dataclass(frozen=True)
class Compiler:
    """A C compiler.

    Attributes:
        command: how it is called.
        identity: changes when the compiler does.
    """

    command: tuple[str, ...]
    identity: str


def find_compiler() -> Compiler:
    """$CC where that is set, else cc, gcc or clang, else the ziglang package.

    Raises:
        CannotCompile: there is none of them.
    """
    return _find(os.environ.get("CC", ""))


@functools.lru_cache(maxsize=8)
def _find(wanted: str) -> Compiler:
    words = shlex.split(wanted)
    candidates = [words] if words else [["cc"], ["gcc"], ["clang"]]
    for first, *rest in candidates:
        path = shutil.which(first)
        if path is not None:
            found = Path(path).resolve()
            status = found.stat()
            return Compiler((path, *rest), f"{found} {status.st_size} {status.st_mtime_ns} {rest}")
    if words:
        raise CannotCompile(f"CC={wanted}: there is no such program")
    if importlib.util.find_spec("ziglang") is not None:
        from importlib.metadata import version

        return Compiler((sys.executable, "-m", "ziglang", "cc"), f"ziglang {version('ziglang')}")
    raise CannotCompile("there is no C compiler: install gcc or clang, or backhand[zig]")


@functools.cache
def vector_bytes() -> int:
    """Of the machine's widest vectors."""
    return {"AVX512": 64, "AVX2": 32}.get(torch.backends.cpu.get_cpu_capability(), 16)


@functools.cache
def _machine() -> str:
    """What code for this processor depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((each for each in lines if each.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    return f"{platform.system()} {platform.machine()} {flags}"


THREADS = ("-fopenmp",)
"""More flags, where threads share loops; torch's own threads, where its library is the same."""


def load(text: str) -> ctypes.CDLL:
    """The library that a C source compiles to, from the cache where it is there.

    A compiler without OpenMP compiles for one thread.

    Raises:
        CannotCompile: see there.
    """
    if "#pragma omp" in text:
        with contextlib.suppress(CannotCompile):
            return _load(text, (*FLAGS, *THREADS))
    return _load(text, FLAGS)


def _load(text: str, flags: tuple[str, ...]) -> ctypes.CDLL:
    compiler = find_compiler()
    words = [text, compiler.identity, *flags, _machine()]
    key = hashlib.sha256("\0".join(words).encode()).hexdigest()[:40]
    cached = cache.find(key)
    if cached is not None:
        try:
            return ctypes.CDLL(str(cached))
        except OSError:
            cache.remove(key)
    return _compile(compiler, text, flags, key)


def _compile(compiler: Compiler, text: str, flags: tuple[str, ...], key: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="backhand-") as folder:
        source, library = Path(folder, "step.c"), Path(folder, "step.so")
        command = [*compiler.command, *flags, "-o", str(library), str(source), "-lm"]
        try:
            source.write_text(text)
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise CannotCompile(f"{compiler.command[0]}: {problem}") from None
        if done.returncode != 0 or not library.exists():
            said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise CannotCompile(f"{shlex.join(compiler.command)} failed: {said[:2000]}")
        kept = cache.keep(key, library)
        try:
            return ctypes.CDLL(str(kept or library))
        except OSError as problem:
            raise CannotCompile(f"what {compiler.command[0]} made cannot be loaded: {problem}")
