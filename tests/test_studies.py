"""A study gives one table whoever runs it, keeps what it has, and says why a job failed."""

import doctest
import math
import os
import re
import stat
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, replace
from functools import partial
from itertools import accumulate, islice
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from scoredm import (
    GRIDS,
    PRIORS,
    SAMPLERS,
    SDE as AnySDE,
    VESDE,
    VPSDE,
    CosineVPSDE,
    GaussianMixture,
    Grid,
    NamedMetric,
    Sampler,
    TrainConfig,
    Trainer,
    euler_maruyama,
    exact_prior,
    exact_score,
    flow_end_points,
    grids,
    initial_distribution,
    noise_floor,
    paired_difference,
    pathwise_error,
    studies,
    targets,
)
from scoredm.metrics import METRICS, NoiseFloor
from scoredm.score import denoise as tweedie
from scoredm.simulation import coarsen, sample
from scoredm.statistics import Measurement
from scoredm.studies import (
    Job,
    costs,
    curves,
    end_points,
    equal_cost_steps,
    exact_end_points,
    learned_score,
    lists,
    load_rows,
    perform,
    race,
    run,
    runs,
    table,
)
from tests.common import generator

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


def by_key(rows) -> dict[str, dict]:
    return {row["key"]: row for row in rows}


@pytest.fixture(autouse=True)
def _plain_main(monkeypatch):
    """Processes load the main module again, and a page tested before in this one leaves app.py in its place."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))


@pytest.fixture(scope="module")
def processes():
    """Starts of processes that share one loading of the library."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["scoredm.studies.lists"])
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
    assert len(load_rows(path)) == 5
    again = Inline()
    pd.testing.assert_frame_equal(tidy(run(JOBS, again, path)), expected)
    assert again.ran == len(JOBS) - 5
    pd.testing.assert_frame_equal(table(load_rows(path)).drop(columns="seconds"), expected)
    finished = Inline()
    pd.testing.assert_frame_equal(tidy(run(JOBS, finished, path)), expected)
    assert finished.ran == 0


def test_what_is_saved_keeps_every_row_of_the_file(tmp_path):
    path = tmp_path / "s.parquet"
    first = by_key(run(JOBS[:2], Inline(), path))
    others = [replace(job, metrics=("mean",)) for job in JOBS[2:4]]
    second = by_key(run(others, Inline(), path))
    assert (set(first), set(second)) == ({job.key for job in JOBS[:2]}, {job.key for job in others})
    assert by_key(load_rows(path)) == first | second, "each with the metrics that it had"
    again = Inline()
    assert by_key(run(JOBS[:2], again, path)) == first
    assert again.ran == 0


def test_a_file_may_be_read_by_whom_the_system_lets(tmp_path):
    mask = os.umask(0o022)
    try:
        studies.save_rows([perform(JOBS[0])], tmp_path / "s.parquet")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "s.parquet").stat().st_mode) == 0o644


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "s.parquet"
    first = list(run(JOBS[:1], Inline(), path))

    def break_off(table, file, *args, **kwargs):
        Path(file.name if hasattr(file, "write") else file).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", break_off)
    with pytest.raises(OSError, match="no space left"):
        list(run(JOBS[:2], Inline(), path))
    assert load_rows(path) == first
    assert list(tmp_path.iterdir()) == [path], "nothing else is left behind"


def test_a_missing_folder_is_told_before_the_first_job(tmp_path):
    pool = Inline()
    with pytest.raises(FileNotFoundError, match=r"saved is '.*nowhere/s.parquet'; its folder does not exist"):
        next(run(JOBS, pool, tmp_path / "nowhere" / "s.parquet"))
    assert pool.ran == 0


def test_a_job_asked_for_twice_is_run_once():
    pool = Inline()
    assert len(list(run([*JOBS[:2], *JOBS[:2]], pool))) == 2
    assert pool.ran == 2


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
    rows = by_key(run(jobs, Inline(), tmp_path / "s.parquet"))
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


class Breaking(Inline):
    """Is broken after the first job."""

    def submit(self, fn, /, *args, **kwargs):
        if self.ran:
            raise BrokenProcessPool("a worker is gone")
        return super().submit(fn, *args, **kwargs)


def test_a_pool_that_breaks_while_jobs_are_handed_in_gives_rows_that_say_so():
    rows = by_key(run(JOBS[:3], Breaking()))
    assert rows[JOBS[0].key]["error"] == ""
    for job in JOBS[1:3]:
        assert rows[job.key]["error"] == "BrokenProcessPool: a worker is gone"
        assert set(rows[job.key]) == set(rows[JOBS[0].key])


def stay(sde, score_fn, x, t, t_next, noise):
    return x


def make_stay():
    return stay


def follow(sde, score_fn, x, t, t_next, noise):
    return noise


def make_follow():
    return follow


STAY, FOLLOW = Sampler("Stay", make_stay), Sampler("Follow", make_follow)


def test_the_row_is_the_samplers_own_run():
    job = Job("tutorial", VPSDE(), "heun", steps=20, n=300, denoise=False)
    x, nfe, _ = end_points(job)
    mixture = targets.mixture("tutorial")
    for_start = torch.Generator().manual_seed(int(torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(0))[0]))
    start = exact_prior(mixture, VPSDE()).sample(300, for_start)
    direct = sample(VPSDE(), exact_score(mixture, VPSDE()), 300, steps=20, step=SAMPLERS["heun"].make_step(), start=start)
    torch.testing.assert_close(x, direct.end)
    assert nfe == 40


