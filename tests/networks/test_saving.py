"""Saved and loaded, a network is equal to itself; a bad file is one clear sentence."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

import backhand as bh
from backhand.networks import NetworkFileError
from cases import every_layer
from cases.case import differences, same


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


def edited(path, edit) -> None:
    tensors = safetensors.torch.load_file(path)
    with safetensors.safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["backhand"])
    edit(header, tensors)
    safetensors.torch.save_file(tensors, path, {"backhand": json.dumps(header)})


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
}


@pytest.mark.parametrize("name", EDITS)
def test_refuses_a_file(name, tmp_path) -> None:
    path = tmp_path / "network.safetensors"
    bh.save(bh.Sequential([bh.FullyConnected(3, 2)]), path)
    edit, says = EDITS[name]
    edited(path, edit)
    with pytest.raises(NetworkFileError, match=f"network.safetensors: .*{says}"):
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
