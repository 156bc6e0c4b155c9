"""Learning a score by denoising: a recipe (TrainConfig) and an iterator that follows it (Trainer).

A run is a function of mixture, SDE, recipe and device alone: every draw comes from generators of its own.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from scoredm.losses import WEIGHTINGS, dsm_floor, dsm_losses, mean_weight
from scoredm.mixture import GaussianMixture
from scoredm.networks import PARAMETRISATIONS, NotebookNet, ScoreNet
from scoredm.score import exact_score
from scoredm.sde import SDE

NETWORKS = ("scorenet", "notebook")
SCHEDULES = ("one-cycle", "constant")
AVERAGES = ("none", "running", "ema")

# The words that each choice in a recipe may be.
CHOICES: dict[str, tuple[str, ...]] = {
    "network": NETWORKS,
    "schedule": SCHEDULES,
    "parametrisation": PARAMETRISATIONS,
    "weighting": tuple(WEIGHTINGS),
    "average": AVERAGES,
}

# Lowest and highest value of every number in a recipe.
BOUNDS: dict[str, tuple[float, float]] = {
    "data_size": (10, 30_000),
    "batch": (0, 30_000),
    "steps": (1, 20_000),
    "learning_rate": (1e-5, 1.0),
    "eps": (1e-4, 0.5),
    "seed": (0, 2**31 - 1),
    "eval_every": (1, 1_000),
    "width": (2, 128),
    "decay": (0.9, 0.9999),
}

EVALUATION_POINTS = 1024
QUADRATURE_TIMES = 24
FOLLOWING = 5.0  # the running mean of the weights follows the present ones at the rate 5 / step
WARM_UP = 0.1  # share of a one-cycle run in which the rate rises


@final
@dataclass(frozen=True)
class TrainConfig:
    """A training recipe; the same recipe gives the same numbers.

    network: "scorenet" or "notebook"; data_size: training points; batch: noisy points a step, at most all the data (each point
    once, or twice if paired), which 0 also stands for; steps: optimiser steps (Adam); learning_rate: the rate, or its peak;
    schedule: "one-cycle" (rise, then fall to 0) or "constant"; eps: times are uniform on [eps, 1]; seed: of data, weights and
    noise; eval_every: steps between two evaluations of the score error; width: units in a hidden layer; paired: take each noise
    with both signs, and times spread evenly, which keeps the mean of the loss and lowers its noise.

    parametrisation: what the network's last layer predicts, "own", "score", "noise" or "clean" (see `networks`); weighting: of
    the loss over t, "sigma2", "likelihood", "min-snr" or "edm" (see `losses`), divided by its mean over t; average: whose score
    it is, that of the present weights ("none"), of a mean that reaches back over a share of the steps ("running") or of an
    exponential moving average with rate 1 - `decay` ("ema"). CHOICES has the words and BOUNDS the ranges.

    Raises ValueError, naming the value and the allowed range.
    """

    network: str = "scorenet"
    data_size: int = 10_000
    batch: int = 1_024
    steps: int = 1_000
    learning_rate: float = 0.01
    schedule: str = "one-cycle"
    eps: float = 0.01
    seed: int = 2021
    eval_every: int = 20
    width: int = 64
    paired: bool = True
    parametrisation: str = "own"
    weighting: str = "sigma2"
    average: str = "running"
    decay: float = 0.999

    def __post_init__(self) -> None:
        """Refuse a recipe that cannot be followed."""
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}")
        if not isinstance(self.paired, bool):
            raise ValueError(f"paired is {self.paired!r}; it must be True or False")
        for field in fields(self):
            if field.name in BOUNDS:
                _check_number(field.name, getattr(self, field.name), whole=field.type is int)

    @property
    def rows(self) -> int:
        """Points of the data that a step takes, 0 for all: half as many as noisy ones where each noise has both signs."""
        return (self.batch + 1) // 2 if self.paired else self.batch

    @classmethod
    def notebook(cls) -> "TrainConfig":
        """The tutorial's recipe: its network, 10000 points, 500 full-batch Adam steps at .005 (its lambda is 25)."""
        return cls(
            network="notebook",
            batch=0,
            steps=500,
            learning_rate=0.005,
            schedule="constant",
            eval_every=10,
            width=50,
            paired=False,
            average="none",
        )


def _check_number(name: str, value: object, *, whole: bool) -> None:
    low, high = BOUNDS[name]
    kind = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        noun = "whole number" if whole else "number"
        raise ValueError(f"{name} is {value!r}; it must be a {noun} from {low:g} to {high:g}")


