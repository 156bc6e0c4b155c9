"""What a training run shows: its curves, its pace, and the learned score compared with the exact one."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import final

import numpy as np
import torch

from scoredm.losses import notebook_score_error
from scoredm.mixture import GaussianMixture
from scoredm.samplers import exact_prior
from scoredm.score import ScoreFn, exact_score
from scoredm.sde import SDE, VESDE
from scoredm.simulation import sample
from scoredm.training import TrainConfig, Trainer, TrainMetrics, quadrature_times

LAST_STEPS = 50  # the loss of one batch is noisy: it is averaged over so many
PACE_STEPS = 6
TAIL_DRAWS = 4000


@dataclass(frozen=True, eq=False)
class TrainingCurves:
    """A history as arrays: the loss at `steps` (T,), and the errors at the steps where they were `evaluated` (E,)."""

    steps: np.ndarray
    dsm: np.ndarray
    evaluated: np.ndarray
    train_error: np.ndarray
    test_error: np.ndarray
    notebook_error: np.ndarray


def training_curves(history: Sequence[TrainMetrics], smoothing: int = 1, most: int = 400) -> TrainingCurves:
    """A history as at most about 2 x `most` points to draw.

    smoothing: the loss becomes its mean over so many steps up to each (over fewer at the start).
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
    """The mean loss of the last 50 steps, or as many as there are, and its standard error (NaN for a single step)."""
    losses = np.array([row.dsm for row in history[-LAST_STEPS:]])
    error = losses.std(ddof=1) / len(losses) ** 0.5 if len(losses) > 1 else float("nan")
    return float(losses.mean()), float(error)


@dataclass(frozen=True)
class TrainingPace:
    """Seconds that one optimiser step and one evaluation of the errors take."""

    step: float
    evaluation: float

    def seconds(self, config: TrainConfig) -> float:
        """What a whole run takes."""
        return config.steps * self.step + (1 + config.steps / config.eval_every) * self.evaluation


def measure_training_pace(config: TrainConfig, dim: int) -> TrainingPace:
    """The pace of a recipe on this machine, as busy as it is now: timed over a few steps on one Gaussian."""
    gaussian = GaussianMixture.gaussian(np.zeros(dim), np.eye(dim))
    trial = replace(config, steps=PACE_STEPS, eval_every=PACE_STEPS)
    seconds = [row.seconds for row in Trainer(gaussian, VESDE(), trial)]
    steps = [after - before for before, after in pairwise(seconds)]
    step = statistics.median(steps[:-1])
    return TrainingPace(step, max(steps[-1] - step, 0.0))


def perfect_notebook_error(mixture: GaussianMixture, sde: SDE, eps: float, generator: torch.Generator) -> float:
    """What the exact score scores on the tutorial's metric, averaged over t uniform on [eps, 1]; 0 would be no error."""
    times, weights = quadrature_times(eps)
    return float(notebook_score_error(exact_score(mixture, sde), mixture, times, n=2000, generator=generator) @ weights)


@dataclass(frozen=True, eq=False)
class ScoreComparison:
    """Learned and exact score at points of one time t, times sigma_t: in units of the noise that the loss predicts.

    points, learned, exact: (N, D).
    """

    points: np.ndarray
    learned: np.ndarray
    exact: np.ndarray


@torch.no_grad()
def compare_scores(score_fn: ScoreFn, mixture: GaussianMixture, sde: SDE, t: float, points: torch.Tensor) -> ScoreComparison:
    """sigma_t s_learned and sigma_t s_exact at points (N, D); t above 0."""
    sigma = float(sde.sigma(t))
    fine = points.double()
    exact = exact_score(mixture, sde).on_grid([t], fine)(fine, t)
    return ScoreComparison(points.numpy(), sigma * score_fn(points, t).numpy(), sigma * exact.numpy())


def tail_probability(distribution: GaussianMixture, points: torch.Tensor, generator: torch.Generator) -> np.ndarray:
    """The probability of a point with lower density than x, P(p(X) < p(x)), at each of N points x.

    Near 1 at its highest point and 0 where nobody ever is; of one Gaussian in the plane it is exp(-r^2 / 2), r standard
    deviations out. By 4000 draws from the generator: shares below 1/4000 come out as 0. points: (N, D) -> (N,).
    """
    drawn = distribution.log_prob(distribution.sample(TAIL_DRAWS, generator)).sort().values
    return (torch.searchsorted(drawn, distribution.log_prob(points).to(drawn)) / TAIL_DRAWS).numpy()


@dataclass(frozen=True, eq=False)
class ErrorsOverTime:
    """The sigma_t^2-weighted denoising loss and error of a score at each of T times; each (T,)."""

    loss: np.ndarray
    error: np.ndarray


@final
class ModelErrors:
    """Measures loss and score error of any score at given times, always on the same draws, for one evaluation of it.

    The luck of the draw is taken out of the loss: what the exact score loses on the same draws is known to be the floor in the
    mean. So the loss is floor + mean(|| sigma s + z ||^2 - || sigma s_exact + z ||^2), which has the same mean and next to
    no noise near the exact score.
    """

    def __init__(
        self, mixture: GaussianMixture, sde: SDE, times: np.ndarray, floor: np.ndarray, n: int, generator: torch.Generator
    ) -> None:
        """Draw n points and their noise, with either sign, and score them exactly at every time.

        times: (T,), above 0; floor: (T,), the `dsm_floor` there.
        """
        self._floor = floor
        x0, z = mixture.sample(n, generator), torch.randn(n, mixture.dim, generator=generator)
        # The same draws at each time: what luck is left moves the curves, and does not roughen them.
        x0, self._noise = (v.repeat_interleave(len(times), 0) for v in (torch.cat([x0, x0]), torch.cat([z, -z])))
        self._t = torch.tensor(times, dtype=torch.float32).repeat(2 * n)
        self._sigma = torch.as_tensor(sde.sigma(self._t))[:, None]
        self._x = sde.perturb(x0, self._t, self._noise)
        self._exact = self._sigma * exact_score(mixture, sde)(self._x, self._t)

    @torch.no_grad()
    def __call__(self, score_fn: ScoreFn) -> ErrorsOverTime:
        """Loss and error of a score at each time."""
        scaled = self._sigma * score_fn(self._x, self._t)
        beyond = (scaled + self._noise).square() - (self._exact + self._noise).square()
        loss, error = (self._means(v) for v in (beyond, (scaled - self._exact).square()))
        return ErrorsOverTime(self._floor + loss, error)

    def _means(self, values: torch.Tensor) -> np.ndarray:
        return values.sum(-1).view(-1, len(self._floor)).double().mean(0).numpy()


@dataclass(frozen=True, eq=False)
class PairedSamples:
    """Samples (N, D) by the learned and by the exact score, from the same starts along the same noise."""

    learned: np.ndarray
    exact: np.ndarray

    @property
    def median_distance(self) -> float:
        """The median distance between the two ends of a particle."""
        return float(np.median(np.linalg.norm(self.learned - self.exact, axis=1)))


def paired_samples(
    score_fn: ScoreFn, mixture: GaussianMixture, sde: SDE, eps: float, n: int, steps: int, seed: int
) -> PairedSamples:
    """Run the reverse SDE twice on the same random numbers, from the exact p_1 to t = eps and a last denoising step."""

    def run(score: ScoreFn) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        prior = exact_prior(sde, mixture)
        return sample(sde, score, n, steps=steps, prior=prior, t_min=eps, denoise=True, generator=generator).end.numpy()

    return PairedSamples(run(score_fn), run(exact_score(mixture, sde)))
