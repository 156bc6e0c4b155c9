"""Scores as functions of (x, t): the exact one of a diffused mixture, and what a score says about clean data and noise.

A ScoreFn maps x (B, ..., D) and t (a number, () or (B,)) to s(x, t) = grad_x log p_t(x) of x's shape. Exact and learned
scores are the same kind of thing, so every sampler, loss and chart takes either.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture
from scoredm.sde import NO_SIGNAL, SDE, Time, over_leading_axes

# Numbers per block on the grid: features, logits and moments of a block of rows then stay within a core's cache.
BLOCK_NUMBERS = 230_000

# What rounding may take from a logit: a grid that could lose more in the precision of its points is prepared in float64, and a
# time at which float64 could lose more is not prepared.
LOST = 1e-2

# Expanded squares lose up to this relative share in a divergence; where they could lose more, each component is measured from
# its own mean, which takes about three times as long.
LOST_IN_DIVERGENCE = 1e-8

# Below this alpha the clean data are found by Bayes' rule where that can be: x + sigma^2 s is then mostly rounding error.
SMALL_ALPHA = 1e-2

# Logits this far below the highest are raised to it: exponentials that leave float32's normal range slow a core down tenfold.
LEAST_LOGIT = -80.0


class ScoreFn(Protocol):
    """A score s(x, t), exact or learned."""

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """Evaluate s(x, t).

        Args:
            x: points, (B, ..., D).
            t: times, a number, () or (B,).

        Returns:
            (B, ..., D), per unit of x.
        """
        ...


def check_sde_and_score(sde: object, score_fn: object) -> None:
    """Refuse what is no SDE followed by a score, such as the two in the other order.

    Args:
        sde: the first argument of the caller.
        score_fn: the second.

    Raises:
        TypeError: the first is no SDE, or the second cannot be called.
    """
    if not isinstance(sde, SDE) or not callable(score_fn):
        given = f"{type(sde).__name__} and {type(score_fn).__name__}"
        raise TypeError(f"given are {given}; the first must be the SDE and the second the score, as in exact_score(mixture, sde)")


@final
class ExactScore:
    """The score of p_t, the distribution of alpha_t X + sigma_t Z with X from a mixture; a ScoreFn.

    Args:
        mixture: the distribution of the data X.
        sde: the forward diffusion.
    """

    def __init__(self, mixture: GaussianMixture, sde: SDE) -> None:
        """Keep the pair; computing waits for points and times."""
        self.mixture = mixture
        self.sde = sde

    @property
    def dim(self) -> int:
        """D."""
        return self.mixture.dim

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """Evaluate s(x, t), accurate at any distance from the modes.

        Args:
            x: points, (B, ..., D).
            t: times, a number, () or (B,).

        Returns:
            (B, ..., D), in the precision of x.
        """
        t = t.to(torch.float64) if isinstance(t, Tensor) else float(t)
        return self.mixture.diffused_score(x, self.sde.alpha(t), self.sde.sigma(t))

    def posterior_mean(self, x: Tensor, t: Time) -> Tensor:
        """E[x_0 | x_t = x] by Bayes' rule over the components, which keeps its digits where alpha_t is tiny.

        Args:
            x: (B, ..., D).
            t: A number, () or (B,).

        Returns:
            (B, ..., D), in the precision of x.
        """
        t = t.to(torch.float64) if isinstance(t, Tensor) else float(t)
        return self.mixture.posterior_mean(x, self.sde.alpha(t), self.sde.sigma(t))

    def posterior(self, x: Tensor, t: float) -> GaussianMixture:
        """The distribution of the clean point x_0 given that the noisy point x_t is x: a mixture.

        Args:
            x: one point, (D,).
            t: One time, with sigma_t above 0.
        """
        return self.mixture.denoising_posterior(x, *self.sde.scales(t))

    def with_divergence(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The score and its divergence, in closed form.

            div s = sum_k r_k (|s_k|^2 - tr P_k) - |s|^2, with s_k = h_k - P_k x the score of component k

        As in `GridScore`, a sum over components is a matrix product, here with the coefficients of |s_k|^2 - tr P_k in the
        features (1, x_i, x_i x_j). Where these squares would cancel, the mixture measures each component from its own mean.

        Args:
            x: (B, D).
            t: One time.

        Returns:
            s(x, t), (B, D), and div s(x, t), (B,), in the precision of x.
        """
        alpha, sigma = (torch.as_tensor(v, dtype=torch.float64).reshape(1) for v in (self.sde.alpha(t), self.sde.sigma(t)))
        if float(condition(self.mixture, sigma / alpha)) * torch.finfo(torch.float64).eps > LOST_IN_DIVERGENCE:
            return self.mixture.at(self.sde, t).score_and_divergence(x)
        origin = alpha * self.mixture.mean
        c, h, P = (part[0].to(x.device) for part in self.mixture.natural(alpha, sigma, origin[None]))
        y = x.to(torch.float64) - origin.to(x.device)
        features = torch.cat([torch.ones_like(y[:, :1]), y, (y[:, :, None] * y[:, None, :]).flatten(1)], 1)
        r = torch.softmax(features @ torch.cat([c[:, None], h, -P.flatten(1) / 2], 1).T, 1)
        s = r @ h - ((r @ P.flatten(1)).view(-1, *P.shape[1:]) @ y[:, :, None])[:, :, 0]
        constant = h.square().sum(1) - P.diagonal(dim1=1, dim2=2).sum(1)
        squares = torch.cat([constant[:, None], -2 * (P @ h[:, :, None])[:, :, 0], (P @ P).flatten(1)], 1)
        divergence = ((r @ squares) * features).sum(1) - s.square().sum(1)
        return s.to(x.dtype), divergence.to(x.dtype)

    def on_grid(self, times: Sequence[float], like: Tensor) -> "GridScore":
        """The same score prepared for given times, about ten times faster.

        Args:
            times: the grid, at least one time.
            like: any tensor of the precision and on the device of the points to come.

        Returns:
            The prepared score.
        """
        return GridScore(self, times, like)


