"""Where a command writes: a folder, a file, the screen."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
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
