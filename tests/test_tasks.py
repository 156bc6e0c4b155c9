"""Training runs, studies and checks as shared work: the same numbers as alone, one network whoever asks, no study blocked."""

import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from typing import Any

import pytest
import torch

from scoredm import VESDE, TrainConfig, Trainer, targets, tasks, work
from scoredm.memorisation import Points
from scoredm.samplers import Sampler, euler_maruyama
from scoredm.studies import Job, perform, race
from scoredm.tasks import Checks, Records, Study, TrainingTask, Workshop
from scoredm.workers import Here
from tests.common import PATIENCE, wait_until


def task(**changes) -> TrainingTask:
    settings: dict[str, Any] = {"data_size": 500, "batch": 32, "steps": 20_000, "eval_every": 1000, "width": 8} | changes
    return TrainingTask("tutorial", VESDE(25.0), TrainConfig(**settings))


@pytest.fixture
def shop(monkeypatch) -> Iterator[Workshop]:
    monkeypatch.setattr(work, "LEASE_SECONDS", 600.0)
    shop = Workshop(2)
    yield shop
    shop.pool.shutdown()


# Training


def test_paused_and_renewed_a_run_gives_the_numbers_of_an_unbroken_trainer(shop):
    short = task(steps=300, eval_every=20)
    run, other = shop.networks.get(short), shop.networks.get(task(seed=7))
    other.renew("b")
    for stop in (20, 80, 200):
        run.renew("a")
        wait_until(lambda stop=stop: run.step >= stop)
        run.release("a")
        wait_until(lambda: run.resting)
    run.renew("a")
    wait_until(lambda: run.done)
    unbroken = Trainer(targets.mixture("tutorial"), VESDE(25.0), short.config, "cpu")
    assert [astuple(metrics)[:-1] for metrics in run.history] == [astuple(metrics)[:-1] for metrics in unbroken]


def test_release_stops_a_run_after_the_slice_it_is_in(shop, monkeypatch):
    monkeypatch.setattr(work, "SLICE_SECONDS", 0.0)  # a slice is a step at least
    run = shop.networks.get(task())
    run.renew("a")
    wait_until(lambda: run.step > 5)
    run.release("a")
    at_release = run.step
    wait_until(lambda: run.resting)
    assert run.step <= at_release + 1


def test_the_model_is_a_copy_that_never_changes_while_training_goes_on(shop):
    run, x = shop.networks.get(task()), torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    assert run.model is None
    run.renew("a")
    wait_until(lambda: run.model)
    taken = run.model
    assert taken is not None
    before = taken(x, 0.5)
    assert not before.requires_grad
    wait_until(lambda: run.model is not taken)
    assert torch.equal(taken(x, 0.5), before)
    later = run.model
    assert later is not None
    assert not torch.equal(later(x, 0.5), before)


def test_the_model_of_a_run_that_is_done_is_the_trainers_last(shop):
    short = task(steps=30)
    run, x = shop.networks.get(short), torch.ones(3, 2)
    run.renew("a")
    wait_until(lambda: run.done)
    trainer = Trainer(targets.mixture("tutorial"), VESDE(25.0), short.config, "cpu")
    list(trainer)
    assert run.model is not None
    assert torch.equal(run.model(x, 0.5), trainer.score_fn(x, 0.5))


def test_a_look_belongs_together_is_shared_for_a_while_and_is_the_last_state_at_rest(shop, monkeypatch):
    run = shop.networks.get(task())
    monkeypatch.setattr(work, "LOOK_SECONDS", 600.0)
    run.renew("a")
    wait_until(lambda: run.step > 10)
    first = run.look()
    steps = first.step
    wait_until(lambda: run.step > steps + 20)
    assert run.look() is first and first.step == steps, "the same for everybody"
    monkeypatch.setattr(work, "LOOK_SECONDS", 0.0)
    wait_until(lambda: run.look().step > steps)  # what is shown is as new as the last slice, which may be under way
    monkeypatch.setattr(work, "LOOK_SECONDS", 600.0)
    run.release("a")
    wait_until(lambda: run.resting)
    last = run.look()
    assert (last.step, last.resting, last.model) == (run.step, True, run.model)
    assert run.look() is last


def test_a_run_that_fails_keeps_what_it_had(shop, monkeypatch):
    step = Trainer.__next__

    def fails(trainer: Trainer):
        if trainer.step == 5:
            raise FloatingPointError("the loss became nan at step 6")
        return step(trainer)

    monkeypatch.setattr(Trainer, "__next__", fails)
    run = shop.networks.get(task())
    run.renew("a")
    wait_until(lambda: run.error)
    assert (run.error, run.step, run.ended, run.done) == ("the loss became nan at step 6", 5, True, False)


