"""Sliced Wasserstein distances: how far the points of one sample must move to become another, or to become a mixture itself."""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture
from scoredm.points import checked_for, checked_pair
from scoredm.threads import one_thread

PAIR_NUMBERS = 1 << 17  # numbers of two samples that are sorted and paired at a time: they stay within a core's cache
SORT_NUMBERS = 1 << 22  # distances are computed in blocks of about this many numbers
KEPT_NUMBERS = 1 << 19  # what is kept of a mixture for the next sample of its size has at most so many numbers: 4 MB
LEVELS = 1 << 14  # quantiles are found so many at a time, which stay within a core's cache
PROJECTIONS = 128
REACH = 8.5  # standard deviations beyond which a component has no mass that float64 can tell
NODES_PER_STD = 4
NEWTON_STEPS = 2
TINY = 1e-300


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


def sorted_rows(rows: Tensor) -> Tensor:
    """Each row in rising order; numpy's sort is several times faster than torch's on the CPU.

    Args:
        rows: (P, N); on the CPU they are sorted in their place.

    Returns:
        (P, N).
    """
    if rows.device.type != "cpu":
        return rows.sort(1).values
    rows.numpy().sort(1)
    return rows


def _columns(rows: Tensor, which: Tensor) -> Tensor:
    """rows[:, which]; numpy's take is twice as fast as torch's on the CPU."""
    return torch.from_numpy(np.take(rows.numpy(), which.numpy(), 1)) if rows.device.type == "cpu" else rows[:, which]


