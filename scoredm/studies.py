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
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from scoredm import targets
from scoredm.canonical import canonical_text
from scoredm.grids import EARLIEST, GRIDS, Grid
from scoredm.metrics import METRICS, NoiseFloor
from scoredm.mixture import GaussianMixture
from scoredm.samplers import PRIORS, SAMPLERS, CountedScore, Sampler, initial_distribution
from scoredm.score import ScoreFn, exact_score
from scoredm.sde import SDE
from scoredm.simulation import sample
from scoredm.statistics import standard_error
from scoredm.targets import mixture_of
from scoredm.training import TrainConfig, Trainer

if TYPE_CHECKING:
    import pandas as pd

MOST_STEPS = 20_000
TRAINED = 8  # networks kept for the jobs that share them
ABOVE_FLOOR = 1.5  # a value is clear of the noise floor from so many times its 95 % point

# Lowest and highest value of the whole numbers of a job; n: its particles.
WHOLE = {"n": (10, 100_000), "steps": (1, MOST_STEPS), "noise_steps": (0, MOST_STEPS), "seed": (0, 2**63 - 1)}

# What the rows of one experiment have in common.
EXPERIMENT = ("target", "sde", "recipe", "prior", "t_min", "denoise", "n")

Record = dict[str, Any]  # what is known of a finished job: a row of the table


@final
@dataclass(frozen=True)
class Job:
    """One run of one sampler, measured.

    A sampler with `visits` (predictor-corrector, Langevin) has noise of its own whatever `noise_steps` is. A Sampler of one's own
    is given the noise whatever its `stochastic` is. A process can be sent a function of a module, not a lambda.

    Attributes:
        target: a name from `targets` or the text of a mixture.
        sde: the forward diffusion; an SDE of one's own must say its values in its repr.
        sampler: a key of SAMPLERS, or a Sampler of one's own.
        grid: a key of GRIDS, or a Grid of one's own.
        steps: of the grid.
        prior: a key of PRIORS: "exact", "matched" or "zero".
        t_min: the time of the last step.
        denoise: whether to end with the Tweedie step.
        recipe: of the network to sample with; None for the exact score.
        n: particles.
        seed: of starts, noise and the metrics' own draws.
        metrics: keys of METRICS; for a metric of one's own, measure `end_points`.
        noise_steps: 0 for noise of the job's own; a multiple of `steps` for the noise of a grid of so many steps, added up, so
            that jobs with different steps follow one Brownian path on the uniform grid, and nearly one on any other.
        key: a short name that equal jobs share and no others do. A sampler or grid of one's own is named by its title and its
            functions, so it needs another title once it is changed.

    Raises:
        ValueError: a value is not allowed; the message names it and says what is.
    """

    target: str
    sde: SDE
    sampler: str | Sampler = "euler-maruyama"
    grid: str | Grid = "uniform"
    steps: int = 200
    prior: str = "exact"
    t_min: float = 1e-3
    denoise: bool = True
    recipe: TrainConfig | None = None
    n: int = 2000
    seed: int = 0
    metrics: tuple[str, ...] = ("sliced-wasserstein",)
    noise_steps: int = 0
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Write equal numbers alike, and refuse a job that cannot be run."""
        for name, (low, high) in WHOLE.items():
            object.__setattr__(self, name, _whole(name, getattr(self, name), low, high))
        object.__setattr__(self, "t_min", _stop(self.t_min))
        _check_target(self.target)
        _check_kind("sde", self.sde, SDE, "an SDE, such as VESDE()")
        _check_kind("recipe", self.recipe, TrainConfig | None, "a TrainConfig, or None for the exact score")
        _check_kind("denoise", self.denoise, bool, "True or False")
        _check_part("sampler", self.sampler, SAMPLERS, Sampler)
        _check_part("grid", self.grid, GRIDS, Grid)
        if self.prior not in PRIORS:
            raise ValueError(f"prior is {self.prior!r}; it must be one of {', '.join(PRIORS)}")
        if not isinstance(self.metrics, tuple) or not self.metrics or not all(name in tuple(METRICS) for name in self.metrics):
            raise ValueError(f"metrics are {self.metrics!r}; they must be a tuple of one or more of {', '.join(METRICS)}")
        if self.noise_steps % self.steps:
            raise ValueError(f"noise_steps is {self.noise_steps}; it must be 0 or a multiple of the {self.steps} steps")
        object.__setattr__(self, "key", hashlib.sha256(repr(self.settings).encode()).hexdigest()[:16])

    @property
    def method(self) -> Sampler:
        """The sampler itself."""
        return SAMPLERS[self.sampler] if isinstance(self.sampler, str) else self.sampler

    @property
    def times(self) -> list[float]:
        """The times that the sampler steps through, with its corrector's visits."""
        grid = GRIDS[self.grid] if isinstance(self.grid, str) else self.grid
        return self.method.times(grid(self.sde, self.steps, self.t_min))

    @property
    def mixture(self) -> GaussianMixture:
        """The target itself."""
        return mixture_of(self.target)

    @property
    def settings(self) -> Record:
        """The job as plain values, the columns that name its row; own: what sampler and grid are, where they are one's own."""
        parts = {"sampler": self.sampler, "grid": self.grid}
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        values |= {name: part if isinstance(part, str) else part.title for name, part in parts.items()}
        values["sde"] = canonical_text(self.sde)
        values["recipe"] = "" if self.recipe is None else canonical_text(self.recipe)
        values["metrics"] = " ".join(self.metrics)
        values["own"] = " ".join(canonical_text(part) for part in parts.values() if not isinstance(part, str))
        return values


