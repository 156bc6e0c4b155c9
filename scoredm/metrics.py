"""How far a sample is from the exact answer: distances between two samples, and moments and shares against a mixture.

Samples are (N, D) tensors; sums are taken in float64. No figure is zero for a perfect sampler, because a sample is finite:
`noise_floor` gives the same number for fresh exact samples. `METRICS` names the figures that all take (x, mixture, generator).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scoredm.language import N_
from scoredm.mixture import GaussianMixture, typical_std
from scoredm.statistics import Measurement

# Distances are computed in blocks of about this many numbers; a block of pairs stays within a core's cache.
SORT_NUMBERS = 1 << 22
PAIR_NUMBERS = 1 << 17

NODES = 1 << 12  # points over which the variances of the responsibilities are means
ROUNDING = 1e-12  # of a weight found in float64

FAR = 1e18  # the largest coordinate whose square float32 holds

REFERENCE_POINTS = 10_000  # in the exact sample that METRICS hold x against, whatever the size of x

Metric = Callable[[Tensor, Tensor], float]
MixtureMetric = Callable[[Tensor, GaussianMixture, torch.Generator | None], float]


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

    Called as metric(x, mixture, generator); 0 is perfect, and no finite sample reaches it. Sliced Wasserstein and energy distance
    draw an exact sample from the generator: generators of one seed give every sample the same one. The others draw nothing.

    Attributes:
        title: what it is called on screen.
        unit: in words; "" where it has none.
        caption: what it means, in a sentence.
        function: (x, mixture, generator) -> the value.
        components: the least number of components of a mixture for which it means something.
        fresh: exact samples over which the app measures its noise floor; fewer for a slow metric.
        reference: M, the points of the exact sample that it draws and compares x with; 0 where it compares x with the mixture.
    """

    title: str
    unit: str
    caption: str
    function: MixtureMetric
    components: int = 1
    fresh: int = 40
    reference: int = 0

    def __call__(self, x: Tensor, mixture: GaussianMixture, generator: torch.Generator | None = None, /) -> float:
        """Measure a sample.

        Args:
            x: the sample, (N, D).
            mixture: the exact distribution.
            generator: draws the exact sample that x is compared with, where the metric needs one.

        Returns:
            The value.

        Raises:
            ValueError: x has another shape, or holds NaN or infinity.
        """
        return self.function(x, mixture, generator)


@dataclass(frozen=True)
class MomentComparison:
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


def _checked_for(x: Tensor, mixture: GaussianMixture, least: int = 1) -> Tensor:
    x = _checked(x, "x", least)
    if x.shape[1] != mixture.dim:
        raise ValueError(f"x has {x.shape[1]} coordinates; points of a {mixture.dim}-D mixture have {mixture.dim}")
    return x


def random_directions(n: int, dim: int, generator: torch.Generator | None = None) -> Tensor:
    """Random unit vectors, evenly spread over all directions.

    Args:
        n: how many.
        dim: D; on the line there is only one direction, whatever n is.
        generator: draws them, on its own device.

    Returns:
        (n, D), or (1, 1) on the line; float64.
    """
    device = generator.device if generator is not None else torch.device("cpu")
    if dim == 1:
        return torch.ones(1, 1, dtype=torch.float64, device=device)
    normal = torch.randn(n, dim, generator=generator, device=device, dtype=torch.float64)
    return normal / normal.norm(dim=1, keepdim=True)


