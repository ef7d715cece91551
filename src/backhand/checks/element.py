"""Elements: derivatives compared, one by one, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Element:
    """One derivative, both ways.

    Attributes:
        name: what it is by: "input", or a parameter by path and layer.
        index: which element of it.
        backward: what the backward says.
        numeric: what finite differences say.
    """

    name: str
    index: tuple[int, ...]
    backward: float
    numeric: float

    @property
    def difference(self) -> float:
        """|backward - numeric| / max(1, |backward|, |numeric|)."""
        scale = max(1.0, abs(self.backward), abs(self.numeric))
        return abs(self.backward - self.numeric) / scale

    def __str__(self) -> str:
        return (
            f"{self.name}[{', '.join(map(str, self.index))}]: backward says {self.backward:.10g}, "
            f"finite differences {self.numeric:.10g}"
        )


@dataclass(frozen=True)
class GradientCheck:
    """What was compared. `str()` tells how many elements, and the worst of them."""

    compared: int
    worst: Element | None

    def __str__(self) -> str:
        worst = f"; worst {self.worst}" if self.worst is not None else ""
        return f"{self.compared} derivatives agree{worst}"
