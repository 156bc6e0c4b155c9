"""The error budget: how much of a sampler's error comes from its start, its steps, its stop, and its network.

A run is measured as it is, and again as its causes of error are switched to their exact counterparts one at a time, in this
order, each on top of those before it and all on shared noise (but a sampler with visits, such as predictor-corrector or
Langevin, has fresh noise where its steps change):

    prior    start from p_1 itself
    steps    at least 1000 steps
    stop     run down to t = 1e-5, or as far as it went, and end with the Tweedie step
    network  the exact score

A part is what the metric falls by at its switch, so

    total = noise floor + sum of parts + remainder

holds by construction. A part below zero says that the run got worse, as when two errors had cancelled. The remainder is what is
left after all switches, less the metric's mean for exact samples. What a part is may depend on the order; so each switch is also
made alone, and `order_effects` says for each part by how much that differs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from scoredm.metrics import MixtureMetric, NamedMetric, NoiseFloor
from scoredm.statistics import Measurement
from scoredm.studies import Job, Record, distinct, metric_name

PARTS = ("prior", "steps", "stop", "network")
MANY_STEPS = 1000
LATEST_STOP = 1e-5  # the t_min of a run whose stop costs nothing


@final
@dataclass(frozen=True)
class Budget:
    """Where a metric's value for one run comes from: total = noise_floor.mean + sum of parts + remainder.

    All are means over seeds with their standard errors, taken over differences on shared noise.

    Attributes:
        total: the run as it is.
        parts: what each switch takes off, in order, each on top of those before.
        alone: what each switch takes off by itself.
        order_effects: alone minus part, for each switch; 0 for the first by construction. Where all are within their errors, a
            switch takes off the same first as in its place.
        interaction: sum of parts - sum of alone: what errors hide behind one another (above 0), or what is counted twice (below).
        remainder: what is left after all switches, above the noise floor; its error includes the floor's.
        noise_floor: the metric for fresh exact samples of the same size.
        seeds: over how many seeds the means are.
    """

    total: Measurement
    parts: dict[str, Measurement]
    alone: dict[str, Measurement]
    order_effects: dict[str, Measurement]
    interaction: Measurement
    remainder: Measurement
    noise_floor: NoiseFloor
    seeds: int


@final
@dataclass(frozen=True)
class Plan:
    """The jobs that a budget needs: the run to be explained, with each switch, for each seed.

    Raises:
        ValueError: for a job with a pathwise metric, which compares with the exact flow from the same starts to the same t_min,
            so that it cannot see the error of the prior or of the stop.
    """

    job: Job
    seeds: tuple[int, ...] = tuple(range(8))

    def __post_init__(self) -> None:
        """Refuse a metric that two of the switches do not change."""
        for name, metric in self.job.measures.items():
            if metric.pathwise:
                raise ValueError(
                    f"the metric {name!r} compares with the exact flow from the same starts to the same t_min, so it cannot see "
                    "the error of the prior or of the stop; choose a metric that compares with the mixture"
                )

    def rungs(self, seed: int) -> list[Job]:
        """The run as it is, then with the first switch, the first two, and so on to all four.

        Args:
            seed: of all the runs.
        """
        rungs = [self._base(seed)]
        for part in PARTS:
            rungs.append(_switched(rungs[-1], part))
        return rungs

    def alone(self, seed: int) -> list[Job]:
        """The run with each switch by itself.

        Args:
            seed: of all the runs.
        """
        return [_switched(self._base(seed), part) for part in PARTS]

    @property
    def jobs(self) -> list[Job]:
        """Every job, each once, a seed after another: a study cut short has whole seeds to show."""
        return distinct(job for seed in self.seeds for job in self.rungs(seed) + self.alone(seed))

    def read(self, records: Iterable[Record], metric: str | NamedMetric | MixtureMetric, floor: NoiseFloor) -> Budget | None:
        """Read the budget from finished jobs, over the seeds that have all their records.

        Args:
            records: of the plan's jobs, in any order; those of other jobs are passed over.
            metric: a key of METRICS, or a metric of one's own.
            floor: the metric for fresh exact samples of the same size.

        Returns:
            The budget; None while no seed has all its records.

        Raises:
            ValueError: for a metric that the plan's jobs do not measure.
            RuntimeError: with its reason, where a job failed.
        """
        metric = metric_name(metric)
        if metric not in self.job.measures:
            raise ValueError(f"metric is {metric!r}; the jobs of this plan measure {', '.join(self.job.measures)}")
        found = {record["key"]: record for record in records}
        failed = next((found[job.key]["error"] for job in self.jobs if job.key in found and found[job.key]["error"]), None)
        if failed:
            raise RuntimeError(failed)
        plans = [(self.rungs(seed), self.alone(seed)) for seed in self.seeds]
        whole = [plan for plan in plans if all(job.key in found for jobs in plan for job in jobs)]
        if not whole:
            return None
        rungs, alone = (np.array([[found[job.key][metric] for job in plan[i]] for plan in whole]) for i in (0, 1))
        return _budget(rungs, alone, floor)

    def _base(self, seed: int) -> Job:
        return replace(self.job, seed=seed, noise_steps=_many(self.job.steps))


def _budget(rungs: np.ndarray, alone: np.ndarray, floor: NoiseFloor) -> Budget:
    """The budget of values with the first switches made, (seeds, 5), and with each switch alone, (seeds, 4)."""
    falls, single = rungs[:, :-1] - rungs[:, 1:], rungs[:, :1] - alone
    left = Measurement.mean(rungs[:, -1])
    return Budget(
        total=Measurement.mean(rungs[:, 0]),
        parts=_by_part(falls),
        alone=_by_part(single),
        order_effects=_by_part(single - falls),
        interaction=Measurement.mean((falls - single).sum(1)),
        remainder=Measurement(left.value - floor.mean.value, math.hypot(left.error, floor.mean.error)),
        noise_floor=floor,
        seeds=len(rungs),
    )


def _by_part(values: np.ndarray) -> dict[str, Measurement]:
    return {part: Measurement.mean(column) for part, column in zip(PARTS, values.T, strict=True)}


def _many(steps: int) -> int:
    """The least multiple of a number of steps that is at least MANY_STEPS."""
    return steps * math.ceil(MANY_STEPS / steps)


def _switched(job: Job, part: str) -> Job:
    if part == "prior":
        return replace(job, prior="exact")
    if part == "steps":
        return replace(job, steps=_many(job.steps))
    if part == "stop":
        return replace(job, t_min=min(job.t_min, LATEST_STOP), denoise=True)
    return replace(job, recipe=None, score=None)