@final
@dataclass(frozen=True, slots=True)
class TrainMetrics:
    """What is known after an optimiser step.

    step: 1 after the first; dsm: the loss of this step's batch; floor: the least mean DSM loss over t uniform on [eps, 1];
    train_error, test_error: mean over t of sigma_t^2 || s - exact ||^2 on diffused training points and on fresh ones;
    notebook_error: the tutorial's faulty measure (see `notebook_score_error`); evaluated: whether the three errors are of this
    step (the first, the last, every eval_every-th) or carried over from the last evaluation; seconds: spent computing steps and
    evaluations so far.

    Loss, floor and errors are weighted by sigma_t^2 whatever weighting the optimiser follows, so that recipes can be compared,
    and dsm - floor and the errors share an axis.
    """

    step: int
    dsm: float
    floor: float
    train_error: float
    test_error: float
    notebook_error: float
    evaluated: bool
    seconds: float


class _Errors(NamedTuple):
    train: float
    test: float
    notebook: float


@final
class Trainer:
    """Trains a network on samples of a mixture, or on points of one's own, one optimiser step per `next`.

    Iterating yields a TrainMetrics after each step and ends after config.steps; between any two steps it can be left and
    taken up again, with the same numbers. `.score_fn` is the network (it goes on changing while training goes on).

    Raises FloatingPointError, naming the step, where the loss is no longer a finite number.
    """

    def __init__(
        self,
        mixture: GaussianMixture,
        sde: SDE,
        config: TrainConfig | None = None,
        device: torch.device | str | None = None,
        data: Tensor | None = None,
    ) -> None:
        """Draw data, weights and evaluation sets; config: our recipe by default; device: `default_device()` by default.

        data: training points (N, D), N at least 2, in place of config.data_size draws of the mixture, taken in single precision;
        the floor and both score errors stay those of the mixture. Raises ValueError for data of another shape, NaN or infinity.
        """
        self.config = config = config or TrainConfig()
        self.sde = sde
        self.mixture = mixture
        self.device = torch.device(device) if device is not None else default_device()
        self.history: list[TrainMetrics] = []
        seeds = torch.Generator().manual_seed(config.seed)
        data = mixture.sample(config.data_size, seeds) if data is None else _checked(data, mixture.dim)
        self._network = _network(sde, data, config, seeds).to(self.device)
        self.score_fn = copy.deepcopy(self._network).requires_grad_(False) if config.average != "none" else self._network
        self._weigh = _weighting(sde, data, config)
        self._evaluation = _Evaluation(mixture, sde, data, config.eps, seeds, self.device)
        self._data = data.to(self.device)
        self._draws = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=seeds)))
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=config.learning_rate, fused=True)
        self.floor = mean_floor(mixture, sde, config.eps)

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return len(self.history)

    @property
    def done(self) -> bool:
        """Whether every step of the recipe has been taken."""
        return self.step >= self.config.steps

    def __iter__(self) -> Iterator[TrainMetrics]:
        """The trainer itself."""
        return self

    def __next__(self) -> TrainMetrics:
        """Take one step."""
        if self.done:
            raise StopIteration
        start = time.perf_counter()
        loss = self._advance()
        step = self.step + 1
        evaluated = step in (1, self.config.steps) or step % self.config.eval_every == 0
        last = self.history[-1] if self.history else None
        if evaluated or last is None:
            errors = self._evaluation(self.score_fn)
        else:
            errors = _Errors(last.train_error, last.test_error, last.notebook_error)
        seconds = (last.seconds if last else 0.0) + time.perf_counter() - start
        metrics = TrainMetrics(step, loss, self.floor, *errors, evaluated, seconds)
        self.history.append(metrics)
        return metrics

    def _advance(self) -> float:
        """One optimiser step; the sigma^2-weighted loss before it."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        x0, t, noise = self._batch()
        losses = dsm_losses(self._network, self.sde, x0, t, noise)
        loss = losses.mean()
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value} at step {self.step + 1}; a lower learning rate may help")
        self._optimiser.zero_grad()
        (loss if self._weigh is None else (self._weigh(t) * losses).mean()).backward()
        self._optimiser.step()
        if self.config.average != "none":
            self._average()
        return value

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Data, times and noise of one step."""
        x0, paired = self._data, self.config.paired
        if 0 < self.config.rows < len(x0):
            x0 = x0[torch.randint(len(x0), (self.config.rows,), generator=self._draws, device=self.device)]
        t = uniform_times(len(x0), self.config.eps, self._draws, even=paired)
        noise = torch.randn(x0.shape, generator=self._draws, device=self.device)
        if not paired:
            return x0, t, noise
        return torch.cat([x0, x0]), torch.cat([t, t]), torch.cat([noise, -noise])

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones."""
        share = averaging_share(self.config, self.step)
        for average, weight in zip(self.score_fn.parameters(), self._network.parameters(), strict=True):
            average.lerp_(weight, share)


def _checked(data: Tensor, dim: int) -> Tensor:
    """Training points in the precision of the network's weights."""
    if data.ndim != 2 or len(data) < 2 or data.shape[1] != dim:
        raise ValueError(f"data have shape {tuple(data.shape)}; they must be (N, {dim}) with N at least 2")
    data = data.detach().to("cpu", torch.get_default_dtype())
    bad = (~torch.isfinite(data)).any(1).nonzero()
    if len(bad):
        raise ValueError(f"data[{int(bad[0])}] is {data[int(bad[0])].tolist()}; NaN and infinity are not allowed")
    return data


