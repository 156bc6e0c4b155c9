"""What the exercises are judged on: several mixtures, SDEs and times, with the numbers that an answer may be computed from.

Everything is drawn from fixed seeds, so that one answer always gets one verdict.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np
import torch

from scoredm import targets
from scoredm.exercises.arrays import Meter, Refusal, Value, number, tidy
from scoredm.language import _
from scoredm.mixture import GaussianMixture
from scoredm.score import exact_score
from scoredm.sde import SDE, VESDE, VPSDE, GeometricVESDE

LATEST = 2.0  # a mistake may ask for a score a little after t = 1
ROUNDING = 1e-9
REMEMBERED = 16  # times
SMALLEST_TIME = 0.01  # of the loss

Array = np.ndarray


@final
@dataclass(frozen=True)
class Given:
    """A function that an exercise gives: of a time, or of points and times.

    Attributes:
        name: as it is written.
        plain: the function itself, of floats and arrays.
        dim: D, of the points that it takes; 0 for a function of the time alone.
        cost: work for each number of its result.
    """

    name: str
    plain: Callable[..., Any]
    dim: int = 0
    cost: int = 8

    def __call__(self, *values: Any) -> Any:
        """Evaluate it on checked values.

        Args:
            *values: t, or x and t.
        """
        return self.plain(*values)

    @property
    def metered(self) -> Callable[..., Value]:
        """The function as the interpreter calls it: shapes and times are checked, and paid for."""
        return self._of_points if self.dim else self._of_time

    def _of_time(self, meter: Meter, t: Value) -> Value:
        times = number(t, self.name)
        times = _checked_times(times, self.name)
        meter.spend(np.size(times), self.cost)
        return self.plain(times)

    def _of_points(self, meter: Meter, x: Value, t: Value) -> Value:
        points, times = number(x, self.name), number(t, self.name)
        if np.ndim(points) != 2 or np.shape(points)[1] != self.dim:
            text = _("“{word}” needs points of shape {right}; it was given shape {shape}.")
            raise Refusal(text.format(word=self.name, right=f"(N, {self.dim})", shape=np.shape(points)))
        if np.ndim(times) > 1 or (np.ndim(times) == 1 and np.shape(times) != np.shape(points)[:1]):
            text = _("“{word}” needs one time, or one for each point; it was given times of shape {shape}.")
            raise Refusal(text.format(word=self.name, shape=np.shape(times)))
        times = _checked_times(times, self.name)
        meter.spend(np.size(points), 3 * self.cost)
        return self.plain(points, times)


def _checked_times(t: float | Array, word: str) -> float | Array:
    """Times as they are, those that rounding has put below 0 as 0."""
    if isinstance(t, float) and 0 <= t <= LATEST:
        return t
    times = np.asarray(t, dtype=float)
    wrong = ~((times >= -ROUNDING) & (times <= LATEST))
    if wrong.any():
        text = _("“{word}” was asked at time {t}; times go from 0 to 1.")
        raise Refusal(text.format(word=word, t=f"{times[wrong][0]:.3g}"))
    return tidy(np.maximum(times, 0.0))


def _of_library(function: Callable[[Any], Any]) -> Callable[[float | Array], float | Array]:
    """A function of the time from the library, of floats and arrays."""
    return lambda t: (
        function(torch.from_numpy(np.ascontiguousarray(t))).numpy() if isinstance(t, Array) else float(function(float(t)))
    )


def _score(mixture: GaussianMixture, sde: SDE) -> Callable[[Array, float | Array], Array]:
    exact = exact_score(mixture, sde)

    def score(x: Array, t: float | Array) -> Array:
        if not np.isfinite(x).all():
            return np.full(x.shape, np.nan)
        times = torch.from_numpy(np.ascontiguousarray(t)) if isinstance(t, Array) else float(t)
        return exact(torch.from_numpy(np.ascontiguousarray(x)), times).numpy()

    return score


def diffusion(sde: SDE) -> Given:
    """g(t) of an SDE.

    Args:
        sde: the forward diffusion.
    """
    return Given("g", _of_library(sde.diffusion))


def drift_rate(sde: SDE) -> Given:
    """f(t) of an SDE, whose drift is f(t) x.

    Args:
        sde: the forward diffusion.
    """
    return Given("f", _of_library(sde.drift_rate))


Case = Mapping[str, Any]  # the names in scope; those that begin with _ are for the judge alone


def _three() -> GaussianMixture:
    return GaussianMixture([[-2.0, 0, 1], [1, 1, 0], [0, -2, 0]], np.diag([0.5, 1, 0.2])[None].repeat(3, 0), [0.2, 0.5, 0.3])


def _one_dimension() -> GaussianMixture:
    return GaussianMixture([[-1.5], [1.5]], [[[0.3]], [[0.1]]], [0.4, 0.6])


def _mixtures() -> list[GaussianMixture]:
    return [targets.mixture("tutorial"), _one_dimension(), _three()]


def _draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _points(mixture: GaussianMixture, n: int, seed: int) -> Array:
    return mixture.sample(n, torch.Generator().manual_seed(seed)).double().numpy()


@cache
def sigma_cases() -> tuple[Case, ...]:
    """Times and lambdas for `sigma`."""
    return tuple({"t": t, "lam": lam} for lam in (25.0, 5.0, 0.5, 100.0) for t in (1.0, 0.75, 0.4, 0.1, 0.01))


@cache
def score_cases() -> tuple[Case, ...]:
    """Responsibilities and component scores for `mixture-score`; `_right` is the library's score of the mixture."""
    found = []
    for seed, (mixture, sde, t) in enumerate(
        [
            (_mixtures()[0], VESDE(25.0), 0.1),
            (_mixtures()[1], VESDE(5.0), 0.3),
            (_mixtures()[2], VPSDE(), 0.2),
            (_three(), VPSDE(), 0.02),
        ]
    ):
        noisy = mixture.at(sde, t)
        x = torch.from_numpy(_points(noisy, 60 + seed, seed))
        found.append(
            {
                "r": noisy.responsibilities(x).numpy(),
                "s": noisy.component_scores(x).numpy(),
                "_right": noisy.score(x).numpy(),
            }
        )
    return tuple(found)


