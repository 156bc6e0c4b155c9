"""One job: where its particles end, where the exact flow takes them, and what the metrics say of that."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar, final

import torch
from torch import Tensor

from scoredm.canonical import fingerprint
from scoredm.mixture import GaussianMixture
from scoredm.pathwise import flow_end_points
from scoredm.priors import initial_distribution
from scoredm.samplers import CountedScore
from scoredm.score import ExactScore, ScoreFn, denoise as tweedie, exact_score
from scoredm.sde import SDE
from scoredm.simulation import sample
from scoredm.studies.jobs import Job, Record
from scoredm.targets import mixture_of
from scoredm.threads import one_thread_for_a_job
from scoredm.training import TrainConfig, Trainer

TRAINED = 8  # networks kept for the jobs that share them
FOLLOWED = 1 << 24  # numbers of exact end points kept for the jobs that share them; 134 MB

T = TypeVar("T")


@final
class _Shared(Generic[T]):
    """A cache of limited size: each value is made once, different ones at the same time; the least recently used is forgotten."""

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
        ValueError: a score_fn is given, but the job has no recipe. Else what its sampler raises.
    """
    if score_fn is not None and job.recipe is None:
        raise ValueError("score_fn is given, but this job has no recipe; leave score_fn out, or give the job a recipe")
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
        row["error"] = f"{type(error).__name__}: {error}"
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


def failed(job: Job, reason: str) -> Record:
    """The result of a job that could not be run.

    Args:
        job: the job.
        reason: why, in plain words.
    """
    return _unknown(job) | {"error": reason}
