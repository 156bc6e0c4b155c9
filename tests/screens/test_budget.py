"""The error budget as a function: its sum, and a verdict that chance alone seldom produces."""

from functools import cache

import numpy as np
import pytest

from scoredm.budget import PARTS, Budget, Plan
from scoredm.experiment import Experiment
from scoredm.metrics import NoiseFloor
from scoredm.samplers import SAMPLERS, Sampler
from scoredm.screens import budget
from scoredm.statistics import Measurement, clear_from
from scoredm.studies import Job, perform

EXPERIMENT = Experiment("two-modes", 5)
SMALL = budget.Settings("ddim", "zero", 10, 0.1, False, "exact", "covariance", 200, 2)
FLOOR = NoiseFloor(Measurement(0.05, 0.001), 0.04, 0.05, 0.06)


@cache
def small() -> budget.Result:
    return budget.run(EXPERIMENT, SMALL)


def test_the_parts_the_remainder_and_the_noise_floor_add_up_to_the_error_of_the_run():
    result = small()
    found = result.budget
    assert found is not None and result.verdict is not None
    assert (result.runs, result.done, result.failures) == (12, 12, ()), "without a network two of eight variants are others"
    job = Job(
        "two-modes", EXPERIMENT.sde, "ddim", steps=10, prior="zero", t_min=0.1, denoise=False, n=200, metrics=("covariance",)
    )
    plan = Plan(job, (5, 6))
    totals = [perform(plan.rungs(seed)[0])["covariance"] for seed in (5, 6)]
    assert found.total == Measurement.mean(totals)
    rest = found.remainder.value + result.noise_floor.mean.value
    assert sum(part.value for part in found.parts.values()) + rest == pytest.approx(found.total.value)
    single = sum(part.value for part in found.alone.values())
    assert single + found.interaction.value + rest == pytest.approx(found.total.value), "so does the column of single causes"
    assert found.parts["network"].value == 0


def test_a_part_of_the_records_is_a_budget_of_the_seeds_that_are_whole():
    records = small().records
    first = budget.read(EXPERIMENT, SMALL, records[:7], FLOOR)
    assert first.budget is not None and first.budget.seeds == 1 and (first.done, first.runs) == (7, 12)
    verdict = first.verdict
    assert verdict is not None and verdict.largest is None and verdict.order == () and not verdict.remainder, (
        "one seed has no error"
    )
    assert budget.read(EXPERIMENT, SMALL, records[:3], FLOOR).budget is None


def explode(sde, score_fn, x, t, t_next, noise):
    return x / 0


def test_a_run_that_fails_says_why(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "heun", Sampler("Flow, Heun", lambda: explode, evaluations=2))
    result = budget.run(EXPERIMENT, budget.Settings("heun", "zero", 10, 0.1, False, "exact", "covariance", 200, 2))
    assert result.budget is None and result.verdict is None
    assert {failure.cause for failure in result.failures} == {"diverged"}


def measured(falls: np.ndarray, single: np.ndarray, left: float = 0.0) -> Budget:
    """The budget of parts in order, (seeds, 4), and alone, (seeds, 4)."""
    parts, alone, effects = (
        {part: Measurement.mean(column) for part, column in zip(PARTS, values.T, strict=True)}
        for values in (falls, single, single - falls)
    )
    total = Measurement.mean(falls.sum(1) + left + FLOOR.mean.value)
    interaction = Measurement.mean((falls - single).sum(1))
    return Budget(total, parts, alone, effects, interaction, Measurement(left, 0.001), FLOOR, len(falls))


@pytest.mark.parametrize("seeds", [2, 4, 8])
def test_chance_alone_is_seldom_called_a_cause_or_an_effect_of_the_order(seeds):
    rng, trials = np.random.default_rng(1), 1000
    called = {"largest": 0, "order": 0, "interaction": 0, "alone": 0}
    for _ in range(trials):
        falls, single = rng.normal(size=(2, seeds, 4))
        single[:, 0] = falls[:, 0]  # the first cause is the same alone
        verdict = budget.judge(measured(falls, single))
        called["largest"] += verdict.largest is not None
        called["order"] += bool(verdict.order)
        called["interaction"] += verdict.interaction != "none"
        called["alone"] += verdict.more_alone is not None
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)
    assert all(count / trials < most for count in called.values()), called
    assert called["interaction"] / trials > 0.05 - 3 * np.sqrt(0.05 * 0.95 / trials), (
        "a threshold that is never passed is wrong too"
    )
    assert called["order"] / trials > 0.03


def test_the_threshold_is_students():
    draws = np.random.default_rng(2).normal(size=(20_000, 4))
    z = draws.mean(1) / (draws.std(1, ddof=1) / 2)
    assert (np.abs(z) > clear_from(4)).mean() == pytest.approx(0.05, abs=0.005)
    assert clear_from(10**6) == pytest.approx(1.96, abs=1e-3) and clear_from(1) == np.inf
    assert clear_from(8, 4) == pytest.approx(clear_from(8, 1, 0.0125))


def spread(means, size: float = 0.002, seeds: int = 8) -> np.ndarray:
    """Values whose means are exactly these, with standard error about `size`."""
    pattern = np.tile([1.0, -1.0], seeds // 2)[:, None] * size * np.sqrt(seeds - 1)
    return np.array(means) + pattern


def test_the_largest_part_is_named_where_it_is_clear():
    clear = budget.judge(measured(spread([0.02, 0.06, 0, 0]), spread([0.02, 0.06, 0, 0])))
    assert (clear.largest, clear.unseen, clear.more_alone) == ("steps", False, None)
    small = budget.judge(measured(spread([0.008, 0, 0, 0]), spread([0.008, 0, 0, 0])))
    assert small.largest == "prior" and small.unseen, "exact samples differ by more than this part"
    assert budget.judge(measured(spread([0.004, 0, 0, 0]), spread([0.004, 0, 0, 0]))).largest is None


def test_another_cause_that_takes_off_more_alone_is_named():
    falls = spread([0.02, 0.06, 0, 0])
    more = budget.judge(measured(falls, spread([0.02, 0.06, 0.08, 0])))
    assert (more.largest, more.more_alone) == ("steps", "stop")
    for value in (0.05, 0.062):  # less, and more by less than the errors
        assert budget.judge(measured(falls, spread([0.02, 0.06, value, 0]))).more_alone is None


def test_order_effects_of_opposite_sign_are_seen_though_their_sum_is_zero():
    falls = spread([0.02, 0.06, 0.03, 0])
    shift = spread([0, 0.02, -0.02, 0], size=1e-4) * [0, 1, 1, 1]
    verdict = budget.judge(measured(falls, falls + shift))
    assert verdict.order == ("steps", "stop") and verdict.interaction == "none"
    hidden = budget.judge(measured(falls, falls - np.abs(shift)))
    assert hidden.interaction == "hide"
    assert budget.judge(measured(falls, falls + np.abs(shift))).interaction == "double"


def test_a_remainder_that_is_clearly_above_zero_is_said():
    falls = spread([0.02, 0.06, 0, 0])
    assert budget.judge(measured(falls, falls, left=0.01)).remainder
    assert not budget.judge(measured(falls, falls, left=0.001)).remainder


def test_settings_that_are_not_allowed_are_refused():
    with pytest.raises(ValueError, match="bseeds is 1; it must be a whole number from 2 to 16"):
        budget.Settings(seeds=1)
