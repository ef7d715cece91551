"""What the tests go through: every layer, loss and rule, a row each, in the files beside this.

A new layer, loss or rule is one row in one of them, or in a new file, which is then gathered
here; case.py says what a row may hold.
"""

from __future__ import annotations

import pytest

from cases import (
    activations,
    compositions,
    convolution,
    linear,
    losses,
    normalization,
    rules,
    sequences,
    statistics,
)
from cases.case import Case
from cases.losses import LossCase
from cases.rules import RuleCase

LAYERS: list[Case] = [
    *linear.CASES,
    *activations.CASES,
    *statistics.CASES,
    *convolution.CASES,
    *normalization.CASES,
    *sequences.CASES,
    *compositions.CASES,
]
LOSSES: list[LossCase] = [*losses.CASES]
RULES: list[RuleCase] = [*rules.CASES]

every_layer = pytest.mark.parametrize("case", LAYERS, ids=str)
native_layers = [pytest.param(x, marks=[pytest.mark.soak] * x.long, id=str(x)) for x in LAYERS]
every_native_layer = pytest.mark.parametrize("case", native_layers)
every_repeatable_native_layer = pytest.mark.parametrize(
    "case", [x for x in native_layers if not x.values[0].draws]
)
every_loss = pytest.mark.parametrize("case", LOSSES, ids=str)
every_kind_of_loss = pytest.mark.parametrize(
    "case", [x for x in LOSSES if x.kind and x.towers == 1], ids=str
)
every_loss_of_towers = pytest.mark.parametrize(
    "case", [x for x in LOSSES if x.kind and x.towers > 1], ids=str
)
every_weighted_loss = pytest.mark.parametrize(
    "case", [x for x in LOSSES if x.kind and x.towers == 1 and x.rows], ids=str
)
every_rule = pytest.mark.parametrize("rule", RULES, ids=str)
every_kind_of_rule = pytest.mark.parametrize("rule", [x for x in RULES if x.kind], ids=str)

__all__ = [
    "LAYERS",
    "LOSSES",
    "RULES",
    "Case",
    "LossCase",
    "RuleCase",
    "every_kind_of_loss",
    "every_kind_of_rule",
    "every_layer",
    "every_loss",
    "every_loss_of_towers",
    "every_native_layer",
    "every_repeatable_native_layer",
    "every_rule",
    "every_weighted_loss",
    "native_layers",
]
