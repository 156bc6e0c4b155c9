"""Studies: lists of independent seeded jobs, run by any executor, gathered in one table.

A job is a frozen value that says everything, so its row is the same whoever runs it: a thread, a process, or another machine.

    with ThreadPoolExecutor() as pool:
        rows = list(run(race("tutorial", VESDE(), ["ddim", "heun"], steps=[10, 20, 40]), pool, "race.parquet"))
    print(table(rows))
"""

import hashlib
import math
import os
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from scoredm import simulation, targets
from scoredm.grids import GRIDS
from scoredm.metrics import METRICS, Reference
from scoredm.mixture import GaussianMixture
from scoredm.samplers import SAMPLERS, CountedScore, Sampler
from scoredm.score import ScoreFn, exact_score
from scoredm.sde import SDE
from scoredm.simulation import coarsen, sample
from scoredm.training import TrainConfig, Trainer

if TYPE_CHECKING:
    import pandas as pd

PRIORS = ("exact", "matched", "zero")
POINTS = (10, 100_000)  # fewest and most particles of a job
MOST_STEPS = 20_000
TRAINED = 8  # networks kept for the jobs that share them
CLEAR = 1.5  # a value is clear of the finite-sample zero from so many times its 95 % point

Row = dict[str, Any]

_training = threading.Lock()


@final
@dataclass(frozen=True)
class Job:
    """One run of one sampler, measured.

    target: a name from `targets` or the text of a mixture; sampler: a key of SAMPLERS, or a Sampler of one's own; grid: a key of
    GRIDS; prior: "exact", "matched" or "zero"; denoise: end with the Tweedie step; recipe: of the network to sample with, None
    for the exact score; n: particles; seed: of starts, noise and the metrics' own draws; metrics: keys of METRICS;
    noise_steps: where it is a multiple of `steps`, the noise is that of a grid of so many steps, added up, so that jobs with
    different steps follow one Brownian path; 0 for noise of the job's own.

    Raises ValueError, naming the value and what is allowed.
    """

    target: str
    sde: SDE
    sampler: str | Sampler = "euler-maruyama"
    grid: str = "uniform"
    steps: int = 200
    prior: str = "exact"
    t_min: float = 1e-3
    denoise: bool = True
    recipe: TrainConfig | None = None
    n: int = 2000
    seed: int = 0
    metrics: tuple[str, ...] = ("sliced-wasserstein",)
    noise_steps: int = 0

    def __post_init__(self) -> None:
        """Refuse a job that cannot be run."""
        known = [("grid", GRIDS), ("prior", PRIORS)] + ([("sampler", SAMPLERS)] if isinstance(self.sampler, str) else [])
        for name, choices in known:
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}")
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown or not self.metrics:
            raise ValueError(f"metrics are {self.metrics!r}; choose from {', '.join(METRICS)}")
        for name, (low, high) in (("n", POINTS), ("steps", (1, MOST_STEPS)), ("noise_steps", (0, MOST_STEPS))):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
        if not 0 < self.t_min < 1:
            raise ValueError(f"t_min is {self.t_min!r}; it must lie between 0 and 1")
        if self.noise_steps % self.steps:
            raise ValueError(f"noise_steps is {self.noise_steps}; it must be 0 or a multiple of the {self.steps} steps")

    @property
    def method(self) -> Sampler:
        """The sampler itself."""
        return SAMPLERS[self.sampler] if isinstance(self.sampler, str) else self.sampler

    @property
    def mixture(self) -> GaussianMixture:
        """The target itself."""
        return _mixture(self.target)

    @property
    def settings(self) -> Row:
        """The job as plain values, the columns that name its row; a sampler of one's own goes by its title."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["sde"] = repr(self.sde)
        values["sampler"] = self.sampler if isinstance(self.sampler, str) else self.sampler.title
        values["recipe"] = "" if self.recipe is None else repr(self.recipe)
        values["metrics"] = " ".join(self.metrics)
        return values

    @cached_property
    def key(self) -> str:
        """A short name that only equal jobs share."""
        return hashlib.sha256(repr(self.settings).encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _mixture(target: str) -> GaussianMixture:
    return targets.mixture(target) if target in targets.names() else targets.parse_mixture(target)


def learned_score(target: str, sde: SDE, recipe: TrainConfig) -> ScoreFn:
    """The network that a recipe leads to; trained once a process, whichever jobs ask for it."""
    with _training:
        return _trained(target, sde, recipe)


@lru_cache(maxsize=TRAINED)
def _trained(target: str, sde: SDE, recipe: TrainConfig) -> ScoreFn:
    trainer = Trainer(_mixture(target), sde, recipe)
    for _ in trainer:
        pass
    return trainer.score_fn.requires_grad_(False)


def starting_law(prior: str, sde: SDE, mixture: GaussianMixture) -> GaussianMixture:
    """The law of x at t = 1: p_1 itself ("exact"), the Gaussian with its moments ("matched"), or N(0, sigma_1^2 I) ("zero")."""
    if prior == "zero":
        return simulation.zero_mean_prior(sde, mixture.dim)
    return {"matched": simulation.moment_matched_prior, "exact": simulation.exact_prior}[prior](sde, mixture)


def _streams(seed: int) -> tuple[torch.Generator, torch.Generator, torch.Generator]:
    """Random numbers for starts, noise and metrics: apart, so that a change of one leaves the others."""
    seeds = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
    start, noise, metric = (torch.Generator().manual_seed(s) for s in seeds)
    return start, noise, metric


def end_points(job: Job) -> tuple[Tensor, int]:
    """Run a job: where its particles end, (n, D), and how often the score was asked."""
    mixture, sde, method = job.mixture, job.sde, job.method
    for_start, for_noise, _ = _streams(job.seed)
    times = method.times(GRIDS[job.grid](sde, job.steps, job.t_min))
    start = starting_law(job.prior, sde, mixture).sample(job.n, for_start)
    follows = job.noise_steps and method.stochastic and not method.visits
    shared = _shared_noise(job, for_noise) if follows else None
    score = learned_score(job.target, sde, job.recipe) if job.recipe else exact_score(mixture, sde).on_grid(times, start)
    counted = CountedScore(score)
    x = sample(
        sde,
        counted,
        job.n,
        step=method.make_step(),
        times=times,
        start=start,
        denoise=job.denoise,
        generator=for_noise,
        noise=shared,
    )
    return x.cpu(), counted.calls


def _shared_noise(job: Job, generator: torch.Generator) -> Tensor:
    """The noise of the job's steps along the path that jobs with its seed and noise_steps share, (steps, n, D)."""

    def fine() -> Tensor:  # drawn step by step: the numbers do not depend on how many of them make a step of the job
        return torch.randn(job.n, job.mixture.dim, generator=generator)

    factor = job.noise_steps // job.steps
    noise = torch.empty(job.steps, job.n, job.mixture.dim)
    for step in noise:
        step.copy_(coarsen(torch.stack([fine() for _ in range(factor)]), factor)[0])
    return noise


