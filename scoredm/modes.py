"""Counting the modes of a mixture, and how much noise it takes until they melt together.

Only the noise-to-signal ratio sigma_t / alpha_t matters, so the answer is one for every SDE.
"""

import numpy as np
import torch

from scoredm.mixture import GaussianMixture
from scoredm.parts import ridge

COMPONENTS = 16  # on the line: beyond them counting at many noise levels takes too long for a page
POINTS = 161  # along each component on the line
REACH = 4.0  # standard deviations of each component that are searched
LEVELS = 40  # noise levels tried before the changes are narrowed down
PRECISION = 1e-4  # of a noise level, relative


def countable(mixture: GaussianMixture) -> bool:
    """Whether `count_modes` knows how: two components or fewer in any dimension, or up to 16 on the line."""
    return mixture.n_components <= 2 or (mixture.dim == 1 and mixture.n_components <= COMPONENTS)


def count_modes(mixture: GaussianMixture) -> int:
    """The number of local maxima of the density.

    On the line: where the score turns from plus to minus. Of two components in any dimension: the maxima along their ridge curve,
    which holds every stationary point. Source: Ray and Lindsay 2005, "The topography of multivariate normal mixtures", theorem 1.
    Raises ValueError for a mixture that is not `countable`.
    """
    if not countable(mixture):
        raise ValueError(f"{mixture.n_components} components in {mixture.dim}-D: their modes are not counted")
    if mixture.n_components == 1:
        return 1
    if mixture.dim == 1:
        means, stds = mixture.means[:, 0], mixture.covariances[:, 0, 0].sqrt()
        x = (means[:, None] + stds[:, None] * torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)).ravel().sort().values
        slope = mixture.score(x[:, None])[:, 0]
        slope = slope[slope != 0]
        return int(((slope[:-1] > 0) & (slope[1:] < 0)).sum())
    height = mixture.log_prob(ridge(mixture, np.array([0, 1]))).numpy()
    height = np.concatenate([[-np.inf], height, [-np.inf]])
    return int(((height[1:-1] > height[:-2]) & (height[1:-1] >= height[2:])).sum())


def mode_levels(mixture: GaussianMixture) -> list[tuple[float, int]]:
    """How many modes X + r Z has, from each noise level r = sigma / alpha at which that changes; (0, the data's own) first.

    On the line more noise never makes a mode (Silverman 1981, "Using kernel density estimates to investigate multimodality").
    For an equal pair +-mu of standard deviation s the one change is at r^2 = mu^2 - s^2.
    Raises ValueError for a mixture that is not `countable`.
    """
    apart = float(torch.cdist(mixture.means, mixture.means).max())
    tried = [0.0, *np.geomspace(1e-3 * apart, apart, LEVELS).tolist()] if apart > 0 else [0.0]
    counted = [(r, _count(mixture, r)) for r in tried]
    found = counted[:1]
    for low, high in zip(counted, counted[1:], strict=False):
        found += _changes(mixture, *low, *high)
    return found


def _count(mixture: GaussianMixture, r: float) -> int:
    return count_modes(mixture.diffuse(1.0, r))


def _changes(mixture: GaussianMixture, low: float, before: int, high: float, after: int) -> list[tuple[float, int]]:
    """The changes between two noise levels with these counts."""
    if before == after:
        return []
    if high - low < PRECISION * high:
        return [(high, after)]
    middle = (low + high) / 2
    between = _count(mixture, middle)
    return _changes(mixture, low, before, middle, between) + _changes(mixture, middle, between, high, after)
