"""Studies: lists of independent seeded jobs, run by any executor, gathered in one table.

A job is a frozen value that says everything, so its row is the same whoever runs it: a thread, a process, or another machine.

    with ThreadPoolExecutor() as pool:
        rows = list(run(race("tutorial", VESDE(), ["ddim", "heun"], steps=[10, 20, 40]), pool, "race.parquet"))
    print(table(rows))
"""

import hashlib
import inspect
import math
import os
import pickle
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from numbers import Integral, Real
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, final

import numpy as np
import torch
from torch import Tensor

from scoredm import targets
from scoredm.canonical import canonical_text, fingerprint, place
from scoredm.grids import EARLIEST, GRIDS, Grid
from scoredm.metrics import METRICS, MixtureMetric, NamedMetric, NoiseFloor
from scoredm.mixture import GaussianMixture
from scoredm.pathwise import flow_end_points
from scoredm.samplers import PRIORS, SAMPLERS, CountedScore, Sampler, Step, initial_distribution
from scoredm.score import ExactScore, ScoreFn, denoise as tweedie, exact_score
from scoredm.sde import SDE
from scoredm.simulation import sample
from scoredm.statistics import standard_error
from scoredm.targets import mixture_of
from scoredm.threads import one_thread_for_a_job
from scoredm.training import TrainConfig, Trainer
from scoredm.workers import packed, unpacked

if TYPE_CHECKING:
    import pandas as pd

MOST_STEPS = 20_000
TRAINED = 8  # networks kept for the jobs that share them
FOLLOWED = 1 << 24  # numbers of exact end points kept for the jobs that share them; 134 MB
ABOVE_FLOOR = 1.5  # a value is clear of the noise floor from so many times its 95 % point

# Lowest and highest value of the whole numbers of a job; n: its particles.
WHOLE = {"n": (10, 1_000_000), "steps": (1, MOST_STEPS), "noise_steps": (0, MOST_STEPS), "seed": (0, 2**63 - 1)}
MOST_NUMBERS = 1 << 25  # of the points of a job, n D; 268 MB in float64, and a run holds them about ten times

# What the rows of one experiment have in common.
EXPERIMENT = ("target", "sde", "recipe", "score", "prior", "t_min", "denoise", "n")

Record = dict[str, Any]  # what is known of a finished job: a row of the table
Make = Callable[[SDE, int, float], Sequence[float]]  # of the times of a grid
Named = TypeVar("Named", Sampler, Grid, NamedMetric)
T = TypeVar("T")


