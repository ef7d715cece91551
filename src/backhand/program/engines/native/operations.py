"""Operations: a piece of C for each primitive, and for what the engine does not know none."""

from __future__ import annotations

from collections.abc import Callable

from backhand.program.engines.native import (
    convolutions,
    elementwise,
    indexing,
    pooling,
    product_calls,
    reductions,
)
from backhand.program.engines.native.c_text import as_comment
from backhand.program.engines.native.kernels import Group
from backhand.program.engines.native.layout import bytes_of
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


def write_group(writer: Writer, group: Group) -> None:
    """Write one piece of C, with what it does as a comment."""
    writer.begin(group.operations[0], group.begin)
    for each in group.operations:
        writer.line(comment(writer, each))
    if group.kept:
        elementwise.write_loop(writer, group.operations, group.kept)
    else:
        _write(writer, group.operations[0])


def comment(writer: Writer, operation: Operation) -> str:
    """The operation as a C comment, with where in the network it comes from."""
    text = writer.plan.written(operation)
    place = f"{operation.path}: {operation.layer}" if operation.path else operation.layer
    return as_comment(f"{text}   {place}".rstrip())


def _write(writer: Writer, operation: Operation) -> None:
    known = _WRITERS.get(_base(operation))
    in_place_only = _base(operation) in _IN_PLACE
    opaque = operation.name in _OPAQUE and operation.how == "opaque"
    fits = operation.how == "out" or (operation.how == "in place") == in_place_only or opaque
    if known is None or not fits or len(operation.targets) != _RESULTS.get(operation.name, 1):
        raise writer.refuse("the native engine does not know it")
    if _reads_what_it_writes(writer, operation):
        raise writer.refuse("writes over what it still reads")
    known(writer, operation)


def _base(operation: Operation) -> str:
    """Its name, of a call in place without the underscore."""
    return operation.name if operation.name.endswith("__") else operation.name.removesuffix("_")


def _reads_what_it_writes(writer: Writer, operation: Operation) -> bool:
    """Whether an operand lies where the result goes; the sums' start and a few others may."""
    reads, targets = operation.reads(), operation.targets
    begun = _base(operation) in _WRITE_WHERE_THEY_READ and reads[:1] == targets
    read = [bytes_of(writer.plan, view) for view in reads[1 if begun else 0 :]]
    return any(bytes_of(writer.plan, each).meets(other) for each in targets for other in read)


_IN_PLACE = frozenset(["bernoulli", "uniform", "normal", "index_add", "masked_fill"])

_OPAQUE = frozenset(
    "__getitem__ conv1d conv2d conv_transpose1d conv_transpose2d max_pool2d_with_indices".split()
)
"""What has no form that writes to `out`."""

_RESULTS = {"max_pool2d_with_indices": 2}
"""How many targets an operation has, where it is not one."""

_WRITE_WHERE_THEY_READ = _IN_PLACE | frozenset(
    "addmm addmv addr baddbmm cumsum scatter scatter_add softmax".split()
)
"""What may be given its first operand to write to: it reads each element before it writes there."""

_WRITERS: dict[str, Callable[[Writer, Operation], None]] = {
    **dict.fromkeys(("mm", "mv", "bmm", "addmm", "addmv", "baddbmm"), product_calls.write_products),
    "addr": product_calls.write_outer,
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"),
        convolutions.write_convolution,
    ),
    "max_pool2d_with_indices": pooling.write_max_pool,
    **dict.fromkeys(("dot", "vdot"), product_calls.write_dot),
    **dict.fromkeys(("sum", "mean"), reductions.write_sum),
    **dict.fromkeys(("amax", "amin"), reductions.write_extreme),
    **dict.fromkeys(("argmax", "argmin"), reductions.write_place_of_extreme),
    "cumsum": reductions.write_running_sum,
    "log_softmax": reductions.write_log_softmax,
    "logsumexp": reductions.write_logsumexp,
    "softmax": reductions.write_softmax,
    "__getitem__": indexing.write_rows,
    "gather": indexing.write_gather,
    "index_add": indexing.write_index_add,
    "index_select": indexing.write_index_select,
    "masked_fill": indexing.write_masked_fill,
    "scatter": indexing.write_scatter,
    "scatter_add": indexing.write_scatter,
    **dict.fromkeys(("bernoulli", "uniform", "normal"), indexing.write_random),
}
"""How each primitive that is no elementwise one is written."""
