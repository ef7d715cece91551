"""Architecture: a network's layers as JSON, and made again from it.

Only classes that are known are built, so a file can run no code of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from backhand.arguments import bare, shown
from backhand.layer import Layer
from backhand.layers import Initializer
from backhand.tensor_file import Malformed

DEEPEST = 64
"""How deep layers may nest: each level is a call within a call, and Python has a thousand."""

MOST_USES = 1 << 20
"""How many calls of layers one pass may take: those of a layer that is used twice count twice, and
what doubles at every level is soon more than any pass gets through."""


class Extent:
    """Refuses networks that no pass gets through. Looks at each layer once."""

    def __init__(self) -> None:
        self._of: dict[Layer, tuple[int, int]] = {}

    def admit(self, layer: Layer) -> tuple[int, int]:
        """How deep the layer is, itself included, and how many calls it takes.

        Raises:
            Malformed: too deep, or too many.
        """
        if layer not in self._of:
            inside = [self.admit(child) for child in layer.children().values()]
            depth = 1 + max((deep for deep, _ in inside), default=0)
            uses = 1 + sum(uses for _, uses in inside)
            if depth > DEEPEST:
                raise Malformed(f"its layers nest deeper than {DEEPEST} levels")
            if uses > MOST_USES:
                raise Malformed(f"one pass would take more than {MOST_USES} calls of its layers")
            self._of[layer] = depth, uses
        return self._of[layer]


class _Walk:
    """What writing and reading share: how deep they are, and the layers' extent."""

    def __init__(self) -> None:
        self.extent = Extent()
        self._level = 0

    def _deeper(self) -> None:
        self._level += 1
        if self._level > 2 * DEEPEST + 2:  # an object and a list for each layer
            raise Malformed(f"its layers nest deeper than {DEEPEST} levels")


class ArchitectureWriter(_Walk):
    """Objects as JSON; one that comes again as a reference to where it came first."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[int, str] = {}

    def write(self, value: Any, path: str = "") -> Any:
        """A layer, or one of its settings.

        Raises:
            TypeError: it cannot be written; says where it stands.
            Malformed: too deep, or too many calls.
        """
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            self._deeper()
            items = []
            for i, each in enumerate(value):
                items.append(self.write(each, f"{path}.{i}"))
            self._level -= 1
            return items
        if isinstance(value, Layer):
            if id(value) in self._written:
                return {"same as": self._written[id(value)]}
            self._written[id(value)] = path
            found = self._object(value, value.settings(), path)
            self.extent.admit(value)
            return found
        if isinstance(value, Initializer) and dataclasses.is_dataclass(value):
            return self._object(value, dataclasses.asdict(value), path)
        raise TypeError(
            f"save: {path.strip('.')} is a {type(value).__name__}, which cannot be written as JSON"
        )

    def _object(self, value: Any, settings: dict[str, Any], path: str) -> dict[str, Any]:
        self._deeper()
        written: dict[str, Any] = {"class": type(value).__name__}
        for name, each in settings.items():  # no comprehension: that would be one more call deep
            written[name] = self.write(each, f"{path}.{name}")
        self._level -= 1
        return written


class ArchitectureReader(_Walk):
    """The other way.

    Args:
        known: the classes that may be named.
    """

    def __init__(self, known: Mapping[str, type]) -> None:
        super().__init__()
        self._known = known
        self._read: dict[str, Any] = {}

    def read(self, value: Any, path: str = "") -> Any:
        """A layer, or one of its settings.

        Raises:
            Malformed: not what `write` writes, or of an unknown class.
            Exception: whatever a class makes of its arguments.
        """
        if isinstance(value, list):
            self._deeper()
            items = []
            for i, each in enumerate(value):
                items.append(self.read(each, f"{path}.{i}"))
            self._level -= 1
            return items
        if not isinstance(value, dict):
            return value
        if "same as" in value:
            place = value["same as"]
            if len(value) > 1 or not isinstance(place, str) or place not in self._read:
                raise Malformed(
                    f"{_at(path)} is said to be the same as {shown(place)}, and no layer stands "
                    "there before it"
                )
            return self._read[place]
        return self._object(value, path)

    def _object(self, value: dict[str, Any], path: str) -> Any:
        name = value.get("class")
        if not isinstance(name, str):
            raise Malformed(f"{_at(path)} should name its class, and has {shown(name)}")
        if name not in self._known:
            raise Malformed(
                f"names the layer {bare(name)}, which is not known here; "
                f"if it is yours, give load(…, layers=[{bare(name)}])"
            )
        self._deeper()
        settings = {}
        for key, each in value.items():
            if key != "class":
                settings[key] = self.read(each, f"{path}.{key}")
        self._level -= 1
        self._read[path] = made = self._known[name](**settings)
        if isinstance(made, Layer):
            self.extent.admit(made)
        return made


def _at(path: str) -> str:
    return path.strip(".") or "the network"