@final
@dataclass(frozen=True, eq=False)
class Job:
    """One run of one sampler, measured.

    Whatever is one's own may be anything that can be called as the library calls it. It is known by its content (see
    `canonical.fingerprint`): its numbers and its code are part of the job's key, as they are when the job is made, so that what
    is changed has a key of its own. Jobs with one key are equal. A process can be sent functions and classes of a module, not a
    lambda, nor a function made inside another.

    A sampler with `visits` (predictor-corrector, Langevin) has noise of its own whatever `noise_steps` is. A sampler of one's own
    is given the noise whatever its `stochastic` is.

        def midpoint(sde, score_fn, x, t, t_next, noise): ...

        Job(mixture, VPSDE(), midpoint, grid=[1.0, 0.5, 0.1, 0.001], score=network, metrics=("mmd", my_metric))

    Attributes:
        target: a name from `targets`, the text of a mixture, or a GaussianMixture in any dimension.
        sde: the forward diffusion.
        sampler: a key of SAMPLERS, a Sampler, a step, or a class whose instances are steps; of a step that is an object each run
            has a copy.
        grid: a key of GRIDS, a Grid, a function (sde, steps, t_min) -> times, or the times themselves, which fall from 1; they
            then say `steps` and `t_min`, and more steps, a multiple of theirs, divide each of theirs evenly.
        steps: of the grid.
        prior: a key of PRIORS: "exact", "matched" or "zero".
        t_min: the time of the last step.
        denoise: whether to end with the Tweedie step.
        recipe: of the network to sample with; None for the exact score, or one's own.
        n: particles, from 10 to 1 000 000, and n D at most 33 554 432, which take 268 MB in float64.
        seed: of starts, noise and the metrics' own draws.
        metrics: keys of METRICS, NamedMetrics, or functions (x, mixture, generator) -> float; the column of one's own is its
            title, with - for spaces, or its function's name. A pathwise one compares x with `exact_end_points`; a sampler that
            says that it is stochastic, or has visits, follows no path of the flow and is refused.
        noise_steps: 0 for noise of the job's own; a multiple of `steps` for the noise of a grid of so many steps, added up, so
            that jobs with different steps follow one Brownian path on the uniform grid, and nearly one on any other.
        score: a score of one's own to sample with, a network or any function (x, t) -> s(x, t).
        own: the fingerprint of each thing that is one's own, by its place in the job.
        key: a short name that equal jobs share and no others do.

    Raises:
        ValueError: a value is not allowed; the message names it and says what is.
    """

    target: str | GaussianMixture
    sde: SDE
    sampler: str | Sampler | Step | Callable[[], Step] = "euler-maruyama"
    grid: str | Grid | Make | Sequence[float] = "uniform"
    steps: int = 200
    prior: str = "exact"
    t_min: float = 1e-3
    denoise: bool = True
    recipe: TrainConfig | None = None
    n: int = 2000
    seed: int = 0
    metrics: tuple[str | NamedMetric | MixtureMetric, ...] = ("sliced-wasserstein",)
    noise_steps: int = 0
    score: ScoreFn | None = None
    own: dict[str, str] = field(init=False, repr=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Write equal values alike, and refuse a job that cannot be run."""
        self._take_listed_times()
        self._set(sampler=_sampler(self.sampler), grid=_grid(self.grid), metrics=_metrics(self.metrics))
        for name, (low, high) in WHOLE.items():
            self._set(**{name: _whole(name, getattr(self, name), low, high)})
        self._set(t_min=_stop(self.t_min))
        _check_target(self.target, self.n)
        _check_kind("sde", self.sde, SDE, "an SDE, such as VESDE()")
        _check_kind("recipe", self.recipe, TrainConfig | None, "a TrainConfig, or None for the exact score")
        _check_kind("denoise", self.denoise, bool, "True or False")
        _check_score(self.score, self.recipe)
        if self.prior not in PRIORS:
            raise ValueError(f"prior is {self.prior!r}; it must be one of {', '.join(PRIORS)}")
        if self.noise_steps % self.steps:
            raise ValueError(f"noise_steps is {self.noise_steps}; it must be 0 or a multiple of the {self.steps} steps")
        _check_follows_flow(self)
        if isinstance(self.grid, Grid) and isinstance(self.grid.make, _Listed):
            _ = self.times  # refuses times that do not fall, and steps that do not divide them
        self._set(own={name: fingerprint(part) for name, part in self._own_parts})
        self._set(key=hashlib.sha256(repr(self._known_by).encode()).hexdigest()[:16])

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _take_listed_times(self) -> None:
        """Make a Grid of times that are given one by one; they say the steps and t_min where these are left as they were."""
        if isinstance(self.grid, str) or callable(self.grid):
            return
        listed = _Listed(_numbers("grid", self.grid))
        self._set(grid=Grid(f"{len(listed.times)} times {fingerprint(listed.times)[:8]}", listed))
        if self.steps == Job.steps:
            self._set(steps=len(listed.times) - 1)
        if self.t_min == Job.t_min:
            self._set(t_min=listed.times[-1])

    def __eq__(self, other: object) -> bool:
        """Whether it is the same run, with the same content in all its parts."""
        return isinstance(other, Job) and self.key == other.key

    def __hash__(self) -> int:
        """Of the key."""
        return hash(self.key)

    @property
    def method(self) -> Sampler:
        """The sampler itself."""
        return _entry(self.sampler, SAMPLERS)

    @property
    def times(self) -> list[float]:
        """The times that the sampler steps through, with its corrector's visits."""
        times = _entry(self.grid, GRIDS)(self.sde, self.steps, self.t_min)
        return self.method.times(times if isinstance(self.grid, str) else _checked_times(times, self.steps, self.t_min))

    @property
    def mixture(self) -> GaussianMixture:
        """The target itself."""
        return mixture_of(self.target) if isinstance(self.target, str) else self.target

    @property
    def measures(self) -> dict[str, NamedMetric]:
        """The metrics by the names of their columns."""
        return {metric_name(metric): _entry(metric, METRICS) for metric in self.metrics}

    @property
    def _own_parts(self) -> Iterator[tuple[str, Any]]:
        """What is not the library's, by its place in the job."""
        for name in ("target", "sampler", "grid", "score"):
            if not isinstance(getattr(self, name), str | None):
                yield name, getattr(self, name)
        if not _is_ours(self.sde):
            yield "sde", self.sde
        yield from ((metric_name(metric), metric) for metric in self.metrics if not isinstance(metric, str))

    @property
    def settings(self) -> Record:
        """The job as plain values, the columns that name its row.

        What is one's own has a short name; `own` says where the code of each is from, with 16 digits of its fingerprint.
        """
        values = {name: getattr(self, name) for name in SETTINGS}
        for name in self.own.keys() & {"sampler", "grid"}:
            values[name] = values[name].title
        for name in ("target", "sde", "score"):
            values[name] = _described(values[name], self.own.get(name))
        values["score"] = values["score"] or ("exact" if self.recipe is None else "learned")
        values["recipe"] = "" if self.recipe is None else _text(self.recipe)
        values["metrics"] = " ".join(map(metric_name, self.metrics))
        own = self._own_parts if self.own else ()
        values["own"] = "; ".join(f"{name} {_where(part)} {self.own[name][:16]}" for name, part in own)
        return values

    @property
    def _known_by(self) -> Record:
        """What the key is made of: the settings, where the recipe says the score if `own` does not."""
        return {name: value for name, value in self.settings.items() if name != "score" or self.score is not None}


SETTINGS = tuple(each.name for each in fields(Job) if each.init)
COLUMNS = {*SETTINGS, "own", "key", "nfe", "seconds", "error"}  # of a row, beside its metrics


def _entry(part: Any, known: Mapping[str, Any]) -> Any:
    """What a key of a registry stands for, or the part itself."""
    return known[part] if isinstance(part, str) else part


@lru_cache(maxsize=1024)
def _text(ours: SDE | TrainConfig) -> str | None:
    """The canonical text of a value of the library that its numbers and words say whole; None of one that holds more."""
    plain = (str, Real, type(None))
    whole = is_dataclass(ours) and all(isinstance(getattr(ours, each.name), plain) for each in fields(ours))
    return canonical_text(ours) if whole else None


def _is_ours(sde: SDE) -> bool:
    return type(sde).__module__.startswith("scoredm.") and _text(sde) is not None


def _described(part: Any, digest: str | None) -> str | None:
    """A short name for a table; what is one's own has the first digits of its fingerprint, which tell two of one name apart."""
    if digest is None:
        return part if isinstance(part, str | None) else _text(part)
    if isinstance(part, GaussianMixture):
        return f"GaussianMixture(K={part.n_components}, D={part.dim}) {digest[:8]}"
    return f"{title_of(part)} {digest[:8]}"


def title_of(part: Any) -> str:
    """A short name for a function, class or object, such as `reverse_step(eta=0.5)`: its name, and the numbers that it keeps.

    Args:
        part: whatever can be called; of a function made inside another, the outer one has the name.
    """
    name, kept = type(part).__name__, {}
    if isinstance(part, partial):
        name, kept = title_of(part.func), part.keywords
    elif hasattr(part, "__qualname__"):
        name = part.__qualname__.partition(".<locals>")[0].rpartition(".")[2].strip("<>")
        kept = inspect.getclosurevars(part).nonlocals if isinstance(part, FunctionType) else {}
    elif is_dataclass(part):
        kept = {each.name: getattr(part, each.name) for each in fields(part)}
    numbers = ", ".join(f"{key}={value}" for key, value in kept.items() if isinstance(value, bool | Real | str))
    return f"{name}({numbers})" if numbers else name


def _where(part: Any) -> str:
    """Module and name of the code of a thing of one's own."""
    inner = {Sampler: "make_step", _Fresh: "step", Grid: "make", NamedMetric: "function", partial: "func"}
    while type(part) in inner:
        part = getattr(part, inner[type(part)])
    return place(part if hasattr(part, "__qualname__") else type(part))


def _whole(name: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= high:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
    return int(value)


def _stop(t_min: object) -> float:
    if not isinstance(t_min, Real) or isinstance(t_min, bool) or not EARLIEST <= float(t_min) < 1:
        raise ValueError(f"t_min is {t_min!r}; it must lie between 0 and 1, and not below {EARLIEST:g}")
    return float(t_min)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        found = tuple(map(float, values))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {values!r}; it must be one of {', '.join(GRIDS)}, a Grid, a function, or times") from error
    if len(found) < 2:
        raise ValueError(f"{name} has {len(found)} times; there must be two or more")
    return found


def _checked_times(values: Sequence[float], steps: int, t_min: float) -> list[float]:
    """The times of a grid of one's own."""
    times = _numbers("grid", values)
    ends = math.isclose(times[0], 1, rel_tol=1e-6) and math.isclose(times[-1], t_min, rel_tol=1e-6)
    if not ends or len(times) != steps + 1 or not all(t > t_next for t, t_next in pairwise(times)):
        shown = ", ".join(f"{t:g}" for t in times[:4])
        raise ValueError(
            f"the grid is {shown}, ..., {times[-1]:g}, {len(times)} times; it must have {steps + 1}, fall from each to the next, "
            f"start at 1 and end at t_min, {t_min:g}"
        )
    return [*times]


@final
@dataclass(frozen=True)
class _Listed:
    """Given times as a grid; more steps divide each step evenly, and another t_min takes the place of the last time."""

    times: tuple[float, ...]

    def __call__(self, _sde: SDE, steps: int, t_min: float) -> list[float]:
        times = [*self.times[:-1], t_min]
        each, rest = divmod(steps, len(times) - 1)
        if rest:
            raise ValueError(f"steps is {steps}; it must be a multiple of {len(times) - 1}, the steps of the grid's times")
        return [t + i / each * (t_next - t) for t, t_next in pairwise(times) for i in range(each)] + [t_min]


def _check_target(target: object, n: int) -> None:
    known = f"it must be a GaussianMixture, the text of a mixture, or one of {', '.join(targets.names())}"
    if isinstance(target, str):
        try:
            dim = mixture_of(target).dim
        except ValueError as error:
            raise ValueError(f"target is {target[:40]!r}; {known}: {error}") from error
    elif isinstance(target, GaussianMixture):
        dim = target.dim
    else:
        raise ValueError(f"target is {target!r}; {known}")
    if n * dim > MOST_NUMBERS:
        most = f"a run's points may take {MOST_NUMBERS * 8 / 1e6:.0f} MB"
        raise ValueError(f"n is {n} in {dim}-D; {most}, so it must be at most {MOST_NUMBERS // dim} here")


def _check_kind(name: str, value: object, kind: Any, words: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {value!r}; it must be {words}")


def _check_takes(name: str, value: Any, arguments: str) -> None:
    """Refuse what cannot be called with so many arguments; what does not say what it takes, such as C code, may be."""
    try:
        inspect.signature(value).bind(*arguments.split(", "))
    except ValueError:
        return
    except TypeError as error:
        raise ValueError(f"{name} is {value!r}; it must take ({arguments}): {error}") from error


def _check_score(score: object, recipe: object) -> None:
    if score is None:
        return
    if recipe is not None:
        raise ValueError("score and recipe are both given; a job samples with one network: leave one of them out")
    if not callable(score):
        raise ValueError(f"score is {score!r}; it must be a function (x, t) -> s(x, t), such as a network, or None")
    _check_takes("score", score, "x, t")


def _registered(value: Any, known: Mapping[str, Any]) -> str | None:
    """The key of what is in a registry, or of a library's function that has its name."""
    name = getattr(value, "__name__", "").replace("_", "-") if isinstance(value, FunctionType) else ""
    if name in known and value.__module__.startswith("scoredm."):
        return name
    return next((key for key, entry in known.items() if entry is value), None)


def _checked_title(kind: str, part: Named, known: Mapping[str, Any]) -> Named:
    if part.title in known:
        raise ValueError(f"{kind} has the title {part.title!r}, which is the name of one of ours; it must have another")
    return part


@final
@dataclass(frozen=True)
class _Fresh:
    """Makes a copy of a step for each run, as a step may keep a state; a function is its own copy."""

    step: Step

    def __call__(self) -> Step:
        return deepcopy(self.step)


def _sampler(value: Any) -> str | Sampler:
    key = value if isinstance(value, str) else _registered(value, SAMPLERS)
    if key in SAMPLERS:
        return key
    if isinstance(value, Sampler):
        return _checked_title("sampler", value, SAMPLERS)
    if not callable(value):
        raise ValueError(f"sampler is {value!r}; it must be one of {', '.join(SAMPLERS)}, a Sampler, or a step")
    if isinstance(value, type):
        return _checked_title("sampler", Sampler(title_of(value), value, None), SAMPLERS)
    _check_takes("sampler", value, "sde, score_fn, x, t, t_next, noise")
    return _checked_title("sampler", Sampler(title_of(value), _Fresh(value), None), SAMPLERS)


def _grid(value: Any) -> str | Grid:
    key = value if isinstance(value, str) else _registered(value, GRIDS)
    if key in GRIDS:
        return key
    if isinstance(value, str):
        raise ValueError(f"grid is {value!r}; it must be one of {', '.join(GRIDS)}, a Grid, a function, or times")
    if not isinstance(value, Grid):
        _check_takes("grid", value, "sde, steps, t_min")
        value = Grid(title_of(value), value)
    return _checked_title("grid", value, GRIDS)


def _metrics(values: Any) -> tuple[str | NamedMetric, ...]:
    if not isinstance(values, tuple) or not values:
        raise ValueError(f"metrics are {values!r}; they must be a tuple of one or more of {', '.join(METRICS)}, or of your own")
    found = tuple(map(_metric, values))
    names = [metric_name(metric) for metric in found]
    if len(set(names)) < len(names):
        raise ValueError(f"metrics are {', '.join(names)}; each must have a name of its own")
    return found


def _metric(value: Any) -> str | NamedMetric:
    key = value if isinstance(value, str) else _registered(value, METRICS)
    if key in METRICS:
        return key
    if not callable(value):
        raise ValueError(f"metrics are {(value,)!r}; they must be a tuple of one or more of {', '.join(METRICS)}, or of your own")
    if not isinstance(value, NamedMetric):
        _check_takes("a metric", value, "x, mixture, generator")
        value = NamedMetric(title_of(value), "", "", value)
    name = metric_name(value)
    if not name or name in COLUMNS:
        raise ValueError(f"a metric has the title {value.title!r}; that is no name for a column of its own")
    return _checked_title("a metric", value, METRICS)


def _check_follows_flow(job: Job) -> None:
    """Refuse a pathwise metric of a sampler with noise; what a step of one's own does with its noise is not known."""
    pathwise = [name for name, metric in job.measures.items() if metric.pathwise]
    if pathwise and (job.method.stochastic or job.method.visits):
        name = job.sampler if isinstance(job.sampler, str) else job.method.title
        known = ", ".join(key for key, sampler in SAMPLERS.items() if not sampler.stochastic)
        raise ValueError(
            f"sampler is {name!r}, which adds noise and so follows no path of the flow that the metric "
            f"{pathwise[0]!r} compares it with; it must be one of {known}, or a step of your own without noise"
        )


def metric_name(metric: str | NamedMetric | MixtureMetric) -> str:
    """The column of a metric: its key, or the title of one's own, or its function's name, with - for spaces.

    Args:
        metric: a key of METRICS, or a metric of one's own.
    """
    title = metric if isinstance(metric, str) else metric.title if isinstance(metric, NamedMetric) else title_of(metric)
    return "-".join(title.split())


@final
class _Shared(Generic[T]):
    """What jobs share, by its key, up to so much in all: each is made once, others at the same time, and the oldest forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[str, _Kept[T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], T], size: int = 1) -> T:
        with self._lock:
            kept = self._found.setdefault(key, _Kept(size))
            self._found.move_to_end(key)
            while len(self._found) > 1 and sum(each.size for each in self._found.values()) > self._most:
                self._found.popitem(last=False)
        with kept.lock:
            if kept.value is None:
                kept.value = make()
            return kept.value


class _Kept(Generic[T]):
    """A value, once it is made, and the lock that whoever makes it holds."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = threading.Lock()
        self.value: T | None = None


_networks: _Shared[ScoreFn] = _Shared(TRAINED)
_flow_ends: _Shared[Tensor] = _Shared(FOLLOWED)


def learned_score(target: str | GaussianMixture, sde: SDE, recipe: TrainConfig) -> ScoreFn:
    """The network that a recipe leads to; trained once a process, whichever jobs ask for it.

    Other networks can be trained meanwhile: only those who ask for this one wait for it.

    Args:
        target: a name from `targets`, the text of a mixture, or a mixture.
        sde: the forward diffusion.
        recipe: how to train.
    """
    return _networks.get(fingerprint((target, sde, recipe)), lambda: _train(target, sde, recipe))


def _train(target: str | GaussianMixture, sde: SDE, recipe: TrainConfig) -> ScoreFn:
    trainer = Trainer(mixture_of(target) if isinstance(target, str) else target, sde, recipe)
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

    >>> from scoredm import VPSDE
    >>> ends = end_points(Job("tutorial", VPSDE(), "heun", steps=20, n=500))
    >>> ends.x.shape, ends.nfe
    (torch.Size([500, 2]), 41)

    Args:
        job: what to run.
        score_fn: the network of the job's recipe, where it is trained already; without it `learned_score` trains it.

    Raises:
        ValueError: for a score_fn where the job samples with the exact score; else what its sampler raises.
    """
    if score_fn is not None and job.recipe is None:
        raise ValueError("this job has a score; give it a recipe to sample with the network of that recipe")
    for_start, for_noise, _ = _streams(job.seed)
    times = job.times
    start = _start(job, for_start)
    if score_fn is None:
        score_fn = _score_of(job)
    score = CountedScore(score_fn.on_grid(times, start) if isinstance(score_fn, ExactScore) else score_fn)
    noise = _Noise(job, for_noise)
    began = time.perf_counter()
    step = job.method.make_step()
    x = sample(job.sde, score, job.n, step=step, times=times, start=start, denoise=job.denoise, noise=noise).end.cpu()
    return EndPoints(x, score.calls, time.perf_counter() - began - noise.seconds)


def _start(job: Job, generator: torch.Generator) -> Tensor:
    return initial_distribution(job.prior, job.mixture, job.sde).sample(job.n, generator)


def exact_end_points(job: Job) -> Tensor:
    """Where the exact probability flow takes the starts of a job, and the exact Tweedie step after it where the job has one.

    It is followed once a process for all jobs that differ in sampler, grid, steps, score or metrics only.

    Args:
        job: its target, SDE, prior, n, seed, t_min and denoise count.

    Returns:
        The end points, (n, D), float64, row by row of the job's own `end_points`; `paired_difference` takes them too.
    """
    t_min = job.times[-1]
    key = fingerprint((job.target, job.sde, job.prior, job.n, job.seed, t_min, job.denoise))
    return _flow_ends.get(key, lambda: _follow(job, t_min), job.n * job.mixture.dim)


def _follow(job: Job, t_min: float) -> Tensor:
    start = _start(job, _streams(job.seed)[0])
    x = flow_end_points(job.mixture, job.sde, start, t_min)
    return tweedie(job.sde, exact_score(job.mixture, job.sde), x, t_min) if job.denoise else x


def _score_of(job: Job) -> ScoreFn:
    if job.recipe is not None:
        return learned_score(job.target, job.sde, job.recipe)
    return exact_score(job.mixture, job.sde) if job.score is None else job.score


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
        job: what to run; meanwhile torch has one thread here, as jobs run side by side.
        score_fn: the network of the job's recipe, where it is trained already.

    Returns:
        Its settings, each metric, nfe, seconds (see EndPoints) and error, "" unless the job failed.
    """
    row = _unknown(job)
    try:
        with one_thread_for_a_job():
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
        Each of the job's metrics by its name; the metrics' own draws follow from the job's seed.

    Raises:
        ValueError: for NaN or infinity among the points.
    """
    found = {}
    for name, metric in job.measures.items():
        exact = exact_end_points(job) if metric.pathwise else job.mixture
        found[name] = float(metric(x, exact, None if metric.pathwise else _streams(job.seed)[2]))
    return found


def _unknown(job: Job) -> Record:
    """A job's row before anything is known of it."""
    return job.settings | dict.fromkeys(job.measures, math.nan) | {"nfe": -1, "seconds": math.nan, "error": "", "key": job.key}


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def distinct(jobs: Iterable[Job]) -> list[Job]:
    """Each job once, in the order in which they come.

    Args:
        jobs: any jobs.

    Returns:
        The different jobs.
    """
    return list(dict.fromkeys(jobs))


def run(jobs: Iterable[Job], executor: Executor, saved: str | os.PathLike[str] | None = None) -> Generator[Record]:
    """Run jobs on an executor and yield each row as it arrives; leaving the loop cancels what has not begun.

    Args:
        jobs: what to run; equal jobs are run once.
        executor: any concurrent.futures.Executor; with Dask, `distributed.Client(...).get_executor()`. Each job runs on one
            thread of torch.
        saved: a Parquet file that each row is added to. Rows of these jobs that it has already come first and are not run again,
            unless they failed. Its other rows stay. One `run` at a time may write it.

    Yields:
        A row for each job; where a job's worker was lost, a row with the error.

    Raises:
        FileNotFoundError: before the first job, if the folder of `saved` does not exist.
        ValueError: before the first job, where a network was changed after its job was made, or processes are to run what they
            cannot be sent.
    """
    jobs = distinct(jobs)
    _check_unchanged(jobs)
    if isinstance(executor, ProcessPoolExecutor):
        _check_can_be_sent(jobs)
    if saved and not Path(saved).absolute().parent.is_dir():
        raise FileNotFoundError(f"saved is {os.fspath(saved)!r}; its folder does not exist")
    found = {row["key"]: row for row in load_rows(saved)} if saved else {}
    kept = {key: row for key, row in found.items() if not row["error"]}
    yield from (kept[job.key] for job in jobs if job.key in kept)
    waiting = {_submit(executor, job): job for job in jobs if job.key not in kept}
    try:
        for future in as_completed(waiting):
            row = collect(future, waiting[future])
            found[row["key"]] = row
            if saved:
                save_rows(found.values(), saved)
            yield row
    finally:
        for future in waiting:
            future.cancel()


def _submit(executor: Executor, job: Job) -> "Future[Record]":
    """The future of a job's row; one that has failed already where the executor is broken."""
    sent: Any = _Sent(job) if isinstance(executor, ProcessPoolExecutor) else job
    try:
        return executor.submit(perform, sent)
    except BrokenExecutor as error:
        future: Future[Record] = Future()
        future.set_exception(error)
        return future


@final
class _Sent:
    """A job on its way to a process, as bytes: torch would share the memory of its tensors, of which there may be little."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return unpacked, (packed(self._job),)


def _check_unchanged(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if isinstance(job.score, torch.nn.Module) and replace(job) != job:
            raise ValueError(f"score, {title_of(job.score)}, was changed after the job was made; make the job when it is trained")


def _check_can_be_sent(jobs: Iterable[Job]) -> None:
    """Refuse what a process cannot be sent; each thing is tried once."""
    parts = {id(part): (name, part) for job in jobs for name, part in job._own_parts}
    for name, part in parts.values():
        try:
            packed(part)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{name} is {_where(part)}, which cannot be sent to a process: {error}; a process finds functions and classes by "
                "their names in a module, so write def there in place of lambda or a function inside another, or use threads"
            ) from error


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


def save_rows(rows: Iterable[Record], path: str | os.PathLike[str]) -> None:
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


def load_rows(path: str | os.PathLike[str]) -> list[Record]:
    """Read the rows of a Parquet file.

    Args:
        path: of the file.

    Returns:
        The rows, each with the metrics of its own job; none where there is no file yet.
    """
    import pandas as pd

    rows: list[Any] = pd.read_parquet(path).to_dict("records") if Path(path).exists() else []
    rows = [row | {"score": row.get("score") or ("learned" if row["recipe"] else "exact")} for row in rows]
    measured = {name for row in rows for name in row["metrics"].split()}
    return [{name: row[name] for name in row if name not in measured or name in row["metrics"].split()} for row in rows]


def race(
    target: str | GaussianMixture,
    sde: SDE,
    methods: Sequence[str | Sampler | Step | Callable[[], Step]],
    steps: Sequence[int],
    grids: Sequence[str | Grid | Make | Sequence[float]] = ("uniform",),
    seeds: Sequence[int] = (0,),
    noise_steps: int | None = None,
    **settings: Any,
) -> list[Job]:
    """List the jobs that compare samplers: each sampler on each grid, with each number of steps and each seed.

    All start from the same points, and those with noise follow the same Brownian path, except samplers with visits (see `Job`).

    Args:
        target: a name from `targets`, the text of a mixture, or a mixture.
        sde: the forward diffusion.
        methods: samplers, each as in `Job`.
        steps: numbers of steps.
        grids: each as in `Job`.
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


def equal_cost_steps(samplers: Iterable[str | Sampler], nfe: int, choices: Sequence[int] | None = None) -> dict[str, int]:
    """Choose for each sampler the number of steps that costs nearest to a number of evaluations of the score.

    Samplers are compared fairly at equal evaluations, not at equal steps: a step of Heun costs two, one of DDIM costs one.

    >>> equal_cost_steps(["heun", "ddim"], 40)
    {'heun': 20, 'ddim': 40}

    Args:
        samplers: keys of SAMPLERS, or Samplers of one's own, whose `evaluations` say what a step costs.
        nfe: evaluations of the score to spend, 1 or more.
        choices: the numbers of steps to choose from, such as those of a race; by default any.

    Returns:
        The steps of each sampler, 1 or more, by its key or title; of two that are as near, the fewer. What an adaptive method
        costs is only known about.

    Raises:
        ValueError: for nfe below 1, or no choices.
    """
    if nfe < 1:
        raise ValueError(f"nfe is {nfe}; it must be 1 or more")
    if choices is not None and not choices:
        raise ValueError("choices is empty; there must be one or more numbers of steps to choose from")
    found = {}
    for sampler in samplers:
        name = sampler if isinstance(sampler, str) else sampler.title
        each = _entry(sampler, SAMPLERS).expected_nfe(1)
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

        What a sample's own spread adds to a distance, it adds in squares, so the floor's mean is taken off in squares. A pathwise
        metric has a floor of 0: all its values are clear of it.

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


def curves(rows: Iterable[Record], metric: str | NamedMetric | MixtureMetric) -> list[Curve]:
    """Turn the rows of a race into curves in one metric; failed rows are left out, and a row that is there twice counts once.

    >>> from scoredm import VPSDE
    >>> rows = [perform(job) for job in race("tutorial", VPSDE(), ["ddim", "heun"], steps=[5, 10], n=500)]
    >>> for curve in curves(rows, "sliced-wasserstein"):
    ...     print(curve.sampler, curve.nfe)
    ddim [ 6. 11.]
    heun [11. 21.]

    Args:
        rows: of one race.
        metric: a key of METRICS, or a metric of one's own.

    Returns:
        A curve for each sampler on each grid.

    Raises:
        ValueError: the rows are of more than one experiment (see EXPERIMENT), two samplers, grids or metrics have one title, runs
            with one seed differ only in their noise, or a row does not have the metric.
    """
    metric = metric_name(metric)
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
    _check_one(rows, ("own",), f"what is called {sampler} on {grid} is not the same in all rows")
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