class _Evaluation:
    """Score errors on points, times and exact scores drawn once: diffused training points, diffused fresh points, and data."""

    def __init__(
        self, mixture: GaussianMixture, sde: SDE, data: Tensor, eps: float, generator: torch.Generator, device: torch.device
    ) -> None:
        train, fresh = data[:EVALUATION_POINTS], mixture.sample(EVALUATION_POINTS, generator)
        x0 = torch.cat([train, fresh])
        t = torch.cat([uniform_times(len(part), eps, generator, even=True) for part in (train, fresh)])
        x = sde.perturb(x0, t, torch.randn(x0.shape, generator=generator))
        self._sizes = [len(train), len(fresh), len(train)]
        self._x = torch.cat([x, train]).to(device)
        self._t = torch.cat([t, t[: len(train)]]).to(device)
        self._exact = torch.cat([exact_score(mixture, sde)(x, t), mixture.score(train)]).to(device)
        unweighted = torch.full((len(train),), 1 / mixture.dim)
        self._weight = torch.cat([torch.as_tensor(sde.sigma(t)) ** 2, unweighted]).to(device)

    @torch.no_grad()
    def __call__(self, score_fn: ScoreNet | NotebookNet) -> _Errors:
        square = self._weight * (score_fn(self._x, self._t) - self._exact).square().sum(-1)
        return _Errors(*(float(part.mean()) for part in square.split(self._sizes)))


def _network(sde: SDE, data: Tensor, config: TrainConfig, generator: torch.Generator) -> ScoreNet | NotebookNet:
    dim, width, kind = data.shape[1], config.width, config.parametrisation
    if config.network == "notebook":
        return NotebookNet(sde, dim, width=width, parametrisation=kind, generator=generator)
    mean, covariance = data.mean(0), torch.cov(data.T).reshape(dim, dim)
    return ScoreNet(sde, dim, width=width, mean=mean, covariance=covariance, parametrisation=kind, generator=generator)


def _weighting(sde: SDE, data: Tensor, config: TrainConfig) -> Callable[[Tensor], Tensor] | None:
    """The weights of times (T,), with mean 1 over t; None where every weight is 1."""
    if config.weighting == "sigma2":
        return None
    spread = float(data.var(0).mean().sqrt())
    mean = mean_weight(config.weighting, sde, config.eps, spread)
    return lambda t: WEIGHTINGS[config.weighting](sde, t, spread) / mean


def uniform_times(n: int, eps: float, generator: torch.Generator, *, even: bool) -> Tensor:
    """n times uniform on [eps, 1], (n,), on the generator's device: independent, or evenly, one in every n-th part of it."""
    u = torch.rand(n, generator=generator, device=generator.device)
    if even:
        u = (torch.arange(n, device=generator.device) + u) / n
    return eps + (1 - eps) * u


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of a step (0 for the first): constant, or linear up to the peak and along a half cosine down to 0, at mid-step.

    Source: Smith and Topin 2018, "Super-Convergence", arXiv 1708.07120.
    """
    if config.schedule == "constant":
        return config.learning_rate
    done = (step + 0.5) / config.steps
    if done <= WARM_UP:
        return config.learning_rate * done / WARM_UP
    return config.learning_rate * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def averaging_share(config: TrainConfig, step: int) -> float:
    """How far the averaged weights move towards the present ones at a step (0 for the first).

    "running": 5 / (step + 1), which reaches back over a sixth of the steps so far; "ema": 1 - min(decay, (1 + step) /
    (10 + step)), where the warm-up makes the untrained weights soon forgotten.
    Source: Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; the warm-up is TensorFlow's.
    """
    if config.average == "running":
        return min(1.0, FOLLOWING / (step + 1))
    return 1 - min(config.decay, (1 + step) / (10 + step))


def mean_floor(mixture: GaussianMixture, sde: SDE, eps: float) -> float:
    """The DSM floor, averaged over t uniform on [eps, 1] by Gauss-Legendre quadrature."""
    times, weights = quadrature_times(eps)
    return float(dsm_floor(mixture, sde, times) @ weights)


def quadrature_times(eps: float) -> tuple[np.ndarray, np.ndarray]:
    """24 times and weights whose weighted sum is the mean of a smooth function over t uniform on [eps, 1] (Gauss-Legendre)."""
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_TIMES)
    return eps + (1 - eps) * (nodes + 1) / 2, weights / 2


def default_device() -> torch.device:
    """CUDA when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
