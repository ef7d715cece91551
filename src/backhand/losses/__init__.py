"""Losses: error functions, with a layer's interface but not layers."""

from backhand.losses.classification import BinaryCrossEntropyLoss, HingeLoss, MultiMarginLoss
from backhand.losses.cross_entropy import CrossEntropyLoss, NLLLoss
from backhand.losses.divergence import KLDivLoss
from backhand.losses.itself import Itself
from backhand.losses.loss import Loss
from backhand.losses.regression import (
    HuberLoss,
    L1Loss,
    MSELoss,
    PoissonLoss,
    QuantileLoss,
    SmoothL1Loss,
)
from backhand.losses.similarity import ContrastiveLoss, CosineEmbeddingLoss, TripletMarginLoss
from backhand.losses.weighted import Weighted

__all__ = [
    "BinaryCrossEntropyLoss",
    "ContrastiveLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "HingeLoss",
    "HuberLoss",
    "Itself",
    "KLDivLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonLoss",
    "QuantileLoss",
    "SmoothL1Loss",
    "TripletMarginLoss",
    "Weighted",
]
