"""Files changed at random, and what the loaders make of them.

Run as `python -m mutations LOADER COUNT SEED`, in a process of its own, since tests check every
annotation and users' programs do not. Prints, as JSON, what neither loads to something that works
nor is refused with the loader's error, and what takes long or much memory.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import re
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

import backhand as bh
from backhand.layer import LayerError
from backhand.networks import NetworkFileError
from backhand.training import NonFiniteLoss
from cases import LAYERS

SECONDS, BYTES = 2.0, 500 << 20

DEEP = "lists in lists, "
"""A text in place of so many, which no writer of JSON could write."""

ODD: list[Any] = [None, True, False, 0, 1, -1, 2, 3, 5000, 10**9, 10**18, 10**30, -(10**30), 0.5]
ODD += [-0.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"), "", "x", "0", "é\ud800"]
ODD += ["*/ int x; /*", "Tanh", "Stack", "Sequential", "Concatenate", "Initializer", "Layer", "os"]
ODD += ["category", "boolean", "<U1000000000", "|V8", "layers.0", "0.weight", [], {}, [[]]]
ODD += [[1, 2, 3], ["a", "b"], [None], {"class": "Tanh"}, {"class": "Dropout", "rate": 0.5}]
ODD += [{"class": "XavierUniform", "gain": 1.0}, {"same as": ""}, {"same as": ".layers.0"}]
ODD += [{"class": "FullyConnected", "inputs": 5000, "outputs": 5000}]
ODD += [{"class": "Sequential", "layers": []}]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
DTYPES += [torch.complex64, torch.uint8, torch.float8_e4m3fn]


def doubled(depth: int) -> Any:
    """Layers of the same two layers, again and again."""
    found: Any = {"class": "Tanh"}
    for i in range(depth):
        place = "".join([".layers.0"] * (depth - i))
        found = {"class": "Sequential", "layers": [found, {"same as": place}]}
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside, and of the whole."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    return [path, *(found for key, each in items for found in places(each, (*path, key)))]


def mutate_json(value: Any, draw: random.Random) -> Any:
    """The value with something in it replaced, dropped, doubled, renamed, wrapped or swapped."""
    *parents, last = draw.choice(places({"": value})[2:])
    value = {"": copy.deepcopy(value)}
    owner: Any = value
    for key in parents:
        owner = owner[key]
    how = draw.randrange(8)
    if how == 0:
        del owner[last]
    elif how == 1 and isinstance(owner, list):
        owner.insert(last, copy.deepcopy(owner[last]))
    elif how == 2 and isinstance(owner, dict):
        owner[draw.choice(["x", "class", "same as", "layers", "format", f"{last}_"])] = owner.pop(
            last
        )
    elif how == 3:
        owner[last] = draw.choice(
            [[owner[last]], {"x": owner[last]}, f"{DEEP}{draw.choice([60, 900, 100_000])}"]
        )
    elif how == 4:
        other: Any = value
        for key in draw.choice(places(value)):
            other = other[key]
        owner[last] = copy.deepcopy(other)
    elif how == 5 and isinstance(owner[last], int | float):
        owner[last] = draw.choice(
            [owner[last] + 1, -owner[last], owner[last] * 1000, str(owner[last])]
        )
    elif how == 6 and draw.random() < 0.2:
        owner[last] = doubled(draw.choice([3, 18, 40]))
    else:
        owner[last] = draw.choice(ODD)
    return value.get("")


def mutate_tensors(
    tensors: dict[str, torch.Tensor], draw: random.Random
) -> dict[str, torch.Tensor]:
    tensors = dict(tensors)
    name = draw.choice(list(tensors) or ["x"])
    tensor = tensors.get(name, torch.ones(2))
    how = draw.randrange(7)
    if how == 0:
        tensors.pop(name, None)
    elif how == 1:
        tensors[draw.choice(["x", "", f"{name}.x", "0.weight"])] = tensor.clone()
    elif how == 2:
        tensors[name] = tensor.to(draw.choice(DTYPES))
    elif how == 3:
        dtype = draw.choice(DTYPES)
        tensors = {each: value.to(dtype) for each, value in tensors.items()}
    elif how == 4:
        tensors[name] = torch.ones(draw.choice([(), (0,), (0, 10**6), (7,), (1, 1, 1), (3, 2)]))
    elif how == 5:
        tensors[name] = tensor.flatten()[: draw.randrange(tensor.numel() + 1)].clone()
    else:
        values = [float("nan"), float("inf"), -1.0, 1e38]
        tensors[name] = torch.full_like(tensor.to(torch.float32), draw.choice(values))
    return tensors


def mutate_bytes(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    how = draw.randrange(4)
    header = 8 + int.from_bytes(content[:8], "little")
    if how == 0:
        return content[: draw.randrange(len(content))]
    if how == 1:
        at = draw.randrange(len(content))
        return content[:at] + draw.randbytes(draw.randrange(1, 9)) + content[at:]
    for _ in range(draw.randrange(1, 6)):
        changed[draw.randrange(header if how == 2 else len(changed))] = draw.randrange(256)
    return bytes(changed)


def edited(path: Path, edit: Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]) -> None:
    """Change a file's description and tensors."""
    tensors, key, described = opened(path.read_bytes())
    edit(described, tensors)
    path.write_bytes(safetensors.torch.save(tensors, {key: json.dumps(described)}))


