"""Memorisation: samples by the true score, by the score of N training points, and by a network trained on these points."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from scoredm import address, learning, memorisation
from scoredm.comparison import SampleComparison
from scoredm.experiment import Experiment
from scoredm.learning import TrainingCurves
from scoredm.memorisation import COPY_QUANTILE, MAX_POINTS, Copies, EmpiricalScore, Points
from scoredm.priors import exact_prior
from scoredm.score import ScoreFn
from scoredm.screens.calls import Compute, in_turn
from scoredm.streams import generator
from scoredm.tasks import TrainingTask
from scoredm.training import TrainConfig, Trainer, TrainMetrics, mean_floor

SAMPLES, STEPS = 1000, 80  # drawn with each score, in so many steps
FRESH = 20_000  # fresh points of the target, which define what counts as a copy
T_MIN = 1e-4
EVALUATIONS = 40  # of the test loss during a run
SMOOTHING = 20  # steps over which the training loss is averaged
UNLIKE = 2.0  # times the largest distance between samples of the target: points farther from it are no draws of it
CLEAR = 3.0  # standard errors beyond which a share of copies differs from chance
MEMORISED, MOST = 0.9, 0.5  # shares of copies

Verdict = Literal["memorised", "most", "some", "chance", "fewer"]


@dataclass(frozen=True)
class Settings:
    """The choices of the screen; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds.
    """

    points: int = address.default("memorisation", "points")
    network: bool = address.default("memorisation", "network")
    steps: int = address.default("memorisation", "steps")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("memorisation", self)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Samples by one score, (M, D), their distances to the nearest training point, (M,), and the share of copies."""

    samples: np.ndarray
    distances: np.ndarray
    copies: Copies


@dataclass(frozen=True, eq=False)
class Collapse:
    """When the empirical score collapses.

    Args:
        curve: the largest responsibility and the lowest training loss over time.
        cause: "single" for one distinct training point, "always" where the score has collapsed at every t up to 1, else "time".
        level: sigma_t / alpha_t at the time of the collapse.
        neighbour_time: the t at which sigma_t / alpha_t is the distance between neighbours; None where there is no such t.
    """

    curve: memorisation.Collapse
    cause: Literal["single", "always", "time"]
    level: float
    neighbour_time: float | None


