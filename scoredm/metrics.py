"""How far a sample is from the exact answer: distances between two samples, and moments and shares against a mixture.

Samples are (N, D) tensors; sums are taken in float64. Most metrics are above 0 even for a perfect sampler, because a sample is
finite: `noise_floor` measures them for fresh exact samples. `METRICS` names the metrics that all take (x, mixture, generator),
and the one that compares each point with the exact flow from the same start, see `scoredm.pathwise`.

.. include:: ../docs/metrics.md
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scoredm.coverage import component_weights, log_density_gap, mode_coverage
from scoredm.discrepancies import energy_distance, mmd_to_mixture
from scoredm.language import N_
from scoredm.mixture import GaussianMixture
from scoredm.pathwise import pathwise_error
from scoredm.points import checked, checked_for
from scoredm.statistics import Measurement
from scoredm.wasserstein import sliced_wasserstein, sliced_wasserstein_to_mixture

NODES = 1 << 12  # points over which the variances of the responsibilities are means
ROUNDING = 1e-12  # of a weight found in float64

REFERENCE_POINTS = 10_000  # in the exact sample that METRICS compare x with, whatever the size of x

Metric = Callable[[Tensor, Tensor], float]
MixtureMetric = Callable[[Tensor, GaussianMixture, torch.Generator | None], float]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Exact values, those of a sample, and the standard errors of the latter: arrays of one shape."""

    exact: np.ndarray
    found: np.ndarray
    error: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """Found minus exact."""
        return self.found - self.exact


@dataclass(frozen=True)
class NoiseFloor:
    """What a metric shows for a perfect sampler: the value that chance alone produces, over fresh exact samples of one size.

    Attributes:
        mean: the mean, with its standard error.
        low: the 5 % point.
        median: the 50 % point.
        high: the 95 % point.
    """

    mean: Measurement
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class NamedMetric:
    """A named metric: one entry of METRICS is all that a new metric needs.

    Called as metric(x, mixture, generator); 0 is perfect; with most metrics a finite sample is above it. Sliced Wasserstein and
    energy distance draw an exact sample from the generator: generators of one seed give every sample the same one. The others
    draw nothing.

    A pathwise metric is called as metric(x, exact): with the exact end points of the flow from the starts of x in place of the
    mixture. It draws nothing, and a sampler that follows the flow exactly reaches 0.

    Attributes:
        title: what it is called on screen.
        unit: in words; "" where it has none.
        caption: what it means, in a sentence.
        function: (x, mixture, generator) -> the value; (x, exact, None) -> the value of a pathwise metric.
        components: the least number of components of a mixture for which it means something.
        fresh: exact samples over which the app measures its noise floor; fewer for a slow metric.
        reference: M, the points of the exact sample that it draws and compares x with; 0 where it draws none.
        pathwise: whether it compares each point with the exact end point from the same start, and not the sample with the
            mixture.
    """

    title: str
    unit: str
    caption: str
    function: Callable[[Tensor, Any, torch.Generator | None], float]
    components: int = 1
    fresh: int = 40
    reference: int = 0
    pathwise: bool = False

    def __call__(self, x: Tensor, exact: GaussianMixture | Tensor, generator: torch.Generator | None = None, /) -> float:
        """Measure a sample.

        Args:
            x: the sample, (N, D).
            exact: the exact distribution; of a pathwise metric the exact end points from the same starts, (N, D).
            generator: draws the exact sample that x is compared with, where the metric needs one.

        Returns:
            The value.

        Raises:
            ValueError: x has another shape, or holds NaN or infinity.
            TypeError: the second argument is of the other kind.
        """
        if isinstance(exact, Tensor) != self.pathwise:
            wanted = "the exact end points, (N, D)" if self.pathwise else "the exact distribution, a GaussianMixture"
            raise TypeError(f"the metric {self.title!r} is given a {type(exact).__name__}; it compares x with {wanted}")
        return self.function(x, exact, generator)


@dataclass(frozen=True)
class MomentComparison:
    """A sample against its mixture: mean (D,), covariance (D, D) and component weights (K,)."""

    mean: Estimate
    covariance: Estimate
    weights: Estimate


def sample_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a sample; the covariance divides by N - 1.

    Args:
        x: the sample, (N, D), N at least 2.

    Returns:
        The mean, (D,), and the covariance, (D, D), in float64.

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    x = checked(x, "x", least=2)
    return x.mean(0), torch.cov(x.T).reshape(x.shape[1], x.shape[1])


@dataclass(frozen=True, eq=False)
class MomentErrors:
    """Standard errors of the moments and weights of exact samples of one size.

    Attributes:
        mean: (D,).
        covariance: (D, D).
        weights: (K,).
    """

    mean: np.ndarray
    covariance: np.ndarray
    weights: np.ndarray