def opened(content: bytes) -> tuple[dict[str, torch.Tensor], str, Any]:
    """A file's tensors, the key of its description, and that."""
    size = int.from_bytes(content[:8], "little")
    ((key, text),) = json.loads(content[8 : 8 + size])["__metadata__"].items()
    return safetensors.torch.load(content), key, json.loads(text)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A file's content with one to three things changed."""
    if draw.random() < 0.2:
        return mutate_bytes(content, draw)
    tensors, key, described = opened(content)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if draw.random() < 0.75:
            described = mutate_json(described, draw) if described else described
        else:
            tensors = mutate_tensors(tensors, draw)
    text = re.sub(rf'"{DEEP}(\d+)"', lambda found: deep(int(found[1])), json.dumps(described))
    if draw.random() < 0.05:
        text = text[: draw.randrange(len(text))]
    return safetensors.torch.save(tensors, {key: text})


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


class Loader:
    """A file to begin with, how it is loaded, and a use of what was."""

    def __init__(
        self, save: Callable[[Path], Any], load: Callable[[Path], Any], use: Callable[[Any], Any]
    ) -> None:
        self.save, self.load, self.use = save, load, use


class Mine(bh.Layer):
    """A layer from outside, which trusts its arguments."""

    def __init__(self, size: Any = 3, inner: Any = None) -> None:
        self.size = size
        self.inner = inner
        self.weight = bh.Parameter(torch.zeros(size, size))

    def forward(self, input, training):
        self.expect_features(input, self.size, self.weight.value)
        return input @ self.weight.value, None


def networks() -> Loader:
    shared = bh.FullyConnected(4, 4, initializer=bh.KaimingNormal(1.5))
    network = bh.Sequential(
        [
            bh.FullyConnected(3, 4, bias=False),
            shared,
            bh.Tanh(),
            bh.Residual(bh.Sequential([bh.Dropout(0.25), shared])),
            bh.Concatenate([bh.NeuralTangentLinear(4, 2), bh.Scale(4), bh.SELU()]),
            bh.Mish(),
            Mine(10, bh.ReLU()),
        ]
    )
    network.layers[1].freeze()

    def use(found: bh.Layer) -> None:
        dtypes = [each.value.dtype for each in found.parameters().values()]
        with contextlib.suppress(LayerError):  # layers that do not go together
            found.predict(torch.ones(2, 3, dtype=dtypes[0] if dtypes else torch.float32))
        bh.save(found, Path(tempfile.gettempdir()) / "backhand-mutations-again")

    return Loader(
        lambda path: bh.save(network, path, {"more": [1, {"x": None}]}),
        lambda path: bh.load(path, layers=[Mine]),
        use,
    )


