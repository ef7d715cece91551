"""Where a command writes: a folder, a file, the screen."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from backhand.files import written_whole


def check_writable(out: Path) -> None:
    """Make the folder, and refuse it before any work is done for it.

    Raises:
        OSError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out):
            pass
    except OSError as problem:
        raise OSError(problem.errno, f"cannot write there ({problem.strerror})", str(out)) from None


def check_file(out: Path | None, inputs: Iterable[Path], force: bool) -> None:
    """Refuse a file to write to before any work is done for it.

    Raises:
        ValueError: its folder is not there, or it is an input itself and nothing forces it.
    """
    if out is None:
        return
    if not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}")
    for path in inputs:
        if not force and out.exists() and path.exists() and out.samefile(path):
            raise ValueError(f"{out}: is what is read; --force writes over it")


def check_folder(out: Path, names: Iterable[str], inputs: Iterable[Path], force: bool) -> None:
    """Refuse a folder in which files of these names would be written over an input.

    Raises:
        ValueError: they would, and nothing forces it.
    """
    for name in names:
        if (out / name).exists():
            check_file(out / name, inputs, force)


@contextmanager
def written_or_printed(out: Path | None) -> Iterator[IO[Any]]:
    """A file that takes its place when all is written; standard output where there is none.

    Raises:
        OSError: the file cannot be written.
    """
    if out is None:
        yield sys.stdout
        return
    with written_whole(out) as file:
        yield file
    print(f"written to {out}")
