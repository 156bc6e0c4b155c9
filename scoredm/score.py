"""Scores as functions of (x, t): the exact one of a diffused mixture, and the clean data that a score predicts.

A ScoreFn maps x (B, ..., D) and t (a number, () or (B,)) to s(x, t) = grad_x log p_t(x) of x's shape. Exact and learned
scores are the same kind of thing, so every sampler, loss and chart takes either.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol, final

import torch
from torch import Tensor

from scoredm.forms import Block, Rows, form_of, points_in_block
from scoredm.mixture import GaussianMixture
from scoredm.sde import NO_SIGNAL, SDE, Time, over_leading_axes
from scoredm.threads import one_thread

CUDA_BLOCKS = 500  # how much larger blocks of points are on a card, which one large operation fills
PREPARED_BYTES = 256 << 20  # what a prepared score keeps for its times
PREPARED_AT_ONCE = 1 << 22  # numbers in the largest array of a block of times that is prepared at once
ROW_BYTES = 2000  # what a time takes beside its numbers

# What rounding may take from a logit: a grid that could lose more in the precision of its points is prepared in float64, and a
# time at which float64 could lose more is not prepared.
LOST = 1e-2

# Expanded squares lose up to this relative share in a divergence; where they could lose more, each component is measured from
# its own mean, which takes about three times as long.
LOST_IN_DIVERGENCE = 1e-8

# Below this alpha the clean data are found by Bayes' rule where that can be: x + sigma^2 s is then mostly rounding error.
SMALL_ALPHA = 1e-2


class ScoreFn(Protocol):
    """A score s(x, t), exact or learned: a function, a network, or any other object that can be called.

    One that has an attribute `dim`, the dimension D of its points, needs no `prior` in `sample`.
    """

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """Evaluate s(x, t).

        Args:
            x: points, (B, ..., D), in single or double precision; likelihoods ask in double.
            t: times, a number, () or (B,).

        Returns:
            (B, ..., D), per unit of x, in the precision of x.
        """
        ...


def check_sde_and_score(sde: object, score_fn: object) -> None:
    """Check that two arguments are an SDE and a score, in this order.

    Args:
        sde: the first argument of the caller.
        score_fn: the second.

    Raises:
        TypeError: the first is no SDE, or the second cannot be called.
    """
    if not isinstance(sde, SDE) or not callable(score_fn):
        given = f"{type(sde).__name__} and {type(score_fn).__name__}"
        raise TypeError(f"got {given}; pass the SDE first and then the score, such as exact_score(mixture, sde)")


def check_mixture_and_sde(mixture: object, sde: object) -> None:
    """Check that two arguments are a mixture and an SDE, in this order.

    Args:
        mixture: the first argument of the caller.
        sde: the second.

    Raises:
        TypeError: the first is no mixture, or the second no SDE.
    """
    if not isinstance(mixture, GaussianMixture) or not isinstance(sde, SDE):
        given = f"{type(mixture).__name__} and {type(sde).__name__}"
        raise TypeError(f"got {given}; pass the mixture first and then the SDE")


@final
class ExactScore:
    """The score of p_t, the distribution of alpha_t X + sigma_t Z with X from a mixture; a ScoreFn.

    Args:
        mixture: the distribution of the data X.
        sde: the forward diffusion.

    Raises:
        TypeError: for what is no mixture and SDE, such as the two in the other order.
    """

    def __init__(self, mixture: GaussianMixture, sde: SDE) -> None:
        """Keep the pair; computing waits for points and times."""
        check_mixture_and_sde(mixture, sde)
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
        alpha, sigma = _scales(self.sde, torch.tensor([t], dtype=torch.float64))
        if float(condition(self.mixture, alpha, sigma)) * torch.finfo(torch.float64).eps > LOST_IN_DIVERGENCE:
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
        """The same score prepared for given times, and for others as it meets them, about ten times faster.

        Args:
            times: the grid.
            like: any tensor of the precision and on the device of the points to come.

        Returns:
            The prepared score.
        """
        return GridScore(self, times, like)


@final
class GridScore:
    """An exact score, and its log density, prepared for times: those of a grid, and any other that it meets.

    Sums over components are matrix products, in coordinates centred on the mean of p_t; `scoredm.forms` says how, and chooses by
    the shape of the covariances. Made for one sampler run in one thread, over points in the bulk of p_t.

    Times are prepared when they are first met, a block of the grid at once. What is prepared takes at most 256 MB, or one time
    where that is more: the oldest is forgotten, and prepared again where it is needed.

    The terms of a logit nearly cancel where a component is narrow or far from the mean: with l_k the least variance of component
    k, they are up to max_k (alpha^2 (|mu_k - m|^2 + tr S_k) + D sigma^2) / (alpha^2 l_k + sigma^2) times as large as what is
    left. Where that times the rounding of the points' precision is above 0.01 on the grid, all is computed in float64. At times
    where it is above 0.01 all the same, the unprepared score answers, which measures each component from its own mean; it also
    answers where the score is to be differentiated.

    Args:
        exact: the score.
        times: the grid, any number of times.
        like: any tensor of the precision and on the device of the points to come.
    """

    def __init__(self, exact: ExactScore, times: Sequence[float], like: Tensor) -> None:
        """Choose form and precision; preparing waits for the times."""
        self._exact = exact
        self._precision, self._shape = like.dtype, (exact.dim,)
        self._grid = list(dict.fromkeys(float(t) for t in times))
        self._place = {t: i for i, t in enumerate(self._grid)}
        self._condition = dict(zip(self._grid, self._conditions(self._grid), strict=True))
        good = [lost for lost in self._condition.values() if lost * torch.finfo(torch.float64).eps <= LOST]
        self._dtype = like.dtype if all(lost * torch.finfo(like.dtype).eps <= LOST for lost in good) else torch.float64
        self._mean = exact.mixture.mean
        self._form = form_of(exact.mixture)
        # Origin and coefficients of each time; None where the unprepared score answers.
        self._rows: dict[float, tuple[Tensor, Rows] | None] = {}
        self._kept: deque[tuple[list[float], int]] = deque()  # blocks of times and their bytes, oldest first
        self._times_at_once = max(1, PREPARED_AT_ONCE // (exact.mixture.n_components * (exact.dim + 1) ** 2))
        self._block = points_in_block(self._form.numbers) * (CUDA_BLOCKS if like.is_cuda else 1)
        self._buffer = like.new_empty(0, dtype=self._dtype)
        self._works: dict[int, Block] = {}
        self._width = 0

    @property
    def dim(self) -> int:
        """D."""
        return self._exact.dim

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """Evaluate s(x, t).

        Args:
            x: points, (B, ..., D).
            t: a number or (); one time for each point, (B,), is left to the unprepared score.

        Returns:
            (B, ..., D), in the precision of x.
        """
        prepared = self._prepared_for(x, t)
        if prepared is None:
            return self._exact(x, t)
        if x.ndim == 2 and x.dtype == self._dtype:
            return self._add(torch.zeros_like(x), x, 1.0, *prepared)
        rows = x.reshape(-1, self.dim).to(self._dtype)
        return self._add(torch.zeros_like(rows), rows, 1.0, *prepared).to(x.dtype).reshape(x.shape)

    def add_to(self, out: Tensor, x: Tensor, t: Time, weight: float) -> Tensor:
        """Add weight s(x, t), with fewer passes over the points than their score takes alone.

        Args:
            out: what it is added to, in place, of the shape and precision of x.
            x: points, (B, ..., D).
            t: as for the score.
            weight: a factor.

        Returns:
            out.
        """
        prepared = self._prepared_for(x, t) if x.ndim == 2 and x.dtype == out.dtype == self._dtype else None
        if prepared is None or out.requires_grad:
            return out.add_(self(x, t), alpha=weight)
        return self._add(out, x, weight, *prepared)

    def _prepared_for(self, x: Tensor, t: Time) -> tuple[Tensor, Rows] | None:
        """Origin and coefficients at t; None where the unprepared score answers."""
        if x.dtype != self._precision or x.shape[-1:] != self._shape or (x.requires_grad and torch.is_grad_enabled()):
            return None
        return None if isinstance(t, Tensor) and t.ndim else self._prepared(float(t))

    def posterior_mean(self, x: Tensor, t: Time) -> Tensor:
        """E[x_0 | x_t = x], as `ExactScore.posterior_mean`.

        Args:
            x: points, (..., D).
            t: times, a number or a tensor.
        """
        return self._exact.posterior_mean(x, t)

    def log_prob(self, x: Tensor, t: float) -> Tensor:
        """log p_t(x), in nats.

        Args:
            x: points, (B, D).
            t: a time.

        Returns:
            (B,), in the precision of x.
        """
        prepared = self._prepared(float(t))
        if prepared is None:
            return self._exact.mixture.at(self._exact.sde, t).log_prob(x)
        origin, rows = prepared
        with one_thread():
            blocks = [torch.logsumexp(self._work_for(block, origin).logits(rows), 0) for block in x.T.split(self._block, 1)]
        return (torch.cat(blocks) - self.dim / 2 * math.log(2 * math.pi)).to(x.dtype)

    def _add(self, out: Tensor, x: Tensor, weight: float, origin: Tensor, rows: Rows) -> Tensor:
        """out + weight s(x), in place, block by block; out, x: (B, D)."""
        with one_thread():
            if x.shape[0] <= self._block:
                self._work_for(x.T, origin).add(rows, out.T, weight)
                return out
            for part, block in zip(out.T.split(self._block, 1), x.T.split(self._block, 1), strict=True):
                self._work_for(block, origin).add(rows, part, weight)
            return out

    def _conditions(self, times: list[float]) -> list[float]:
        return condition(self._exact.mixture, *_scales(self._exact.sde, torch.tensor(times, dtype=torch.float64))).tolist()

    def _prepared(self, t: float) -> tuple[Tensor, Rows] | None:
        """Origin and coefficients at a time, prepared if need be together with those that follow it in the grid."""
        if t not in self._rows:
            place = self._place.get(t)
            self._prepare([t] if place is None else self._grid[place : place + self._times_at_once])
        return self._rows[t]

    def _prepare(self, times: list[float]) -> None:
        conditions = [self._condition[t] for t in times] if times[0] in self._condition else self._conditions(times)
        good = [t for t, lost in zip(times, conditions, strict=True) if lost * torch.finfo(self._dtype).eps <= LOST]
        self._rows.update(dict.fromkeys(times))
        size = ROW_BYTES * len(times)
        if good:
            alpha, sigma = _scales(self._exact.sde, torch.tensor(good, dtype=torch.float64))
            # Rounded as points are, so that their difference loses nothing.
            origin = (alpha[:, None] * self._mean).to(self._precision).to(torch.float64)
            parts = [
                part.to(self._buffer.device, self._dtype)
                for part in (origin[..., None], *self._form.prepare(alpha, sigma, origin))
            ]
            size += sum(part.nbytes for part in parts)
            for t, first, *rows in zip(good, *(part.unbind() for part in parts), strict=True):
                self._rows[t] = first, tuple(rows)
        self._kept.append((times, size))
        while len(self._kept) > 1 and sum(size for _, size in self._kept) > PREPARED_BYTES:
            for old in self._kept.popleft()[0]:
                del self._rows[old]

    def _work_for(self, x: Tensor, origin: Tensor) -> Block:
        """The arrays for points x, (D, B), which are written there; blocks of every width share one buffer."""
        B = x.shape[1]
        if B not in self._works:
            numbers = self._form.numbers * B
            if self._buffer.numel() < numbers:
                self._buffer = self._buffer.new_empty(numbers)
                self._works.clear()
            self._works[B] = self._form.block(self._buffer[:numbers].view(-1, B))
        work = self._works[B]
        if self._width != B:  # blocks of another width have written over the ones
            work.ones.fill_(1)
            self._width = B
        torch.sub(x, origin, out=work.x)
        return work


def _scales(sde: SDE, t: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma at times (T,), float64, also of an SDE that answers with one number for all."""
    alpha, sigma = (torch.as_tensor(v, dtype=torch.float64).expand_as(t) for v in (sde.alpha(t), sde.sigma(t)))
    return alpha, sigma


