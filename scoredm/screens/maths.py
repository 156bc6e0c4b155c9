"""The maths: both sides of each formula, computed independently for the experiment; one result for each topic."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from scoredm import address, identities
from scoredm.experiment import Experiment
from scoredm.identities import (
    Parametrisation,
    TwoSides,
    parametrise,
    posterior_spread,
    two_sides,
    variance_preserving,
    wrong_score,
)
from scoredm.losses import dsm_floor
from scoredm.priors import exact_prior
from scoredm.samplers import Step, heun, reverse_step
from scoredm.screens.calls import Compute, in_turn
from scoredm.simulation import sample
from scoredm.statistics import Measurement
from scoredm.streams import generator

PARTICLES, STEPS, PATHS = 2000, 200, 8
T_MIN = 0.01
MANY = 50  # components beyond which fewer draws and times are taken, to answer soon
SHARES = tuple(np.round(np.linspace(-0.5, 1.5, 21), 2).tolist())
NEAR_DIM = 0.75  # of D: a floor that starts above it starts near D


@dataclass(frozen=True)
class Settings:
    """The choices of the maths screen; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds.
    """

    topic: str = address.default("maths", "topic")
    eta: float = address.default("maths", "eta")
    wrong: str = address.default("maths", "wrong")
    share: float = address.default("maths", "share")
    t: float = address.default("maths", "t")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("maths", self)


@dataclass(frozen=True)
class MomentRow:
    """A moment of the first coordinate at the end of a run, exact and found with its standard error.

    Args:
        moment: "mean" or "variance".
        flow: whether the run is the probability flow, else the reverse process with noise eta.
        exact: of p_t at the end of the run.
        found: in the sample.
        error: the standard error of `found`.
    """

    moment: str
    flow: bool
    exact: float
    found: float
    error: float


@dataclass(frozen=True, eq=False)
class ReversePaths:
    """A few reverse paths with noise and without from the same initial points, and the moments of all at the end.

    Args:
        eta: the noise of the first of the two.
        t_min: the time at which both stop.
        rows: of the table.
        times: (T,).
        noisy: (T, PATHS), the first coordinate.
        flow: (T, PATHS), the first coordinate.
    """

    eta: float
    t_min: float
    rows: tuple[MomentRow, ...]
    times: np.ndarray
    noisy: np.ndarray
    flow: np.ndarray


@dataclass(frozen=True, eq=False)
class DsmSides:
    """Both sides of J_DSM = J_ESM + C for blends of a wrong and the exact score, and at the share c that was chosen.

    Args:
        share: the chosen c.
        dsm: J_DSM at c, simulated.
        dsm_error: its standard error.
        esm: J_ESM at c.
        constant: C, the floor.
        esm_and_constant: J_ESM + C.
        sides: the same for every share of the chart.
    """

    share: float
    dsm: float
    dsm_error: float
    esm: float
    constant: float
    esm_and_constant: float
    sides: TwoSides


@dataclass(frozen=True, eq=False)
class FloorCurve:
    """The floor over time by quadrature, and simulated at fewer times.

    Args:
        near_dim: whether it starts near D; where the noise is larger than the data from the start, it does not.
        times: (T,).
        floor: (T,).
        at: (M,) the times of the simulated values.
        spread: (M,) simulated, as the spread of the clean data given the noisy.
        error: (M,) its standard error.
    """

    near_dim: bool
    times: np.ndarray
    floor: np.ndarray
    at: np.ndarray
    spread: np.ndarray
    error: np.ndarray


@dataclass(frozen=True, eq=False)
class Weightings:
    """Four weightings of the loss.

    Args:
        level: (T,) noise sigma_t / alpha_t in standard deviations of the data.
        shares: each weighting (T,), per unit of ln(sigma_t / alpha_t); each integrates to 1.
    """

    level: np.ndarray
    shares: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Parametrisations:
    """One noisy point in two parametrisations, and its clean mean by Bayes' rule over the components, (D,)."""

    exploding: Parametrisation
    preserving: Parametrisation
    bayes: np.ndarray


@dataclass(frozen=True)
class Summary:
    """The summary of the class has no numbers."""


Result = ReversePaths | DsmSides | FloorCurve | Weightings | Parametrisations | Summary


def run(experiment: Experiment, settings: Settings) -> Result:
    """Compute both sides of the formula of a topic.

    Args:
        experiment: target, SDE and seed.
        settings: the topic, and its choices.

    Returns:
        A result of the topic's own kind.
    """
    match settings.topic:
        case "reverse":
            return reverse_paths(experiment, settings.eta)
        case "dsm":
            return at_share(dsm_sides(experiment, settings.wrong, settings.t), settings.share)
        case "floor":
            return floor_curve(experiment)
        case "weightings":
            return weightings(experiment)
        case "parametrisations":
            return parametrisations(experiment, settings.t)
    return Summary()


def reverse_paths(experiment: Experiment, eta: float, compute: Compute = in_turn) -> ReversePaths:
    """Run the reverse process with noise eta by Euler steps, and the probability flow by Heun's, from the same draws of p_1.

    Args:
        experiment: target, SDE and seed.
        eta: 0 or more; see `samplers.reverse_step`.
        compute: gives the values of two calls that take about equally long.
    """
    (_times, noisy), (times, flow) = compute(partial(noisy_paths, experiment, eta), partial(flow_paths, experiment))
    return ReversePaths(
        eta=eta,
        t_min=T_MIN,
        rows=_moments(experiment, noisy[-1], flow=False) + _moments(experiment, flow[-1], flow=True),
        times=times,
        noisy=noisy[::2, :PATHS],
        flow=flow[:, :PATHS],
    )


