"""Samples as metrics take them: (N, D), finite, in float64."""

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture


def checked(x: Tensor, name: str, least: int = 1) -> Tensor:
    """A sample in float64, apart from any graph.

    Args:
        x: the sample, (N, D).
        name: what messages call it.
        least: the smallest N allowed.

    Returns:
        (N, D), float64.

    Raises:
        ValueError: for another shape, NaN or infinity.
    """
    if x.ndim != 2 or x.shape[1] == 0 or len(x) < least:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it must be (N, D) with N at least {least} and D at least 1")
    if not torch.isfinite(x).all():
        row = int((~torch.isfinite(x)).any(1).nonzero()[0, 0])
        raise ValueError(f"{name}[{row}] is {x[row].tolist()}; NaN and infinity are not allowed")
    return x.detach().to(torch.float64)


def checked_pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two samples of one dimension in float64.

    Args:
        x: the first, (N, D).
        y: the second, (M, D).

    Returns:
        The two.

    Raises:
        ValueError: for another shape, NaN or infinity.
    """
    x, y = checked(x, "x"), checked(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x has {x.shape[1]} coordinates and y has {y.shape[1]}; they must agree")
    return x, y


def checked_for(x: Tensor, mixture: GaussianMixture, least: int = 1) -> Tensor:
    """A sample of a mixture's dimension in float64.

    Args:
        x: the sample, (N, D).
        mixture: it is compared with.
        least: the smallest N allowed.

    Returns:
        (N, D), float64.

    Raises:
        ValueError: for another shape, NaN or infinity.
    """
    x = checked(x, "x", least)
    if x.shape[1] != mixture.dim:
        raise ValueError(f"x has {x.shape[1]} coordinates; points of a {mixture.dim}-D mixture have {mixture.dim}")
    return x
