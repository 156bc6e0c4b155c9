"""What the race and the error budget share: choices by name, the noise floor, what runs cost here, and why they failed.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

import statistics
import timeit
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from scoredm.experiment import Experiment
from scoredm.streams import generator
from scoredm.ui.samplers import studying
from scoredm.ui.training import learned

if TYPE_CHECKING:
    from scoredm.metrics import NoiseFloor
    from scoredm.studies import Job, Record
    from scoredm.training import TrainConfig

FRESH, FEW = 40, 12  # fresh exact samples that say what chance alone produces; few of them where a metric is slow
SLOW = ("energy",)


def samplers() -> dict[str, str]:
    """Titles of the samplers."""
    from scoredm.samplers import SAMPLERS

    return {key: sampler.title for key, sampler in SAMPLERS.items()}


def grids() -> dict[str, str]:
    """Titles of the grids."""
    from scoredm.grids import GRIDS

    return {key: grid.title for key, grid in GRIDS.items()}


def metrics(experiment: Experiment) -> dict[str, str]:
    """Titles of the metrics; a single component has no weight to be wrong."""
    from scoredm.metrics import METRICS

    titles = {key: metric.title for key, metric in METRICS.items()}
    return titles if experiment.mixture.n_components > 1 else {key: title for key, title in titles.items() if key != "weights"}


def metric_help(names: Mapping[str, str]) -> str:
    """What each metric means."""
    from scoredm.metrics import METRICS

    return "\n\n".join(f"**{title}**: {METRICS[key].caption}" for key, title in names.items())


def quality(metric: str) -> str:
    """The title of an axis in a metric."""
    from scoredm.metrics import METRICS

    named = METRICS[metric]
    return f"{named.title} ({named.unit})" if named.unit else named.title


def costs(jobs: "Sequence[Job]") -> tuple[int, int]:
    """The least and the most evaluations of the score among jobs, where they are known beforehand."""
    asked = [job.method.expected_nfe(job.steps) for job in jobs]
    return min(asked), max(asked)


def recipe(experiment: Experiment, wanted: bool) -> "TrainConfig | None":
    """The training page's own recipe, or none where the exact score is wanted."""
    from scoredm.training import TrainConfig

    return TrainConfig(seed=experiment.seed) if wanted else None


@st.cache_resource(max_entries=64, show_spinner=False)
def noise_floor(target: str, seed: int, metric: str, n: int) -> "NoiseFloor":
    """The noise floor: the metric for fresh exact samples of n points."""
    from scoredm import metrics

    experiment = Experiment(target, seed)
    repeats = FEW if metric in SLOW else FRESH
    return metrics.noise_floor(experiment.mixture, n, metrics.METRICS[metric], generator(experiment, "metric"), repeats)


class Pace(NamedTuple):
    """Seconds on this machine, for all particles: an evaluation of the score, the noise of a step, and the metric."""

    evaluation: float
    noise: float
    metric: float

    def seconds(self, job: "Job") -> float:
        """What a run takes."""
        asked = job.method.expected_nfe(job.steps)
        drawn = (job.noise_steps or job.steps) if job.method.stochastic else 0
        return asked * self.evaluation + drawn * self.noise + self.metric


@st.cache_data(max_entries=128, show_spinner=False)
def _pace(target: str, with_network: bool, metric: str, n: int) -> Pace:
    """Timed on the target itself, where a network is not trained: neither its weights nor the SDE change what it costs."""
    import torch

    from scoredm.metrics import METRICS
    from scoredm.training import TrainConfig, Trainer

    experiment = Experiment(target)
    x, draws = experiment.mixture.sample(n, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    score, there = experiment.score.on_grid([0.5], x), x
    if with_network:
        score = Trainer(experiment.mixture, experiment.sde, TrainConfig(data_size=10, batch=10)).score_fn
        there = x.to(next(score.parameters()).device)
    with torch.no_grad():
        return Pace(
            _seconds(lambda: score(there, 0.5), 9),
            _seconds(lambda: torch.randn(x.shape, generator=draws), 9),
            _seconds(lambda: METRICS[metric](x, experiment.mixture, draws), 1 if metric in SLOW else 3),
        )


def _seconds(act: Callable[[], object], times: int) -> float:
    """The median over so many times."""
    return statistics.median(timeit.repeat(act, number=1, repeat=times))


def seconds(experiment: Experiment, study: studying.Study) -> float:
    """About how long the rest of a study takes on this machine."""
    arrived = {row["key"] for row in study.rows}
    left = [job for job in study.jobs if job.key not in arrived]
    runs = sum(_pace(job.target, job.recipe is not None, job.metrics[0], job.n).seconds(job) for job in left)
    recipe = next((job.recipe for job in left if job.recipe), None)
    training = learned.training_seconds(recipe, experiment.dim) if recipe and not study.rows else 0.0
    return runs / studying.THREADS + training


def failures(rows: "Iterable[Record]", titles: Mapping[str, str]) -> list[str]:
    """What went wrong in the runs that failed, a line for each."""
    return [
        f"{titles.get(row['sampler'], row['sampler'])} with {row['steps']} steps, seed {row['seed']}: {reason(row['error'])}"
        for row in rows
        if row["error"]
    ]


def reason(error: str) -> str:
    """Why a run failed, in words."""
    if "NaN and infinity" in error:
        return "its points ran off to infinity"
    return error.partition(": ")[2] or error
