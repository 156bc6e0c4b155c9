"""Bayes' rule for Gaussians that are given by factors of their covariances: nothing is inverted, and nothing cancels.

A Gaussian with mean m and covariance F F' is m + F z, with z standard normal. Observing y = n + G z fixes a part of z. With the
QR decomposition G' = Q R, whose R has M rows that are not 0, the first M numbers of Q'z are u = R'^{-1} (y - n), and the others
stay standard normal:

    x | y ~ N(m + F Q_1 u, F Q_2 (F Q_2)'),   log p(y) = -(|u|^2 + M log 2 pi) / 2 - log |det R|.

References:
    Golub and Van Loan 2013, "Matrix Computations", 4th edition, section 5.2, for the decomposition.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Conditioned(NamedTuple):
    """K Gaussians after an observation, and how probable each made it."""

    means: Tensor  # (K, D)
    factors: Tensor  # (K, D, N - M)
    log_prob: Tensor  # log p(y), (K,), in nats


def condition_gaussians(
    means: Tensor, factors: Tensor, y: Tensor, observed_means: Tensor, observed_factors: Tensor
) -> Conditioned:
    """Condition K Gaussians x = m + F z, each on the observation y = n + G z.

    Args:
        means: m, (K, D), float64.
        factors: F, (K, D, N).
        y: what is observed, (M,), with M at most N.
        observed_means: n, (K, M).
        observed_factors: G, of full rank, (K, M, N).

    Returns:
        The distributions of x given y.
    """
    M = len(y)
    Q, R = torch.linalg.qr(observed_factors.mT, mode="complete")
    R = R[:, :M]
    u = torch.linalg.solve_triangular(R.mT, (y - observed_means)[..., None], upper=False)
    rotated = factors @ Q
    log_det = R.diagonal(dim1=1, dim2=2).abs().log().sum(1)
    log_prob = -(u.square().sum((1, 2)) + M * math.log(2 * math.pi)) / 2 - log_det
    return Conditioned(means + (rotated[..., :M] @ u)[..., 0], rotated[..., M:], log_prob)


def measure_gaussians(means: Tensor, factors: Tensor, A: Tensor, y: Tensor, noise_factor: Tensor) -> Conditioned:
    """Condition K Gaussians x = m + F z, each on the measurement y = A x + L e, with e standard normal.

    Args:
        means: m, (K, D), float64.
        factors: F, (K, D, D).
        A: (M, D).
        y: what is measured, (M,).
        noise_factor: L, with L L' the covariance of the noise, (M, M).

    Returns:
        The distributions of x given y, with factors (K, D, D).
    """
    K, D, _ = factors.shape
    padded = torch.cat([factors, factors.new_zeros(K, D, len(y))], 2)
    observed = torch.cat([A @ factors, noise_factor.expand(K, -1, -1)], 2)
    return condition_gaussians(means, padded, y, means @ A.T, observed)


def finite_array(value: Any, name: str, shape: tuple[int | str, ...]) -> Tensor:
    """Check an array of numbers.

    Args:
        value: anything that torch makes a tensor of.
        name: what a message calls it.
        shape: its shape; a letter stands for any length, 1 or more. A single number is taken for an array (1,).

    Returns:
        The array, float64, on the CPU.

    Raises:
        ValueError: if it is no array of finite numbers of this shape.
    """
    try:
        array = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers in a regular array: {error}") from error
    if array.ndim == 0 and len(shape) == 1:
        array = array[None]
    fits = len(shape) == array.ndim and all(n == m or isinstance(m, str) for n, m in zip(array.shape, shape, strict=True))
    if not fits or 0 in array.shape:
        wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        raise ValueError(f"{name} has shape {tuple(array.shape)}; it must be {wanted}")
    if not torch.isfinite(array).all():
        raise ValueError(f"{name} is {array.tolist()}; NaN and infinity are not allowed")
    return array


def distinct_indices(values: Any, name: str, count: int) -> Tensor:
    """Check indices of axes or components.

    Args:
        values: a whole number, or several.
        name: what a message calls them.
        count: how many there are to choose from.

    Returns:
        The indices, (M,), int64.

    Raises:
        ValueError: unless they are different whole numbers from 0 to count - 1, at least one.
    """
    try:
        indices = torch.atleast_1d(torch.as_tensor(values).cpu())
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} are {values!r}; they must be whole numbers") from error
    whole = indices.ndim == 1 and indices.dtype in (torch.int64, torch.int32)
    if not whole or not len(indices) or indices.min() < 0 or indices.max() >= count or len(indices.unique()) < len(indices):
        raise ValueError(f"{name} are {indices.tolist()}; they must be different whole numbers from 0 to {count - 1}")
    return indices.to(torch.int64)
