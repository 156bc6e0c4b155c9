"""The training pool: shares fairly, runs while watched, pauses at once, goes on with the same numbers, survives failures."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple

import pytest
import torch

from scoredm import VESDE, GaussianMixture, TrainConfig, Trainer
from scoredm.ui.training import workers
from scoredm.ui.training.workers import Pool, Run

TUTORIAL = GaussianMixture([[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]], [1, 1])
PATIENCE = 30.0  # seconds before a test gives up waiting; nothing is asserted about how long things take


def trainer(**changes: int) -> Trainer:
    settings = {"data_size": 500, "batch": 32, "steps": 20_000, "eval_every": 1000, "width": 8} | changes
    return Trainer(TUTORIAL, VESDE(25.0), TrainConfig(**settings), "cpu")  # pyright: ignore[reportArgumentType]


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def rests(run: Run) -> bool:
    """Whether a run has stopped: no step over many slices' time."""
    before = run.trainer.step
    time.sleep(4 * workers.SLICE_SECONDS)
    return run.trainer.step == before


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(1)
    yield pool
    pool.shutdown()


@pytest.fixture
def long_lease(monkeypatch):
    monkeypatch.setattr(workers, "LEASE_SECONDS", 600.0)


def test_a_run_waits_for_a_viewer(pool):
    run = pool.submit(trainer())
    assert not run.wanted
    assert not run.running
    assert rests(run)
    assert run.trainer.step == 0


def test_a_watched_run_trains_to_its_end_and_is_then_not_running(pool, long_lease):
    run = pool.submit(trainer(steps=40))
    run.renew("a")
    wait_until(lambda: run.trainer.done)
    wait_until(lambda: run.parked)
    assert run.wanted
    assert not run.running
    assert run.error is None
    assert [metrics.step for metrics in run.trainer.history] == list(range(1, 41))


def test_two_runs_on_one_thread_progress_alike(pool, long_lease, monkeypatch):
    monkeypatch.setattr(workers, "SLICE_SECONDS", 0.01)
    runs = [pool.submit(trainer(seed=seed)) for seed in (0, 1)]
    for run in runs:
        run.renew("a")
    wait_until(lambda: sum(run.trainer.step for run in runs) > 600)
    first, second = (run.trainer.step for run in runs)
    assert 0.4 < first / second < 2.5


def test_an_expired_lease_parks_the_run_and_renewal_goes_on(pool, monkeypatch):
    monkeypatch.setattr(workers, "LEASE_SECONDS", 0.2)
    run = pool.submit(trainer())
    run.renew("a")
    wait_until(lambda: run.trainer.step > 0)
    wait_until(lambda: not run.running and run.parked)
    assert rests(run)
    parked_at = run.trainer.step
    assert parked_at < 20_000
    monkeypatch.setattr(workers, "LEASE_SECONDS", 600.0)
    run.renew("a")
    wait_until(lambda: run.trainer.step > parked_at)


def test_release_stops_the_run_within_the_step_it_is_in(pool, long_lease, monkeypatch):
    monkeypatch.setattr(workers, "SLICE_SECONDS", 600.0)
    run = pool.submit(trainer())
    run.renew("a")
    wait_until(lambda: run.trainer.step > 5)
    run.release("a")
    at_release = run.trainer.step
    assert not run.running
    wait_until(lambda: run.parked)
    assert run.trainer.step <= at_release + 1


def test_a_run_goes_on_for_the_viewers_that_are_left(pool, long_lease):
    run = pool.submit(trainer())
    run.renew("a")
    run.renew("b")
    run.release("a")
    at_release = run.trainer.step
    wait_until(lambda: run.trainer.step > at_release + 50)
    run.release("b")
    wait_until(lambda: run.parked)
    assert rests(run)


def test_renewing_twice_queues_once(pool, long_lease):
    run = pool.submit(trainer())
    for _ in range(20):
        run.renew("a")
    assert pool._queue.qsize() <= 1


