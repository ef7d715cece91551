"""Saving: weights in safetensors, the architecture as JSON in the same file. No pickle.

The architecture is rebuilt from a closed list of classes, so a file can run no code of its own;
nothing is built that the file's own tensors do not account for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backhand import layers as layer_classes
from backhand.files import written_whole
from backhand.layer import Layer
from backhand.learning.buffer import Buffer
from backhand.learning.parameter import Parameter
from backhand.networks.architecture import ArchitectureReader, ArchitectureWriter
from backhand.networks.branches import Concatenate, Product, Residual, Stack, Sum
from backhand.networks.covered import Covered
from backhand.networks.heads import MultiHeadAttention
from backhand.networks.recurrent import GRU, LSTM, RNN, LastStep
from backhand.networks.sequential import Sequential
from backhand.networks.sharing import share_repeated
from backhand.tensor_file import (
    Kind,
    Malformed,
    NetworkFileError,
    blaming,
    expect,
    from_bytes,
    to_bytes,
)

__all__ = ["KNOWN", "NETWORK", "NetworkFileError", "load", "load_about", "save"]

NETWORK = Kind("backhand", "a network", newest=1)

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""What weights may be of, all of them of one."""

Part = Parameter | Buffer

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


def save(network: Layer, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a network's weights, buffers and architecture to a file, whole or not at all.

    A layer that appears twice is one again after loading, and so is a parameter that several
    layers have. Rules and their state are not saved.

    Args:
        network: layers that keep their constructors' arguments (see Layer.settings).
        path: conventionally ending in .safetensors; an old file there is replaced at the end.
        about: more to keep in the file, as JSON; see load_about. Default nothing.

    Raises:
        TypeError: a layer's setting cannot be written as JSON; names the layer.
        ValueError: weights are of several dtypes, or of one that is none of float16, bfloat16,
            float32 and float64; two parameters lie in the same memory; or the layers nest deeper
            than 64 levels.
        OSError: the file cannot be written.
    """
    path = Path(path)
    parts = network.parts()
    try:
        architecture = ArchitectureWriter().write(network)
        _expect_one_dtype({name: part.value for name, part in parts.items() if _learns(part)})
        _expect_apart({name: part.value for name, part in parts.items()})
    except Malformed as problem:
        raise ValueError(f"save: {problem}") from None
    described = {
        "network": architecture,
        "frozen": [name for name, part in parts.items() if part.frozen],
        "tied": _tied(network, parts),
        "about": about or {},
    }
    content = to_bytes(NETWORK, {name: part.value for name, part in parts.items()}, described)
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
    tensors, described = from_bytes(NETWORK, path.read_bytes(), path)
    with blaming(path, "what it says of itself cannot be read"):
        architecture = expect("network", described.get("network"), dict)
        frozen = set(expect("frozen", described.get("frozen", []), list, of=str))
        tied = expect("tied", described.get("tied", {}), dict, of=str)
        about: dict[str, Any] = expect("about", described.get("about", {}), dict)
    with (
        blaming(path, "its architecture cannot be built"),
        torch.random.fork_rng(devices=[]),
        Covered(tensors.values()),
    ):
        network: Layer = ArchitectureReader(known).read(architecture)
        if not isinstance(network, Layer):
            raise Malformed(f"it is no layer, but {network!r}")
    with blaming(path, "it does not fit together"):
        if tied:
            _tie(network, tied)
        parts = network.parts()
        _take(parts, tensors)
        for name in frozen - parts.keys():
            raise Malformed(f"it freezes {name}, which is not there")
        for name in frozen:
            parts[name].frozen = True
    return network, about


def _take(parts: Mapping[str, Part], tensors: dict[str, Tensor]) -> None:
    """Give the parts the file's tensors, one after the other out of the dict."""
    for name in parts.keys() ^ tensors.keys():
        what = "lacks" if name in parts else "has, beyond its architecture,"
        raise Malformed(f"the file {what} the weight {name}")
    for name, part in parts.items():
        if tensors[name].shape != part.value.shape:
            raise Malformed(
                f"weight {name} is of shape {tuple(tensors[name].shape)}, "
                f"its layer expects {tuple(part.value.shape)}"
            )
    _expect_one_dtype({name: tensors[name] for name in parts if _learns(parts[name])})
    for name, part in parts.items():
        given = tensors[name].dtype
        if isinstance(part, Buffer) and given is not part.value.dtype:
            _expect_convertible(name, part, given)
    for name, part in parts.items():
        part.value = tensors.pop(name).clone()  # aligned, and the rest of the file let go
        part.frozen = False


def _expect_convertible(name: str, buffer: Buffer, given: torch.dtype) -> None:
    """Refuse a dtype that `to` would not have made of the buffer's own."""
    own = buffer.value.dtype
    if buffer.keeps_dtype or not own.is_floating_point or given not in FLOATS:
        raise Malformed(f"{name} is of {given}, its layer expects {own}")


def _learns(part: Part) -> bool:
    return isinstance(part, Parameter)


def _expect_one_dtype(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that no layer computes with, or that cannot be multiplied."""
    first = next(iter(weights), "")
    for name, weight in weights.items():
        if weight.dtype not in FLOATS:
            names = ", ".join(str(each).removeprefix("torch.") for each in FLOATS)
            raise Malformed(f"weight {name} is of {weight.dtype}; expected one of {names}")
        if weight.dtype is not weights[first].dtype:
            raise Malformed(
                f"weight {first} is of {weights[first].dtype} and {name} of {weight.dtype}; "
                "network.to(…) makes them one"
            )


def _expect_apart(values: Mapping[str, Tensor]) -> None:
    """Refuse two values that share an element: they would be two after loading.

    Values beside each other in one storage are two, and saved as such.
    """
    storages: dict[int, list[str]] = {}
    for name, value in values.items():
        if value.numel():
            storages.setdefault(value.untyped_storage().data_ptr(), []).append(name)
    for names in storages.values():
        if len(names) > 1:
            _expect_no_element_twice({name: values[name] for name in names})


def _expect_no_element_twice(values: Mapping[str, Tensor]) -> None:
    """The same for values in one storage: each marks its bytes."""
    storage = next(iter(values.values())).untyped_storage()
    marks = torch.zeros(storage.nbytes(), dtype=torch.uint8)
    for name, value in values.items():
        size = value.itemsize
        # An axis that does not move, as of an expanded tensor, is the same elements again.
        lengths = [n if step else 1 for n, step in zip(value.shape, value.stride(), strict=True)]
        steps = [step * size for step in value.stride()]
        place = int(value.storage_offset()) * size
        own = marks.as_strided([*lengths, size], [*steps, 1], place)
        if own.any():
            others = ", ".join(other for other in values if other != name)
            raise Malformed(
                f"{name} lies in the memory of {others}; give the layers one parameter "
                "(one.weight = other.weight), which is saved once and comes back tied"
            )
        own.fill_(1)


def _own_parts(network: Layer) -> Iterator[tuple[str, Layer, str, Part]]:
    """Every part where it stands: its path, its layer, its name there; a tied one several times."""
    for path, layer in network.layers_by_path():
        own: dict[str, Part] = {**layer.own_parameters(), **layer.own_buffers()}
        for name, part in own.items():
            yield (f"{path}.{name}" if path else name), layer, name, part


def _tied(network: Layer, parts: Mapping[str, Part]) -> dict[str, str]:
    """The paths at which parts stand again, and those at which they stand first."""
    first = {part: path for path, part in parts.items()}
    return {path: first[part] for path, _, _, part in _own_parts(network) if first[part] != path}


def _tie(network: Layer, tied: Mapping[str, str]) -> None:
    """Make one of what `_tied` found to be one."""
    places = {path: (layer, name, part) for path, layer, name, part in _own_parts(network)}
    for path, first in tied.items():
        layer, name, part = places.get(path, (None, "", None))
        again = places[first][2] if first in places else None
        if part is None or type(part) is not type(again) or part.value.shape != again.value.shape:
            raise Malformed(f"it ties {path} to {first}, and they are not two weights of one shape")
        setattr(layer, name, again)
    share_repeated(network)
