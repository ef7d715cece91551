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
import time
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backhand.program.engines.engine import CannotCompile
from backhand.program.engines.native import cache, child
from backhand.program.engines.native.addresses import USE, blas_addresses
from backhand.program.engines.native.entry import ENTRY

FLAGS = (
    "-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-fno-strict-aliasing", "-shared", "-fPIC", "-w",
)  # fmt: skip
"""For this machine. Products and sums may be contracted into one rounding, which is the same at
every run; nothing here lets the compiler forget that there are NaN and infinities."""

STEADY = ("-ffp-contract=off",)
"""More flags, where a row's bits shall not depend on how the compiler cut a loop."""

SECONDS = 120
"""A compiler may take."""

SECONDS_PER_KIB = 0.012
"""Of C text, gcc 12 at -O3 on an EPYC, processor time: 8 for a network of a few units, 9 to 13 for
networks of tables (three layers of 256), 10 to 35 for 6 to 45 narrow layers, in thousandths."""


def seconds_to_compile(text: str) -> float:
    """How long a C source will take to compile, roughly."""
    return SECONDS_PER_KIB * len(text) / 1024


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
    try:
        words = shlex.split(wanted)
    except ValueError as problem:
        raise CannotCompile(f"CC={wanted}: {problem}") from None
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
def processor() -> str:
    """Its name, for a person to read."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


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


@dataclass
class Compilation:
    """Seconds that compilers took."""

    seconds: float = 0.0


_COUNTED: ContextVar[tuple[Compilation, ...]] = ContextVar("counted", default=())


@contextlib.contextmanager
def counted_compilation() -> Iterator[Compilation]:
    """Counts what this thread spends compiling while entered; what the cache holds costs none."""
    counted = Compilation()
    token = _COUNTED.set((*_COUNTED.get(), counted))
    try:
        yield counted
    finally:
        _COUNTED.reset(token)


class TookTooLong(CannotCompile):
    """The compiler did not end within SECONDS."""


class Library:
    """A compiled step, loaded; unloaded when nobody holds it any more."""

    def __init__(self, path: Path) -> None:
        """Load a file.

        Raises:
            OSError: it is no library, or not for this machine.
        """
        library = ctypes.CDLL(str(path))
        # Not at exit: another thread may be in it still.
        weakref.finalize(self, _unload, library._handle).atexit = False
        self.function: Any = getattr(library, ENTRY, None)
        if self.function is None:
            raise OSError(f"there is no {ENTRY} in it")
        self.function.restype = ctypes.c_int64
        use = getattr(library, USE, None)
        if use is not None:
            use(*map(ctypes.c_void_p, blas_addresses() or ()))


def _unload(handle: int) -> None:
    dlclose = ctypes.CDLL(None).dlclose
    dlclose.argtypes = [ctypes.c_void_p]
    dlclose(handle)


def load_library(text: str, flags: tuple[str, ...] = ()) -> Library:
    """The library that a C source compiles to, from the cache where it is there.

    A compiler without OpenMP compiles for one thread.

    Args:
        text: of the source.
        flags: more than FLAGS.

    Raises:
        CannotCompile: see there.
    """
    if "#pragma omp" in text:
        try:
            library = _load(text, (*FLAGS, *flags, *THREADS))
            _keep_openmp()
            return library
        except TookTooLong:
            raise
        except CannotCompile:
            pass
    return _load(text, (*FLAGS, *flags))


@functools.cache
def _keep_openmp() -> None:
    """Keep OpenMP's library when those that use it go: its threads wait inside it."""
    for name in ("libgomp.so.1", "libomp.so", "libomp.so.5", "libomp.dylib"):
        with contextlib.suppress(OSError):  # it is not loaded
            ctypes.CDLL(name, mode=os.RTLD_NOW | os.RTLD_NOLOAD | os.RTLD_NODELETE)


def _load(text: str, flags: tuple[str, ...]) -> Library:
    compiler = find_compiler()
    words = [text, compiler.identity, *flags, _machine()]
    key = hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()[:40]
    cached = cache.find(key)
    if cached is not None:
        try:
            return Library(cached)
        except OSError:
            cache.remove(key)
    begun = time.perf_counter()
    try:
        return _compile(compiler, text, flags, key)
    except subprocess.TimeoutExpired:
        raise TookTooLong(f"{compiler.command[0]} did not end within {SECONDS} s") from None
    except OSError as problem:
        raise CannotCompile(f"{compiler.command[0]}: {problem}") from None
    finally:
        seconds = time.perf_counter() - begun
        for counted in _COUNTED.get():
            counted.seconds += seconds


def _compile(compiler: Compiler, text: str, flags: tuple[str, ...], key: str) -> Library:
    with tempfile.TemporaryDirectory(prefix="backhand-") as folder:
        source, library = Path(folder, "step.c"), Path(folder, "step.so")
        source.write_text(text, encoding="utf-8")
        command = [*compiler.command, *flags, "-o", str(library), str(source), "-lm"]
        code, said = child.run(command, SECONDS)
        try:
            if code != 0 or not library.exists():
                how = f"exit code {code}" if code >= 0 else f"ended by signal {-code}"
                raise CannotCompile(f"{shlex.join(compiler.command)} failed: {said or how}")
            made = Library(library)
        except (CannotCompile, OSError) as problem:
            why = str(problem).replace(f"{folder}/", "")  # what is said again is the same then
            if isinstance(problem, OSError):
                why = f"what {compiler.command[0]} made cannot be loaded: {why}"
            raise CannotCompile(why) from None
        kept = cache.keep(key, library)
        return made if kept is None else Library(kept)
