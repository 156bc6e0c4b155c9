"""Learning a score by denoising: a recipe (TrainConfig) and an iterator that follows it (Trainer).

A run depends on mixture, SDE, recipe and device alone: it draws from generators of its own.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from scoredm.losses import WEIGHTINGS, dsm_floor, dsm_losses, mean_weight
from scoredm.mixture import GaussianMixture
from scoredm.networks import NOTEBOOK_WIDTH, PARAMETRISATIONS, SCORENET_WIDTH, NotebookNet, ScoreNet
from scoredm.score import check_mixture_and_sde, exact_score
from scoredm.sde import SDE
from scoredm.threads import FEW_NUMBERS, one_thread

NETWORKS = ("scorenet", "notebook")
SCHEDULES = ("one-cycle", "constant")
AVERAGES = ("none", "running", "ema")

# The values that each choice in a recipe may take.
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
    "eps": (1e-5, 0.5),
    "seed": (0, 2**31 - 1),
    "eval_every": (1, 1_000),
    "width": (2, 128),
    "decay": (0.9, 0.9999),
}

EVALUATION_POINTS = 1024
QUADRATURE_TIMES = 24
FOLLOWING = 5.0  # the running mean of the weights moves towards the current ones by the fraction 5 / step
LARGE_DATA = 100.0  # coordinates above this may be why a loss is not finite
WARM_UP = 0.1  # fraction of a one-cycle run in which the rate rises


@final
@dataclass(frozen=True)
class TrainConfig:
    """A training recipe: the same recipe gives the same numbers.

    CHOICES lists the values that the words may take, and BOUNDS the ranges of the numbers.

    Attributes:
        network: "scorenet" or "notebook".
        data_size: number of training points.
        batch: noisy points in a step; 0, or more than there are, takes all the data (each point twice if `paired`).
        steps: optimiser steps (Adam).
        learning_rate: the learning rate, or its highest value in a one-cycle schedule.
        schedule: "one-cycle" (rises, then falls to 0) or "constant".
        eps: the smallest time; times are uniform on [eps, 1].
        seed: seed of data, initial weights and noise.
        eval_every: steps between two evaluations of the score error.
        width: units in a hidden layer.
        paired: use each noise with both signs and spread the times evenly, which keeps the mean of the loss and reduces its
            variance.
        parametrisation: what the last layer predicts, "own", "score", "noise" or "clean" (see `scoredm.networks`).
        weighting: weight of the loss over t, "sigma2", "likelihood", "min-snr" or "edm" (see `scoredm.losses`), divided by its
            mean over t.
        average: which weights define the learned score: the current ones ("none"), a mean over the last part of the run
            ("running"), or an exponential moving average ("ema").
        decay: decay of the exponential moving average.

    Raises:
        ValueError: if a value is not allowed; the message has the value and the allowed range.
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
    width: int = SCORENET_WIDTH
    paired: bool = True
    parametrisation: str = "own"
    weighting: str = "sigma2"
    average: str = "running"
    decay: float = 0.999

    def __post_init__(self) -> None:
        """Check every value."""
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
        """Data points in a step (0 for all): half the batch if each noise is used with both signs."""
        return (self.batch + 1) // 2 if self.paired else self.batch

    @classmethod
    def notebook(cls) -> "TrainConfig":
        """The tutorial's recipe: its network, 10000 points, and 500 full-batch Adam steps at rate 0.005 (its lambda is 25)."""
        return cls(
            network="notebook",
            batch=0,
            steps=500,
            learning_rate=0.005,
            schedule="constant",
            eval_every=10,
            width=NOTEBOOK_WIDTH,
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
    """Loss and errors after one optimiser step.

    Loss and errors are weighted by sigma_t^2 whichever weighting the optimiser follows, so that recipes can be compared; on fresh
    data the mean loss is `Trainer.floor` + test_error.

    Attributes:
        step: 1 after the first step.
        dsm: the loss of this step's batch.
        train_error: mean over t of sigma_t^2 || s - exact ||^2 on diffused training points.
        test_error: the same on diffused fresh points.
        notebook_error: the tutorial's error, which is not 0 for the exact score (see `scoredm.losses.notebook_score_error`).
        evaluated: whether the three errors were measured at this step (the first, the last, and every eval_every-th) or are
            those of the last evaluation.
        seconds: computing time so far, of steps and evaluations.
    """

    step: int
    dsm: float
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
    """Trains a network on samples of a mixture, or on given points, one optimiser step per `next`.

    Iterating yields a TrainMetrics after each step and ends after config.steps. A run can be interrupted between two steps and
    continued later with the same numbers, also from a pickle of it. `score_fn` is the learned score; it changes while training
    continues. `history` has a record of each step; whoever needs the memory may empty it between two steps.

    Raises:
        FloatingPointError: if the loss is no longer finite; the message has the step and the likely causes.
    """

    def __init__(
        self,
        mixture: GaussianMixture,
        sde: SDE,
        config: TrainConfig | None = None,
        device: torch.device | str | None = None,
        data: Tensor | None = None,
    ) -> None:
        """Draw the data, the initial weights and the points of the evaluations.

        Args:
            mixture: the target.
            sde: the SDE that diffuses it.
            config: the recipe; by default the library's own.
            device: where to train; by default `default_device()`.
            data: training points, (N, D) with N at least 2, in place of config.data_size draws of the mixture; used in single
                precision. The floor and both score errors remain those of the mixture.

        Raises:
            TypeError: see `ExactScore`.
            ValueError: if the data have another shape or are not finite, or if the weighting is not finite for them.
        """
        check_mixture_and_sde(mixture, sde)
        self.config = config = config or TrainConfig()
        self.sde = sde
        self.mixture = mixture
        self.device = torch.device(device) if device is not None else default_device()
        self.history: list[TrainMetrics] = []
        self._last: TrainMetrics | None = None
        seeds = torch.Generator().manual_seed(config.seed)
        data = mixture.sample(config.data_size, seeds) if data is None else data
        data = _checked(data, mixture.dim)  # a narrow mixture far from 0 is sampled in double precision, the network is in single
        self._network = _network(sde, data, config, seeds).to(self.device)
        self.score_fn = copy.deepcopy(self._network).requires_grad_(False) if config.average != "none" else self._network
        self._weigh = _weighting(sde, data, config)
        self._evaluation = _Evaluation(mixture, sde, data, config.eps, seeds, self.device)
        self._data = data.to(self.device)
        self._numbers_in_step = min(config.rows or len(data), len(data)) * data.shape[1] * (1 + config.paired)
        self._draws = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=seeds)))
        self._optimiser = _Adam(list(self._network.parameters()))

    @cached_property
    def floor(self) -> float:
        """The lowest mean DSM loss over t uniform on [eps, 1]; computed when it is first asked for."""
        return mean_floor(self.mixture, self.sde, self.config.eps)

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self._last.step if self._last else 0

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
        last, step = self._last, self.step + 1
        evaluated = step in (1, self.config.steps) or step % self.config.eval_every == 0
        with one_thread(self._numbers_in_step <= FEW_NUMBERS):
            loss = self._advance()
            if evaluated or last is None:
                errors = self._evaluation(self.score_fn)
            else:
                errors = _Errors(last.train_error, last.test_error, last.notebook_error)
        seconds = (last.seconds if last else 0.0) + time.perf_counter() - start
        metrics = TrainMetrics(step, loss, *errors, evaluated, seconds)
        self._last = metrics
        self.history.append(metrics)
        return metrics

    def _advance(self) -> float:
        """One optimiser step; the sigma^2-weighted loss before it."""
        x0, t, noise = self._batch()
        losses = dsm_losses(self.sde, self._network, x0, t, noise)
        loss = losses.mean()
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value} at step {self.step + 1}. {self._causes()}")
        self._optimiser.forget()
        (loss if self._weigh is None else (self._weigh(t) * losses).mean()).backward()
        self._optimiser.step(learning_rate(self.config, self.step))
        if self.config.average != "none":
            self._average()
        return value

    def _causes(self) -> str:
        """What may have made the loss infinite or NaN, from what is known of this run."""
        config, largest = self.config, float(self._data.abs().max())
        causes = []
        if self.step:  # no rate has been used before the first step
            causes.append(f"the learning rate {config.learning_rate:g} is too high")
        if largest > LARGE_DATA:
            causes.append(f"the data are too large for the network (up to {largest:g}, it is made for about 1)")
        if config.weighting != "sigma2":
            causes.append(f'the weighting "{config.weighting}" is too large near t = {config.eps:g}')
        if config.parametrisation in ("score", "clean"):
            causes.append(f'the parametrisation "{config.parametrisation}" needs large outputs near t = {config.eps:g}')
        if not causes:
            causes.append(f"sigma_t is too small near t = {config.eps:g}")
        return f"Likely causes: {'; '.join(causes)}"

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Data, times and noise of one step."""
        x0, paired = self._data, self.config.paired
        if 0 < self.config.rows < len(x0):
            x0 = x0[torch.randint(len(x0), (self.config.rows,), generator=self._draws, device=self.device)]
        t = draw_times(len(x0), self.config.eps, self._draws, even=paired)
        noise = torch.randn(x0.shape, generator=self._draws, device=self.device)
        if not paired:
            return x0, t, noise
        return torch.cat([x0, x0]), torch.cat([t, t]), torch.cat([noise, -noise])

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the current ones.

        By hand, because torch.optim.swa_utils has neither of these averages and takes four times as long for networks this small.
        """
        share = averaging_share(self.config, self.step)
        torch._foreach_lerp_([*self.score_fn.parameters()], [*self._network.parameters()], share)