def noisy_paths(experiment: Experiment, eta: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and the first coordinate of every particle at each, of the reverse process with noise eta.

    Args:
        experiment: target, SDE and seed.
        eta: 0 or more.
    """
    return _first_coordinate(experiment, reverse_step(eta), STEPS)


def flow_paths(experiment: Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Times and the first coordinate of every particle at each, of the probability flow.

    Heun's steps are twice as long and take two evaluations each: the flow's own error is then too small to see.

    Args:
        experiment: target, SDE and seed.
    """
    return _first_coordinate(experiment, heun, STEPS // 2)


def _first_coordinate(experiment: Experiment, step: Step, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Times (steps + 1,) and the first coordinate of every particle at each, (steps + 1, PARTICLES)."""
    run = sample(
        experiment.sde,
        experiment.score,
        PARTICLES,
        steps=steps,
        step=step,
        prior=exact_prior(experiment.mixture, experiment.sde),
        t_min=T_MIN,
        generator=generator(experiment, "reverse"),
        trajectory=True,
    )
    return np.array(run.times), run.points[..., 0].numpy()


def _moments(experiment: Experiment, end: np.ndarray, *, flow: bool) -> tuple[MomentRow, MomentRow]:
    exact, x = experiment.distribution(T_MIN), end.astype(float)
    mean, variance = Measurement.mean(x), Measurement.variance(x)
    return (
        MomentRow("mean", flow, float(exact.mean[0]), mean.value, mean.error),
        MomentRow("variance", flow, float(exact.covariance[0, 0]), variance.value, variance.error),
    )


def dsm_sides(experiment: Experiment, wrong: str, t: float) -> TwoSides:
    """Both sides of DSM = ESM + constant at one time, for blends of a wrong and the exact score.

    Args:
        experiment: target, SDE and seed.
        wrong: "zero", "gaussian" or "frozen"; see `identities.wrong_score`.
        t: the time, above 0.
    """
    mixture, sde = experiment.mixture, experiment.sde
    n = 10_000 if mixture.n_components <= MANY else 2_000
    return two_sides(mixture, sde, wrong_score(wrong, mixture, sde), t, SHARES, n, generator(experiment, "metric"))


def at_share(sides: TwoSides, share: float) -> DsmSides:
    """Both sides at one share c.

    Args:
        sides: at three or more shares.
        share: c, of the exact score in the blend.
    """
    one, floor = sides.at(share), float(sides.floor)
    return DsmSides(share, one.dsm, one.dsm_error, one.esm, floor, one.esm + floor, sides)


def floor_curve(experiment: Experiment) -> FloorCurve:
    """The floor by quadrature, and simulated as the spread of the clean data given the noisy.

    Args:
        experiment: target, SDE and seed.
    """
    mixture, sde, draws = experiment.mixture, experiment.sde, generator(experiment, "metric")
    few = mixture.n_components > MANY
    times, at = np.linspace(T_MIN, 1, 12 if few else 34), np.linspace(0.1, 1, 4 if few else 10)
    drawn = np.array([posterior_spread(mixture, sde, t, 1000 if few else 2000, draws) for t in at.tolist()])
    floor = dsm_floor(mixture, sde, times)
    return FloorCurve(bool(floor[0] > NEAR_DIM * experiment.dim), times, floor, at, *drawn.T)


def weightings(experiment: Experiment) -> Weightings:
    """Four weightings of the error of the predicted noise, over noise levels.

    Args:
        experiment: target, SDE and seed.
    """
    spread = float(experiment.mixture.covariance.diagonal().mean()) ** 0.5
    times = np.geomspace(T_MIN, float(experiment.sde.with_signal(1.0)), 60 if experiment.mixture.n_components <= MANY else 20)
    scales = np.array([experiment.sde.scales(t) for t in times.tolist()])
    level = scales[:, 1] / scales[:, 0] / spread
    return Weightings(level, identities.weightings(experiment.sde, times, spread))


def parametrisations(experiment: Experiment, t: float) -> Parametrisations:
    """Draw one point of p_t and predict noise and clean data from it with alpha = 1 and in the variance-preserving form.

    Args:
        experiment: target, SDE and seed.
        t: the time, above 0; where nothing is left of the data, a little earlier.
    """
    mixture, sde, draws = experiment.mixture, experiment.sde, generator(experiment, "paths")
    t = float(sde.with_signal(t))
    x0 = mixture.sample(1, draws)
    x = sde.perturb(x0, t, torch.randn(x0.shape, generator=draws))[0]
    alpha, sigma = sde.scales(t)
    a, s = variance_preserving(alpha, sigma)
    return Parametrisations(
        exploding=parametrise(mixture, 1.0, sigma / alpha, x / alpha),
        preserving=parametrise(mixture, a, s, x * a / alpha),
        bayes=mixture.posterior_mean(x.double(), *sde.scales(t)).numpy(),
    )
