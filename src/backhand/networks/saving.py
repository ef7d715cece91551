"""Saving: weights in safetensors, the architecture as JSON in the same file. No pickle.

The architecture is rebuilt from a closed list of classes, so a file can run no code of its own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from backhand import layers as layer_classes
from backhand.files import written_whole
from backhand.layer import Layer
from backhand.layers import Initializer
from backhand.networks.branches import Concatenate, Product, Residual, Stack, Sum
from backhand.networks.heads import MultiHeadAttention
from backhand.networks.recurrent import GRU, LSTM, RNN, LastStep
from backhand.networks.sequential import Sequential

FORMAT = 1
"""The version of the file format that this Backhand writes, and the newest it reads."""

KNOWN: tuple[type, ...] = (
    *(getattr(layer_classes, name) for name in layer_classes.__all__),
    Concatenate,
    GRU,
    LSTM,
    LastStep,
    MultiHeadAttention,
    Product,
    RNN,
    Residual,
    Sequential,
    Stack,
    Sum,
)
"""The classes a file may name."""


class NetworkFileError(ValueError):
    """A network file cannot be read; the message names the file and says why."""


def save(network: Layer, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a network's weights, buffers and architecture to a file, whole or not at all.

    A layer that appears twice is one again after loading. Rules and their state are not saved.

    Args:
        network: layers that keep their constructors' arguments (see Layer.settings).
        path: conventionally ending in .safetensors; an old file there is replaced at the end.
        about: more to keep in the file, as JSON; see load_about. Default nothing.

    Raises:
        TypeError: a layer's setting cannot be written as JSON; names the layer.
        OSError: the file cannot be written.
    """
    path = Path(path)
    architecture = _Writer().write(network, "")
    parts = network.parts()
    frozen = [name for name, part in parts.items() if part.frozen]
    header = {"format": FORMAT, "network": architecture, "frozen": frozen, "about": about or {}}
    metadata = {"backhand": json.dumps(header)}
    tensors = {name: part.value.contiguous() for name, part in parts.items()}
    content = save_tensors(tensors, metadata)
    with written_whole(path, binary=True) as file:
        file.write(content)


def load(path: str | Path, layers: Iterable[type[Layer]] = ()) -> Layer:
    """Read a network that `save` wrote: the same layers and weights, ready to predict or learn.

    Its parameters learn by SGD, the default. Draws nothing from torch's generator.

    Args:
        path: the file.
        layers: classes of your own that the file may name beside Backhand's.

    Raises:
        NetworkFileError: the file is cut short, not Backhand's, of a newer format, names an
            unknown layer, or its weights do not fit its architecture.
        OSError: the file cannot be read.
    """
    return load_about(path, layers)[0]


def load_about(
    path: str | Path, layers: Iterable[type[Layer]] = ()
) -> tuple[Layer, dict[str, Any]]:
    """The network that `load` reads, and what `save` was given to keep about it."""
    path = Path(path)
    known = {each.__name__: each for each in (*KNOWN, *layers)}
    tensors, header = _read(path)
    try:
        with torch.random.fork_rng(devices=[]):
            network: Layer = _Reader(known).read(header["network"], "")
    except _Unreadable as problem:
        raise NetworkFileError(f"{path}: {problem}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise NetworkFileError(f"{path}: its architecture cannot be built: {problem}") from None
    parts = network.parts()
    for name in parts.keys() ^ tensors.keys():
        what = "lacks" if name in parts else "has, beyond its architecture,"
        raise NetworkFileError(f"{path}: the file {what} the weight {name}")
    for name, part in parts.items():
        if tensors[name].shape != part.value.shape:
            raise NetworkFileError(
                f"{path}: weight {name} is of shape {tuple(tensors[name].shape)}, "
                f"its layer expects {tuple(part.value.shape)}"
            )
        part.value = tensors[name].clone()
        part.frozen = name in header["frozen"]
    return network, header.get("about", {})


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights and the header of a file."""
    content = path.read_bytes()
    try:
        tensors = load_tensors(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError) as problem:
        raise NetworkFileError(
            f"{path}: not a whole safetensors file, perhaps cut short ({problem})"
        ) from None
    if "backhand" not in metadata:
        raise NetworkFileError(f"{path}: a safetensors file, but not a network saved by Backhand")
    header = json.loads(metadata["backhand"])
    if header["format"] > FORMAT:
        raise NetworkFileError(
            f"{path}: written in format {header['format']}; this Backhand reads up to {FORMAT}, "
            "a newer one is needed"
        )
    return tensors, header


class _Unreadable(Exception):
    pass


class _Writer:
    """Objects as JSON; one that comes again as a reference to where it came first."""

    def __init__(self) -> None:
        self._written: dict[int, str] = {}

    def write(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return [self.write(each, f"{path}.{i}") for i, each in enumerate(value)]
        if isinstance(value, Layer):
            if id(value) in self._written:
                return {"same as": self._written[id(value)]}
            self._written[id(value)] = path
            return self._object(value, value.settings(), path)
        if isinstance(value, Initializer) and dataclasses.is_dataclass(value):
            return self._object(value, dataclasses.asdict(value), path)
        raise TypeError(
            f"save: {path.strip('.')} is a {type(value).__name__}, which cannot be written as JSON"
        )

    def _object(self, value: Any, settings: dict[str, Any], path: str) -> dict[str, Any]:
        written = {name: self.write(each, f"{path}.{name}") for name, each in settings.items()}
        return {"class": type(value).__name__, **written}


class _Reader:
    """The other way: only classes that are known are built."""

    def __init__(self, known: dict[str, type]) -> None:
        self._known = known
        self._read: dict[str, Any] = {}

    def read(self, value: Any, path: str) -> Any:
        if isinstance(value, list):
            return [self.read(each, f"{path}.{i}") for i, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if "same as" in value:
            return self._read[value["same as"]]
        name = value["class"]
        if name not in self._known:
            raise _Unreadable(
                f"names the layer {name}, which is not known here; "
                f"if it is yours, give load(…, layers=[{name}])"
            )
        settings = {k: self.read(v, f"{path}.{k}") for k, v in value.items() if k != "class"}
        self._read[path] = made = self._known[name](**settings)
        return made
