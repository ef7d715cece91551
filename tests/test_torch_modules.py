"""PyTorch's own inputs for its modules, through every layer and loss here that has a twin there.

A new layer or loss is one row of LAYERS or LOSSES: how it is made from the module's arguments, and,
where they differ, how its input and output are arranged and what its parameters are called.
"""

from __future__ import annotations

import functools
import io
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import backhand as bh
from cases.case import flat, mapped
from cases.sequences import NAMES
from oracle import by_hand, close, leaf

SCRIPT = """
import sys, types, unittest
import torch
sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))
from torch.testing._internal.common_modules import module_db
torch.manual_seed(0)
found = {}
for info in module_db:
    name = info.name.split(".")[-1]
    if name in sys.argv[1].split():
        made = info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=False, training=True
        )
        found[name] = [
            (each.desc, (each.constructor_input.args, each.constructor_input.kwargs),
             (each.forward_input.args, each.forward_input.kwargs))
            for each in made if each.forward_input is not None
        ]
found[""] = [info.name.split(".")[-1] for info in module_db]
torch.save(found, sys.stdout.buffer)
"""
"""In a process of its own: PyTorch's testing tools freeze settings of the process they are in."""

Arrange = Callable[..., Any]


def as_it_is(value: Any) -> Any:
    return value


def batched(axes: int) -> Arrange:
    """An input with so many axes, of a batch of one where it has none."""
    return lambda input: input if input.dim() == axes else input.unsqueeze(0)


def alike(module: nn.Module, output: Tensor, like: Tensor) -> Tensor:
    """The output without a batch axis where the module's has none."""
    return output.reshape(like.shape)


@dataclass(frozen=True)
class Twin:
    """How a layer stands for a module.

    Args:
        make: the layer, from the module's arguments.
        into: the layer's input, from the module's (by views, through which errors come back).
        back: (module, the layer's output, the module's) -> the layer's as the module's.
        names: names of parameters that are others there: {ours: theirs}.
        without: options of the module that the layer has not; inputs with them are left out.
        derivative: whether its inputs have one.
    """

    make: Callable[..., bh.Layer]
    into: Arrange = as_it_is
    back: Callable[..., Any] = alike
    names: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    derivative: bool = True


def elementwise(kind: Callable[..., bh.Layer]) -> Twin:
    return Twin(lambda *args, inplace=False, **kwargs: kind(*args, **kwargs))


def recurrent(kind: Callable[..., bh.Layer]) -> Twin:
    """Over (batch, time, features), one sequence where the module got no batch."""

    def make(*args, batch_first=False, proj_size=0, **kwargs) -> bh.Layer:
        return kind(*args, return_state=True, **kwargs)

    def into(input: Tensor, state: Any = None) -> Any:
        states = () if state is None else state if isinstance(state, tuple) else (state,)
        value = (input.unsqueeze(0), *(each.unsqueeze(0) for each in states))
        return value if states else value[0]

    def back(module: nn.Module, output: Any, like: Any) -> Any:
        output, *states = mapped(lambda each: each.squeeze(0), output)
        return output, tuple(states) if len(states) > 1 else states[0]

    names = {ours: theirs.removeprefix("module.") for ours, theirs in NAMES.items()}
    return Twin(make, into, back, names)