def test_a_task_has_one_run_and_another_sde_or_other_points_have_their_own(shop):
    points = Points.of(torch.randn(20, 2, generator=torch.Generator().manual_seed(0)))
    same = [shop.networks.get(task(steps=10)) for _ in range(2)]
    others = [replace(task(steps=10), sde=VESDE(5.0)), replace(task(steps=10), points=points), task(steps=11)]
    assert same[0] is same[1]
    assert len({same[0], *map(shop.networks.get, others)}) == 4
    assert shop.networks.find(task(steps=12)) is None


def test_points_of_ones_own_are_what_is_trained_on(shop):
    points = Points.of(torch.randn(20, 2, generator=torch.Generator().manual_seed(0)))
    run = shop.networks.get(replace(task(steps=20), points=points))
    run.renew("a")
    wait_until(lambda: run.ended)
    trainer = Trainer(targets.mixture("tutorial"), VESDE(25.0), run.task.config, "cpu", points.tensor())
    assert [row.dsm for row in run.history] == [row.dsm for row in trainer]


def test_a_repeat_is_shared_while_it_runs_and_leaves_the_first_run_where_it_is(shop):
    first = shop.networks.get(task(steps=20))
    assert shop.networks.repeat(task(steps=20)) is first, "it has not begun"
    first.renew("a")
    wait_until(lambda: first.done and first.resting)
    repeat = shop.networks.repeat(task(steps=20))
    assert repeat is not first and repeat is shop.networks.repeat(task(steps=20))
    repeat.renew("b")
    wait_until(lambda: repeat.done and repeat.resting)
    assert shop.networks.find(task(steps=20)) is first
    assert shop.networks.repeat(task(steps=20)) not in (first, repeat)
    assert [row.dsm for row in repeat.history] == [row.dsm for row in first.history]


def test_the_repeat_of_a_failed_run_takes_its_place(shop):
    first = shop.networks.get(task())
    first.error = "the memory is full"
    repeat = shop.networks.repeat(task())
    assert repeat is not first and shop.networks.find(task()) is repeat


def test_the_runs_asked_for_longest_ago_are_dropped_unless_they_run():
    shop = Workshop(1)
    try:
        networks = tasks.Networks(shop.pool, most=2)
        running = networks.get(task(seed=0))
        running.renew("a")
        wait_until(lambda: running.step)
        for seed in (1, 2, 3):
            networks.get(task(seed=seed))
        found = [networks.find(task(seed=seed)) is not None for seed in range(4)]
        assert found[0] and found[3] and not found[1]
        running.release("a")
    finally:
        shop.pool.shutdown()


# Studies


def slow(sde, score_fn, x, t, t_next, noise):
    time.sleep(0.002)
    return euler_maruyama(sde, score_fn, x, t, t_next, noise)


SLOW = Sampler("Slow", lambda: slow)


def jobs(method: str | Sampler = "euler-maruyama", seeds: int = 12, recipe: TrainConfig | None = None) -> tuple[Job, ...]:
    return tuple(race("tutorial", VESDE(), [method], [5], seeds=range(seeds), n=50, metrics=("mean",), recipe=recipe))


def finish(*studies: Study) -> None:
    for study in studies:
        study.renew("a")
    wait_until(lambda: all(study.done for study in studies))


def test_a_study_runs_every_job_once_with_the_numbers_of_the_job_alone(shop):
    study = shop.study(jobs())
    assert study.rows == [] and study.share == 0
    finish(study)
    found = {row["key"]: row["mean"] for row in study.rows}
    assert len(study.rows) == len(found) and study.share == 1
    assert found == {job.key: perform(job)["mean"] for job in study.jobs}


def test_everybody_who_asks_for_the_same_jobs_has_the_same_study(shop):
    assert shop.study(jobs()) is shop.study(jobs()) is not shop.study(jobs(seeds=3))


def test_what_is_known_is_not_run_again(shop):
    finish(shop.study(jobs(seeds=3)))
    study = shop.study(jobs(seeds=5))
    assert len(study.rows) == 3 and len(study._left) == 2
    finish(study)
    assert sorted(row["seed"] for row in study.rows) == list(range(5))


def test_only_the_latest_records_are_kept_and_none_of_a_failure():
    records = Records(most=2)
    for key in "abc":
        records.keep({"key": key, "error": ""})
    records.keep({"key": "d", "error": "lost"})
    assert list(records._records) == ["b", "c"]


def test_a_study_stops_with_its_viewer_after_the_jobs_under_way_and_goes_on_where_it_was(shop):
    study = shop.study(jobs(SLOW, seeds=200))
    study.renew("a")
    wait_until(lambda: study.rows)
    study.release("a")
    wait_until(lambda: study.resting)
    stopped = len(study.rows)
    assert 0 < stopped < 200
    time.sleep(0.1)
    assert len(study.rows) == stopped
    finish(study)
    assert [row["error"] for row in study.rows] == [""] * 200


