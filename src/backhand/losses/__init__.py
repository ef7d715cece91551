"""Losses: error functions, with a layer's interface but not layers."""

from backhand.losses.classification import BinaryCrossEntropyLoss, CrossEntropyLoss
from backhand.losses.loss import Loss
from backhand.losses.regression import MSELoss, PoissonLoss
from backhand.losses.weighted import Weighted

__all__ = [
    "BinaryCrossEntropyLoss",
    "CrossEntropyLoss",
    "Loss",
    "MSELoss",
    "PoissonLoss",
    "Weighted",
]
