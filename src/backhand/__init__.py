"""Backhand: neural networks whose every backward pass is written by hand, with autograd off."""

from backhand.checks import GradientMismatch, gradient_check
from backhand.checks.gradients import gradients
from backhand.layer import Layer, LayerError
from backhand.layers import (
    SELU,
    Dropout,
    FullyConnected,
    Initializer,
    KaimingNormal,
    KaimingUniform,
    Mish,
    NeuralTangentLinear,
    ReLU,
    Scale,
    Sigmoid,
    Tanh,
    XavierNormal,
    XavierUniform,
)
from backhand.learning.buffer import Buffer
from backhand.learning.gates import Accumulation, Gate
from backhand.learning.parameter import Parameter
from backhand.learning.rules import SGD, Adam, AdamW, Momentum, UpdateRule, WithRate
from backhand.losses import (
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    Loss,
    MSELoss,
    PoissonLoss,
    Weighted,
)
from backhand.networks import (
    Concatenate,
    Product,
    Residual,
    Sequential,
    Stack,
    Sum,
    load,
    save,
    share,
    summary,
)
from backhand.program import Prediction, Replay, TrainingStep
from backhand.training import History, NonFiniteLoss, accuracy, evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "SELU",
    "SGD",
    "Accumulation",
    "Adam",
    "AdamW",
    "BinaryCrossEntropyLoss",
    "Buffer",
    "Concatenate",
    "CrossEntropyLoss",
    "Dropout",
    "FullyConnected",
    "Gate",
    "GradientMismatch",
    "History",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "Layer",
    "LayerError",
    "Loss",
    "MSELoss",
    "Mish",
    "Momentum",
    "NeuralTangentLinear",
    "NonFiniteLoss",
    "Parameter",
    "PoissonLoss",
    "Prediction",
    "Product",
    "ReLU",
    "Replay",
    "Residual",
    "Scale",
    "Sequential",
    "Sigmoid",
    "Stack",
    "Sum",
    "Tanh",
    "TrainingStep",
    "UpdateRule",
    "Weighted",
    "WithRate",
    "XavierNormal",
    "XavierUniform",
    "accuracy",
    "evaluate",
    "fit",
    "gradient_check",
    "gradients",
    "load",
    "save",
    "share",
    "summary",
]
