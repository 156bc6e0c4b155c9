"""The race and the error budget as studies of the current experiment, and what they say in words. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.ui import learned, studying
from scoredm.ui.compute import generator
from scoredm.ui.experiment import Experiment
from scoredm.ui.show import fixed, number, with_error

if TYPE_CHECKING:
    from scoredm.budget import Amount, Budget, Plan
    from scoredm.metrics import Reference
    from scoredm.studies import Curve, Job, Row
    from scoredm.training import TrainConfig

FRESH, FEW = 40, 12  # fresh exact samples that say what "no difference" looks like; few of them where a metric is slow
SLOW = ("energy",)
ADAPTIVE = 8  # evaluations that an adaptive method takes between two times of a grid, about
PARTS = {"prior": "Prior", "steps": "Steps", "stop": "Stop at t_min", "network": "Network"}
ADVICE = {
    "prior": "start from the matched Gaussian or from p₁ itself, or let the forward process add more noise",
    "steps": "take more steps, or a sampler of higher order",
    "stop": "stop later, or end with the Tweedie step",
    "network": "train longer, on more data, or with a wider network",
}


@dataclass(frozen=True)
class Race:
    """Controls of the race; the steps double from `first` to `last`."""

    samplers: tuple[str, ...]
    grids: tuple[str, ...]
    first: int
    last: int
    learned: bool
    metric: str
    n: int
    seeds: int

    @property
    def steps(self) -> list[int]:
        """How many steps each sampler is given."""
        return [self.first * 2**k for k in range(20) if self.first * 2**k <= self.last]


@dataclass(frozen=True)
class Measure:
    """Controls of the error budget: the run to be explained."""

    sampler: str
    steps: int
    prior: str
    t_min: float
    denoise: bool
    learned: bool
    metric: str
    n: int
    seeds: int


def samplers() -> dict[str, str]:
    """Titles of the samplers."""
    from scoredm.steps import SAMPLERS

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
    asked = [job.method.nfe(job.steps) or ADAPTIVE * job.steps for job in jobs]
    return min(asked), max(asked)


def _recipe(experiment: Experiment, wanted: bool) -> "TrainConfig | None":
    from scoredm.training import TrainConfig

    return TrainConfig(seed=experiment.seed) if wanted else None


@st.cache_resource(max_entries=64, show_spinner=False)
def race_jobs(experiment: Experiment, settings: Race) -> "tuple[Job, ...]":
    """Every run of the race, side by side: all samplers with few steps before any with many, one seed after another."""
    from scoredm import studies

    jobs = studies.race(
        experiment.target,
        experiment.sde,
        settings.samplers,
        settings.steps,
        settings.grids,
        range(experiment.seed, experiment.seed + settings.seeds),
        recipe=_recipe(experiment, settings.learned),
        n=settings.n,
        metrics=(settings.metric,),
    )
    return tuple(sorted(jobs, key=lambda job: (job.seed, job.steps)))


@st.cache_resource(max_entries=64, show_spinner=False)
def plan(experiment: Experiment, settings: Measure) -> "Plan":
    """The runs of the error budget."""
    from scoredm.budget import Plan
    from scoredm.studies import Job

    job = Job(
        experiment.target,
        experiment.sde,
        settings.sampler,
        steps=settings.steps,
        prior=settings.prior,
        t_min=settings.t_min,
        denoise=settings.denoise,
        recipe=_recipe(experiment, settings.learned),
        n=settings.n,
        metrics=(settings.metric,),
    )
    return Plan(job, tuple(range(experiment.seed, experiment.seed + settings.seeds)))


@st.cache_resource(max_entries=64, show_spinner=False)
def zero(target: str, seed: int, metric: str, n: int) -> "Reference":
    """The finite-sample zero: the metric for fresh exact samples of n points."""
    from scoredm.metrics import METRICS, fresh_range

    experiment = Experiment(target, seed)
    repeats = FEW if metric in SLOW else FRESH
    return fresh_range(experiment.mixture, n, METRICS[metric], generator(experiment, "metric"), repeats)


@st.cache_data(max_entries=128, show_spinner=False)
def _pace(experiment: Experiment, with_network: bool, metric: str, n: int) -> tuple[float, float]:
    """Seconds that an evaluation of the score takes on this machine, and seconds that a run takes apart from them."""
    from scoredm.studies import Job, perform
    from scoredm.training import TrainConfig

    hasty = TrainConfig(data_size=10, batch=10, steps=1) if with_network else None
    jobs = [
        Job(experiment.target, experiment.sde, "ddim", steps=steps, recipe=hasty, n=n, metrics=(metric,)) for steps in (2, 2, 42)
    ]
    ends = [time.perf_counter()]
    for job in jobs:  # the first warms up, and trains
        perform(job)
        ends.append(time.perf_counter())
    _, short, long = np.diff(ends).tolist()
    each = max(long - short, 0) / 40
    return each, max(short - 2 * each, 0)


def seconds(experiment: Experiment, study: studying.Study) -> float:
    """About how long the rest of a study takes on this machine."""
    arrived = {row["key"] for row in study.rows}
    left = [job for job in study.jobs if job.key not in arrived]
    total, recipe = 0.0, next((job.recipe for job in left if job.recipe), None)
    for job in left:
        each, apart = _pace(experiment, job.recipe is not None, job.metrics[0], job.n)
        asked = job.method.nfe(job.steps) or ADAPTIVE * job.steps
        total += asked * each + apart
    training = learned.training_seconds(recipe, experiment.dim) if recipe and len(left) == len(study.jobs) else 0.0
    return total / studying.THREADS + training


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs={"scoredm.studies.Job": lambda job: job.key})
def end_points(job: "Job") -> np.ndarray:
    """Where the particles of a run end, (n, D)."""
    from scoredm import studies

    return studies.end_points(job)[0].numpy()


# The maths page's budget: a coarse run, whose parts are large and soon found.
EXAMPLE = Measure("euler-maruyama", 5, "zero", 0.2, False, False, "sliced-wasserstein", 1000, 2)
EXAMPLE_WORDS = (
    "Here a coarse run on your experiment: Euler-Maruyama with the exact score, 5 steps from N(0, σ₁²I) down to t = 0.2, "
    "1000 particles, 2 seeds."
)


@st.cache_resource(max_entries=32, show_spinner=False)
def example(experiment: Experiment) -> "Budget":
    """The error budget of EXAMPLE."""
    from scoredm.studies import perform

    chosen = plan(experiment, EXAMPLE)
    reference = zero(experiment.target, experiment.seed, EXAMPLE.metric, EXAMPLE.n)
    found = chosen.read([perform(job) for job in chosen.jobs], EXAMPLE.metric, reference)
    assert found is not None, "every job has its row"
    return found


# Words


def named(curve: "Curve", titles: Mapping[str, str], grid_titles: Mapping[str, str], several: bool) -> str:
    """What a curve is called; several: the grid has to be named too."""
    return f"{titles[curve.sampler]} · {grid_titles[curve.grid]}" if several else titles[curve.sampler]


def verdict(found: Sequence["Curve"], names: Sequence[str], zero: "Reference") -> str:
    """Who gets to the finite-sample zero first, and who does not."""
    there = [(curve.zero_from(zero), name) for curve, name in zip(found, names, strict=True)]
    arrived = sorted((cost, name) for cost, name in there if cost is not None)
    if arrived:
        cost, name = arrived[0]
        missing = [name for cost, name in there if cost is None]
        rest = f" Not within these steps: {'; '.join(missing)}." if missing else ""
        return f"**{name} is at the zero with {cost:.0f} evaluations of the score.**{rest}"
    curve, name = min(zip(found, names, strict=True), key=lambda pair: pair[0].value.min())
    return (
        f"**None gets to the zero with these steps.** {name} comes closest, to {number(float(curve.value.min()))}; "
        f"fresh exact samples are {number(zero.low, 2)} to {number(zero.high, 2)} apart."
    )


def race_words(found: Sequence["Curve"], names: Sequence[str], zero: "Reference") -> str:
    """The curves line by line, as a table in Markdown."""
    lines = ["| | slope | best | evaluations | at the zero from |", "|:--|--:|--:|--:|--:|"]
    for curve, name in zip(found, names, strict=True):
        fit, there, best = curve.slope(zero), curve.zero_from(zero), int(np.argmin(curve.value))
        slope = fixed(fit.value, 2) if fit else "–"
        if fit is None and not (curve.value > zero.high).any():
            slope = "at the zero"
        value = with_error(float(curve.value[best]), float(curve.error[best]))
        lines.append(f"| {name} | {slope} | {value} | {curve.nfe[best]:.0f} | {'–' if there is None else f'{there:.0f}'} |")
    return "\n".join(lines)


def failures(rows: "Iterable[Row]", titles: Mapping[str, str]) -> list[str]:
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


def budget_words(found: "Budget") -> str:
    """The budget line by line, as a table in Markdown, all amounts to the same decimals."""
    amounts = [found.total, *found.parts.values(), *found.alone.values(), found.remainder]
    error = max((amount.error for amount in amounts if amount.error > 0), default=0.001)
    decimals = max(0, 1 - int(np.floor(np.log10(error))))

    def shown(amount: "Amount") -> str:
        spread = f" ± {fixed(amount.error, decimals)}" if np.isfinite(amount.error) else ""
        return fixed(amount.value, decimals) + spread

    lines = ["| | part | switched alone |", "|:--|--:|--:|"]
    lines += [f"| {PARTS[part]} | {shown(amount)} | {shown(found.alone[part])} |" for part, amount in found.parts.items()]
    lines.append(f"| Remainder; unattributed | {shown(found.remainder)} | {shown(found.unattributed)} |")
    lines.append(f"| Finite-sample zero | {fixed(found.zero.median, decimals)} | {fixed(found.zero.median, decimals)} |")
    lines.append(f"| **Sum: this run** | **{shown(found.total)}** | **{shown(found.total)}** |")
    return "\n".join(lines)


def largest(found: "Budget") -> str:
    """The part that costs most, and what to do about it."""
    part, amount = max(found.parts.items(), key=lambda item: item[1].value)
    spread = (found.zero.high - found.zero.low) / 2
    if amount.value < spread or amount.value < 2 * np.nan_to_num(amount.error):
        return "**No part stands out from the spread of fresh exact samples.** There is little left to win here."
    lost, whole, zero = (number(value) for value in (amount.value, found.total.value, found.zero.median))
    return f"**Most is lost to {_WHERE[part]}: {lost} of {whole}; perfect samples have {zero}.** To win it back, {ADVICE[part]}."


_WHERE = {"prior": "the prior", "steps": "the steps", "stop": "the stop at t_min", "network": "the network"}


def unattributed(found: "Budget") -> str:
    """What the switches made alone leave over, and why."""
    gap, error = found.unattributed.value, np.nan_to_num(found.unattributed.error)
    amount = with_error(abs(gap), found.unattributed.error)
    if abs(gap) < 2 * error:
        return f"Made alone, the four switches add up to the whole within its error ({amount} apart): the order hardly matters."
    if gap > 0:
        return f"Made alone, the four switches leave {amount} unattributed: errors hide behind one another, so the order matters."
    return f"Made alone, the four switches take off {amount} too much: errors are counted twice, so the order matters."
