"""The error budget: how much of the error of one sampler's run each of four causes makes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scoredm import address, budget
from scoredm.budget import Budget, Plan
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.metrics import METRICS, NoiseFloor
from scoredm.screens import studying
from scoredm.screens.studying import Failure, Progress
from scoredm.statistics import Measurement, clear_from
from scoredm.studies import Job, Record


@dataclass(frozen=True)
class Settings:
    """The choices of the error budget: the run to be explained; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds, or the metric is pathwise (see `Plan`).
    """

    sampler: str = address.default("budget", "sampler")
    prior: str = address.default("budget", "prior")
    steps: int = address.default("budget", "steps")
    t_min: float = address.default("budget", "t_min")
    denoise: bool = address.default("budget", "denoise")
    score: str = address.default("budget", "score")
    metric: str = address.default("budget", "metric")
    particles: int = address.default("budget", "particles")
    seeds: int = address.default("budget", "seeds")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("budget", self)
        if METRICS[self.metric].pathwise:
            message = _("{name} is {value}; the error budget needs a distance to the distribution, such as {default}")
            metric = address.TABLE["budget"]["metric"]
            raise ValueError(message.format(name=metric.name, value=self.metric, default=metric.default))


@dataclass(frozen=True)
class Verdict:
    """What the budget says. A difference is clear where chance produces it in fewer than 5 of 100 budgets.

    Args:
        largest: the cause with the largest part, where that part is clear; None where no part is.
        unseen: whether one sample would not show that part, as fresh exact samples differ by more.
        more_alone: a cause that takes off clearly more than the largest part's when each is made exact alone; None for none.
        order: the causes whose part clearly depends on the order.
        interaction: "hide" where errors clearly hide each other, "double" where single parts clearly count some error twice,
            "none" where neither is clear.
        remainder: whether the remainder is clearly above 0.
    """

    largest: str | None
    unseen: bool
    more_alone: str | None
    order: tuple[str, ...]
    interaction: Literal["hide", "double", "none"]
    remainder: bool


@dataclass(frozen=True)
class Result:
    """What the error budget shows.

    Args:
        runs: how many it needs.
        done: how many have been done, failed ones among them.
        noise_floor: the metric for fresh exact samples of the same size.
        budget: over the seeds that have all their runs; None while no seed has, or where a run failed.
        verdict: None where there is no budget.
        failures: runs that failed.
        records: of the runs.
    """

    runs: int
    done: int
    noise_floor: NoiseFloor
    budget: Budget | None
    verdict: Verdict | None
    failures: tuple[Failure, ...]
    records: tuple[Record, ...]


def run(experiment: Experiment, settings: Settings, progress: Progress | None = None) -> Result:
    """Do every run of the error budget.

    Args:
        experiment: target, SDE and seed.
        settings: the run to be explained, the metric, particles and seeds.
        progress: told how many runs are done, of how many.
    """
    return read(experiment, settings, studying.perform_all(plan(experiment, settings).jobs, progress))


def plan(experiment: Experiment, settings: Settings) -> Plan:
    """The runs of the error budget.

    Args:
        experiment: target, SDE and seed.
        settings: of the budget.
    """
    job = Job(
        experiment.target,
        experiment.sde,
        settings.sampler,
        steps=settings.steps,
        prior=settings.prior,
        t_min=settings.t_min,
        denoise=settings.denoise,
        recipe=studying.recipe(experiment, settings.score),
        n=settings.particles,
        metrics=(settings.metric,),
    )
    return Plan(job, tuple(range(experiment.seed, experiment.seed + settings.seeds)))


def read(experiment: Experiment, settings: Settings, records: Iterable[Record], noise_floor: NoiseFloor | None = None) -> Result:
    """Read the error budget from the records of its runs.

    Args:
        experiment: target, SDE and seed.
        settings: of the budget.
        records: of any of its runs, in any order.
        noise_floor: of the metric; measured where it is not given.
    """
    records = tuple(records)
    target, seed, particles = experiment.target, experiment.seed, settings.particles
    floor = noise_floor or studying.noise_floor(target, seed, settings.metric, particles)
    planned, failed = plan(experiment, settings), studying.failures(records)
    found = None if failed else planned.read(records, settings.metric, floor)
    return Result(
        runs=len(planned.jobs),
        done=len(records),
        noise_floor=floor,
        budget=found,
        verdict=judge(found) if found else None,
        failures=failed,
        records=records,
    )


def judge(found: Budget) -> Verdict:
    """Say which cause makes most of the error, and whether that depends on the order.

    Args:
        found: over all seeds.
    """
    causes, n = len(budget.PARTS), found.seeds
    largest, part = max(found.parts.items(), key=lambda item: item[1].value)
    alone, most = max(found.alone.items(), key=lambda item: item[1].value)
    same, threshold = found.alone[largest], clear_from(n, causes)
    more = Measurement(most.value - same.value, math.hypot(most.error, same.error))
    clear = _above(part, threshold)
    sign = math.copysign(1, found.interaction.value)
    kind = "hide" if sign > 0 else "double"
    return Verdict(
        largest=largest if clear else None,
        unseen=part.value < (found.noise_floor.high - found.noise_floor.low) / 2,
        more_alone=alone if clear and alone != largest and _above(more, threshold) else None,
        order=tuple(
            cause
            for cause, effect in found.order_effects.items()
            if _above(Measurement(abs(effect.value), effect.error), clear_from(n, causes - 1))
        ),
        interaction=kind if _above(Measurement(abs(found.interaction.value), found.interaction.error), clear_from(n)) else "none",
        remainder=_above(found.remainder, clear_from(n)),
    )


def _above(found: Measurement, threshold: float) -> bool:
    """Whether a value is above 0 by more than so many standard errors."""
    if found.error == 0:  # nothing was left to chance
        return found.value > 0
    return found.value > threshold * found.error