def test_one_readers_stop_does_not_stop_the_study_of_another(shop):
    study = shop.study(jobs(SLOW, seeds=100))
    study.renew("a")
    study.renew("b")
    study.release("a")
    wait_until(lambda: study.done)


def test_jobs_wait_for_the_one_network_that_all_screens_share_and_sample_with_it(shop, monkeypatch):
    made = []
    make = Trainer.__init__
    monkeypatch.setattr(Trainer, "__init__", lambda self, *args: (made.append(self), make(self, *args))[1])
    config = task(steps=60).config
    shared = TrainingTask("tutorial", VESDE(), config)
    on_training = shop.networks.get(shared)
    on_training.renew("the training page")
    first, second = shop.study(jobs(recipe=config)), shop.study(jobs("ddim", recipe=config))
    finish(first, second)
    assert len(made) == 1 and on_training.done
    job = first.jobs[0]
    row = next(row for row in first.rows if row["key"] == job.key)
    assert row["mean"] == perform(job, on_training.model)["mean"]


def test_a_study_that_waits_for_its_network_blocks_no_other_and_needs_nobody_else_to_train_it(shop, monkeypatch):
    gate, at_gate = threading.Event(), threading.Event()
    step = Trainer.__next__

    def waits(trainer: Trainer):
        if trainer.step == 3:
            at_gate.set()
            gate.wait(PATIENCE)
        return step(trainer)

    monkeypatch.setattr(Trainer, "__next__", waits)
    learned, exact = shop.study(jobs(recipe=task(steps=10).config)), shop.study(jobs("ddim"))
    learned.renew("a")
    wait_until(lambda: learned.waits_for is not None and at_gate.is_set())
    finish(exact)
    assert learned.rows == [] and not learned.done
    gate.set()
    wait_until(lambda: learned.done)  # though nobody has asked again: the end of the training woke it
    assert learned.waits_for is None and [row["error"] for row in learned.rows] == [""] * 12


def test_jobs_whose_network_cannot_be_trained_say_so(shop, monkeypatch):
    def fails(trainer: Trainer):
        raise FloatingPointError("the loss became nan at step 1")

    monkeypatch.setattr(Trainer, "__next__", fails)
    study = shop.study(jobs(recipe=task(steps=10).config, seeds=2))
    finish(study)
    assert {row["error"] for row in study.rows} == {"the network could not be trained: the loss became nan at step 1"}


def test_the_share_of_a_study_counts_evaluations_of_the_score(shop):
    """Jobs with many steps take longer: counted alike, the time left would be wrong to the end."""
    first, second = race("tutorial", VESDE(), ["euler-maruyama"], [10, 990], n=50, metrics=("mean",))
    study = Study([first, second], shop.pool, Records(), shop.networks)
    unit = study.take()
    assert unit is not None
    unit(Here())
    assert study.share == pytest.approx(11 / 1002)


# Checks


def test_checks_run_in_their_order_and_a_round_counts_what_was_added(shop):
    ran = []
    checks: Checks[str, int] = shop.checks(lambda key: (ran.append(key), len(key))[1])
    checks.ask(["a", "bb"])
    checks.ask(["bb", "ccc"])  # one of them waits already
    assert (checks.asked, checks.finished, checks.waits("ccc")) == (3, 0, True)
    checks.renew("me")
    wait_until(lambda: checks.done)
    assert (ran, checks.outcomes, checks.share) == (["a", "bb", "ccc"], {"a": 1, "bb": 2, "ccc": 3}, 1.0)


def test_checks_that_are_no_longer_wanted_are_dropped_and_the_one_that_runs_still_counts(shop):
    gate = threading.Event()
    checks: Checks[str, bool] = shop.checks(lambda _key: gate.wait(PATIENCE))
    checks.ask(["now", "later", "kept"])
    checks.renew("me")
    wait_until(lambda: checks.current == "now")
    checks.keep(lambda key: key == "kept")
    assert (checks.asked, checks.finished) == (2, 0)
    gate.set()
    wait_until(lambda: checks.done)
    assert checks.outcomes == {"now": True, "kept": True}
    checks.ask(["now"])
    assert checks.asked == 1 and "now" not in checks.outcomes


def test_two_readers_checks_take_turns():
    shop = Workshop(1)
    try:
        ran: list[str] = []

        def note(key: str) -> None:
            time.sleep(0.01)
            ran.append(key)

        lists = [shop.checks(note) for _ in range(2)]
        for listed, name in zip(lists, "ab", strict=True):
            listed.ask([name + str(i) for i in range(20)])
        for listed in lists:
            listed.renew("me")
        wait_until(lambda: len(ran) > 20)
        assert len([key for key in ran[:20] if key.startswith("a")]) in range(5, 16)
    finally:
        shop.pool.shutdown()
