"""Networks: architectures by composition. Each is itself a layer."""

from backhand.networks.branches import Branches, Concatenate, Product, Residual, Stack, Sum
from backhand.networks.saving import NetworkFileError, load, save
from backhand.networks.sequential import Sequential
from backhand.networks.sharing import share
from backhand.networks.summary import Summary, summary

__all__ = [
    "Branches",
    "Concatenate",
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
