"""A study gives one table whoever runs it, keeps what it has, and says why a job failed."""

import math
import os
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from types import ModuleType

import pandas as pd
import pytest
import torch

from scoredm import SAMPLERS, VESDE, VPSDE, Sampler, TrainConfig, Trainer, exact_prior, exact_score, targets
from scoredm.metrics import METRICS, Reference
from scoredm.simulation import coarsen, sample
from scoredm.studies import Job, _shared_noise, curves, end_points, load, perform, race, run, table

SDE = VESDE(10.0)
METRIC = "mmd"
JOBS = race("tutorial", SDE, ["euler-maruyama", "ddim"], [5, 10], ["uniform", "karras"], seeds=[0, 1], n=200, metrics=(METRIC,))


class Inline(Executor):
    """Runs each job at once, and counts them."""

    def __init__(self) -> None:
        self.ran = 0

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        self.ran += 1
        return future


def tidy(rows) -> pd.DataFrame:
    """The table without the one column that a clock writes."""
    return table(rows).drop(columns="seconds")


@pytest.fixture(autouse=True)
def _plain_main(monkeypatch):
    """Processes load the main module again, and a page tested before in this one leaves app.py in its place."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))


@pytest.fixture(scope="module")
def processes():
    """Starts of processes that share one loading of the library."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["scoredm.studies"])
    return context


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return tidy(run(JOBS, Inline()))


def test_threads_give_the_same_table(expected):
    with ThreadPoolExecutor(3) as pool:
        pd.testing.assert_frame_equal(tidy(run(JOBS, pool)), expected)


def test_processes_give_the_same_table(expected, processes):
    with ProcessPoolExecutor(2, mp_context=processes) as pool:
        pd.testing.assert_frame_equal(tidy(run(JOBS, pool)), expected)


def test_a_dask_cluster_gives_the_same_table(expected):
    distributed = pytest.importorskip("distributed", reason="Dask is an optional extra: pip install distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        pd.testing.assert_frame_equal(tidy(run(JOBS, client.get_executor())), expected)


def test_every_job_has_its_row(expected):
    assert len(expected) == len(JOBS) == 2 * 2 * 2 * 2
    assert set(expected["key"]) == {job.key for job in JOBS}
    assert (expected["error"] == "").all()
    assert (expected["nfe"] == expected["steps"] + 1).all(), "the Tweedie step asks once more"
    assert expected[METRIC].between(0, 10).all()


def test_a_study_cut_short_goes_on_where_it_stopped(tmp_path, expected):
    path = tmp_path / "race.parquet"
    rows = run(JOBS, Inline(), path)
    for _ in range(5):
        next(rows)
    rows.close()
    assert len(load(path)) == 5
    again = Inline()
    pd.testing.assert_frame_equal(tidy(run(JOBS, again, path)), expected)
    assert again.ran == len(JOBS) - 5
    pd.testing.assert_frame_equal(table(load(path)).drop(columns="seconds"), expected)
    finished = Inline()
    pd.testing.assert_frame_equal(tidy(run(JOBS, finished, path)), expected)
    assert finished.ran == 0


def test_leaving_the_loop_cancels_what_has_not_begun():
    with ThreadPoolExecutor(1) as pool:
        rows = run([replace(JOBS[0], seed=seed, steps=50, noise_steps=0) for seed in range(200)], pool)
        next(rows)
        rows.close()
        pool.shutdown(cancel_futures=False)
        assert pool._work_queue.qsize() <= 1


def stumble(sde, score_fn, x, t, t_next, noise):
    raise KeyError("no such thing")


def vanish(sde, score_fn, x, t, t_next, noise):
    os._exit(1)


def explode(sde, score_fn, x, t, t_next, noise):
    return x / 0


@pytest.mark.parametrize(("step", "reason"), [(stumble, "KeyError: 'no such thing'"), (explode, "NaN and infinity are not")])
def test_a_job_that_fails_is_a_row_that_says_why_and_is_tried_again(tmp_path, step, reason):
    jobs = [replace(JOBS[0], sampler=Sampler("Broken", lambda: step)), JOBS[0]]
    rows = {row["key"]: row for row in run(jobs, Inline(), tmp_path / "s.parquet")}
    assert reason in rows[jobs[0].key]["error"]
    assert math.isnan(rows[jobs[0].key][METRIC])
    assert rows[jobs[1].key]["error"] == ""
    again = Inline()
    list(run(jobs, again, tmp_path / "s.parquet"))
    assert again.ran == 1


def make_vanish():
    return vanish


def test_a_lost_worker_is_a_row_that_says_so(processes):
    with ProcessPoolExecutor(1, mp_context=processes) as pool:
        (row,) = run([replace(JOBS[0], sampler=Sampler("Vanishing", make_vanish))], pool)
    assert "BrokenProcessPool" in row["error"]
    assert row["key"]


def test_the_row_is_the_samplers_own_run():
    job = Job("tutorial", VPSDE(), "heun", steps=20, n=300, denoise=False)
    x, nfe = end_points(job)
    mixture = targets.mixture("tutorial")
    for_start = torch.Generator().manual_seed(int(torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(0))[0]))
    start = exact_prior(VPSDE(), mixture).sample(300, for_start)
    direct = sample(VPSDE(), exact_score(mixture, VPSDE()), 300, steps=20, step=SAMPLERS["heun"].make_step(), start=start)
    torch.testing.assert_close(x, direct)
    assert nfe == 40


