"""Writes layers.md: every layer, loss, rule and initializer, and every torch function they call.

Usage: python docs/listing.py
"""

from __future__ import annotations

import ast
import functools
import inspect
from pathlib import Path
from types import ModuleType

import torch

import backhand as bh
from backhand import layers, losses, networks
from backhand.learning import rules

HERE = Path(__file__).parent
SOURCE = Path(bh.__file__).parent
ROOMS = ("layers", "networks", "losses", "learning")


def first_line(each: type) -> str:
    """What a class is, in the first sentence of its docstring."""
    paragraph = (inspect.getdoc(each) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def classes(module: ModuleType, kind: type) -> list[type]:
    """The public classes of a module that are of a kind, but the kind itself."""
    found = (getattr(bh, name, None) for name in module.__all__)
    return [each for each in found if isinstance(each, type) and issubclass(each, kind)
            and each is not kind]  # fmt: skip


def grid(found: list[type]) -> str:
    """A table of classes, and what each is."""
    rows = [f"| `{each.__name__}` | {first_line(each)} |" for each in found]
    return "\n".join(["| | |", "|---|---|", *rows])


def torch_functions() -> dict[str, list[str]]:
    """Every torch function that a room names, by room."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for room in ROOMS:
        for path in sorted((SOURCE / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and is_function(name := ast.unparse(node)):
                    found[room].add(name)
    return {room: sorted(names) for room, names in found.items()}


def is_function(name: str) -> bool:
    """Whether a dotted name is a function of torch's."""
    first, *rest = name.split(".")
    if first != "torch" or not all(word.isidentifier() for word in rest):
        return False
    value = functools.reduce(getattr, rest, torch)
    return callable(value) and not isinstance(value, type)


def page() -> str:
    """The page."""
    families = {
        "Layers": classes(layers, bh.Layer),
        "Networks": classes(networks, bh.Layer),
        "Losses": classes(losses, bh.Loss),
        "Update rules": classes(rules, bh.UpdateRule),
        "Initializers": classes(layers, bh.Initializer),
    }
    parts = [
        "# Layers, losses, rules\n\n"
        "Made by `python docs/listing.py` from the docstrings, which give shapes, arguments, "
        "backward and source: `help(backhand.Conv2d)`. Constructor arguments are named as "
        "PyTorch names them."
    ]
    parts += [f"## {title}\n\n{grid(found)}" for title, found in families.items()]
    calls = "\n".join(
        f"- `{room}/`: {', '.join(f'`{name}`' for name in names)}"
        for room, names in torch_functions().items()
    )
    parts.append(
        "## Every torch function they name\n\nBeside the methods of tensors. None of autograd's, "
        f"no ready-made backward.\n\n{calls}"
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    (HERE / "layers.md").write_text(page())
