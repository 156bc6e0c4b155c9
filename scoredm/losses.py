"""The denoising loss, the floor that no score can go below, and the distance to the exact score.

At each t, with gamma_t = sigma_t^2 as the weight,

    DSM = E || sigma_t s(alpha_t x_0 + sigma_t z, t) + z ||^2  =  floor + sigma_t^2 E || s - grad log p_t ||^2.

Norms are summed over coordinates. Times may be a number, a tensor or an array, and an answer per time is of the same kind and
shape. Source: Vincent 2011, "A Connection Between Score Matching and Denoising Autoencoders".

Training may ask more of some times than of others, gamma_t = w_t sigma_t^2: WEIGHTINGS has the factors w_t. The exact score is
the least of every one of them.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture
from scoredm.score import ScoreFn, exact_score
from scoredm.sde import SDE, Time, over_leading_axes

Times = TypeVar("Times", float, Tensor, np.ndarray)

FLOOR_REACH = 6.0  # standard deviations around each component
FLOOR_NODES = {1: 200, 2: 48}  # along each axis of each component, by dimension
FLOOR_NODES_MIN = 12
FLOOR_EVALUATIONS = 1 << 18  # component densities evaluated per t: large mixtures get fewer nodes
FLOOR_DRAWS = 20_000  # Monte Carlo draws per t where D > 2

MIN_SNR_GAMMA = 5.0  # Hang et al. 2023, arXiv 2303.09556
EDM_MEAN, EDM_STD, EDM_DATA_STD = -1.2, 1.2, 0.5  # Karras et al. 2022, arXiv 2206.00364, table 1
WEIGHT_TIMES = 4096  # even in log t, for the mean weight


def dsm_losses(score_fn: ScoreFn, sde: SDE, x0: Tensor, t: Time, noise: Tensor) -> Tensor:
    """The sigma_t^2-weighted denoising loss of each point, || sigma_t s(alpha_t x_0 + sigma_t z, t) + z ||^2.

    x0, noise: (B, D), t: a number, () or (B,) -> (B,). The norm is summed over the D coordinates.
    """
    sigma = over_leading_axes(sde.sigma(t), x0)
    residual = sigma * score_fn(sde.perturb(x0, t, noise), t) + noise
    return residual.square().sum(-1)


def dsm_loss(score_fn: ScoreFn, sde: SDE, x0: Tensor, t: Time, noise: Tensor) -> Tensor:
    """The sigma_t^2-weighted denoising loss, mean over the batch of || sigma_t s(alpha_t x_0 + sigma_t z, t) + z ||^2.

    x0, noise: (B, D), t: a number, () or (B,) -> (). The norm is summed over the D coordinates.
    Source: Song et al. 2020, arXiv 2011.13456, eq. 7.
    """
    return dsm_losses(score_fn, sde, x0, t, noise).mean()


def sigma2_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """w_t = 1, the tutorial's: gamma_t = sigma_t^2, so that the loss of a good score is between 0 and D at every t.

    t: (T,) -> (T,); data_std changes nothing. Source: Song and Ermon 2019, arXiv 1907.05600, section 4.2.
    """
    del sde, data_std
    return torch.ones_like(t)


def likelihood_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """w_t = g^2 / sigma_t^2, that is gamma_t = g^2: half the integral of the score error then bounds the loss in likelihood.

    It is twice d ln(sigma_t / alpha_t) / dt, so that each doubling of the noise counts as much as any other, and grows like 1 / t
    as t -> 0. t: (T,), above 0 -> (T,); data_std changes nothing.
    Source: Song et al. 2021, "Maximum Likelihood Training of Score-Based Diffusion Models", arXiv 2101.09258, theorem 1.
    """
    del data_std
    return torch.as_tensor(sde.diffusion(t)) ** 2 / torch.as_tensor(sde.sigma(t)) ** 2


def min_snr_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """w_t = min(SNR, 5) / SNR with SNR = alpha_t^2 / sigma_t^2: the weight min(SNR, 5) on the error of the clean data.

    It is 1 where there is much noise and falls like sigma_t^2 as t -> 0. t: (T,), above 0 -> (T,); data_std changes nothing.
    Source: Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", arXiv 2303.09556, section 3.4.
    """
    del data_std
    return torch.clamp(MIN_SNR_GAMMA * _noise_level(sde, t) ** 2, max=1.0)


def edm_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """w_t = N(ln(level / 2); -1.2, 1.2^2) (1 + level^2) d ln(level) / dt with level = sigma_t / (alpha_t data_std).

    Karras et al. weigh the error of the clean data by 1 / level^2 + 1 and draw ln(level / 2) from that normal distribution (their
    data have standard deviation 1/2); the derivative g^2 / (2 sigma_t^2) carries the distribution over to times that are
    uniform, so that the loss has the same mean. t: (T,), above 0 -> (T,). Source: Karras et al. 2022, arXiv 2206.00364, table 1.
    """
    level = _noise_level(sde, t) / data_std
    z = ((level * EDM_DATA_STD).log() - EDM_MEAN) / EDM_STD
    bell = (-(z**2) / 2).exp() / (EDM_STD * math.sqrt(2 * math.pi))
    return bell * (1 + level**2) * likelihood_weight(sde, t) / 2


# w_t(sde, t, data_std) by name.
WEIGHTINGS: dict[str, Callable[[SDE, Tensor, float], Tensor]] = {
    "sigma2": sigma2_weight,
    "likelihood": likelihood_weight,
    "min-snr": min_snr_weight,
    "edm": edm_weight,
}


def mean_weight(weighting: str, sde: SDE, eps: float, data_std: float = 1.0) -> float:
    """The mean of w_t over t uniform on [eps, 1], by the midpoint rule in log t; weighting: a name of WEIGHTINGS.

    A weight divided by its mean leaves the size of the loss, and so the meaning of a learning rate, as it is.
    Raises KeyError for another name.
    """
    t = eps ** ((torch.arange(WEIGHT_TIMES, dtype=torch.float64) + 0.5) / WEIGHT_TIMES)
    return float((WEIGHTINGS[weighting](sde, t, data_std) * t).mean()) * -math.log(eps) / (1 - eps)


def _noise_level(sde: SDE, t: Tensor) -> Tensor:
    return torch.as_tensor(sde.sigma(t)) / torch.as_tensor(sde.alpha(t))


def dsm_floor(mixture: GaussianMixture, sde: SDE, t: Times) -> Times:
    """The least DSM loss that any score reaches at each t: D - sigma_t^2 E_{x ~ p_t} || grad log p_t(x) ||^2.

    In one and two dimensions by the trapezoidal rule within six standard deviations of each component, along its axes:
    200 nodes in 1-D, 48 x 48 in 2-D (error below 1e-5), falling to 12 x 12 for more than ten components (error below 1e-2 in
    the worst t). Above two dimensions the mean of || sigma_t s + z ||^2 over 20000 draws with a fixed seed (standard error
    about 1e-2). t: a number or (T,), above 0 -> the same.
    """
    if mixture.dim > 2:
        return _at_each_time(t, lambda time: _floor_by_draws(mixture, sde, time))
    nodes, weights = _normal_grid(mixture)
    variances, axes = mixture.principal_axes
    exact = exact_score(mixture, sde)

    def floor(time: float) -> float:
        alpha, sigma = sde.scales(time)
        along = (alpha**2 * variances + sigma**2).sqrt()[:, None, :] * nodes
        x = alpha * mixture.means[:, None, :] + torch.einsum("kij,knj->kni", axes, along)
        score = exact.on_grid([time], x)(x.flatten(0, 1), time).reshape(x.shape)
        return mixture.dim - sigma**2 * float(mixture.weights @ (score.square().sum(-1) @ weights))

    return _at_each_time(t, floor)


def score_error(
    score_fn: ScoreFn,
    mixture: GaussianMixture,
    sde: SDE,
    t: Times,
    *,
    n: int = 5000,
    generator: torch.Generator | None = None,
) -> Times:
    """The distance to the exact score at each t, sigma_t^2 E_{x ~ p_t} || s(x, t) - grad log p_t(x) ||^2.

    It is what the DSM loss has above its floor. The mean is over n fresh draws from p_t, from the generator (default: one
    with seed 0), made on its device. t: a number or (T,), above 0 -> the same.
    """
    generator = generator or torch.Generator().manual_seed(0)
    exact = exact_score(mixture, sde)

    def error(time: float) -> float:
        x = mixture.at(sde, time).sample(n, generator)
        return float(sde.sigma(time)) ** 2 * _mean_square(score_fn(x, time) - exact(x, time))

    with torch.no_grad():
        return _at_each_time(t, error)


def notebook_score_error(
    score_fn: ScoreFn,
    mixture: GaussianMixture,
    t: Times,
    *,
    n: int = 5000,
    generator: torch.Generator | None = None,
) -> Times:
    """The tutorial's own error, kept for the lesson: it judges every t by the data and the scores of t = 0.

    E_{x ~ p_0} || s(x, t) - grad log p_0(x) ||^2 / D, unweighted. A perfect model does not score 0: for the tutorial's
    mixture and lambda 25 it scores 0.364 on average over t in [.01, 1]. `score_error` is the corrected measure.
    Draws and t as in `score_error`.
    """
    generator = generator or torch.Generator().manual_seed(0)
    x = mixture.sample(n, generator)
    exact = mixture.score(x)
    with torch.no_grad():
        return _at_each_time(t, lambda time: _mean_square(score_fn(x, time) - exact) / mixture.dim)


def _mean_square(difference: Tensor) -> float:
    return float(difference.square().sum(-1).mean())


def _floor_by_draws(mixture: GaussianMixture, sde: SDE, t: float) -> float:
    generator = torch.Generator().manual_seed(0)
    x0 = mixture.sample(FLOOR_DRAWS, generator).double()
    noise = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    return float(dsm_loss(exact_score(mixture, sde), sde, x0, t, noise))


def _normal_grid(mixture: GaussianMixture) -> tuple[Tensor, Tensor]:
    """Nodes (N, D) and weights (N,) of the standard normal distribution, as many as the mixture's size affords."""
    D = mixture.dim
    affordable = int((FLOOR_EVALUATIONS / mixture.n_components**2) ** (1 / D))
    x = torch.linspace(-FLOOR_REACH, FLOOR_REACH, max(FLOOR_NODES_MIN, min(FLOOR_NODES[D], affordable)), dtype=torch.float64)
    nodes = torch.cartesian_prod(*[x] * D).reshape(-1, D)
    return nodes, torch.softmax(-nodes.square().sum(-1) / 2, 0)


def _at_each_time(t: Any, value: Callable[[float], float]) -> Any:
    """The value at each time, of the kind the times are."""
    if isinstance(t, Tensor):
        values = [value(float(time)) for time in t.reshape(-1)]
        return torch.tensor(values, dtype=torch.float64, device=t.device).reshape(t.shape)
    times = np.asarray(t, dtype=float)
    if times.ndim == 0:
        return value(float(times))
    return np.array([value(float(time)) for time in times.reshape(-1)]).reshape(times.shape)
