"""A study on a page moves on only while somebody looks, can be stopped, and goes on where it was."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoredm import VESDE
from scoredm.samplers import Sampler, euler_maruyama
from scoredm.studies import race
from scoredm.ui.samplers import studying
from scoredm.ui.samplers.studying import Found, Study


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def slow(sde, score_fn, x, t, t_next, noise):
    time.sleep(0.002)
    return euler_maruyama(sde, score_fn, x, t, t_next, noise)


SLOW = Sampler("Slow", lambda: slow)


def jobs(method: str | Sampler = "euler-maruyama", seeds: int = 12):
    return tuple(race("tutorial", VESDE(), [method], [5], seeds=range(seeds), n=50, metrics=("mean",)))


def finish(study: Study) -> None:
    def moved_to_the_end() -> bool:
        study.advance()
        return study.done

    wait_until(moved_to_the_end)


def test_it_runs_every_job_once(pool):
    study = Study(jobs(), pool, Found())
    finish(study)
    assert sorted(row["key"] for row in study.rows) == sorted(job.key for job in study.jobs)


def test_it_goes_on_only_for_as_long_as_somebody_looked(pool, monkeypatch):
    monkeypatch.setattr(studying, "LEASE_SECONDS", 0.3)
    study = Study(jobs(SLOW, seeds=200), pool, Found())
    assert study.rows == []
    study.advance()
    wait_until(lambda: not study._running)
    assert 0 < len(study.rows) < 200
    arrived = len(study.rows)
    time.sleep(0.1)
    assert len(study.rows) == arrived
    study.advance()
    wait_until(lambda: len(study.rows) > arrived)
    study.stop()


def test_what_was_found_is_not_run_again(pool):
    found = Found()
    finish(Study(jobs(seeds=3), pool, found))
    study = Study(jobs(seeds=5), pool, found)
    assert len(study.rows) == 3
    assert len(study._left) == 2
    finish(study)
    assert sorted(row["seed"] for row in study.rows) == list(range(5))
    assert Study(jobs(seeds=5), pool, found).done


def test_only_the_latest_rows_are_kept_and_none_of_a_failure(pool):
    found = Found(most=2)
    for key in "abc":
        found.keep({"key": key, "error": ""})
    found.keep({"key": "d", "error": "lost"})
    assert list(found._rows) == ["b", "c"]


def test_stop_takes_back_what_has_not_begun_and_it_can_go_on(pool, monkeypatch):
    monkeypatch.setattr(studying, "THREADS", 6)
    gate = threading.Event()

    def wait(sde, score_fn, x, t, t_next, noise):
        gate.wait(20)
        return euler_maruyama(sde, score_fn, x, t, t_next, noise)

    study = Study(jobs(Sampler("Waiting", lambda: wait)), pool, Found())
    study.advance()
    assert len(study._running) == 6
    study.stop()
    assert 1 <= len(study._running) <= 2, "only what was under way"
    assert len(study._left) + len(study._running) == len(study.jobs)
    assert list(study._left) == [job for job in study.jobs if job in study._left], "in their order"
    gate.set()
    wait_until(lambda: not study._running)
    assert len(study.rows) <= 2, "nothing follows after a stop"
    finish(study)
    assert [row["error"] for row in study.rows] == [""] * 12
