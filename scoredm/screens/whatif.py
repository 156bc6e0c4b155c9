"""What if: the line of code of the reverse process with slips in it, run beside the right line on the same noise."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from scoredm import address, fields
from scoredm.exercises import cases, checks
from scoredm.exercises.arrays import Meter, Value
from scoredm.exercises.interpreter import Program, read
from scoredm.experiment import Experiment
from scoredm.fields import Outline
from scoredm.mixture import GaussianMixture
from scoredm.statistics import Measurement
from scoredm.streams import generator

PARTICLES, FEWER, MANY = 500, 200, 12  # particles, and those for data with more than so many components, to answer at once


@dataclass(frozen=True)
class Settings:
    """What is changed in the line; the bounds are in the address table.

    Attributes:
        no_noise: the noise term is left out.
        plain_dt: the noise is multiplied by dt where it should be multiplied by its root.
        minus: a minus stands before the score.
        half: the score term is halved.
        earlier: f, g and s are taken at t - dt, which is no slip.
        eta: 1 for the reverse SDE, 0 for the probability-flow ODE, or between the two.
        line_steps: from t = 1 to t = 0.

    Raises:
        ValueError: a value is out of bounds.
    """

    no_noise: bool = address.default("reverse", "no_noise")
    plain_dt: bool = address.default("reverse", "plain_dt")
    minus: bool = address.default("reverse", "minus")
    half: bool = address.default("reverse", "half")
    earlier: bool = address.default("reverse", "earlier")
    eta: float = address.default("reverse", "eta")
    line_steps: int = address.default("reverse", "line_steps")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("reverse", self)

    @property
    def right(self) -> "Settings":
        """The same process and steps, with nothing changed in the line."""
        return Settings(eta=self.eta, line_steps=self.line_steps)

    @property
    def weight(self) -> float:
        """The factor before the score, without its sign: (1 + eta^2) / 2, or half of it."""
        return (1 + self.eta**2) / (4 if self.half else 2)

    @property
    def noisy(self) -> bool:
        """Whether the line adds noise."""
        return self.eta > 0 and not self.no_noise


def code(settings: Settings, *, drift: bool) -> str:
    """The line of code.

        x - f(t)*x*dt + (1 + eta**2)/2*g(t)**2*score(x, t)*dt + eta*g(t)*sqrt(dt)*z

    Args:
        settings: what is changed in it.
        drift: whether the SDE has one.
    """
    t = "t - dt" if settings.earlier else "t"
    line = f"x - f({t})*x*dt" if drift else "x"
    line += f" {'-' if settings.minus else '+'} {_factor(settings.weight)}g({t})**2*score(x, {t})*dt"
    if settings.noisy:
        line += f" + {_factor(settings.eta)}g({t})*{'dt' if settings.plain_dt else 'sqrt(dt)'}*z"
    return line


def particles(experiment: Experiment) -> int:
    """How many particles each line moves.

    Args:
        experiment: target, SDE and seed.
    """
    return PARTICLES if experiment.mixture.n_components <= MANY else FEWER


def has_drift(experiment: Experiment) -> bool:
    """Whether the SDE of an experiment has a drift.

    Args:
        experiment: target, SDE and seed.
    """
    return float(experiment.sde.drift_rate(0.5)) != 0


def _factor(value: float) -> str:
    return "" if value == 1 else f"{value:.10g}*"


@dataclass(frozen=True, eq=False)
class Run:
    """Where a line takes the points.

    Attributes:
        code: the line.
        end: the points at t = 0, (N, D); where they left the range of numbers they are not finite.
        variance: of a coordinate, the mean over the coordinates; not finite where the points are not.
        within: the mean squared distance to the mean of a point's own component, for each coordinate.
    """

    code: str
    end: np.ndarray = field(repr=False)
    variance: Measurement
    within: Measurement


@dataclass(frozen=True, eq=False)
class Result:
    """A line beside the right one.

    Attributes:
        tried: the line with its slips.
        right: the right line, from the same points and with the same noise.
        exact: the variance of a coordinate of the data, the mean over the coordinates.
        exact_within: what `within` is for the data.
        outside: how many points end outside the window of the data with the line that is tried.
        outline: the window and the exact contours of the data, or their density on the line.
    """

    tried: Run
    right: Run
    exact: float
    exact_within: float
    outside: int
    outline: Outline = field(repr=False)


def run(experiment: Experiment, settings: Settings, attempt: "Callable[[Experiment, Settings], Run] | None" = None) -> Result:
    """Run a line with its slips, and the right line on the same noise.

    Args:
        experiment: target, SDE and seed.
        settings: what is changed in the line.
        attempt: `try_line`, or a function that remembers its results.
    """
    attempt = attempt or try_line
    mixture, tried = experiment.mixture, attempt(experiment, settings)
    outline = fields.outline(mixture, experiment.sde, 0.0)
    low, high = outline.box[0::2], outline.box[1::2]
    inside = ((tried.end >= low) & (tried.end <= high)).all(1)
    return Result(
        tried=tried,
        right=attempt(experiment, settings.right),
        exact=float(mixture.covariance.diagonal().mean()),
        exact_within=float(mixture.weights @ mixture.principal_axes[0].mean(1)),
        outside=int((~inside).sum()),
        outline=outline,
    )


def try_line(experiment: Experiment, settings: Settings) -> Run:
    """Take points from p_1 to t = 0 by a line of code, as the exercises interpret it.

    Where f and g are infinite at t = 1, as for a rectified flow, they start at the time with alpha = 0.01.

    Args:
        experiment: target, SDE and seed.
        settings: what is changed in the line, and the steps.
    """
    line = code(settings, drift=has_drift(experiment))
    end = _rollout(experiment, read(line), settings.line_steps)
    return Run(line, end, _variance(end), _within(end, experiment.mixture))


def _rollout(experiment: Experiment, program: Program, steps: int) -> np.ndarray:
    """The points at t = 0, (N, D)."""
    sde, draws = experiment.sde, generator(experiment, "reverse")
    first = float(sde.with_signal(1.0))
    dt = first / steps
    shape = particles(experiment), experiment.dim
    x: Value = experiment.distribution(first).sample(shape[0], draws).double().numpy()
    case = cases.step_case(experiment.mixture, sde, first, dt, experiment.seed, 1)
    names = checks.scope({**case, "f": cases.drift_rate(sde)})
    for i in range(steps):
        z = torch.randn(shape, generator=draws, dtype=torch.float64).numpy()
        x = program.run({**names, "x": x, "t": first - i * dt, "z": z}, Meter())
    return np.asarray(x)


def _variance(x: np.ndarray) -> Measurement:
    """The variance of a coordinate, the mean over the coordinates."""
    with np.errstate(all="ignore"):
        square = np.square(x - x.mean(0)).mean(1) * len(x) / (len(x) - 1)
        return Measurement.mean(square)


def _within(x: np.ndarray, mixture: GaussianMixture) -> Measurement:
    """The mean over points of sum_k r_k(x) |x - mu_k|^2 / D, which is sum_k w_k tr S_k / D for the data."""
    r = mixture.responsibilities(torch.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        square = np.square(x[:, None] - mixture.means.numpy()).mean(2)
        return Measurement.mean((r * square).sum(1))