class _Workspace(NamedTuple):
    """Arrays for a block of points, coordinates first, and views of their parts: making views costs as much as adding."""

    features: Tensor  # (1 + D + D^2, B): 1, x_i, x_i x_j
    x: Tensor  # (D, B)
    column: Tensor  # (D, 1, B), x again
    products: Tensor  # (D, D, B)
    rows: tuple[Tensor, ...]  # D of (B,), the rows of x
    logits: Tensor  # (K, B), then the responsibilities
    moments: Tensor  # (D + D^2, B): sum_k r_k h_k and -sum_k r_k P_k
    h: Tensor  # (D, B)
    columns: tuple[Tensor, ...]  # D of (D, B): the columns of -sum_k r_k P_k


@final
class GridScore:
    """An exact score, and its log density, prepared for a grid of times.

    All logits are one matrix product with the features (1, x_i, x_i x_j), and the score is the responsibility-weighted
    natural parameters, s = sum_k r_k h_k - (sum_k r_k P_k) x, in coordinates centred on the mean of p_t.
    Made for one sampler run in one thread, over points in the bulk of p_t; times off the grid cost the unprepared score.

    The terms of a logit nearly cancel where a component is narrow or far from the mean: with r the least sigma_t / alpha_t of the
    grid and l_k the least variance of component k, they are up to max_k (|mu_k - m|^2 + tr S_k + D r^2) / (l_k + r^2) times as
    large as what is left. Where that times the rounding of the points' precision is above 0.01, all is computed in float64. At
    times where it is above 0.01 in float64 too, the unprepared score answers, which measures each component from its own mean.

    Args:
        exact: the score.
        times: the grid, at least one time.
        like: any tensor of the precision and on the device of the points to come.
    """

    def __init__(self, exact: ExactScore, times: Sequence[float], like: Tensor) -> None:
        """Prepare every time at once."""
        self._exact = exact
        self._precision = like.dtype
        grid = torch.tensor(list(dict.fromkeys(float(t) for t in times)), dtype=torch.float64)
        alpha, sigma = (torch.as_tensor(v).expand_as(grid) for v in (exact.sde.alpha(grid), exact.sde.sigma(grid)))
        conditions = condition(exact.mixture, sigma / alpha)
        prepared = conditions * torch.finfo(torch.float64).eps <= LOST
        self._unprepared = set(grid[~prepared].tolist())
        alpha, sigma, grid = alpha[prepared], sigma[prepared], grid[prepared]
        self._index = {t: i for i, t in enumerate(grid.tolist())}
        lost = conditions[prepared] * torch.finfo(like.dtype).eps
        dtype = like.dtype if bool((lost <= LOST).all()) else torch.float64
        self._wide = dtype != like.dtype
        # Rounded as points are, so that their difference loses nothing.
        origin = (alpha[:, None] * exact.mixture.mean).to(like.dtype).to(torch.float64)
        c, h, precision = exact.mixture.natural(alpha, sigma, origin)
        P = precision.flatten(-2)
        self._logit_rows = torch.cat([c[..., None], h, -P / 2], -1).to(like.device, dtype).unbind()
        self._moment_rows = torch.cat([h, -P], -1).mT.to(like.device, dtype).contiguous().unbind()
        self._origins = origin[..., None].to(like.device, dtype).unbind()
        K, D = exact.mixture.n_components, exact.dim
        self._sizes = (1 + D + D * D, K, D + D * D)  # features, logits and moments of a point
        self._block = max(1, BLOCK_NUMBERS // (self._sizes[0] + K))
        self._buffer = like.new_empty(0, dtype=dtype)
        self._workspaces: dict[int, _Workspace] = {}
        self._width = 0

    @property
    def dim(self) -> int:
        """D."""
        return self._exact.dim

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """Evaluate s(x, t).

        Args:
            x: points, (B, D).
            t: a number of the grid; any other time is left to the unprepared score.

        Returns:
            (B, D), in the precision of x.
        """
        i = self._index.get(t) if isinstance(t, float) else None
        if i is None or x.ndim != 2 or x.dtype != self._precision:
            return self._exact(x, t)
        return self._score(x.to(torch.float64), i).to(x.dtype) if self._wide else self._score(x, i)

    def posterior_mean(self, x: Tensor, t: Time) -> Tensor:
        """E[x_0 | x_t = x], as `ExactScore.posterior_mean`.

        Args:
            x: points, (..., D).
            t: times, a number or a tensor.
        """
        return self._exact.posterior_mean(x, t)

    def _score(self, x: Tensor, i: int) -> Tensor:
        """(B, D) -> (B, D) at place i of the grid, block by block."""
        score = torch.empty_like(x.T)
        if len(x) <= self._block:
            self._score_into(score, x.T, i)
        else:
            for part, block in zip(score.split(self._block, 1), x.T.split(self._block, 1), strict=True):
                self._score_into(part, block, i)
        return score.T

    def log_prob(self, x: Tensor, t: float) -> Tensor:
        """log p_t(x), in nats.

        Args:
            x: points, (B, D).
            t: a time of the grid.

        Returns:
            (B,), in the precision of x.

        Raises:
            KeyError: for a time that is not in the grid.
        """
        if t in self._unprepared:
            return self._exact.mixture.at(self._exact.sde, t).log_prob(x)
        i = self._index[t]
        blocks = [torch.logsumexp(self._work_with_logits(block, i).logits, 0) for block in x.T.split(self._block, 1)]
        return (torch.cat(blocks) - self.dim / 2 * math.log(2 * math.pi)).to(x.dtype)

    def _work_with_logits(self, x: Tensor, i: int) -> _Workspace:
        """The arrays for points x, (D, B), filled up to the logits."""
        work = self._workspace(x)
        torch.sub(x, self._origins[i], out=work.x)
        torch.mul(work.column, work.x, out=work.products)
        torch.mm(self._logit_rows[i], work.features, out=work.logits)
        return work

    def _score_into(self, score: Tensor, x: Tensor, i: int) -> None:
        """(D, B) -> (D, B): few operations, each over contiguous points."""
        work = self._work_with_logits(x, i)
        r = work.logits
        scratch = score[0]  # of one value a point: it is free until the score itself is written
        r.sub_(torch.amax(r, 0, out=scratch)).clamp_(min=LEAST_LOGIT).exp_()
        r.div_(torch.sum(r, 0, out=scratch))
        torch.mm(self._moment_rows[i], r, out=work.moments)
        torch.addcmul(work.h, work.columns[0], work.rows[0], out=score)
        for column, row in zip(work.columns[1:], work.rows[1:], strict=True):
            score.addcmul_(column, row)

    def _workspace(self, x: Tensor) -> _Workspace:
        D, B = x.shape
        if B not in self._workspaces:
            self._workspaces[B] = self._cut(D, B)
        work = self._workspaces[B]
        if self._width != B:  # blocks of another width have written over the row of ones
            work.features[0] = 1
            self._width = B
        return work

    def _cut(self, D: int, B: int) -> _Workspace:
        """Cut a block's arrays from the one buffer that blocks of every width share: the last block is narrower."""
        rows = self._sizes
        if self._buffer.numel() < sum(rows) * B:
            self._buffer = self._buffer.new_empty(sum(rows) * B)
            self._workspaces.clear()
        features, logits, moments = self._buffer[: sum(rows) * B].view(-1, B).split(rows)
        coordinates, products = features[1 : 1 + D], features[1 + D :].view(D, D, B)
        h, *columns = moments.split(D)
        return _Workspace(
            features, coordinates, coordinates[:, None], products, coordinates.unbind(), logits, moments, h, tuple(columns)
        )


def condition(mixture: GaussianMixture, noise: Tensor | float = 0.0) -> Tensor:
    """How many times larger the terms of a logit are than their sum, at worst over components, in X + noise Z.

    Args:
        mixture: The distribution of X.
        noise: A standard deviation, or several, (T,).

    Returns:
        () or (T,).
    """
    variances, _ = mixture.principal_axes
    added = torch.as_tensor(noise, dtype=torch.float64)[..., None] ** 2
    squares = (mixture.means - mixture.mean).square().sum(1) + variances.sum(1) + mixture.dim * added
    return (squares / (variances.amin(1) + added)).amax(-1)


def score_and_divergence(score_fn: ScoreFn, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """A score and its divergence, both exact.

        div s = sum_d ds_d / dx_d

    Closed form for an ExactScore, otherwise D backward passes of automatic differentiation, in which row b of the score must
    depend on row b of x alone.

    Args:
        score_fn: the score, exact or learned.
        x: points, (B, D).
        t: one time.

    Returns:
        s(x, t), (B, D), and div s(x, t), (B,).

    Raises:
        ValueError: for a score that is computed without gradients.
    """
    if isinstance(score_fn, ExactScore):
        return score_fn.with_divergence(x, t)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        s = score_fn(x, t)
        if not s.requires_grad:
            raise ValueError("this score is computed without gradients, so its divergence cannot be found")
        parts = [torch.autograd.grad(s[:, d].sum(), x, retain_graph=True)[0][:, d] for d in range(x.shape[1])]
    return s.detach(), torch.stack(parts).sum(0)


def exact_score(mixture: GaussianMixture, sde: SDE) -> ExactScore:
    """The exact score of a diffused mixture.

        s(x, t) = grad log p_t(x),   p_t = mixture.diffuse(alpha_t, sigma_t)

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.

    Returns:
        A ScoreFn.
    """
    return ExactScore(mixture, sde)


def denoise(sde: SDE, score_fn: ScoreFn, x: Tensor, t: Time) -> Tensor:
    """The posterior mean of the clean data given the noisy, by Tweedie's formula.

        E[x_0 | x_t = x] = (x + sigma_t^2 s(x, t)) / alpha_t

    Below alpha_t = 0.01 an exact score answers by Bayes' rule over the components, for the sum is then lost in rounding errors.
    A learned score has no such way out: there its own error counts 1 / alpha_t times, and where alpha_t is 0 it answers at the
    time with alpha = 0.01 instead.

    Args:
        sde: The forward diffusion.
        score_fn: The score, exact or learned.
        x: (B, ..., D).
        t: A number, () or (B,).

    Returns:
        (B, ..., D).

    References:
        Efron 2011, "Tweedie's Formula and Selection Bias".
    """
    least = float(torch.as_tensor(sde.alpha(t)).min())
    if isinstance(score_fn, ExactScore | GridScore) and least < SMALL_ALPHA:
        return score_fn.posterior_mean(x, t)
    if least <= NO_SIGNAL:
        t = sde.with_signal(t)
    sigma, alpha = (over_leading_axes(v, x) for v in (sde.sigma(t), sde.alpha(t)))
    return (x + sigma**2 * score_fn(x, t)) / alpha
