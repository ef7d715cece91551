"""Summary: a network as a table of its layers, their output shapes and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.networks.watching import watching


@dataclass(frozen=True)
class Row:
    """One layer of a summary.

    Attributes:
        path: in the network; "" for the network itself.
        layer: as it prints, a container by its class alone.
        output: the output's shape without the batch axis; several where the output is a tuple.
        parameters: how many numbers the layer itself learns.
        frozen: how many of them do not learn now.
    """

    path: str
    layer: str
    output: str
    parameters: int
    frozen: int


@dataclass(frozen=True)
class Summary:
    """A network's layers; `str()` is a table.

    Attributes:
        rows: one a layer, parents first; a layer used twice comes once.
        parameters: how many numbers the network learns, shared ones once.
        size: their bytes.
        frozen: how many of them do not learn now.
    """

    rows: tuple[Row, ...]
    parameters: int
    size: int
    frozen: int

    def __str__(self) -> str:
        heads = ("path", "layer", "output", "parameters")
        cells = [
            (
                row.path or "·",
                row.layer,
                row.output,
                f"{row.parameters:,}" if row.parameters else "",
            )
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(4)]
        lines = ["  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True))]
        lines.append("  ".join("─" * width for width in widths))
        for *words, count in cells:
            left = [word.ljust(width) for word, width in zip(words, widths, strict=False)]
            lines.append("  ".join([*left, count.rjust(widths[3])]))
        frozen = f", {self.frozen:,} of them frozen" if self.frozen else ""
        lines.append(f"{self.parameters:,} parameters ({self.size:,} bytes){frozen}")
        return "\n".join(line.rstrip() for line in lines)


def summary(network: Layer, input_shape: Tensor | tuple[Any, ...]) -> Summary:
    """The layers of a network, with the shapes that a prediction shows.

    Args:
        network: any Layer.
        input_shape: of one example, without the batch axis: (2,); for a tuple of inputs, a
            tuple of shapes. Zeros of floats are predicted then; where the network takes
            something else (tokens, masks, lengths), an input itself: a batch.

    Raises:
        LayerError: the shape does not fit; the layer is named.
    """
    outputs: dict[Layer, str] = {}

    def seen(layer: Layer, input: Any, output: Any) -> None:
        outputs[layer] = _shape(output)

    with watching(network, seen):
        network.predict(_example(input_shape, network))
    rows: dict[Layer, Row] = {}
    for path, layer in network.layers_by_path():
        own = list(layer.own_parameters().values())
        count = sum(each.value.numel() for each in own)
        frozen = sum(each.value.numel() for each in own if each.frozen)
        name = type(layer).__name__ if layer.children() else repr(layer)
        rows.setdefault(layer, Row(path, name, outputs.get(layer, "not used"), count, frozen))
    parameters = list(network.parameters().values())
    return Summary(
        tuple(rows.values()),
        sum(each.value.numel() for each in parameters),
        sum(each.value.nbytes for each in parameters),
        sum(each.value.numel() for each in parameters if each.frozen),
    )


def _example(given: Any, network: Layer) -> Any:
    if isinstance(given, Tensor) or (given and isinstance(given[0], Tensor)):
        return given
    return _zeros(given, network)


def _zeros(shape: tuple[Any, ...], network: Layer) -> Any:
    if shape and isinstance(shape[0], tuple):
        return tuple(_zeros(each, network) for each in shape)
    dtypes = [each.value.dtype for each in network.parameters().values()]
    return torch.zeros(1, *shape, dtype=dtypes[0] if dtypes else torch.get_default_dtype())


def _shape(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"({', '.join(['batch', *map(str, output.shape[1:])])})"
    return " ".join(_shape(each) for each in output)
