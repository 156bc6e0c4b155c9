"""The error budget: how much of a sampler's error is its start, its steps, its stop, and its network.

A run is measured as it is, and again as its causes of error are switched to their exact counterparts one at a time, in this
order, each on top of those before it and all on shared noise (but a sampler with visits, such as predictor-corrector or
Langevin, has fresh noise where its steps change):

    prior    start from p_1 itself
    steps    at least 1000 steps
    stop     run down to t = 1e-5, or as far as it went, and end with the Tweedie step
    network  the exact score

A part is what the metric falls by at its switch, so parts and remainder add up to the whole by construction; a part below zero
says that the run got worse, as when two errors had cancelled. The remainder is what all switches together leave, less the
metric's value for exact samples. What a part is depends on the order; so each switch is also made alone, and `unattributed` is
what the parts alone fail to add up to.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np

from scoredm.metrics import Reference
from scoredm.studies import Job, Row, distinct, standard_error

PARTS = ("prior", "steps", "stop", "network")
MANY_STEPS = 1000
EARLIEST = 1e-5


class Amount(NamedTuple):
    """A mean over seeds and its standard error (NaN for a single seed)."""

    value: float
    error: float


@final
@dataclass(frozen=True)
class Budget:
    """Where a metric's value for one run comes from: total = zero.median + sum of parts + remainder.

    parts: in order, each on top of those before; alone: each switch by itself; unattributed: total - zero - sum of alone;
    zero: the metric for fresh exact samples of the same size; seeds: over how many seeds the means are.
    """

    total: Amount
    parts: dict[str, Amount]
    alone: dict[str, Amount]
    remainder: Amount
    unattributed: Amount
    zero: Reference
    seeds: int


@final
@dataclass(frozen=True)
class Plan:
    """The jobs that a budget needs: the run to be explained, with each switch, for each seed."""

    job: Job
    seeds: tuple[int, ...] = tuple(range(8))

    def rungs(self, seed: int) -> list[Job]:
        """The run as it is, then with the first switch, the first two, and so on to all four."""
        rungs = [self._base(seed)]
        for part in PARTS:
            rungs.append(_switched(rungs[-1], part))
        return rungs

    def alone(self, seed: int) -> list[Job]:
        """The run with each switch by itself."""
        return [_switched(self._base(seed), part) for part in PARTS]

    @property
    def jobs(self) -> list[Job]:
        """Every job, each once, a seed after another: a study cut short has whole seeds to show."""
        return distinct(job for seed in self.seeds for job in self.rungs(seed) + self.alone(seed))

    def read(self, rows: Iterable[Row], metric: str, zero: Reference) -> Budget | None:
        """The budget in one metric over the seeds that have all their rows; None while no seed has.

        Raises ValueError for a metric that the plan's jobs do not measure, and RuntimeError, with its reason, where one failed.
        """
        if metric not in self.job.metrics:
            raise ValueError(f"metric is {metric!r}; the jobs of this plan measure {', '.join(self.job.metrics)}")
        found = {row["key"]: row for row in rows}
        failed = next((row["error"] for job in self.jobs if (row := found.get(job.key)) and row["error"]), None)
        if failed:
            raise RuntimeError(failed)
        plans = [(self.rungs(seed), self.alone(seed)) for seed in self.seeds]
        whole = [plan for plan in plans if all(job.key in found for jobs in plan for job in jobs)]
        if not whole:
            return None
        rungs, alone = (np.array([[found[job.key][metric] for job in plan[i]] for plan in whole]) for i in (0, 1))
        falls, single = rungs[:, :-1] - rungs[:, 1:], rungs[:, :1] - alone
        return Budget(
            total=_amount(rungs[:, 0]),
            parts=dict(zip(PARTS, map(_amount, falls.T), strict=True)),
            alone=dict(zip(PARTS, map(_amount, single.T), strict=True)),
            remainder=_amount(rungs[:, -1] - zero.median),
            unattributed=_amount(rungs[:, 0] - zero.median - single.sum(1)),
            zero=zero,
            seeds=len(whole),
        )

    def _base(self, seed: int) -> Job:
        return replace(self.job, seed=seed, noise_steps=_many(self.job.steps))


def _many(steps: int) -> int:
    """The least multiple of a number of steps that is at least MANY_STEPS."""
    return steps * math.ceil(MANY_STEPS / steps)


def _switched(job: Job, part: str) -> Job:
    if part == "prior":
        return replace(job, prior="exact")
    if part == "steps":
        return replace(job, steps=_many(job.steps))
    if part == "stop":
        return replace(job, t_min=min(job.t_min, EARLIEST), denoise=True)
    return replace(job, recipe=None)


def _amount(values: np.ndarray) -> Amount:
    return Amount(float(values.mean()), standard_error(values))
