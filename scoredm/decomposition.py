"""The score of a mixture as a sum of what each component contributes, and the points where the contributions cancel.

s(x) = sum_k r_k(x) s_k(x),   s_k(x) = S_k^{-1} (mu_k - x)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture

RIDGE_POINTS = 401
NEWTON_STEPS = 30


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The score of a mixture at N points as the sum of the contributions r_k s_k of its components, float64.

    M components are listed one by one; the others are added up.

    Attributes:
        x: The points, (N, D).
        log_density: log p(x), (N,).
        score: The score of the mixture at the points, (N, D).
        components: The indices of the listed components, (M,).
        responsibilities: r_k(x) of the listed components, (N, M).
        component_scores: s_k(x) of the listed components, (N, M, D).
        other_count: The number of components that are not listed.
        other_responsibility: Their responsibilities added up, (N,).
        other_contribution: Their contributions r_k s_k added up, (N, D).
    """

    x: np.ndarray
    log_density: np.ndarray
    score: np.ndarray
    components: np.ndarray
    responsibilities: np.ndarray
    component_scores: np.ndarray
    other_count: int
    other_responsibility: np.ndarray
    other_contribution: np.ndarray

    @property
    def contributions(self) -> np.ndarray:
        """r_k s_k of the listed components, (N, M, D)."""
        return self.responsibilities[..., None] * self.component_scores

    @property
    def total(self) -> np.ndarray:
        """The sum of all contributions, (N, D), which is the score."""
        return self.contributions.sum(1) + self.other_contribution


def most_responsible(mixture: GaussianMixture, x: Sequence[float], most: int) -> np.ndarray:
    """The components with the largest responsibility for a point.

    Args:
        mixture: the mixture.
        x: the point, D numbers.
        most: the number of components wanted.

    Returns:
        Their indices, largest responsibility first; at most `most`.
    """
    r = mixture.responsibilities(torch.tensor(x, dtype=torch.float64))
    return torch.argsort(r, descending=True, stable=True)[:most].numpy()


def heaviest(mixture: GaussianMixture, most: int) -> np.ndarray:
    """The components with the largest weights.

    Args:
        mixture: the mixture.
        most: the number of components wanted.

    Returns:
        Their indices, in rising order; at most `most`.
    """
    return np.sort(torch.argsort(mixture.weights, descending=True, stable=True)[:most].numpy())


def decompose(mixture: GaussianMixture, x: Any, components: np.ndarray) -> Decomposition:
    """The score at points as contributions of some components, one by one, and of all others together.

    Args:
        mixture: the mixture.
        x: points, (N, D).
        components: the indices of the components to list, (M,).

    Returns:
        The contributions, in float64.
    """
    points = torch.as_tensor(x, dtype=torch.float64)
    r, component_scores = mixture.responsibilities(points).numpy(), mixture.component_scores(points).numpy()
    others = np.setdiff1d(np.arange(mixture.n_components), components)
    return Decomposition(
        x=points.numpy(),
        log_density=mixture.log_prob(points).numpy(),
        score=mixture.score(points).numpy(),
        components=components,
        responsibilities=r[:, components],
        component_scores=component_scores[:, components],
        other_count=len(others),
        other_responsibility=r[:, others].sum(1),
        other_contribution=np.einsum("nk,nkd->nd", r[:, others], component_scores[:, others]),
    )


def component(mixture: GaussianMixture, k: int) -> GaussianMixture:
    """One component alone, with weight 1.

    Args:
        mixture: the mixture.
        k: the index of the component.

    Returns:
        A mixture of one component.

    Raises:
        IndexError: if there is no component k.
    """
    means, covariances, _ = mixture.parameters
    return GaussianMixture.gaussian(means[k], covariances[k])


