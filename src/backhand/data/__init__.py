"""Data: the disc, XOR, batches, and the door where values are checked once."""

from backhand.data.batches import batches
from backhand.data.checked import Data, check_data
from backhand.data.points import DISC_CENTRE, DISC_RADIUS, disc, xor

__all__ = ["DISC_CENTRE", "DISC_RADIUS", "Data", "batches", "check_data", "disc", "xor"]
