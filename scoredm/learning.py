"""What a training run shows: its curves, its pace, and the learned score compared with the exact one.

reference = training_reference(mixture, sde, eps, generator)    # once per experiment
snapshot = training_snapshot(reference, trainer.history, trainer.score_fn, t, points)    # at any moment of a run
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, final

import numpy as np
import torch

from scoredm import fields
from scoredm.losses import dsm_floor, notebook_score_error
from scoredm.mixture import GaussianMixture
from scoredm.priors import exact_prior
from scoredm.score import ScoreFn, exact_score
from scoredm.sde import SDE, VESDE
from scoredm.simulation import sample
from scoredm.training import TrainConfig, Trainer, TrainMetrics, quadrature_times

LAST_STEPS = 50  # the loss of one batch is noisy: it is averaged over so many
PACE_STEPS = 6
TAIL_DRAWS = 4000
ERROR_POINTS = 200
NOTEBOOK_POINTS = 2000
SIGNIFICANT = 3.0  # standard errors
CELLS = 48  # a side of the map of the difference of two scores
ARROWS = 14  # a side of the grid of arrows
CURVE_POINTS = 241
FADING = 0.02, 0.0005  # presence falls where a lower density has less than this probability, and is 0 where it has less than that


@dataclass(frozen=True, eq=False)
class TrainingCurves:
    """The history of a run as arrays.

    Attributes:
        steps: steps at which the loss is given, (T,).
        dsm: loss at those steps, (T,).
        evaluated: steps at which the errors were measured, (E,).
        train_error: score error on training points, (E,).
        test_error: score error on fresh points, (E,).
        notebook_error: the tutorial's error, (E,).
    """

    steps: np.ndarray
    dsm: np.ndarray
    evaluated: np.ndarray
    train_error: np.ndarray
    test_error: np.ndarray
    notebook_error: np.ndarray


def training_curves(history: Sequence[TrainMetrics], smoothing: int = 1, most: int = 400) -> TrainingCurves:
    """Turn a history into curves to draw.

    Args:
        history: of a run; it may grow meanwhile.
        smoothing: number of steps, up to each, over which the loss is averaged.
        most: largest number of points in a curve; a longer history is thinned evenly.

    Returns:
        The curves.
    """
    rows = history[: len(history)]  # it may grow meanwhile
    at = _spread(len(rows), most)
    evaluated = [row for row in rows if row.evaluated]
    evaluated = [evaluated[i] for i in _spread(len(evaluated), most)]
    return TrainingCurves(
        steps=at + 1,
        dsm=_trailing_mean(np.array([row.dsm for row in rows]), smoothing)[at],
        evaluated=np.array([row.step for row in evaluated], dtype=int),
        train_error=np.array([row.train_error for row in evaluated]),
        test_error=np.array([row.test_error for row in evaluated]),
        notebook_error=np.array([row.notebook_error for row in evaluated]),
    )


def _spread(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _trailing_mean(values: np.ndarray, over: int) -> np.ndarray:
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - over, 0)
    return (total[end] - total[start]) / (end - start)


def recent_loss(history: Sequence[TrainMetrics]) -> tuple[float, float]:
    """The mean loss of the last 50 steps, or of as many as there are.

    Args:
        history: of a run, with at least one step.

    Returns:
        The mean and its standard error (NaN for a single step).
    """
    losses = np.array([row.dsm for row in history[-LAST_STEPS:]])
    error = losses.std(ddof=1) / len(losses) ** 0.5 if len(losses) > 1 else float("nan")
    return float(losses.mean()), float(error)


@dataclass(frozen=True)
class TrainingPace:
    """How long a recipe takes on this machine.

    Attributes:
        step: seconds of one optimiser step.
        evaluation: seconds of one evaluation of the errors.
    """

    step: float
    evaluation: float

    def seconds(self, config: TrainConfig) -> float:
        """How long a whole run takes.

        Args:
            config: the recipe.

        Returns:
            Seconds.
        """
        return config.steps * self.step + (1 + config.steps / config.eval_every) * self.evaluation


def measure_training_pace(config: TrainConfig, dim: int) -> TrainingPace:
    """Time a few steps of a recipe on a Gaussian, on this machine and under its present load.

    Args:
        config: the recipe.
        dim: D, the dimension of the data.

    Returns:
        Seconds of a step and of an evaluation.
    """
    gaussian = GaussianMixture.gaussian(np.zeros(dim), np.eye(dim))
    trial = replace(config, steps=PACE_STEPS, eval_every=PACE_STEPS)
    seconds = [row.seconds for row in Trainer(gaussian, VESDE(), trial)]
    steps = [after - before for before, after in pairwise(seconds)]
    step = statistics.median(steps[:-1])
    return TrainingPace(step, max(steps[-1] - step, 0.0))


def perfect_notebook_error(mixture: GaussianMixture, sde: SDE, eps: float, generator: torch.Generator) -> float:
    """The tutorial's error of the exact score, averaged over t uniform on [eps, 1]; a right measure would be 0.

    Args:
        mixture: the target.
        sde: the SDE.
        eps: the smallest time.
        generator: source of the points.

    Returns:
        The mean of `scoredm.losses.notebook_score_error` over t.
    """
    times, weights = quadrature_times(eps)
    score_fn = exact_score(mixture, sde).on_grid(times.tolist(), torch.empty(NOTEBOOK_POINTS, mixture.dim))
    return float(notebook_score_error(mixture, score_fn, times, n=NOTEBOOK_POINTS, generator=generator) @ weights)


@dataclass(frozen=True, eq=False)
class ScoreComparison:
    """Learned and exact score at points of one time t, both multiplied by sigma_t: in units of the noise to be predicted.

    Attributes:
        points: (N, D).
        learned: sigma_t s_learned, (N, D).
        exact: sigma_t s_exact, (N, D).
    """

    points: np.ndarray
    learned: np.ndarray
    exact: np.ndarray


@torch.no_grad()
def compare_scores(mixture: GaussianMixture, sde: SDE, score_fn: ScoreFn, t: float, points: torch.Tensor) -> ScoreComparison:
    """Evaluate a learned score and the exact one at the same points.

    Args:
        mixture: the target.
        sde: the SDE.
        score_fn: the learned score.
        t: time above 0.
        points: (N, D).

    Returns:
        Both scores, multiplied by sigma_t.
    """
    sigma = float(sde.sigma(t))
    fine = points.double()
    exact = exact_score(mixture, sde).on_grid([t], fine)(fine, t)
    return ScoreComparison(points.numpy(), sigma * score_fn(points, t).numpy(), sigma * exact.numpy())


def tail_probability(distribution: GaussianMixture, points: torch.Tensor, generator: torch.Generator) -> np.ndarray:
    """The probability of a point with lower density than x, P(p(X) < p(x)), at each of N points x.

    It is near 1 at the highest density. For one Gaussian in the plane it is exp(-r^2 / 2) at r standard deviations.

    Args:
        distribution: the distribution p.
        points: (N, D).
        generator: source of 4000 draws; probabilities below 1/4000 are found as 0.

    Returns:
        Probabilities, (N,).
    """
    drawn = distribution.log_prob(distribution.sample(TAIL_DRAWS, generator)).sort().values
    return (torch.searchsorted(drawn, distribution.log_prob(points).to(drawn)) / TAIL_DRAWS).numpy()


class Places(NamedTuple):
    """Where a learned score and the exact one are compared at one time, and how much of p_t is there.

    Attributes:
        points: (N, D): on the line a curve's; in the plane the centres of the map's cells, then the tails of the arrows.
        presence: (N,) 1 where p_t has probability, falling to 0 where it has almost none.
        density: (N,) p_t.
        exact: (N, D) the exact score times sigma_t.
        window: (4,) in the plane, (2,) on the line.
    """

    points: torch.Tensor
    presence: np.ndarray
    density: np.ndarray
    exact: np.ndarray
    window: np.ndarray


def comparison_places(mixture: GaussianMixture, sde: SDE, t: float, generator: torch.Generator) -> Places:
    """Choose where a learned score and the exact one are compared: a curve on the line, a map and arrows in the plane.

    Args:
        mixture: the target, in one dimension or two.
        sde: the SDE.
        t: time above 0.
        generator: source of the draws that say where p_t has probability.

    Returns:
        The points, with the exact score there.
    """
    p_t = mixture.at(sde, t)
    if mixture.dim == 1:
        window = np.array(fields.windows_1d(p_t))
        points = torch.linspace(float(window[0]), float(window[1]), CURVE_POINTS)[:, None]
    else:
        window = fields.windows(mixture, sde, [t], True)[0]
        points = torch.cat([fields.grid_points(window.tolist(), side) for side in (CELLS, ARROWS)])
    lower = tail_probability(p_t, points, generator)
    full, none = FADING
    presence = np.clip(np.log(np.maximum(lower, none) / none) / np.log(full / none), 0, 1)
    fine = points.double()
    exact = float(sde.sigma(t)) * exact_score(mixture, sde).on_grid([t], fine)(fine, t)
    return Places(points, presence, p_t.log_prob(fine).exp().numpy(), exact.numpy(), window)


@dataclass(frozen=True, eq=False)
class ScoreDifference:
    """Learned minus exact score, both times sigma_t: in standard deviations of the noise.

    Attributes:
        vectors: at each place, (N, D).
        size: their lengths, (N,); infinite where the learned score is no number.
        largest: where 98 % of p_t is.
        typical: the root mean square over p_t.
    """

    vectors: np.ndarray
    size: np.ndarray
    largest: float
    typical: float


def score_difference(where: Places, learned: np.ndarray) -> ScoreDifference:
    """Compare a learned score with the exact one at one time.

    Args:
        where: from `comparison_places`.
        learned: the learned score there, times sigma_t, (N, D).
    """
    vectors = learned - where.exact
    size = np.nan_to_num(np.linalg.norm(vectors, axis=1), nan=np.inf)
    even = slice(0, CELLS**2) if where.points.shape[1] == 2 else slice(None)  # points on one even grid
    weight = where.density[even] / where.density[even].sum()
    largest = float(size[where.presence == where.presence.max()].max())
    return ScoreDifference(vectors, size, largest, float((weight @ size[even] ** 2) ** 0.5))


@dataclass(frozen=True, eq=False)
class ErrorsOverTime:
    """The sigma_t^2-weighted denoising loss and score error at each of T times.

    Attributes:
        loss: (T,).
        error: (T,).
    """

    loss: np.ndarray
    error: np.ndarray


@final
class ModelErrors:
    """Measures loss and error of any score at given times, on the same draws each time and with one evaluation of the score.

    The exact score's loss on the same draws serves as a control variate, since its mean is known to be the floor:

        loss = floor + mean(|| sigma s + z ||^2 - || sigma s_exact + z ||^2).

    The mean is that of the plain loss, and there is almost no noise near the exact score.
    """

    def __init__(
        self, mixture: GaussianMixture, sde: SDE, times: np.ndarray, floor: np.ndarray, n: int, generator: torch.Generator
    ) -> None:
        """Draw points and noise, and evaluate the exact score.

        Args:
            mixture: the target.
            sde: the SDE.
            times: (T,), above 0.
            floor: the `scoredm.dsm_floor` at those times, (T,).
            n: number of points; each is used with its noise and with minus its noise.
            generator: source of the draws.
        """
        self._floor = floor
        x0, z = mixture.sample(n, generator), torch.randn(n, mixture.dim, generator=generator)
        # The same draws at each time: what chance remains shifts the curves and does not make them ragged.
        x0, self._noise = (v.repeat_interleave(len(times), 0) for v in (torch.cat([x0, x0]), torch.cat([z, -z])))
        self._t = torch.tensor(times, dtype=torch.float32).repeat(2 * n)
        self._sigma = torch.as_tensor(sde.sigma(self._t))[:, None]
        self._x = sde.perturb(x0, self._t, self._noise)
        self._exact = self._sigma * exact_score(mixture, sde)(self._x, self._t)

    @torch.no_grad()
    def __call__(self, score_fn: ScoreFn) -> ErrorsOverTime:
        """Measure a score.

        Args:
            score_fn: the score.

        Returns:
            Its loss and error at each time.
        """
        scaled = self._sigma * score_fn(self._x, self._t)
        beyond = (scaled + self._noise).square() - (self._exact + self._noise).square()
        loss, error = (self._means(v) for v in (beyond, (scaled - self._exact).square()))
        return ErrorsOverTime(self._floor + loss, error)

    def _means(self, values: torch.Tensor) -> np.ndarray:
        return values.sum(-1).view(-1, len(self._floor)).double().mean(0).numpy()


@dataclass(frozen=True, eq=False)
class PairedSamples:
    """Samples by the learned and by the exact score, from the same starting points with the same noise.

    Attributes:
        learned: (N, D).
        exact: (N, D).
    """

    learned: np.ndarray
    exact: np.ndarray

    @property
    def median_distance(self) -> float:
        """The median distance between the two samples of a pair."""
        return float(np.median(np.linalg.norm(self.learned - self.exact, axis=1)))


def paired_samples(
    mixture: GaussianMixture, sde: SDE, score_fn: ScoreFn, eps: float, n: int, steps: int, seed: int
) -> PairedSamples:
    """Sample twice with the same random numbers, by the reverse SDE from the exact p_1 to t = eps and a last denoising step.

    Args:
        mixture: the target.
        sde: the SDE.
        score_fn: the learned score.
        eps: the time of the last step.
        n: number of samples.
        steps: number of steps.
        seed: of the random numbers.

    Returns:
        Both samples.
    """

    def run(score: ScoreFn) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        prior = exact_prior(mixture, sde)
        return sample(sde, score, n, steps=steps, prior=prior, t_min=eps, denoise=True, generator=generator).end.numpy()

    return PairedSamples(run(score_fn), run(exact_score(mixture, sde)))


@dataclass(frozen=True, eq=False)
class TrainingReference:
    """The exact values that every run of one experiment is compared with.

    Attributes:
        mixture: the target.
        sde: the SDE.
        times: quadrature times on [eps, 1], (T,).
        floor_over_time: the lowest loss at those times, (T,).
        floor: its mean over t, the lowest mean loss of any model on fresh data.
        notebook_floor: the tutorial's error of the exact score.
        errors: measures loss and error of a model at those times.
    """

    mixture: GaussianMixture
    sde: SDE
    times: np.ndarray
    floor_over_time: np.ndarray
    floor: float
    notebook_floor: float
    errors: ModelErrors


def training_reference(mixture: GaussianMixture, sde: SDE, eps: float, generator: torch.Generator) -> TrainingReference:
    """Compute the exact values that runs of one experiment are compared with.

    Args:
        mixture: the target.
        sde: the SDE.
        eps: the smallest time of training.
        generator: source of the points at which models are measured.

    Returns:
        The floor, its mean, and what measures a model.
    """
    times, weights = quadrature_times(eps)
    floor = dsm_floor(mixture, sde, times)
    notebook_floor = perfect_notebook_error(mixture, sde, eps, generator)
    errors = ModelErrors(mixture, sde, times, floor, ERROR_POINTS, generator)
    return TrainingReference(mixture, sde, times, floor, float(floor @ weights), notebook_floor, errors)


@dataclass(frozen=True, eq=False)
class HistorySummary:
    """What is shown of the history of a run; small where the history is long.

    Attributes:
        last: loss and errors after the last step.
        curves: the history to draw.
        recent: mean loss of the last 50 steps.
        recent_error: its standard error.
    """

    last: TrainMetrics
    curves: TrainingCurves
    recent: float
    recent_error: float


def summarise(history: Sequence[TrainMetrics], smoothing: int = 1) -> HistorySummary | None:
    """Summarise the history of a run.

    Args:
        history: of the run; it may grow meanwhile.
        smoothing: number of steps over which the drawn loss is averaged.

    Returns:
        The summary, or None before the first step.
    """
    rows = list(history)
    return HistorySummary(rows[-1], training_curves(rows, smoothing), *recent_loss(rows)) if rows else None


@dataclass(frozen=True, eq=False)
class TrainingSnapshot:
    """Everything that is shown of a run at one moment.

    Attributes:
        last: loss and errors after the last step.
        curves: the history.
        recent: mean loss of the last 50 steps.
        recent_error: its standard error.
        excess: that loss above the floor, which on fresh data is the score error on average.
        below_floor: whether that loss is significantly below the floor, as when training points were memorised.
        over_time: loss and error of the model at the reference's times.
        scores: learned and exact score at one time.
    """

    last: TrainMetrics
    curves: TrainingCurves
    recent: float
    recent_error: float
    excess: float
    below_floor: bool
    over_time: ErrorsOverTime
    scores: ScoreComparison


def training_snapshot(
    reference: TrainingReference,
    history: Sequence[TrainMetrics] | HistorySummary,
    score_fn: ScoreFn,
    t: float,
    points: torch.Tensor,
    smoothing: int = 1,
    over_time: ErrorsOverTime | None = None,
) -> TrainingSnapshot | None:
    """Measure a run as it is now.

    Args:
        reference: the exact values of the experiment.
        history: of the run, which may grow meanwhile, or its summary.
        score_fn: the learned score, a copy that no longer changes.
        t: the time at which scores are compared, above 0.
        points: where they are compared, (N, D).
        smoothing: number of steps over which the drawn loss is averaged; a summary has been averaged already.
        over_time: what the reference's errors give of this score, where that is known.

    Returns:
        The snapshot, or None before the first step.
    """
    found = history if isinstance(history, HistorySummary) else summarise(history, smoothing)
    if found is None:
        return None
    return TrainingSnapshot(
        last=found.last,
        curves=found.curves,
        recent=found.recent,
        recent_error=found.recent_error,
        excess=found.recent - reference.floor,
        below_floor=bool(found.recent < reference.floor - SIGNIFICANT * found.recent_error),
        over_time=reference.errors(score_fn) if over_time is None else over_time,
        scores=compare_scores(reference.mixture, reference.sde, score_fn, t, points),
    )