def test_a_learned_score_is_its_recipes_network():
    recipe = TrainConfig(steps=20, data_size=200, batch=64)
    job = Job("tutorial", SDE, "ddim", steps=10, n=200, recipe=recipe, t_min=0.01)
    x = end_points(job).x
    trainer = Trainer(job.mixture, SDE, recipe)
    list(trainer)
    direct = sample(
        SDE, trainer.score_fn, 200, step=SAMPLERS["ddim"].make_step(), start=_start(job), steps=10, t_min=0.01, denoise=True
    )
    torch.testing.assert_close(x, direct.end.cpu())
    exact = end_points(replace(job, recipe=None)).x
    assert not torch.allclose(x, exact, atol=0.05)


def _start(job):
    seeds = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(job.seed)).tolist()
    return exact_prior(job.mixture, job.sde).sample(job.n, torch.Generator().manual_seed(seeds[0]))


def test_different_numbers_of_steps_follow_one_brownian_path():
    coarse, fine = (Job("tutorial", SDE, steps=steps, n=500, noise_steps=800) for steps in (400, 800))
    apart = (end_points(coarse)[0] - end_points(fine)[0]).norm(dim=1).median()
    other = (end_points(replace(coarse, noise_steps=0))[0] - end_points(fine)[0]).norm(dim=1).median()
    assert apart < 0.1 * other


def frames(job: Job, seed: int = 5) -> torch.Tensor:
    return torch.stack([*islice(runs._Noise(job, torch.Generator().manual_seed(seed)), job.steps)])


def test_shared_noise_does_not_depend_on_how_it_is_added_up():
    """Odd sizes: a generator's vectorised draws must not show."""
    coarse, fine = (Job("one-mode", SDE, steps=steps, n=11, noise_steps=12, seed=3) for steps in (3, 12))
    z = frames(fine)
    torch.testing.assert_close(frames(coarse), coarsen(z, 4))
    assert z.shape == (12, 11, 1)
    assert frames(replace(coarse, sampler="ddim")).abs().sum() == 0, "not drawn for those that use none"


def test_shared_noise_is_made_a_step_at_a_time():
    job = Job("one-mode", SDE, steps=200, n=20_000, noise_steps=400)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        end_points(job)
    assert recording.profiler is not None
    assert recording.profiler.kineto_results is not None
    changes = [event for event in recording.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = accumulate(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns()))  # pyrefly: ignore[missing-attribute]
    points = 20_000 * 4
    assert max(held) < 2_000_000 + 10 * points, "2 MB for the score; all the noise is 200 times the points"


def test_a_race_follows_one_path():
    jobs = race("tutorial", SDE, ["euler-maruyama"], [4, 6], n=200)
    assert {job.noise_steps for job in jobs} == {12}
    assert {job.noise_steps for job in race("tutorial", SDE, ["ddim"], [7, 9999], noise_steps=0)} == {0}
    with pytest.raises(ValueError, match=r"steps are \[5, 8, 13, 21, 34, 55\]; their least common multiple is 2042040, and .*=0"):
        race("tutorial", SDE, ["ddim"], [5, 8, 13, 21, 34, 55])
    with pytest.raises(ValueError, match="steps is 2.5; it must be a whole number"):
        race("tutorial", SDE, ["ddim"], [5, 2.5])  # pyrefly: ignore[bad-argument-type]


def make_euler_maruyama():
    return euler_maruyama


def test_a_sampler_of_ones_own_is_on_the_shared_noise_whatever_it_says_of_itself():
    ours = Job("tutorial", SDE, "euler-maruyama", steps=5, n=100, noise_steps=20)
    own = replace(ours, sampler=Sampler("Own", make_euler_maruyama))
    assert not own.method.stochastic
    assert torch.equal(end_points(own).x, end_points(ours).x)


@pytest.mark.parametrize("sampler", ["predictor-corrector", "langevin"])
def test_a_sampler_with_visits_has_noise_of_its_own(sampler):
    job = Job("tutorial", SDE, sampler, steps=5, n=100)
    assert torch.equal(end_points(job).x, end_points(replace(job, noise_steps=20)).x)


def test_starts_noise_and_metrics_draw_apart(monkeypatch):
    def from_starts(x, mixture, generator):
        return float((x - exact_prior(mixture, SDE).sample(len(x), generator)).abs().max())

    def from_noise(x, mixture, generator):
        return float((x - torch.randn(x.shape, generator=generator)).abs().max())

    for name, metric in {"from starts": from_starts, "from noise": from_noise}.items():
        monkeypatch.setitem(METRICS, name.replace(" ", "-"), NamedMetric(name, "", "", metric))
    job = Job("tutorial", SDE, STAY, steps=1, n=100, denoise=False, metrics=("from-starts", "from-noise"))
    for row in (perform(job), perform(replace(job, sampler=FOLLOW))):
        assert row["from-starts"] > 1 and row["from-noise"] > 1
    points = end_points(job).x, end_points(replace(job, sampler=FOLLOW)).x
    assert abs(torch.corrcoef(torch.stack([x.flatten() for x in points]))[0, 1]) < 0.4


