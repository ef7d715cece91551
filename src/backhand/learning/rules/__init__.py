"""Update rules: how a gradient moves a parameter; one family a file."""

from backhand.learning.rules.adam import Adam, AdamW
from backhand.learning.rules.adam_variants import NAdam, RAdam
from backhand.learning.rules.descent import SGD, Momentum
from backhand.learning.rules.lion import Lion
from backhand.learning.rules.pace import WithRate
from backhand.learning.rules.rule import UpdateRule
from backhand.learning.rules.scaled import Adagrad, RMSProp

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Momentum",
    "NAdam",
    "RAdam",
    "RMSProp",
    "UpdateRule",
    "WithRate",
]
