"""Multistep samplers: steps that use the scores of earlier steps again, for a higher order at one evaluation each.

With l = log(alpha / sigma) in place of the time, the probability flow from t to s is

    x_s = (sigma_s / sigma_t) x_t + alpha_s int e^{l - l_s} x_0(l) dl over l from l_t to l_s,   x_0 = E[x_0 | x_t].

A method puts the polynomial through its last values of x_0 in place of x_0(l), and then knows the integral (Lu et al. 2022, arXiv
2211.01095). DDIM is the polynomial of degree 0. One object runs one trajectory: it uses what it remembers where a step begins at
the time at which its last one ended, and forgets it anywhere else.

The first steps of a run have less to go by, and are of lower order. That shows only where p_1 is not nearly Gaussian, or where
very many steps are taken; a grid that begins with a few short steps keeps the order.
"""

import math
from collections.abc import Sequence
from typing import final

import numpy as np
from scipy.special import hyp1f1
from torch import Tensor

from scoredm.score import ScoreFn, denoise
from scoredm.sde import SDE

QUADRATURE = np.polynomial.legendre.leggauss(16)  # nodes in [-1, 1], and weights


@final
class DPMSolver2M:
    """DPM-Solver++(2M): DDIM with the prediction of x_0 extrapolated along a line in log-SNR; order 2, one evaluation.

        x_s = (sigma_s / sigma_t) e^{-eta h} x_t + alpha_s (1 - e^{-(1 + eta) h}) D + sigma_s sqrt(1 - e^{-2 eta h}) z,
        D = (1 + c) x_0(t) - c x_0(before),   c = h / (2 h')

    Here l = log(alpha / sigma), h = l_s - l_t, and h' is that of the step before. The first step of a run has D = x_0(t), and so
    has a step to t = 0, where h is infinite: it ends at x_0(t), as DDIM does.

    With noise too the order is 2, in the distribution: what the noise of a step does to x_0 is made up for one step later.

    One object runs one trajectory: it remembers its last step, and uses it where the next begins at the time that one ended.

    Args:
        eta: the variance of the noise, in units of the reverse SDE's; 0 is the probability flow, 1 is SDE-DPM-Solver++(2M).

    Raises:
        ValueError: eta is negative or not finite.

    References:
        Lu et al. 2022, arXiv 2211.01095, algorithm 2, and appendix B for eta = 1.
    """

    def __init__(self, eta: float = 0.0) -> None:
        """Remember nothing yet."""
        if not 0 <= eta < math.inf:
            raise ValueError(f"eta is {eta}; it must be a number, 0 or more")
        self._eta = eta
        self._last: tuple[float, float, Tensor] | None = None  # where the last step ended, its h, its x_0

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        """x, noise: (N, D) -> (N, D)."""
        if t_next == t:
            return x
        (_, sigma_t), (alpha_s, sigma_s) = sde.scales(t), sde.scales(t_next)
        h = _level(sde, t_next) - _level(sde, t)
        clean = guess = denoise(sde, score_fn, x, t)
        if self._last is not None and self._last[0] == t and self._last[1] > 0 and math.isfinite(h):
            guess = clean.lerp(self._last[2], -h / (2 * self._last[1]))
        self._last = t_next, h, clean
        if self._eta == 0:
            return (sigma_s / sigma_t * x).add_(guess, alpha=-alpha_s * math.expm1(-h))
        keep, spread = sigma_s / sigma_t * math.exp(-self._eta * h), sigma_s * math.sqrt(-math.expm1(-2 * self._eta * h))
        return noise.mul_(spread).add_(x, alpha=keep).add_(guess, alpha=-alpha_s * math.expm1(-(1 + self._eta) * h))


