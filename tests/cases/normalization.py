"""Rows: normalization by batch, channels and features."""

from __future__ import annotations

from hypothesis import strategies as st
from torch import nn

import backhand as bh
from cases.case import Case, floats

AFFINE = st.booleans()
SCALED = st.sampled_from([{}, {"affine": False}, {"bias": False}])


def trailing_twin(layer) -> nn.Module:
    settings = {"eps": layer.eps, "elementwise_affine": layer.elementwise_affine}
    if isinstance(layer, bh.LayerNorm):
        settings["bias"] = layer.bias is not None
    return getattr(nn, type(layer).__name__)(layer.normalized_shape, **settings)


def trailing(name: str) -> Case:
    kind = getattr(bh, name)

    def variant(lengths: list[int], between: list[int], settings: dict) -> Case:
        shape = lengths[0] if len(lengths) == 1 else lengths
        return Case(
            f"{name}({shape}, {settings}), input [batch, {between}, {lengths}]",
            lambda: kind(shape, **settings),
            floats(*between, *lengths),
            twin=trailing_twin,
        )

    options = {"eps": st.sampled_from([1e-5, 1e-2]), "elementwise_affine": AFFINE}
    if name == "LayerNorm":
        options["bias"] = st.booleans()
    lengths = st.lists(st.integers(2, 4), min_size=1, max_size=2)
    between = st.lists(st.integers(0, 3), max_size=2)
    variants = st.builds(variant, lengths, between, st.fixed_dictionaries(options))
    return Case(name, lambda: kind(3), floats(3), variants=variants, twin=trailing_twin)


def channel_twin(layer) -> nn.Module:
    if isinstance(layer, bh.GroupNorm):
        sizes = layer.num_groups, layer.num_channels
        return nn.GroupNorm(*sizes, layer.eps, layer.affine, bias=layer.bias is not None)
    kind = getattr(nn, type(layer).__name__)
    return kind(
        layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats,
        bias=layer.bias is not None,
    )  # fmt: skip


def group_norm(groups: int, times: int, lengths: list[int], scaled: dict) -> Case:
    channels = groups * times
    return Case(
        f"GroupNorm({groups}, {channels}), input {lengths}",
        lambda: bh.GroupNorm(groups, channels, **scaled),
        floats(channels, *lengths),
        twin=channel_twin,
        tolerance=1e-9,
    )


def batch_norm(name: str, lengths: st.SearchStrategy[list[int]], usual: tuple[int, ...]) -> Case:
    kind = getattr(bh, name)

    def variant(channels: int, lengths: list[int], momentum, scaled: dict, tracked: bool) -> Case:
        return Case(
            f"{name}({channels}, momentum={momentum}), input {lengths}",
            lambda: kind(channels, 1e-3, momentum, track_running_stats=tracked, **scaled),
            floats(channels, *lengths),
            twin=channel_twin,
            smallest=2,
            tolerance=1e-9,
        )

    momenta = st.sampled_from([0.1, 0.5, None])
    return Case(
        name,
        lambda: kind(3),
        floats(3, *usual),
        variants=st.builds(variant, st.integers(1, 3), lengths, momenta, SCALED, st.booleans()),
        twin=channel_twin,
        smallest=2,
        tolerance=1e-9,
    )


SEQUENCES = st.lists(st.integers(1, 4), max_size=1)
IMAGES = st.lists(st.integers(1, 4), min_size=2, max_size=2)

CASES = [
    trailing("LayerNorm"),
    trailing("RMSNorm"),
    Case(
        "GroupNorm",
        lambda: bh.GroupNorm(2, 4),
        floats(4, 3),
        variants=st.builds(
            group_norm,
            st.integers(1, 3),
            st.integers(2, 3),
            st.lists(st.integers(1, 3), max_size=2),
            SCALED,
        ),
        twin=channel_twin,
    ),
    batch_norm("BatchNorm1d", SEQUENCES, ()),
    batch_norm("BatchNorm2d", IMAGES, (2, 3)),
    Case(
        "BatchNorm1d over all batches", lambda: bh.BatchNorm1d(3, momentum=None), floats(3),
        twin=channel_twin, smallest=2,
    ),
]  # fmt: skip