def _whole(name: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= high:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
    return int(value)


def _stop(t_min: object) -> float:
    if not isinstance(t_min, Real) or isinstance(t_min, bool) or not EARLIEST <= float(t_min) < 1:
        raise ValueError(f"t_min is {t_min!r}; it must lie between 0 and 1, and not below {EARLIEST:g}")
    return float(t_min)


def _check_target(target: object) -> None:
    known = f"it must be the text of a mixture, or one of {', '.join(targets.names())}"
    if not isinstance(target, str):
        raise ValueError(f"target is {target!r}; {known}")
    try:
        mixture_of(target)
    except ValueError as error:
        raise ValueError(f"target is {target[:40]!r}; {known}: {error}") from error


def _check_kind(name: str, value: object, kind: Any, words: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {value!r}; it must be {words}")


def _check_part(name: str, value: object, known: Collection[str], kind: type[Sampler] | type[Grid]) -> None:
    """Refuse what is neither a key nor a value of that kind with a title that is no key."""
    if isinstance(value, kind) and value.title in known:
        raise ValueError(f"{name} has the title {value.title!r}, which is the name of one of ours; it must have another")
    if not isinstance(value, kind) and not (isinstance(value, str) and value in known):
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}, or a {kind.__name__}")


@final
class _Networks:
    """The networks that were trained last, by what they were trained on; equal ones are trained once, others at the same time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, _Network] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, train: Callable[[], ScoreFn]) -> ScoreFn:
        with self._lock:
            network = self._found.setdefault(key, _Network())
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        with network.lock:
            if network.score is None:
                network.score = train()
            return network.score


class _Network:
    """A network, once it is trained, and the lock that whoever trains it holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.score: ScoreFn | None = None


_networks = _Networks(TRAINED)


def learned_score(target: str, sde: SDE, recipe: TrainConfig) -> ScoreFn:
    """The network that a recipe leads to; trained once a process, whichever jobs ask for it.

    Other networks can be trained meanwhile: only those who ask for this one wait for it.

    Args:
        target: a name from `targets` or the text of a mixture.
        sde: the forward diffusion.
        recipe: how to train.
    """
    return _networks.get((target, sde, recipe), lambda: _train(target, sde, recipe))


def _train(target: str, sde: SDE, recipe: TrainConfig) -> ScoreFn:
    trainer = Trainer(mixture_of(target), sde, recipe)
    for _ in trainer:
        pass
    return trainer.score_fn.requires_grad_(False)


def _streams(seed: int) -> tuple[torch.Generator, torch.Generator, torch.Generator]:
    """Random numbers for starts, noise and metrics: apart, so that a change of one leaves the others."""
    seeds = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
    start, noise, metric = (torch.Generator().manual_seed(s) for s in seeds)
    return start, noise, metric


class EndPoints(NamedTuple):
    """Where a job's particles end, and what sampling cost.

    Attributes:
        x: the end points, (n, D).
        nfe: how often the score was evaluated.
        seconds: of the sampler's steps and the Tweedie step; training the network and drawing starts and noise do not count.
    """

    x: Tensor
    nfe: int
    seconds: float


def end_points(job: Job, score_fn: ScoreFn | None = None) -> EndPoints:
    """Run a job.

    Args:
        job: what to run.
        score_fn: the network of the job's recipe, where it is trained already; without it `learned_score` trains it.

    Raises:
        ValueError: for a score_fn where the job samples with the exact score; else what its sampler raises.
    """
    if score_fn is not None and job.recipe is None:
        raise ValueError("this job samples with the exact score; give it a recipe to sample with a network")
    for_start, for_noise, _ = _streams(job.seed)
    times = job.times
    start = initial_distribution(job.prior, job.mixture, job.sde).sample(job.n, for_start)
    if job.recipe is not None and score_fn is None:
        score_fn = learned_score(job.target, job.sde, job.recipe)
    score = CountedScore(score_fn or exact_score(job.mixture, job.sde).on_grid(times, start))
    noise = _Noise(job, for_noise)
    began = time.perf_counter()
    step = job.method.make_step()
    x = sample(job.sde, score, job.n, step=step, times=times, start=start, denoise=job.denoise, noise=noise).end.cpu()
    return EndPoints(x, score.calls, time.perf_counter() - began - noise.seconds)


@final
class _Noise:
    """The noise of a job's steps, a step's (n, D) at a time; seconds: that drawing it took.

    Each is a sum of draws over the root of their number, as in `coarsen`: of noise_steps / steps of them where the job follows a
    path that others follow too, else of one, and of none for those of our samplers that use no noise.
    """

    def __init__(self, job: Job, generator: torch.Generator) -> None:
        self.seconds = 0.0
        self._shape = job.n, job.mixture.dim
        self._generator = generator
        follows = job.noise_steps and not job.method.visits
        self._draws = job.noise_steps // job.steps if follows else 1
        if isinstance(job.sampler, str) and not job.method.stochastic:
            self._draws = 0

    def __iter__(self) -> "_Noise":
        return self

    def __next__(self) -> Tensor:
        began = time.perf_counter()
        noise = torch.randn(self._shape, generator=self._generator) if self._draws else torch.zeros(self._shape)
        for _ in range(self._draws - 1):
            noise += torch.randn(self._shape, generator=self._generator)
        if self._draws > 1:
            noise /= math.sqrt(self._draws)
        self.seconds += time.perf_counter() - began
        return noise


def perform(job: Job, score_fn: ScoreFn | None = None) -> Record:
    """Run a job and measure it.

    Args:
        job: what to run.
        score_fn: the network of the job's recipe, where it is trained already.

    Returns:
        Its settings, each metric, nfe, seconds (see EndPoints) and error, "" unless the job failed.
    """
    row = _unknown(job)
    try:
        x, nfe, seconds = end_points(job, score_fn)
        row |= {"nfe": nfe, "seconds": seconds}
        row |= measure(job, x)
    except Exception as error:  # noqa: BLE001 - whatever a step does, the study goes on and its row says why
        row["error"] = _reason(error)
    return row


def measure(job: Job, x: Tensor) -> dict[str, float]:
    """Measure where a job's particles end.

    Args:
        job: what was run.
        x: its end points, (n, D).

    Returns:
        Each of the job's metrics by its key; the metrics' own draws follow from the job's seed.

    Raises:
        ValueError: for NaN or infinity among the points.
    """
    return {name: METRICS[name](x, job.mixture, _streams(job.seed)[2]) for name in job.metrics}


def _unknown(job: Job) -> Record:
    """A job's row before anything is known of it."""
    return job.settings | dict.fromkeys(job.metrics, math.nan) | {"nfe": -1, "seconds": math.nan, "error": "", "key": job.key}


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def distinct(jobs: Iterable[Job]) -> list[Job]:
    """Each job once, in the order in which they come.

    Args:
        jobs: any jobs.

    Returns:
        The different jobs.

    Raises:
        ValueError: two jobs differ and cannot be told apart by their keys.
    """
    found: dict[str, Job] = {}
    for job in jobs:
        if found.setdefault(job.key, job) != job:
            raise ValueError(
                f"two jobs that differ are both {job.settings}; give samplers and grids of your own different titles, "
                "and make an SDE of your own a frozen dataclass"
            )
    return list(found.values())


def run(jobs: Iterable[Job], executor: Executor, saved: str | os.PathLike[str] | None = None) -> Generator[Record]:
    """Run jobs on an executor and yield each row as it arrives; leaving the loop cancels what has not begun.

    Args:
        jobs: what to run; equal jobs are run once.
        executor: any concurrent.futures.Executor; with Dask, `distributed.Client(...).get_executor()`.
        saved: a Parquet file that each row is added to. Rows of these jobs that it has already come first and are not run again,
            unless they failed. Its other rows stay. One `run` at a time may write it.

    Yields:
        A row for each job; where a job's worker was lost, a row with the error.

    Raises:
        FileNotFoundError: before the first job, if the folder of `saved` does not exist.
        ValueError: before the first job, as `distinct`.
    """
    jobs = distinct(jobs)
    if saved and not Path(saved).absolute().parent.is_dir():
        raise FileNotFoundError(f"saved is {os.fspath(saved)!r}; its folder does not exist")
    found = {row["key"]: row for row in load(saved)} if saved else {}
    kept = {key: row for key, row in found.items() if not row["error"]}
    yield from (kept[job.key] for job in jobs if job.key in kept)
    waiting = {_submit(executor, job): job for job in jobs if job.key not in kept}
    try:
        for future in as_completed(waiting):
            row = collect(future, waiting[future])
            found[row["key"]] = row
            if saved:
                save(found.values(), saved)
            yield row
    finally:
        for future in waiting:
            future.cancel()


def _submit(executor: Executor, job: Job) -> "Future[Record]":
    """The future of a job's row; one that has failed already where the executor is broken."""
    try:
        return executor.submit(perform, job)
    except BrokenExecutor as error:
        future: Future[Record] = Future()
        future.set_exception(error)
        return future


def collect(future: "Future[Record]", job: Job) -> Record:
    """The row of a finished future; one that says why where its worker was lost.

    Args:
        future: of a job that was submitted; it has finished.
        job: the job.

    Returns:
        The row.
    """
    error = future.exception()
    return future.result() if error is None else failed(job, _reason(error))


def failed(job: Job, reason: str) -> Record:
    """The result of a job that could not be run.

    Args:
        job: the job.
        reason: why, in plain words.
    """
    return _unknown(job) | {"error": reason}


def table(rows: Iterable[Record]) -> "pd.DataFrame":
    """Rows as a pandas table, in an order that does not depend on the order in which they arrived.

    Args:
        rows: of any jobs.

    Returns:
        A table, one row a job.
    """
    import pandas as pd

    found = pd.DataFrame(list(rows))
    if found.empty:
        return found
    by = [name for name in ("target", "sde", "recipe", "sampler", "grid", "steps", "seed", "key") if name in found]
    return found.sort_values(by, ignore_index=True)


def save(rows: Iterable[Record], path: str | os.PathLike[str]) -> None:
    """Write rows to a Parquet file; whatever interrupts it, the file is the old one or the new one.

    Args:
        rows: of any jobs.
        path: of the file; its folder exists.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = Path(folder, path.name)
        table(rows).to_parquet(whole)
        whole.replace(path)


def load(path: str | os.PathLike[str]) -> list[Record]:
    """Read the rows of a Parquet file.

    Args:
        path: of the file.

    Returns:
        The rows, each with the metrics of its own job; none where there is no file yet.
    """
    import pandas as pd

    rows: list[Any] = pd.read_parquet(path).to_dict("records") if Path(path).exists() else []
    measured = {name for row in rows for name in row["metrics"].split()}
    return [{name: row[name] for name in row if name not in measured or name in row["metrics"].split()} for row in rows]


def race(
    target: str,
    sde: SDE,
    methods: Sequence[str | Sampler],
    steps: Sequence[int],
    grids: Sequence[str | Grid] = ("uniform",),
    seeds: Sequence[int] = (0,),
    noise_steps: int | None = None,
    **settings: Any,
) -> list[Job]:
    """List the jobs that compare samplers: each sampler on each grid, with each number of steps and each seed.

    All start from the same points, and those with noise follow the same Brownian path, except samplers with visits (see `Job`).

    Args:
        target: a name from `targets` or the text of a mixture.
        sde: the forward diffusion.
        methods: keys of SAMPLERS, or Samplers of one's own.
        steps: numbers of steps.
        grids: keys of GRIDS, or Grids of one's own.
        seeds: of the runs.
        noise_steps: of every Job; by default the least common multiple of `steps`.
        **settings: of every Job.

    Returns:
        The jobs.

    Raises:
        ValueError: as `Job`, or the least common multiple of the steps is above 20000.
    """
    shared = _common_multiple(steps) if noise_steps is None else noise_steps
    return [
        Job(target, sde, method, grid, count, seed=seed, noise_steps=shared, **settings)
        for method in methods
        for grid in grids
        for count in steps
        for seed in seeds
    ]


def equal_cost_steps(samplers: Iterable[str], nfe: int, choices: Sequence[int] | None = None) -> dict[str, int]:
    """Choose for each sampler the number of steps that costs nearest to a number of evaluations of the score.

    Samplers are compared fairly at equal evaluations, not at equal steps: a step of Heun costs two, one of DDIM costs one.

    Args:
        samplers: keys of SAMPLERS.
        nfe: evaluations of the score to spend, 1 or more.
        choices: the numbers of steps to choose from, such as those of a race; by default any.

    Returns:
        The steps of each sampler, 1 or more; of two that are as near, the fewer. What an adaptive method costs is only known
        about.

    Raises:
        ValueError: for nfe below 1, or no choices.
    """
    if nfe < 1:
        raise ValueError(f"nfe is {nfe}; it must be 1 or more")
    if choices is not None and not choices:
        raise ValueError("choices is empty; there must be one or more numbers of steps to choose from")
    found = {}
    for name in samplers:
        each = SAMPLERS[name].expected_nfe(1)
        candidates = sorted(choices) if choices is not None else (max(1, nfe // each), nfe // each + 1)
        found[name] = min(candidates, key=lambda steps: abs(steps * each - nfe))
    return found


def _common_multiple(steps: Sequence[int]) -> int:
    least = math.lcm(*(_whole("steps", count, *WHOLE["steps"]) for count in steps))
    if least > MOST_STEPS:
        raise ValueError(
            f"steps are {[*steps]}; their least common multiple is {least}, and a path that they share has at most {MOST_STEPS} "
            "steps: choose numbers that divide one another, as 5, 10 and 20 do, or noise_steps=0 for noise of each job's own"
        )
    return least


class SlopeFit(NamedTuple):
    """The slope of log value over log NFE, and the number of points that it was fitted to."""

    slope: float
    points: int


@final
@dataclass(frozen=True, eq=False)
class Curve:
    """What one sampler on one grid reaches, and what it costs: an entry for each number of steps, by rising cost.

    Attributes:
        sampler: a key of SAMPLERS, or the title of a Sampler of one's own.
        grid: a key of GRIDS, or the title of a Grid of one's own.
        steps: numbers of steps, (M,).
        nfe: evaluations of the score, means over seeds, (M,).
        value: the metric, means over seeds, (M,).
        error: the standard error of `value`, (M,); NaN for a single seed.
    """

    sampler: str
    grid: str
    steps: np.ndarray
    nfe: np.ndarray
    value: np.ndarray
    error: np.ndarray

    def slope(self, floor: NoiseFloor) -> SlopeFit | None:
        """Fit the least-squares slope of log sqrt(value^2 - floor^2) over log NFE, where the value is clear of the noise floor.

        What a sample's own spread adds to a distance, it adds in squares, so the floor's mean is taken off in squares.

        Args:
            floor: what the metric shows for exact samples of the same size.

        Returns:
            The fit over the values above ABOVE_FLOOR times the floor's 95 % point; None with fewer than two of them.
        """
        clear = self.value > ABOVE_FLOOR * floor.high
        if clear.sum() < 2:
            return None
        error = np.sqrt(self.value[clear] ** 2 - floor.mean.value**2)
        return SlopeFit(float(np.polyfit(np.log(self.nfe[clear]), np.log(error), 1)[0]), int(clear.sum()))

    def floor_from(self, floor: NoiseFloor) -> float | None:
        """The NFE from which on the value stays within the noise floor; None if it does not.

        Args:
            floor: what the metric shows for exact samples of the same size.
        """
        outside = np.flatnonzero(self.value > floor.high)
        first = outside[-1] + 1 if len(outside) else 0
        return float(self.nfe[first]) if first < len(self.nfe) else None


def curves(rows: Iterable[Record], metric: str) -> list[Curve]:
    """Turn the rows of a race into curves in one metric; failed rows are left out, and a row that is there twice counts once.

    Args:
        rows: of one race.
        metric: a key of METRICS.

    Returns:
        A curve for each sampler on each grid.

    Raises:
        ValueError: the rows are of more than one experiment (see EXPERIMENT), two samplers or grids have one title, runs with one
            seed differ only in their noise, or a row does not have the metric.
    """
    done = [row for row in {row["key"]: row for row in rows}.values() if not row["error"]]
    for row in done:
        if metric not in row["metrics"].split():
            raise ValueError(f"metric is {metric!r}; there is a row that has {row['metrics']} only")
    _check_one(done, EXPERIMENT, "the rows are of more than one experiment")
    found: dict[tuple[str, str], list[Record]] = {}
    for row in done:
        found.setdefault((row["sampler"], row["grid"]), []).append(row)
    return [_curve(*name, found[name], metric) for name in sorted(found)]


def _curve(sampler: str, grid: str, rows: list[Record], metric: str) -> Curve:
    _check_one(rows, ("own",), f"two samplers or grids are called {sampler} on {grid}")
    by_steps: dict[int, list[Record]] = {}
    for row in rows:
        by_steps.setdefault(row["steps"], []).append(row)
    columns = []
    for steps, same in by_steps.items():
        if len({row["seed"] for row in same}) < len(same):
            raise ValueError(f"{sampler} on {grid} has two runs with {steps} steps and one seed; keep those of one noise_steps")
        values = [row[metric] for row in same]
        columns.append((steps, np.mean([row["nfe"] for row in same]), np.mean(values), standard_error(values)))
    return Curve(sampler, grid, *np.array(sorted(columns, key=lambda column: column[1])).T)


def _check_one(rows: Iterable[Record], names: Iterable[str], words: str) -> None:
    """Refuse rows that differ in one of the columns."""
    for name in names:
        values = list(dict.fromkeys(row[name] for row in rows))
        if len(values) > 1:
            raise ValueError(f"{words}: {name} is {values[0]!r} and {values[1]!r}")
