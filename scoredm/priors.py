"""Initial distributions: where a sampler starts at t = 1."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch

from scoredm.mixture import GaussianMixture
from scoredm.score import check_mixture_and_sde
from scoredm.sde import SDE, check_is_sde


def zero_mean_prior(sde: SDE, dim: int) -> GaussianMixture:
    """The tutorial's initial distribution, N(0, sigma_1^2 I), which ignores the data's mean and covariance.

    Args:
        sde: the forward diffusion.
        dim: D, of the data.

    Raises:
        TypeError: the first argument is no SDE.
    """
    check_is_sde(sde)
    _, sigma = sde.scales(1.0)
    return GaussianMixture.gaussian(torch.zeros(dim), sigma**2 * torch.eye(dim, dtype=torch.float64))


def moment_matched_prior(mixture: GaussianMixture, sde: SDE) -> GaussianMixture:
    """The Gaussian with the mean and covariance of p_1.

    Args:
        mixture: the data.
        sde: the forward diffusion.
    """
    return exact_prior(mixture, sde).gaussian_fit()


def exact_prior(mixture: GaussianMixture, sde: SDE) -> GaussianMixture:
    """p_1 itself, the diffused mixture.

    Args:
        mixture: the data.
        sde: the forward diffusion.

    Raises:
        TypeError: see `ExactScore`.
    """
    check_mixture_and_sde(mixture, sde)
    return mixture.at(sde, 1.0)


@final
@dataclass(frozen=True)
class Prior:
    """A named initial distribution: what it is called, what it is in a sentence, and the function (data, SDE) -> mixture."""

    title: str
    caption: str
    make: Callable[[GaussianMixture, SDE], GaussianMixture]


PRIORS = {
    "zero": Prior(
        "N(0, σ₁²I)",
        "The tutorial's N(0, σ₁²I), which ignores the data's mean and covariance.",
        lambda mixture, sde: zero_mean_prior(sde, mixture.dim),
    ),
    "matched": Prior("Matched Gaussian", "The Gaussian with the mean and covariance of p₁.", moment_matched_prior),
    "exact": Prior("Exact p₁", "p₁ itself, the data's own distribution at t = 1.", exact_prior),
}


def initial_distribution(name: str, mixture: GaussianMixture, sde: SDE) -> GaussianMixture:
    """The distribution of x at t = 1 by its name in PRIORS.

    Args:
        name: "zero", "matched" or "exact".
        mixture: the data.
        sde: the forward diffusion.

    Raises:
        ValueError: for another name.
    """
    if name not in PRIORS:
        raise ValueError(f"prior is {name!r}; it must be one of {', '.join(PRIORS)}")
    return PRIORS[name].make(mixture, sde)