def _quantile_pairs(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Which sorted x meets which sorted y in the optimal coupling of n and m equal masses, and how much mass they share."""
    cuts = torch.cat([torch.arange(n + 1, device=device) * m, torch.arange(1, m, device=device) * n]).unique()
    return cuts[:-1] // m, cuts[:-1] // n, cuts.diff().to(torch.float64) / (n * m)


def _sorted_rows(rows: Tensor) -> Tensor:
    """Each row in rising order; numpy's sort is several times faster than torch's on the CPU."""
    return torch.from_numpy(np.sort(rows.numpy(), 1)) if rows.device.type == "cpu" else rows.sort(1).values


def _columns(rows: Tensor, which: Tensor) -> Tensor:
    """rows[:, which]; numpy's take is twice as fast as torch's on the CPU."""
    return torch.from_numpy(np.take(rows.numpy(), which.numpy(), 1)) if rows.device.type == "cpu" else rows[:, which]


def sliced_wasserstein(x: Tensor, y: Tensor, generator: torch.Generator | None = None, n_projections: int = 128) -> float:
    """The sliced 2-Wasserstein distance of two samples, in the units of x; on the line it is the plain W_2.

        sqrt(mean_u W_2^2(u.x, u.y)) over random unit vectors u, each W_2 exact by pairing quantiles

    Args:
        x: the first sample, (N, D).
        y: the second sample, (M, D); M may differ from N.
        generator: draws the directions.
        n_projections: how many directions.

    Returns:
        The distance.

    Raises:
        ValueError: for other shapes, NaN or infinity, or n_projections below 1.

    References:
        Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures".
    """
    x, y = _checked_pair(x, y)
    if n_projections < 1:
        raise ValueError(f"n_projections is {n_projections}; it must be 1 or more")
    directions = random_directions(n_projections, x.shape[1], generator).to(x.device)
    i, j, mass = _quantile_pairs(len(x), len(y), x.device)
    total = 0.0
    for u in directions.split(max(1, SORT_NUMBERS // (len(x) + len(y)))):
        gap = _columns(_sorted_rows(u @ x.T), i).sub_(_columns(_sorted_rows(u @ y.T), j))
        total += float((gap.square_() @ mass).sum())
    return math.sqrt(total / len(directions))


def sorted_projections(x: Tensor, centre: Tensor, directions: Tensor) -> np.ndarray:
    """A sample prepared for `paired_distance`: in rising order along given directions.

    Args:
        x: (N, D).
        centre: (D,), subtracted first, so that float32 will do, which sorts twice as fast.
        directions: unit vectors, (P, D); see `random_directions`.

    Returns:
        (P, N).
    """
    centred = x.double().cpu() - centre.to(torch.float64)
    return np.sort((directions.cpu() @ centred.T).numpy().astype(np.float32), axis=1)


def paired_distance(one: np.ndarray, other: np.ndarray) -> float:
    """`sliced_wasserstein` of two samples of one size from their `sorted_projections` along the same directions.

    Args:
        one: the first sample's projections, (P, N).
        other: the second sample's, (P, N).

    Returns:
        The distance, in the units of x.
    """
    return float(np.sqrt(np.square(one - other).mean(dtype=np.float64)))


def _in_float32(*samples: Tensor, unit: float | None = None) -> tuple[float, list[Tensor]]:
    """Samples as rows of coordinates, (D, N), in float32, about their common median and in units of `unit` (default: the
    largest coordinate, so that nothing overflows); the unit, and the rows.

    float32 is three times faster over pairs. What it rounds is each point, by 6e-8 of its distance from the median: as the same
    rounded points meet in every sum, distances of samples that agree stay 0.
    """
    middle = torch.cat(samples).median(0).values
    rows = [(x - middle).T for x in samples]
    unit = unit or max(float(r.abs().max()) for r in rows) or 1.0
    return unit, [(r / unit).clamp(-FAR, FAR).to(torch.float32).contiguous() for r in rows]


def _squared_distances(x: Tensor, y: Tensor, triangle: bool = False) -> Iterator[tuple[int, Tensor]]:
    """|x_i - y_j|^2 in blocks of rows i, (B, M), each overwritten by the next; x: (D, N), y: (D, M).

    triangle: y is x, and a block starts at the column of its own first row: each unlike pair comes once outside the square on
    the diagonal. Yields the number of columns of that square (0 without triangle) and the block.
    """
    size = max(1, PAIR_NUMBERS // y.shape[1])
    work = torch.empty(2, size * y.shape[1], dtype=x.dtype, device=x.device)
    for start in range(0, x.shape[1], size):
        columns = y[:, start:] if triangle else y
        rows = x[:, start : start + size, None]
        shape = rows.shape[1], columns.shape[1]
        total, gap = (part[: shape[0] * shape[1]].view(shape) for part in work)
        torch.sub(rows[0], columns[0], out=total).square_()
        for row, column in zip(rows[1:], columns[1:], strict=True):
            torch.sub(row, column, out=gap)
            total.addcmul_(gap, gap)
        yield shape[0] if triangle else 0, total


def _mean_over_pairs(x: Tensor, y: Tensor, of_: Callable[[Tensor], Tensor]) -> float:
    """The mean of a function of |x_i - y_j|^2 over all pairs; x: (D, N), y: (D, M)."""
    blocks = _squared_distances(x, y)
    return sum(float(of_(block).sum(dtype=torch.float64)) for _, block in blocks) / (x.shape[1] * y.shape[1])


def _mean_within(x: Tensor, of_: Callable[[Tensor], Tensor]) -> float:
    """The mean of a function of |x_i - x_j|^2 over all pairs, a point with itself included; x: (D, N)."""
    total = 0.0
    for square, block in _squared_distances(x, x, triangle=True):
        values = of_(block)
        total += 2 * float(values.sum(dtype=torch.float64)) - float(values[:, :square].sum(dtype=torch.float64))
    return total / x.shape[1] ** 2


def _squared_energy_on_the_line(x: Tensor, y: Tensor) -> float:
    """2 int (F - G)^2, F and G the empirical distribution functions of x (N,) and y (M,)."""
    order = torch.cat([x, y]).sort()
    mass = torch.cat([x.new_full(x.shape, 1 / len(x)), y.new_full(y.shape, -1 / len(y))])
    return 2 * float(mass[order.indices].cumsum(0)[:-1].square() @ order.values.diff())


def energy_distance(x: Tensor, y: Tensor) -> float:
    """The energy distance between two samples (the V-statistic), in the square root of the units of x.

        sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|), each E over all pairs, a point with itself included

    It is never negative, is 0 only where the samples are the same, and falls like N^{-1/2} for two samples of one distribution.
    On the line it is sqrt(2 int (F - G)^2), found by sorting.

    Args:
        x: the first sample, (N, D).
        y: the second sample, (M, D).

    Returns:
        The distance.

    Raises:
        ValueError: for other shapes, NaN or infinity.

    References:
        Szekely and Rizzo 2013, "Energy statistics: a class of statistics based on distances".
    """
    x, y = _checked_pair(x, y)
    if x.shape[1] == 1:
        return math.sqrt(_squared_energy_on_the_line(x[:, 0], y[:, 0]))
    unit, (a, b) = _in_float32(x, y)
    squared = 2 * _mean_over_pairs(a, b, Tensor.sqrt_) - _mean_within(a, Tensor.sqrt_) - _mean_within(b, Tensor.sqrt_)
    return math.sqrt(unit * max(squared, 0.0))


def mmd_bandwidth(mixture: GaussianMixture) -> float:
    """The default width h of the kernel in `mmd_to_mixture`: the typical standard deviation of a component along an axis.

        h = prod_k prod_d l_kd^{w_k / 2D}, l_kd the variances along the axes of component k

    A kernel of about a component's own width sees both a component that is too wide or too narrow and one that has too much
    weight. Points needed to see, in the targets' grid of 25, one component 10 % too heavy, and all components 10 % too wide: 26
    000 and 1 200 at h, 46 000 and 1 300 at h / 2, 19 000 and 30 000 at 4 h, and 28 000 and 5.6 million at the width of the whole
    mixture, 14 h.

    Args:
        mixture: the exact distribution.

    Returns:
        h, in the units of x.
    """
    return typical_std(mixture)


def _checked_bandwidth(h: float) -> float:
    if not (math.isfinite(h) and h > 0):
        raise ValueError(f"the bandwidth is {h:g}; it must be finite and above 0")
    return h


def _gaussian(squared: Tensor) -> Tensor:
    """exp(-r^2 / 2), in place of r^2; below exp(-80) it stays there, for numbers that leave float32's range slow a core down."""
    return squared.mul_(-0.5).clamp_(min=-80).exp_()


