"""The one cache: bounded in bytes over all functions, computed once for all who ask, and forgotten in the order of use."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scoredm.tasks import Workshop
from scoredm.ui import cache
from scoredm.workers import Process


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch):
    cache._values.clear()
    yield
    cache._values.clear()


def large(name: str, share: float) -> np.ndarray:
    """An array that takes such a share of the room."""
    return np.zeros(int(share * cache.MOST_BYTES / cache.WITH_PICTURES / 8))


def test_all_functions_share_the_room_and_what_was_used_longest_ago_makes_room():
    calls = []

    @cache.kept
    def one(name: str, share: float) -> np.ndarray:
        calls.append(name)
        return large(name, share)

    @cache.kept
    def other(name: str, share: float) -> np.ndarray:
        calls.append(name)
        return large(name, share)

    one("a", 0.4), other("a", 0.4), one("a", 0.4), one("b", 0.4)
    assert calls == ["a", "a", "b"]
    assert cache._values.currsize <= cache.MOST_BYTES
    one("a", 0.4), one("b", 0.4)
    assert calls == ["a", "a", "b"]
    other("a", 0.4)
    assert calls == ["a", "a", "b", "a"]
    assert len(one("huge", 1.1)) and cache._values.currsize <= cache.MOST_BYTES
    one("huge", 1.1)
    assert calls[-2:] == ["huge", "huge"]


def test_who_asks_at_the_same_time_waits_and_the_value_is_computed_once():
    calls, both = [], threading.Barrier(2)

    @cache.kept
    def slow(name: str) -> list[str]:
        calls.append(name)
        time.sleep(0.2)
        return [name]

    def ask() -> list[str]:
        both.wait()
        return slow("a")

    with ThreadPoolExecutor(2) as threads:
        first, second = (task.result() for task in [threads.submit(ask), threads.submit(ask)])
    assert calls == ["a"] and first is second


def test_a_failure_is_not_kept_and_hidden_arguments_play_no_part():
    calls = []

    @cache.kept
    def sometimes(name: str, _how: str) -> str:
        calls.append(name)
        if len(calls) == 1:
            raise ValueError(name)
        return name

    with pytest.raises(ValueError):
        sometimes("a", "first")
    assert sometimes("a", "second") == sometimes("a", _how="third") == "a"
    assert calls == ["a", "a"]


def test_the_first_page_of_a_server_does_not_wait_for_the_processes(monkeypatch):
    """A race page draws its noise floor and its estimate of the time, and so is whole before the workers have loaded torch."""
    shop = Workshop(processes=1)
    monkeypatch.setattr(cache, "workshop", lambda: shop)
    try:
        cache.noise_floor("moons", 0, "mean", 100)
        cache.job_pace("moons", "exact", "mean", 100)
        workers = [worker for worker in shop.pool.workers if isinstance(worker, Process)]
        assert not shop.ready and len(workers) == 1 and workers[0].pid is None
    finally:
        shop.pool.shutdown()