def perform(job: Job) -> Row:
    """Run a job and measure it: its settings, each metric, nfe, seconds and error, which is empty unless the job failed."""
    row = job.settings | dict.fromkeys(job.metrics, math.nan) | {"nfe": -1, "seconds": math.nan, "error": "", "key": job.key}
    began = time.perf_counter()
    try:
        x, nfe = end_points(job)
        row |= {"nfe": nfe, "seconds": time.perf_counter() - began}
        row |= {name: METRICS[name](x, job.mixture, _streams(job.seed)[2]) for name in job.metrics}
    except Exception as error:  # noqa: BLE001 - whatever a step does, the study goes on and its row says why
        row["error"] = _reason(error)
    return row


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def run(jobs: Iterable[Job], executor: Executor, saved: str | os.PathLike[str] | None = None) -> Generator[Row]:
    """Run jobs on an executor, yielding each row as it arrives; leaving the loop cancels what has not begun.

    saved: a Parquet file that holds every row so far; rows it already has come first and their jobs are not run again, but jobs
    that failed are. executor: any concurrent.futures.Executor; with Dask, `distributed.Client(...).get_executor()`.
    A job whose worker was lost is a row with the error.
    """
    jobs = list(dict.fromkeys(jobs))
    kept = {row["key"]: row for row in load(saved) if not row["error"]} if saved else {}
    rows = [kept[job.key] for job in jobs if job.key in kept]
    yield from list(rows)
    waiting = {executor.submit(perform, job): job for job in jobs if job.key not in kept}
    try:
        for future in as_completed(waiting):
            rows.append(collect(future, waiting[future]))
            if saved:
                save(rows, saved)
            yield rows[-1]
    finally:
        for future in waiting:
            future.cancel()