def tables() -> Loader:
    import pandas as pd

    from backhand.estimators.tables import TableClassifier, TableRegressor, load_table_model

    rows = 40
    draw = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": draw.normal(size=rows),
            "town": draw.choice(["a", "b", "c"], rows),
            "yes": draw.random(rows) > 0.5,
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 9999, rows), "h"),
        }
    )
    table.loc[3, "age"] = np.nan
    examples = {
        "number": [1.0, np.nan, -3.0],
        "category": ["a", "c", None],
        "boolean": [True, None, False],
        "date": [pd.Timestamp("2020-01-01"), pd.NaT, pd.Timestamp("1980-05-05")],
    }
    dtypes = {"boolean": object, "category": object}
    kind, target = TableClassifier, draw.choice(["no", "yes", "so"], rows)
    if random.random() < 0.5:
        kind, target = TableRegressor, draw.normal(size=rows)
    model = kind(hidden=(4,), epochs=1, members=2, random_state=1)
    model.fit(table, pd.Series(target, name="t"))

    def use(found: Any) -> None:
        columns = {
            code.name: pd.Series(examples[code.kind], dtype=dtypes.get(code.kind))
            for code in found.encoding_.codes
        }
        given = pd.DataFrame(columns)
        if len(given.columns) == found.n_features_in_:  # else two columns of one name
            assert len(found.predict(given)) == 3

    return Loader(model.save, load_table_model, use)


def streams() -> Loader:
    from backhand.estimators import online

    kind = random.choice(["OnlineClassifier", "OnlineRegressor", "OnlineAnomalyDetector"])
    model = getattr(online, kind)(hidden=(4,), seed=3, rule=random.choice([None, bh.Momentum(0.5)]))
    labels = {"OnlineClassifier": (["a"], [2]), "OnlineRegressor": ([1.5], [0.5])}.get(
        kind, ((), ())
    )
    for target in labels:
        model.learn_one({"x": 1.0, "y": -2.0, 3: 0.5}, *target)

    def use(found: Any) -> None:
        row = dict.fromkeys(found._columns.places, 1.0)
        for name in ("predict_one", "predict_proba_one", "score_one"):
            if hasattr(found, name):
                getattr(found, name)(row)
        if getattr(found, "classes_", [0]):
            target = labels[0] if kind != "OnlineClassifier" else [found.classes_[0]]
            with contextlib.suppress(NonFiniteLoss):
                found.learn_one(row, *target)

    return Loader(model.save, type(model).load, use)


def every_layer() -> list[Loader]:
    """A file of each case of a layer; saved again, not used: what is given fits the case only."""
    again = Path(tempfile.gettempdir()) / "backhand-mutations-again"
    found = []
    for case in LAYERS:
        network = case.in_network(torch.float32)
        classes = {type(layer) for _, layer in network.layers_by_path()}
        own = [each for each in classes if not hasattr(bh, each.__name__)]
        save, load = partial(bh.save, network), partial(bh.load, layers=own)
        found.append(Loader(save, load, partial(bh.save, path=again)))
    return found


LOADERS: dict[str, Callable[[], list[Loader]]] = {
    "networks": lambda: [networks()],
    "layers": every_layer,
    "tables": lambda: [tables()],
    "streams": lambda: [streams()],
}


def run(name: str, count: int, seed: int) -> list[str]:
    """What goes wrong in so many mutations."""
    random.seed(seed)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        loaders = LOADERS[name]()
        contents = []
        for loader in loaders:
            loader.save(path)
            contents.append(path.read_bytes())
            loader.use(loader.load(path))
        for i in range(count):
            at = i % len(loaders)
            path.write_bytes(mutated(contents[at], random.Random(f"{seed} {i}")))
            found += [f"{i}: {fault}"[:400] for fault in faults_of(loaders[at], path)]
    return found


def faults_of(loader: Loader, path: Path) -> list[str]:
    """What is wrong with how a file is loaded, and with what comes of it."""
    found = []
    begin, before = time.process_time(), memory()
    try:
        loaded = loader.load(path)
    except NetworkFileError as problem:
        said = str(problem)
        if "\n" in said or len(said) > 700 or str(path) not in said:
            found.append(f"not one sentence that names the file: {problem}")
    except BaseException as problem:
        found.append(f"load: {type(problem).__name__}: {problem}")
    else:
        found += used(loader, loaded)
    if time.process_time() - begin > SECONDS:
        found.append(f"took {time.process_time() - begin:.1f} s")
    if memory() - before > BYTES:
        found.append(f"took {memory() - before} bytes")
    return found


def used(loader: Loader, loaded: Any) -> list[str]:
    try:
        loader.use(loaded)
    except Exception as problem:
        return [f"use: {type(problem).__name__}: {problem}"]
    return []


def memory() -> int:
    """The most bytes that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