@final
class DPMSolver3M:
    """DPM-Solver++(3M): DDIM with the prediction of x_0 extrapolated along a parabola in log-SNR; one evaluation.

        x_s = (sigma_s / sigma_t) x_t + alpha_s (m_0 D_0 + m_1 D_1 + m_2 D_2 / 2),   m_k = int_0^1 h e^{-h (1 - u)} u^k du

    D_0 + D_1 u + D_2 u^2 is the parabola through the last three x_0, with u = (l - l_t) / h. The whole of m_2 D_2 would integrate
    it exactly, for order 3: that is UniPC's predictor. The half is what was published and what other libraries have; it leaves
    order 2. The first step is DDIM's and the second DPM-Solver++(2M)'s.

    References:
        Lu et al. 2022, arXiv 2211.01095, section 4.1, with the coefficients of the authors' code.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._memory = _Memory(3)

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, _noise: Tensor) -> Tensor:
        """x: (N, D) -> (N, D)."""
        if t_next == t:
            return x
        self._memory.add(t, t_next, _level(sde, t), denoise(sde, score_fn, x, t))
        return _solve(sde, x, t, t_next, self._memory.points, curvature=0.5)


@final
class UniPC:
    """UniPC: a predictor of x_0 along a polynomial in log-SNR, and a corrector that uses the next evaluation twice.

    The predictor puts a polynomial through the last `order` values of x_0. At the next step, x_0 at the point that it reached is
    known: the corrector takes the last step again with the polynomial through that value too, at no further evaluation, and
    the next step begins from there. A run ends with a prediction.

    The order is one above that of the predictor.

    Args:
        order: how many values the predictor uses: 1, 2 or 3.

    Raises:
        ValueError: for another order.

    References:
        Zhao et al. 2023, arXiv 2302.04867, algorithms 5 and 8 with B_2(h) = e^h - 1 (data prediction).
    """

    def __init__(self, order: int = 3) -> None:
        """Remember nothing yet."""
        if order not in (1, 2, 3):
            raise ValueError(f"order is {order!r}; it must be 1, 2 or 3")
        self._memory = _Memory(order)
        self._began: tuple[float, Tensor] | None = None  # where the last step began: t and x

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, _noise: Tensor) -> Tensor:
        """x: (N, D) -> (N, D)."""
        if t_next == t:
            return x
        level, clean = _level(sde, t), denoise(sde, score_fn, x, t)
        if self._began is not None and self._memory.ends_at(t):
            x = _solve(sde, self._began[1], self._began[0], t, [(level, clean), *self._memory.points])
        self._memory.add(t, t_next, level, clean)
        self._began = t, x
        return _solve(sde, x, t, t_next, self._memory.points)


@final
class DEIS:
    """DEIS in time (tAB-DEIS): DDIM with the prediction of the noise extrapolated along a polynomial in t; one evaluation.

        x_s / alpha_s = x_t / alpha_t + int z(t) d(sigma / alpha)

    z(t) is the polynomial through the last `order` predictions of the noise, z = (x_t - alpha_t x_0) / sigma_t. The integrals of
    powers of t are found by parts and by quadrature with 16 nodes.

    Args:
        order: how many predictions are used: 1 (DDIM) to 4.

    Raises:
        ValueError: for another order.

    References:
        Zhang and Chen 2022, arXiv 2204.13902, section 3.2, with r = order - 1.
    """

    def __init__(self, order: int = 3) -> None:
        """Remember nothing yet."""
        if order not in (1, 2, 3, 4):
            raise ValueError(f"order is {order!r}; it must be 1, 2, 3 or 4")
        self._memory = _Memory(order)

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, _noise: Tensor) -> Tensor:
        """x: (N, D) -> (N, D)."""
        if t_next == t:
            return x
        (alpha_t, sigma_t), (alpha_s, sigma_s) = sde.scales(t), sde.scales(t_next)
        clean = denoise(sde, score_fn, x, t)
        noise = (x - alpha_t * clean).div_(sigma_t)
        self._memory.add(t, t_next, t, noise)
        points = self._memory.points
        if len(points) == 1:  # DDIM, which needs no alpha_t above 0
            return noise.mul(sigma_s).add_(clean, alpha=alpha_s)
        nodes = [(time - t) / (t_next - t) for time, _ in points]
        weights = _weights(nodes, _noise_moments(sde, t, t_next, len(points)))
        found = alpha_s / alpha_t * x
        for weight, (_, value) in zip(weights, points, strict=True):
            found.add_(value, alpha=alpha_s * weight)
        return found


@final
class _Memory:
    """The last evaluations along one trajectory, the newest first, each with its place on the axis of the polynomial."""

    def __init__(self, most: int) -> None:
        self.points: list[tuple[float, Tensor]] = []
        self._most = most
        self._end = math.nan  # where the last step ended

    def ends_at(self, t: float) -> bool:
        """Whether the last step ended at t."""
        return self._end == t

    def add(self, t: float, t_next: float, place: float, value: Tensor) -> None:
        """Remember what a step from t to t_next has evaluated, and forget what another trajectory has left."""
        kept = [point for point in self.points if math.isfinite(point[0]) and point[0] != place] if self.ends_at(t) else []
        self.points = [(place, value), *kept][: self._most]
        self._end = t_next


def _level(sde: SDE, t: float) -> float:
    """l = log(alpha / sigma)."""
    return float(sde.log_snr(t)) / 2


def _solve(
    sde: SDE, x: Tensor, t: float, t_next: float, points: Sequence[tuple[float, Tensor]], curvature: float = 1.0
) -> Tensor:
    """x at t_next by the polynomial through points (l, x_0), of which one is at t and any other is before it or at t_next.

    curvature: the share of the second moment that is used.
    """
    (_, sigma_t), (alpha_s, sigma_s) = sde.scales(t), sde.scales(t_next)
    start = _level(sde, t)
    h = _level(sde, t_next) - start
    if not 0 < h < math.inf:
        points = [point for point in points if point[0] == start]
    nodes = [(level - start) / h for level, _ in points] if len(points) > 1 else [0.0]
    moments = [-math.expm1(-h), *(h / (k + 1) * float(hyp1f1(1, k + 2, -h)) for k in range(1, len(points)))]
    if len(points) == 2:
        moments[1] = moments[0] / 2  # as published: of the same order as the exact moment
    elif len(points) > 2:
        moments[2] *= curvature
    found = sigma_s / sigma_t * x
    for weight, (_, clean) in zip(_weights(nodes, moments), points, strict=True):
        found.add_(clean, alpha=alpha_s * weight)
    return found


def _noise_moments(sde: SDE, t: float, t_next: float, n: int) -> list[float]:
    """The integrals of u^k d(sigma / alpha) for k below n, with u from 0 at t to 1 at t_next."""
    u, weights = (QUADRATURE[0] + 1) / 2, QUADRATURE[1] / 2
    (alpha_t, sigma_t), (alpha_s, sigma_s) = sde.scales(t), sde.scales(t_next)
    between = np.array([sigma / alpha for alpha, sigma in map(sde.scales, (t + (t_next - t) * u).tolist())])
    end = sigma_s / alpha_s
    return [end - sigma_t / alpha_t, *(end - k * float((weights * u ** (k - 1) * between).sum()) for k in range(1, n))]


def _weights(nodes: Sequence[float], moments: Sequence[float]) -> list[float]:
    """The weights of values at nodes that integrate every polynomial through them, given the integrals of the powers of u."""
    return np.linalg.solve(np.vander(nodes, increasing=True).T, np.array(moments)).tolist()
