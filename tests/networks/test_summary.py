"""The summary shows layers, shapes and parameters, and leaves the network as it was."""

from __future__ import annotations

import pytest
import torch

import backhand as bh

TABLE = """\
path      layer                 output      parameters
────────  ────────────────────  ──────────  ──────────
·         Sequential            (batch, 2)
0         FullyConnected(3, 4)  (batch, 4)           16
1         Residual              (batch, 4)
1.branch  FullyConnected(4, 4)  (batch, 4)           20
2         Concatenate           (batch, 2)
2.0       FullyConnected(4, 1)  (batch, 1)            5
2.1       FullyConnected(4, 1)  (batch, 1)            5
46 parameters (184 bytes), 16 of them frozen"""


def small() -> bh.Sequential:
    return bh.Sequential(
        [
            bh.FullyConnected(3, 4).freeze(),
            bh.Residual(bh.FullyConnected(4, 4)),
            bh.Concatenate([bh.FullyConnected(4, 1), bh.FullyConnected(4, 1)]),
        ]
    )


def test_is_a_readable_table() -> None:
    lines = str(bh.summary(small(), (3,))).splitlines()
    assert [line.split() for line in lines] == [line.split() for line in TABLE.splitlines()]


def test_takes_an_input_where_zeros_of_floats_will_not_do() -> None:
    network = bh.Sequential([bh.Embedding(5, 3), bh.FullyConnected(3, 2)])
    text = str(bh.summary(network, torch.tensor([[0, 4, 1]])))
    assert "Embedding(5, 3)" in text
    assert "(batch, 3, 2)" in text
    attention = bh.MultiHeadAttention(4, 2)
    given = torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
    assert "(batch, 3, 4)" in str(bh.summary(attention, given))


def test_leaves_the_network_as_it_was() -> None:
    network = small()
    before = {layer: dict(vars(layer)) for _, layer in network.layers_by_path()}
    bh.summary(network, (3,))
    with pytest.raises(bh.LayerError, match=r"^0: FullyConnected\(3, 4\) expected input"):
        bh.summary(network, (7,))
    assert all(vars(layer) == kept for layer, kept in before.items())


def test_counts_a_shared_layer_once_and_takes_any_dtype() -> None:
    one = bh.FullyConnected(2, 2)
    found = bh.summary(bh.Sequential([one, bh.Tanh(), one]).to(torch.float64), (5, 2))
    assert found.parameters == 6
    assert found.size == 48
    assert found.rows[0].output == "(batch, 5, 2)"