def largest_contributions(mixture: GaussianMixture, x: Tensor, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At each point the longest vectors r_k s_k, then the score itself.

    Args:
        mixture: the mixture.
        x: points, (N, D).
        most: the number of contributions wanted; M is this or the number of components, whichever is less.

    Returns:
        The vectors, (N, M + 1, D), and the component that each belongs to, (N, M + 1), -1 for the score.
    """
    weighted = mixture.responsibilities(x)[..., None] * mixture.component_scores(x)
    few = torch.topk(weighted.norm(dim=-1), min(most, mixture.n_components), dim=1).indices
    vectors = torch.cat([torch.take_along_dim(weighted, few[..., None], 1), mixture.score(x)[:, None]], 1)
    return vectors.numpy(), np.concatenate([few.numpy(), np.full((len(x), 1), -1)], 1)


def hessian(mixture: GaussianMixture, x: Tensor) -> Tensor:
    """The second derivatives of log p at a point.

        sum_k r_k (s_k s_k' - S_k^{-1}) - s s'

    Args:
        mixture: the mixture.
        x: the point, (D,), float64.

    Returns:
        (D, D).
    """
    r, component_scores, s = mixture.responsibilities(x), mixture.component_scores(x), mixture.score(x)
    variances, axes = mixture.principal_axes
    precisions = (axes / variances[:, None, :]) @ axes.mT
    return torch.einsum("k,kij->ij", r, component_scores[:, :, None] * component_scores[:, None, :] - precisions) - s[:, None] * s


def saddle(mixture: GaussianMixture, x: Sequence[float]) -> np.ndarray | None:
    """A point between the two components most responsible for x where the score is 0 and there is no mode.

    In one dimension it is a minimum of the density between two modes. It is sought on the ridge curve of the pair, which holds
    every stationary point of two components (see `ridge`), and then by Newton steps with all components.

    Args:
        mixture: the mixture.
        x: a point, D numbers.

    Returns:
        The saddle point, (D,), or None if none is found.

    References:
        Ray and Lindsay 2005, "The topography of multivariate normal mixtures".
    """
    pair = most_responsible(mixture, x, 2)
    if len(pair) < 2:
        return None
    curve = ridge(mixture, pair, torch.linspace(0, 1, RIDGE_POINTS, dtype=torch.float64))
    height = mixture.log_prob(curve)
    dips = 1 + torch.nonzero((height[1:-1] <= height[:-2]) & (height[1:-1] < height[2:]))[:, 0]
    if len(dips) == 0:
        return None
    point = _newton(mixture, curve[dips[height[dips].argmin()]])
    found = bool((mixture.score(point).abs() < 1e-6 * mixture.component_scores(point).abs().max()).all())
    return point.numpy() if found and float(torch.linalg.eigvalsh(hessian(mixture, point))[-1]) > 0 else None


def ridge(mixture: GaussianMixture, pair: np.ndarray, shares: Tensor) -> Tensor:
    """The ridge curve of two components, from mu_j at a = 0 to mu_i at a = 1.

        a -> (a P_i + (1 - a) P_j)^{-1} (a P_i mu_i + (1 - a) P_j mu_j),   P = S^{-1}

    Args:
        mixture: the mixture.
        pair: the indices i and j of two components, (2,).
        shares: a, from 0 to 1, (M,).

    Returns:
        Points of the curve, (M, D).

    References:
        Ray and Lindsay 2005, "The topography of multivariate normal mixtures".
    """
    means, covariances, _ = mixture.parameters
    P_i, P_j = torch.linalg.inv(covariances[torch.from_numpy(pair)])
    mu_i, mu_j = means[torch.from_numpy(pair)]
    a = shares[:, None, None]
    right = a * (P_i @ mu_i)[:, None] + (1 - a) * (P_j @ mu_j)[:, None]
    return torch.linalg.solve(a * P_i + (1 - a) * P_j, right)[..., 0]


def _newton(mixture: GaussianMixture, x: Tensor) -> Tensor:
    """Follow Newton's steps to a zero of the score, none longer than the mixture's smallest standard deviation."""
    longest = math.sqrt(float(mixture.principal_axes[0].min()))
    for _ in range(NEWTON_STEPS):
        step = -torch.linalg.lstsq(hessian(mixture, x), mixture.score(x)[:, None]).solution[:, 0]
        x = x + step * min(1.0, longest / max(float(step.norm()), 1e-300))
    return x
