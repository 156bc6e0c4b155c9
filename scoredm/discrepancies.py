"""Distances over pairs of points: the energy distance, and the maximum mean discrepancy of a Gaussian kernel.

Each is a mean over all N M pairs, so its time grows like N M and its memory does not grow. In few dimensions there are quicker
ways to the same number, whose time grows like N: the kernel as a sum of waves, and the distance as a mean over directions.
"""

import math
from collections.abc import Callable, Iterator
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture, typical_std
from scoredm.points import checked, checked_pair
from scoredm.threads import one_thread
from scoredm.wasserstein import sorted_rows

PAIR_NUMBERS = 1 << 17  # pairs in a block, which stays within a core's cache
COVARIANCE_NUMBERS = 1 << 22  # in the covariances of pairs of components that are factorised at a time
FEW_AXES = 2  # up to so many, squares are added axis by axis in float32
LEAST_ROWS = 16  # of a matrix product: with fewer, reading the columns takes longer than the arithmetic
FAR = 1e18  # the largest coordinate whose square float32 holds
REACH = 7.5  # widths of a Gaussian beyond which it is below 1e-12: of the kernel, and of its transform
MANY_POINTS = 23_000  # in both samples together, from which on directions are quicker than pairs in the plane
DIRECTIONS = 256  # of which the mean |u.r| is (2 / pi) |r| to 1e-5 of it
SORTED_NUMBERS = 1 << 20  # in a block of directions


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
    if len(x) > FEW_AXES:
        yield from _by_products(x, y, triangle)
        return
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


