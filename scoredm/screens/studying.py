"""What the race and the error budget share: the network's recipe, the noise floor, the time that runs take, and failed runs."""

import statistics
import timeit
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from scoredm import metrics
from scoredm.experiment import Experiment
from scoredm.metrics import METRICS, NoiseFloor
from scoredm.streams import generator
from scoredm.studies import Job, Record, perform
from scoredm.tasks import TrainingTask
from scoredm.training import TrainConfig, Trainer

TIMES = 9  # a short piece of work is timed so often
LONG = 0.05  # seconds from which once is enough

Progress = Callable[[int, int], None]


def recipe(experiment: Experiment, score: str) -> TrainConfig | None:
    """The recipe of the network to sample with: *Ours* of the training page; None for the exact score.

    Args:
        experiment: target, SDE and seed.
        score: "exact" or "learned".
    """
    return TrainConfig(seed=experiment.seed) if score == "learned" else None


def training_task(experiment: Experiment) -> TrainingTask:
    """The training of the learned score.

    Args:
        experiment: target, SDE and seed.
    """
    return TrainingTask(experiment.target, experiment.sde, TrainConfig(seed=experiment.seed))


def offered(experiment: Experiment, *, pathwise: bool) -> tuple[str, ...]:
    """The metrics that mean something for a target: one component has no weights to be wrong.

    Args:
        experiment: its target decides.
        pathwise: whether the distance to the exact flow is among them.

    Returns:
        Keys of METRICS.
    """
    components = experiment.mixture.n_components
    return tuple(key for key, metric in METRICS.items() if metric.components <= components and (pathwise or not metric.pathwise))


def noise_floor(target: str, seed: int, metric: str, particles: int) -> NoiseFloor:
    """Measure the noise floor of a metric; it depends on the target and the seed, and not on the SDE. 0 for a pathwise metric.

    Args:
        target: of the experiment.
        seed: of the experiment.
        metric: a key of METRICS.
        particles: in a sample.
    """
    experiment, named = Experiment(target, seed), METRICS[metric]
    return metrics.noise_floor(experiment.mixture, particles, named, generator(experiment, "metric"), named.fresh)


def perform_all(jobs: Sequence[Job], progress: Progress | None = None) -> list[Record]:
    """Run jobs one after another to the end.

    Args:
        jobs: what to run.
        progress: told how many are done, of how many.
    """
    records = []
    for job in jobs:
        records.append(perform(job))
        if progress:
            progress(len(records), len(jobs))
    return records


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Args:
        sampler: its key, or the title of one that has no key.
        grid: its key, or the title of one that has no key.
        steps: of the run.
        seed: of the run.
        cause: "diverged" where points became infinite or no number; "other" for all else.
        message: of the error.
    """

    sampler: str
    grid: str
    steps: int
    seed: int
    cause: Literal["diverged", "other"]
    message: str


def failures(records: Iterable[Record]) -> tuple[Failure, ...]:
    """The runs that failed, in the same order whichever ended first.

    Args:
        records: of any runs.
    """
    return tuple(
        Failure(
            record["sampler"],
            record["grid"],
            record["steps"],
            record["seed"],
            "diverged" if "NaN and infinity" in record["error"] else "other",
            record["error"].partition(": ")[2] or record["error"],
        )
        for record in sorted(records, key=lambda record: (record["sampler"], record["grid"], record["steps"], record["seed"]))
        if record["error"]
    )


@dataclass(frozen=True)
class JobPace:
    """How long the parts of a run take on this machine, in seconds for all particles.

    Args:
        evaluation: one evaluation of the score.
        noise: the draws of one step.
        metric: one measurement; without the exact flow of a pathwise metric, which is followed once for many runs.
    """

    evaluation: float
    noise: float
    metric: float

    def seconds(self, job: Job) -> float:
        """About how long a run takes.

        Args:
            job: of the race or the budget.
        """
        drawn = (job.noise_steps or job.steps) if job.method.stochastic else 0
        return job.method.expected_nfe(job.steps) * self.evaluation + drawn * self.noise + self.metric


def measure_job_pace(target: str, score: str, metric: str, particles: int) -> JobPace:
    """Time the parts of a run on this machine, with an untrained network: neither its weights nor the SDE change what it costs.

    Args:
        target: of the experiment.
        score: "exact" or "learned".
        metric: a key of METRICS.
        particles: of the run.
    """
    experiment, named = Experiment(target), METRICS[metric]
    draws = torch.Generator().manual_seed(0)
    x = experiment.mixture.sample(particles, draws)
    exact = x if named.pathwise else experiment.mixture
    score_fn, points = experiment.score.on_grid([0.5], x), x
    if score == "learned":
        score_fn = Trainer(experiment.mixture, experiment.sde, TrainConfig(data_size=10, batch=10)).score_fn
        points = x.to(next(score_fn.parameters()).device)
    with torch.no_grad():
        return JobPace(
            _seconds(lambda: score_fn(points, 0.5)),
            _seconds(lambda: torch.randn(x.shape, generator=draws)),
            _seconds(lambda: named(x, exact, draws)),
        )


def _seconds(act: Callable[[], object]) -> float:
    """The median over a few times; the one time of what takes long."""
    first = timeit.timeit(act, number=1)
    return first if first > LONG else statistics.median(timeit.repeat(act, number=1, repeat=TIMES))
