"""A layer, and the contract it keeps, reads in a minute: no file there is long, and no method."""

from __future__ import annotations

import ast
from pathlib import Path

import backhand

ROOMS = ("layers", "networks", "losses")
SOURCE = Path(backhand.__file__).parent
FILES = [
    *SOURCE.glob("layer*.py"),
    *(file for room in ROOMS for file in (SOURCE / room).rglob("*.py")),
]


def test_no_file_has_over_300_lines_and_no_method_over_40() -> None:
    found = []
    for file in FILES:
        text = file.read_text()
        lines = len(text.splitlines())
        found += [f"{file.name}: {lines}"] if lines > 300 else []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                found += [f"{file.name}, {node.name}: {lines}"] if lines > 40 else []
    assert len(FILES) > 30
    assert found == []