def mmd(x: Tensor, y: Tensor, bandwidth: float) -> float:
    """The maximum mean discrepancy of two samples with a Gaussian kernel (the V-statistic); it has no unit.

        sqrt(E k(X, X') + E k(Y, Y') - 2 E k(X, Y)),   k(x, y) = exp(-|x - y|^2 / 2 h^2)

    Each E is over all pairs, a point with itself included; so it is never negative, is 0 only where the samples are the same, and
    falls like N^{-1/2} for two samples of one distribution.

    Args:
        x: the first sample, (N, D).
        y: the second sample, (M, D).
        bandwidth: h, above 0, in the units of x.

    Returns:
        The discrepancy.

    Raises:
        ValueError: for other shapes, NaN or infinity, or a bandwidth that is not above 0.

    References:
        Gretton et al. 2012, "A kernel two-sample test", equation 5.
    """
    _, (a, b) = _in_float32(*_checked_pair(x, y), unit=_checked_bandwidth(bandwidth))
    return math.sqrt(max(_mean_within(a, _gaussian) + _mean_within(b, _gaussian) - 2 * _mean_over_pairs(a, b, _gaussian), 0.0))


def mmd_to_mixture(x: Tensor, mixture: GaussianMixture, bandwidth: float | None = None) -> float:
    """The maximum mean discrepancy of a sample and the mixture itself: `mmd` with an infinite second sample.

    The mixture's side is exact: with q = p * N(0, h^2 I), and Y, Y' from p,

        E k(x, Y) = (2 pi h^2)^{D/2} q(x)
        E k(Y, Y') = (2 pi h^2)^{D/2} sum_kl w_k w_l N(mu_k - mu_l; 0, S_k + S_l + h^2 I)

    For an exact sample of N points its mean square is (1 - E k(Y, Y')) / N.

    Args:
        x: the sample, (N, D).
        mixture: the exact distribution.
        bandwidth: h, above 0, in the units of x; by default `mmd_bandwidth`.

    Returns:
        The discrepancy.

    Raises:
        ValueError: for other shapes, NaN or infinity, or a bandwidth that is not above 0.

    References:
        Gretton et al. 2012, "A kernel two-sample test", equations 2 and 5.
    """
    x = _checked(x, "x")
    h = _checked_bandwidth(mmd_bandwidth(mixture) if bandwidth is None else bandwidth)
    across = mixture.diffuse(1.0, h).log_prob(x)
    both = torch.logsumexp(_pair_log_density(mixture, h), 0)
    peak = mixture.dim / 2 * math.log(2 * math.pi * h**2)
    _, (a,) = _in_float32(x, unit=h)
    squared = _mean_within(a, _gaussian) - 2 * float((across + peak).exp().mean()) + float((both + peak).exp())
    return math.sqrt(max(squared, 0.0))


