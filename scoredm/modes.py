"""Counting the modes of a mixture, and how much noise it takes until they merge.

Only the noise-to-signal ratio sigma_t / alpha_t matters, so the answer is one for every SDE.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import root_scalar
from torch import Tensor

from scoredm.decomposition import ridge
from scoredm.grids import time_of_log_snr
from scoredm.mixture import GaussianMixture
from scoredm.sde import SDE

COMPONENTS = 16  # on the line: beyond them counting at many noise levels takes too long for a page
POINTS, REACH = 41, 2.0  # along each component on the line, within so many standard deviations: twice what is needed of both
RIDGE_POINTS = 401
CLOSER, ROUNDS = 33, 2  # points between neighbours of a nearly flat place, and how often it is looked at again
LEVELS = 40  # noise levels tried before the changes are narrowed down
PRECISION = 1e-4  # of a noise level, relative


def countable(mixture: GaussianMixture) -> bool:
    """Whether `count_modes` can count the modes: two components or fewer in any dimension, or up to 16 on the line.

    Args:
        mixture: any mixture.
    """
    return mixture.n_components <= 2 or (mixture.dim == 1 and mixture.n_components <= COMPONENTS)


def count_modes(mixture: GaussianMixture) -> int:
    """The number of local maxima of the density.

    On the line these are the places where the score changes from plus to minus. For two components in any dimension they are
    the places along their ridge curve, which holds every stationary point, where

        log(r_1 / r_2) - log(a / (1 - a))

    changes from plus to minus: the score on the curve is 0 where r_1 = a.

    Args:
        mixture: a mixture that is `countable`.

    Returns:
        1 or more.

    Raises:
        ValueError: for another mixture.

    References:
        Ray and Lindsay 2005, "The topography of multivariate normal mixtures", theorem 1.
    """
    if not countable(mixture):
        raise ValueError(f"{mixture.n_components} components in {mixture.dim}-D: their modes are not counted")
    if int((mixture.weights > 0).sum()) == 1:
        return 1
    return _maxima(*(_line if mixture.dim == 1 else _ridge)(mixture))


Slope = Callable[[Tensor], Tensor]  # (N,) -> (N,)


def _maxima(slope: Slope, x: Tensor) -> int:
    """How often a slope turns from plus to minus along a line, from points x (N,) on, and more wherever it is nearly 0."""
    x = _in_order(x)
    values = slope(x)
    for _ in range(ROUNDS):
        height = values.abs()
        flat = 1 + torch.nonzero((height[1:-1] <= height[:-2]) & (height[1:-1] <= height[2:]))
        between = torch.linspace(0, 1, CLOSER, dtype=torch.float64)[1:-1]
        x = _in_order(torch.cat([x, torch.lerp(x[flat - 1], x[flat + 1], between).ravel()]))
        values = slope(x)
    values = values[values != 0]
    return int(((values[:-1] > 0) & (values[1:] < 0)).sum())


def _in_order(x: Tensor) -> Tensor:
    """Numbers in rising order, without those that only rounding sets apart: between such neighbours there is nothing to see."""
    x = x.sort().values
    return x[torch.cat([x.new_ones(1), x.diff() > 16 * torch.finfo(x.dtype).eps * x.abs().max()]).bool()]


def _line(mixture: GaussianMixture) -> tuple[Slope, Tensor]:
    """The score on the line, and points around every component."""
    stds = mixture.covariances[:, 0].sqrt()
    around = mixture.means + stds * torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    return lambda x: mixture.score(x[:, None])[:, 0], around.ravel()


def _ridge(mixture: GaussianMixture) -> tuple[Slope, Tensor]:
    """log(r_1 / r_2) - u along the ridge curve of two components, and points u = log(a / (1 - a)) over all of its bends."""
    (log_w1, log_w2), pair = mixture.weights.log(), np.array([0, 1])

    def slope(u: Tensor) -> Tensor:
        first, second = mixture.component_log_prob(ridge(mixture, pair, u.sigmoid())).T
        return (log_w1 + first) - (log_w2 + second) - u

    variances, _ = mixture.principal_axes
    least, most = variances[:, 0].log(), variances[:, -1].log()
    margin = 3 + float(((mixture.means[0] - mixture.means[1]).square().sum() / variances.min()).log1p())
    low, high = float(least[0] - most[1]) - margin, float(most[0] - least[1]) + margin
    at_low, at_high = slope(torch.tensor([low, high], dtype=torch.float64)).tolist()
    ends = [low + 2 * min(at_low, 0) - 1, high + 2 * max(at_high, 0) + 1]  # beyond a root, if it lies outside
    return slope, torch.tensor([ends[0], *np.linspace(low, high, RIDGE_POINTS), ends[1]], dtype=torch.float64)


def mode_levels(mixture: GaussianMixture) -> list[tuple[float, int]]:
    """The noise levels r = sigma / alpha at which the number of modes of X + r Z changes.

    On the line more noise never makes a mode. Two components of one weight and one covariance S at m - d and m + d make one mode
    once

        d' (S + r^2 I)^{-1} d <= 1,

    which is solved for r. For any other mixture the levels are narrowed down by counting, to a relative 1e-4.

    Args:
        mixture: a mixture that is `countable`.

    Returns:
        Pairs of a noise level and the number of modes from there on, in rising order; the first is (0, that of the data).

    Raises:
        ValueError: for another mixture.

    References:
        Silverman 1981, "Using kernel density estimates to investigate multimodality".
    """
    return list(_levels(mixture))


@lru_cache(maxsize=64)  # the levels are the same for every SDE, and counting takes thousands of small steps
def _levels(mixture: GaussianMixture) -> tuple[tuple[float, int], ...]:
    if _is_equal_pair(mixture):
        level = _pair_level(mixture)
        return ((0.0, 2), (level, 1)) if level > 0 else ((0.0, 1),)
    apart = float(torch.cdist(mixture.means, mixture.means).max())
    tried = [0.0, *np.geomspace(1e-3 * apart, apart, LEVELS).tolist()] if apart > 0 else [0.0]
    counted = [(r, _count(mixture, r)) for r in tried]
    found = counted[:1]
    for low, high in zip(counted, counted[1:], strict=False):
        found += _changes(mixture, *low, *high)
    return tuple(found)


@dataclass(frozen=True)
class Merger:
    """From time t on p_t has so many modes; at this log-SNR, whatever the SDE."""

    t: float
    modes: int
    log_snr: float


def mergers(levels: Sequence[tuple[float, int]], sde: SDE) -> tuple[Merger, ...]:
    """The times up to 1 at which the number of modes of p_t changes.

    Args:
        levels: from `mode_levels`.
        sde: the forward diffusion.
    """
    last = float(sde.log_snr(1.0))
    changes = [(-2 * math.log(level), count) for level, count in levels[1:]]
    return tuple(Merger(time_of_log_snr(sde, log_snr), count, log_snr) for log_snr, count in changes if log_snr >= last)


def merge_time(mixture: GaussianMixture, sde: SDE) -> float | None:
    """The time from which p_t has one mode.

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.

    Returns:
        A time; 0 where the data have one mode, infinity where p_1 still has more, None for a mixture that is not `countable`.
    """
    if not countable(mixture):
        return None
    level, _ = mode_levels(mixture)[-1]
    if level == 0:
        return 0.0
    log_snr = -2 * math.log(level)
    return time_of_log_snr(sde, log_snr) if log_snr >= float(sde.log_snr(1.0)) else math.inf


def _is_equal_pair(mixture: GaussianMixture) -> bool:
    return mixture.n_components == 2 and torch.equal(*mixture.covariances.unbind()) and torch.equal(*mixture.weights.unbind())


def _pair_level(mixture: GaussianMixture) -> float:
    """The noise level at which the two modes of an equal pair become one, 0 where they are one without noise."""
    variances, axes = (p[0] for p in mixture.principal_axes)
    along = (mixture.means[1] - mixture.means[0]) / 2 @ axes
    if float((along**2 / variances).sum()) <= 1:
        return 0.0
    # In units of the half distance the root in r^2 lies in (0, 1]: at r^2 = |d|^2 the sum is at most 1.
    unit = float(along.square().sum())
    square = root_scalar(
        lambda r2: float((along**2 / (variances + r2 * unit)).sum()) - 1, bracket=(0.0, 1.0), xtol=1e-300, rtol=1e-15
    )
    return math.sqrt(square.root * unit)


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
