"""Formulas: how each elementwise primitive computes one element, as C text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from backhand.program.calls import Scalar, View
from backhand.program.engines.native.layout import C_TYPES, REAL
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation

COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
LOGIC = {"logical_and": "&&", "logical_or": "||", "bitwise_and": "&", "bitwise_or": "|"}
LIBRARY = {
    "abs": "fabs", "ceil": "ceil", "cos": "cos", "erf": "erf", "erfc": "erfc", "floor": "floor",
    "log": "log", "log1p": "log1p", "round": "rint", "sin": "sin",
    "sqrt": "sqrt", "trunc": "trunc",
}  # fmt: skip
"""Functions of math.h."""
OWN = {
    "exp": "bh_exp", "expm1": "bh_expm1", "maximum": "bh_maximum",
    "minimum": "bh_minimum", "sigmoid": "bh_sigmoid", "sign": "bh_sign", "tanh": "bh_tanh",
}  # fmt: skip
"""Functions of mathematics.h."""
POWERS = {
    2: "{0} * {0}", 3: "{0} * {0} * {0}", 1: "{0}", 0.5: "sqrt{f}({0})", -1: "1 / {0}",
    -2: "1 / ({0} * {0})", -0.5: "1 / sqrt{f}({0})",
}  # fmt: skip


def expression(writer: Writer, operation: Operation, value: Callable[[View], str]) -> str:
    """The C text that computes one element of an operation."""
    target = operation.target.dtype
    if operation.how in ("copy", "fill"):
        source = operation.operands[0]
        text = value(source) if isinstance(source, View) else writer.number(source, target)
        return _converted(text, source.dtype if isinstance(source, View) else target, target)
    working = _working_type(operation)

    def word(operand: Any, dtype: torch.dtype = working) -> str:
        if isinstance(operand, View):
            return _converted(value(operand), operand.dtype, dtype)
        if not isinstance(operand, int | float | Scalar):
            raise writer.refuse(f"takes {operand!r}")
        return writer.number(operand, dtype)

    return FORMULAS[operation.name](writer, operation, word, working)


def _converted(text: str, have: torch.dtype, want: torch.dtype) -> str:
    if have == want:
        return text
    return f"({text} != 0)" if want is torch.bool else f"({C_TYPES[want]}){text}"


def _working_type(operation: Operation) -> torch.dtype:
    """The type that an operation computes in: the result's, or the operands' where that is bool."""
    target = operation.target.dtype
    if target is not torch.bool:
        return target
    views = operation.reads()
    common = views[0].dtype
    for view in views[1:]:
        common = torch.promote_types(common, view.dtype)
    fractions = any(isinstance(each, float | Scalar) for each in operation.operands)
    return torch.get_default_dtype() if fractions and common not in REAL else common


Word = Callable[..., str]
_Formula = Callable[[Writer, Operation, Word, torch.dtype], str]


def _suffix(dtype: torch.dtype) -> str:
    return "f" if dtype is torch.float32 else ""


def _only(writer: Writer, operation: Operation, *allowed: str) -> None:
    for name, setting in operation.keywords.items():
        if name not in allowed and setting is not None:
            raise writer.refuse(f"takes {name}={setting!r}")


def _arithmetic(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    _only(writer, operation, "alpha")
    if len(operation.operands) != 2:
        raise writer.refuse(f"takes {len(operation.operands)} operands")
    one, other = operation.operands
    right = word(other)
    if "alpha" in operation.keywords:
        right = f"{word(operation.keywords['alpha'])} * {right}"
    return f"{word(one)} {SIGNS[operation.name]} {right}"


def _comparison(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    one, other = operation.operands
    return f"{word(one)} {COMPARISONS[operation.name]} {word(other)}"


def _logic(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    one, other = operation.operands
    return f"{word(one)} {LOGIC[operation.name]} {word(other)}"


def _not(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    bitwise = operation.name == "bitwise_not" and dtype is not torch.bool
    return f"{'~' if bitwise else '!'}{word(operation.operands[0])}"


def _library(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    _only(writer, operation)
    if dtype not in REAL or len(operation.operands) != 1:
        raise writer.refuse("is written for real numbers only")
    return f"{LIBRARY[operation.name]}{_suffix(dtype)}({word(operation.operands[0])})"


def _own(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    if dtype not in REAL:
        raise writer.refuse("is written for real numbers only")
    words = ", ".join(word(each) for each in operation.operands)
    return f"{OWN[operation.name]}{'_f' if dtype is torch.float32 else ''}({words})"


def _bounded(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    """clamp, clamp_min, clamp_max; NaN stays NaN."""
    bounds = list(operation.operands[1:])
    low = operation.keywords.get("min", bounds[0] if bounds else None)
    high = operation.keywords.get("max", bounds[1] if len(bounds) > 1 else None)
    if operation.name == "clamp_max":
        low, high = None, bounds[0] if bounds else high
    text = word(operation.operands[0])
    suffix = "_f" if dtype is torch.float32 else ""
    for bound, sign, of_two in ((low, "<", "maximum"), (high, ">", "minimum")):
        if bound is None:
            continue
        if isinstance(bound, View):
            if dtype not in REAL:
                raise writer.refuse("is written for real numbers only")
            text = f"bh_{of_two}{suffix}({text}, {word(bound)})"
        else:
            if not text.isidentifier():
                writer.line(f"const {C_TYPES[dtype]} {(name := writer.fresh('v'))} = {text};")
                text = name
            text = f"({text} {sign} {word(bound)} ? {word(bound)} : {text})"
    return text


def _power(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    base, exponent = operation.operands
    known = not isinstance(exponent, View | Scalar) and exponent in POWERS
    if known and isinstance(base, View) and dtype in REAL:
        return POWERS[exponent].format(word(base), f=_suffix(dtype))
    if dtype not in REAL:
        raise writer.refuse("is written for real numbers only")
    return f"pow{_suffix(dtype)}({word(base)}, {word(exponent)})"


def _third(operation: Operation, name: str, default: float | None = None) -> Any:
    given = operation.operands[2] if len(operation.operands) > 2 else default
    return operation.keywords.get(name, given)


def _fused(sign: str) -> _Formula:
    def formula(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
        start, one, other = operation.operands[:3]
        value = operation.keywords.get("value", 1)
        scale = "" if not isinstance(value, Scalar) and value == 1 else f"{word(value)} * "
        return f"{word(start)} + {scale}({word(one)} {sign} {word(other)})"

    return formula


def _lerp(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    weight = _third(operation, "weight")
    start, end = (word(each) for each in operation.operands[:2])
    if isinstance(weight, float | int):  # torch's two forms, each exact at its end
        if abs(weight) < 0.5:
            return f"{start} + {word(weight)} * ({end} - {start})"
        return f"{end} - ({end} - {start}) * ({word(1)} - {word(weight)})"
    part = word(weight)
    return (
        f"(fabs{_suffix(dtype)}({part}) < {word(0.5)} ? {start} + {part} * ({end} - {start}) "
        f": {end} - ({end} - {start}) * ({word(1)} - {part}))"
    )


def _where(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
    condition, one, other = operation.operands
    return f"{word(condition, torch.bool)} ? {word(one)} : {word(other)}"


def _template(text: str) -> _Formula:
    def formula(writer: Writer, operation: Operation, word: Word, dtype: torch.dtype) -> str:
        _only(writer, operation)
        words = [word(each) for each in operation.operands]
        return text.format(*words, f=_suffix(dtype), one=writer.literal(1, dtype))

    return formula


FORMULAS: dict[str, _Formula] = {
    **dict.fromkeys(SIGNS, _arithmetic),
    **dict.fromkeys(COMPARISONS, _comparison),
    **dict.fromkeys(LOGIC, _logic),
    **dict.fromkeys(LIBRARY, _library),
    **dict.fromkeys(OWN, _own),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _bounded),
    **dict.fromkeys(("bitwise_not", "logical_not"), _not),
    "addcdiv": _fused("/"),
    "addcmul": _fused("*"),
    "lerp": _lerp,
    "neg": _template("-{0}"),
    "pow": _power,
    "reciprocal": _template("{one} / {0}"),
    "rsqrt": _template("{one} / sqrt{f}({0})"),
    "square": _template("{0} * {0}"),
    "where": _where,
    "xlogy": _template("({1} != {1} ? {1} : {0} == 0 ? 0 : {0} * log{f}({1}))"),
}
"""How each primitive computes one element."""
