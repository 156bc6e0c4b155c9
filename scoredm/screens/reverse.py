"""Reverse: a run from noise to data with the exact score, compared with the data, and the cause of what is off."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scoredm import address, fields
from scoredm.comparison import SampleComparison, Statistic
from scoredm.experiment import Experiment
from scoredm.fields import Outline
from scoredm.frames import Frames
from scoredm.kernel_density import estimate_contours, estimate_curve
from scoredm.metrics import Estimate
from scoredm.samplers import reverse_step
from scoredm.screens import comparing, whatif
from scoredm.screens.animation import animate, kept
from scoredm.simulation import Trajectory, sample
from scoredm.streams import generator

DRAWN = {1: 250, 2: 1500}  # particles on the stage at most, by dimension: more would hide the density
ARROWS = 13  # score arrows a side
NOISE = {"sde": 1.0, "flow": 0.0}  # eta: how much of the reverse SDE's noise a process has
TYPICAL = 0.95  # quantile of the lengths of the arrows; a longer one is drawn as long as this one

Cause = Literal["stop", "last step", "prior", "steps"]


@dataclass(frozen=True)
class Settings:
    """The choices of the reverse screen; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds.
    """

    particles: int = address.default("reverse", "particles")
    steps: int = address.default("reverse", "steps")
    process: str = address.default("reverse", "process")
    prior: str = address.default("reverse", "prior")
    t_min: float = address.default("reverse", "t_min")
    denoise: bool = address.default("reverse", "denoise")
    camera: str = address.default("reverse", "camera")
    colour: str = address.default("reverse", "colour")
    arrows: bool = address.default("reverse", "arrows")
    moment: float = address.default("reverse", "moment")
    what_if: bool = address.default("reverse", "what_if")
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
    def simulated(self) -> "Settings":
        """The same run with the defaults of the choices that change only what is shown of it."""
        return Settings(self.particles, self.steps, self.process, self.prior, self.t_min, self.denoise)

    @property
    def animated(self) -> "Settings":
        """The same run and animation, with the defaults of the choices that change neither."""
        return replace(self.simulated, camera=self.camera, colour=self.colour, arrows=self.arrows)

    @property
    def line(self) -> whatif.Settings:
        """The line of code that is tried."""
        return whatif.Settings(self.no_noise, self.plain_dt, self.minus, self.half, self.earlier, self.eta, self.line_steps)


@dataclass(frozen=True, eq=False)
class Run:
    """A simulated run.

    Args:
        times: (T,) falling from 1; with the last step to E[x_0 | x] the last is 0.
        start: (N, D).
        end: (N, D).
        shown_times: (F,) the times of the animation.
        shown: (F, M, D) the particles that the animation shows.
        walk: (steps + 1, D) the path of the first particle.
        scores: (steps + 1, D) the score along it.
    """

    times: np.ndarray = field(repr=False)
    start: np.ndarray
    end: np.ndarray
    shown_times: np.ndarray = field(repr=False)
    shown: np.ndarray = field(repr=False)
    walk: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)


class ArrowSize(NamedTuple):
    """How the arrows of a frame are drawn: a score of norm `size` is `length` window widths long."""

    size: float
    length: float


@dataclass(frozen=True, eq=False)
class Animation:
    """Frames for the stage, and the sizes of their arrows, one a frame; none without arrows."""

    frames: Frames
    sizes: tuple[ArrowSize, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Truth:
    """What the end of every run of so many particles is drawn beside.

    Args:
        points: (N, D) an exact sample.
        outline: the window and the exact contours of the data, or their density on the line.
        estimate: contours of the exact sample's own kernel density estimate, or its curve on the line.
    """

    points: np.ndarray
    outline: Outline = field(repr=False)
    estimate: list[np.ndarray] = field(repr=False)


@dataclass(frozen=True)
class Update:
    """One step of the first particle.

    x_next = (1 - f dt) x + (1 + eta^2) / 2 g^2 s dt + eta g sqrt(dt) z

    Args:
        t: where it begins.
        dt: its length.
        f: the drift's rate, f(x, t) = f x.
        g: the diffusion coefficient.
        eta: 1 for the reverse SDE, 0 for the probability-flow ODE.
        x: (D,) the particle at t.
        score: (D,) s(x, t).
        noise: (D,) z; None where eta is 0.
        x_next: (D,) the particle at t - dt.
    """

    t: float
    dt: float
    f: float
    g: float
    eta: float
    x: np.ndarray
    score: np.ndarray
    noise: np.ndarray | None
    x_next: np.ndarray


@dataclass(frozen=True)
class Verdict:
    """Whether the samples can be told apart from exact ones, and why.

    Args:
        fault: what tells them apart: the worst statistic, the distance, or neither.
        difference: found minus exact of what tells them apart, or of the worst statistic; for the distance, minus the median of
            the noise floor.
        worst: the statistic with the largest difference in standard errors.
        z_score: that difference in standard errors.
        cause: what explains the fault; None without a fault.
        left: for the cause "stop", what the noise left at t_min alone adds: to the mean, to a variance or covariance, or to each
            point; at most, over coordinates.
        prior_cost: how much smaller the difference is in the same run, on the same noise, from the exact p_1; None where the
            question did not come up.
    """

    fault: Literal["statistic", "distance"] | None
    difference: float
    worst: Statistic
    z_score: float
    cause: Cause | None = None
    left: float | None = None
    prior_cost: float | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """The end of a run compared with the data.

    Args:
        statistics: rows of the table and, for many components, bars of the chart: means, variances and covariances, weights.
        weights: of all components, (K,).
        turned: whether means and spread are along the principal axes of the data.
        distance: sliced Wasserstein distance to an exact sample.
        noise_floor: that distance between exact samples: its 5, 50 and 95 % points.
        floor_samples: how many exact samples the distance was compared with.
        floor_maximum: the largest of their distances.
        verdict: whether the samples can be told apart from exact ones, and why.
        start_outline: the window and the exact contours of p_1, or its density on the line.
        estimate: contours of the run's kernel density estimate, or its curve on the line.
    """

    statistics: tuple[Statistic, ...]
    weights: Estimate
    turned: bool
    distance: float
    noise_floor: tuple[float, float, float]
    floor_samples: int
    floor_maximum: float
    verdict: Verdict
    start_outline: Outline = field(repr=False)
    estimate: list[np.ndarray] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Result:
    """What the reverse screen shows.

    Args:
        comparison: the end of the run compared with the data.
        update: one step of the first particle.
        run: the simulated run.
        truth: the window and the exact contours of the data, and an exact sample.
        animation: for the stage.
        what_if: a line of code with slips, tried beside the right one; None where nobody asks for it.
    """

    comparison: Comparison
    update: Update
    run: Run
    truth: Truth
    animation: Animation
    what_if: whatif.Result | None = None


def simulate(experiment: Experiment, settings: Settings) -> Run:
    """Run from noise to data with the exact score.

    Args:
        experiment: target, SDE and seed.
        settings: of the run.
    """
    run = _sampled(experiment, settings, trajectory=True)
    times = np.array(run.times)
    walk, at = run.points[: settings.steps + 1, 0], kept(len(times))
    scores = experiment.score(walk, torch.tensor(times[: len(walk)], dtype=torch.float64))
    return Run(
        times=times,
        start=run.points[0].contiguous().numpy().copy(),
        end=run.end.contiguous().numpy().copy(),
        shown_times=times[at],
        shown=run.points[at, : DRAWN[experiment.dim]].numpy(),
        walk=walk.numpy().copy(),
        scores=scores.numpy(),
    )


def _sampled(experiment: Experiment, settings: Settings, *, trajectory: bool = False) -> Trajectory:
    return sample(
        experiment.sde,
        experiment.score,
        settings.particles,
        steps=settings.steps,
        step=reverse_step(NOISE[settings.process]),
        prior=experiment.prior(settings.prior),
        t_min=settings.t_min,
        denoise=settings.denoise,
        generator=generator(experiment, "reverse"),
        trajectory=trajectory,
    )


def show(experiment: Experiment, settings: Settings, run: Run) -> Animation:
    """Show a run over the exact density, in the plane with arrows of the score where they are wanted.

    Args:
        experiment: target, SDE and seed.
        settings: what is shown of the run.
        run: from `simulate`.
    """
    labels = None
    if settings.colour == "component":
        labels = experiment.mixture.responsibilities(run.shown[-1].astype(np.float64)).argmax(-1).numpy()
    follow = settings.camera == "follow"
    frames = animate(experiment.mixture, experiment.sde, run.shown_times, run.shown, labels, follow=follow)
    if experiment.dim == 1 or not settings.arrows:
        return Animation(frames, ())
    points = torch.stack([fields.grid_points(box, ARROWS) for box in frames.windows])
    prepared = experiment.score.on_grid(frames.times.tolist(), points)
    vectors = fields.score_on(prepared, frames.times, points)
    spacing = (frames.windows[:, 1] - frames.windows[:, 0]) / ARROWS
    longest = np.quantile(np.linalg.norm(vectors, axis=-1), TYPICAL, axis=1)
    arrows = fields.arrow_lengths(vectors, spacing)
    sizes = tuple(ArrowSize(max(float(size), 1e-12), 1 / ARROWS) for size in longest)
    return Animation(replace(frames, anchors=points.numpy(), arrows=arrows), sizes)


def tell_truth(target: str, seed: int, n: int) -> Truth:
    """Draw an exact sample, its estimate, and the exact contours of the data; they do not depend on the SDE.

    Args:
        target: of the experiment.
        seed: of the experiment.
        n: points in the exact sample.
    """
    experiment = Experiment(target, seed=seed)
    points, outline = comparing.reference(experiment, n), fields.outline(experiment.mixture, experiment.sde, 0.0)
    return Truth(points, outline, estimate(points, outline))


def estimate(points: np.ndarray, outline: Outline) -> list[np.ndarray]:
    """Contours of a sample's kernel density estimate with the shares of an outline; on the line its curve.

    Args:
        points: the sample, (N, D).
        outline: the window and the exact contours of the data.

    Returns:
        Polylines, each (M, 2).
    """
    box = outline.box.tolist()
    return [estimate_curve(points, box)] if len(box) == 2 else estimate_contours(points, box, outline.shares)


def update(experiment: Experiment, settings: Settings, run: Run) -> Update:
    """The step of the first particle under way at the chosen time: from the last time of the grid that is not below it.

    Where f and g are infinite at t = 1, as for a rectified flow, it is the step after: the first is made without them.

    Args:
        experiment: target, SDE and seed.
        settings: of the run, with the chosen time.
        run: from `simulate`.
    """
    times, eta = run.times[: len(run.walk)], NOISE[settings.process]
    i = int(np.clip(np.searchsorted(-times, -settings.moment, side="right") - 1, 0, len(times) - 2))
    i += i == 0 and experiment.sde.only_noise(1.0)
    t, dt = float(times[i]), float(times[i] - times[i + 1])
    f, g = float(experiment.sde.drift_rate(t)), float(experiment.sde.diffusion(t))
    x, score, x_next = run.walk[i], run.scores[i], run.walk[i + 1]
    drifted = (1 - f * dt) * x + (1 + eta**2) / 2 * g**2 * score * dt
    noise = (x_next - drifted) / (eta * g * np.sqrt(dt)) if eta else None
    return Update(t, dt, f, g, eta, x, score, noise, x_next)


def judge(
    experiment: Experiment, settings: Settings, compared: SampleComparison, fresh: comparing.Fresh = comparing.fresh_samples
) -> Verdict:
    """Find out whether the samples can be told apart from exact ones, and what explains it.

    The run from the exact p_1 is simulated only where the other causes do not explain the fault.

    Args:
        experiment: target, SDE and seed.
        settings: of the run.
        compared: the end of the run, compared with the data.
        fresh: `comparing.fresh_samples`, or a function that remembers its results.
    """
    worst = compared.worst
    verdict = Verdict(None, worst.found - worst.exact, worst, worst.z_score)
    if compared.off:
        fault, kind = replace(verdict, fault="statistic"), worst.kind
    elif compared.far:
        fault, kind = replace(verdict, fault="distance", difference=compared.distance - compared.noise_floor[1]), "distance"
    else:
        return verdict
    left = _left_at_the_stop(experiment, settings.t_min, kind)
    if not settings.denoise and left / fault.difference > 0.5:
        return replace(fault, cause="stop", left=left)
    sigma, alpha = float(experiment.sde.sigma(settings.t_min)), float(experiment.sde.alpha(settings.t_min))
    if settings.denoise and kind == "spread" and 2 * (sigma / alpha) ** 2 > -fault.difference > 0:
        return replace(fault, cause="last step")
    if settings.prior == "exact":
        return replace(fault, cause="steps")
    cost = _prior_cost(experiment, settings, compared, fault, fresh)
    return replace(fault, cause="prior" if cost / fault.difference >= 0.5 else "steps", prior_cost=cost)


def _left_at_the_stop(experiment: Experiment, t: float, kind: str) -> float:
    """By how much p_t differs from the data at most: in a mean, in a covariance ("spread"), or each point ("distance")."""
    p_t, data = experiment.distribution(t), experiment.mixture
    if kind == "distance":
        return float(experiment.sde.sigma(t))
    apart: dict[str, Tensor] = {"mean": p_t.mean - data.mean, "spread": p_t.covariance - data.covariance}
    entries: list[float] = apart[kind].flatten().tolist() if kind in apart else [0.0]
    return max(entries, key=abs)


def _prior_cost(
    experiment: Experiment, settings: Settings, compared: SampleComparison, fault: Verdict, fresh: comparing.Fresh
) -> float:
    """By how much the run differs from the same run, on the same noise, from the exact p_1: in the statistic or the distance."""
    end = _sampled(experiment, replace(settings, prior="exact")).end.contiguous().numpy()
    exact = comparing.compare(experiment, end, fresh)
    if fault.fault == "distance":
        return compared.distance - exact.distance
    return fault.worst.found - next(other.found for other in exact.statistics if other.name == fault.worst.name)


def compare(
    experiment: Experiment,
    settings: Settings,
    run: Run,
    truth: Truth,
    fresh: comparing.Fresh = comparing.fresh_samples,
) -> Comparison:
    """Compare the end of a run with the data, and find the cause of what is off.

    Args:
        experiment: target, SDE and seed.
        settings: of the run.
        run: from `simulate`.
        truth: from `tell_truth`.
        fresh: `comparing.fresh_samples`, or a function that remembers its results.
    """
    compared = comparing.compare(experiment, run.end, fresh)
    return Comparison(
        statistics=tuple(compared.statistics),
        weights=compared.weights,
        turned=compared.turned,
        distance=compared.distance,
        noise_floor=compared.noise_floor,
        floor_samples=len(compared.fresh_distances),
        floor_maximum=float(compared.fresh_distances.max()),
        verdict=judge(experiment, settings, compared, fresh),
        start_outline=fields.outline(experiment.mixture, experiment.sde, 1.0),
        estimate=estimate(run.end, truth.outline),
    )


class Parts(NamedTuple):
    """The functions that `run` puts together; a caller that remembers results passes its own versions of them."""

    simulate: Callable[[Experiment, Settings], Run] = simulate
    tell_truth: Callable[[str, int, int], Truth] = tell_truth
    compare: Callable[[Experiment, Settings, Run, Truth], Comparison] = compare
    show: Callable[[Experiment, Settings, Run], Animation] = show


def run(experiment: Experiment, settings: Settings, parts: Parts | None = None) -> Result:
    """Run from noise to data, compare the end with the data, and find the cause of what is off.

    Args:
        experiment: target, SDE and seed.
        settings: of the run, and of what is shown of it.
        parts: the functions to use; by default those of this module, which remember nothing.
    """
    parts = parts or Parts()
    simulated = parts.simulate(experiment, settings.simulated)
    truth = parts.tell_truth(experiment.target, experiment.seed, settings.particles)
    return Result(
        comparison=parts.compare(experiment, settings.simulated, simulated, truth),
        update=update(experiment, settings, simulated),
        run=simulated,
        truth=truth,
        animation=parts.show(experiment, settings.animated, simulated),
        what_if=whatif.run(experiment, settings.line) if settings.what_if else None,
    )
