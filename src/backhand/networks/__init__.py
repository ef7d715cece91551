"""Networks: architectures by composition. Each is itself a layer."""

from backhand.networks.branches import Branches, Concatenate, Product, Residual, Stack, Sum
from backhand.networks.heads import MultiHeadAttention
from backhand.networks.recurrent import GRU, LSTM, RNN, LastStep
from backhand.networks.saving import NetworkFileError, load, save
from backhand.networks.sequential import Sequential
from backhand.networks.sharing import share
from backhand.networks.summary import Summary, summary

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Branches",
    "Concatenate",
    "LastStep",
    "MultiHeadAttention",
    "NetworkFileError",
    "Product",
    "Residual",
    "Sequential",
    "Stack",
    "Sum",
    "Summary",
    "load",
    "save",
    "share",
    "summary",
]
