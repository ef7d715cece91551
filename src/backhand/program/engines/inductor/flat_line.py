"""A plan written without places in memory: a function of tensors, each value a variable."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from backhand.program.calls import Scalar, View
from backhand.program.engines.engine import CannotCompile
from backhand.program.engines.inductor.products import product, worthwhile
from backhand.program.plan import TEMPORARY, Operation, Plan, scalars_in


class FlatLine:
    """A plan written as a function of tensors, each value a variable.

    Attributes:
        text: the function.
        lasting: what was there before (weights, states, constants), by the names of the
            arguments that it goes in as, after the batch.
        trees: the live scalars' expressions; arguments too, after those.
        objects: what other names in the text stand for.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan = plan
        self.lasting: dict[View, str] = {}
        self.trees: dict[Any, str] = {}
        self.objects: dict[str, Any] = {}
        self._arguments = {view.storage: name for name, view in plan.arguments.items()}
        self._whole: dict[int, View] = {}
        self._fresh = itertools.count(1)
        self._variables: dict[int, str] = {}
        self._dtype = torch.float64
        self._converted: dict[str, str] = {}
        body = [line for operation in plan.operations for line in self._lines(operation)]
        returned = "".join(f"{self._read(view)}, " for view in plan.results.values())
        parameters = [*plan.arguments]
        parameters += [*self.lasting.values(), *self.trees.values()]
        lines = [f"def {name}({', '.join(parameters)}):"]
        lines += [f"{converted} = {how}" for converted, how in self._converted.items()]
        lines += [*body, f"return ({returned})"]
        self.text = "\n    ".join(lines) + "\n"

    def _lines(self, operation: Operation) -> list[str]:
        place = f"  # {operation.path}: {operation.layer}" if operation.path else ""
        value = self._value(operation)
        if len(operation.targets) > 1:
            several = f"several_{next(self._fresh)}"
            lines = [f"{several} = {value}{place}"]
            for at, target in enumerate(operation.targets):
                lines += self._write(target, f"{several}[{at}]", "")
            return lines
        return self._write(operation.target, value, place)

    def _write(self, target: View, value: str, place: str) -> list[str]:
        """The lines that put a value into its storage: as its variable, where it fills it."""
        number = target.storage
        storage = self.plan.storages[number]
        if storage.kind != TEMPORARY:
            return [f"{self._read(target)}.copy_({value}){place}"]
        if target.nbytes == storage.size and (target.is_contiguous or target.is_turned):
            self._variables[number] = f"v{number}_{next(self._fresh)}"
            self._whole[number] = target
            return [f"{self._variables[number]} = {value}{place}"]
        lines = []
        if number not in self._variables:
            self._variables[number] = f"v{number}"
            count = storage.size // target.dtype.itemsize
            self._whole[number] = View(number, target.dtype, (count,), (1,), 0)
            lines.append(f"v{number} = torch.zeros({count}, dtype={target.dtype})")
        return [*lines, f"{self._read(target)}.copy_({value}){place}"]

    def _value(self, operation: Operation) -> str:
        """The operation as an expression, its scalars as tensors."""
        self._dtype = operation.target.dtype
        if operation.how in ("fill", "copy"):
            target, word = operation.target, self._word(operation.operands[0])
            if operation.how == "copy":
                return f"({word}).to({target.dtype}).expand({target.shape}).clone()"
            return f"torch.zeros({target.shape}, dtype={target.dtype}) + {word}"
        if operation.overwrites:
            rest = ", ".join(self._word(each) for each in operation.operands[1:])
            target = operation.target
            return f"torch.zeros({target.shape}, dtype={target.dtype}).{operation.name}({rest})"
        words = [self._word(each) for each in operation.operands]
        if operation.name in ("mm", "addmm") and _for_onednn(operation):
            return self._product(operation, words)
        live = list(scalars_in((operation.operands, operation.keywords)))
        if live and operation.keywords:
            return self._scaled(operation, words)
        words += [f"{key}={self._word(value)}" for key, value in operation.keywords.items()]
        if operation.how == "out":
            return f"torch.{operation.name}({', '.join(words)})"
        if operation.how == "in place":  # on a copy: a value is never written over
            words[0] = f"({words[0]}).clone()"
        return f"{self._object(operation.function, operation.name)}({', '.join(words)})"

    def _scaled(self, operation: Operation, words: list[str]) -> str:
        """What takes live numbers as alpha, beta or value, in multiplications of tensors."""
        factors = {key: self._word(value) for key, value in operation.keywords.items()}
        left, *rest = words
        name, alpha = operation.name, factors.pop("alpha", "1")
        beta, value = factors.pop("beta", "1"), factors.pop("value", "1")
        known = {
            "add": "{left} + ({0}) * {alpha}",
            "sub": "{left} - ({0}) * {alpha}",
            "addcmul": "{left} + {value} * ({0}) * ({1})",
            "addcdiv": "{left} + {value} * (({0}) / ({1}))",
            "addmm": "torch.addmm({left} * {beta}, ({0}) * {alpha}, {1})",
            "addmv": "{left} * {beta} + torch.mv({0}, {1}) * {alpha}",
            "addr": "{left} * {beta} + torch.outer(({0}) * {alpha}, {1})",
        }
        if name not in known or factors:
            raise CannotCompile(
                f"{name} in {operation.place_in_network()} takes a live number that cannot go in "
                "as a tensor"
            )
        text = known[name].format(*rest, left=left, alpha=alpha, beta=beta, value=value)
        return text.replace(" * 1,", ",")

    def _product(self, operation: Operation, words: list[str]) -> str:
        """The sum beta · first + alpha · left @ right, the product by oneDNN."""
        *first, left, right = words
        factors = {key: self._word(value) for key, value in operation.keywords.items()}
        text = f"{self._object(product, 'product')}({left}, {right})"
        text += f" * ({factors['alpha']})" if "alpha" in factors else ""
        for each in first:
            text += f" + {each}" + (f" * ({factors['beta']})" if "beta" in factors else "")
        return text

    def _word(self, value: Any) -> str:
        if isinstance(value, View):
            return self._read(value)
        if isinstance(value, Scalar):
            return self._live(value)
        if isinstance(value, list | tuple):
            inner = "".join(f"{self._word(each)}, " for each in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner})"
        if value is None or isinstance(value, bool | int | str | torch.dtype):
            return repr(value)
        if isinstance(value, float) and value - value == 0:
            return repr(value)
        return self._object(value, type(value).__name__)

    def _live(self, value: Scalar) -> str:
        """A live scalar of the dtype at hand: one of another would keep loops from vectorising."""
        name = self.trees.setdefault(value.tree, f"number_{len(self.trees)}")
        if self._dtype is torch.float64:
            return name
        self._converted[f"{name}_{str(self._dtype)[6:]}"] = f"{name}.to({self._dtype})"
        return f"{name}_{str(self._dtype)[6:]}"

    def _object(self, value: Any, name: str) -> str:
        for known, each in self.objects.items():
            if each is value:
                return known
        made = f"{name.strip('_')}_{len(self.objects)}"
        self.objects[made] = value
        return made

    def _read(self, view: View) -> str:
        """An expression for a view of what its storage holds by now."""
        number = view.storage
        if number in self._arguments:
            argument = next(v for v in self.plan.arguments.values() if v.storage == number)
            return _view_of(self._arguments[number], argument, view)
        if number in self._variables:
            return _view_of(self._variables[number], self._whole[number], view)
        whole = self._piece(view)
        if whole not in self.lasting:
            known = self.plan.names.get(whole, self.plan.storages[number].name)
            self.lasting[whole] = f"{known}_{len(self.lasting)}"
        return _view_of(self.lasting[whole], whole, view)

    def _piece(self, view: View) -> View:
        """The part of a lasting storage that a view stands in, in order.

        States of many parameters may share a storage: each part goes in by itself, where no two
        overlap, since writing to a part would write all of it.
        """
        number, dtype = view.storage, view.dtype
        views = {
            each
            for operation in self.plan.operations
            for each in (*operation.targets, *operation.reads())
            if each.storage == number
        } | {view}
        parts = sorted({(each.offset, each.count) for each in views})
        apart = all(a[0] + a[1] <= b[0] for a, b in itertools.pairwise(parts))
        if not apart or not all(each.is_contiguous or each.is_turned for each in views):
            count = self.plan.storages[number].size // dtype.itemsize
            return View(number, dtype, (count,), (1,), 0)
        if view.is_contiguous:
            same = [each for each in views if each.offset == view.offset and each.is_contiguous]
            return min(same, key=lambda each: (-len(each.shape), each.shape))
        return self._piece(view.turned)


def _for_onednn(operation: Operation) -> bool:
    left, right = operation.operands[-2:]
    return worthwhile(left.shape, right.shape, left.dtype)


def _view_of(name: str, whole: View, view: View) -> str:
    """A view as an expression on the tensor that is its whole storage."""
    if view == whole:
        return name
    if not whole.is_contiguous:
        name = f"{name}.t()"
    if not (view.is_contiguous or view.is_turned):
        return f"{name}.as_strided({view.shape}, {view.stride}, {view.offset})"
    if view.nbytes != whole.nbytes:
        name = f"{name}.view(-1)[{view.offset}:{view.offset + view.count}]"
    if view.is_contiguous:
        return f"{name}.view({view.shape})"
    return f"{name}.view({view.shape[::-1]}).t()"
