"""Jobs: one run of one sampler and what to measure of it, as a frozen value that says everything."""

import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache, partial
from itertools import pairwise
from numbers import Integral, Real
from types import FunctionType
from typing import Any, TypeVar, final

from scoredm import targets
from scoredm.canonical import canonical_text, fingerprint, place
from scoredm.grids import EARLIEST, GRIDS, Grid
from scoredm.metrics import METRICS, MixtureMetric, NamedMetric
from scoredm.mixture import GaussianMixture
from scoredm.priors import PRIORS
from scoredm.samplers import SAMPLERS, Sampler, Step
from scoredm.score import ScoreFn
from scoredm.sde import SDE
from scoredm.targets import mixture_of
from scoredm.training import TrainConfig

MOST_STEPS = 20_000

# Lowest and highest value of the whole numbers of a job; n: its particles.
WHOLE = {"n": (10, 1_000_000), "steps": (1, MOST_STEPS), "noise_steps": (0, MOST_STEPS), "seed": (0, 2**63 - 1)}
MOST_NUMBERS = 1 << 25  # of the points of a job, n D; 268 MB in float64, and a run holds them about ten times

Record = dict[str, Any]  # what is known of a finished job: a row of the table
Make = Callable[[SDE, int, float], Sequence[float]]  # of the times of a grid
Named = TypeVar("Named", Sampler, Grid, NamedMetric)


@final
@dataclass(frozen=True, eq=False)
class Job:
    """One run of one sampler, measured.

    Parts of your own (target, SDE, sampler, grid, score, metrics) may be anything that can be called with the library's
    arguments. Each is identified by the `canonical.fingerprint` of its numbers and code when the job is made, so a changed part
    gives another key. Jobs with one key are equal. A process can be sent functions and classes of a module, not a lambda, nor a
    function made inside another.

    A sampler with `visits` (predictor-corrector, Langevin) has noise of its own whatever `noise_steps` is. A sampler of your own
    is given the noise whatever its `stochastic` is.

        def midpoint(sde, score_fn, x, t, t_next, noise): ...

        Job(mixture, VPSDE(), midpoint, grid=[1.0, 0.5, 0.1, 0.001], score=network, metrics=("mmd", my_metric))

    Attributes:
        target: a name from `targets`, the text of a mixture, or a GaussianMixture in any dimension.
        sde: the forward diffusion.
        sampler: a key of SAMPLERS, a Sampler, a step, or a class whose instances are steps; of a step that is an object each run
            has a copy.
        grid: a key of GRIDS, a Grid, a function (sde, steps, t_min) -> times, or the times themselves, falling from 1, which
            then set `steps` and `t_min`; a larger `steps` must be a multiple, and divides each interval evenly.
        steps: of the grid.
        prior: a key of PRIORS: "exact", "matched" or "zero".
        t_min: the time of the last step.
        denoise: whether to end with the Tweedie step.
        recipe: of the network to sample with; None for the exact score, or your own.
        n: particles, from 10 to 1 000 000, and n D at most 33 554 432, which take 268 MB in float64.
        seed: of starts, noise and the metrics' own draws.
        metrics: keys of METRICS, NamedMetrics, or functions (x, mixture, generator) -> float; the column of your own is its
            title, with - for spaces, or its function's name. A pathwise one compares x with `exact_end_points`; a sampler that
            says that it is stochastic, or has visits, follows no path of the flow and is refused.
        noise_steps: 0 for noise of the job's own; a multiple of `steps` for the noise of a grid of so many steps, added up, so
            that jobs with different steps follow one Brownian path on the uniform grid, and nearly one on any other.
        score: a score of your own to sample with, a network or any function (x, t) -> s(x, t).
        own: the fingerprint of each part of your own, by its place in the job.
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
        for name in WHOLE:
            self._set(**{name: whole(name, getattr(self, name))})
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
        self._set(own={name: fingerprint(part) for name, part in self.own_parts})
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
    def own_parts(self) -> Iterator[tuple[str, Any]]:
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
        own = self.own_parts if self.own else ()
        values["own"] = "; ".join(f"{name} {where_defined(part)} {self.own[name][:16]}" for name, part in own)
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


def where_defined(part: Any) -> str:
    """Module and name of the code of a thing of one's own.

    Args:
        part: a function, class or object, or a registry's entry that holds one.
    """
    inner = {Sampler: "make_step", _Fresh: "step", Grid: "make", NamedMetric: "function", partial: "func"}
    while type(part) in inner:
        part = getattr(part, inner[type(part)])
    return place(part if hasattr(part, "__qualname__") else type(part))


def whole(name: str, value: object) -> int:
    """Check one of the whole numbers of a job.

    Args:
        name: a key of WHOLE.
        value: of any type.

    Returns:
        The number as an int.

    Raises:
        ValueError: it is no whole number, or outside its range.
    """
    low, high = WHOLE[name]
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
            f"the grid is {shown}, ..., {times[-1]:g}, {len(times)} times; it must have {steps + 1} falling times, the first 1 "
            f"and the last t_min, {t_min:g}"
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
        raise ValueError(f"{kind} has the title {part.title!r}, a name that the library already uses; choose another")
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
        raise ValueError(f"a metric has the title {value.title!r}, which cannot be the name of a column; choose another")
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
