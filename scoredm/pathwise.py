"""How far a sampler's end points are from those of the exact probability flow that started at the same points.

A distance between distributions has a noise floor, and good samplers all lie in it. The flow dx/dt = f x - g^2 s / 2 is one
path for each start, so a sampler without noise can be compared with it point by point: the error is the sampler's own, down to
rounding, and two samplers that share their starts share most of their chance.

This measures steps of the flow: DDIM, Heun, DPM-Solver++ and their like. A sampler that adds noise follows no path of the flow,
and is far from it however good it is. Starts may come from any distribution: a sampler approaches the flow from each.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.integrate import DOP853
from scipy.special import log_ndtr, logsumexp, ndtri_exp
from torch import Tensor

from scoredm.likelihood import flow_scale
from scoredm.mixture import GaussianMixture
from scoredm.points import checked
from scoredm.roots import bisect
from scoredm.score import check_mixture_and_sde, denoise, exact_score
from scoredm.sde import SDE, Time
from scoredm.statistics import Measurement

TOLERANCE = 1e-9  # of each step of the solver, relative, and in units of half a component's width


def flow_end_points(mixture: GaussianMixture, sde: SDE, start: Tensor, t_min: float = 1e-3) -> Tensor:
    """Follow the exact probability flow from t = 1 down to t_min.

    In closed form on the line, where the flow keeps each point's quantile, and for one Gaussian, where it stretches every axis:

        F_{t_min}(y) = F_1(x);   y = alpha mu + (S_{t_min} / S_1)^{1/2} (x - alpha_1 mu), with S_t = alpha_t^2 S + sigma_t^2 I

    Elsewhere by an adaptive Runge-Kutta method of order 8. With c half a component's width, r = sqrt(c^2 alpha^2 + sigma^2),
    u = x / r and tan(phi) = sigma / (c alpha), the flow of every SDE is the same, and smooth at both ends:

        du/dphi = (cos(phi) u - E[x_0 | x] / c) / sin(phi)

    Args:
        mixture: the exact distribution of the data.
        sde: the forward diffusion.
        start: points at t = 1, (N, D).
        t_min: where the flow ends, at least 0 and below 1.

    Returns:
        The end points, (N, D), float64, on the CPU.

    Raises:
        TypeError: for arguments in another order.
        ValueError: for another shape, NaN or infinity, or t_min outside [0, 1).

    References:
        Song et al. 2020, arXiv 2011.13456, section 4.3; Hairer, Norsett and Wanner 1993, "Solving Ordinary Differential Equations
        I", section II.5 (DOP853, as in scipy.integrate).
    """
    check_mixture_and_sde(mixture, sde)
    if start.ndim != 2 or start.shape[1] != mixture.dim or len(start) == 0:
        raise ValueError(f"start has shape {tuple(start.shape)}; a {mixture.dim}-D mixture needs (N, {mixture.dim})")
    if not torch.isfinite(start).all():
        raise ValueError("start holds NaN or infinity; it must be finite")
    if not 0 <= t_min < 1:
        raise ValueError(f"t_min is {t_min!r}; it must be at least 0 and below 1")
    x = start.detach().cpu().double()
    if mixture.n_components == 1:
        return _stretched(mixture, sde.scales(1.0), sde.scales(t_min), x)
    if mixture.dim == 1:
        return _at_equal_quantiles(mixture.at(sde, 1.0), mixture.at(sde, t_min), x[:, 0])[:, None]
    return _solved(mixture, sde.scales(1.0), sde.scales(t_min), x)


def _stretched(mixture: GaussianMixture, first: tuple[float, float], last: tuple[float, float], x: Tensor) -> Tensor:
    """The flow of one Gaussian between two pairs (alpha, sigma)."""
    variances, axes = (part[0] for part in mixture.principal_axes)
    (a, s), (b, r) = first, last
    stretch = ((b**2 * variances + r**2) / (a**2 * variances + s**2)).sqrt()
    return b * mixture.mean + ((x - a * mixture.mean) @ axes * stretch) @ axes.T


def _normal_scores(mixture: GaussianMixture, x: Tensor) -> Tensor:
    """Phi^{-1}(F(x)) on the line, from the smaller of the two tails, so that no digit is lost far out; (N,)."""
    means, stds, shares = mixture.means[:, 0].numpy(), mixture.covariances[:, 0, 0].sqrt().numpy(), mixture.weights.numpy()
    z = (x.numpy()[:, None] - means) / stds
    below, above = (logsumexp(log_ndtr(side), axis=1, b=shares) for side in (z, -z))
    return torch.from_numpy(np.where(below < above, ndtri_exp(below), -ndtri_exp(above)))


def _at_equal_quantiles(one: GaussianMixture, other: GaussianMixture, x: Tensor) -> Tensor:
    """The points of `other` that have as much mass below them as x has in `one`, both on the line; (N,)."""
    scores = _normal_scores(one, x)
    reach = other.means[:, 0] + other.covariances[:, 0, 0].sqrt() * torch.stack([scores.min(), scores.max()])[:, None]
    return bisect(lambda y: _normal_scores(other, y), scores, float(reach.min()), float(reach.max()))


@final
@dataclass(frozen=True)
class _Angle(SDE):
    """The diffusion whose time is phi, alpha = cos(phi) / c and sigma = sin(phi): that of every SDE after x -> x / r."""

    c: float

    def alpha(self, t: Time) -> Time:
        return torch.as_tensor(t).cos() / self.c

    def sigma(self, t: Time) -> Time:
        return torch.as_tensor(t).sin()


def _solved(mixture: GaussianMixture, first: tuple[float, float], last: tuple[float, float], x: Tensor) -> Tensor:
    """The flow between two pairs (alpha, sigma) by the adaptive solver."""
    c = flow_scale(mixture)
    angle = _Angle(c)
    score = exact_score(mixture, angle).on_grid([], x)
    (start, radius), (end, end_radius) = ((math.atan2(s, c * a), math.hypot(c * a, s)) for a, s in (first, last))

    def slope(phi: float, flat: np.ndarray) -> np.ndarray:
        if phi == 0:
            return np.zeros_like(flat)
        u = torch.from_numpy(flat).reshape(x.shape)
        clean = denoise(angle, score, u, float(phi))
        return ((math.cos(phi) * u - clean / c) / math.sin(phi)).reshape(-1).numpy()

    solver = DOP853(slope, start, (x / radius).reshape(-1).numpy(), end, rtol=TOLERANCE, atol=TOLERANCE)
    while solver.status == "running":
        solver.step()
    if solver.status == "failed":
        raise RuntimeError(f"the solver gave up at noise of {math.tan(solver.t) * c:g} times the signal")
    return end_radius * torch.from_numpy(solver.y).reshape(x.shape)


def _squared_distances(points: Tensor, exact: Tensor, name: str) -> np.ndarray:
    """|x_i - y_i|^2, (N,)."""
    if points.ndim != 2 or points.shape != exact.shape:
        raise ValueError(
            f"{name} has shape {tuple(points.shape)} and the exact end points have {tuple(exact.shape)}; they must agree"
        )
    return (checked(points, name).cpu() - exact.cpu()).square().sum(1).numpy()


def _root_mean(squares: np.ndarray) -> tuple[float, np.ndarray]:
    """The root of a mean, and what each square adds to it to first order: its scatter is the root's own."""
    root = math.sqrt(squares.mean())
    return root, squares / (2 * root) if root > 0 else np.zeros_like(squares)