@cache
def step_cases() -> tuple[Case, ...]:
    """Points, times and steps for the two samplers, under SDEs without drift."""
    settings = [
        (_mixtures()[0], VESDE(25.0), 0.9, 0.05),
        (_mixtures()[1], VESDE(5.0), 0.5, 0.1),
        (_mixtures()[2], GeometricVESDE(), 0.6, 0.02),
        (_mixtures()[0], VESDE(0.5), 0.3, 0.01),
    ]
    return tuple(step_case(mixture, sde, t, dt, seed) for seed, (mixture, sde, t, dt) in enumerate(settings))


def step_case(mixture: GaussianMixture, sde: SDE, t: float, dt: float, seed: int, n: int = 40) -> Case:
    """One step to take.

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.
        t: the time at which the step begins.
        dt: its length.
        seed: of the points and the noise.
        n: how many points.
    """
    x = _points(mixture.at(sde, t), n, seed)
    return {
        "x": x,
        "t": t,
        "dt": dt,
        "z": _draws(seed).standard_normal(x.shape),
        "g": diffusion(sde),
        "score": Given("score", _remembered(_score(mixture, sde), x), mixture.dim),
    }


def _remembered(score: Callable[..., Array], x: Array) -> Callable[..., Array]:
    """A score that keeps its values at x for a few times: every slip is tried on the same points."""
    known: dict[float, Array] = {}

    def remembered(points: Array, t: float | Array) -> Array:
        if points is not x or isinstance(t, Array):
            return score(points, t)
        if t not in known and len(known) < REMEMBERED:
            known[t] = score(x, t)
        return known[t] if t in known else score(x, t)

    return remembered


