"""The C that the native engine runs, under the address and undefined-behaviour sanitizers.

Every block of memory is allocated at its exact size, so a read or write past its end is seen.
"""

from __future__ import annotations

import subprocess
from itertools import pairwise
from zlib import crc32

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import backhand as bh
from backhand.program.engines.native.compile import vector_bytes
from backhand.program.engines.native.emit import write_c
from backhand.program.engines.replay import Replay
from cases import RULES, every_native_layer

COMMAND = [
    "gcc", "-std=gnu11", "-O0", "-g", "-march=native", "-fno-strict-aliasing", "-w",
    "-fsanitize=address,undefined", "-fno-sanitize-recover", "-fno-omit-frame-pointer",
]  # fmt: skip
STEPS = 3

MAIN = """
#include <stdlib.h>
#include <stdio.h>

static char *block(size_t bytes, int reals) {
    char *made = calloc(bytes ? bytes : 1, 1);
    if (reals == 4) for (size_t i = 0; i < bytes / 4; i++) ((float *)made)[i] = 0.01f * (i % 7);
    if (reals == 8) for (size_t i = 0; i < bytes / 8; i++) ((double *)made)[i] = 0.01 * (i % 7);
    return made;
}

int main(void) {
    int64_t fault = 0, order[ORDER + 1];
    for (int i = 0; i < ORDER; i++) order[i] = (5 * i) % DATA_ROWS;
    char *memory[] = {MEMORY};
    const char *data[] = {DATA};
    char *results[] = {RESULTS};
    double scalars[SCALARS + 1];
    for (int i = 0; i < SCALARS; i++) scalars[i] = 0.1 + i;
    int64_t done = backhand_run((char *const *)memory, 0, STEPS, scalars, order, data, results, 7,
                                &fault);
    for (size_t i = 0; i + 2 < sizeof memory / sizeof *memory; i++) free(memory[i]);
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) free((char *)data[i]);
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) free(results[i]);
    return done == STEPS && fault == 0 ? 0 : 1;
}
"""


def run_sanitized(plan, folder, most_in_one: int | None = None) -> None:
    code = write_c(plan, "training_step", vector_bytes(), most_in_one=most_in_one)
    types = {
        view.storage: view.dtype
        for operation in (*plan.operations, *plan.preparations)
        for view in (*operation.reads(), *operation.targets)
    }

    def block(size: int, dtype) -> str:
        return f"block({size}, {dtype.itemsize if dtype.is_floating_point else 0})"

    memory = [f"block({plan.arena}, 0)", f"block({code.scratch}, 0)"]
    memory += [block(plan.storages[each].size, types[each]) for each in code.storages]
    numbers = ", ".join(map(str, code.schedule)) or "0"
    memory += ["(char *)calls", "(char *)(calls + sizeof calls / sizeof *calls)"]
    rows = next(iter(plan.arguments.values())).shape[0]
    data = [
        block(40 * torch.Size(view.shape[1:]).numel() * view.dtype.itemsize, view.dtype)
        for view in plan.arguments.values()
    ]
    results = [
        f"block({STEPS * torch.Size(view.shape).numel() * view.dtype.itemsize}, 0)"
        for view in plan.results.values()
    ]
    settings_ = {
        "ORDER": STEPS * rows, "DATA_ROWS": 40, "MEMORY": ", ".join(memory),
        "DATA": ", ".join(data), "RESULTS": ", ".join(results), "STEPS": STEPS,
        "SCALARS": STEPS * len(code.scalar_names),
    }  # fmt: skip
    defined = "".join(f"#define {name} {value}\n" for name, value in settings_.items())
    (folder / "step.c").write_text(
        f"{code.text}{defined}static const int64_t calls[] = {{{numbers}}};\n{MAIN}"
    )
    made = subprocess.run(
        [*COMMAND, "step.c", "-o", "step", "-lm"], cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr[:3000]
    done = subprocess.run([folder / "step"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]


def plan_of(network, loss, input):
    step = bh.TrainingStep(network, loss, Replay())
    target = torch.zeros_like(network.predict(input))
    if isinstance(loss, bh.CrossEntropyLoss):
        target = target[..., 0].long()
    return step.record(input, target).latest.plan


@settings(
    max_examples=8,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=3),
    rows=st.integers(1, 20),
    rule=st.sampled_from(RULES),
    loss=st.sampled_from([bh.MSELoss(), bh.BinaryCrossEntropyLoss(), bh.CrossEntropyLoss()]),
    activation=st.sampled_from([bh.ReLU, bh.Tanh, bh.Sigmoid, bh.Dropout]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_drawn_shapes(widths, rows, rule, loss, activation, dtype, tmp_path) -> None:
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [bh.FullyConnected(inputs, outputs), activation()]
    network = bh.Sequential(layers[:-1]).to(dtype).learn_with(rule.rule())
    run_sanitized(plan_of(network, loss, torch.ones(rows, widths[0], dtype=dtype)), tmp_path)


@every_native_layer
def test_every_layer(case, tmp_path) -> None:
    network = case.in_network(torch.float32).gate_with(bh.Gate(max_norm=0.1))
    plan = plan_of(network, bh.CrossEntropyLoss(), case.given(5, torch.float32))
    run_sanitized(plan, tmp_path, most_in_one=crc32(str(case).encode()) % 2 * 1000)