def _checked(data: Tensor, dim: int) -> Tensor:
    """Training points in the precision of the network's weights."""
    if data.ndim != 2 or len(data) < 2 or data.shape[1] != dim:
        raise ValueError(f"data have shape {tuple(data.shape)}; they must be (N, {dim}) with N at least 2")
    data = data.detach().to("cpu", torch.get_default_dtype())
    bad = (~torch.isfinite(data)).any(1).nonzero()
    if len(bad):
        raise ValueError(f"data[{int(bad[0])}] is {data[int(bad[0])].tolist()}; NaN and infinity are not allowed")
    return data


class _Adam:
    """torch's Adam as a function: its class loads torch's compiler, which takes seconds and is not used."""

    def __init__(self, weights: list[Tensor]) -> None:
        self._weights = weights
        self._means, self._squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
        self._steps = [torch.zeros((), dtype=torch.float32, device=weight.device) for weight in weights]

    def forget(self) -> None:
        """Forget the gradients of the step before."""
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move each weight along its gradient."""
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        adam(
            self._weights,
            gradients,
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


class _Evaluation:
    """Score errors on points, times and exact scores drawn once: diffused training points, diffused fresh points, and data."""

    def __init__(
        self, mixture: GaussianMixture, sde: SDE, data: Tensor, eps: float, generator: torch.Generator, device: torch.device
    ) -> None:
        train, fresh = data[:EVALUATION_POINTS], mixture.sample(EVALUATION_POINTS, generator)
        x0 = torch.cat([train, fresh])
        t = torch.cat([draw_times(len(part), eps, generator, even=True) for part in (train, fresh)])
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
    if config.weighting == "likelihood" and sde.only_noise(1.0):
        raise ValueError(
            'the weighting "likelihood" has no finite mean over t for this SDE, because alpha_t is 0 at t = 1; '
            'use the weighting "sigma2", "min-snr" or "edm"'
        )
    spread = float(data.var(0).mean().sqrt())
    mean = mean_weight(config.weighting, sde, config.eps, spread)
    ends = WEIGHTINGS[config.weighting](sde, torch.tensor([config.eps, 1.0]), spread)
    if not (0 < mean < math.inf and torch.isfinite(ends).all()):
        raise ValueError(
            f'the weighting "{config.weighting}" is not finite, because the standard deviation of the data is '
            f'{spread:g}; use data that differ, or the weighting "sigma2"'
        )
    return partial(_weight, config.weighting, sde, spread, mean)


def _weight(name: str, sde: SDE, spread: float, mean: float, t: Tensor) -> Tensor:
    return WEIGHTINGS[name](sde, t, spread) / mean


def draw_times(n: int, eps: float, generator: torch.Generator, *, even: bool) -> Tensor:
    """Draw times uniform on [eps, 1].

    Args:
        n: number of times.
        eps: the smallest time.
        generator: source of the draws; its device is that of the times.
        even: draw one time from each n-th part of [eps, 1] rather than independent times.

    Returns:
        The times, (n,).
    """
    u = torch.rand(n, generator=generator, device=generator.device)
    if even:
        u = (torch.arange(n, device=generator.device) + u) / n
    return eps + (1 - eps) * u


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of a step.

    The one-cycle schedule rises linearly to its highest value and falls to 0 along a half cosine. It is evaluated at the middle
    of a step, so that a run of a single step learns too (torch's OneCycleLR would take that step at a rate near 0).

    Args:
        config: the recipe.
        step: 0 for the first step.

    Returns:
        The learning rate.

    References:
        Smith and Topin 2018, "Super-Convergence", arXiv 1708.07120.
    """
    if config.schedule == "constant":
        return config.learning_rate
    done = (step + 0.5) / config.steps
    if done <= WARM_UP:
        return config.learning_rate * done / WARM_UP
    return config.learning_rate * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def averaging_share(config: TrainConfig, step: int) -> float:
    """The fraction of the way that the averaged weights move towards the current ones at a step.

        "running": min(1, 5 / (step + 1)),   "ema": 1 - min(decay, (1 + step) / (10 + step)).

    The running mean reaches back over about a sixth of the steps so far. The warm-up of the exponential average forgets the
    untrained weights quickly.

    Args:
        config: the recipe.
        step: 0 for the first step.

    Returns:
        A fraction from 0 to 1.

    References:
        Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; the warm-up is TensorFlow's.
    """
    if config.average == "running":
        return min(1.0, FOLLOWING / (step + 1))
    return 1 - min(config.decay, (1 + step) / (10 + step))


def mean_floor(mixture: GaussianMixture, sde: SDE, eps: float) -> float:
    """The lowest mean DSM loss over t uniform on [eps, 1], by Gauss-Legendre quadrature.

    Args:
        mixture: the target.
        sde: the SDE that diffuses it.
        eps: the smallest time.

    Returns:
        The mean of `scoredm.dsm_floor` over t.
    """
    times, weights = quadrature_times(eps)
    return float(dsm_floor(mixture, sde, times) @ weights)


def quadrature_times(eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of Gauss-Legendre quadrature for means over t uniform on [eps, 1].

    Args:
        eps: the smallest time.

    Returns:
        24 times and 24 weights, whose sum is 1.
    """
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_TIMES)
    return eps + (1 - eps) * (nodes + 1) / 2, weights / 2


def default_device() -> torch.device:
    """CUDA if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
