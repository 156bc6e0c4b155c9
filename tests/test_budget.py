"""The budget names the one error that a run has, where all the others are zero by construction."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import pytest
import torch

from scoredm import VESDE, GaussianMixture, TrainConfig
from scoredm.budget import LATEST_STOP, MANY_STEPS, PARTS, Plan
from scoredm.metrics import NoiseFloor
from scoredm.statistics import Measurement
from scoredm.studies import Job, Record, run

METRIC = "sliced-wasserstein"
FLOOR = NoiseFloor(Measurement(0.05, 0.002), 0.04, 0.049, 0.07)
PERFECT = Job("tutorial", VESDE(5.0), steps=MANY_STEPS, t_min=LATEST_STOP, n=1000, metrics=(METRIC,))
ONE_WRONG = {
    "prior": replace(PERFECT, prior="zero"),
    "steps": replace(PERFECT, steps=5, sde=VESDE(25.0)),
    "stop": replace(PERFECT, t_min=0.4, denoise=False),
    "network": replace(PERFECT, recipe=TrainConfig(steps=5, data_size=100, batch=32)),
}
SEEDS = (0, 1)


@lru_cache
def rows(job: Job) -> list[Record]:
    with ThreadPoolExecutor(2) as pool:
        return list(run(Plan(job, SEEDS).jobs, pool))


@pytest.mark.parametrize("part", PARTS)
def test_the_one_wrong_thing_is_named_and_the_others_cost_nothing(part):
    budget = Plan(ONE_WRONG[part], SEEDS).read(rows(ONE_WRONG[part]), METRIC, FLOOR)
    assert budget is not None
    assert budget.parts[part].value > 0.1
    assert budget.parts[part].value > 5 * budget.parts[part].error
    for other in set(PARTS) - {part}:
        assert budget.parts[other].value == 0, other
        assert budget.alone[other].value == 0, other
    assert budget.alone[part] == budget.parts[part]
    assert budget.interaction.value == 0
    assert all(effect.value == 0 for effect in budget.order_effects.values())
    assert abs(budget.remainder.value) < 0.04, "with every switch made, only the sample's own spread is left"


def test_parts_and_remainder_add_up_to_the_whole():
    job = replace(ONE_WRONG["network"], prior="zero", steps=10, t_min=0.05, denoise=False, n=200)
    budget = Plan(job, SEEDS).read(rows(job), METRIC, FLOOR)
    assert budget is not None
    parts = sum(amount.value for amount in budget.parts.values())
    assert budget.total.value == pytest.approx(FLOOR.mean.value + parts + budget.remainder.value)
    alone = sum(amount.value for amount in budget.alone.values())
    assert budget.interaction.value == pytest.approx(parts - alone)
    assert budget.alone["prior"] == budget.parts["prior"], "the first switch is made alone"
    assert budget.order_effects["prior"].value == 0
    for part in PARTS:
        assert budget.order_effects[part].value == pytest.approx(budget.alone[part].value - budget.parts[part].value)
    assert max(abs(effect.value) for effect in budget.order_effects.values()) > 1e-3, "errors interact here: the order matters"


CHANGED = {"prior": {"prior"}, "steps": {"steps"}, "stop": {"t_min", "denoise"}, "network": {"recipe", "score"}}
WRONG = Job("tutorial", VESDE(5.0), steps=7, prior="zero", t_min=0.2, denoise=False, recipe=TrainConfig(steps=5))


def changed(one: Job, other: Job) -> set[str]:
    return {name for name, value in one.settings.items() if other.settings[name] != value}


def test_each_rung_makes_one_switch_and_keeps_those_before_it():
    plan = Plan(WRONG, SEEDS)
    for seed in SEEDS:
        rungs, alone = plan.rungs(seed), plan.alone(seed)
        assert [changed(*pair) for pair in pairwise(rungs)] == [CHANGED[part] for part in ("prior", "steps", "stop", "network")]
        assert [changed(rungs[0], job) for job in alone] == [CHANGED[part] for part in PARTS]
        assert changed(replace(WRONG, seed=seed), rungs[0]) == {"noise_steps"}
        last = rungs[-1]
        assert (last.prior, last.t_min, last.denoise, last.recipe) == ("exact", LATEST_STOP, True, None)
        assert last.steps == last.noise_steps == 1001, "the least multiple of 7 that is 1000 or more"
        assert {job.noise_steps for job in rungs + alone} == {1001}
    assert plan.jobs[: len(PARTS) + 1] == plan.rungs(0), "the run itself comes first, and its rungs before any switch alone"
    assert len(plan.jobs) == len(set(plan.jobs)) == 2 * (1 + len(PARTS) + len(PARTS) - 1)


def test_a_run_that_goes_further_down_already_is_not_stopped_sooner():
    rungs = Plan(replace(WRONG, t_min=1e-7), (0,)).rungs(0)
    assert {job.t_min for job in rungs} == {1e-7}
    assert rungs[-1].denoise


def test_amounts_are_means_over_seeds_with_their_standard_errors():
    plan, values = Plan(PERFECT, (3, 4, 5, 6)), (0.1, 0.2, 0.4, 0.5)
    rows = [{"key": job.key, "error": "", METRIC: values[job.seed - 3]} for job in plan.jobs]
    budget = plan.read(rows, METRIC, FLOOR)
    assert budget is not None
    assert budget.total.value == pytest.approx(0.3)
    assert budget.total.error == pytest.approx(math.sqrt(0.1 / 3) / 2), "squares add up to 0.1, over 4 - 1 and over 4"
    assert budget.remainder.error == pytest.approx(math.hypot(budget.total.error, 0.002)), "the floor's own error counts too"


def test_interactions_that_cancel_do_not_hide_that_the_order_matters():
    """With I_12 = a and I_34 = -a the switches alone add up to the parts, yet two of them differ from their parts by a."""
    plan, a = Plan(WRONG, (0, 1)), 0.1
    costs: dict[str, float] = {"prior": 0.5, "steps": 0.4, "stop": 0.3, "network": 0.2}

    def value(job: Job) -> float:
        there = {part for part, names in CHANGED.items() if not (names & changed(job, plan.rungs(job.seed)[0]))}
        left = 0.05 + sum(costs[part] for part in there)
        return left + a * ({"prior", "steps"} <= there) - a * ({"stop", "network"} <= there)

    budget = plan.read([{"key": job.key, "error": "", METRIC: value(job)} for job in plan.jobs], METRIC, FLOOR)
    assert budget is not None
    assert budget.interaction.value == pytest.approx(0)
    assert {part: round(effect.value, 9) for part, effect in budget.order_effects.items()} == {
        "prior": 0.0,
        "steps": a,
        "stop": 0.0,
        "network": -a,
    }
    assert budget.remainder.value == pytest.approx(0)


def test_a_metric_that_was_not_measured_is_refused():
    with pytest.raises(ValueError, match="metric is 'mmd'; the jobs of this plan measure sliced-wasserstein"):
        Plan(PERFECT).read([], "mmd", FLOOR)


def test_whole_seeds_are_shown_as_they_arrive():
    job = ONE_WRONG["steps"]
    plan = Plan(job, SEEDS)
    found = {row["key"]: row for row in rows(job)}
    first = [found[job.key] for job in Plan(job, SEEDS[:1]).jobs]
    assert plan.read(first[:-1], METRIC, FLOOR) is None
    budget = plan.read(first, METRIC, FLOOR)
    assert budget is not None
    assert budget.seeds == 1
    assert math.isnan(budget.total.error)


def test_a_failed_job_is_the_budgets_failure():
    plan = Plan(PERFECT, (0,))
    broken = [{"key": plan.jobs[0].key, "error": "ValueError: lost"}]
    with pytest.raises(RuntimeError, match="ValueError: lost"):
        plan.read(broken, METRIC, FLOOR)


def shrink(x, t):
    return -x


def width(x, mixture, generator):
    return x.std()


def test_the_budget_of_what_is_ones_own():
    mixture = GaussianMixture.gaussian(torch.ones(20), torch.eye(20))
    job = Job(mixture, VESDE(5.0), flow_step, [1, 0.5, 0.2, 0.1], prior="zero", score=shrink, n=50, metrics=(width,))
    plan = Plan(job, SEEDS)
    last = plan.rungs(0)[-1]
    assert (last.score, last.steps, last.t_min, last.times[:2]) == (None, 1002, LATEST_STOP, [1.0, 1 - 0.5 / 334])
    with ThreadPoolExecutor(2) as pool:
        records = list(run(plan.jobs, pool))
    assert [record["error"] for record in records] == [""] * len(plan.jobs)
    budget = plan.read(records, width, FLOOR)
    assert budget is not None
    assert plan.read(records, "width", FLOOR) == budget
    parts = sum(amount.value for amount in budget.parts.values())
    assert budget.total.value == pytest.approx(FLOOR.mean.value + parts + budget.remainder.value)


def flow_step(sde, score_fn, x, t, t_next, noise):
    return x + (t - t_next) * sde.diffusion(t) ** 2 / 2 * score_fn(x, t)


def test_a_metric_that_sees_neither_start_nor_stop_is_refused():
    with pytest.raises(ValueError, match="'pathwise' compares with the exact flow from the same starts"):
        Plan(replace(PERFECT, sampler="heun", metrics=(METRIC, "pathwise")))
