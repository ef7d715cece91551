"""Rows: convolutions and pooling, over one axis and two."""

from __future__ import annotations

from hypothesis import strategies as st
from torch import nn

import backhand as bh
from cases.case import Case, floats

AXES = {"Conv1d": 1, "Conv2d": 2, "ConvTranspose1d": 1, "ConvTranspose2d": 2}


def convolution_twin(layer) -> nn.Module:
    kind = getattr(nn, type(layer).__name__)
    names = "in_channels out_channels kernel_size stride padding dilation groups output_padding"
    settings = {name: getattr(layer, name) for name in names.split() if hasattr(layer, name)}
    return kind(**settings, bias=layer.bias is not None)


@st.composite
def convolutions(draw, name: str) -> Case:
    axes, groups = AXES[name], draw(st.integers(1, 3))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    channels, outputs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    stride, dilation = each(1, 3), each(1, 2)
    settings = {"groups": groups, "dilation": dilation, "bias": draw(st.booleans())}
    if "Transpose" in name:
        settings["output_padding"] = tuple(
            draw(st.integers(0, max(pair) - 1)) for pair in zip(stride, dilation, strict=True)
        )
        settings |= {"stride": stride, "padding": each(0, 1)}
    elif draw(st.booleans()):
        settings |= {"stride": stride, "padding": each(0, 2)}
    else:
        settings["padding"] = draw(st.sampled_from(["same", "valid"]))
    kernel, lengths = each(1, 3), each(5, 8)
    kind = getattr(bh, name)
    return Case(
        f"{name}, {channels} to {outputs}, kernel {kernel}, {settings}, input {lengths}",
        lambda: kind(channels, outputs, kernel, **settings),
        floats(channels, *lengths),
        twin=convolution_twin,
    )


def convolution(name: str) -> Case:
    axes = AXES[name]
    return Case(
        name,
        lambda: getattr(bh, name)(2, 3, 3, stride=2, padding=1),
        floats(2, *(6, 5)[:axes]),
        variants=convolutions(name),
        twin=convolution_twin,
    )


POOLS = {"MaxPool1d": 1, "MaxPool2d": 2, "AvgPool1d": 1, "AvgPool2d": 2}


def pooling_twin(layer) -> nn.Module:
    names = "kernel_size stride padding dilation ceil_mode count_include_pad"
    settings = {name: getattr(layer, name) for name in names.split() if hasattr(layer, name)}
    return getattr(nn, type(layer).__name__)(**settings)


@st.composite
def pools(draw, name: str) -> Case:
    axes = POOLS[name]
    # One number for all axes where PyTorch takes no tuple of one.
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(axes))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    strides = st.tuples(*[st.integers(1, 3)] * axes)
    settings = {"stride": draw(st.none() | strides), "padding": padding}
    settings["ceil_mode"] = draw(st.booleans())
    if "Max" in name:
        settings["dilation"] = draw(st.integers(1, 2))
    else:
        settings["count_include_pad"] = draw(st.booleans())
    lengths = tuple(draw(st.integers(7, 9)) for _ in range(axes))
    kind = getattr(bh, name)
    return Case(
        f"{name}, kernel {kernel}, {settings}, input {lengths}",
        lambda: kind(kernel, **settings),
        floats(2, *lengths),
        twin=pooling_twin,
    )


def pooling(name: str) -> Case:
    lengths = (6, 5)[: POOLS[name]]
    return Case(
        name,
        lambda: getattr(bh, name)(2),
        floats(2, *lengths),
        variants=pools(name),
        twin=pooling_twin,
    )


def adaptive(name: str, axes: int) -> Case:
    def variant(outputs: list[int], lengths: list[int]) -> Case:
        size = outputs[0] if axes == 1 else tuple(outputs)
        return Case(
            f"{name}({size}), input {lengths}",
            lambda: getattr(bh, name)(size),
            floats(2, *lengths),
            twin=lambda layer: getattr(nn, name)(layer.output_size),
        )

    def drawn(most: int):
        return st.lists(st.integers(1, most), min_size=axes, max_size=axes)

    return Case(
        name,
        lambda: getattr(bh, name)(3),
        floats(2, *(6, 5)[:axes]),
        variants=st.builds(variant, drawn(6), drawn(8)),
        twin=lambda layer: getattr(nn, name)(layer.output_size),
    )


def global_twin(axes: int):
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)[axes - 1]
    return lambda layer: nn.Sequential(pool(1), nn.Flatten(-axes - 1))


CASES = [
    *map(convolution, AXES),
    *map(pooling, POOLS),
    adaptive("AdaptiveAvgPool1d", 1),
    adaptive("AdaptiveAvgPool2d", 2),
    Case("GlobalAvgPool1d", bh.GlobalAvgPool1d, floats(2, 5), twin=global_twin(1)),
    Case("GlobalAvgPool2d", bh.GlobalAvgPool2d, floats(2, 4, 3), twin=global_twin(2)),
]