@pytest.mark.parametrize("prior", PRIORS)
def test_a_job_starts_from_the_distribution_it_names(prior):
    mixture = targets.mixture("tutorial")
    start, p_1 = initial_distribution(prior, mixture, SDE), exact_prior(mixture, SDE)
    job = Job("tutorial", SDE, STAY, steps=1, n=100, denoise=False, prior=prior)
    assert torch.equal(end_points(job).x, start.sample(100, runs._streams(0)[0]))
    assert start.n_components == {"exact": 2, "matched": 1, "zero": 1}[prior]
    if prior == "zero":
        torch.testing.assert_close(start.mean, torch.zeros_like(start.mean))
        torch.testing.assert_close(start.covariance, SDE.sigma(1.0) ** 2 * torch.eye(2).to(start.covariance))
    else:
        torch.testing.assert_close(start.mean, p_1.mean)
        torch.testing.assert_close(start.covariance, p_1.covariance)


def test_seconds_are_those_of_sampling_alone(monkeypatch):
    """A clock that only drawing, training and the sampler move on, each at a pace of its own."""
    now, draw = [0.0], torch.randn

    def passes(seconds, what):
        def slow(*args, **kwargs):
            now[0] += seconds
            return what(*args, **kwargs)

        return slow

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch, "randn", passes(100, draw))
    monkeypatch.setattr(runs, "learned_score", passes(1000, lambda target, *_: exact_score(targets.mixture(target), SDE)))
    own = Sampler("Own", lambda: passes(1, euler_maruyama))
    job = Job("tutorial", SDE, own, steps=5, n=100, noise_steps=10, recipe=TrainConfig())
    assert perform(job)["seconds"] == 5


def test_jobs_that_share_a_recipe_train_once(monkeypatch):
    trained = []

    class Slow:
        score_fn = torch.nn.Identity()

        def __init__(self, *args):
            trained.append(args)

        def __iter__(self):
            time.sleep(0.05)
            return iter(())

    monkeypatch.setattr(runs, "Trainer", Slow)
    monkeypatch.setattr(runs, "_networks", runs._Shared(8))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: learned_score("tutorial", SDE, TrainConfig(seed=77)), range(3)))
    assert len(trained) == 1


def test_different_networks_are_trained_at_the_same_time(monkeypatch):
    """Each waits for the other to have begun: one lock for all would make both fail."""
    both = threading.Barrier(2, timeout=20)

    class Meeting:
        score_fn = torch.nn.Identity()

        def __init__(self, *args):
            both.wait()

        def __iter__(self):
            return iter(())

    monkeypatch.setattr(runs, "Trainer", Meeting)
    monkeypatch.setattr(runs, "_networks", runs._Shared(8))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda seed: learned_score("tutorial", SDE, TrainConfig(seed=seed)), (1, 2)))


def test_training_that_fails_is_tried_again(monkeypatch):
    networks, score = runs._Shared(2), torch.nn.Identity()

    def broken():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        networks.get("a", broken)
    assert networks.get("a", lambda: score) is score
    assert networks.get("a", broken) is score
    for key in ("b", "c"):
        networks.get(key, lambda: score)
    with pytest.raises(RuntimeError, match="out of memory"):
        networks.get("a", broken)  # only the last two are kept


def test_a_network_that_is_trained_already_is_taken_as_it_is(monkeypatch):
    job = Job("tutorial", SDE, "ddim", steps=5, n=50, recipe=TrainConfig(steps=20), t_min=0.01)

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(runs, "learned_score", refuse)
    exact = exact_score(job.mixture, SDE)
    found = end_points(job, exact)
    torch.testing.assert_close(found.x, end_points(replace(job, recipe=None)).x, rtol=1e-4, atol=1e-4)
    assert perform(job, exact)["error"] == ""
    with pytest.raises(ValueError, match="or give the job a recipe"):
        end_points(replace(job, recipe=None), exact)


# Pathwise metrics.

PATHWISE = Job("tutorial", VPSDE(), "heun", "karras", steps=20, n=300, metrics=("pathwise",))


@pytest.mark.parametrize("denoise", [True, False])
@pytest.mark.parametrize("prior", PRIORS)
def test_a_pathwise_metric_compares_with_the_exact_flow_from_the_jobs_own_starts(prior, denoise):
    """Against a flow followed here, from starts drawn here, with the Tweedie step where the job has one."""
    job = replace(PATHWISE, prior=prior, denoise=denoise, t_min=0.05, seed=4)
    start = initial_distribution(prior, job.mixture, job.sde).sample(300, runs._streams(4)[0])
    exact = flow_end_points(job.mixture, job.sde, start, 0.05)
    if denoise:
        exact = tweedie(job.sde, exact_score(job.mixture, job.sde), exact, 0.05)
    torch.testing.assert_close(exact_end_points(job), exact)
    found = perform(job)
    assert found["error"] == ""
    assert found["pathwise"] == pytest.approx(pathwise_error(end_points(job).x, exact).value)
    assert 1e-4 < found["pathwise"] < 0.1


@pytest.mark.parametrize("target", ["tutorial", "three-modes", "gaussian"])
def test_the_pathwise_error_of_a_study_falls_with_the_order_of_its_sampler(target):
    jobs = race(target, VPSDE(), ["ddim", "heun"], [80, 160], ["karras"], n=200, metrics=("pathwise",), denoise=False)
    found = curves(map(perform, jobs), "pathwise")
    floor = noise_floor(targets.mixture(target), 200, METRICS["pathwise"], generator(), repeats=3)
    assert floor == NoiseFloor(Measurement(0, 0), 0, 0, 0)
    slopes = [curve.slope(floor) for curve in found]
    assert [slope and slope.points for slope in slopes] == [2, 2], "every value is clear of a floor of 0"
    assert [-slope.slope for slope in slopes if slope] == pytest.approx([1, 2], abs=0.15)
    assert [curve.floor_from(floor) for curve in found] == [None, None]


