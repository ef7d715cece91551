"""The cache of compiled steps: a folder of libraries, each with its checksum beside it.

Beside them stands what was measured on the machine once, as JSON: see `noted`.
A file gets its name when it is whole, so several processes may use the folder at once. A file
that does not fit its checksum is compiled again. Where the folder cannot be written, nothing is
kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIABLE = "BACKHAND_CACHE"
"""Environment variable that sets another folder."""


def folder() -> Path:
    """Where compiled steps are kept; may not exist yet."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("backhand", appauthor=False)


def find(key: str) -> Path | None:
    """The library of that name, where it is there and whole."""
    path = folder() / f"{key}.so"
    try:
        expected = path.with_suffix(".sha256").read_text()
        return path if _checksum(path) == expected else None
    except (OSError, UnicodeDecodeError):
        return None


def keep(key: str, library: Path) -> Path | None:
    """Copy a library into the folder; None where that cannot be written."""
    path = folder() / f"{key}.so"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = library.read_bytes()
        _write(path, data)
        _write(path.with_suffix(".sha256"), hashlib.sha256(data).hexdigest().encode())
    except OSError:
        return None
    return path


def noted(name: str) -> dict[str, Any]:
    """What was measured on this machine and kept under that name; empty where that is nothing."""
    try:
        found = json.loads((folder() / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note(name: str, key: str, found: Any) -> None:
    """Keep what was measured, beside what is noted; where the folder cannot be written, not."""
    text = json.dumps(noted(name) | {key: found}, indent=1)
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        _write(folder() / f"{name}.json", text.encode())


def remove(key: str) -> None:
    """Forget one library."""
    for suffix in (".so", ".sha256"):
        with contextlib.suppress(OSError):
            (folder() / f"{key}{suffix}").unlink()


def libraries() -> list[Path]:
    """The libraries kept, oldest first."""
    return sorted(folder().glob("*.so"), key=lambda path: path.stat().st_mtime)


def clear() -> int:
    """Remove all of them, and what was measured; returns how many libraries there were."""
    for path in folder().glob("*.json"):
        with contextlib.suppress(OSError):
            path.unlink()
    kept = libraries()
    for path in kept:
        remove(path.stem)
    return len(kept)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Under another name first, so that nobody sees half of it."""
    with _temporary(path.parent) as (handle, name):
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        name.replace(path)


@contextlib.contextmanager
def _temporary(parent: Path) -> Iterator[tuple[int, Path]]:
    handle, name = tempfile.mkstemp(dir=parent, prefix="new-")
    try:
        yield handle, Path(name)
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink(missing_ok=True)
