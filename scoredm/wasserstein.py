"""Sliced Wasserstein distances: how far the points of one sample must move to become another, or to become a mixture itself."""

import math

import numpy as np
import torch
from torch import Tensor

from scoredm.points import checked_pair

SORT_NUMBERS = 1 << 22  # distances are computed in blocks of about this many numbers


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
    x, y = checked_pair(x, y)
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