def test_jobs_of_a_race_follow_the_flow_once_for_each_seed(monkeypatch):
    followed = []

    def follow(*args):
        followed.append(args)
        time.sleep(0.05)
        return flow_end_points(*args)

    monkeypatch.setattr(runs, "flow_end_points", follow)
    monkeypatch.setattr(runs, "_flow_ends", runs._Shared(10_000))
    settings = {"seeds": [0, 1], "n": 50, "metrics": ("pathwise", "mmd")}
    jobs = race("tutorial", SDE, ["ddim", "heun", stay], [2, 4], ["uniform", "log-snr"], **settings)
    with ThreadPoolExecutor(3) as pool:
        rows = list(run(jobs, pool))
    assert {row["error"] for row in rows} == {""} and len(rows) == 24
    assert len(followed) == 2
    others: list[dict[str, Any]] = [{"prior": "zero"}, {"n": 60}, {"t_min": 0.1}, {"denoise": False}, {"target": "ring"}]
    for other in others:
        perform(replace(jobs[0], **other))
    assert len(followed) == 7, "another start, stop or target has a flow of its own"


def test_what_jobs_share_is_kept_up_to_a_size():
    shared: runs._Shared[list[int]] = runs._Shared(10)
    made = []

    def get(key: str, size: int) -> None:
        shared.get(key, lambda: made.append(key) or [size], size)

    for key, size in [("a", 4), ("b", 6), ("a", 4), ("c", 3), ("a", 4), ("b", 6), ("large", 30), ("large", 30)]:
        get(key, size)
    assert made == ["a", "b", "c", "b", "large"], "the one asked for longest ago makes room, and the last stays"


NOISY = Sampler("Noisy", lambda: stay, stochastic=True)


@pytest.mark.parametrize("sampler", ["euler-maruyama", "langevin", "churned-heun", NOISY])
def test_a_sampler_with_noise_has_no_pathwise_error(sampler):
    words = r"sampler is '.*', which adds noise .* the metric 'pathwise' .*; it must be one of ddim, .*, or a step of your own"
    with pytest.raises(ValueError, match=words):
        replace(PATHWISE, sampler=sampler)
    assert perform(replace(PATHWISE, sampler=stay))["error"] == "", "what a step of one's own does is not known"


def worst(x, exact, _generator):
    return float((x - exact).norm(dim=1).max())


def test_a_pathwise_metric_of_ones_own_is_given_the_exact_end_points():
    job = replace(PATHWISE, metrics=("pathwise", NamedMetric("Largest error", "units of x", "", worst, pathwise=True)))
    row = perform(job)
    expected = (end_points(job).x - exact_end_points(job)).norm(dim=1)
    assert row["Largest-error"] == pytest.approx(float(expected.max()))
    assert row["pathwise"] == pytest.approx(float(expected.square().mean().sqrt()))


def test_two_jobs_are_compared_start_by_start():
    one, other = PATHWISE, replace(PATHWISE, sampler="ddim")
    found = paired_difference(end_points(other).x, end_points(one).x, exact_end_points(one))
    assert found.value == pytest.approx(perform(other)["pathwise"] - perform(one)["pathwise"])
    assert found.value > 10 * found.error > 0


def diverge(_sde, _score_fn, x, _t, _t_next, _noise):
    return x * 1e30


def test_a_run_that_ran_off_says_so_in_place_of_its_pathwise_error():
    row = perform(replace(PATHWISE, sampler=diverge))
    assert math.isnan(row["pathwise"]) and "NaN and infinity are not allowed" in row["error"]


def test_samplers_are_given_the_steps_that_cost_alike():
    chosen = equal_cost_steps(SAMPLERS, 40)
    assert {name: SAMPLERS[name].expected_nfe(steps) for name, steps in chosen.items()} == dict.fromkeys(SAMPLERS, 40)
    assert equal_cost_steps(["heun", "ddim", "langevin"], 40, [5, 10, 20, 40]) == {"heun": 20, "ddim": 40, "langevin": 10}
    assert equal_cost_steps(["langevin"], 1) == {"langevin": 1}
    with pytest.raises(ValueError, match="nfe is 0"):
        equal_cost_steps(["ddim"], 0)
    with pytest.raises(ValueError, match="choices is empty"):
        equal_cost_steps(["ddim"], 10, [])


def test_seeds_change_the_numbers_and_names_do_not():
    job = JOBS[0]
    assert perform(job)[METRIC] == perform(replace(job))[METRIC]
    assert perform(job)[METRIC] != perform(replace(job, seed=9))[METRIC]


def evenly_squared(sde, steps, t_min):
    return [1 - (1 - t_min) * (i / steps) ** 0.5 for i in range(steps)] + [t_min]


def spread(x, mixture, generator):
    return x.std()


def reverse(x, t, rate=1):
    return -rate * x


