"""The race: how close samplers come to the exact distribution, against the evaluations of the score that they use."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoredm import address, studies
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.metrics import METRICS, NoiseFloor
from scoredm.samplers import SAMPLERS
from scoredm.score import ScoreFn
from scoredm.screens import studying
from scoredm.screens.studying import Failure, Progress
from scoredm.statistics import Measurement
from scoredm.studies import Curve, Job, Record, SlopeFit


@dataclass(frozen=True)
class Settings:
    """The choices of the race; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds, or no sampler is left that the metric can measure (see `measurable`).
    """

    samplers: tuple[str, ...] = address.default("race", "samplers")
    grids: tuple[str, ...] = address.default("race", "grids")
    first: str = address.default("race", "first")
    last: str = address.default("race", "last")
    score: str = address.default("race", "score")
    metric: str = address.default("race", "metric")
    particles: int = address.default("race", "particles")
    seeds: int = address.default("race", "seeds")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("race", self)
        if not self.raced:
            message = _("{name} is {value}; all of these add noise, but the exact flow has none: add one without, such as ddim")
            raise ValueError(message.format(name="samplers", value=",".join(self.samplers)))

    @property
    def pathwise(self) -> bool:
        """Whether the metric compares points with the exact flow from the same starts."""
        return METRICS[self.metric].pathwise

    @property
    def raced(self) -> tuple[str, ...]:
        """The samplers that the metric can measure."""
        return measurable(self.samplers, self.metric)

    @property
    def steps(self) -> list[int]:
        """How many steps each sampler takes: doubling from the first number to the last."""
        first, last = int(self.first), int(self.last)
        return [first * 2**k for k in range(last.bit_length()) if first * 2**k <= last]

    @property
    def nfe_range(self) -> tuple[int, int]:
        """The least and the most evaluations of the score in a run, about, the Tweedie step among them."""
        expected = [SAMPLERS[key].expected_nfe(steps) + 1 for key in self.raced for steps in self.steps]
        return min(expected), max(expected)

    @property
    def end_evaluations(self) -> int:
        """Evaluations of the score for the end points that are compared, before the Tweedie step."""
        return 2 * int(self.first)


def measurable(samplers: Iterable[str], metric: str) -> tuple[str, ...]:
    """The samplers that a metric can measure: those without noise where it compares points with the exact flow, else all.

    Args:
        samplers: keys of SAMPLERS.
        metric: a key of METRICS.
    """
    return tuple(key for key in samplers if not (METRICS[metric].pathwise and SAMPLERS[key].stochastic))


@dataclass(frozen=True)
class Line:
    """One sampler on one grid: a line of the chart and a row of the table.

    Args:
        sampler: a key of SAMPLERS.
        grid: a key of GRIDS.
        curve: what it reaches, by rising cost.
        slope: of the error against NFE in logarithms, over the points that are clearly above the noise floor; None for fewer
            than two of them.
        best: its smallest distance.
        best_nfe: the evaluations of the score for that.
        floor_from: the NFE from which on the distance stays within the noise floor; None if it does not.
    """

    sampler: str
    grid: str
    curve: Curve
    slope: SlopeFit | None
    best: Measurement
    best_nfe: float
    floor_from: float | None

    @property
    def name(self) -> tuple[str, str]:
        """Sampler and grid."""
        return self.sampler, self.grid


@dataclass(frozen=True)
class Verdict:
    """Which samplers reach the noise floor, and which is first; where there is no floor, which is closest for its cost.

    Args:
        cause: "reached" where at least one reaches it, "above" where none does, "flow" where a pathwise metric has none.
        first: sampler and grid of those that reach it with the fewest evaluations; where none does, of the closest. Without a
            floor, of the closest among the runs with at most `nfe` evaluations.
        nfe: the evaluations of the score that those need; None where none reaches it. Without a floor, the largest number that
            every sampler has reached.
        closest: the smallest distance of all; without a floor, among the runs with at most `nfe` evaluations.
        above: sampler and grid of those that do not reach it.
    """

    cause: Literal["reached", "above", "flow"]
    first: tuple[tuple[str, str], ...]
    nfe: float | None
    closest: float
    above: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Standing:
    """Where a race stands after the runs that have been done.

    Args:
        runs: how many the race has.
        done: how many have been done, failed ones among them.
        noise_floor: the metric for fresh exact samples of the same size; 0 for a pathwise metric.
        lines: one for each sampler and grid, in the order in which they were chosen.
        verdict: None before the first run.
        failures: runs that failed.
        records: of the runs.
    """

    runs: int
    done: int
    noise_floor: NoiseFloor
    lines: tuple[Line, ...]
    verdict: Verdict | None
    failures: tuple[Failure, ...]
    records: tuple[Record, ...]


@dataclass(frozen=True, eq=False)
class End:
    """Where the particles of one sampler end.

    Args:
        sampler: a key of SAMPLERS.
        steps: that it took.
        nfe: evaluations of the score that it used, the Tweedie step among them.
        distance: of these points, in the metric of the race; NaN where they ran off to infinity.
        points: (n, D).
    """

    sampler: str
    steps: int
    nfe: int
    distance: float
    points: np.ndarray


@dataclass(frozen=True)
class Result:
    """What the race shows.

    Args:
        standing: of all runs.
        ends: of each sampler on the first grid, all at the same number of evaluations as nearly as their steps allow.
    """

    standing: Standing
    ends: tuple[End, ...]


def run(experiment: Experiment, settings: Settings, progress: Progress | None = None) -> Result:
    """Run the whole race.

    Args:
        experiment: target, SDE and seed.
        settings: samplers, grids, steps, score, metric, particles and seeds.
        progress: told how many runs are done, of how many.
    """
    records = studying.perform_all(jobs(experiment, settings), progress)
    ends = tuple(end(job) for job in end_jobs(experiment, settings))
    return Result(read(experiment, settings, records), ends)


def jobs(experiment: Experiment, settings: Settings) -> tuple[Job, ...]:
    """Every run of the race, side by side: all samplers with few steps before any with many, one seed after another.

    Args:
        experiment: target, SDE and seed.
        settings: of the race.
    """
    found = studies.race(
        experiment.target,
        experiment.sde,
        settings.raced,
        settings.steps,
        settings.grids,
        range(experiment.seed, experiment.seed + settings.seeds),
        recipe=studying.recipe(experiment, settings.score),
        n=settings.particles,
        metrics=(settings.metric,),
    )
    return tuple(sorted(found, key=lambda job: (job.seed, job.steps)))


def read(
    experiment: Experiment, settings: Settings, records: Iterable[Record], noise_floor: NoiseFloor | None = None
) -> Standing:
    """Read where a race stands from the records of its runs.

    Args:
        experiment: target, SDE and seed.
        settings: of the race.
        records: of any of its runs, in any order.
        noise_floor: of the metric; measured where it is not given.
    """
    records = tuple(records)
    target, seed, particles = experiment.target, experiment.seed, settings.particles
    floor = noise_floor or studying.noise_floor(target, seed, settings.metric, particles)
    order = [(sampler, grid) for sampler in settings.raced for grid in settings.grids]
    found = studies.curves(records, settings.metric)
    lines = tuple(sorted((_line(curve, floor) for curve in found), key=lambda line: order.index(line.name)))
    return Standing(
        runs=len(order) * len(settings.steps) * settings.seeds,
        done=len(records),
        noise_floor=floor,
        lines=lines,
        verdict=(_closest_to_the_flow if settings.pathwise else _verdict)(lines) if lines else None,
        failures=studying.failures(records),
        records=records,
    )


def _line(curve: Curve, floor: NoiseFloor) -> Line:
    at = int(np.argmin(curve.value))
    best = Measurement(float(curve.value[at]), float(curve.error[at]))
    return Line(curve.sampler, curve.grid, curve, curve.slope(floor), best, float(curve.nfe[at]), curve.floor_from(floor))


def _verdict(lines: Sequence[Line]) -> Verdict:
    closest = min(lines, key=lambda line: line.best.value)
    above = tuple(line.name for line in lines if line.floor_from is None)
    nfe = min((line.floor_from for line in lines if line.floor_from is not None), default=None)
    if nfe is None:
        return Verdict("above", (closest.name,), None, closest.best.value, above)
    return Verdict("reached", tuple(line.name for line in lines if line.floor_from == nfe), nfe, closest.best.value, above)


def _closest_to_the_flow(lines: Sequence[Line]) -> Verdict:
    """Compare at equal cost: more evaluations bring every sampler closer."""
    most = min(float(line.curve.nfe[-1]) for line in lines)
    best = {line.name: float(line.curve.value[line.curve.nfe <= most].min(initial=np.inf)) for line in lines}
    closest = min(best.values())
    return Verdict("flow", tuple(name for name, value in best.items() if value == closest), most, closest, ())


def end_jobs(experiment: Experiment, settings: Settings, evaluations: int | None = None) -> tuple[Job, ...]:
    """A run of each sampler on the first grid, with as many steps as take the same number of evaluations of the score.

    Args:
        experiment: target, SDE and seed.
        settings: of the race.
        evaluations: of the score, before the Tweedie step; by default those of the settings.
    """
    shared = settings.steps[-1]
    steps = studies.equal_cost_steps(settings.raced, evaluations or settings.end_evaluations)
    return tuple(
        Job(
            experiment.target,
            experiment.sde,
            sampler,
            settings.grids[0],
            count,
            recipe=studying.recipe(experiment, settings.score),
            n=settings.particles,
            seed=experiment.seed,
            metrics=(settings.metric,),
            noise_steps=0 if shared % count else shared,
        )
        for sampler, count in steps.items()
    )


def end(job: Job, network: ScoreFn | None = None) -> End:
    """Run a job and keep where its particles end.

    Args:
        job: a run of the race.
        network: of the job's recipe, where it is trained already.
    """
    found = studies.end_points(job, network)
    try:
        distance = studies.measure(job, found.x)[next(iter(job.measures))]
    except ValueError:  # points that ran off to infinity have no distance
        distance = float("nan")
    return End(str(job.sampler), job.steps, found.nfe, distance, found.x.numpy())
