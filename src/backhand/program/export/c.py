"""Export: a network as one C99 file and its header, to predict and to train without Python.

Each also reads as C++11. What repeats in a large step is written once (see calls.py).

No allocation, no library but math.h; all memory is static, and its size is known and shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.losses import Loss
from backhand.program.calls import contiguous_strides
from backhand.program.engines.native import emit
from backhand.program.engines.native.c_text import as_comment, not_among
from backhand.program.engines.native.copying import write_copy
from backhand.program.engines.native.emit import support, write_body
from backhand.program.engines.native.kernels import groups_of
from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.plan_memory import PlanMemory
from backhand.program.export.c_files import CFiles
from backhand.program.export.calls import CallTable
from backhand.program.export.functions import Function, prediction, training
from backhand.program.export.numbers import numbers_of
from backhand.program.line import RATE
from backhand.program.plan import ARGUMENT, CONSTANT, OUTSIDE
from backhand.values import Value, rows_of


def export_c(
    network: Layer,
    input: Value,
    loss: Loss | None = None,
    target: Value = (),
    name: str = "network",
    ram: int | None = None,
) -> CFiles:
    """A network as C: one function that predicts and, with a loss, one that trains.

    Args:
        network: its weights, as they are, are the ones in the file.
        input: a batch of the size that a training step takes; predictions are of one row.
        loss, target: for a training step; default none, and the weights are constants then.
        name: what every name in C begins with.
        ram: bytes of static memory allowed; default any.

    Raises:
        NotNative: an operation cannot be written as C; says which, of which layer.
        NotRecordable: the network's step is not a straight line.
        ValueError: the name is none in C, or more memory is needed than allowed; says how much.
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise ValueError(f"name: expected letters, digits and underscores, got {name!r}")
    functions = [prediction(network, rows_of(input, slice(1)), name)]
    if loss is not None:
        functions.append(training(network, loss, input, target, name))
    return _Exporter(network, functions, name, ram).files()


