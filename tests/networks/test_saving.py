"""Saved and loaded, a network is equal to itself; a bad file is one clear sentence."""

from __future__ import annotations

import json
import resource
import time

import pytest
import safetensors.torch
import torch

import backhand as bh
from backhand.networks import NetworkFileError
from cases import every_layer
from cases.case import differences, same
from mutations import edited


@every_layer
def test_every_layer_comes_back_equal(case, tmp_path) -> None:
    network = case.in_network(torch.float32)
    for buffer in network.buffers().values():
        buffer.value.add_(1)
    path = tmp_path / "network.safetensors"
    bh.save(network, path)
    generator = torch.random.get_rng_state()
    classes = {type(layer) for _, layer in network.layers_by_path()}
    loaded = bh.load(path, layers=[each for each in classes if not hasattr(bh, each.__name__)])
    assert torch.equal(generator, torch.random.get_rng_state())
    assert repr(loaded) == repr(network)
    input = case.given(4, torch.float32)
    assert same(loaded.predict(input), network.predict(input))
    assert differences(loaded, network) == []
    shared = [parameter.shared for parameter in network.parameters().values()]
    assert [parameter.shared for parameter in loaded.parameters().values()] == shared


def test_keeps_ties_dtypes_and_freezes(tmp_path) -> None:
    one = bh.FullyConnected(3, 3, bias=False, initializer=bh.KaimingNormal(1.5))
    network = bh.Sequential([one, bh.Tanh(), one]).to(torch.float64)
    one.freeze()
    bh.save(network, tmp_path / "n")
    loaded = bh.load(tmp_path / "n")
    assert loaded.layers[0] is loaded.layers[2]
    assert loaded.layers[0].initializer == bh.KaimingNormal(1.5)
    assert loaded.layers[0].weight.value.dtype is torch.float64
    assert loaded.layers[0].weight.frozen


class Times(bh.Layer):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, input, training):
        return input * self.factor, None

    def propagate(self, error, memory, learning_rate):
        return error * self.factor


class Forgetful(Times):
    def __init__(self, factor: float) -> None:
        self.other = factor


class Odd(Times):
    def __init__(self, factor: object) -> None:
        self.factor = factor


def test_takes_layers_of_your_own_when_told(tmp_path) -> None:
    path = tmp_path / "n"
    bh.save(bh.Sequential([Times(2.5)]), path)
    with pytest.raises(NetworkFileError, match=r"names the layer Times.*layers=\[Times\]"):
        bh.load(path)
    assert bh.load(path, layers=[Times]).layers[0].factor == 2.5


def test_refuses_settings_it_cannot_write(tmp_path) -> None:
    with pytest.raises(AttributeError, match="Forgetful keeps no attribute 'factor'"):
        bh.save(bh.Sequential([Forgetful(1.0)]), tmp_path / "n")
    with pytest.raises(TypeError, match=r"layers\.0\.factor is a set"):
        bh.save(bh.Sequential([Odd({1})]), tmp_path / "n")
    assert not (tmp_path / "n").exists()


