"""Scores as functions of (x, t): the exact one of a diffused mixture, and what a score says about clean data and noise.

A ScoreFn maps x (B, ..., D) and t (a number, () or (B,)) to s(x, t) = grad_x log p_t(x) of x's shape. Exact and learned
scores are the same kind of thing, so every sampler, loss and chart takes either.
"""

from collections.abc import Sequence
from typing import Protocol, final

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture
from scoredm.sde import SDE, Time, over_leading_axes

# Rows per block on the grid: its feature arrays then stay within a core's cache.
BLOCK_NUMBERS = 1 << 15


class ScoreFn(Protocol):
    """s(x, t)."""

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """x: (B, ..., D), t: a number, () or (B,) -> (B, ..., D)."""
        ...


@final
class ExactScore:
    """The score of p_t = law of alpha_t X + sigma_t Z, X from a mixture; a ScoreFn."""

    def __init__(self, mixture: GaussianMixture, sde: SDE) -> None:
        """Remember the pair; nothing is computed yet."""
        self.mixture = mixture
        self.sde = sde

    @property
    def dim(self) -> int:
        """D."""
        return self.mixture.dim

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """s(x, t), right at any distance from the modes; x: (B, ..., D), t: a number, () or (B,)."""
        t = t.to(torch.float64) if isinstance(t, Tensor) else float(t)
        return self.mixture.diffused_score(x, self.sde.alpha(t), self.sde.sigma(t))

    def on_grid(self, times: Sequence[float], like: Tensor) -> "GridScore":
        """The same score, prepared for given times, for points of like's precision and device: about ten times faster."""
        return GridScore(self, times, like)


@final
class GridScore:
    """An exact score prepared for a grid of times.

    All logits are one matrix product with the features (x_i, x_i x_j), and the score is the responsibility-weighted
    natural parameters, s = sum_k r_k h_k - (sum_k r_k P_k) x, in coordinates centred on the mean of p_t.
    Made for points within the bulk of p_t, as a sampler visits them; times off the grid fall back to the exact score.
    """

    def __init__(self, exact: ExactScore, times: Sequence[float], like: Tensor) -> None:
        """Prepare every time at once; like: any tensor of the precision and device to come."""
        self._exact = exact
        self._index = {float(t): i for i, t in enumerate(times)}
        grid = torch.tensor(list(self._index), dtype=torch.float64)
        alpha, sigma = (torch.as_tensor(v) for v in (exact.sde.alpha(grid), exact.sde.sigma(grid)))
        origin = alpha[:, None] * exact.mixture.mean
        c, h, precision = exact.mixture.natural(alpha, sigma, origin)
        D, K = exact.dim, exact.mixture.n_components
        self._pairs = [(i, j) for i in range(D) for j in range(i, D)]
        # x'Px = sum_i P_ii x_i^2 + 2 sum_{i<j} P_ij x_i x_j
        quadratic = torch.stack([precision[..., i, j] * (-0.5 if i == j else -1.0) for i, j in self._pairs], -1)
        moments = torch.cat([h, torch.stack([precision[..., i, j] for i, j in self._pairs], -1)], -1)
        self._c = c[..., None].to(like)
        self._logit_rows = torch.cat([h, quadratic], -1).to(like).contiguous()
        self._moment_rows = moments.mT.to(like).contiguous()
        self._origin = origin[..., None].to(like)
        self._block = max(1, BLOCK_NUMBERS // (K + 2 * len(self._pairs)))

    @property
    def dim(self) -> int:
        """D."""
        return self._exact.dim

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """s(x, t); x: (B, D), t: a number of the grid (any other t costs the unprepared score)."""
        i = self._index.get(t) if isinstance(t, float) else None
        if i is None or x.ndim != 2 or x.dtype != self._c.dtype:
            return self._exact(x, t)
        if len(x) <= self._block:
            return self._score(x, i)
        score = torch.empty_like(x)
        for start in range(0, len(x), self._block):
            rows = slice(start, start + self._block)
            score[rows] = self._score(x[rows], i)
        return score

    def _score(self, x: Tensor, i: int) -> Tensor:
        D = x.shape[1]
        features = x.new_empty(D + len(self._pairs), len(x))
        y = torch.sub(x.T, self._origin[i], out=features[:D])
        for row, (a, b) in enumerate(self._pairs):
            torch.mul(y[a], y[b], out=features[D + row])
        r = torch.softmax(torch.addmm(self._c[i], self._logit_rows[i], features), 0)
        moments = self._moment_rows[i] @ r
        score = moments[:D]
        for (a, b), p in zip(self._pairs, moments[D:], strict=True):
            score[a].addcmul_(p, y[b], value=-1)
            if a != b:
                score[b].addcmul_(p, y[a], value=-1)
        return score.T


def exact_score(mixture: GaussianMixture, sde: SDE) -> ExactScore:
    """The exact score of a diffused mixture, s(x, t) = grad log p_t(x), p_t = mixture.diffuse(alpha_t, sigma_t)."""
    return ExactScore(mixture, sde)


def denoise(score_fn: ScoreFn, sde: SDE, x: Tensor, t: Time) -> Tensor:
    """The posterior mean of the clean data, E[x_0 | x_t = x] = (x + sigma_t^2 s(x, t)) / alpha_t.

    x: (B, ..., D), t: a number, () or (B,). Source: Tweedie's formula, Efron 2011, "Tweedie's Formula and Selection Bias".
    """
    sigma, alpha = (over_leading_axes(v, x) for v in (sde.sigma(t), sde.alpha(t)))
    return (x + sigma**2 * score_fn(x, t)) / alpha


def noise_from_score(score: Tensor, sde: SDE, t: Time) -> Tensor:
    """The posterior mean of the noise, E[z | x_t] = -sigma_t s; score: (B, ..., D), t: a number, () or (B,)."""
    return -over_leading_axes(sde.sigma(t), score) * score


def score_from_noise(noise: Tensor, sde: SDE, t: Time) -> Tensor:
    """The score that a noise prediction stands for, s = -z / sigma_t; noise: (B, ..., D), t: a number, () or (B,)."""
    return -noise / over_leading_axes(sde.sigma(t), noise)
