"""Every layer, loss and rule as C: strict C99 and C++, clean, with the plain step's numbers."""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import backhand as bh
from backhand.program.engines.native import emit
from backhand.program.export.c import export_c
from backhand.values import rows_of
from cases import LAYERS, LOSSES, RULES
from cases.case import Case, flat, randn_like
from program.engines.exported_c import SANITIZED, array

ROWS, STEPS, RATE = 2, 3, 0.05
LOSS = bh.MSELoss()
TOGETHER = 12
"""Layers that are compiled into one program."""

C = "gcc -std=c99 -Wall -Wextra -Werror -pedantic -O0 -c".split()
CPP = "g++ -x c++ -std=c++11 -Wall -Wextra -Werror -pedantic -fsyntax-only".split()
ALLOCATES = {"malloc", "calloc", "realloc", "aligned_alloc", "free", "alloca"}


@dataclass
class Exported:
    """A layer in a network, its C, and what plain steps make of the same batches."""

    name: str
    main: str
    expected: torch.Tensor


def exported(case: Case, name: str, folder: Path) -> Exported:
    """A network with the layer."""
    torch.manual_seed(0)
    network = case.in_network()
    batches = []
    for _ in range(STEPS):
        inputs = case.given(ROWS)
        batches.append((inputs, randn_like(network.predict(inputs))))
    return trained(network, LOSS, batches, name, folder, case.draws)


def trained(network, loss, batches, name: str, folder: Path, draws: bool = False) -> Exported:
    """Write a network's C; and a function that trains and predicts with it."""
    files = export_c(network, batches[0][0], loss, batches[0][1], name=name)
    files.write(folder)
    width = network.predict(rows_of(batches[0][0], slice(1))).numel()
    kind = re.search(r"(float|double) loss\[", files.header)[1]
    lines, expected = [f"    {kind} loss[1], prediction[{width}];"], []
    for at, (inputs, target) in enumerate(batches):
        words = [f"input_{at}_{i}" for i, _ in enumerate(flat(inputs))]
        given = zip([*words, f"target_{at}"], [*flat(inputs), target], strict=True)
        lines += [f"    {array(word, tensor)}" for word, tensor in given]
        rate = 0.0 if draws else RATE
        lines += [
            f"    if ({name}_train_step({', '.join(words)}, target_{at}, {rate}, loss)) return 1;",
            *(['    printf("%.17g\\n", (double)loss[0]);'] if not draws else []),
            f"    if ({name}_predict({', '.join(words)}, prediction)) return 1;",
            f'    for (int i = 0; i < {width}; i++) printf("%.17g\\n", (double)prediction[i]);',
        ]
        if not draws:
            prediction = network(inputs)
            expected.append(loss(prediction, target))
            network.backward(loss.backward(prediction, target), RATE)
        expected.append(network.predict(rows_of(inputs, slice(1))))
    main = "\n".join([f"static int run_{name}(void) {{", *lines, "    return 0;\n}\n"])
    return Exported(name, main, torch.cat([each.flatten() for each in expected]))


def compiled(networks: list[Exported], folder: Path) -> dict[str, Exported]:
    """The networks as one program, whose argument says which one trains."""
    found = {each.name: each for each in networks}
    chosen = "".join(
        f'    if (!strcmp(words[1], "{name}")) return run_{name}();\n' for name in found
    )
    headers = "".join(f'#include "{name}.h"\n' for name in found)
    main = f"#include <math.h>\n#include <stdio.h>\n#include <string.h>\n{headers}"
    main += "".join(each.main for each in found.values())
    main += f"int main(int count, char **words) {{\n    (void)count;\n{chosen}    return 1;\n}}\n"
    (folder / "main.c").write_text(main)
    run([*C, *SANITIZED, *(f"{name}.c" for name in [*found, "main"])], folder)
    run(
        ["gcc", *SANITIZED, *(f"{name}.o" for name in [*found, "main"]), "-lm", "-o", "all"], folder
    )
    # As part of C++: each in a namespace, for the helpers have the same names in every file.
    together = "".join(f'namespace in_{name} {{\n#include "{name}.c"\n}}\n' for name in found)
    headers = "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n"
    (folder / "all.cpp").write_text(headers + together)
    run([*CPP, "all.cpp"], folder)
    return found


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(network: Exported, folder: Path) -> torch.Tensor:
    """The numbers that the program prints for a network."""
    words = run([str(folder / "all"), network.name], folder).split()
    return torch.tensor([float(word) for word in words], dtype=torch.float64)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program that a layer is in, compiled once."""

    @functools.cache
    def of(chunk: int) -> tuple[Path, dict[str, Exported]]:
        folder = tmp_path_factory.mktemp("c")
        begin = chunk * TOGETHER
        cases = list(enumerate(LAYERS))[begin : begin + TOGETHER]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(emit, "MOST_IN_ONE", 0)  # however few: what repeats is called
            networks = [exported(case, f"net_{at}", folder) for at, case in cases]
            return folder, compiled(networks, folder)

    return of


@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_every_layer(case, program) -> None:
    at = LAYERS.index(case)
    folder, networks = program(at // TOGETHER)
    network = networks[f"net_{at}"]
    exact = case.dtype is torch.float64
    bounds = {"rtol": 1e-9, "atol": 1e-12} if exact else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(said(network, folder), network.expected.double(), **bounds)
    assert not ALLOCATES & set(run(["nm", "-u", f"{network.name}.o"], folder).split())


def test_every_loss(tmp_path) -> None:
    networks = []
    for at, case in enumerate(each for each in LOSSES if each.kind and each.towers == 1):
        network = bh.Sequential([bh.FullyConnected(3, 2)]).to(torch.float64)
        batches = [
            (torch.randn(4, 3).double(), case.target(4, 2, torch.float64)) for _ in range(STEPS)
        ]
        networks.append(trained(network, case.loss(), batches, f"net_{at}", tmp_path))
    for network in compiled(networks, tmp_path).values():
        torch.testing.assert_close(said(network, tmp_path), network.expected, rtol=1e-9, atol=1e-12)


def test_every_rule(tmp_path) -> None:
    networks = []
    for at, case in enumerate(each for each in RULES if each.kind and each.smooth):
        network = bh.Sequential([bh.FullyConnected(3, 2), bh.Tanh()]).to(torch.float64)
        batches = [tuple(torch.randn(2, 4, 2).double()) for _ in range(STEPS)]
        batches = [(torch.cat([input, input[:, :1]], 1), target) for input, target in batches]
        network.learn_with(case.rule())
        networks.append(trained(network, LOSS, batches, f"net_{at}", tmp_path))
    for network in compiled(networks, tmp_path).values():
        torch.testing.assert_close(said(network, tmp_path), network.expected, rtol=1e-9, atol=1e-12)