def one_step(kind: Callable[..., bh.Layer]) -> Twin:
    """A cell is a layer over one time step, whose states are its outputs."""

    def into(input: Tensor, state: Any) -> Any:
        states = state if isinstance(state, tuple) else (state,)
        return (input.reshape(1, 1, -1), *(each.reshape(1, 1, -1) for each in states))

    def back(module: nn.Module, output: Any, like: Any) -> Any:
        states = tuple(each.reshape(-1) for each in output[1:])
        return states if len(states) > 1 else states[0]

    names = {f"l0.{name}": name for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    return Twin(lambda *args, **kwargs: kind(*args, return_state=True, **kwargs), into, back, names)


def instance_norm(axes: int) -> Twin:
    """A group to each channel; the running statistics have no part in training."""

    def make(features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, bias=True):
        return bh.GroupNorm(features, features, eps, affine, bias)

    return Twin(make, batched(axes))


def pooling(kind: Callable[..., bh.Layer], axes: int) -> Twin:
    return Twin(kind, batched(axes), without=frozenset({"return_indices", "divisor_override"}))


LAYERS: dict[str, Twin] = {
    "Sigmoid": elementwise(bh.Sigmoid),
    "Tanh": elementwise(bh.Tanh),
    "ReLU": elementwise(bh.ReLU),
    "SELU": elementwise(bh.SELU),
    "Mish": elementwise(bh.Mish),
    "LeakyReLU": elementwise(bh.LeakyReLU),
    "ELU": elementwise(bh.ELU),
    "GELU": elementwise(bh.GELU),
    "SiLU": elementwise(bh.SiLU),
    "Hardswish": elementwise(bh.Hardswish),
    "Softplus": elementwise(bh.Softplus),
    "PReLU": Twin(bh.PReLU),
    "Softmax": Twin(bh.Softmax),
    "LogSoftmax": Twin(bh.LogSoftmax),
    "Softmax2d": Twin(lambda: bh.Softmax(dim=-3)),
    "Linear": Twin(bh.FullyConnected),
    "Conv1d": Twin(bh.Conv1d, batched(3)),
    "Conv2d": Twin(bh.Conv2d, batched(4)),
    "ConvTranspose1d": Twin(bh.ConvTranspose1d, batched(3)),
    "ConvTranspose2d": Twin(bh.ConvTranspose2d, batched(4)),
    "MaxPool1d": pooling(bh.MaxPool1d, 3),
    "MaxPool2d": pooling(bh.MaxPool2d, 4),
    "AvgPool1d": pooling(bh.AvgPool1d, 3),
    "AvgPool2d": pooling(bh.AvgPool2d, 4),
    "AdaptiveAvgPool1d": Twin(bh.AdaptiveAvgPool1d, batched(3)),
    "AdaptiveAvgPool2d": Twin(bh.AdaptiveAvgPool2d, batched(4)),
    "BatchNorm1d": Twin(bh.BatchNorm1d),
    "BatchNorm2d": Twin(bh.BatchNorm2d),
    "InstanceNorm1d": instance_norm(3),
    "InstanceNorm2d": instance_norm(4),
    "LayerNorm": Twin(bh.LayerNorm),
    "RMSNorm": Twin(bh.RMSNorm),
    "GroupNorm": Twin(bh.GroupNorm),
    "Embedding": Twin(bh.Embedding, derivative=False),
    "RNN": recurrent(bh.RNN),
    "GRU": recurrent(bh.GRU),
    "LSTM": recurrent(bh.LSTM),
    "RNNCell": one_step(bh.RNN),
    "GRUCell": one_step(bh.GRU),
    "LSTMCell": one_step(bh.LSTM),
}


@dataclass(frozen=True)
class LossTwin:
    """How a loss stands for a module.

    Args:
        make: the loss, from the module's arguments.
        into: (prediction, target), from the module's inputs.
        without: options that the loss has not.
        kept: whether an input is one that the loss takes, from (arguments, inputs).
        beside: what an element's loss is more than the module's, from the target.
    """

    make: Callable[..., bh.Loss]
    into: Arrange = lambda prediction, target: (prediction, target)
    without: frozenset[str] = frozenset()
    kept: Callable[..., bool] = lambda arguments, inputs: True
    beside: Callable[[Any], Any] = lambda target: 0.0


def features_last(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Classes on the last axis, where the module has them on axis 1, or on the only one."""
    axis = 1 if prediction.dim() > 1 else 0
    target = target.movedim(axis, -1) if target.is_floating_point() else target
    return prediction.movedim(axis, -1), target


LOSSES: dict[str, LossTwin] = {
    "MSELoss": LossTwin(bh.MSELoss),
    "L1Loss": LossTwin(bh.L1Loss),
    "SmoothL1Loss": LossTwin(bh.SmoothL1Loss),
    "HuberLoss": LossTwin(bh.HuberLoss),
    "BCEWithLogitsLoss": LossTwin(bh.BinaryCrossEntropyLoss),
    "CrossEntropyLoss": LossTwin(bh.CrossEntropyLoss, features_last),
    "NLLLoss": LossTwin(bh.NLLLoss, features_last),
    "KLDivLoss": LossTwin(
        bh.KLDivLoss,
        kept=lambda arguments, inputs: inputs[0].dim() > 0,  # PyTorch has no batchmean of one
    ),
    "MultiMarginLoss": LossTwin(bh.MultiMarginLoss),
    "PoissonNLLLoss": LossTwin(
        lambda reduction="mean": bh.PoissonLoss(),
        without=frozenset({"log_input", "full"}),
        kept=lambda arguments, inputs: arguments.get("reduction") != "sum",
        beside=lambda t: t * t.clamp(min=torch.finfo(t.dtype).tiny).log() - t,
    ),
    "CosineEmbeddingLoss": LossTwin(
        bh.CosineEmbeddingLoss, lambda one, other, target: ((one, other), target)
    ),
}


APART = ("MultiheadAttention", "LinearCrossEntropyLoss")
"""Modules with a test of their own."""


@functools.cache
def inputs_of_torch() -> dict[str, list[Any]]:
    """For each module: what it is called for, its constructor's arguments, and its inputs."""
    command = [sys.executable, "-c", SCRIPT, " ".join([*LAYERS, *LOSSES, *APART])]
    written = subprocess.run(command, check=True, capture_output=True).stdout
    return torch.load(io.BytesIO(written), weights_only=False)


def samples(name: str, without: frozenset[str]):
    """A module in float64 and its inputs, for each of PyTorch's inputs that we have options for."""
    for what, (args, kwargs), (inputs, named) in inputs_of_torch()[name]:
        kwargs = {key: each for key, each in kwargs.items() if key not in ("device", "dtype")}
        if without & kwargs.keys() or named:
            continue
        if kwargs.get("proj_size"):
            continue
        yield what, getattr(nn, name)(*args, **kwargs).double(), (args, kwargs), inputs


def differentiable(value: Any) -> Any:
    return mapped(lambda each: leaf(each) if each.is_floating_point() else each, value)


def pulled_back(arrange: Callable[..., Any], value: Any, error: Any) -> Any:
    """What an error of arrange(value) is of the value."""
    given = differentiable(value)
    outputs, errors = flat(arrange(given)), flat(error)
    pairs = [(o, e) for o, e in zip(outputs, errors, strict=True) if e is not None]
    torch.autograd.backward(*map(list, zip(*pairs, strict=True)))
    return mapped(lambda each: zero_or(each.grad, each) if each.requires_grad else None, given)


def zero_or(gradient: Tensor | None, of: Tensor) -> Tensor:
    return torch.zeros_like(of) if gradient is None else gradient


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_pytorchs_own_inputs(name) -> None:
    twin, seen = LAYERS[name], 0
    for what, module, (args, kwargs), inputs in samples(name, twin.without):
        layer = twin.make(*args, **kwargs).to(torch.float64)
        theirs = dict(module.named_parameters())
        ours = {twin.names.get(path, path): each for path, each in layer.parameters().items()}
        assert ours.keys() == theirs.keys(), what
        for path, parameter in ours.items():
            parameter.value.copy_(theirs[path].data)
        given = differentiable(inputs)
        output = module(*given)
        errors = mapped(torch.randn_like, mapped(Tensor.detach, output))
        torch.autograd.backward(flat(output), flat(errors))

        input = twin.into(*inputs)
        found, _ = layer.forward(input, True)
        arranged = twin.back(module, found, mapped(Tensor.detach, output))
        for one, other in zip(flat(arranged), flat(output), strict=True):
            assert close(one, other.detach(), 1e-9), what
        back = functools.partial(twin.back, module, like=output)
        error = pulled_back(back, found, errors)
        input_error, gradients = by_hand(layer, input, error)
        for path, gradient in gradients.items():
            assert close(gradient, theirs[twin.names.get(path, path)].grad, 1e-9), (what, path)
        if twin.derivative:
            for one, other in zip(
                flat(pulled_back(lambda each: twin.into(*each), inputs, input_error)),
                flat(given),
                strict=True,
            ):
                assert close(one, other.grad, 1e-9), what
        seen += 1
    assert seen


@pytest.mark.filterwarnings("ignore:reduction. .mean. divides")
@pytest.mark.parametrize("name", LOSSES)
def test_losses_take_pytorchs_own_inputs(name) -> None:
    twin, seen = LOSSES[name], 0
    for what, module, (args, kwargs), inputs in samples(name, twin.without):
        single = kwargs.get("reduction") == "none"
        if not twin.kept(kwargs, inputs) or (single and flat(inputs)[0].dim() == 0):  # no rows
            continue
        prediction, target = twin.into(*inputs)
        if single:
            of_rows = rows_expected(name, twin, args, kwargs, inputs)
            loss = twin.make(*args, **kwargs | {"reduction": "mean"})
            assert_close_or_nan(loss.rows(prediction, target), of_rows, what)
            seen += 1
            continue
        loss = twin.make(*args, **kwargs)
        given = tuple(map(leaf, inputs[:-1]))
        value = module(*given, inputs[-1])
        value.backward()
        more = torch.as_tensor(twin.beside(target)).mean()
        assert_close_or_nan(loss(prediction, target), value.detach() + more, what)
        error = loss.backward(prediction, target)
        into = functools.partial(prediction_of, twin, inputs[-1])
        for one, other in zip(flat(pulled_back(into, inputs[:-1], error)), given, strict=True):
            assert_close_or_nan(one, other.grad, what)
        seen += 1
    assert seen


HEADS = {"add_bias_kv", "add_zero_attn"}
"""Options of PyTorch's multi-head attention that Backhand's has not; nor has it a mask of pairs."""


def test_multi_head_attention_takes_pytorchs_own_inputs() -> None:
    seen = 0
    for what, (args, kwargs), (inputs, named) in inputs_of_torch()["MultiheadAttention"]:
        if named["attn_mask"] is not None or any(kwargs.pop(each) for each in HEADS):
            continue
        module = nn.MultiheadAttention(*args, **kwargs).double()
        kwargs.pop("batch_first")  # an input of one sequence has no batch axis
        layer = bh.MultiHeadAttention(*args, **kwargs).to(torch.float64)
        twins = heads_twins(layer, module)
        for path, (theirs, rows) in twins.items():
            layer.parameters()[path].value.copy_(theirs.detach()[rows])
        assert twins.keys() == layer.parameters().keys()
        hidden = named["key_padding_mask"]
        mask = () if hidden is None else (~hidden.unsqueeze(0),)
        given = differentiable(inputs)
        output, _ = module(*given, **named)
        error = torch.randn_like(output)
        output.backward(error)
        ours = tuple(each.unsqueeze(0) for each in inputs) + mask
        assert close(layer.predict(ours).squeeze(0), output.detach(), 1e-9), what
        errors, gradients = by_hand(layer, ours, error.unsqueeze(0))
        for one, other in zip(errors, given, strict=False):
            assert close(one.squeeze(0), other.grad, 1e-9), what
        for path, (theirs, rows) in twins.items():
            assert close(gradients[path], theirs.grad[rows], 1e-9), (what, path)
        seen += 1
    assert seen


def heads_twins(layer: bh.MultiHeadAttention, module: nn.MultiheadAttention):
    """Where each parameter stands in PyTorch's: its projections stand in one matrix."""
    found = {}
    for i, part in enumerate(("query", "key", "value", "output")):
        names = ("in_proj_weight", "in_proj_bias")
        rows, holder, at = slice(i * 3, i * 3 + 3), module, f"{part}.0"
        if part == "output":
            rows, holder, at = slice(None), module.out_proj, "output.1"
            names = ("weight", "bias")
        for name, its in zip(("weight", "bias"), names, strict=True):
            if f"{at}.{name}" in layer.parameters():
                found[f"{at}.{name}"] = (getattr(holder, its), rows)
    return found


@pytest.mark.filterwarnings("ignore:linear_cross_entropy")
def test_linear_cross_entropy_takes_pytorchs_own_inputs() -> None:
    """But for class weights, sums, shares as targets and further axes, which it has not."""
    seen = 0
    for what, module, (args, kwargs), (hidden, target) in samples(
        "LinearCrossEntropyLoss", frozenset()
    ):
        options = {key: kwargs[key] for key in ("label_smoothing", "ignore_index")}
        options["bias"] = kwargs.get("bias", False)
        refused = kwargs["weight"] is not None or kwargs["out_features"]
        if refused or kwargs["reduction"] != "mean" or target.is_floating_point():
            continue
        layer = bh.LinearCrossEntropy(*args, **options, chunk=3).to(torch.float64)
        for name, theirs in module.linear.named_parameters():
            layer.parameters()[name].value.copy_(theirs.detach())
        given = leaf(hidden)
        value = module(given, target)
        value.backward()
        output, _ = layer.forward((hidden, target), True)
        assert close(bh.Itself()(output, target), value.detach(), 1e-9), what
        error = bh.Itself().backward(output, target)
        (of_hidden, _), gradients = by_hand(layer, (hidden, target), error)
        assert close(of_hidden, given.grad, 1e-9), what
        for name, theirs in module.linear.named_parameters():
            assert close(gradients.pop(name), theirs.grad, 1e-9), (what, name)
        assert not gradients
        seen += 1
    assert seen


NO_TWIN = """
AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d AvgPool3d BCELoss
BatchNorm3d Bilinear CELU CTCLoss CircularPad1d CircularPad2d CircularPad3d ConstantPad1d
ConstantPad2d ConstantPad3d Conv3d ConvTranspose3d FractionalMaxPool2d FractionalMaxPool3d GLU
GaussianNLLLoss Hardshrink Hardtanh HingeEmbeddingLoss InstanceNorm3d LPPool1d LPPool2d LPPool3d
LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d
LocalResponseNorm LogSigmoid MarginRankingLoss MaxPool3d MultiLabelMarginLoss
MultiLabelSoftMarginLoss ReLU6 ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d
ReplicationPad2d ReplicationPad3d SoftMarginLoss Softmin Softshrink Softsign Tanhshrink Threshold
Transformer TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer ZeroPad1d ZeroPad2d
ZeroPad3d
"""
"""Modules that no layer or loss stands for; transformers are compositions, held to theirs in
test_architectures."""


def test_no_module_is_left_out() -> None:
    rows = {*LAYERS, *LOSSES, *APART}
    assert set(inputs_of_torch()[""]) == rows | set(NO_TWIN.split())
    assert not [name for name in NO_TWIN.split() if hasattr(bh, name)]


def rows_expected(name, twin, args, kwargs, inputs) -> Tensor:
    """PyTorch's losses without a reduction, as rows: of their mean over the outputs, and with
    the weights of classes such that the rows' mean is the loss."""
    each = getattr(nn, name)(*args, **kwargs).double()(*inputs)
    each = each + twin.beside(twin.into(*inputs)[1])
    prediction = flat(twin.into(*inputs)[0])[0]
    rows = each.mean(-1) if each.shape == prediction.shape else each
    if {"weight", "ignore_index"} & kwargs.keys() and name != "BCEWithLogitsLoss":
        whole = getattr(nn, name)(*args, **kwargs | {"reduction": "mean"}).double()(*inputs)
        rows = rows * (whole / rows.mean())
    return rows


def prediction_of(twin: LossTwin, target: Tensor, given: tuple[Tensor, ...]) -> Any:
    return twin.into(*given, target)[0]


def assert_close_or_nan(one: Tensor, other: Tensor, what: str) -> None:
    """PyTorch's inputs for the divergence are logarithms of numbers of both signs."""
    assert one.shape == other.shape, what
    assert torch.equal(one.isnan(), other.isnan()), what
    assert close(one.nan_to_num(), other.nan_to_num(), 1e-9), what