def moment_errors(mixture: GaussianMixture, n: int) -> MomentErrors:
    """The standard errors of the mean, covariance and component weights of exact samples of n points.

    They follow from the mixture alone, so no chance of one sample makes them too small. With M_ijij the mixture's central fourth
    moment and r_k the responsibilities:

        mean        sqrt(S_ii / n)
        covariance  sqrt((M_ijij - S_ij^2) / n + (S_ii S_jj + S_ij^2) / (n (n - 1)))
        weights     sqrt(E[(r_k - w_k)^2] / n)

    The last is sqrt(w_k (1 - w_k) / n) where components are far apart. Its expectation is a mean over evenly spread points of
    each component.

    Args:
        mixture: the exact distribution.
        n: points in a sample, 2 or more.

    Raises:
        ValueError: for n below 2.
    """
    if n < 2:
        raise ValueError(f"n is {n}; it must be 2 or more")
    S = mixture.covariance
    diagonal = S.diagonal()
    of_products = (_fourth_moments(mixture) - S**2) / n + (torch.outer(diagonal, diagonal) + S**2) / (n * (n - 1))
    of_weights = _responsibility_variances(mixture) / n
    parts = (diagonal / n, of_products, of_weights + ROUNDING**2)
    return MomentErrors(*(part.clamp(min=0).sqrt().numpy() for part in parts))


def _fourth_moments(mixture: GaussianMixture) -> Tensor:
    """E[(x_i - m_i)^2 (x_j - m_j)^2], (D, D)."""
    d, S = mixture.means - mixture.mean, mixture.covariances
    square, variance = d**2, S.diagonal(dim1=1, dim2=2)
    outer = (square + variance)[:, :, None] * (square + variance)[:, None, :]
    each = outer + 4 * d[:, :, None] * d[:, None, :] * S + 2 * S**2
    return torch.einsum("k,kij->ij", mixture.weights, each)


def _responsibility_variances(mixture: GaussianMixture) -> Tensor:
    """E[(r_k - w_k)^2], (K,), over quasi-random points of each component."""
    count = max(32, NODES // mixture.n_components)
    even = torch.quasirandom.SobolEngine(mixture.dim).draw(count, dtype=torch.float64)
    z = torch.special.ndtri((even + 0.5 / count).clamp(max=1 - 0.5 / count))
    variances, axes = mixture.principal_axes
    x = mixture.means[:, None] + (variances.sqrt()[:, None] * z) @ axes.mT
    square = (mixture.responsibilities(x) - mixture.weights) ** 2
    return mixture.weights @ square.mean(1)


def compare_moments(x: Tensor, mixture: GaussianMixture, errors: MomentErrors | None = None) -> MomentComparison:
    """Compare mean, covariance and component weights of a sample with the mixture's own.

    Args:
        x: the sample, (N, D), N at least 2.
        mixture: the exact distribution.
        errors: of samples of this size; by default `moment_errors(mixture, N)`.

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    mean, covariance = sample_moments(x)
    errors = errors or moment_errors(mixture, len(x))
    return MomentComparison(
        mean=Estimate(mixture.mean.numpy(), mean.cpu().numpy(), errors.mean),
        covariance=Estimate(mixture.covariance.numpy(), covariance.cpu().numpy(), errors.covariance),
        weights=Estimate(mixture.weights.numpy(), component_weights(x, mixture).cpu().numpy(), errors.weights),
    )


def fresh_reference(
    mixture: GaussianMixture, n: int, metric: Metric, generator: torch.Generator | None = None, reference: Tensor | None = None
) -> float:
    """What a metric shows for a perfect sampler: metric(x, y) with x a fresh exact sample.

    Args:
        mixture: the exact distribution.
        n: points in each fresh sample.
        metric: of two samples.
        generator: draws the fresh samples.
        reference: y, (M, D); by default a second fresh sample.

    Returns:
        The value.

    Raises:
        ValueError: unless n is 1 or more.
    """
    x = mixture.sample(n, generator)
    return metric(x, mixture.sample(n, generator) if reference is None else reference)


def noise_floor(
    mixture: GaussianMixture, n: int, metric: MixtureMetric, generator: torch.Generator | None = None, repeats: int = 20
) -> NoiseFloor:
    """Measure what a metric shows for a perfect sampler, over fresh exact samples of n points.

    Samples and the metric's own draws come from the generator in turn, so the range covers the scatter of both. A pathwise metric
    has no noise floor: all its numbers are 0.

    Args:
        mixture: the exact distribution.
        n: points in each sample.
        metric: one of METRICS, or any function (x, mixture, generator) -> float.
        generator: draws samples, and what the metric draws.
        repeats: how many samples.

    Raises:
        ValueError: unless n and repeats are 1 or more.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; it must be 1 or more")
    if isinstance(metric, NamedMetric) and metric.pathwise:
        return NoiseFloor(Measurement(0.0, 0.0), 0.0, 0.0, 0.0)
    values = [metric(mixture.sample(n, generator), mixture, generator) for _ in range(repeats)]
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95]).tolist()
    return NoiseFloor(Measurement.mean(values), low, median, high)


