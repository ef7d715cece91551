"""Recurrence in one direction over one layer (recurrence.py) and the mathematics of a time step
(cells.py); networks/recurrent.py stacks them."""

from backhand.layers.recurrent.cells import (
    GatedRecurrence,
    LongShortTermMemory,
    PlainRecurrence,
    RectifiedRecurrence,
)

__all__ = ["GatedRecurrence", "LongShortTermMemory", "PlainRecurrence", "RectifiedRecurrence"]
