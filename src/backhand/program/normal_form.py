"""Normal form: a recorded call, in whichever spelling, as primitive operations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from backhand.program.calls import Call, View
from backhand.program.plan import Operation
from backhand.program.primitives import (
    COPIES,
    EMPTY,
    FILLED,
    FILLED_WITH_ARGUMENT,
    FILLS,
    OF_METHODS,
    OPERANDS,
    RECIPROCALS,
    REFLECTED,
    SPELLINGS,
    WITH_OUT,
)


class _Primitive(NamedTuple):
    """A known operation with one target; see Operation."""

    name: str
    how: str
    operands: tuple[Any, ...]
    keywords: dict[str, Any]
    target: View


def normal_form(call: Call, sizes: dict[int, int]) -> list[Operation]:
    """The call as operations: mostly one; none, where it only makes a view or a place.

    Args:
        call: as recorded.
        sizes: bytes of each storage.
    """
    if (not call.writes and not call.makes) or call.name in EMPTY:
        return []
    name = SPELLINGS.get(call.name, call.name)
    operands, keywords = _by_position(call, name)
    if name in REFLECTED:
        name, operands = REFLECTED[name], (operands[1], operands[0], *operands[2:])
    targets = _written(call, name, operands) or call.outputs
    recorded = Operation(
        call.name, "in place" if call.writes else "opaque", call.arguments, call.keywords,
        targets, call.function, call.random, call.phase, call.path, call.layer, call.parameter,
    )  # fmt: skip
    known: list[_Primitive] = _assigned(call) or []
    if (
        not known
        and len(targets) == 1
        and (call.writes or targets[0].fills(sizes[targets[0].storage]))
    ):
        known = _primitives(call, name, operands, keywords, targets[0])
    return [_as(recorded, each) for each in known] or [recorded]


def _as(recorded: Operation, known: _Primitive) -> Operation:
    """A known operation, at the recorded one's place."""
    return replace(
        recorded, name=known.name, how=known.how, operands=known.operands,
        keywords=known.keywords, targets=(known.target,),
    )  # fmt: skip


