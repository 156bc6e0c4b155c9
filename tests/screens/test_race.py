"""The race as a function: its lines against runs of one's own, its verdict, and end points at equal evaluations of the score."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from scoredm.experiment import Experiment
from scoredm.grids import GRIDS, Grid, uniform_times
from scoredm.metrics import METRICS, NamedMetric, NoiseFloor, covariance_error
from scoredm.samplers import SAMPLERS, Sampler, euler_maruyama
from scoredm.screens import race, studying
from scoredm.statistics import Measurement
from scoredm.studies import Job, end_points, perform

EXPERIMENT = Experiment("two-modes", 7)
SMALL = race.Settings(("ddim", "heun"), ("uniform",), "5", "40", "exact", "covariance", 200, 2)
FLOOR = NoiseFloor(Measurement(0.05, 0.001), 0.04, 0.05, 0.06)


@pytest.fixture(scope="module")
def result():
    return race.run(EXPERIMENT, SMALL)


def record(sampler: str, steps: int, value: float, metric: str = "covariance"):
    """The record of a run of the settings ONE, as if it had shown this value."""
    job = Job("two-modes", EXPERIMENT.sde, sampler, steps=steps, metrics=(metric,))
    nfe = steps * (job.method.evaluations or 1) + 1
    return job.settings | {metric: value, "nfe": nfe, "seconds": 0.0, "error": "", "key": job.key}


def standing(values: dict[str, list[float]], last: str = "40") -> race.Standing:
    settings = race.Settings(tuple(values), ("uniform",), "5", last, "exact", "covariance", 200, 1)
    records = [
        record(sampler, steps, value)
        for sampler, column in values.items()
        for steps, value in zip(settings.steps, column, strict=False)
    ]
    return race.read(EXPERIMENT, settings, records, FLOOR)


def test_a_line_is_the_mean_over_seeds_of_what_its_runs_show(result):
    ddim, heun = result.standing.lines
    assert (ddim.name, heun.name) == (("ddim", "uniform"), ("heun", "uniform"))
    np.testing.assert_array_equal(ddim.curve.nfe, np.array([5, 10, 20, 40]) + 1)
    np.testing.assert_array_equal(heun.curve.nfe, 2 * np.array([5, 10, 20, 40]) + 1)
    jobs = [job for job in race.jobs(EXPERIMENT, SMALL) if job.sampler == "heun" and job.steps == 20]
    assert [job.seed for job in jobs] == [7, 8]
    values = [covariance_error(end_points(job).x, EXPERIMENT.mixture) for job in jobs]
    assert heun.curve.value[2] == pytest.approx(np.mean(values))
    assert heun.curve.error[2] == pytest.approx(np.std(values, ddof=1) / np.sqrt(2))
    assert heun.best == Measurement(heun.curve.value.min(), heun.curve.error[heun.curve.value.argmin()])
    assert (result.standing.runs, result.standing.done) == (16, 16)


def test_the_order_of_the_records_does_not_matter_and_some_of_them_are_a_race_under_way(result):
    records = list(result.standing.records)
    again = race.read(EXPERIMENT, SMALL, records[::-1])
    assert [line.best for line in again.lines] == [line.best for line in result.standing.lines]
    assert again.noise_floor == result.standing.noise_floor, "the same seed measures the same noise floor"
    some = race.read(EXPERIMENT, SMALL, records[:4], FLOOR)
    assert (some.done, some.runs) == (4, 16) and some.noise_floor is FLOOR
    assert race.read(EXPERIMENT, SMALL, [], FLOOR).verdict is None


def test_progress_is_told_of_every_run():
    told = []
    few = race.Settings(("ddim",), ("uniform",), "20", "40", "exact", "mean", 200, 1)
    race.run(EXPERIMENT, few, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_the_first_at_the_noise_floor_is_the_one_with_the_fewest_evaluations():
    found = standing({"ddim": [0.8, 0.4, 0.2, 0.05], "heun": [0.4, 0.055, 0.05, 0.05], "flow-euler": [0.8, 0.7, 0.6, 0.5]})
    verdict = found.verdict
    assert verdict is not None
    assert (verdict.cause, verdict.first, verdict.nfe) == ("reached", (("heun", "uniform"),), 21)
    assert verdict.above == (("flow-euler", "uniform"),)
    tie = standing({"ddim": [0.8, 0.05], "dpm-solver": [0.7, 0.06], "heun": [0.05, 0.7]}).verdict
    assert tie is not None and tie.first == (("ddim", "uniform"), ("dpm-solver", "uniform")), "a tie has two names"
    assert tie.above == (("heun", "uniform"),), "a value that leaves the noise floor again has not reached it"


def test_where_none_reaches_the_noise_floor_the_closest_is_named():
    verdict = standing({"ddim": [0.8, 0.4, 0.2, 0.1], "heun": [0.9, 0.7, 0.09, 0.3]}).verdict
    assert verdict is not None
    assert (verdict.cause, verdict.first, verdict.nfe) == ("above", (("heun", "uniform"),), None)
    assert verdict.closest == 0.09 and len(verdict.above) == 2


def test_a_slope_is_fitted_where_the_error_is_clear():
    steep, flat = standing({"ddim": [0.8, 0.4, 0.2, 0.1], "heun": [0.05, 0.05, 0.05, 0.05]}).lines
    excess = np.sqrt(np.array([0.8, 0.4, 0.2, 0.1]) ** 2 - 0.05**2)
    assert steep.slope is not None and steep.slope.slope == pytest.approx(
        np.polyfit(np.log([6, 11, 21, 41]), np.log(excess), 1)[0]
    )
    assert flat.slope is None and flat.floor_from == 11


# Against the exact flow

PATHWISE = race.Settings(("euler-maruyama", "heun", "ddim", "langevin"), ("uniform",), "5", "40", "exact", "pathwise", 200, 2)


@pytest.fixture(scope="module")
def against_the_flow():
    return race.run(EXPERIMENT, PATHWISE)


def test_samplers_with_noise_are_left_out_where_points_are_compared_with_the_exact_flow(against_the_flow):
    assert PATHWISE.raced == ("heun", "ddim")
    assert race.Settings(PATHWISE.samplers, metric="mean").raced == PATHWISE.samplers
    standing = against_the_flow.standing
    assert (standing.runs, standing.done, standing.failures) == (16, 16, ())
    assert [line.sampler for line in standing.lines] == ["heun", "ddim"]
    assert [end.sampler for end in against_the_flow.ends] == ["heun", "ddim"]
    assert PATHWISE.nfe_range == (6, 81)


def test_each_value_is_the_distance_to_the_exact_flow_from_the_same_starts(against_the_flow):
    """On the line the flow keeps the mass below each point: its end is found here by the two distribution functions."""
    mixture, sde = EXPERIMENT.mixture, EXPERIMENT.sde
    x = np.linspace(-80, 80, 2_000_001)

    def mass_below(t: float) -> np.ndarray:
        at = mixture.at(sde, t)
        stds = at.covariances[:, 0, 0].sqrt()
        parts = zip(at.weights.tolist(), at.means[:, 0].tolist(), stds.tolist(), strict=True)
        return sum((w * norm.cdf(x, m, std) for w, m, std in parts), np.zeros_like(x))

    first, last = mass_below(1.0), mass_below(1e-3)
    alpha, sigma = sde.scales(1e-3)
    for line in against_the_flow.standing.lines:
        errors = []
        for job in (job for job in race.jobs(EXPERIMENT, PATHWISE) if (job.sampler, job.steps) == (line.sampler, 40)):
            start = end_points(replace(job, sampler=stay, steps=1, denoise=False)).x[:, 0]
            end = torch.as_tensor(np.interp(np.interp(start, x, first), last, x))[:, None]
            clean = (end + sigma**2 * mixture.at(sde, 1e-3).score(end)) / alpha
            errors.append(float((end_points(job).x - clean).square().mean().sqrt()))
        assert line.curve.value[-1] == pytest.approx(np.mean(errors), rel=1e-3)


def test_without_a_noise_floor_every_point_counts_for_the_slope(against_the_flow):
    heun, ddim = against_the_flow.standing.lines
    assert (heun.floor_from, ddim.floor_from) == (None, None)
    assert heun.slope.points == ddim.slope.points == 4
    assert heun.slope.slope < ddim.slope.slope < -0.7
    assert against_the_flow.standing.noise_floor == NoiseFloor(Measurement(0, 0), 0, 0, 0)


def test_samplers_are_ranked_by_the_exact_flow_at_equal_cost():
    """Heun is better with 81 evaluations; but DDIM has used 41 at most, and with so many it is the better one here."""
    settings = replace(PATHWISE, seeds=1)
    values = {"heun": [0.9, 0.8, 0.5, 0.001], "ddim": [0.9, 0.7, 0.6, 0.3]}
    records = [
        record(sampler, steps, value, metric="pathwise")
        for sampler, column in values.items()
        for steps, value in zip(settings.steps, column, strict=True)
    ]
    verdict = race.read(EXPERIMENT, settings, records).verdict
    assert verdict == race.Verdict("flow", (("ddim", "uniform"),), 41, 0.3, ())
    tie = race.read(EXPERIMENT, settings, [row for row in records if row["steps"] == 5]).verdict
    assert tie is not None and tie.nfe == 6 and tie.first == (("ddim", "uniform"),), "Heun needs 11 evaluations for its first run"


def test_a_race_of_noise_alone_against_the_exact_flow_is_refused():
    with pytest.raises(ValueError, match="samplers is euler-maruyama,langevin; all of these add noise, but .* such as ddim"):
        replace(PATHWISE, samplers=("euler-maruyama", "langevin"))


@pytest.mark.parametrize("first", ["5", "10", "20"])
def test_end_points_are_compared_at_equal_evaluations_of_the_score(first):
    fixed = tuple(key for key, sampler in SAMPLERS.items() if sampler.evaluations is not None)
    settings = race.Settings(fixed, ("karras", "uniform"), first, "40", "exact", "mean", 200, 1)
    jobs = race.end_jobs(EXPERIMENT, settings)
    assert {job.grid for job in jobs} == {"karras"} and len({job.steps for job in jobs}) > 2
    ends = [race.end(job) for job in jobs]
    assert {end.nfe for end in ends} == {2 * int(first) + 1}, "the Tweedie step is one evaluation more"
    assert [end.sampler for end in ends] == list(fixed)


def test_an_adaptive_method_says_what_it_used():
    settings = race.Settings(("ddim", "rk45"), ("uniform",), "5", "40", "exact", "mean", 200, 1)
    ddim, adaptive = (race.end(job) for job in race.end_jobs(EXPERIMENT, settings))
    assert ddim.nfe == 11 and adaptive.nfe > 11 and adaptive.steps == 1


def test_the_distance_beside_end_points_is_that_of_these_points(result):
    for end in result.ends:
        assert end.distance == pytest.approx(covariance_error(torch.as_tensor(end.points), EXPERIMENT.mixture))
        assert end.points.shape == (200, 1)


def stay(sde, score_fn, x, t, t_next, noise):
    return x


def explode(sde, score_fn, x, t, t_next, noise):
    return x / 0


def test_a_run_that_fails_says_why_and_the_others_stand(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "heun", Sampler("Flow, Heun", lambda: explode, evaluations=2))
    settings = race.Settings(("ddim", "heun"), ("uniform",), "20", "40", "exact", "covariance", 200, 1)
    found = race.run(EXPERIMENT, settings)
    assert [line.sampler for line in found.standing.lines] == ["ddim"]
    assert [(f.sampler, f.steps, f.seed, f.cause) for f in found.standing.failures] == [
        ("heun", 20, 7, "diverged"),
        ("heun", 40, 7, "diverged"),
    ]
    assert np.isnan(found.ends[1].distance) and not np.isnan(found.ends[0].distance)


def test_one_registry_entry_is_a_new_sampler_grid_and_metric(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "dummy", Sampler("Dummy", lambda: euler_maruyama, evaluations=1, stochastic=True))
    monkeypatch.setitem(GRIDS, "dummy", Grid("Dummy grid", lambda _sde, steps, t_min: uniform_times(steps, t_min)))
    monkeypatch.setitem(METRICS, "dummy", NamedMetric("Dummy metric", "", "", covariance_error, fresh=3))
    settings = race.Settings(("euler-maruyama", "dummy"), ("uniform", "dummy"), "20", "40", "exact", "dummy", 200, 1)
    lines = race.run(EXPERIMENT, settings).standing.lines
    assert [line.name for line in lines] == [(s, g) for s in ("euler-maruyama", "dummy") for g in ("uniform", "dummy")]
    for line in lines[1:]:
        np.testing.assert_allclose(line.curve.value, lines[0].curve.value)


@pytest.mark.parametrize("wrong", [{"samplers": ()}, {"grids": ()}, {"samplers": ("magic",)}, {"first": "7"}, {"particles": 10}])
def test_settings_that_are_not_allowed_are_refused(wrong):
    name = {"first": "from"}.get(next(iter(wrong)), next(iter(wrong)))
    with pytest.raises(ValueError, match=f"{name} is .*; it must be"):
        race.Settings(**wrong)


def test_metrics_that_mean_nothing_for_one_component_are_not_offered():
    assert "weights" in studying.offered(Experiment("tutorial"), pathwise=True)
    left_out = ("weights", "lost-modes")
    kept = tuple(key for key in METRICS if key not in left_out)
    assert studying.offered(Experiment("one-mode"), pathwise=True) == kept
    assert studying.offered(Experiment("one-mode"), pathwise=False) == tuple(key for key in kept if key != "pathwise")


def test_the_pace_counts_what_a_run_does():
    pace, sde = studying.JobPace(evaluation=0.1, noise=0.01, metric=1.0), EXPERIMENT.sde
    assert pace.seconds(Job("tutorial", sde, "heun", steps=10)) == pytest.approx(20 * 0.1 + 1)
    assert pace.seconds(Job("tutorial", sde, "euler-maruyama", steps=10)) == pytest.approx(10 * 0.1 + 10 * 0.01 + 1)
    shared = Job("tutorial", sde, "euler-maruyama", steps=10, noise_steps=1000)
    assert pace.seconds(shared) == pytest.approx(10 * 0.1 + 1000 * 0.01 + 1)


@pytest.mark.parametrize("score", ["exact", "learned"])
def test_the_pace_is_measured_for_every_part(score):
    pace = studying.measure_job_pace("two-modes", score, "mean", 200)
    assert min(pace.evaluation, pace.noise, pace.metric) > 0


def test_the_learned_score_is_the_recipe_of_the_training_page():
    task = studying.training_task(EXPERIMENT)
    assert studying.recipe(EXPERIMENT, "learned") == task.config and task.config.seed == 7
    assert studying.recipe(EXPERIMENT, "exact") is None
    assert (task.target, task.sde) == ("two-modes", EXPERIMENT.sde)
    settings = race.Settings(("ddim",), ("uniform",), "20", "40", "learned", "mean", 200, 1)
    assert {job.recipe for job in race.jobs(EXPERIMENT, settings)} == {task.config}
    assert {job.recipe for job in race.end_jobs(EXPERIMENT, settings)} == {task.config}


def test_the_noise_floor_is_where_exact_samples_lie():
    floor = studying.noise_floor("two-modes", 7, "covariance", 200)
    draws = torch.Generator().manual_seed(99)
    fresh = [covariance_error(EXPERIMENT.mixture.sample(200, draws), EXPERIMENT.mixture) for _ in range(200)]
    inside = np.mean([floor.low <= value <= floor.high for value in fresh])
    assert 0.75 < inside < 0.99
    assert floor.mean.value == pytest.approx(np.mean(fresh), abs=4 * np.hypot(floor.mean.error, np.std(fresh) / 200**0.5))


def test_a_job_is_measured_as_it_is_performed():
    job = race.jobs(EXPERIMENT, SMALL)[0]
    assert perform(job)["covariance"] == race.end(job).distance