OCTAVES = GaussianMixture(8 * torch.eye(20)[:8], torch.eye(20).expand(8, 20, 20), torch.ones(8))
WIDE = GaussianMixture.gaussian(torch.zeros(100), torch.eye(100))
CHANGES: list[dict[str, Any]] = [
    *({"target": "ring"}, {"sde": VPSDE()}, {"sde": VESDE(10.5)}, {"sampler": "heun"}, {"sampler": STAY}, {"sampler": FOLLOW}),
    *({"sampler": Sampler("Stay", make_follow)}, {"sampler": replace(STAY, visits=1)}),
    *({"grid": "log-snr"}, {"grid": Grid("Other", GRIDS["karras"].make)}, {"steps": 10}, {"prior": "zero"}, {"prior": "matched"}),
    *({"t_min": 2e-3}, {"denoise": False}, {"recipe": TrainConfig()}, {"recipe": TrainConfig(width=32)}, {"n": 201}, {"seed": 9}),
    *({"metrics": ("mean",)}, {"metrics": (METRIC, "mean")}, {"noise_steps": 20}, {"noise_steps": 0}),
    *({"target": OCTAVES}, {"target": OCTAVES.add(torch.zeros(20), torch.eye(20), 1e-9)}, {"sampler": stay}, {"sampler": follow}),
    *({"score": torch.nn.Sequential()}, {"score": reverse}, {"score": partial(reverse, rate=2)}),
    *({"grid": evenly_squared}, {"grid": [1.0, 0.5, 0.4, 0.3, 0.2, 0.1]}, {"metrics": (spread,)}, {"metrics": (METRIC, spread)}),
]


def test_whatever_changes_in_a_job_changes_its_key():
    job = JOBS[0]
    assert {name for change in CHANGES for name in change} == {each.name for each in fields(Job) if each.init}
    assert len({job.key, *(replace(job, **change).key for change in CHANGES)}) == 1 + len(CHANGES)


def test_equal_jobs_share_a_key_and_a_row():
    numpy: dict[str, Any] = {"steps": np.int64(5), "n": np.int32(200), "seed": np.int64(3)}
    one = Job("tutorial", VESDE(25), t_min=np.float64(0.01), **numpy)
    other = Job("tutorial", VESDE(25.0), steps=5, t_min=0.01, n=200, seed=3)
    assert one == other
    assert (one.key, one.settings) == (other.key, other.settings)
    assert type(one.seed) is int
    assert perform(one)["error"] == ""


class Own(AnySDE):
    """An SDE of one's own, which has no words for what it holds."""

    def __init__(self, lam: float) -> None:
        self.inner = VESDE(lam)

    def alpha(self, t):
        return self.inner.alpha(t)

    def sigma(self, t):
        return self.inner.sigma(t)

    def diffusion(self, t):
        return self.inner.diffusion(t)

    def drift_rate(self, t):
        return self.inner.drift_rate(t)


class Changed(Own):
    """One whose code has changed, and nothing else."""

    def diffusion(self, t):
        return 2 * self.inner.diffusion(t)


def test_an_sde_of_ones_own_is_known_by_what_it_holds():
    own = Job("tutorial", Own(2.0), "ddim", steps=5, n=200)
    assert own == replace(own, sde=Own(2.0)) != replace(own, sde=Own(3.0))
    assert own != replace(own, sde=Changed(2.0)), "another code is another SDE"
    assert re.fullmatch(r"Own [0-9a-f]{8}", own.settings["sde"])
    assert perform(own)["sliced-wasserstein"] == perform(replace(own, sde=VESDE(2.0)))["sliced-wasserstein"]
    pool = Inline()
    assert len(list(run([own, replace(own, sde=Own(2.0)), replace(own, sde=Changed(2.0))], pool))) == pool.ran == 2


