"""Products by the BLAS, called from C, are those of torch, however their matrices lie."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backhand.program.calls import View
from backhand.program.engines.native.compile import vector_bytes
from backhand.program.engines.native.compiled import Compiled
from backhand.program.engines.native.emit import write_c
from backhand.program.plan import OUTSIDE, Operation, Plan, Storage

DTYPES = [torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch, quick_compiler):
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path_factory.mktemp("cache")))


@st.composite
def matrices(draw, rows: int, columns: int, written: bool = False):
    """A tensor of these sizes: in order, transposed, part of a wider one, or with gaps."""
    ways = ["in order", "turned", "part", "turned part", "gaps", "one row", "overlapping rows"]
    how = draw(st.sampled_from(ways[: 5 if written else None]))
    more = draw(st.integers(1, 3))
    if how == "in order":
        return torch.randn(rows, columns)
    if how == "turned":
        return torch.randn(columns, rows).t()
    if how == "part":
        return torch.randn(rows + 1, columns + more)[1:, more:]
    if how == "turned part":
        return torch.randn(columns + more, rows + 1)[more:, :rows].t()
    if how == "gaps":
        return torch.randn(rows, 2 * columns)[:, ::2]
    if how == "one row":
        return torch.randn(1, columns).expand(rows, columns)
    return torch.randn(rows + columns).as_strided((rows, columns), (1, 1))


def run(name, tensors, keywords) -> bool:
    """One operation, whose last tensor is what it writes to, by C; whether that called the BLAS."""
    blocks = {each.untyped_storage().data_ptr(): each for each in tensors}
    numbers = {address: at for at, address in enumerate(blocks)}
    outside = {
        numbers[address]: each.as_strided(
            (each.untyped_storage().size() // each.itemsize,), (1,), 0
        )
        for address, each in blocks.items()
    }
    storages = {at: Storage(at, t.nbytes, OUTSIDE, f"matrix_{at}") for at, t in outside.items()}
    *operands, target = (
        View(
            numbers[each.untyped_storage().data_ptr()], each.dtype, tuple(each.shape),
            each.stride(), each.storage_offset(),
        )
        for each in tensors
    )  # fmt: skip
    operation = Operation(
        name, "out", tuple(operands), keywords, (target,), torch.mm, False, "backward", "", "", ""
    )
    plan = Plan([operation], [], storages, {}, {})
    code = write_c(plan, "step", vector_bytes(), dict.fromkeys(DTYPES, 0))
    Compiled(plan, outside, code).run()
    return "gemm_(" in code.text


@settings(max_examples=40)
@given(data=st.data())
def test_products_of_matrices_however_they_lie(data) -> None:
    m, k, n = (data.draw(st.integers(1, 9)) for _ in range(3))
    dtype = data.draw(st.sampled_from(DTYPES))
    shapes = ((m, k), (k, n), (m, n, True))
    left, right, out = (data.draw(matrices(*shape)).to(dtype) for shape in shapes)
    exact = left.double() @ right.double()
    begin = data.draw(st.sampled_from(["nothing", "a row", "another matrix", "what is there"]))
    if begin == "nothing":
        run("mm", [left, right, out], {})
        expected = exact
    else:
        alpha, beta = (data.draw(st.sampled_from([1, 0, -0.5])) for _ in range(2))
        starts = {"a row": torch.randn(n).to(dtype), "another matrix": torch.randn(m, n).to(dtype)}
        expected = beta * starts.get(begin, out).double() + alpha * exact
        run("addmm", [starts.get(begin, out), left, right, out], {"alpha": alpha, "beta": beta})
    bounds = {"rtol": 1e-4, "atol": 1e-5} if dtype is torch.float32 else {}
    torch.testing.assert_close(out.double(), expected, **bounds)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_lies_in_order_or_turned_is_left_to_the_library(dtype) -> None:
    a, out = torch.randn(5, 5, dtype=dtype), torch.empty(5, 5, dtype=dtype)
    for left, right in ((a, a), (a.t(), a), (a, a.t()), (a.t(), a.t())):
        assert run("mm", [left, right, out], {})
        torch.testing.assert_close(out, left @ right)
    assert not run("mm", [torch.randn(5, 10, dtype=dtype)[:, ::2], a, out], {})


def test_nothing_that_was_there_counts_where_it_is_not_asked_for() -> None:
    a, out = torch.randn(3, 3), torch.full((3, 3), float("nan"))
    assert run("mm", [a, a, out], {})
    torch.testing.assert_close(out, a @ a)
    out.fill_(float("nan"))
    assert run("addmm", [torch.full((3,), float("nan")), a, a, out], {"beta": 0})
    torch.testing.assert_close(out, a @ a)


def test_nan_and_infinity_arrive() -> None:
    a, out = torch.eye(4), torch.empty(4, 4)
    a[1, 2], a[3, 3] = float("nan"), float("inf")
    assert run("mm", [a, a, out], {})
    torch.testing.assert_close(out, a @ a, equal_nan=True)
