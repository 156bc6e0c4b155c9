"""What a sample says of the mixture's density and of its components: the mean log density, and how many components it reaches."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture
from scoredm.points import checked, checked_for
from scoredm.statistics import Measurement

NODES = 1 << 12  # quasi-random points of a mixture in each of REPEATS sets
REPEATS = 8
RESPONSIBILITIES = 1 << 22  # in memory at a time
LEAST_SHARE = 0.5  # of its weight: a component with less is not covered


@lru_cache(maxsize=32)
def mean_log_density(mixture: GaussianMixture) -> Measurement:
    """The mean of log p over the mixture itself, its entropy with the sign changed, in nats.

        E log p = sum_k w_k (log w_k - log det(2 pi e S_k) / 2 - E_k log r_k),   r_k(x) = w_k N(x; mu_k, S_k) / p(x)

    All but the last term is in closed form, and that is 0 where components are far apart. It is a mean over quasi-random (Sobol)
    points of each component, and its error the scatter over 8 scramblings with seeds of their own.

    Args:
        mixture: the exact distribution.

    Returns:
        The mean with its standard error; the error is 0 for one Gaussian.
    """
    variances, _ = mixture.principal_axes
    shares = mixture.weights
    kept = shares > 0
    log_volume = (variances.log().sum(1) + mixture.dim * math.log(2 * math.pi * math.e)) / 2
    known = float(shares[kept] @ (shares.log() - log_volume)[kept])
    overlaps = [float(shares[kept] @ _mean_log_responsibility(mixture, seed)[kept]) for seed in range(REPEATS)]
    found = Measurement.mean(overlaps)
    return Measurement(known - found.value, found.error)


def _mean_log_responsibility(mixture: GaussianMixture, seed: int) -> Tensor:
    """E_k log r_k, (K,), over quasi-random points of each component."""
    if mixture.n_components == 1:
        return torch.zeros(1, dtype=torch.float64)
    count = max(32, NODES // mixture.n_components)
    even = torch.quasirandom.SobolEngine(mixture.dim, scramble=True, seed=seed).draw(count, dtype=torch.float64)
    z = torch.special.ndtri(even.clamp(1e-12, 1 - 1e-12))
    variances, axes = mixture.principal_axes
    found = []
    for k, (mean, spread) in enumerate(zip(mixture.means, axes * variances.sqrt()[:, None], strict=True)):
        logits = mixture.weights.log() + mixture.component_log_prob(mean + z @ spread.T)
        found.append((logits[:, k] - torch.logsumexp(logits, 1)).mean())
    return torch.stack(found)


def log_density_gap(x: Tensor, mixture: GaussianMixture) -> Measurement:
    """How much higher the mixture's mean log density is at a sample than at its own points, in nats.

        mean_i log p(x_i) - E log p

    It is below 0 where points lie too far out, and above where they crowd at the modes. It sees every direction at once, so it
    goes on seeing components that are too wide in many dimensions; it does not see a lost component among equal ones.

    Args:
        x: the sample, (N, D).
        mixture: the exact distribution.

    Returns:
        The gap, with the standard error of both means.

    Raises:
        ValueError: for other shapes, NaN or infinity.
    """
    exact = mean_log_density(mixture)
    found = Measurement.mean(mixture.log_prob(checked_for(x, mixture)).cpu().numpy())
    return Measurement(found.value - exact.value, math.hypot(found.error, exact.error))


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
    x = checked(x, "x")
    parts = x.split(max(1, RESPONSIBILITIES // mixture.n_components))
    return torch.stack([mixture.responsibilities(part).sum(0) for part in parts]).sum(0) / len(x)


def mode_coverage(x: Tensor, mixture: GaussianMixture, least: float = LEAST_SHARE) -> float:
    """The share of a mixture's components to which a sample gives at least a part of their weight.

        |{k : w'_k >= least w_k}| / K,   w'_k the mean responsibility of component k for the points

    Components of weight 0 do not count. In a small sample chance alone empties light components: `noise_floor` says how many.

    Args:
        x: the sample, (N, D).
        mixture: the exact distribution.
        least: the part of its weight that a component must have, above 0.

    Returns:
        From 0 to 1; 1 where every component is reached.

    Raises:
        ValueError: for other shapes, NaN or infinity, or a part that is not above 0.
    """
    if not (math.isfinite(least) and least > 0):
        raise ValueError(f"least is {least:g}; it must be finite and above 0")
    kept = mixture.weights > 0
    reached = component_weights(x, mixture) >= least * mixture.weights.to(x.device)
    return float(reached[kept.to(x.device)].double().mean())