def pathwise_error(points: Tensor, exact: Tensor) -> Measurement:
    """The root mean square distance of a sampler's end points to the exact ones from the same starts.

        sqrt(mean_i |x_i - y_i|^2)

    Args:
        points: the sampler's end points x, (N, D).
        exact: `flow_end_points` y of the same starts, (N, D).

    Returns:
        The error in the units of x, with the standard error that the choice of the starts leaves.

    Raises:
        ValueError: for shapes that disagree, NaN or infinity.
    """
    root, parts = _root_mean(_squared_distances(points, exact, "points"))
    return Measurement(root, Measurement.mean(parts).error)


def paired_difference(one: Tensor, other: Tensor, exact: Tensor) -> Measurement:
    """How much larger the pathwise error of one sampler is than that of another from the same starts.

        sqrt(mean_i |x_i - y_i|^2) - sqrt(mean_i |x'_i - y_i|^2)

    Its standard error is that of the difference: starts that are hard for both samplers cancel, so it is often far smaller than
    those of the two errors.

    Args:
        one: the end points x of one sampler, (N, D).
        other: the end points x' of the other, (N, D).
        exact: `flow_end_points` y of their common starts, (N, D).

    Returns:
        The difference in the units of x, above 0 where the second is better, with its standard error.

    Raises:
        ValueError: for shapes that disagree, NaN or infinity.
    """
    (a, parts), (b, others) = (_root_mean(_squared_distances(x, exact, name)) for x, name in ((one, "one"), (other, "other")))
    return Measurement(a - b, Measurement.mean(parts - others).error)
