"""The BLAS that torch brings: large products are calls of it, from the C, through a pointer."""

from __future__ import annotations

from backhand.program.engines.native.addresses import NAMES, USE
from backhand.program.engines.native.copying import write_copy
from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.product import MatrixProduct
from backhand.program.engines.native.writer import Writer


def fits(product: MatrixProduct) -> bool:
    """Whether a product's matrices lie so that the library can read them."""
    windows = (product.out, product.left, product.right)
    return (
        product.out.dtype in NAMES
        and product.divisor is None
        and all(_is_matrix(each) for each in windows)
        and product.sizes[1] > 0
    )


def _is_matrix(window: Window) -> bool:
    return window.number is None and (
        _lead(window) is not None or _lead(window.turned()) is not None
    )


def _lead(window: Window) -> int | None:
    """How far apart rows begin, where the elements of a row stand side by side; else None."""
    rows, columns = window.shape
    step, inner = window.stride
    if columns > 1 and inner != 1:
        return None
    if rows > 1 and step < columns:
        return None
    return max(step, columns) if rows > 1 else columns


def write_call(writer: Writer, product: MatrixProduct) -> None:
    """Write a product as a call."""
    if _lead(product.out) is None:
        product = product.turned()
    m, k, n = product.sizes
    out, start = product.out, product.start
    name, type_ = NAMES[out.dtype], C_TYPES[out.dtype]
    beta = product.beta or writer.literal(1, out.dtype)
    if start is None:
        beta = writer.literal(0, out.dtype)
    elif (start.base, start.offset, start.stride) != (out.base, out.offset, out.stride):
        write_copy(writer, start, out)
    with writer.block():
        operands = []
        for letter, window in (("b", product.right), ("a", product.left)):
            lead = _lead(window)
            turned = "N" if lead is not None else "T"
            lead = lead if lead is not None else _lead(window.turned())
            writer.line(f"const int ld{letter} = {lead};")
            operands.append((turned, f"&{window.at('0', '0')}", f"&ld{letter}"))
        writer.line(f"const int rows = {m}, columns = {n}, inner = {k}, ldc = {_lead(out)};")
        alpha = product.alpha or writer.literal(1, out.dtype)
        writer.line(f"const {type_} alpha = {alpha}, beta = {beta};")
        (turn_b, b, ldb), (turn_a, a, lda) = operands
        writer.line(
            f'bh_{name}("{turn_b}", "{turn_a}", &columns, &rows, &inner, &alpha, {b}, {ldb}, '
            f"{a}, {lda}, &beta, &{out.at('0', '0')}, &ldc);"
        )


DECLARED = "\n".join(
    [
        *(
            f"static void (*bh_{name})(const char *, const char *, const int *, const int *, "
            f"const int *, const {type_} *, const {type_} *, const int *, const {type_} *, "
            f"const int *, const {type_} *, {type_} *, const int *);"
            for name, type_ in (("sgemm_", "float"), ("dgemm_", "double"))
        ),
        f"void {USE}(void *single, void *twice) {{",
        "    bh_sgemm_ = single;",
        "    bh_dgemm_ = twice;",
        "}\n",
    ]
)
"""C that stands before what calls it."""
