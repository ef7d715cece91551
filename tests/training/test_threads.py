"""How many threads train: what was asked for, else what pays, of those there are."""

import math
import os

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

import backhand as bh
from backhand.estimators import TableRegressor
from backhand.program.engines.native import cache
from backhand.training import threads as threads_module
from backhand.training.threads import (
    fastest,
    measured_fastest,
    processors_allowed,
    running_on,
    threads_for,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))


class Asked(bh.FullyConnected):
    """Notes on how many threads it is trained."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.seen: set[int] = set()

    def forward(self, input, training):
        if training:
            self.seen.add(torch.get_num_threads())
        return super().forward(input, training)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fit_trains_on_as_many_as_it_is_given(threads) -> None:
    network, told = Asked(2, 1), set()
    data = torch.rand(16, 2), torch.rand(16, 1)
    bh.fit(
        network,
        bh.MSELoss(),
        data,
        epochs=2,
        validation=0.5,
        threads=threads,
        record=False,
        on_epoch=lambda _: told.add(torch.get_num_threads()),
    )
    assert network.seen == told == {threads}
    assert torch.get_num_threads() == 1


def test_the_number_is_set_back_after_an_error() -> None:
    with pytest.raises(KeyError), running_on(2):
        raise KeyError
    assert torch.get_num_threads() == 1


LARGE = bh.FullyConnected(1000, 1000)
MIDDLING = bh.FullyConnected(200, 200)


def test_no_more_than_torch_has() -> None:
    for most in (1, 2):
        torch.set_num_threads(most)
        assert threads_for(LARGE, 1000) == most


def test_no_more_than_a_container_is_granted(monkeypatch) -> None:
    torch.set_num_threads(3)
    monkeypatch.setattr(threads_module, "processors_allowed", lambda: 2)
    assert threads_for(LARGE, 1000) == 2


@pytest.mark.parametrize(
    ("quota", "period", "allowed"),
    [("150000", "100000", 2), ("50000", "100000", 1), ("400000", "100000", 4)],
)
def test_reads_what_a_container_is_granted(tmp_path, quota, period, allowed) -> None:
    newer, older = tmp_path / "2", tmp_path / "1"
    newer.mkdir()
    (newer / "cpu.max").write_text(f"{quota} {period}\n")
    (older / "cpu").mkdir(parents=True)
    (older / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (older / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")
    assert processors_allowed(newer) == processors_allowed(older) == allowed
    (newer / "cpu.max").write_text("max 100000\n")
    (older / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert processors_allowed(newer) == processors_allowed(older) == math.inf
    assert processors_allowed(tmp_path) == math.inf


@pytest.fixture
def machine(monkeypatch):
    """A clock that stands in for a machine on which a step on so many threads takes so long."""
    now, seconds = [0.0], {}

    def work(*_) -> None:
        now[0] += seconds[torch.get_num_threads()]

    monkeypatch.setattr(threads_module, "_products", work)
    monkeypatch.setattr(threads_module, "perf_counter", lambda: now[0])
    return now, seconds


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [({1: 1.0, 2: 0.95}, 1), ({1: 1.0, 2: 0.6}, 2), ({1: 1.0, 2: 9.0}, 1)],
)
def test_what_is_neither_small_nor_large_is_measured_once(machine, seconds, expected) -> None:
    now, takes = machine
    takes |= seconds
    torch.set_num_threads(2)
    assert threads_for(MIDDLING, 256) == expected
    taken = now[0]
    assert threads_for(MIDDLING, 300) == expected
    threads_module._kept_or_measured.cache_clear()  # as another process
    takes |= {1: 5.0, 2: 5.0} if expected == 2 else {1: 5.0, 2: 1.0}
    assert threads_for(MIDDLING, 256) == expected
    assert now[0] == taken
    assert torch.get_num_threads() == 2


def test_what_is_measured_on_a_busy_machine_is_not_kept(machine, monkeypatch) -> None:
    _, takes = machine
    takes |= {1: 1.0, 2: 9.0}
    monkeypatch.setattr(os, "getloadavg", lambda: (0.6 * os.cpu_count(), 0.0, 0.0))
    assert fastest(24, 2) == fastest(24, 2) == 1
    assert cache.noted("threads") == {}
    threads_module._kept_or_measured.cache_clear()  # as another process, when it is quiet
    monkeypatch.delattr(os, "getloadavg")
    takes |= {2: 0.5}
    assert fastest(24, 2) == 2
    assert set(cache.noted("threads").values()) == {2}


@pytest.mark.parametrize("kept", [None, "2", 0, 3, 2.0, [2]])
def test_nonsense_that_is_kept_is_measured_anew(machine, kept) -> None:
    now, takes = machine
    takes |= {1: 1.0, 2: 0.6}
    assert fastest(24, 2) == 2
    (key,) = cache.noted("threads")
    cache.note("threads", key, kept)
    threads_module._kept_or_measured.cache_clear()
    taken = now[0]
    assert fastest(24, 2) == 2
    assert now[0] > taken
    assert cache.noted("threads") == {key: 2}


def test_what_is_measured_is_done_on_each_count(monkeypatch) -> None:
    seen = set()
    done = threads_module._products

    def products(weight, input) -> None:
        seen.add(torch.get_num_threads())
        done(weight, input)

    monkeypatch.setattr(threads_module, "_products", products)
    assert measured_fastest(22, 6) in (1, 3, 6)
    assert seen == {1, 3, 6}


def trained_on() -> list[int]:
    """The threads that a large table is trained on."""
    seen: list[int] = []
    random = np.random.default_rng(0)
    TableRegressor(
        hidden=(1000, 1000),
        epochs=1,
        members=1,
        random_state=0,
        on_epoch=lambda _: seen.append(torch.get_num_threads()),
    ).fit(random.random((400, 4)), random.random(400))
    return seen


def test_estimators_train_on_as_many_as_torch_has_and_set_them_back() -> None:
    for threads in (1, 2):
        torch.set_num_threads(threads)
        assert trained_on() == [threads]
        assert torch.get_num_threads() == threads


def test_estimators_hold_to_the_limit_that_workers_of_joblib_are_given() -> None:
    torch.set_num_threads(2)
    with threadpool_limits(1):
        assert trained_on() == [1]