def test_a_grid_of_ones_own_is_stepped_through():
    job = Job("tutorial", SDE, "heun", Grid("Squared", evenly_squared), steps=4, n=100, denoise=False)
    assert job.times == evenly_squared(SDE, 4, 1e-3)
    step, start = SAMPLERS["heun"].make_step(), _start(job)
    direct = sample(SDE, exact_score(job.mixture, SDE), 100, times=job.times, step=step, start=start)
    torch.testing.assert_close(end_points(job).x, direct.end)
    row = perform(job)
    assert (row["grid"], row["error"]) == ("Squared", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "nowhere"}, "target is 'nowhere'; it must be a GaussianMixture, .* or one of .*tutorial.* is not known"),
        ({"target": 7}, "target is 7; it must be a GaussianMixture, the text of a mixture, or one of"),
        ({"sde": "VE"}, "sde is 'VE'; it must be an SDE"),
        ({"sampler": "magic"}, "sampler is 'magic'; it must be one of euler-maruyama.*, a Sampler, or a step"),
        ({"sampler": make_stay}, r"sampler is <function make_stay .*; it must take \(sde, score_fn, x, t, t_next, noise\): too"),
        ({"sampler": 3}, "sampler is 3; it must be one of euler-maruyama.*, a Sampler, or a step"),
        ({"sampler": Sampler("ddim", make_stay)}, "sampler has the title 'ddim', a name that the library already uses"),
        ({"score": 3}, r"score is 3; it must be a function \(x, t\)"),
        ({"score": abs}, r"score is <built-in function abs>; it must take \(x, t\)"),
        ({"score": reverse, "recipe": TrainConfig()}, "score and recipe are both given"),
        ({"target": WIDE, "n": 1_000_000}, "n is 1000000 in 100-D; a run's points may take 268 MB, so it must be at most 335544"),
        ({"target": OCTAVES, "n": 2_000_000}, "n is 2000000; it must be a whole number from 10 to 1000000"),
        ({"grid": 3}, "grid is 3; it must be one of uniform, .*, a Grid, a function, or times"),
        ({"grid": stay}, r"grid is <function stay .*; it must take \(sde, steps, t_min\)"),
        ({"grid": [1.0]}, "grid has 1 times; there must be two or more"),
        (
            {"grid": [1.0, 0.5, 0.7, 0.1], "steps": 3, "noise_steps": 0},
            r"the grid is 1, 0.5, 0.7, 0.1, \.\.\., 0.1, 4 times; .* fall",
        ),
        ({"grid": [0.5, 0.3], "steps": 1}, "it must have 2 falling times, the first 1 and the last t_min, 0.3"),
        ({"grid": [1.0, 0.5, 0.1], "steps": 5}, "steps is 5; it must be a multiple of 2, the steps of the grid's times"),
        ({"metrics": (spread, spread)}, "metrics are spread, spread; each must have a name of its own"),
        ({"metrics": (NamedMetric("n", "", "", spread),)}, "a metric has the title 'n', which cannot be the name of a column"),
        (
            {"metrics": (NamedMetric("mmd", "", "", spread),)},
            "'mmd', a name that the library already uses",
        ),
        ({"metrics": (stay,)}, r"a metric is <function stay .*; it must take \(x, mixture, generator\)"),
        ({"grid": "square"}, "grid is 'square'; it must be one of uniform"),
        ({"grid": Grid("karras", evenly_squared)}, "grid has the title 'karras'"),
        ({"prior": "flat"}, "prior is 'flat'; it must be one of zero, matched, exact"),
        ({"recipe": "fast"}, "recipe is 'fast'; it must be a TrainConfig, or None"),
        ({"denoise": "no"}, "denoise is 'no'; it must be True or False"),
        ({"steps": 0}, "steps is 0; it must be a whole number from 1 to 20000"),
        ({"n": 5}, "n is 5; it must be a whole number from 10"),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number from 0"),
        ({"seed": -1}, "seed is -1; it must be"),
        ({"t_min": 0.0}, "t_min is 0.0; it must lie between 0 and 1"),
        ({"t_min": 1e-13}, "t_min is 1e-13; .* not below 1e-12"),
        ({"t_min": "0.1"}, "t_min is '0.1'; it must lie between"),
        ({"metrics": ("taste",)}, "metrics are .'taste',.; they must be a tuple of one or more of sliced-wasserstein"),
        ({"metrics": [METRIC]}, "metrics are .'mmd'.; they must be a tuple"),
        ({"metrics": METRIC}, "metrics are 'mmd'; they must be a tuple"),
        ({"metrics": ()}, "metrics are .*; they must be a tuple of one"),
        ({"noise_steps": 7}, "noise_steps is 7; it must be 0 or a multiple of the 5 steps"),
    ],
)
def test_a_job_that_cannot_be_run_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(JOBS[0], **change)


DDIM = Job("tutorial", SDE, "ddim", n=200, metrics=(METRIC,))


def arrived(job: Job, value: float = 1.0) -> dict:
    return job.settings | {METRIC: value, "nfe": job.steps, "error": "", "key": job.key}


def power_rows(slope: float, zero: float, seeds: int = 3) -> list[dict]:
    """Rows of a sampler whose error is a power of its cost, down to what a sample's own spread leaves."""
    values = {steps: math.hypot(30 * steps**slope, zero) for steps in (5, 10, 20, 30, 40, 80, 160)}
    return [
        arrived(replace(DDIM, steps=steps, seed=seed), value + 0.01 * (seed - 1) * zero)
        for steps, value in values.items()
        for seed in range(seeds)
    ]


def test_a_slope_is_fitted_clear_of_the_finite_sample_zero_only():
    floor = NoiseFloor(Measurement(0.04, 0.001), 0.03, 0.04, 0.045)
    rows = [*power_rows(-2.0, 0.04), arrived(replace(DDIM, sampler="heun")) | {"error": "lost"}]
    (curve,) = curves(rows[::-1], METRIC)
    assert curve.steps.tolist() == curve.nfe.tolist() == [5, 10, 20, 30, 40, 80, 160]
    fit = curve.slope(floor)
    assert fit is not None
    assert fit.points == 3, "5, 10 and 20 steps: 1.2, 0.3 and 0.085; 30 steps, 0.052, are no longer clear of 0.045"
    assert fit.slope == pytest.approx(-2.0, abs=0.001)
    assert curve.floor_from(floor) == 40, "30 / 40^2 = 0.019, and 0.0443 with the zero"
    assert curve.error[0] == pytest.approx(0.01 * 0.04 / math.sqrt(3))
    assert curve.slope(NoiseFloor(Measurement(0.4, 0.01), 0.3, 0.4, 0.5)) is None, "one point is no line"
    assert curve.floor_from(NoiseFloor(Measurement(0.001, 0.0), 0.0005, 0.001, 0.002)) is None


def test_a_row_that_is_there_twice_counts_once():
    rows = power_rows(-2.0, 0.04)
    (once,), (twice,) = curves(rows, METRIC), curves(rows * 2, METRIC)
    np.testing.assert_array_equal(twice.error, once.error)


OTHERS: dict[str, Any] = {
    "target": "ring",
    "sde": VPSDE(),
    "recipe": TrainConfig(),
    "prior": "zero",
    "t_min": 0.1,
    "denoise": False,
    "n": 300,
}