def test_a_learned_score_is_its_recipes_network():
    recipe = TrainConfig(steps=20, data_size=200, batch=64)
    job = Job("tutorial", SDE, "ddim", steps=10, n=200, recipe=recipe, t_min=0.01)
    x, _ = end_points(job)
    trainer = Trainer(job.mixture, SDE, recipe)
    list(trainer)
    direct = sample(
        SDE, trainer.score_fn, 200, step=SAMPLERS["ddim"].make_step(), start=_start(job), steps=10, t_min=0.01, denoise=True
    )
    torch.testing.assert_close(x, direct.cpu())
    exact, _ = end_points(replace(job, recipe=None))
    assert not torch.allclose(x, exact, atol=0.05)


def _start(job):
    seeds = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(job.seed)).tolist()
    return exact_prior(job.sde, job.mixture).sample(job.n, torch.Generator().manual_seed(seeds[0]))


def test_different_numbers_of_steps_follow_one_brownian_path():
    coarse, fine = (Job("tutorial", SDE, steps=steps, n=500, noise_steps=800) for steps in (400, 800))
    apart = (end_points(coarse)[0] - end_points(fine)[0]).norm(dim=1).median()
    other = (end_points(replace(coarse, noise_steps=0))[0] - end_points(fine)[0]).norm(dim=1).median()
    assert apart < 0.1 * other


def test_shared_noise_does_not_depend_on_how_it_is_added_up():
    """Odd sizes: a generator's vectorised draws must not show."""
    coarse, fine = (Job("one-mode", SDE, steps=steps, n=11, noise_steps=12, seed=3) for steps in (3, 12))
    z = _shared_noise(fine, torch.Generator().manual_seed(5))
    torch.testing.assert_close(_shared_noise(coarse, torch.Generator().manual_seed(5)), coarsen(z, 4))
    assert z.shape == (12, 11, 1)


def test_seeds_change_the_numbers_and_names_do_not():
    job = JOBS[0]
    assert perform(job)[METRIC] == perform(replace(job))[METRIC]
    assert perform(job)[METRIC] != perform(replace(job, seed=9))[METRIC]
    assert len({job.key for job in JOBS}) == len(JOBS)
    assert replace(job, sde=VESDE(10.5)).key != job.key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": "magic"}, "sampler is 'magic'; it must be one of euler-maruyama"),
        ({"grid": "square"}, "grid is 'square'"),
        ({"prior": "flat"}, "prior is 'flat'"),
        ({"steps": 0}, "steps is 0; it must be a whole number from 1 to 20000"),
        ({"n": 5}, "n is 5; it must be a whole number from 10"),
        ({"t_min": 0.0}, "t_min is 0.0"),
        ({"metrics": ("taste",)}, "metrics are .'taste',.; choose from"),
        ({"noise_steps": 7}, "noise_steps is 7; it must be 0 or a multiple of the 5 steps"),
    ],
)
def test_a_job_that_cannot_be_run_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(JOBS[0], **change)


def power_rows(slope: float, zero: float, seeds: int = 3) -> list[dict]:
    """Rows of a sampler whose error is a power of its cost, down to what a sample's own spread leaves."""
    values = [(steps, seed, math.hypot(30 * steps**slope, zero)) for steps in (5, 10, 20, 40, 80, 160) for seed in range(seeds)]
    return [
        {"sampler": "s", "grid": "uniform", "steps": steps, "seed": seed, "nfe": steps, METRIC: value + 0.01 * (seed - 1) * zero}
        | {"error": "", "key": f"{steps}-{seed}"}
        for steps, seed, value in values
    ]


def test_a_slope_is_fitted_clear_of_the_finite_sample_zero_only():
    zero = Reference(0.04, 0.03, 0.045)
    rows = [*power_rows(-2.0, 0.04), {"sampler": "t", "grid": "uniform", "steps": 5, "error": "lost", "key": "x"}]
    (curve,) = curves(rows[::-1], METRIC)
    assert curve.steps.tolist() == curve.nfe.tolist() == [5, 10, 20, 40, 80, 160]
    fit = curve.slope(zero)
    assert fit is not None
    assert fit.points == 3, "5, 10 and 20 steps: 1.2, 0.3 and 0.085"
    assert fit.value == pytest.approx(-2.0, abs=0.001)
    assert curve.zero_from(zero) == 40, "30 / 40^2 = 0.019, and 0.0443 with the zero"
    assert curve.error[0] == pytest.approx(0.01 * 0.04 / math.sqrt(3))
    assert curve.slope(Reference(0.4, 0.3, 0.5)) is None, "one point is no line"
    assert curve.zero_from(Reference(0.001, 0.0005, 0.002)) is None


def test_all_metrics_in_one_row():
    row = perform(replace(JOBS[0], metrics=tuple(METRICS)))
    assert row["error"] == ""
    assert all(math.isfinite(row[name]) for name in METRICS)
