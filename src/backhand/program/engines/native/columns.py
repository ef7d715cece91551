"""Columns of images: what a kernel sees at each of its positions, copied, or added back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.writer import Writer


@dataclass(frozen=True)
class Windows:
    """Where the elements of an image's columns lie: position · stride + tap · dilation - padding.

    Each of two numbers, for rows and columns of an image.
    """

    image: Sequence[int]
    positions: Sequence[int]
    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]

    def turned(self) -> Windows:
        """With positions and taps in each other's place."""
        return replace(
            self,
            positions=self.kernel, kernel=self.positions,
            stride=self.dilation, dilation=self.stride,
        )  # fmt: skip


def room_for(writer: Writer, rows: int, columns: int, dtype: torch.dtype) -> Window:
    """A matrix in memory of the operation's own."""
    space = writer.pack_space(dtype, rows * columns)
    return Window(space, (rows, columns), (columns, 1), 0, dtype)


def from_column(matrix: Window, n: str, places: int) -> Window:
    """From the first of the n-th image's columns on."""
    return replace(matrix, base=f"({matrix.base} + {n} * {places})") if n != "0" else matrix


def write_columns(
    writer: Writer, data: Window, columns: Window, windows: Windows, added: bool = False
) -> None:
    """Copy images' elements to their columns, or add the columns to where they came from.

    Args:
        data: channels, rows, columns; as many channels as the columns are of. Turned windows
            make, of each of some images, columns whose rows go along the kernel.
        columns: (channels · kernel, positions), or turned (images · positions, kernel).
    """
    type_ = C_TYPES[data.dtype]
    (height, width), (up, left) = windows.image, windows.padding
    (sy, sx), (dy, dx) = windows.stride, windows.dilation
    (rows, length), (taps_y, taps_x) = windows.positions, windows.kernel
    step_c, step_row, step_column = data.stride
    step_tap = columns.stride[0]
    with writer.loops([data.shape[0], taps_y, taps_x]) as (c, v, u), writer.block():
        writer.line(f"const int shift = {u} * {dx} - {left};")
        low, high = "0", str(length)
        if not _stays_inside(windows, 1):
            # Where x · sx + shift is inside the image.
            writer.line(f"int low = shift < 0 ? ({sx - 1} - shift) / {sx} : 0;")
            writer.line(f"int high = shift < {width} ? ({width - 1} - shift) / {sx} + 1 : 0;")
            writer.line(f"if (low > {length}) low = {length};")
            writer.line(f"if (high > {length}) high = {length};")
            writer.line("if (high < low) high = low;")
            low, high = "low", "high"
        with writer.block(f"for (int y = 0; y < {rows}; y++)"):
            writer.line(f"const int at = y * {sy} + {v} * {dy} - {up};")
            place = f"(({c} * {taps_y} + {v}) * {taps_x} + {u}) * {step_tap} + y * {length}"
            constant, other = ("const ", "") if added else ("", "const ")
            writer.line(f"{constant}{type_} *const column = {columns.base} + {place};")
            if not _stays_inside(windows, 0):
                with writer.block(f"if (at < 0 || at >= {height})"):
                    if not added:
                        writer.line(f"for (int x = 0; x < {length}; x++) column[x] = 0;")
                    writer.line("continue;")
            if low != "0" and not added:
                writer.line("for (int x = 0; x < low; x++) column[x] = 0;")
                writer.line(f"for (int x = high; x < {length}; x++) column[x] = 0;")
            row = f"{data.offset} + {c} * {step_c} + at * {step_row} + shift * {step_column}"
            writer.line(f"{other}{type_} *const row = {data.base} + {row};")
            element = f"row[x * {sx * step_column}]"
            text = f"{element} += column[x]" if added else f"column[x] = {element}"
            writer.line("BH_INDEPENDENT")
            writer.line(f"for (int x = {low}; x < {high}; x++) {text};")


def _stays_inside(windows: Windows, axis: int) -> bool:
    """Whether no position and tap of an axis lies past an edge of the image."""
    reach = (windows.positions[axis] - 1) * windows.stride[axis]
    reach += (windows.kernel[axis] - 1) * windows.dilation[axis]
    return windows.padding[axis] == 0 and reach < windows.image[axis]
