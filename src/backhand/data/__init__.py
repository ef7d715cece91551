"""Data: the disc, XOR, batches, and the door where values are checked once."""

from backhand.data.batches import batches
from backhand.data.checked import Data, check_data
from backhand.data.points import DISC_CENTRE, DISC_RADIUS, disc, xor
from backhand.data.tables import TableError, read_labelled_points, read_points

__all__ = [
    "DISC_CENTRE",
    "DISC_RADIUS",
    "Data",
    "TableError",
    "batches",
    "check_data",
    "disc",
    "read_labelled_points",
    "read_points",
    "xor",
]
