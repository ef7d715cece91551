"""What products cost is measured once, kept, and decides over engines and products."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

import backhand as bh
from backhand.program import Native, choose
from backhand.program.engines.native import cache, measured
from backhand.program.engines.native.measured import SIDES, Costs, costs_for, kept

REAL_MEASURE = measured.measure


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    measured._measured.cache_clear()
    yield
    measured._measured.cache_clear()


def plan_of(rows: int, width: int, dtype=torch.float32):
    step = bh.TrainingStep(bh.FullyConnected(width, width).to(dtype), bh.MSELoss(), bh.Replay())
    batch = torch.zeros(rows, width, dtype=dtype)
    return step.record(batch, batch).latest.plan


def costs(own=1.0, library=1.0, by_torch=1.0, call=0.0) -> Costs:
    """As many seconds a multiplication in each way."""
    tables = (tuple(each * side**3 for side in SIDES) for each in (own, library, by_torch))
    return Costs(*tables, call)


def test_measures_every_way_on_this_machine(monkeypatch) -> None:
    monkeypatch.setattr(measured, "ROUNDS", 2)
    found = REAL_MEASURE(torch.float32)
    for table in (found.own, found.library, found.torch):
        assert len(table) == len(SIDES)
        assert all(0 < each < 1 for each in table)
        assert table[-1] > table[0]
    assert 0 < found.call < 1e-3
    assert found.library[0] < found.torch[0]  # the same product, without torch around it


def test_is_kept_by_processor_dtype_and_threads_and_measured_once(monkeypatch) -> None:
    made = []
    monkeypatch.setattr(measured, "measure", lambda dtype: made.append(dtype) or costs())
    for _ in range(2):
        costs_for(plan_of(64, 64))
        costs_for(plan_of(64, 64, torch.float64))
    assert made == [torch.float32, torch.float64]
    measured._measured.cache_clear()  # as in another process
    costs_for(plan_of(64, 64))
    assert len(made) == 2
    torch.set_num_threads(2)
    costs_for(plan_of(64, 64))
    assert len(made) == 3
    assert [name.split(", ", 1)[1] for name in kept()] == [
        "float32, 1 threads", "float64, 1 threads", "float32, 2 threads"
    ]  # fmt: skip


def test_small_products_are_not_worth_a_measurement(monkeypatch) -> None:
    def never(dtype):
        raise AssertionError("measured")

    monkeypatch.setattr(measured, "measure", never)
    assert costs_for(plan_of(8, 20)) == {}


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", "3", '{"a": 1}', '{"a": {}}', '{"a": {"own": [1]}}',
     '{"a": {"own": [1], "library": [1], "torch": [1], "call": 1}}'],
)  # fmt: skip
def test_a_file_of_something_else_is_measured_anew(text, monkeypatch) -> None:
    monkeypatch.setattr(measured, "measure", lambda dtype: costs())
    cache.folder().mkdir(parents=True, exist_ok=True)
    (cache.folder() / "products.json").write_text(text)
    assert kept() == {}
    assert costs_for(plan_of(64, 64)) == {torch.float32: costs()}
    assert len(kept()) == 1


def test_infinity_is_kept() -> None:
    never = replace(costs(), library=(math.inf,) * len(SIDES))
    assert measured._read(json.loads(json.dumps(measured.asdict(never)))) == never
    assert never.library_from == math.inf


def test_without_a_compiler_or_a_blas_the_ways_that_are_left_are_timed(monkeypatch) -> None:
    monkeypatch.setattr(measured, "ROUNDS", 1)
    monkeypatch.setattr(measured, "blas_addresses", lambda: None)
    found = REAL_MEASURE(torch.float32)
    assert set(found.library) == {math.inf}
    assert math.inf not in found.own
    monkeypatch.setenv("CC", "no-such-compiler")
    found = REAL_MEASURE(torch.float32)
    assert set(found.own) == {math.inf}
    assert math.inf not in found.torch


@pytest.mark.parametrize(
    ("own", "library", "expected"),
    [
        ((1, 1, 1, 1, 1), (2, 2, 2, 2, 2), math.inf),
        ((1, 1, 1, 1, 1), (2, 2, 0.5, 0.5, 0.5), 64**3),
        ((1, 1, 1, 1, 1), (0.5, 2, 0.5, 0.5, 0.5), 64**3),
        ((1, 1, 1, 1, 1), (0.5, 0.5, 0.5, 0.5, 0.5), 16**3),
        ((1, 1, 1, 1, 1), (0.5, 0.5, 0.5, 0.5, 2), math.inf),
    ],
)
def test_the_library_takes_products_from_where_it_stays_faster(own, library, expected) -> None:
    assert Costs(own, library, own, 0.0).library_from == expected


def test_the_engine_is_chosen_by_what_was_measured(monkeypatch) -> None:
    def choice(found: Costs, plan):
        measured._measured.cache_clear()
        cache.clear()
        monkeypatch.setattr(measured, "measure", lambda dtype: found)
        return choose(plan)

    training = plan_of(64, 64)
    slow, quick = 1e-9, 1e-10
    assert isinstance(choice(costs(slow, slow, quick), training), bh.Replay)
    assert isinstance(choice(costs(quick, slow, slow), training), Native)
    assert isinstance(choice(costs(slow, quick, quick), training), Native)  # by the library
    predicting = bh.Prediction(bh.FullyConnected(64, 64), bh.Replay())
    predicting = predicting.record(torch.zeros(64, 64)).latest.plan
    # Where rows keep their bits in any batch, the library has no part.
    assert isinstance(choice(costs(slow, quick, quick), predicting), bh.Replay)
    # What is lost in products may be gained in calls.
    assert isinstance(choice(costs(slow, slow, quick, call=1.0), training), Native)
