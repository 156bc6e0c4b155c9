"""The budget names the one error that a run has, where all the others are zero by construction."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache

import pytest

from scoredm import VESDE, TrainConfig
from scoredm.budget import EARLIEST, MANY_STEPS, PARTS, Plan
from scoredm.metrics import Reference
from scoredm.studies import Job, Row, run

METRIC = "sliced-wasserstein"
ZERO = Reference(0.05, 0.04, 0.07)
PERFECT = Job("tutorial", VESDE(5.0), steps=MANY_STEPS, t_min=EARLIEST, n=1000, metrics=(METRIC,))
ONE_WRONG = {
    "prior": replace(PERFECT, prior="zero"),
    "steps": replace(PERFECT, steps=5, sde=VESDE(25.0)),
    "stop": replace(PERFECT, t_min=0.4, denoise=False),
    "network": replace(PERFECT, recipe=TrainConfig(steps=5, data_size=100, batch=32)),
}
SEEDS = (0, 1)


@lru_cache
def rows(job: Job) -> list[Row]:
    with ThreadPoolExecutor(2) as pool:
        return list(run(Plan(job, SEEDS).jobs, pool))


@pytest.mark.parametrize("part", PARTS)
def test_the_one_wrong_thing_is_named_and_the_others_cost_nothing(part):
    budget = Plan(ONE_WRONG[part], SEEDS).read(rows(ONE_WRONG[part]), METRIC, ZERO)
    assert budget is not None
    assert budget.parts[part].value > 0.1
    assert budget.parts[part].value > 5 * budget.parts[part].error
    for other in set(PARTS) - {part}:
        assert budget.parts[other].value == 0, other
        assert budget.alone[other].value == 0, other
    assert budget.alone[part] == budget.parts[part]
    assert budget.unattributed.value == pytest.approx(budget.remainder.value)
    assert abs(budget.remainder.value) < 0.04, "with every switch made, only the sample's own spread is left"


def test_parts_and_remainder_add_up_to_the_whole():
    job = replace(ONE_WRONG["network"], prior="zero", steps=10, t_min=0.05, denoise=False, n=200)
    budget = Plan(job, SEEDS).read(rows(job), METRIC, ZERO)
    assert budget is not None
    parts = sum(amount.value for amount in budget.parts.values())
    assert budget.total.value == pytest.approx(ZERO.median + parts + budget.remainder.value)
    alone = sum(amount.value for amount in budget.alone.values())
    assert budget.total.value == pytest.approx(ZERO.median + alone + budget.unattributed.value)
    assert budget.alone["prior"] == budget.parts["prior"], "the first switch is made alone"
    assert abs(budget.unattributed.value - budget.remainder.value) > 1e-3, "errors interact here: the order matters"


def test_whole_seeds_are_shown_as_they_arrive():
    job = ONE_WRONG["steps"]
    plan = Plan(job, SEEDS)
    found = {row["key"]: row for row in rows(job)}
    first = [found[job.key] for job in Plan(job, SEEDS[:1]).jobs]
    assert plan.read(first[:-1], METRIC, ZERO) is None
    budget = plan.read(first, METRIC, ZERO)
    assert budget is not None
    assert budget.seeds == 1
    assert math.isnan(budget.total.error)


def test_a_failed_job_is_the_budgets_failure():
    plan = Plan(PERFECT, (0,))
    broken = [{"key": plan.jobs[0].key, "error": "ValueError: lost"}]
    with pytest.raises(RuntimeError, match="ValueError: lost"):
        plan.read(broken, METRIC, ZERO)
