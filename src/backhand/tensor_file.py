"""Files of tensors: safetensors, and in its header what else there is to say, as JSON. No pickle.

What is read was perhaps written by others, or by nobody: all of it is checked, and whatever is
wrong with it is one sentence that names the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from backhand.arguments import shown


class NetworkFileError(ValueError):
    """A network file cannot be read; the message names the file and says why."""


class Malformed(ValueError):
    """What stands in a file is not what should stand there; the message says what."""


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        key: where in the header its description stands.
        name: for messages, "a network".
        newest: the version of its format that this Backhand writes, and the newest it reads.
    """

    key: str
    name: str
    newest: int


def to_bytes(kind: Kind, tensors: Mapping[str, Tensor], described: Mapping[str, Any]) -> bytes:
    """A file's content: tensors by name, and a description that JSON can write."""
    header = json.dumps({"format": kind.newest, **described})
    # Bytes are written as they lie: in order, and with no sign put off.
    plain = {name: each.detach().resolve_neg().contiguous() for name, each in tensors.items()}
    content: bytes = save_tensors(plain, {kind.key: header})
    return content


def from_bytes(
    kind: Kind, content: bytes, path: str | Path
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the description in a file's content; the path is for messages.

    Raises:
        NetworkFileError: cut short, not of this kind, or of a newer format.
    """
    with blaming(path, "not a whole safetensors file, perhaps cut short"):
        tensors: dict[str, Tensor] = load_tensors(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    if kind.key not in metadata:
        raise NetworkFileError(f"{path}: a safetensors file, but not {kind.name} saved by Backhand")
    with blaming(path, "what it says of itself cannot be read"):
        described = expect("its description", json.loads(metadata[kind.key]), dict)
        written = described.get("format")
        if type(written) is not int or written < 1:
            raise Malformed(f"format: expected a whole number of 1 or more, got {shown(written)}")
    if written > kind.newest:
        raise NetworkFileError(
            f"{path}: written in format {written}; this Backhand reads up to {kind.newest}, "
            "a newer one is needed"
        )
    return tensors, described


@contextmanager
def blaming(path: str | Path, saying: str) -> Iterator[None]:
    """Whatever goes wrong inside is the file's fault: one sentence that names it.

    For what has been checked as far as can be, and yet calls into others' code: parsers, and
    constructors of layers.
    """
    try:
        yield
    except NetworkFileError:
        raise
    except Exception as problem:
        raise NetworkFileError(f"{path}: {saying} ({_sentence(problem)})") from None


def _sentence(problem: Exception) -> str:
    if isinstance(problem, RecursionError):
        return "it is nested too deeply"
    if isinstance(problem, KeyError):
        return f"it lacks {problem}"
    text = " ".join(str(problem).split()) or type(problem).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."


_WORDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}


def expect(name: str, value: Any, kind: type, of: type | None = None) -> Any:
    """The value, of one of JSON's types; a list or an object perhaps of another's.

    Raises:
        Malformed: it is something else.
    """
    inside = value.values() if isinstance(value, dict) else value
    if not isinstance(value, kind) or (of and not all(isinstance(each, of) for each in inside)):
        more = f" of {_WORDS[of].split()[-1]}s" if of else ""
        raise Malformed(f"{name}: expected {_WORDS[kind]}{more}, got {shown(value)}")
    return value