def condition(mixture: GaussianMixture, alpha: Tensor | float = 1.0, sigma: Tensor | float = 0.0) -> Tensor:
    """How many times larger the terms of a logit are than their sum, at worst over components, in alpha X + sigma Z.

    Args:
        mixture: The distribution of X.
        alpha: A number, or several, (T,).
        sigma: As alpha.

    Returns:
        () or (T,).
    """
    signal, noise = (torch.as_tensor(v, dtype=torch.float64)[..., None] ** 2 for v in (alpha, sigma))
    least, squares = mixture.spread
    return ((signal * squares + mixture.dim * noise) / (signal * least + noise)).amax(-1)


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


def add_score(out: Tensor, score_fn: ScoreFn, x: Tensor, t: Time, weight: float) -> Tensor:
    """Add weight s(x, t) in place; a prepared score does so in fewer passes over the points.

    Args:
        out: what it is added to, of the shape and precision of x.
        score_fn: the score, exact or learned.
        x: points, (B, ..., D).
        t: a number, () or (B,).
        weight: a factor.

    Returns:
        out.
    """
    add_to = getattr(score_fn, "add_to", None)
    return out.add_(score_fn(x, t), alpha=weight) if add_to is None else add_to(out, x, t, weight)


def exact_score(mixture: GaussianMixture, sde: SDE) -> ExactScore:
    """The exact score of a diffused mixture.

        s(x, t) = grad log p_t(x),   p_t = mixture.diffuse(alpha_t, sigma_t)

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.

    Returns:
        A ScoreFn.

    Raises:
        TypeError: see `ExactScore`.
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

    Raises:
        TypeError: see `check_sde_and_score`.

    References:
        Efron 2011, "Tweedie's Formula and Selection Bias".
    """
    check_sde_and_score(sde, score_fn)
    alpha = sde.alpha(t)
    least = float(alpha.min()) if isinstance(alpha, Tensor) else alpha
    if isinstance(score_fn, ExactScore | GridScore) and least < SMALL_ALPHA:
        return score_fn.posterior_mean(x, t)
    if least <= NO_SIGNAL:
        t = sde.with_signal(t)
        alpha = sde.alpha(t)
    sigma = sde.sigma(t)
    if not (isinstance(sigma, Tensor) or isinstance(alpha, Tensor)):
        return add_score(x / alpha, score_fn, x, t, sigma**2 / alpha)
    sigma, alpha = (over_leading_axes(v, x) for v in (sigma, alpha))
    return (x + sigma**2 * score_fn(x, t)) / alpha
