"""Gates before every kind of layer: exact against autograd's gradients, clipped and averaged.

A gradient reaches a parameter as it is, in factors, as rows to be summed, as some of its rows, or
in several of these forms; the layer decides. So every kind of layer in tests/cases that has
parameters is gone through, between other layers with weights, used once and used twice; its
parameters learn by one rule each in turn.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from functools import partial

import pytest
import torch
from torch import Tensor, optim
from torch.nn.functional import mse_loss

import backhand as bh
from cases import LAYERS, compositions
from cases.case import Case, EachOf, integers, mapped, several
from oracle import close, gradients_by_autograd


def tied_to_the_last_layer() -> bh.Layer:
    """One matrix, in an embedding and in a fully connected layer."""
    table, last = bh.Embedding(7, 3), bh.FullyConnected(3, 7)
    last.weight = table.weight
    return bh.Sequential([table, bh.Tanh(), last])


def tied_to_the_loss(chunk: int | None) -> bh.Layer:
    """One matrix, in an embedding and in the last layer that is joined to its cross-entropy."""
    table, last = bh.Embedding(7, 3), bh.LinearCrossEntropy(3, 7, chunk=chunk)
    last.weight = table.weight
    return bh.Sequential([EachOf([table, None]), EachOf([bh.Tanh(), None]), last])


tokens = integers(7, 4)
ROWS = [case for case in LAYERS if case.only is None and case not in compositions.CASES]
ONE_OF_A_KIND = {type(case.made()): case for case in reversed(ROWS) if case.made().parameters()}
CASES = [
    *ONE_OF_A_KIND.values(),
    Case("tied weights", tied_to_the_last_layer, tokens, derivative=False),
    *[
        Case(
            f"tied weights, cross-entropy, chunk={chunk}",
            partial(tied_to_the_loss, chunk), several(tokens, tokens), derivative=False,
        )
        for chunk in (None, 2)
    ],
]  # fmt: skip


class UsedTwice(bh.Layer):
    """output = layer(input) + layer(its rows the other way round, and halved)."""

    def __init__(self, layer: bh.Layer) -> None:
        self.layer = bh.share(layer)

    def forward(self, input, training):
        one, first = self.layer.forward(input, training)
        other, second = self.layer.forward(mapped(turned, input), training)
        return added(one, other), (first, second)

    def propagate(self, error, memory, learning_rate):
        first, second = memory
        other = self.layer.propagate(error, second, learning_rate)
        return added(self.layer.propagate(error, first, learning_rate), mapped(turned, other))


def turned(tensor: Tensor | None) -> Tensor | None:
    if tensor is None:
        return None
    return tensor.flip(0) * 0.5 if tensor.is_floating_point() else tensor.flip(0)


def added(one, other):
    if isinstance(one, tuple):
        return tuple(map(added, one, other))
    return None if one is None else one + other


def used_twice(case: Case) -> Case:
    return dataclasses.replace(
        case, name=f"{case}, used twice", layer=lambda: UsedTwice(case.layer())
    )


RULES = [
    (bh.SGD, optim.SGD),
    (partial(bh.Momentum, 0.8), partial(optim.SGD, momentum=0.8)),
    # Adam divides by a gradient's size: so large an epsilon keeps it from making steps of what
    # rounding leaves of gradients that are 0, as of a bias below a normalization.
    (partial(bh.Adam, epsilon=1e-4), partial(optim.Adam, eps=1e-4)),
]
GATES = {
    "none": (lambda: None, 1, None),
    "clip": (lambda: bh.Gate(max_norm=0.01), 1, 0.01),
    "accumulate": (lambda: bh.Accumulation(every=2), 2, None),
    "accumulate and clip": (lambda: bh.Accumulation(every=2, max_norm=0.01), 2, 0.01),
}


def clipped(leaves: list[Tensor], max_norm: float) -> None:
    """Scale the gradients by their global norm, over all parameters at once."""
    norm = torch.cat([leaf.grad.flatten() for leaf in leaves]).norm()
    assert norm > max_norm
    for leaf in leaves:
        leaf.grad.mul_(max_norm / (norm + 1e-6))


ONCE = itertools.product(CASES, ["clip", "accumulate", "accumulate and clip"], [None])
TWICE = list(itertools.product(map(used_twice, CASES), GATES, [None]))
RECORDED = [(case, gate, bh.Replay()) for case, gate, _ in TWICE if gate == "accumulate and clip"]


@pytest.mark.parametrize(("case", "gate", "engine"), [*ONCE, *TWICE, *RECORDED], ids=str)
def test_learns_as_the_textbook_says(case, gate, engine) -> None:
    make_gate, every, max_norm = GATES[gate]
    network, loss = case.in_network(), bh.MSELoss()
    twin = copy.deepcopy(network)
    leaves = {path: each.value.requires_grad_() for path, each in twin.parameters().items()}
    optimizers = []
    for at, (path, parameter) in enumerate(network.parameters().items(), list(GATES).index(gate)):
        ours, theirs = RULES[at % len(RULES)]
        parameter.learn_with(ours())
        optimizers.append(theirs([leaves[path]], lr=0.1))
    network.gate_with(make_gate())
    step = bh.TrainingStep(network, loss, engine) if engine is not None else None
    for _ in range(3):
        for _ in range(every):
            input = case.given(3)
            output, _ = twin.forward(input, True)
            target = torch.randn_like(output)
            (mse_loss(output, target) / every).backward()
            if step is None:
                network.backward(loss.backward(network(input), target), 0.1)
            else:
                step(input, target, 0.1)
        if max_norm is not None:
            clipped(list(leaves.values()), max_norm)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    for path, parameter in network.parameters().items():
        assert close(parameter.value, leaves[path].detach(), 1e-9), path
        assert parameter.updates == 3


class Watched(bh.SGD):
    """Notes in what form each gradient comes."""

    passing = frozenset({"products", "sums"})

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[bh.Parameter, Tensor, Tensor]] = []
        self.sums: list[tuple[bh.Parameter, Tensor]] = []

    def update(self, parameter, gradient, learning_rate):
        raise AssertionError("a gradient that was formed")

    def update_product(self, parameter, left, right, learning_rate):
        self.products.append((parameter, left, right))

    def update_sum(self, parameter, error, learning_rate):
        self.sums.append((parameter, error))


@pytest.mark.parametrize("kind", [bh.RNN, bh.GRU, bh.LSTM])
def test_a_rule_sees_one_product_over_all_times_for_each_weight(kind) -> None:
    batch, time, watched = 4, 5, Watched()
    layer = kind(3, 2, num_layers=2, bidirectional=True).to(torch.float64).learn_with(watched)
    input, target = torch.randn(batch, time, 3).double(), torch.randn(batch, time, 4).double()
    expected = gradients_by_autograd(layer, mse_loss, input, target)
    layer.backward(bh.MSELoss().backward(layer(input), target), 0.1)
    paths = {parameter: path for path, parameter in layer.parameters().items()}
    assert len(watched.products) + len(watched.sums) == len(paths)
    assert {len(each[-1]) for each in [*watched.products, *watched.sums]} == {batch * time}
    found = {paths[weight]: left @ right for weight, left, right in watched.products}
    found |= {paths[bias]: error.sum(0) for bias, error in watched.sums}
    for path, gradient in expected.items():
        assert close(found[path], gradient, 1e-9), path