@dataclass(frozen=True, eq=False)
class ExactScores:
    """What the two exact scores make of the training points.

    Args:
        fresh: distances of fresh points of the target to the nearest training point, (FRESH,).
        copy_distance: a sample that is nearer than this counts as a copy.
        true: samples by the score of the target.
        empirical: samples by the score of the training points.
        collapse: when the empirical score collapses.
    """

    fresh: np.ndarray
    copy_distance: float
    true: Drawn
    empirical: Drawn
    collapse: Collapse


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of a network: training curves, the training loss of the last steps, and the test loss, on fresh points."""

    curves: TrainingCurves
    train: float
    test: float


@dataclass(frozen=True, eq=False)
class Result:
    """What the screen shows.

    Args:
        points: the training points, (N, D).
        exact: samples by the true and by the empirical score, and the collapse.
        train_floor: the lowest possible training loss, that of the empirical score.
        test_floor: the lowest possible test loss, that of the true score.
        network: samples by the network; None where none is trained.
        losses: of the network.
        verdict: what the network's share of copies means.
    """

    points: np.ndarray
    exact: ExactScores
    train_floor: float
    test_floor: float
    network: Drawn | None = None
    losses: Losses | None = None
    verdict: Verdict | None = None


def run(experiment: Experiment, settings: Settings, progress: Callable[[int, int], None] | None = None) -> Result:
    """Draw the training points, sample with each score, and count the copies; train the network if it is asked for.

    Args:
        experiment: target, SDE and seed.
        settings: the number of points, and the training.
        progress: told the training steps that are done, and of all.
    """
    points = training_points(experiment, settings.points)
    exact, floor = exact_scores(experiment, points), lowest_test_loss(experiment)
    network = losses = verdict = None
    if settings.network:
        trainer = _train(experiment, points, settings.steps, progress)
        network = draw(experiment, points, copy.deepcopy(trainer.score_fn).cpu(), exact.copy_distance)
        losses, verdict = losses_of(trainer.history, floor), judge(network.copies, len(network.samples))
    return Result(points.array(), exact, exact.collapse.curve.mean_floor, floor, network, losses, verdict)


def _train(experiment: Experiment, points: Points, steps: int, progress: Callable[[int, int], None] | None) -> Trainer:
    trainer = Trainer(experiment.mixture, experiment.sde, config(steps, experiment.seed), None, points.rows())
    for metrics in trainer:
        if progress is not None:
            progress(metrics.step, steps)
    return trainer


# Training points


def training_points(experiment: Experiment, count: int) -> Points:
    """Draw training points; more points keep those that were there with fewer.

    Args:
        experiment: target and seed; the SDE does not matter.
        count: N.
    """
    return Points.of(experiment.mixture.sample(MAX_POINTS, generator(experiment, "data"))[:count])


def resemble(comparison: SampleComparison) -> bool:
    """Whether points look like draws of the target: as near to one as other draws are, within a factor of 2.

    Args:
        comparison: of the points with the target.
    """
    return comparison.distance <= UNLIKE * float(comparison.fresh_distances.max())


# The exact scores


def exact_scores(experiment: Experiment, points: Points, compute: Compute = in_turn) -> ExactScores:
    """Sample with the true and with the empirical score of training points, and find the time of the collapse.

    Args:
        experiment: target, SDE and seed.
        points: the training points.
        compute: gives the values of two calls that take about equally long.
    """
    sampled, found = compute(partial(sample_both, experiment, points), partial(collapse, experiment, points))
    return ExactScores(**sampled, collapse=found)


def sample_both(experiment: Experiment, points: Points) -> dict[str, Any]:
    """Sample with the true and with the empirical score: the fields of `ExactScores` without the collapse.

    Args:
        experiment: target, SDE and seed.
        points: the training points.
    """
    fresh = memorisation.nearest_distances(experiment.mixture.sample(FRESH, generator(experiment, "reference")), points.array())
    within, empirical = memorisation.copy_distance(fresh), EmpiricalScore(points.tensor(), experiment.sde)
    return {
        "fresh": fresh,
        "copy_distance": within,
        "true": draw(experiment, points, experiment.score, within),
        "empirical": draw(experiment, points, empirical, within),
    }


def draw(experiment: Experiment, points: Points, score: ScoreFn, copy_distance: float) -> Drawn:
    """Sample with a score; every score is given the same initial points, draws of the exact p_1, and the same noise.

    Args:
        experiment: target, SDE and seed.
        points: the training points.
        score: the score.
        copy_distance: a sample that is nearer to a training point counts as a copy.
    """
    draws = generator(experiment, "reverse")
    start = exact_prior(experiment.mixture, experiment.sde).sample(SAMPLES, draws)
    noise = torch.randn(STEPS, SAMPLES, experiment.dim, generator=draws)
    samples = memorisation.sample_with_noise(experiment.sde, score, start, noise, T_MIN)
    distances = memorisation.nearest_distances(samples, points.array())
    return Drawn(samples.numpy(), distances, memorisation.copies(distances, copy_distance))


def collapse(experiment: Experiment, points: Points) -> Collapse:
    """Find when the empirical score collapses.

    Args:
        experiment: target, SDE and seed.
        points: the training points.
    """
    sde, empirical = experiment.sde, EmpiricalScore(points.tensor(), experiment.sde)
    curve = memorisation.collapse(empirical, T_MIN, generator(experiment, "metric"))
    return Collapse(
        curve,
        "single" if len(empirical.points) == 1 else "always" if curve.time >= 1 else "time",
        float(sde.sigma(curve.time)) / float(sde.alpha(curve.time)),
        memorisation.time_of_distance(sde, curve.neighbours),
    )


def lowest_test_loss(experiment: Experiment) -> float:
    """The lowest possible loss on fresh points, that of the true score: a mean over t uniform on [T_MIN, 1].

    Args:
        experiment: target, SDE and seed.
    """
    return mean_floor(experiment.mixture, experiment.sde, T_MIN)


# The network


def config(steps: int, seed: int) -> TrainConfig:
    """Our recipe with so many steps.

    Args:
        steps: of the optimiser.
        seed: of the experiment.
    """
    return TrainConfig(steps=steps, eps=T_MIN, seed=seed, eval_every=max(1, steps // EVALUATIONS))


def task(experiment: Experiment, points: Points, steps: int) -> TrainingTask:
    """The training on these points and no others; few points are repeated, so that a batch has its usual size.

    Args:
        experiment: target, SDE and seed.
        points: the training points.
        steps: of the optimiser.
    """
    rows = Points.of(points.rows())
    return TrainingTask(experiment.target, experiment.sde, config(steps, experiment.seed), rows)


def losses_of(history: Sequence[TrainMetrics], floor: float) -> Losses:
    """The losses of a run so far.

    Args:
        history: of the run, with at least one step.
        floor: the lowest possible test loss, which the score error on fresh points is added to.
    """
    curves = learning.training_curves(history, SMOOTHING)
    return Losses(curves, learning.recent_loss(history)[0], floor + float(curves.test_error[-1]))


def judge(copies: Copies, count: int) -> Verdict:
    """What a network's share of copies means; chance alone makes 5 % of the samples copies.

    Args:
        copies: the share.
        count: of the samples.
    """
    beyond = CLEAR * math.sqrt(COPY_QUANTILE * (1 - COPY_QUANTILE) / count)
    if copies.share >= MEMORISED:
        return "memorised"
    if copies.share >= MOST:
        return "most"
    if copies.share > COPY_QUANTILE + beyond:
        return "some"
    return "fewer" if copies.share < COPY_QUANTILE - beyond else "chance"


# The window


def window(box: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A window of the target, widened where training points lie outside it; it stays square in the plane.

    Args:
        box: (2 D,).
        points: (N, D).

    Returns:
        The window, (2 D,).
    """
    low, high = np.minimum(box[0::2], points.min(0)), np.maximum(box[1::2], points.max(0))
    half = (high - low).max() / 2
    return np.stack([(low + high) / 2 - half, (low + high) / 2 + half], 1).ravel()