def _by_position(call: Call, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call's arguments with those operands by position that were passed by name."""
    names = OPERANDS.get(name.removesuffix("_"), OPERANDS.get(name, ("input", "other")))
    is_method = hasattr(call.function, "__objclass__")
    given = OF_METHODS.get(name, names) if is_method else names
    operands, keywords = call.arguments, dict(call.keywords)
    for each in given[len(operands) :]:
        if each not in keywords:
            break
        operands = (*operands, keywords.pop(each))
    if given != names and len(operands) == len(names):
        by_name = dict(zip(given, operands, strict=True))
        operands = tuple(by_name[each] for each in names)
    return operands, keywords


def _written(call: Call, name: str, operands: tuple[Any, ...]) -> tuple[View, ...]:
    """The views that a call writes to.

    A known call writes to `out` or to its first operand. Of an unknown one is known what was
    seen: views of one storage count their versions together, and the operands among them, too.
    """
    out = call.keywords.get("out")
    in_place = name.removesuffix("_") in WITH_OUT or name in FILLS or name == "copy_"
    if out in call.writes and name in WITH_OUT:
        return (out,)
    if out is None and in_place and operands and operands[0] in call.writes:
        return operands[:1]
    return tuple(dict.fromkeys(call.writes))


def _primitives(
    call: Call, name: str, operands: tuple[Any, ...], keywords: dict[str, Any], target: View
) -> list[_Primitive]:
    """What a call with one target does; nothing, where that is not known."""
    if name in RECIPROCALS:
        return [
            _Primitive("reciprocal", "out", operands[:1], {}, target),
            _Primitive("mul", "out", (target, operands[1]), {}, target),
        ]
    if name in FILLED:
        return [_Primitive("fill", "fill", (FILLED[name],), {}, target)]
    if FILLED_WITH_ARGUMENT.get(name, len(operands)) < len(operands):
        number = operands[FILLED_WITH_ARGUMENT[name]]
        return [_Primitive("fill", "fill", (number,), {}, target)]
    if name == "copy_" and not keywords and operands[1].shape == operands[0].shape:
        return [_Primitive("copy", "copy", operands[1:], {}, target)]
    if name == "repeat_interleave":
        return _repeated(operands, keywords, target)
    if name == "constant_pad_nd":
        return _padded(operands, keywords, target)
    copy = target.reshaped(operands[0].shape) if name in COPIES else None
    if copy is not None:
        return [_Primitive("copy", "copy", operands[:1], {}, copy)]
    if "out" in keywords:
        keywords = {key: value for key, value in keywords.items() if key != "out"}
    elif not call.writes:
        name, operands, keywords = _equal_in_bits(name, operands, keywords)
    elif operands[:1] == (target,):
        name = name.removesuffix("_")
    known = name in WITH_OUT and operands
    return [_Primitive(name, "out", operands, keywords, target)] if known else []


def _assigned(call: Call) -> list[_Primitive]:
    """x[index] = value as a copy to a view, where the index is of numbers and slices."""
    if call.name != "__setitem__":
        return []
    whole, index, value = call.arguments
    region = whole.indexed(index if isinstance(index, tuple) else (index,))
    if region is None or not isinstance(value, View | int | float):
        return []
    if isinstance(value, View):
        fits = len(value.shape) <= len(region.shape)
        return [_Primitive("copy", "copy", (value,), {}, region)] if fits else []
    return [_Primitive("fill", "fill", (value,), {}, region)]


def _padded(operands: tuple[Any, ...], keywords: dict[str, Any], target: View) -> list[_Primitive]:
    """A border of one number around an array."""
    if keywords or len(operands) > 3 or any(each < 0 for each in operands[1]):
        return []
    source, pads, value = (*operands, 0)[:3]
    begin = [0] * (len(source.shape) - len(pads) // 2) + list(pads[-2::-2])
    inside = target.indexed(
        tuple(slice(at, at + n) for at, n in zip(begin, source.shape, strict=True))
    )
    assert inside is not None
    return [
        _Primitive("fill", "fill", (value,), {}, target),
        _Primitive("copy", "copy", (source,), {}, inside),
    ]


def _repeated(
    operands: tuple[Any, ...], keywords: dict[str, Any], target: View
) -> list[_Primitive]:
    """Each element along an axis several times, as a copy of a view with one axis more."""
    given = (*operands[1:], *(keywords[key] for key in ("repeats", "dim") if key in keywords))
    if len(given) != 2 or not all(isinstance(each, int) for each in given):
        return []
    (times, axis), source = given, operands[0]
    axis %= len(source.shape)
    shape = (*source.shape[: axis + 1], times, *source.shape[axis + 1 :])
    repeated = replace(source, shape=shape, stride=_with(source.stride, axis + 1, 0))
    step = target.stride[axis]
    stride = (*target.stride[:axis], step * times, step, *target.stride[axis + 1 :])
    return [
        _Primitive("copy", "copy", (repeated,), {}, replace(target, shape=shape, stride=stride))
    ]


def _with(numbers: tuple[int, ...], place: int, number: int) -> tuple[int, ...]:
    return (*numbers[:place], number, *numbers[place:])


def _equal_in_bits(
    name: str, operands: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Another spelling with `out=` that computes the same bits, where there is one."""
    if name == "relu":
        return "clamp_min", (*operands, 0), keywords
    if name in ("sum", "mean") and len(operands) == 1 and not keywords:
        return name, (*operands, list(range(len(operands[0].shape)))), keywords
    if name == "matmul" and [len(each.shape) for each in operands] == [2, 2]:
        return "mm", operands, keywords
    if name == "matmul" and [len(each.shape) for each in operands] == [2, 1]:
        return "mv", operands, keywords
    return name, operands, keywords
