"""A sample compared with its exact mixture: moments and weights one by one, a distance, and what exact samples show.

A sample is finite, so no statistic agrees exactly, not even for a perfect sampler. Whether a difference is more than chance is
therefore asked of fresh exact samples of the same size: a sample is told apart where it is farther off than every one of them.
That has the stated level for every target and every size, since an exact sample is as likely as any of the fresh ones to be the
farthest; normal errors would not do, for a weight of 1/32 is far from normal in 100 points.

Nothing here depends on the SDE or on how the sample was made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from scoredm.language import N_, _
from scoredm.metrics import (
    Estimate,
    MomentComparison,
    MomentErrors,
    compare_moments,
    moment_errors,
)
from scoredm.mixture import GaussianMixture
from scoredm.streams import seeded
from scoredm.wasserstein import paired_distance, random_directions, sorted_projections

FEW_FRESH = 20  # fresh exact samples that say what chance alone produces
MANY_FRESH = 199  # of them: an exact sample is farther off than all of these once in 200
CLEAR = 2.0  # times farther off than all of the few: no exact sample is, so there is nothing to ask of many
PROJECTIONS = 32
NARROW = 0.1  # of the smaller variance of a coordinate: data narrower than this along some line are measured along their axes


# The first word of a statistic's name -> how it is called; its other words say what it is of.
TITLES = {"Mean": N_("Mean {of}"), "Var": N_("Var {of}"), "Cov": N_("Cov {of}"), "Weight": N_("Weight {of}")}
ALONG, ACROSS, BOTH = N_("along"), N_("across"), N_("of both")


@final
@dataclass(frozen=True)
class Statistic:
    """One number that is known exactly and found in a sample.

    Attributes:
        kind: "mean", "spread" (a variance or covariance) or "weight".
        name: such as "Var x₁".
        exact: the value of the mixture.
        found: the value of the sample.
        error: the standard error of `found` in exact samples of this size.
    """

    kind: str
    name: str
    exact: float
    found: float
    error: float

    @property
    def title(self) -> str:
        """The name in the reader's language."""
        what, _space, of = self.name.partition(" ")
        return _(TITLES[what]).format(of=_(of)) if what in TITLES else self.name

    @property
    def z_score(self) -> float:
        """The difference in standard errors, (found - exact) / error; infinite where there is a difference and no error."""
        difference = self.found - self.exact
        if self.error > 0:
            return difference / self.error
        return float(np.copysign(np.inf, difference)) if difference else 0.0


@final
@dataclass(frozen=True, eq=False)
class FreshSamples:
    """What fresh exact samples of one size show: the same for every sample of that size that is compared with the mixture.

    Attributes:
        points: the exact sample that distances are measured to, (n, D).
        axes: orthonormal columns along which moments are compared, (D, D), or None for the coordinates.
        directions: unit vectors of the sliced Wasserstein distance, (P, D).
        projected: `points` prepared for the distance, (P, n).
        errors: the standard errors of the moments and weights.
        distances: sliced Wasserstein distances of the fresh samples, (count,).
        z_scores: the largest |z| of each fresh sample, (count,).
    """

    points: Tensor
    axes: Tensor | None
    directions: Tensor
    projected: np.ndarray
    errors: MomentErrors
    distances: np.ndarray
    z_scores: np.ndarray


@final
@dataclass(frozen=True, eq=False)
class SampleComparison:
    """A sample compared with its mixture.

    Attributes:
        statistics: means, variances and covariances, and weights where there are several components.
        weights: of all components, arrays (K,).
        distance: the sliced Wasserstein distance to an exact sample of the same size, in the units of x.
        fresh_distances: the same for FEW_FRESH fresh exact samples, or for MANY_FRESH where the few left a doubt.
        fresh_z_scores: the largest |z| of each of those.
        turned: whether means and spread are along the principal axes of the data.
    """

    statistics: list[Statistic]
    weights: Estimate
    distance: float
    fresh_distances: np.ndarray
    fresh_z_scores: np.ndarray
    turned: bool

    @property
    def noise_floor(self) -> tuple[float, float, float]:
        """The distance that chance alone produces: the 5, 50 and 95 % points over the first FEW_FRESH exact samples."""
        low, middle, high = np.quantile(self.fresh_distances[:FEW_FRESH], [0.05, 0.5, 0.95]).tolist()
        return low, middle, high

    @property
    def count(self) -> int:
        """How many numbers are compared: the statistics and the distance."""
        return len(self.statistics) + 1

    @property
    def worst(self) -> Statistic:
        """The statistic with the largest difference in standard errors; of two weights, which are off alike, the first."""
        return max(self.statistics, key=lambda statistic: float(f"{abs(statistic.z_score):.6g}"))  # but for rounding

    @property
    def off(self) -> bool:
        """Whether the worst statistic is farther off than in every fresh exact sample: once in 200 by chance (see `compare`)."""
        return bool(abs(self.worst.z_score) > self.fresh_z_scores.max())

    @property
    def clear(self) -> bool:
        """Whether the sample is too far off for chance: in the worst statistic if that is `off`, else in the distance."""
        if self.off:
            return bool(abs(self.worst.z_score) > CLEAR * self.fresh_z_scores.max())
        return bool(self.distance > CLEAR * self.fresh_distances.max())

    @property
    def far(self) -> bool:
        """Whether the distance is larger than that of every fresh exact sample: once in 200 by chance (see `compare`)."""
        return bool(self.distance > self.fresh_distances.max())