def _by_products(x: Tensor, y: Tensor, triangle: bool) -> Iterator[tuple[int, Tensor]]:
    """The same as |x_i|^2 + |y_j|^2 - 2 x_i.y_j, one matrix product a block; in float64, as the sum cancels for near points."""
    x, y = x.double(), y.double()
    rows = torch.cat([-2 * x, torch.ones_like(x[:1]), x.square().sum(0, keepdim=True)]).T.contiguous()
    columns = torch.cat([y, y.square().sum(0, keepdim=True), torch.ones_like(y[:1])])
    size = max(LEAST_ROWS, PAIR_NUMBERS // y.shape[1])
    work = torch.empty(size * y.shape[1], dtype=x.dtype, device=x.device)
    for start in range(0, len(rows), size):
        left, right = rows[start : start + size], columns[:, start:] if triangle else columns
        total = torch.mm(left, right, out=work[: len(left) * right.shape[1]].view(len(left), -1))
        yield len(left) if triangle else 0, total.clamp_(min=0)


def _mean_over_pairs(x: Tensor, y: Tensor, of_: Callable[[Tensor], Tensor]) -> float:
    """The mean of a function of |x_i - y_j|^2 over all pairs; x: (D, N), y: (D, M)."""
    with one_thread():
        total = sum(float(of_(block).sum(dtype=torch.float64)) for _, block in _squared_distances(x, y))
    return total / (x.shape[1] * y.shape[1])


def _mean_within(x: Tensor, of_: Callable[[Tensor], Tensor]) -> float:
    """The mean of a function of |x_i - x_j|^2 over all pairs, a point with itself included; x: (D, N)."""
    total = 0.0
    with one_thread():
        for square, block in _squared_distances(x, x, triangle=True):
            values = of_(block)
            total += 2 * float(values.sum(dtype=torch.float64)) - float(values[:, :square].sum(dtype=torch.float64))
    return total / x.shape[1] ** 2


class _Waves(NamedTuple):
    """exp(-|r|^2 / 2) as a sum of waves c cos(w.r), one for each w = (w_1, ..., w_D) with w_d among the frequencies of axis d."""

    frequencies: list[Tensor]  # of each axis, (K_d,); only 0 and above of the last one, as w and -w are the same wave
    weights: Tensor  # c, (K_1 ... K_{D-1}, K_D)


def _waves(box: Tensor, most: int) -> _Waves | None:
    """The waves for differences r inside a box, by Poisson's formula:

        sum_m exp(-(r + m P)^2 / 2) = (sqrt(2 pi) / P) sum_k exp(-w_k^2 / 2) cos(w_k r),   w_k = 2 pi k / P

    With a period P of REACH more than the box, and w_k up to REACH, both sums miss less than 1e-12. box: (D,). None where there
    would be more waves than `most`.
    """
    periods = (box + REACH).tolist()
    if math.prod(REACH * period / math.pi + 1 for period in periods) / 2 > most:
        return None
    frequencies, weights = [], []
    for axis, period in enumerate(periods):
        k = math.ceil(REACH * period / (2 * math.pi))
        last = axis == len(periods) - 1
        w = torch.arange(0 if last else -k, k + 1, dtype=torch.float64, device=box.device) * (2 * math.pi / period)
        c = (-w.square() / 2).exp() * (math.sqrt(2 * math.pi) / period)
        if last:
            c[1:] *= 2
        frequencies.append(w)
        weights.append(c)
    return _Waves(frequencies, reduce(lambda rows, c: torch.outer(rows.flatten(), c), weights, torch.ones(1).to(box)))


def _mean_waves(x: Tensor, frequencies: list[Tensor]) -> Tensor:
    """The means of exp(i w.x) over points, (K_1 ... K_{D-1}, K_D), as matrix products over blocks of points; x: (D, N)."""
    widths = [len(w) for w in frequencies]
    total: Tensor | float = 0.0
    for block in x.split(max(1, PAIR_NUMBERS // (math.prod(widths[:-1]) + widths[-1])), 1):
        phases = [torch.outer(row, w) for row, w in zip(block, frequencies, strict=True)]
        *others, last = [torch.polar(torch.ones_like(phase), phase) for phase in phases]
        rows = reduce(lambda one, other: (one[:, :, None] * other[:, None, :]).flatten(1), others, torch.ones_like(last[:, :1]))
        total += rows.T @ last
    return torch.as_tensor(total) / x.shape[1]


def _box(x: Tensor) -> tuple[Tensor, Tensor]:
    """Points (D, N) from the lowest corner of their box on, and its sides, (D,)."""
    corner = x.amin(1, keepdim=True)
    return x - corner, (x.amax(1, keepdim=True) - corner)[:, 0]


def _mean_kernel_within(x: Tensor) -> float:
    """The mean of exp(-|x_i - x_j|^2 / 2) over all pairs, a point with itself included; x: (N, D)."""
    rows, box = _box(x.T)
    waves = _waves(box, len(x))
    if waves is not None:
        return float((waves.weights * _mean_waves(rows, waves.frequencies).abs().square()).sum())
    _, (a,) = _in_float32(x, unit=1.0)
    return _mean_within(a, _gaussian)


def _squared_mmd(x: Tensor, y: Tensor) -> float:
    """The mean kernel within x and within y less twice that between them, at a width of 1; x: (N, D), y: (M, D)."""
    rows, box = _box(torch.cat([x, y]).T)
    waves = _waves(box, len(x) + len(y))
    if waves is not None:
        one, other = (_mean_waves(part, waves.frequencies) for part in rows.split([len(x), len(y)], 1))
        return float((waves.weights * (one - other).abs().square()).sum())
    _, (a, b) = _in_float32(x, y, unit=1.0)
    return _mean_within(a, _gaussian) + _mean_within(b, _gaussian) - 2 * _mean_over_pairs(a, b, _gaussian)


def _squared_energy_in_the_plane(x: Tensor, y: Tensor) -> float:
    """The mean over even directions u of the squared energy distance of u.x and u.y, times pi / 2; x: (2, N), y: (2, M).

    Sums over pairs on the line need the order alone: sum_{i<j} |s_i - s_j| = sum_i (2 i - n + 1) s_i for rising s_0, s_1, ...
    """
    n, m = x.shape[1], y.shape[1]
    angles = (torch.arange(DIRECTIONS, device=x.device) + 0.5) * (math.pi / DIRECTIONS)

    def gaps(rows: Tensor) -> float:
        count = rows.shape[1]
        ranks = 2 * torch.arange(count, dtype=torch.float64, device=x.device) - (count - 1)
        return float((sorted_rows(rows).double() @ ranks).sum())

    total = 0.0
    for u in torch.stack([angles.cos(), angles.sin()], 1).split(max(1, SORTED_NUMBERS // (n + m))):
        a, b = u @ x, u @ y
        in_x, in_y, in_both = gaps(a), gaps(b), gaps(torch.cat([a, b], 1))
        total += 2 * ((in_both - in_x - in_y) / (n * m) - in_x / n**2 - in_y / m**2)
    return math.pi / 2 * total / DIRECTIONS


def _squared_energy_on_the_line(x: Tensor, y: Tensor) -> float:
    """2 int (F - G)^2, F and G the empirical distribution functions of x (N,) and y (M,)."""
    order = torch.cat([x, y]).sort()
    mass = torch.cat([x.new_full(x.shape, 1 / len(x)), y.new_full(y.shape, -1 / len(y))])
    return 2 * float(mass[order.indices].cumsum(0)[:-1].square() @ order.values.diff())


def energy_distance(x: Tensor, y: Tensor) -> float:
    """The energy distance between two samples (the V-statistic), in the square root of the units of x.

        sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|), each E over all pairs, a point with itself included

    It is never negative, is 0 only where the samples are the same, and falls like N^{-1/2} for two samples of one distribution.
    On the line it is sqrt(2 int (F - G)^2), found by sorting. In the plane |r| is pi / 2 times the mean of |u.r| over directions
    u, so with more than 23 000 points in all it is a mean over 256 even directions of distances on the line, which changes it
    by about 1e-5 of its value: less than a thousandth of what chance changes it by.

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
    x, y = checked_pair(x, y)
    if x.shape[1] == 1:
        return math.sqrt(_squared_energy_on_the_line(x[:, 0], y[:, 0]))
    unit, (a, b) = _in_float32(x, y)
    if x.shape[1] == 2 and len(x) + len(y) > MANY_POINTS:
        return math.sqrt(unit * max(_squared_energy_in_the_plane(a, b), 0.0))
    squared = 2 * _mean_over_pairs(a, b, Tensor.sqrt_) - _mean_within(a, Tensor.sqrt_) - _mean_within(b, Tensor.sqrt_)
    return math.sqrt(unit * max(squared, 0.0))


def mmd_bandwidth(mixture: GaussianMixture) -> float:
    """The default width h of the kernel in `mmd_to_mixture`: about a component's own width, and growing like sqrt(D).

        h = prod_k prod_d l_kd^{w_k / 2D} up to D = 2,   prod_k (tr S_k / 2)^{w_k / 2} above

    l_kd are the variances along the axes of component k: h is the typical standard deviation s of a component along an axis, and
    s sqrt(D / 2) in more than two dimensions. Two points of one component are s sqrt(2 D) apart, so a kernel of a fixed width
    sees each point of a high-dimensional sample alone.

    A kernel of about a component's own width sees both a component that is too wide or too narrow and one that has too much
    weight. For the target `grid` of 25 components, these many points are needed to detect

        that one component is 10 % too heavy: 46 000 with h / 2, 26 000 with h, 19 000 with 4 h, 28 000 with 14 h,
        that all components are 10 % too wide: 1 300 with h / 2, 1 200 with h, 30 000 with 4 h, 5.6 million with 14 h,

    where 14 h is the width of the whole mixture.

    Args:
        mixture: the exact distribution.

    Returns:
        h, in the units of x.
    """
    if mixture.dim <= 2:
        return typical_std(mixture)
    variances, _ = mixture.principal_axes
    return math.exp(float(mixture.weights @ (variances.sum(1) / 2).log()) / 2)


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
    x, y = checked_pair(x, y)
    h = _checked_bandwidth(bandwidth)
    return math.sqrt(max(_squared_mmd(x / h, y / h), 0.0))


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
    x = checked(x, "x")
    h = _checked_bandwidth(mmd_bandwidth(mixture) if bandwidth is None else bandwidth)
    across = mixture.diffuse(1.0, h).log_prob(x)
    both = _pair_log_density(mixture, h)
    peak = mixture.dim / 2 * math.log(2 * math.pi * h**2)
    squared = _mean_kernel_within(x / h) - 2 * float((across + peak).exp().mean()) + float((both + peak).exp())
    return math.sqrt(max(squared, 0.0))


def _pair_log_density(mixture: GaussianMixture, h: float) -> Tensor:
    """log sum_kl w_k w_l N(mu_k - mu_l; 0, S_k + S_l + h^2 I), ()."""
    means, covariances, log_weights = mixture.means, mixture.covariances, mixture.weights.log()
    noise = h**2 * torch.eye(mixture.dim, dtype=torch.float64)
    rows = max(1, COVARIANCE_NUMBERS // covariances.numel())
    found = []
    for part in torch.arange(len(means)).split(rows):
        factor = torch.linalg.cholesky(covariances[part, None] + covariances + noise)
        offset = means[part, None] - means
        along = torch.linalg.solve_triangular(factor, offset[..., None], upper=False)[..., 0]
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        found.append((log_weights[part, None] + log_weights - along.square().sum(-1) / 2 - log_det).flatten())
    return torch.logsumexp(torch.cat(found), 0) - mixture.dim / 2 * math.log(2 * math.pi)
