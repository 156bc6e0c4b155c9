"""How far a sample is from the exact answer: distances between two samples, and moments and shares against a mixture.

Samples are (N, D) tensors; every figure is computed in float64. None of them is zero for a perfect sampler, because a sample
is finite: `fresh_reference` gives the same figure for a fresh exact sample.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture

# Distances are computed in blocks of about this many numbers.
SORT_NUMBERS = 1 << 22
PAIR_NUMBERS = 1 << 17

Metric = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A figure known exactly beside the one found in a sample, and the standard error of the latter: arrays of one shape."""

    exact: np.ndarray
    found: np.ndarray
    error: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """Found minus exact."""
        return self.found - self.exact


@dataclass(frozen=True)
class Comparison:
    """A sample against its mixture: mean (D,), covariance (D, D) and component weights (K,)."""

    mean: Estimate
    covariance: Estimate
    weights: Estimate


def _checked(x: Tensor, name: str, least: int = 1) -> Tensor:
    if x.ndim != 2 or x.shape[1] == 0 or len(x) < least:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it must be (N, D) with N at least {least} and D at least 1")
    if not torch.isfinite(x).all():
        row = int((~torch.isfinite(x)).any(1).nonzero()[0, 0])
        raise ValueError(f"{name}[{row}] is {x[row].tolist()}; NaN and infinity are not allowed")
    return x.detach().to(torch.float64)


def _checked_pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    x, y = _checked(x, "x"), _checked(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x has {x.shape[1]} coordinates and y has {y.shape[1]}; they must agree")
    return x, y


def _directions(n: int, dim: int, generator: torch.Generator | None, like: Tensor) -> Tensor:
    """n random unit vectors, (n, D); on the line there is only one direction."""
    if dim == 1:
        return like.new_ones(1, 1)
    device = generator.device if generator is not None else like.device
    normal = torch.randn(n, dim, generator=generator, device=device, dtype=torch.float64).to(like.device)
    return normal / normal.norm(dim=1, keepdim=True)


def _quantile_pairs(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Which sorted x meets which sorted y in the optimal coupling of n and m equal masses, and how much mass they share."""
    cuts = torch.cat([torch.arange(n + 1, device=device) * m, torch.arange(1, m, device=device) * n]).unique()
    return cuts[:-1] // m, cuts[:-1] // n, cuts.diff().to(torch.float64) / (n * m)


def sliced_wasserstein(x: Tensor, y: Tensor, generator: torch.Generator | None = None, n_projections: int = 128) -> float:
    """The sliced 2-Wasserstein distance of two samples, in the units of x.

    sqrt(mean_u W_2^2(u.x, u.y)) over random unit vectors u, each W_2 exact by pairing quantiles; the plain W_2 where D = 1.
    x: (N, D), y: (M, D); N and M may differ. Raises ValueError for other shapes, NaN, infinity or n_projections below 1.
    Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures".
    """
    x, y = _checked_pair(x, y)
    if n_projections < 1:
        raise ValueError(f"n_projections is {n_projections}; it must be 1 or more")
    directions = _directions(n_projections, x.shape[1], generator, x)
    i, j, mass = _quantile_pairs(len(x), len(y), x.device)
    total = 0.0
    for u in directions.split(max(1, SORT_NUMBERS // (len(x) + len(y)))):
        gap = (u @ x.T).sort(1).values[:, i] - (u @ y.T).sort(1).values[:, j]
        total += float((gap**2 @ mass).sum())
    return math.sqrt(total / len(directions))


def _pairwise(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|, (N, M), without the cancellation of the matrix-product form."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _mean_distance(x: Tensor, y: Tensor) -> float:
    """The mean of |x_i - y_j| over all pairs."""
    blocks = x.split(max(1, PAIR_NUMBERS // len(y)))
    return sum(float(_pairwise(block, y).sum()) for block in blocks) / (len(x) * len(y))


def _mean_distance_within(x: Tensor) -> float:
    """The mean of |x_i - x_j| over all pairs, each unlike pair computed once."""
    size = max(1, PAIR_NUMBERS // len(x))
    total = 0.0
    for start in range(0, len(x), size):
        distance = _pairwise(x[start : start + size], x[start:])
        total += 2 * float(distance.sum()) - float(distance[:, :size].sum())
    return total / len(x) ** 2


def energy_distance(x: Tensor, y: Tensor) -> float:
    """The energy distance between the empirical laws of two samples (the V-statistic), in the square root of the units of x.

    sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|), each E over all pairs, a point with itself included; so it is never negative,
    is 0 only where the samples are the same, and falls like N^{-1/2} for two samples of one law.
    x: (N, D), y: (M, D). Raises ValueError for other shapes, NaN or infinity.
    Source: Szekely and Rizzo 2013, "Energy statistics: a class of statistics based on distances".
    """
    x, y = _checked_pair(x, y)
    squared = 2 * _mean_distance(x, y) - _mean_distance_within(x) - _mean_distance_within(y)
    return math.sqrt(max(squared, 0.0))


def sample_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D), with N - 1 below, of a sample x (N, D), N at least 2; float64."""
    x = _checked(x, "x", least=2)
    return x.mean(0), torch.cov(x.T).reshape(x.shape[1], x.shape[1])


def component_weights(x: Tensor, mixture: GaussianMixture) -> Tensor:
    """The mean responsibility of each component for a sample x (N, D), (K,); its mean over samples of the mixture is w_k."""
    return mixture.responsibilities(_checked(x, "x")).mean(0)


def against(x: Tensor, mixture: GaussianMixture) -> Comparison:
    """Mean, covariance and component weights of a sample beside the mixture's own, with standard errors.

    Each found figure is an average of N terms; its standard error is their standard deviation over sqrt(N).
    x: (N, D), N at least 2. Raises ValueError for other shapes, NaN or infinity.
    """
    mean, covariance = sample_moments(x)
    offset = x.detach().to(torch.float64) - mean
    products = offset[:, :, None] * offset[:, None, :]
    responsibilities = mixture.responsibilities(x.detach().to(torch.float64))
    return Comparison(
        mean=_estimate(mixture.mean, mean, offset),
        covariance=_estimate(mixture.covariance, covariance, products),
        weights=_estimate(mixture.weights, responsibilities.mean(0), responsibilities),
    )


def _estimate(exact: Tensor, found: Tensor, terms: Tensor) -> Estimate:
    error = terms.std(0) / math.sqrt(len(terms))
    return Estimate(exact.cpu().numpy(), found.cpu().numpy(), error.cpu().numpy())


def fresh_reference(
    mixture: GaussianMixture, n: int, metric: Metric, generator: torch.Generator | None = None, reference: Tensor | None = None
) -> float:
    """What a metric shows for a perfect sampler: metric(x, y) with x a fresh exact sample of n points.

    y: `reference` (M, D), or else a second fresh sample of n points. Raises ValueError unless n is 1 or more.
    """
    x = mixture.sample(n, generator)
    return metric(x, mixture.sample(n, generator) if reference is None else reference)