def test_paused_and_renewed_it_gives_the_numbers_of_an_unbroken_run(long_lease):
    pool = Pool(2)
    run, other = pool.submit(trainer(steps=300, eval_every=20)), pool.submit(trainer(seed=7))
    other.renew("b")
    for stop in (20, 80, 200):
        run.renew("a")
        wait_until(lambda stop=stop: run.trainer.step >= stop)
        run.release("a")
        wait_until(lambda: run.parked)
    run.renew("a")
    wait_until(lambda: run.trainer.done)
    pool.shutdown()
    unbroken = trainer(steps=300, eval_every=20)
    assert [astuple(metrics)[:-1] for metrics in run.trainer.history] == [astuple(metrics)[:-1] for metrics in unbroken]


def test_a_failing_run_reports_and_the_worker_lives_on(pool, long_lease):
    broken, sound = pool.submit(trainer()), pool.submit(trainer(steps=30))
    with torch.no_grad():
        next(broken.trainer._network.parameters()).fill_(float("nan"))
    broken.renew("a")
    sound.renew("a")
    wait_until(lambda: broken.error and sound.trainer.done)
    assert broken.error is not None and broken.error.startswith("the loss became nan at step 1. Likely causes: ")
    assert not broken.running
    assert sound.error is None
    broken.renew("a")
    assert broken.parked


def test_a_failure_without_words_is_named(pool, long_lease, monkeypatch):
    def fail(_trainer: Trainer) -> None:
        raise MemoryError

    monkeypatch.setattr(Trainer, "__next__", fail)
    run = pool.submit(trainer())
    run.renew("a")
    wait_until(lambda: run.error)
    assert run.error == "MemoryError"


def test_a_snapshot_never_changes_and_has_no_gradients_while_training_goes_on(pool, long_lease):
    run, x = pool.submit(trainer()), torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    untrained = run.snapshot()
    run.renew("a")
    wait_until(lambda: run.snapshot() is not untrained)
    taken = run.snapshot()
    before = taken(x, 0.5)
    assert not before.requires_grad
    wait_until(lambda: run.snapshot() is not taken)
    assert torch.equal(taken(x, 0.5), before)
    assert not torch.equal(run.snapshot()(x, 0.5), before)


def test_the_last_snapshot_is_the_finished_model(pool, long_lease):
    run = pool.submit(trainer(steps=30))
    run.renew("a")
    wait_until(lambda: run.trainer.done and run.parked)
    x = torch.ones(3, 2)
    assert torch.equal(run.snapshot()(x, 0.5), run.trainer.score_fn(x, 0.5))


def test_seconds_left_is_unknown_at_first_and_then_the_steps_left_at_the_present_pace(pool, long_lease):
    run = pool.submit(trainer())
    assert run.seconds_left is None
    run.renew("a")
    wait_until(lambda: run.seconds_left)
    run.release("a")
    wait_until(lambda: run.parked)
    assert run.seconds_left is None
    run._pace.extend([(10.0, 100), (12.0, 300)])
    assert run.seconds_left == pytest.approx((20_000 - run.trainer.step) * 2 / 200)


def test_shutdown_joins_its_threads_in_mid_run_and_leaves_the_run_usable(long_lease):
    pool = Pool(2)
    runs = [pool.submit(trainer(seed=seed)) for seed in range(3)]
    for run in runs:
        run.renew("a")
    wait_until(lambda: all(run.trainer.step > 0 for run in runs))
    pool.shutdown()
    assert not any(thread.is_alive() for thread in pool._threads)
    step = runs[0].trainer.step
    assert next(runs[0].trainer).step == step + 1


def test_workers_are_daemons_and_as_many_as_asked(pool):
    assert [thread.daemon for thread in pool._threads] == [True]
    assert all(thread in threading.enumerate() for thread in pool._threads)


def test_a_process_that_ends_in_mid_training_ends_cleanly():
    script = (
        "import time; from tests.test_workers import trainer; from scoredm.ui.training.workers import Pool\n"
        "pool = Pool(2)\n"
        "for seed in range(2): pool.submit(trainer(seed=seed)).renew('a')\n"
        "time.sleep(0.3)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