def _squared_distances(one: Tensor, other: Tensor, pairs: tuple[Tensor, Tensor, Tensor] | None) -> float:
    """The sum of W_2^2 over rows (P, N) and (P, M); without `_quantile_pairs`, M is a multiple of N."""
    one, other = sorted_rows(one), sorted_rows(other)
    if pairs is not None:
        i, j, mass = pairs
        return float((_columns(one, i).sub_(_columns(other, j)).square_() @ mass).sum())
    gaps = other.view(*one.shape, -1).sub_(one[..., None]).flatten()
    return float(gaps @ gaps) / other.shape[1]


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
    x, y = checked_pair(x, y)
    if n_projections < 1:
        raise ValueError(f"n_projections is {n_projections}; it must be 1 or more")
    directions = random_directions(n_projections, x.shape[1], generator).to(x.device)
    few, many = sorted((x, y), key=len)
    pairs = None if len(many) % len(few) == 0 else _quantile_pairs(len(few), len(many), x.device)
    with one_thread():
        blocks = directions.split(max(1, PAIR_NUMBERS // (len(x) + len(y))))
        total = sum(_squared_distances(u @ few.T, u @ many.T, pairs) for u in blocks)
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


def even_directions(n: int, dim: int) -> Tensor:
    """Unit vectors that cover all directions more evenly than random ones; the same at every call.

    In the plane the angles are even; in more dimensions they are random orthonormal bases, one after another.

    Args:
        n: how many.
        dim: D; on the line there is only one direction, whatever n is.

    Returns:
        (n, D), or (1, 1) on the line; float64.
    """
    if dim == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if dim == 2:
        angles = torch.arange(n, dtype=torch.float64) * (math.pi / n)
        return torch.stack([angles.cos(), angles.sin()], 1)
    normal = torch.randn(-(-n // dim), dim, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.linalg.qr(normal).Q.mT.reshape(-1, dim)[:n]


def sliced_wasserstein_to_mixture(x: Tensor, mixture: GaussianMixture, directions: Tensor | None = None) -> float:
    """The sliced 2-Wasserstein distance of a sample and the mixture itself: `sliced_wasserstein` with an infinite second sample.

    Along u the mixture is one on the line, with quantile function Q and mean square E(u.Y)^2, and W_2 is exact:

        W_2^2 = mean_i (u.x_i)^2 + E(u.Y)^2 - 2 sum_i (u.x)_(i) (H(i / N) - H((i - 1) / N)),   H(p) = int_0^p Q

    No second sample adds its own chance, so for exact samples it goes on falling as N grows. It draws nothing.

    Args:
        x: the sample, (N, D).
        mixture: the exact distribution.
        directions: unit vectors, (P, D); by default 128 `even_directions`.

    Returns:
        The distance, in the units of x; on the line it is the plain W_2.

    Raises:
        ValueError: for other shapes, NaN or infinity.

    References:
        Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures".
    """
    x = checked_for(x, mixture).cpu() - mixture.mean
    if directions is None:
        directions = even_directions(PROJECTIONS, mixture.dim)
        kept = _kept_levels(mixture, len(x)) if len(x) * len(directions) <= KEPT_NUMBERS else None
    else:
        directions, kept = directions.double().cpu(), None
    if directions.ndim != 2 or directions.shape[1] != mixture.dim or len(directions) == 0:
        raise ValueError(f"directions have shape {tuple(directions.shape)}; they must be (P, {mixture.dim}) with P at least 1")
    total = 0.0
    with one_thread():
        for u in directions.split(max(1, SORT_NUMBERS // len(x))):
            masses, squares = kept or _levels(mixture, u, len(x))
            rows = sorted_rows(u @ x.T)
            total += float((rows.square().mean(1) + squares - 2 * (rows * masses).sum(1)).sum())
    return math.sqrt(max(total, 0.0) / len(directions))


@lru_cache(maxsize=16)
def _kept_levels(mixture: GaussianMixture, n: int) -> tuple[Tensor, Tensor]:
    """`_levels` along the even directions: they do not depend on the sample, and take most of the time."""
    with one_thread():
        return _levels(mixture, even_directions(PROJECTIONS, mixture.dim), n)


def _levels(mixture: GaussianMixture, directions: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """H(i / n) - H((i - 1) / n) along each of P directions, (P, n), and the mixture's mean square there, (P,)."""
    means = directions @ (mixture.means - mixture.mean).T
    stds = torch.einsum("pi,kij,pj->pk", directions, mixture.covariances, directions).sqrt()
    shares = mixture.weights
    levels = torch.arange(1, n, dtype=torch.float64) / n
    start = torch.zeros(len(directions), 1, dtype=torch.float64)
    masses = torch.cat([start, _quantile_integrals(means, stds, shares, levels), (means @ shares)[:, None]], 1).diff()
    return masses, (means**2 + stds**2) @ shares


def _quantile_integrals(means: Tensor, stds: Tensor, shares: Tensor, levels: Tensor) -> Tensor:
    """H(p) = int_0^p Q for P mixtures on the line, means and stds (P, K), at rising levels p in (0, 1), (M,); (P, M).

    H(p) = max_q (p q - A(q)), A the integral of the distribution function F. A, F and the density are exact at a grid of q, and a
    polynomial of degree 5 takes A through all three between two of them. As H is stationary in q, an error of q counts squared.
    """
    q, A, F, density = _tabulated(means, stds, shares)
    width = q.diff()
    a1, a2, b1, b2 = F[:, :-1] * width, density[:, :-1] * width**2, F[:, 1:] * width, density[:, 1:] * width**2
    d0, d1, d2 = A.diff() - a1 - a2 / 2, b1 - a1 - a2, b2 - a2
    a3, a4, a5 = 10 * d0 - 4 * d1 + d2 / 2, -15 * d0 + 7 * d1 - d2, 6 * d0 - 3 * d1 + d2 / 2
    cells = torch.stack([q[:, :-1], width, A[:, :-1], a1, a2, a3, a4, a5], 1)
    parts = levels.split(LEVELS)
    return torch.stack([torch.cat([_read(*line, part) for part in parts]) for line in zip(cells, F, strict=True)])


def _read(cells: Tensor, F: Tensor, levels: Tensor) -> Tensor:
    """H at rising levels, (M,), on one line, by left ends, widths and polynomials (v from 0 to 1) of its cells, (8, T - 1)."""
    first = torch.searchsorted(levels, F)  # the first level at or above each node
    passed = torch.zeros(len(levels) + 1, dtype=torch.int64).scatter_add_(0, first, torch.ones_like(first))
    cell = passed[:-1].cumsum(0).sub_(1).clamp_(0, len(F) - 2)
    left, width, a0, a1, a2, a3, a4, a5 = cells[:, cell]
    wanted = levels * width - a1
    v = (wanted / (a2 + 3 * a3 + 4 * a4 + 5 * a5).clamp_(min=TINY)).clamp_(0, 1)
    for _ in range(NEWTON_STEPS):
        found, density = v * (a2 + v * (3 * a3 + v * (4 * a4 + v * (5 * a5)))), a2 + v * (6 * a3 + v * (12 * a4 + v * (20 * a5)))
        v = (v + (wanted - found) / density.clamp_(min=TINY)).clamp_(0, 1)
    return levels * left - a0 + v * (wanted - v * (a2 / 2 + v * (a3 + v * (a4 + v * a5))))


def _tabulated(means: Tensor, stds: Tensor, shares: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A grid on each of P lines as fine as its mixture needs, (P, T), and A, F and the density there, each (P, T).

    The grid is even where that takes fewer points, else the union of even grids over the reach of each component.
    """
    reach = REACH * stds
    low, high = (means - reach).amin(1, keepdim=True), (means + reach).amax(1, keepdim=True)
    count = float(((high - low) / stds.amin(1, keepdim=True)).max()) * NODES_PER_STD
    own = int(2 * REACH * NODES_PER_STD) + 2
    if count < own * len(shares):
        q = low + (high - low) * torch.linspace(0, 1, int(count) + 2, dtype=torch.float64)
    else:
        q = (means[..., None] + reach[..., None] * torch.linspace(-1, 1, own, dtype=torch.float64)).flatten(1).sort(1).values
    A, F, density = torch.zeros(3, *q.shape, dtype=torch.float64)
    for m, s, share in zip(means.unbind(1), stds.unbind(1), shares.tolist(), strict=True):
        z = (q - m[:, None]) / s[:, None]
        below, bell = torch.special.ndtr(z), (-z.square() / 2).exp_() / math.sqrt(2 * math.pi)
        A += share * s[:, None] * (z * below + bell)
        F += share * below
        density += share * bell / s[:, None]
    return q, A, F, density
