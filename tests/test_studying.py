"""A study on a page moves on only while somebody looks, can be stopped, and goes on where it was."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoredm import VESDE
from scoredm.steps import Sampler, euler_maruyama
from scoredm.studies import race
from scoredm.ui import studying
from scoredm.ui.studying import Study


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def jobs(method="euler-maruyama", seeds: int = 12):
    return tuple(race("tutorial", VESDE(), [method], [5], seeds=range(seeds), n=50))


def finish(study: Study) -> None:
    def moved_to_the_end() -> bool:
        study.advance()
        return study.done

    wait_until(moved_to_the_end)


def test_it_runs_every_job_once(pool):
    study = Study(jobs(), pool)
    finish(study)
    assert sorted(row["key"] for row in study.rows) == sorted(job.key for job in study.jobs)


def test_it_hands_in_a_few_jobs_and_waits_for_the_next_look(pool, monkeypatch):
    monkeypatch.setattr(studying, "THREADS", 2)
    study = Study(jobs(), pool)
    assert study.rows == []
    study.advance()
    wait_until(lambda: all(future.done() for future in study._running))
    assert len(study._running) == 2 * studying.AHEAD
    assert study.rows == [], "rows are taken in at a look"


def test_stop_takes_back_what_has_not_begun_and_it_can_go_on(pool, monkeypatch):
    monkeypatch.setattr(studying, "THREADS", 2)
    gate = threading.Event()

    def wait(sde, score_fn, x, t, t_next, noise):
        gate.wait(20)
        return euler_maruyama(sde, score_fn, x, t, t_next, noise)

    study = Study(jobs(Sampler("Waiting", lambda: wait)), pool)
    study.advance()
    study.stop()
    assert 1 <= len(study._running) <= 2, "only what was under way"
    assert len(study._left) + len(study._running) == len(study.jobs)
    assert list(study._left) == [job for job in study.jobs if job in study._left], "in their order"
    gate.set()
    finish(study)
    assert [row["error"] for row in study.rows] == [""] * 12
