"""Layers: one family a file. A layer is its mathematics and nothing else."""

from backhand.layers.activations import SELU, Mish, ReLU, Sigmoid, Tanh
from backhand.layers.activations_gated import GELU, Hardswish, SiLU
from backhand.layers.activations_normalized import LogSoftmax, Softmax
from backhand.layers.activations_rectified import ELU, LeakyReLU, PReLU, Softplus
from backhand.layers.attention import Attention
from backhand.layers.averaging import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
)
from backhand.layers.batch_normalization import BatchNorm1d, BatchNorm2d
from backhand.layers.channels import GroupNorm
from backhand.layers.convolution import Conv1d, Conv2d
from backhand.layers.dropout import Dropout
from backhand.layers.embedding import Embedding
from backhand.layers.initializers import (
    Constant,
    Initializer,
    KaimingNormal,
    KaimingUniform,
    LeCunNormal,
    LeCunUniform,
    Normal,
    Orthogonal,
    TruncatedNormal,
    XavierNormal,
    XavierUniform,
    Zeros,
)
from backhand.layers.linear import FullyConnected
from backhand.layers.linear_cross_entropy import LinearCrossEntropy
from backhand.layers.normalization import LayerNorm, RMSNorm
from backhand.layers.pooling import MaxPool1d, MaxPool2d
from backhand.layers.positions import PositionalEmbedding, RotaryEmbedding, SinusoidalPositions
from backhand.layers.recurrent import (
    GatedRecurrence,
    LongShortTermMemory,
    PlainRecurrence,
    RectifiedRecurrence,
)
from backhand.layers.shape import Flatten, Reshape, Transpose
from backhand.layers.tabular import NeuralTangentLinear, Scale
from backhand.layers.transposed import ConvTranspose1d, ConvTranspose2d

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "Attention",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Constant",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "FullyConnected",
    "GatedRecurrence",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GroupNorm",
    "Hardswish",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "LayerNorm",
    "LeCunNormal",
    "LeCunUniform",
    "LeakyReLU",
    "LinearCrossEntropy",
    "LogSoftmax",
    "LongShortTermMemory",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "NeuralTangentLinear",
    "Normal",
    "Orthogonal",
    "PReLU",
    "PlainRecurrence",
    "PositionalEmbedding",
    "RMSNorm",
    "ReLU",
    "RectifiedRecurrence",
    "Reshape",
    "RotaryEmbedding",
    "Scale",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositions",
    "Softmax",
    "Softplus",
    "Tanh",
    "Transpose",
    "TruncatedNormal",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
]
