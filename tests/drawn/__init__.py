"""Networks, losses, rules, gates and what happens to them between steps, all drawn from a seed.

networks.py draws what is trained; changes.py what is changed between steps; worlds.py trains the
same thing plainly, by Replay and by Native, and compares.
"""

from drawn.changes import CHANGES, SUBTLE
from drawn.worlds import KINDS, Disagreement, train_all

__all__ = ["CHANGES", "KINDS", "SUBTLE", "Disagreement", "train_all"]