@cache
def tweedie_cases() -> tuple[Case, ...]:
    """Noisy points and their scores for `tweedie`; `_clean` is where they came from and `_right` the library's posterior mean."""
    found = []
    settings = [
        (_mixtures()[0], VPSDE(), 0.3),
        (_mixtures()[1], VPSDE(), 0.15),
        (_mixtures()[2], VESDE(25.0), 0.4),
        (_mixtures()[2], VPSDE(), 0.6),
    ]
    for seed, (mixture, sde, t) in enumerate(settings):
        clean = _points(mixture, 500, seed)
        alpha, sigma = sde.scales(t)
        x = alpha * clean + sigma * _draws(seed).standard_normal(clean.shape)
        exact = exact_score(mixture, sde)
        points = torch.from_numpy(x)
        found.append(
            {
                "x": x,
                "s": exact(points, t).numpy(),
                "alpha": alpha,
                "sigma": sigma,
                "_clean": clean,
                "_right": exact.posterior_mean(points, t).numpy(),
            }
        )
    return tuple(found)


@cache
def loss_cases() -> tuple[Case, ...]:
    """Data, noise, times and models for `dsm-loss`: first the three that the effect of a slip is measured on.

    t and z are those that the notebook's own code draws from torch's generator after `torch.manual_seed(_seed)`, so that a
    function which draws them itself is judged on the same numbers.
    """
    narrow, point = VESDE(25.0), np.zeros((500, 2))
    tutorial, three = _mixtures()[0], _three()
    settings = [
        (point, narrow, lambda x, t: -x / _variance(narrow, t)),
        (point, narrow, lambda x, _t: 0 * x),
        (_points(tutorial, 500, 1), narrow, _score(tutorial, narrow)),
        (_points(three, 300, 2), VESDE(5.0), lambda x, t: np.tanh(x) - x / (1 + _variance(VESDE(5.0), t))),
        (_points(_one_dimension(), 200, 3), GeometricVESDE(0.1, 3.0), lambda x, _t: 0.7 - 0.5 * x),
    ]
    return tuple(_loss_case(x, sde, model, seed) for seed, (x, sde, model) in enumerate(settings))


def _variance(sde: SDE, t: float | Array) -> float | Array:
    """sigma_t^2 with an axis for the coordinates."""
    variance = np.square(_of_library(sde.sigma)(t))
    return variance[:, None] if isinstance(variance, Array) and variance.ndim else float(variance)


def _loss_case(x: Array, sde: SDE, model: Callable[..., Array], seed: int) -> Case:
    draws = torch.Generator().manual_seed(seed)
    t = (torch.rand(len(x), generator=draws) * (1.0 - SMALLEST_TIME) + SMALLEST_TIME).double().numpy()
    z = torch.randn(x.shape, dtype=torch.float64, generator=draws).numpy()
    return {**_noisy(x, z, t, sde, model), "_seed": seed}


def loss_case(mixture: GaussianMixture, sde: SDE, t: float, seed: int, n: int) -> Case:
    """Data, noise and the exact score as the model, all at one time.

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion, without drift.
        t: the time of every point.
        seed: of the points and the noise, which are the same at each time.
        n: how many points.
    """
    x = _points(mixture, n, seed)
    z = _draws(seed).standard_normal(x.shape)
    return _noisy(x, z, np.full(n, t), sde, _score(mixture, sde))


def _noisy(x: Array, z: Array, t: Array, sde: SDE, model: Callable[..., Array]) -> Case:
    """The names of `dsm-loss` for these points, noises and times."""
    sigma = Given("sigma", _of_library(sde.sigma))
    std = sigma(t)
    return {
        "x": x,
        "z": z,
        "t": t,
        "sigma": sigma,
        "model": Given("model", model, x.shape[1]),
        "perturbed_x": x + std[:, None] * z,
        "random_t": t,
        "std": std,
    }


def normal_scores() -> Given:
    """The score of p_t for data from N(0, I) and lambda 25, in two dimensions."""
    rate = 2 * math.log(25.0)
    return Given("score", lambda x, t: -x / (1 + math.expm1(rate * float(np.max(t))) / rate), 2)