EDITS = {
    "of a newer format": (lambda h, t: h.update(format=2), "written in format 2"),
    "with an unknown layer": (lambda h, t: h["network"].update({"class": "os"}), "names the layer"),
    "without a weight": (lambda h, t: t.pop("0.weight"), "lacks the weight 0.weight"),
    "with a weight too many": (lambda h, t: t.update(x=torch.ones(1)), "beyond its architecture"),
    "with a weight of another shape": (
        lambda h, t: t.update({"0.bias": torch.ones(7)}),
        r"0.bias is of shape \(7,\), its layer expects \(2,\)",
    ),
    "with a bad setting": (
        lambda h, t: h["network"]["layers"][0].update(inputs=-1),
        "cannot be built",
    ),
    "with a format that is no number": (
        lambda h, t: h.update(format=float("nan")),
        "format: expected a whole number of 1 or more, got nan",
    ),
    "of a format below 1": (lambda h, t: h.update(format=-1), "whole number of 1 or more, got -1"),
    "of a format that is True": (lambda h, t: h.update(format=True), "or more, got True"),
    "with frozen a text": (
        lambda h, t: h.update(frozen="0.weight"),
        "frozen: expected a list of texts, got '0.weight'",
    ),
    "that freezes what is not there": (lambda h, t: h.update(frozen=["9.x"]), "freezes 9.x, which"),
    "with whole numbers as a weight": (
        lambda h, t: t.update({"0.bias": torch.ones(2, dtype=torch.int64)}),
        r"weight 0.bias is of torch.int64; expected one of float16, bfloat16, float32, float64",
    ),
    "with truth values as weights": (
        lambda h, t: t.update({k: v > 0 for k, v in t.items()}),
        "is of torch.bool",
    ),
    "with complex weights": (
        lambda h, t: t.update({k: v.to(torch.complex64) for k, v in t.items()}),
        "is of torch.complex64",
    ),
    "with weights of two dtypes": (
        lambda h, t: t.update({"0.bias": t["0.bias"].double()}),
        "0.weight is of torch.float32 and 0.bias of torch.float64",
    ),
    "with a branch that is no layer": (
        lambda h, t: h["network"]["layers"].append({"class": "Residual", "branch": 5}),
        "Residual: expected a Layer as branch, got 5",
    ),
    "with a text for a truth value": (
        lambda h, t: h["network"]["layers"][0].update(bias="*/ int x; /*"),
        "FullyConnected: expected True or False as bias",
    ),
    "that ties what is not there": (lambda h, t: h.update(tied={"0.bias": "0.x"}), "ties 0.bias"),
    "that ties weights of two shapes": (
        lambda h, t: (h.update(tied={"0.bias": "0.weight"}), t.pop("0.bias")),
        "not two weights of one shape",
    ),
    "that is the same as nothing": (
        lambda h, t: h["network"]["layers"].append({"same as": ".layers.7"}),
        "layers.1 is said to be the same as '.layers.7'",
    ),
    "that is the same as itself": (
        lambda h, t: h["network"]["layers"].append({"same as": ""}),
        "layers.1 is said to be the same as ''",
    ),
    "that is no layer": (
        lambda h, t: h.update(network={"class": "XavierUniform", "gain": 1.0}),
        "it is no layer",
    ),
    "without a network": (lambda h, t: h.pop("network"), "network: expected an object, got None"),
    "with a long name": (
        lambda h, t: h["network"].update({"class": "os" * 10**6}),
        "names the layer (os)+",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_refuses_a_file(name, tmp_path) -> None:
    path = tmp_path / "network.safetensors"
    bh.save(bh.Sequential([bh.FullyConnected(3, 2)]), path)
    edit, says = EDITS[name]
    edited(path, edit)
    # In a test the annotations are checked, too, and may say the same in their own words.
    with pytest.raises(NetworkFileError, match=f"network.safetensors: .*({says}|Type-check)"):
        bh.load(path)


def test_refuses_what_is_cut_short_or_not_ours(tmp_path) -> None:
    path = tmp_path / "n"
    bh.save(bh.FullyConnected(3, 2), path)
    content = path.read_bytes()
    for length in (0, 5, 60, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(NetworkFileError, match="cut short"):
            bh.load(path)
    safetensors.torch.save_file({"a": torch.ones(2)}, path)
    with pytest.raises(NetworkFileError, match="not a network saved by Backhand"):
        bh.load(path)
    with pytest.raises(FileNotFoundError):
        bh.load(tmp_path / "none")


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "n"
    bh.save(bh.FullyConnected(3, 2), path)
    old = path.read_bytes()

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        bh.save(bh.FullyConnected(3, 2), path)
    assert path.read_bytes() == old
    assert [each.name for each in tmp_path.iterdir()] == ["n"]


def saved_again(network: bh.Layer, folder) -> bh.Layer:
    """The network after save and load; saved once more, the file is the same to the byte."""
    bh.save(network, folder / "once", {"about": [1.5, "é"]})
    loaded = bh.load(folder / "once", layers=[Mine])
    bh.save(loaded, folder / "again", {"about": [1.5, "é"]})
    assert (folder / "once").read_bytes() == (folder / "again").read_bytes()
    return loaded


def test_one_parameter_in_two_layers_is_one_again(tmp_path) -> None:
    one, other = bh.FullyConnected(3, 3), bh.FullyConnected(3, 3)
    other.weight = one.weight
    network = bh.Sequential([one, bh.Tanh(), bh.Residual(bh.Sequential([other]))])
    network.freeze()
    loaded = saved_again(network, tmp_path)
    first, second = loaded.layers[0], loaded.layers[2].branch.layers[0]
    assert first.weight is second.weight
    assert first.bias is not second.bias
    assert loaded.parameters().keys() == network.parameters().keys()
    assert first.weight.frozen
    input, error = torch.randn(5, 3), torch.randn(5, 3)
    for each in (network, loaded):
        each.freeze(False)
    assert torch.equal(loaded(input), network(input))
    loaded.backward(error, 0.1)  # both contributions, in one update
    for layer in (one, other):
        layer.weight.shared = True
    network.backward(error, 0.1)
    assert torch.equal(first.weight.value, one.weight.value)


class Mine(bh.Layer):
    """A layer of one's own that trusts its arguments, and keeps a constant."""

    def __init__(self, size: object, inner: object = None) -> None:
        self.size = size
        self.inner = inner
        self.mask = torch.tril(torch.ones(size, size))
        self.weight = bh.Parameter(torch.randn(size))

    def forward(self, input, training):
        return input @ self.mask * self.weight.value, input


def test_values_beside_each_other_in_one_storage_are_two(tmp_path) -> None:
    one, other = bh.FullyConnected(3, 4), bh.FullyConnected(4, 4)
    both = torch.randn(2, 4, 7)
    one.weight.value, other.weight.value = both[0, :, :3], both[0, :, 3:]
    one.bias.value, other.bias.value = both[1, 0, :4], both[1, 1, :4]
    network = bh.Sequential([one, other, Mine(4)])
    one.bias.value = torch._neg_view(one.bias.value)
    loaded = saved_again(network, tmp_path)
    input = torch.randn(2, 3)
    assert torch.equal(loaded.predict(input), network.predict(input))
    before = loaded.layers[1].weight.value.clone()
    loaded.layers[0].weight.value.zero_()
    assert torch.equal(loaded.layers[1].weight.value, before)
    assert (tmp_path / "once").stat().st_size < 2000


def test_values_that_are_the_same_memory_are_refused(tmp_path) -> None:
    one, other = bh.FullyConnected(3, 3), bh.FullyConnected(3, 3)
    network = bh.Sequential([one, other])
    for value in (one.weight.value, one.weight.value.t(), one.bias.value.expand(3, 3)):
        other.weight.value = value
        with pytest.raises(ValueError, match=r"save: 1\.weight lies in the memory of 0\.\w+; give"):
            bh.save(network, tmp_path / "n")
    assert not list(tmp_path.iterdir())


def test_weights_that_no_network_computes_with_are_not_saved(tmp_path) -> None:
    network = bh.Sequential([bh.FullyConnected(3, 3), bh.FullyConnected(3, 3).to(torch.float64)])
    with pytest.raises(
        ValueError, match=r"save: .*0\.weight is of torch\.float32 and 1\.weight of"
    ):
        bh.save(network, tmp_path / "n")
    assert not list(tmp_path.iterdir())


def nested_twice(depth: int) -> bh.Layer:
    """A layer that goes twice into a container, which goes twice into another, and so on."""
    network: bh.Layer = bh.FullyConnected(2, 2)
    for _ in range(depth):
        network = bh.Sequential([network, network])
    return network


def test_what_is_used_twice_at_every_level_takes_no_longer(tmp_path) -> None:
    network = nested_twice(18)
    begin = time.process_time()
    loaded = saved_again(network, tmp_path)
    assert len(list(loaded.layers_by_path())) == 19
    assert loaded.parameters()["0.0." + "0." * 16 + "weight"].shared
    begin = time.process_time() - begin
    assert begin < 0.5


def test_what_no_pass_gets_through_is_refused_both_ways(tmp_path) -> None:
    path = tmp_path / "network.safetensors"
    begin = time.process_time()
    deep: bh.Layer = bh.Tanh()
    for _ in range(63):
        deep = bh.Sequential([deep])
    torch.testing.assert_close(
        saved_again(deep, tmp_path).predict(torch.ones(1)), torch.ones(1).tanh()
    )
    for network, says in (
        (nested_twice(40), "one pass would take more than 1048576 calls"),
        (bh.Sequential([deep]), "nest deeper than 64 levels"),
    ):
        with pytest.raises(ValueError, match=f"save: .*{says}"):
            bh.save(network, path)
    written = {"class": "FullyConnected", "inputs": 2, "outputs": 2}
    for depth in range(40, 0, -1):
        place = ".layers.0" * depth
        written = {"class": "Sequential", "layers": [written, {"same as": place}]}
    chain = [{"class": "Sequential", "layers": [{"class": "Tanh"}]}]
    for i in range(300):
        chain.append({"class": "Sequential", "layers": [{"same as": f".layers.{i}"}]})
    nested = "[" * 100_000 + "]" * 100_000
    for network, says in (
        (written, "more than 1048576 calls"),
        ({"class": "Sequential", "layers": chain}, "deeper than 64 levels"),
        ({"class": "Sequential", "layers": json.loads("[" * 250 + "]" * 250)}, "deeper than 64"),
        ("deep", "nested too deeply"),
    ):
        text = json.dumps({"format": 1, "network": network, "frozen": [], "about": {}})
        safetensors.torch.save_file({}, path, {"backhand": text.replace('"deep"', nested)})
        with pytest.raises(NetworkFileError, match=f"network.safetensors: .*{says}"):
            bh.load(path)
    assert time.process_time() - begin < 10  # and not until the end of days


LARGE = [
    {"class": "FullyConnected", "inputs": 5000, "outputs": 5000, "bias": False},
    {"class": "NeuralTangentLinear", "inputs": 5000, "outputs": 5000},
    {"class": "Scale", "features": 10**12},
    {"class": "RNN", "num_layers": 10**9, "input_size": 1, "hidden_size": 1},
    {"class": "FullyConnected", "inputs": 4000, "outputs": 4000}
    | {"initializer": {"class": "Orthogonal", "gain": 1.0}},
    {"class": "FullyConnected", "inputs": 10**30, "outputs": 5000},
    {"class": "Mine", "size": 5000, "inner": None},
    {"class": "Mine", "size": 10**6, "inner": {"class": "Tanh"}},
]


@pytest.mark.parametrize(
    "layer", LARGE, ids=lambda layer: f"{layer['class']} {list(layer.values())[1]}"
)
def test_nothing_is_built_that_the_files_tensors_do_not_account_for(layer, tmp_path) -> None:
    path = tmp_path / "network.safetensors"
    header = {"format": 1, "network": {"class": "Sequential", "layers": [layer] * 100}}
    tensors = {"0.weight": torch.ones(3, 3)}
    safetensors.torch.save_file(tensors, path, {"backhand": json.dumps(header)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    with pytest.raises(NetworkFileError, match=r"network\.safetensors: .*(cannot be built|memory)"):
        bh.load(path, layers=[Mine])
    assert time.process_time() - begin < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_a_large_layer_loads_where_the_file_holds_it(tmp_path) -> None:
    network = bh.Sequential([bh.FullyConnected(3000, 3000), Mine(3000)])
    loaded = saved_again(network, tmp_path)
    assert torch.equal(loaded.layers[0].weight.value, network.layers[0].weight.value)
    assert torch.equal(loaded.layers[1].mask, network.layers[1].mask)


def test_files_of_before_ties_are_read(tmp_path) -> None:
    path = tmp_path / "network.safetensors"
    network = bh.Sequential([bh.FullyConnected(3, 2)])
    bh.save(network, path)
    edited(path, lambda header, tensors: header.pop("tied"))
    assert torch.equal(bh.load(path).predict(torch.ones(1, 3)), network.predict(torch.ones(1, 3)))
