"""What the tests of exported C share: how it is compiled, and a program around it."""

from __future__ import annotations

import re
import subprocess

import torch

STRICT = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-g"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
KINDS = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "int64_t",
    torch.bool: "bool",
}


def array(name: str, tensor: torch.Tensor) -> str:
    """A tensor as an array in C."""
    words = ", ".join(map(_number, tensor.flatten().tolist()))
    return f"static const {KINDS[tensor.dtype]} {name}[] = {{{words}}};"


def _number(value: float) -> str:
    return "NAN" if value != value else repr(value).lower()


def run_in_c(files, batches, rate: float, folder) -> list[float]:
    """Train on the batches and predict the first row of each; the numbers that C prints."""
    files.write(folder)
    rows = [array(f"input_{i}", input) for i, (input, _) in enumerate(batches)]
    rows += [array(f"target_{i}", target) for i, (_, target) in enumerate(batches)]
    kind = re.search(r"(float|double) loss", files.header)[1]
    width = int(re.search(r" prediction\[(\d+)\]", files.header)[1])
    steps = "".join(
        f"    if (net_train_step(input_{i}, target_{i}, {rate}, loss)) return 1;\n"
        f'    printf("%.17g\\n", (double)loss[0]);\n'
        f"    if (net_predict(input_{i}, prediction)) return 1;\n"
        f'    for (int i = 0; i < {width}; i++) printf("%.17g\\n", (double)prediction[i]);\n'
        for i in range(len(batches))
    )
    main = (
        '#include <stdio.h>\n#include "net.h"\n'
        + "\n".join(rows)
        + f"\nint main(void) {{\n    {kind} loss[1], prediction[{width}];\n"
        + f"{steps}    return 0;\n}}\n"
    )
    (folder / "main.c").write_text(main)
    command = [*STRICT, *SANITIZED, "main.c", "net.c", "-o", "net", "-lm"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    said = subprocess.run([folder / "net"], check=True, capture_output=True, text=True).stdout
    return [float(line) for line in said.split()]