def _pair_log_density(mixture: GaussianMixture, h: float) -> Tensor:
    """log(w_k w_l N(mu_k - mu_l; 0, S_k + S_l + h^2 I)) for every pair of components, (K^2,)."""
    means, covariances, log_weights = mixture.means, mixture.covariances, mixture.weights.log()
    offset = (means[:, None] - means).flatten(0, 1)
    S = (covariances[:, None] + covariances + h**2 * torch.eye(mixture.dim, dtype=torch.float64)).flatten(0, 1)
    factor = torch.linalg.cholesky(S)
    along = torch.linalg.solve_triangular(factor, offset[..., None], upper=False)[..., 0]
    log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_density = -along.square().sum(-1) / 2 - log_det - mixture.dim / 2 * math.log(2 * math.pi)
    return (log_weights[:, None] + log_weights).flatten() + log_density


def sample_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a sample; the covariance divides by N - 1.

    Args:
        x: the sample, (N, D), N at least 2.

    Returns:
        The mean, (D,), and the covariance, (D, D), in float64.

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    x = _checked(x, "x", least=2)
    return x.mean(0), torch.cov(x.T).reshape(x.shape[1], x.shape[1])


def component_weights(x: Tensor, mixture: GaussianMixture) -> Tensor:
    """The mean responsibility of each component for a sample; its mean over samples of the mixture is w_k.

    Args:
        x: the sample, (N, D).
        mixture: the exact distribution.

    Returns:
        (K,).

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    return mixture.responsibilities(_checked(x, "x")).mean(0)


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

    Samples and the metric's own draws come from the generator in turn, so the range covers the scatter of both.

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
    values = [metric(mixture.sample(n, generator), mixture, generator) for _ in range(repeats)]
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95]).tolist()
    return NoiseFloor(Measurement.mean(values), low, median, high)


def _sliced_wasserstein(x: Tensor, mixture: GaussianMixture, generator: torch.Generator | None) -> float:
    return sliced_wasserstein(x, mixture.sample(REFERENCE_POINTS, generator), generator)


def _energy(x: Tensor, mixture: GaussianMixture, generator: torch.Generator | None) -> float:
    return energy_distance(x, mixture.sample(REFERENCE_POINTS, generator))


def _mmd(x: Tensor, mixture: GaussianMixture, _generator: torch.Generator | None) -> float:
    return mmd_to_mixture(x, mixture)


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
    error = _checked_for(x, mixture).mean(0) - mixture.mean
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
    _, found = sample_moments(_checked_for(x, mixture, least=2))
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
        N_(
            "How far points must move, root mean square over lines through the plane, to become an exact sample of 10 000 points."
        ),
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
}