def collect(future: "Future[Row]", job: Job) -> Row:
    """The row of a finished future; one that says why where its worker was lost."""
    error = future.exception()
    return future.result() if error is None else job.settings | {"nfe": -1, "error": _reason(error), "key": job.key}


def table(rows: Iterable[Row]) -> "pd.DataFrame":
    """Rows as a pandas table in an order of its own, whatever order they arrived in."""
    import pandas as pd

    found = pd.DataFrame(list(rows))
    if found.empty:
        return found
    by = [name for name in ("target", "sde", "recipe", "sampler", "grid", "steps", "seed", "key") if name in found]
    return found.sort_values(by, ignore_index=True)


def save(rows: Iterable[Row], path: str | os.PathLike[str]) -> None:
    """Write rows to a Parquet file, whole or not at all."""
    path = Path(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".parquet", delete=False) as file:
        table(rows).to_parquet(file)
    Path(file.name).replace(path)


def load(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of a Parquet file, none where there is no file yet."""
    import pandas as pd

    return pd.read_parquet(path).to_dict("records") if Path(path).exists() else []


def race(
    target: str,
    sde: SDE,
    methods: Sequence[str | Sampler],
    steps: Sequence[int],
    grids: Sequence[str] = ("uniform",),
    seeds: Sequence[int] = (0,),
    **settings: Any,
) -> list[Job]:
    """Jobs that set samplers against each other: each method on each grid, with each number of steps and each seed.

    All start from the same points, and those with noise follow the same Brownian path. settings: of every Job.
    """
    noise_steps = math.lcm(*steps)
    return [
        Job(target, sde, method, grid, count, seed=seed, noise_steps=noise_steps, **settings)
        for method in methods
        for grid in grids
        for count in steps
        for seed in seeds
    ]


class Slope(NamedTuple):
    """The slope of log value over log NFE, and the number of points that it was fitted to."""

    value: float
    points: int


@final
@dataclass(frozen=True, eq=False)
class Curve:
    """What one sampler on one grid reaches, and what it costs: an entry for each number of steps, by rising cost.

    steps, nfe, value: (M,), means over seeds; error: (M,), the standard error of value, NaN for a single seed.
    """

    sampler: str
    grid: str
    steps: np.ndarray
    nfe: np.ndarray
    value: np.ndarray
    error: np.ndarray

    def slope(self, zero: Reference) -> Slope | None:
        """The least-squares slope of log sqrt(value^2 - zero^2) over log NFE, where the value is clear of the finite-sample zero.

        Clear is above CLEAR times its 95% point. What a sample's own spread adds to a distance, it adds in squares; its median
        is taken off. None with fewer than two such points.
        """
        clear = self.value > CLEAR * zero.high
        if clear.sum() < 2:
            return None
        error = np.sqrt(self.value[clear] ** 2 - zero.median**2)
        return Slope(float(np.polyfit(np.log(self.nfe[clear]), np.log(error), 1)[0]), int(clear.sum()))

    def zero_from(self, zero: Reference) -> float | None:
        """The NFE from which on the value stays within the finite-sample zero; None if it does not."""
        outside = np.flatnonzero(self.value > zero.high)
        first = outside[-1] + 1 if len(outside) else 0
        return float(self.nfe[first]) if first < len(self.nfe) else None


def curves(rows: Iterable[Row], metric: str) -> list[Curve]:
    """The rows of a race as curves in one metric; failed rows are left out."""
    found: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = {}
    for row in rows:
        if not row["error"]:
            by_steps = found.setdefault((row["sampler"], row["grid"]), {})
            by_steps.setdefault(row["steps"], []).append((row["nfe"], row[metric]))
    return [_curve(*name, by_steps) for name, by_steps in sorted(found.items())]


def _curve(sampler: str, grid: str, by_steps: dict[int, list[tuple[float, float]]]) -> Curve:
    columns = [(steps, *np.mean(pairs, 0), _standard_error([value for _, value in pairs])) for steps, pairs in by_steps.items()]
    return Curve(sampler, grid, *np.array(sorted(columns, key=lambda column: column[1])).T)


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