@pytest.mark.parametrize("name", OTHERS)
def test_rows_of_two_experiments_make_no_curve(name):
    rows = [arrived(DDIM), arrived(replace(DDIM, sampler="heun", seed=1, **{name: OTHERS[name]}))]
    with pytest.raises(ValueError, match=f"the rows are of more than one experiment: {name} is .* and "):
        curves(rows, METRIC)


@pytest.mark.parametrize("change", [{"sampler": Sampler("Stay", make_follow)}, {"grid": Grid("Squared", GRIDS["karras"].make)}])
def test_two_samplers_of_one_title_make_no_curve(change):
    job = replace(DDIM, sampler=STAY, grid=Grid("Squared", evenly_squared))
    with pytest.raises(ValueError, match="what is called Stay on Squared is not the same in all rows: own is .*make_stay.* and "):
        curves([arrived(job), arrived(replace(job, seed=1, **change))], METRIC)
    assert len(curves([arrived(job), arrived(replace(job, sampler=FOLLOW))], METRIC)) == 2


def test_what_makes_no_mean_over_seeds_is_refused():
    with pytest.raises(ValueError, match="ddim on uniform has two runs with 200 steps and one seed"):
        curves([arrived(DDIM), arrived(replace(DDIM, noise_steps=400))], METRIC)
    with pytest.raises(ValueError, match="metric is 'mean'; there is a row that has mmd only"):
        curves([arrived(DDIM), arrived(replace(DDIM, metrics=("mean", METRIC)))], "mean")
    assert curves([], "mean") == []


# What is one's own


TYPED = "m 0, 1 s 1; m 2, -1 c 2, .5, 1"
KNOWN = {
    "d30b659178a56b8b": Job("tutorial", VESDE(5.0)),
    "4584796ba4b6eb04": Job(TYPED, VPSDE(), "heun", "karras", 10, recipe=TrainConfig(), metrics=("mmd", "mean"), n=500, seed=3),
    "8c98c2d6147391df": Job(
        "ring", CosineVPSDE(), "predictor-corrector", "log-snr", 20, "zero", denoise=False, t_min=0.01, noise_steps=40
    ),
}


@pytest.mark.parametrize("key", KNOWN)
def test_files_of_the_librarys_own_jobs_stay_valid(key):
    assert KNOWN[key].key == key


def test_rows_that_were_saved_without_their_score_are_found_again(tmp_path):
    rows = [row for job in JOBS[:2] for row in [perform(job)]]
    pd.DataFrame(rows).drop(columns="score").to_parquet(tmp_path / "old.parquet")
    again = Inline()
    assert by_key(run(JOBS[:2], again, tmp_path / "old.parquet")) == by_key(rows)
    assert again.ran == 0