def compare(x: Tensor, mixture: GaussianMixture, fresh: Callable[[int], FreshSamples]) -> SampleComparison:
    """Compare a sample with its mixture, along the data's own axes where the coordinates hide how narrow they are.

    An exact sample is found `off` once in 200, and `far` once in 200: only a sample beyond all of few fresh exact samples can be
    beyond all of many, so many are drawn only then, and only where it is not beyond them by far.

    Args:
        x: the sample, (n, D), n at least 2.
        mixture: what it should be a sample of.
        fresh: a function from a count to the `fresh_samples` of this mixture and size; the caller may cache it. Those of a larger
            count must begin with those of a smaller.

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    first = fresh(FEW_FRESH)
    moments = _moments(x, mixture, first.axes, first.errors)
    distance = paired_distance(sorted_projections(x, mixture.mean, first.directions), first.projected)
    turned = first.axes is not None
    lines = statistics(moments, turned)
    found = SampleComparison(lines, moments.weights, distance, first.distances, first.z_scores, turned)
    if found.clear or not (found.off or found.far):
        return found
    many = fresh(MANY_FRESH)
    return SampleComparison(lines, moments.weights, distance, many.distances, many.z_scores, turned)


def fresh_samples(
    mixture: GaussianMixture, n: int, count: int, draws: torch.Generator, directions: torch.Generator
) -> FreshSamples:
    """Draw an exact sample of n points and `count` others, and compare these with the mixture and with the first.

    Args:
        mixture: the exact distribution.
        n: points in each sample, 2 or more.
        count: how many others; the first of many are the same as few, from generators of one seed.
        draws: draws the samples, one after another.
        directions: draws the directions of the sliced Wasserstein distance.
    """
    axes, lines = narrow_axes(mixture), random_directions(PROJECTIONS, mixture.dim, directions)
    errors = moment_errors(mixture if axes is None else _turned(mixture, axes), n)
    points = mixture.sample(n, draws)
    projected = sorted_projections(points, mixture.mean, lines)
    distances, z_scores = np.empty(count), np.empty(count)
    for i in range(count):
        x = mixture.sample(n, draws)
        distances[i] = paired_distance(sorted_projections(x, mixture.mean, lines), projected)
        found = statistics(_moments(x, mixture, axes, errors), axes is not None)
        z_scores[i] = max(abs(statistic.z_score) for statistic in found)
    return FreshSamples(points, axes, lines, projected, errors, distances, z_scores)


def fresh_by_seed(mixture: GaussianMixture, n: int, seed: int) -> Callable[[int], FreshSamples]:
    """The fresh samples that the screens compare a sample of n points with, as `compare` asks for them.

    Args:
        mixture: the exact distribution.
        n: points in each sample, 2 or more.
        seed: of the experiment.

    Returns:
        A function from a count to `fresh_samples`, which draws them anew at each call.
    """
    return lambda count: fresh_samples(mixture, n, count, seeded(seed, "reference"), seeded(seed, "metric"))


def narrow_axes(mixture: GaussianMixture) -> Tensor | None:
    """The principal axes of a plane mixture's covariance where both coordinates hide how narrow it is, long axis first.

    A needle along a diagonal has two wide coordinates, and a sample several times too wide across it changes neither.

    Returns:
        The axes as columns, (2, 2), or None where the coordinates will do.

    Args:
        mixture: the exact distribution.
    """
    covariance = mixture.covariance
    variances, axes = torch.linalg.eigh(covariance)
    if mixture.dim != 2 or float(variances[0]) > NARROW * float(covariance.diagonal().min()):
        return None
    axes = axes.flip(1)
    return axes * torch.where(axes[0] < 0, -1.0, 1.0)


def _turned(mixture: GaussianMixture, axes: Tensor) -> GaussianMixture:
    """The same mixture in coordinates along the columns of `axes`."""
    means, covariances, weights = mixture.parameters
    turned = axes.T @ covariances @ axes
    return GaussianMixture(means @ axes, (turned + turned.mT) / 2, weights)


def _moments(x: Tensor, mixture: GaussianMixture, axes: Tensor | None, errors: MomentErrors) -> MomentComparison:
    if axes is None:
        return compare_moments(x, mixture, errors)
    return compare_moments(x.double() @ axes, _turned(mixture, axes), errors)


def statistics(moments: MomentComparison, turned: bool = False) -> list[Statistic]:
    """Moments one by one: means, variances and covariances, and the weights where there are several components.

    Args:
        moments: a sample compared with its mixture.
        turned: whether the coordinates are the long and the short axis of the data.
    """
    dim, count = len(moments.mean.exact), len(moments.weights.exact)
    names = [ALONG, ACROSS] if turned else ["x"] if dim == 1 else [f"x{_subscript(d + 1)}" for d in range(dim)]
    pairs = [(i, j) for i in range(dim) for j in range(i, dim)]
    spread = [f"Var {names[i]}" if i == j else f"Cov {BOTH}" if turned else f"Cov {names[i]}{names[j]}" for i, j in pairs]
    found = _statistics("mean", [f"Mean {name}" for name in names], moments.mean, [(d,) for d in range(dim)])
    found += _statistics("spread", spread, moments.covariance, pairs)
    if count > 1:
        found += _statistics("weight", [f"Weight {k + 1}" for k in range(count)], moments.weights, [(k,) for k in range(count)])
    return found


def _subscript(number: int) -> str:
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))


def _statistics(kind: str, names: Sequence[str], values: Estimate, places: Sequence[tuple[int, ...]]) -> list[Statistic]:
    return [
        Statistic(kind, name, round(float(values.exact[at]), 12) + 0.0, float(values.found[at]), float(values.error[at]))
        for name, at in zip(names, places, strict=True)
    ]