class _Exporter:
    """Puts the functions of one network together: they share weights and memory."""

    def __init__(
        self, network: Layer, functions: list[Function], name: str, ram: int | None
    ) -> None:
        self.network = network
        self.functions = functions
        self.name = name
        self.trains = len(functions) > 1
        self.arrays: list[str] = []
        self.declared: list[str] = []
        self.flash = 0
        self.arena = max([function.plan.arena for function in functions] + [1])
        self.ram = self.arena
        self._names: dict[int, str] = {}
        words = ("memory", "seed", "draws", "RAM")
        self._taken = {f"{name}_{word}" for word in words} | {each.name for each in functions}
        self._taken |= {f"{each.name}_{word}" for each in functions for word in CallTable.WORDS}
        for function in reversed(functions):  # the training step first: it names rule states
            self._name_arrays(function)
        self.bodies = [self._body(function) for function in functions]
        if self.draws:
            self.ram += 16
        self.ram += sum(8 for function in functions for _ in function.counters)
        if ram is not None and self.ram > ram:
            raise ValueError(
                f"{name} needs {self.ram} bytes of RAM, and {ram} are allowed; a smaller batch "
                "or a prediction without training needs less"
            )

    @property
    def draws(self) -> bool:
        """Whether some function draws random numbers."""
        return any(function.writer.draws for function in self.functions)

    def _name_arrays(self, function: Function) -> None:
        """Weights and states under the names of the network, constants under the plan's."""
        plan, writer, outside = function.plan, function.writer, function.line.recording.outside
        memory = PlanMemory(plan, outside)
        memory.make_constants()
        written = {view.storage for each in plan.operations for view in each.targets}
        for number, storage in plan.storages.items():
            if storage.kind == ARGUMENT:
                view = next(v for v in plan.arguments.values() if v.storage == number)
                if plan.writes_to(view):
                    raise ValueError(f"{function.name} writes to its {storage.name}")
            elif storage.kind == OUTSIDE:
                address = outside[number].untyped_storage().data_ptr()
                if address not in self._names:
                    self._names[address] = self._new_name(self.name, writer.names[number])
                    dtype = writer.types[number]
                    tensor = _whole(outside, number, storage.size // dtype.itemsize, dtype)
                    self._add_array(self._names[address], tensor, number not in written)
                writer.names[number] = self._names[address]
            elif storage.kind == CONSTANT and number not in writer.numbers:
                name = self._new_name(function.name, writer.names[number])
                dtype = writer.types[number]
                self._add_array(name, memory.blocks[number].view(dtype), constant=True)
                writer.names[number] = name

    def _new_name(self, prefix: str, name: str) -> str:
        found = not_among(self._taken, f"{prefix}_{name}")
        self._taken.add(found)
        return found

    def _add_array(self, name: str, tensor: Tensor, constant: bool) -> None:
        size = tensor.numel() * tensor.element_size()
        self.flash += size
        self.ram += 0 if constant else size
        declared = f"{'const ' if constant else ''}{C_TYPES[tensor.dtype]} {name}[{len(tensor)}]"
        self.arrays.append(f"{declared} = {{\n{numbers_of(tensor)}\n}};\n")
        self.declared.append(f"extern {declared};")

    def _body(self, function: Function) -> str:
        writer, plan = function.writer, function.plan
        for counter in function.counters:
            writer.line(f"const double {counter} = {function.name}_{counter} += 1;")
        kernels = self._write_operations(function)
        for name, view in plan.results.items():
            target = Window(name, view.shape, contiguous_strides(view.shape), 0, view.dtype)
            write_copy(writer, writer.window(view), target)
        writer.line("return 0;")
        first = []
        if RATE in plan.scalar_names():
            first.append(f"    const double {RATE} = learning_rate;")
        if writer.draws:
            first.append(f"    const uint64_t key = {self.name}_seed, step = {self.name}_draws++;")
        used = writer.used_declarations()
        if any("(arena" in each for each in used):
            first.append(f"    char *const arena = {self.name}_memory.bytes;")
        static = [
            f"static double {function.name}_{counter} = {value:.1f};"
            for counter, value in function.counters.items()
        ]
        words = set(re.findall(r"\w+", "\n".join(writer.lines)))
        unused = [f"    (void){name};" for name in plan.arguments if name not in words]
        head = [*static, *kernels, f"{function.signature()} {{", *unused]
        return "\n".join([*head, *first, *used, *writer.lines, "}\n"])

    def _write_operations(self, function: Function) -> list[str]:
        """Write a plan's operations in place, or of a large one their calls; gives its kernels."""
        groups = groups_of(function.writer)
        if len(groups) <= emit.MOST_IN_ONE:
            write_body(function.writer, groups)
            return []
        table = CallTable(function.writer, groups, function.name, f"{self.name}_memory.bytes")
        self.flash += table.flash
        return [table.text] if table.text else []

    def files(self) -> CFiles:
        text = "\n".join(
            [
                self._title("c"),
                f'#include "{self.name}.h"\n\n#include <math.h>\n',
                as_comment("The weights and what the update rule remembers.") + "\n"
                if self.trains
                else "",
                *self.arrays,
                as_comment("Where intermediate values stand; they share it in turn."),
                f"static union {{\n    double alignment;\n    int64_t words;\n"
                f"    char bytes[{self.arena}];\n}} {self.name}_memory;\n",
                *([f"uint64_t {self.name}_seed = 1;"] if self.draws else []),
                *([f"static uint64_t {self.name}_draws = 0;\n"] if self.draws else []),
                self._support(),
                *self.bodies,
            ]
        )
        return CFiles(self.name, text, self._header(), self.flash, self.ram)

    def _support(self) -> str:
        """The helpers that the bodies use."""
        texts = [support("portable.h"), support("choices.h")]
        if self.draws:
            texts.append(support("randomness.h"))
        return "\n".join(texts)

    def _title(self, suffix: str) -> str:
        layers = [
            f"  {path or 'network'}: {layer!r}"
            for path, layer in self.network.layers_by_path()
            if not layer.children()
        ]
        return as_comment(
            f"{self.name}.{suffix}: a neural network, written by Backhand. C99, and C++11.",
            "",
            *layers,
            "",
            f"Weights and constants: {self.flash} bytes.",
            f"Static memory that is written to: {self.ram} bytes, of which intermediate values "
            f"take {self.arena}.",
            "The stack holds scalars and addresses only. Nothing is allocated.",
        )

    def _header(self) -> str:
        guard = f"{self.name.upper()}_H"
        size = f"#define {self.name.upper()}_RAM {self.ram}"
        functions = [
            as_comment(
                each.about,
                "Returns 0; else the number of the operation that met an index out of range.",
            )
            + f"\n{each.signature()};\n"
            for each in self.functions
        ]
        seed = [as_comment("Set it for other random numbers.")]
        seed.append(f"extern uint64_t {self.name}_seed;\n")
        return "\n".join(
            [
                self._title("h"),
                f"#ifndef {guard}\n#define {guard}\n",
                "#include <stdbool.h>\n#include <stdint.h>\n",
                '#ifdef __cplusplus\nextern "C" {\n#endif\n',
                f"{as_comment('Bytes of static memory that is written to.')}\n{size}\n",
                *functions,
                as_comment("The weights, to save or to load."),
                *self.declared,
                "",
                *(seed if self.draws else []),
                "#ifdef __cplusplus\n}\n#endif\n",
                "#endif\n",
            ]
        )


def _whole(outside: Mapping[int, Tensor], number: int, elements: int, dtype: torch.dtype) -> Tensor:
    return outside[number].view(dtype).as_strided((elements,), (1,), 0)
