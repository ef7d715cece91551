"""What a model's file holds: the network of its members, and what stands about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backhand.arguments import shown
from backhand.networks import NetworkFileError, Stack
from backhand.networks.saving import load_about


def read_model(path: str | Path) -> tuple[Stack, dict[str, Any]]:
    """The members of a model's file, and what stands there about them.

    Raises:
        NetworkFileError: the file is no model of a table.
        OSError: the file cannot be read.
    """
    network, about = load_about(path)
    found = about.get("table")
    if not isinstance(network, Stack) or not isinstance(found, dict):
        raise NetworkFileError(f"{path}: expected a model of a table, found a network without one")
    if not isinstance(found.get("estimator"), str):
        given = shown(found.get("estimator"))
        raise NetworkFileError(f"{path}: expected the name of an estimator, found {given}")
    return network, found