def _sliced_wasserstein(x: Tensor, mixture: GaussianMixture, generator: torch.Generator | None) -> float:
    return sliced_wasserstein(x, mixture.sample(REFERENCE_POINTS, generator), generator)


def _energy(x: Tensor, mixture: GaussianMixture, generator: torch.Generator | None) -> float:
    return energy_distance(x, mixture.sample(REFERENCE_POINTS, generator))


def _mmd(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None) -> float:
    return mmd_to_mixture(x, mixture)


def _exact_sliced_wasserstein(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None) -> float:
    return sliced_wasserstein_to_mixture(x, mixture)


def _log_density(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None) -> float:
    return abs(log_density_gap(x, mixture).value)


def _lost_modes(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None) -> float:
    return 1 - mode_coverage(x, mixture)


def _pathwise(x: Tensor, exact: Tensor, _generator: torch.Generator | None) -> float:
    return pathwise_error(x, exact).value


def mean_error(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None = None) -> float:
    """The length of the error of the mean in standard deviations of the mixture (the Mahalanobis distance).

        sqrt((m' - m)' S^{-1} (m' - m)), m and S mean and covariance of the mixture, m' the mean of x

    N times its square is chi-squared with D degrees of freedom for an exact sample of many points.

    Args:
        x: the sample, (N, D).
        mixture: the exact distribution.

    Returns:
        The error.

    Raises:
        ValueError: for other shapes, NaN or infinity.

    References:
        Mahalanobis 1936, "On the generalized distance in statistics".
    """
    error = checked_for(x, mixture).mean(0) - mixture.mean
    return math.sqrt(float(error @ torch.linalg.solve(mixture.covariance, error)))


def covariance_error(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None = None) -> float:
    """The relative error of the covariance in the Frobenius norm.

        |S' - S| / |S|, S' the covariance of x and S the mixture's

    Args:
        x: the sample, (N, D), N at least 2.
        mixture: the exact distribution.

    Returns:
        The error.

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    _, found = sample_moments(checked_for(x, mixture, least=2))
    return float((found - mixture.covariance).norm() / mixture.covariance.norm())


def weight_error(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None = None) -> float:
    """The total variation between the weights found in a sample and the mixture's: the share of points that must move.

        sum_k |w'_k - w_k| / 2, w' the `component_weights` of x

    Args:
        x: the sample, (N, D).
        mixture: the exact distribution.

    Returns:
        The error, from 0 to 1.

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    return float((component_weights(x, mixture) - mixture.weights).abs().sum()) / 2


METRICS = {
    "sliced-wasserstein": NamedMetric(
        N_("Sliced Wasserstein distance"),
        N_("units of x"),
        N_("How far points must move along a line to become an exact sample of 10 000 points, root mean square over directions."),
        _sliced_wasserstein,
        reference=REFERENCE_POINTS,
    ),
    "energy": NamedMetric(
        N_("Energy distance"),
        N_("square root of the units of x"),
        N_("How much farther the points lie from an exact sample of 10 000 points than each of the two lies from itself."),
        _energy,
        fresh=12,
        reference=REFERENCE_POINTS,
    ),
    "mmd": NamedMetric(
        N_("Maximum mean discrepancy"),
        "",
        N_("The distance of two densities blurred by a Gaussian as wide as a component; the mixture's side is exact."),
        _mmd,
    ),
    "mean": NamedMetric(
        N_("Error of the mean"),
        N_("standard deviations"),
        N_("How far the mean of the points is from the exact mean."),
        mean_error,
    ),
    "covariance": NamedMetric(
        N_("Error of the covariance"),
        N_("relative"),
        N_("How far the covariance of the points is from the exact one, as a part of the exact one's size."),
        covariance_error,
    ),
    "weights": NamedMetric(
        N_("Error of the weights"),
        N_("share of the points"),
        N_("The share of points that belong to another component than they should."),
        weight_error,
        components=2,
    ),
    "exact-sliced-wasserstein": NamedMetric(
        N_("Sliced Wasserstein distance to the mixture"),
        N_("units of x"),
        N_("How far points must move along a line to become the exact distribution itself, root mean square over directions."),
        _exact_sliced_wasserstein,
    ),
    "log-density": NamedMetric(
        N_("Log-density gap"),
        N_("nats"),
        N_("How far the mean exact log density of the points is from that of the exact distribution's own points."),
        _log_density,
    ),
    "lost-modes": NamedMetric(
        N_("Lost components"),
        N_("share of the components"),
        N_("The share of components that got less than half of their weight."),
        _lost_modes,
        components=2,
    ),
    "pathwise": NamedMetric(
        N_("Distance to the exact flow"),
        N_("units of x"),
        N_(
            "How far the points are, root mean square, from where the exact probability flow takes the same starts. For samplers "
            "that add no noise; it has no noise floor."
        ),
        _pathwise,
        pathwise=True,
    ),
}