class Guess(torch.nn.Module):
    """A network that predicts the noise, for an SDE."""

    def __init__(self, sde: AnySDE, dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sde, self.layer = sde, torch.nn.Linear(dim, dim)

    def forward(self, x, t):
        return -(x + 0.01 * self.layer(x)) / (1 + self.sde.sigma(t) ** 2)


def churn(gamma: float):
    """A step that adds noise first, as in Karras et al. 2022, algorithm 2, with a rate of its own."""

    def step(sde, score_fn, x, t, t_next, noise):
        up = min(1.0, t * (1 + gamma))
        extra = max(sde.sigma(up) ** 2 - sde.sigma(t) ** 2, 0.0) ** 0.5
        return SAMPLERS["heun"].make_step()(sde, score_fn, x + extra * noise, up, t_next, noise)

    return step


def radius(x, mixture, generator):
    return (x - mixture.mean).norm(dim=1).mean() / mixture.covariance.trace().sqrt()


def test_a_new_sampler_is_measured_in_twenty_dimensions(tmp_path):
    """Mixture, sampler, grid and metric are all one's own; another gamma is another job, and nothing old is returned."""
    samplers = [churn(0.2), churn(0.1), "heun"]
    grids = (evenly_squared, "karras")
    jobs = race(OCTAVES, SDE, samplers, [4, 8], grids, n=100, metrics=(radius, "mean", "weights"))
    rows = list(run(jobs, Inline(), tmp_path / "own.parquet"))
    assert [row["error"] for row in rows] == [""] * 12
    assert {row["sampler"] for row in rows} == {"churn(gamma=0.2)", "churn(gamma=0.1)", "heun"}
    assert {row["grid"] for row in rows} == {"evenly_squared", "karras"}
    assert all(re.fullmatch(r"GaussianMixture\(K=8, D=20\) [0-9a-f]{8}", row["target"]) for row in rows)
    assert all(type(row["radius"]) is float and 0.5 < row["radius"] < 2 for row in rows if row["steps"] == 8)
    assert len(curves(rows, radius)) == 6
    again = Inline()
    assert by_key(run(jobs, again, tmp_path / "own.parquet")) == by_key(rows)
    assert again.ran == 0
    list(run(race(OCTAVES, SDE, [churn(0.3)], [4], n=100), again, tmp_path / "own.parquet"))
    assert again.ran == 1


def test_a_network_of_ones_own_is_sampled_with():
    network = Guess(SDE, 2)
    job = Job("tutorial", SDE, "ddim", steps=5, n=100, score=network, denoise=False)
    assert job == replace(job, score=Guess(SDE, 2)), "the same numbers"
    direct = sample(SDE, network, 100, times=job.times, step=SAMPLERS["ddim"].make_step(), start=_start(job))
    torch.testing.assert_close(end_points(job).x, direct.end)
    row = perform(job)
    assert (row["error"], row["nfe"], row["recipe"]) == ("", 5, "")
    assert re.fullmatch(r"Guess [0-9a-f]{8}", row["score"])
    assert re.fullmatch(r"score tests.test_studies.Guess [0-9a-f]{16}", row["own"])
    assert perform(replace(job, score=None))["score"] == "exact"
    exact = exact_score(job.mixture, SDE)
    torch.testing.assert_close(end_points(replace(job, score=exact)).x, end_points(replace(job, score=None)).x)
    with torch.no_grad():
        network.layer.weight += 1
    with pytest.raises(ValueError, match="score, Guess, was changed after the job was made; make the job when it is trained"):
        list(run([job], Inline()))
    with pytest.raises(ValueError, match="the rows are of more than one experiment: score is"):
        curves([row, arrived(replace(job, score=network))], "sliced-wasserstein")


def test_a_recipe_trains_once_for_equal_targets_of_ones_own(monkeypatch):
    monkeypatch.setattr(runs, "_networks", runs._Shared(8))
    recipe = TrainConfig(steps=2, data_size=50, batch=10)
    one, other = (GaussianMixture.gaussian([1.0, 2.0, 3.0], torch.eye(3)) for _ in range(2))
    assert learned_score(one, Own(2.0), recipe) is learned_score(other, Own(2.0), recipe)
    assert perform(Job(one, Own(2.0), "ddim", steps=2, n=20, recipe=recipe))["error"] == ""


class Counting:
    """A step that keeps a state."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, sde, score_fn, x, t, t_next, noise):
        self.calls += 1
        return x + self.calls


@pytest.mark.parametrize("step", [Counting, Counting()])
def test_each_run_has_a_fresh_step(step):
    job = Job("tutorial", SDE, step, steps=3, n=20, denoise=False)
    for _ in range(2):
        torch.testing.assert_close(end_points(job).x, _start(job) + 6)
    assert job.settings["sampler"] == "Counting"


def test_what_is_the_librarys_is_known_by_its_key():
    job = Job("tutorial", SDE, "heun", "karras", metrics=("mmd",))
    same = replace(job, sampler=SAMPLERS["heun"], grid=GRIDS["karras"], metrics=(METRICS["mmd"],))
    assert (same, same.sampler, same.grid, same.metrics) == (job, "heun", "karras", ("mmd",))
    assert replace(job, sampler=euler_maruyama).sampler == "euler-maruyama"


def test_listed_times_are_stepped_through_and_divided_where_more_steps_are_asked_for():
    job = Job("tutorial", SDE, "ddim", [1.0, 0.5, 0.1], n=20)
    assert (job.times, job.steps, job.t_min) == ([1.0, 0.5, 0.1], 2, 0.1)
    assert replace(job, steps=4, t_min=0.01).times == pytest.approx([1, 0.75, 0.5, 0.255, 0.01])
    assert (
        perform(job)["grid"] == perform(replace(job, steps=4))["grid"] != Job("ring", SDE, "ddim", [1, 0.4, 0.1]).settings["grid"]
    )
    with pytest.raises(ValueError, match="it must have 6 falling times, the first 1 and the last t_min, 0.001"):
        end_points(replace(job, grid=lambda _sde, steps, t_min: torch.linspace(1, t_min, steps).tolist(), steps=5, t_min=1e-3))


def test_processes_are_sent_what_is_ones_own_and_a_lambda_is_refused_in_words(processes):
    jobs = race(OCTAVES, Own(2.0), [stay, Counting], [2], [evenly_squared], n=50, score=Guess(SDE, 20), metrics=(radius,))
    sent = lambda *_: torch.zeros(50, 20)  # noqa: E731 - a process cannot find it
    with ProcessPoolExecutor(1, mp_context=processes) as pool:
        pd.testing.assert_frame_equal(tidy(run(jobs, pool)), tidy(run(jobs, Inline())))
        for job in (replace(jobs[0], sampler=churn(0.1)), replace(jobs[0], score=sent)):
            with pytest.raises(
                ValueError, match=r"(sampler|score) is tests.test_studies\..*<locals>.* cannot be sent to a process"
            ):
                next(run([job], pool))
    with ThreadPoolExecutor(1) as pool:
        assert next(run([replace(jobs[0], score=sent)], pool))["error"] == ""


def test_torch_has_one_thread_while_jobs_run_and_as_many_as_before_after_them():
    seen = []

    def threads(sde, score_fn, x, t, t_next, noise):
        seen.append(torch.get_num_threads())
        return x

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(2) as pool:
            list(run([Job("tutorial", SDE, threads, steps=20, n=20, seed=seed) for seed in range(6)], pool))
            assert {pool.submit(torch.get_num_threads).result() for _ in range(4)} == {3}
        perform(replace(JOBS[0], sampler=stumble))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


def test_the_examples_in_the_docstrings_run():
    for module, least in ((runs, 2), (lists, 1), (costs, 4), (grids, 3)):
        found = doctest.testmod(module)
        assert (found.failed, found.attempted >= least) == (0, True)


def test_all_metrics_in_one_row():
    row = perform(replace(JOBS[0], sampler="ddim", metrics=tuple(METRICS)))
    assert row["error"] == ""
    assert all(math.isfinite(row[name]) for name in METRICS)
