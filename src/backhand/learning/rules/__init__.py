"""Update rules: how a gradient moves a parameter; one family a file."""

from backhand.learning.rules.adam import Adam, AdamW
from backhand.learning.rules.descent import SGD, Momentum
from backhand.learning.rules.pace import WithRate
from backhand.learning.rules.rule import UpdateRule

__all__ = ["SGD", "Adam", "AdamW", "Momentum", "UpdateRule", "WithRate"]
