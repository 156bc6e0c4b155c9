"""The denoising loss, the floor that no score can go below, and the distance to the exact score.

At each t, with gamma_t = sigma_t^2 as the weight,

    DSM = E || sigma_t s(alpha_t x_0 + sigma_t z, t) + z ||^2  =  floor + sigma_t^2 E || s - grad log p_t ||^2.

Norms are summed over coordinates. Times may be a number, a tensor or an array, and an answer per time is of the same kind and
shape.

Training may weigh some times more than others, gamma_t = w_t sigma_t^2: WEIGHTINGS has the factors w_t. The exact score has the
least loss with every one of them.

References:
    Vincent 2011, "A Connection Between Score Matching and Denoising Autoencoders".
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from scoredm.forms import LEAST_LOGIT
from scoredm.mixture import GaussianMixture
from scoredm.roots import bisect
from scoredm.score import ScoreFn, check_mixture_and_sde, check_sde_and_score, condition, exact_score
from scoredm.sde import SDE, Time, over_leading_axes
from scoredm.threads import FEW_NUMBERS, one_thread

Times = TypeVar("Times", float, Tensor, np.ndarray)

FLOOR_REACH = 6.0  # standard deviations around each component
FLOOR_STEP = 2 * FLOOR_REACH
FLOOR_THIN = 0.4  # of a component's width between nodes: where it would be more, nodes are added
FLOOR_FINE = 4  # nodes in such a component's width
FLOOR_NODES = {1: 200, 2: 48}  # along each axis of each component, by dimension
FLOOR_NODES_MIN = 12
FLOOR_REFINED = 10  # components up to which nodes are added for thin ones
FLOOR_EVALUATIONS = 1 << 18  # component densities evaluated per t: large mixtures get fewer nodes
LOST = 1e-9  # of a logit, to rounding: a mixture that could lose more is measured component by component
FLOOR_DRAWS = 20_000  # Monte Carlo draws per t where D > 2

MIN_SNR_GAMMA = 5.0  # Hang et al. 2023, arXiv 2303.09556
EDM_MEAN, EDM_STD, EDM_DATA_STD = -1.2, 1.2, 0.5  # Karras et al. 2022, arXiv 2206.00364, table 1
WEIGHT_TIMES = 4096  # even in log t, for the mean weight


def dsm_losses(sde: SDE, score_fn: ScoreFn, x0: Tensor, t: Time, noise: Tensor) -> Tensor:
    """The sigma_t^2-weighted denoising loss of each point, summed over coordinates.

        || sigma_t s(alpha_t x_0 + sigma_t z, t) + z ||^2

    Args:
        sde: the forward diffusion.
        score_fn: the score, exact or learned.
        x0: the data, (B, D).
        t: times, a number, () or (B,).
        noise: z, standard normal, (B, D).

    Returns:
        (B,).
    """
    check_sde_and_score(sde, score_fn)
    sigma = over_leading_axes(sde.sigma(t), x0)
    residual = sigma * score_fn(sde.perturb(x0, t, noise), t) + noise
    return residual.square().sum(-1)


def dsm_loss(sde: SDE, score_fn: ScoreFn, x0: Tensor, t: Time, noise: Tensor) -> Tensor:
    """The sigma_t^2-weighted denoising loss, summed over coordinates and averaged over the batch.

        mean || sigma_t s(alpha_t x_0 + sigma_t z, t) + z ||^2

    Args:
        sde: the forward diffusion.
        score_fn: the score, exact or learned.
        x0: the data, (B, D).
        t: times, a number, () or (B,).
        noise: z, standard normal, (B, D).

    Returns:
        ().

    References:
        Song et al. 2020, arXiv 2011.13456, eq. 7.
    """
    return dsm_losses(sde, score_fn, x0, t, noise).mean()


def sigma2_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """The tutorial's weighting, gamma_t = sigma_t^2: the loss of a good score is between 0 and D at every t.

        w_t = 1

    Args:
        sde: not used.
        t: times, (T,).
        data_std: not used.

    Returns:
        (T,).

    References:
        Song and Ermon 2019, arXiv 1907.05600, section 4.2.
    """
    del sde, data_std
    return torch.ones_like(t)


def likelihood_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """The likelihood weighting, gamma_t = g_t^2: half the integral of the score error then bounds the loss in likelihood.

        w_t = g_t^2 / sigma_t^2

    It is twice d ln(sigma_t / alpha_t) / dt, so that each doubling of the noise counts as much as any other, and grows like 1 / t
    as t -> 0.

    Args:
        sde: the forward diffusion.
        t: times above 0, (T,).
        data_std: not used.

    Returns:
        (T,).

    References:
        Song et al. 2021, "Maximum Likelihood Training of Score-Based Diffusion Models", arXiv 2101.09258, theorem 1.
    """
    del data_std
    return torch.as_tensor(sde.diffusion(t)) ** 2 / torch.as_tensor(sde.sigma(t)) ** 2


def min_snr_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """The min-SNR weighting: the error of the clean data has the weight min(SNR, 5).

        w_t = min(SNR, 5) / SNR,   SNR = alpha_t^2 / sigma_t^2

    It is 1 where there is much noise and falls like sigma_t^2 as t -> 0.

    Args:
        sde: the forward diffusion.
        t: times above 0, (T,).
        data_std: not used.

    Returns:
        (T,).

    References:
        Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", arXiv 2303.09556, section 3.4.
    """
    del data_std
    return torch.clamp(MIN_SNR_GAMMA * _noise_level(sde, t) ** 2, max=1.0)


def edm_weight(sde: SDE, t: Tensor, data_std: float = 1.0) -> Tensor:
    """The EDM weighting.

        w_t = N(ln(level / 2); -1.2, 1.2^2) (1 + level^2) d ln(level) / dt,   level = sigma_t / (alpha_t data_std)

    Karras et al. weigh the error of the clean data by 1 / level^2 + 1 and draw ln(level / 2) from that normal distribution (their
    data have standard deviation 1/2); the derivative g_t^2 / (2 sigma_t^2) carries the distribution over to times that are
    uniform, so that the loss has the same mean.

    Args:
        sde: the forward diffusion.
        t: times above 0, (T,).
        data_std: the standard deviation of the data, in units of x.

    Returns:
        (T,).

    References:
        Karras et al. 2022, arXiv 2206.00364, table 1.
    """
    level = _noise_level(sde, t) / data_std
    z = ((level * EDM_DATA_STD).log() - EDM_MEAN) / EDM_STD
    bell = (-(z**2) / 2).exp() / (EDM_STD * math.sqrt(2 * math.pi))
    weight = bell * (1 + level**2) * likelihood_weight(sde, t) / 2
    return torch.where(level.isinf(), 0.0, weight)  # the bell falls faster than any power of the level


# w_t(sde, t, data_std) by name.
WEIGHTINGS: dict[str, Callable[[SDE, Tensor, float], Tensor]] = {
    "sigma2": sigma2_weight,
    "likelihood": likelihood_weight,
    "min-snr": min_snr_weight,
    "edm": edm_weight,
}


def mean_weight(weighting: str, sde: SDE, eps: float, data_std: float = 1.0) -> float:
    """The mean of w_t over t uniform on [eps, 1], by the midpoint rule in log t.

    A weight divided by its mean leaves the size of the loss, and so the meaning of a learning rate, as it is.

    Args:
        weighting: a name of WEIGHTINGS.
        sde: the forward diffusion.
        eps: the smallest time, between 0 and 1.
        data_std: the standard deviation of the data, in units of x.

    Returns:
        The mean weight.

    Raises:
        KeyError: for another name.
    """
    t = eps ** ((torch.arange(WEIGHT_TIMES, dtype=torch.float64) + 0.5) / WEIGHT_TIMES)
    return float((WEIGHTINGS[weighting](sde, t, data_std) * t).mean()) * -math.log(eps) / (1 - eps)


def _noise_level(sde: SDE, t: Tensor) -> Tensor:
    return torch.as_tensor(sde.sigma(t)) / torch.as_tensor(sde.alpha(t))


def dsm_floor(mixture: GaussianMixture, sde: SDE, t: Times) -> Times:
    """The least DSM loss that any score reaches at each time.

        D - sigma_t^2 E_{x ~ p_t} || grad log p_t(x) ||^2

    It falls into what is lost within the components, known in closed form, and what is lost because components overlap. With the
    components of p_t in order of falling volume, s_k and l_ki the score and the variances of the data of component k, and
    p_{<k}, s_{<k} the density and the score of the components before it,

        sum_k w_k sum_i alpha_t^2 l_ki / (alpha_t^2 l_ki + sigma_t^2)
        + sigma_t^2 sum_k w_k E_{x ~ N_k} [p_{<k} / (p_{<k} + w_k N_k)] || s_k - s_{<k} ||^2.

    Each of these expectations is over a component that is no wider than those it is compared with, so that no narrow component
    falls between the nodes. In one and two dimensions they are found by the trapezoidal rule within six standard deviations,
    with more nodes where other components are thinner than this one along an axis; the error is below 1e-5 for up to ten
    components, and below 1e-2 beyond, where there are fewer nodes. Above two dimensions they are means over 20000 draws with a
    fixed seed (standard error about 1e-2).

    Args:
        mixture: The distribution of the data.
        sde: The forward diffusion.
        t: A number or (T,), above 0.

    Returns:
        The floor at each time, of the kind of t.

    Raises:
        TypeError: see `ExactScore`.
    """
    check_mixture_and_sde(mixture, sde)
    with one_thread():
        return _at_each_time(t, lambda time: _floor(mixture, sde, time))


def dsm_loss_at(mixture: GaussianMixture, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float) -> float:
    """The mean DSM loss over all clean points and noises that make one noisy point.

        E[ || sigma_t s(x, t) + z ||^2 | x_t = x ]
            = alpha_t^2 / sigma_t^2 tr Cov(x_0 | x_t = x) + || sigma_t s(x, t) + E[z | x_t = x] ||^2

    With the exact score the second term is 0: no guess of the noise has a lower loss at this point. Over x ~ p_t the mean is then
    `dsm_floor`.

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.
        score_fn: the score, exact or learned.
        x: the noisy point, (D,).
        t: a time above 0.

    Raises:
        TypeError: see `ExactScore`.
    """
    check_mixture_and_sde(mixture, sde)
    alpha, sigma = sde.scales(t)
    clean = mixture.denoising_posterior(x, alpha, sigma)
    spread = (alpha / sigma) ** 2 * float(clean.covariance.trace())
    with torch.no_grad():
        score = score_fn(x[None], t)[0].double()
    return spread + float((sigma * score + (x.double() - alpha * clean.mean) / sigma).square().sum())


def score_error(
    mixture: GaussianMixture,
    sde: SDE,
    score_fn: ScoreFn,
    t: Times,
    *,
    n: int = 5000,
    generator: torch.Generator | None = None,
) -> Times:
    """The distance to the exact score at each t: what the DSM loss has above its floor.

        sigma_t^2 E_{x ~ p_t} || s(x, t) - grad log p_t(x) ||^2

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.
        score_fn: the score to judge.
        t: times above 0, a number or (T,).
        n: fresh draws from p_t that the mean is over.
        generator: draws them, on its own device; by default a new one with seed 0.

    Returns:
        The error at each time, of the kind of t.
    """
    generator = generator or torch.Generator().manual_seed(0)
    exact = exact_score(mixture, sde)

    def error(time: float) -> float:
        x = mixture.at(sde, time).sample(n, generator)
        return float(sde.sigma(time)) ** 2 * _mean_square(score_fn(x, time) - exact(x, time))

    with torch.no_grad(), one_thread(n * mixture.dim <= FEW_NUMBERS):
        return _at_each_time(t, error)


def notebook_score_error(
    mixture: GaussianMixture,
    score_fn: ScoreFn,
    t: Times,
    *,
    n: int = 5000,
    generator: torch.Generator | None = None,
) -> Times:
    """The tutorial's own error, kept for comparison: it judges every t by the data and the scores of t = 0.

        E_{x ~ p_0} || s(x, t) - grad log p_0(x) ||^2 / D

    It is not 0 for the exact score: for the tutorial's mixture and lambda = 25 that has 0.364 on average over t in [0.01, 1].
    `score_error` is the corrected measure.

    Args:
        mixture: the distribution of the data.
        score_fn: the score to judge.
        t: times above 0, a number or (T,).
        n: fresh draws from p_0 that the mean is over.
        generator: draws them, on its own device; by default a new one with seed 0.

    Returns:
        The error at each time, of the kind of t.
    """
    generator = generator or torch.Generator().manual_seed(0)
    x = mixture.sample(n, generator)
    exact = mixture.score(x)
    with torch.no_grad():
        return _at_each_time(t, lambda time: _mean_square(score_fn(x, time) - exact) / mixture.dim)


def _mean_square(difference: Tensor) -> float:
    return float(difference.square().sum(-1).mean())


def _floor(mixture: GaussianMixture, sde: SDE, t: float) -> float:
    (alpha, sigma), (variances, _) = sde.scales(t), mixture.principal_axes
    signal = alpha**2 * variances
    within = float(mixture.weights @ (signal / (signal + sigma**2)).sum(1))
    if mixture.n_components == 1:
        return within
    p_t = _by_volume(mixture.at(sde, t))
    gap = _prepared_gap(p_t) if float(condition(p_t)) * torch.finfo(torch.float64).eps < LOST else p_t.squared_score_gap
    nodes = _drawn_nodes(p_t) if mixture.dim > 2 else [_grid_nodes(p_t, k) for k in range(1, p_t.n_components)]
    return within + sigma**2 * sum(float(weight @ gap(x, k)) for k, (x, weight) in enumerate(nodes, start=1))


def _by_volume(mixture: GaussianMixture) -> GaussianMixture:
    """The same mixture with its components in order of falling volume."""
    variances, _ = mixture.principal_axes
    return mixture.subset(torch.argsort(variances.log().sum(1), descending=True, stable=True))


def _prepared_gap(mixture: GaussianMixture) -> Callable[[Tensor, int], Tensor]:
    """`GaussianMixture.squared_score_gap` by matrix products with the features (1, x_i, x_i x_j), about ten times faster."""
    one, origin = torch.ones(1, dtype=torch.float64), mixture.mean
    c, h, P = (part[0] for part in mixture.natural(one, 0 * one, origin[None]))
    logit_rows, moment_rows = torch.cat([c[:, None], h, -P.flatten(1) / 2], 1), torch.cat([h, -P.flatten(1)], 1)

    def gap(x: Tensor, k: int) -> Tensor:
        y = x - origin
        features = torch.cat([torch.ones_like(y[:, :1]), y, (y[:, :, None] * y[:, None, :]).flatten(1)], 1)
        logits = features @ logit_rows[: k + 1].T
        if k == 1:  # the share of a single component before is a sigmoid, and its moments need no sums
            share = (logits[:, 0] - logits[:, 1]).clamp_(min=LEAST_LOGIT).sigmoid_()
            difference = (h[1] - h[0]) + y @ (P[0] - P[1])
            return share * difference.square().sum(1)
        r = (logits - logits.amax(1, keepdim=True)).clamp_(min=LEAST_LOGIT).exp_()
        before = r[:, :k] / r.sum(1, keepdim=True)
        share = before.sum(1, keepdim=True)
        moments = share * moment_rows[k] - before @ moment_rows[:k]
        matrices = moments[:, len(origin) :].unflatten(1, P.shape[1:])
        difference = moments[:, : len(origin)] + (matrices @ y[:, :, None])[:, :, 0]
        return difference.square().sum(1) / share[:, 0]

    return gap


def _drawn_nodes(mixture: GaussianMixture) -> list[tuple[Tensor, Tensor]]:
    """Draws of all components but the first, (M, D) each, and weights (M,) for means over the mixture."""
    x, owner = mixture.sample_labelled(FLOOR_DRAWS, torch.Generator().manual_seed(0))
    groups = [x[owner == k].double() for k in range(1, mixture.n_components)]
    return [(group, torch.full((len(group),), 1 / FLOOR_DRAWS, dtype=torch.float64)) for group in groups]


def _grid_nodes(mixture: GaussianMixture, k: int) -> tuple[Tensor, Tensor]:
    """Nodes over component k, (M, D), and weights (M,), which add up to its own."""
    K, D = mixture.n_components, mixture.dim
    most = max(FLOOR_NODES_MIN, min(FLOOR_NODES[D], int((FLOOR_EVALUATIONS / K**2) ** (1 / D))))
    thin = [_thinner(mixture, k, i, FLOOR_STEP / FLOOR_THIN / (most - 1)) for i in range(D)] if K <= FLOOR_REFINED else []
    z, weight = (
        _product([_refined_nodes(most, *few) for few in thin]) if any(len(few[0]) for few in thin) else _even_nodes(most, D)
    )
    variances, axes = mixture.principal_axes
    return mixture.means[k] + (z * variances[k].sqrt()) @ axes[k].T, mixture.weights[k] * weight


Nodes = tuple[Tensor, Tensor]  # under a standard normal distribution


def _product(along: list[Nodes]) -> Nodes:
    """Nodes (M, D) and weights (M,) of a product of rules along each axis."""
    D = len(along)
    z = torch.cartesian_prod(*(z for z, _ in along)).reshape(-1, D)
    return z, torch.cartesian_prod(*(w for _, w in along)).reshape(-1, D).prod(1)


@lru_cache(maxsize=8)
def _even_nodes(count: int, dim: int) -> Nodes:
    return _product([_refined_nodes(count, torch.empty(0), torch.empty(0))] * dim)


def _refined_nodes(count: int, centres: Tensor, widths: Tensor) -> Nodes:
    """Nodes within six standard deviations, (N,), and weights (N,): as many as asked for, and more around thin components.

    Their density is 1 / h, h the even spacing, and around a component of width w at c further (e / g) / (e^2 + (z - c)^2), with g
    a quarter and e six times its width: even nodes of

        u(z) = z / h + sum (e / g) atan((z - c) / e)

    are weighted by 1 / u'(z).
    """
    h = FLOOR_STEP / (count - 1)
    reach, fine = FLOOR_REACH * widths, widths / FLOOR_FINE

    def spread(z: Tensor) -> Tensor:
        return z / h + (reach / fine * torch.atan((z[:, None] - centres) / reach)).sum(1)

    def density(z: Tensor) -> Tensor:
        return 1 / h + (1 / fine / (1 + ((z[:, None] - centres) / reach) ** 2)).sum(1)

    z = torch.linspace(-FLOOR_REACH, FLOOR_REACH, count, dtype=torch.float64)
    if len(centres):
        low, high = spread(z[[0, -1]]).tolist()
        z = bisect(spread, torch.linspace(low, high, math.ceil(high - low) + 1, dtype=torch.float64), -FLOOR_REACH, FLOOR_REACH)
    weight = (-z.square() / 2).exp() / density(z)
    return z, weight / weight.sum()


def _thinner(mixture: GaussianMixture, k: int, i: int, most: float) -> tuple[Tensor, Tensor]:
    """Centres and widths, in standard deviations of component k along its axis i, of earlier components thinner than `most`."""
    variances, axes = mixture.principal_axes
    axis, std = axes[k, :, i], float(variances[k, i].sqrt())
    widths = torch.einsum("jab,a->jb", axes[:k], axis).square().div(variances[:k]).sum(1).rsqrt() / std
    centres = (mixture.means[:k] - mixture.means[k]) @ axis / std
    few = (widths < most) & (centres.abs() < FLOOR_REACH * (1 + widths))
    return centres[few], widths[few]


def _at_each_time(t: Any, value: Callable[[float], float]) -> Any:
    """The value at each time, of the kind the times are."""
    if isinstance(t, Tensor):
        values = [value(float(time)) for time in t.reshape(-1)]
        return torch.tensor(values, dtype=torch.float64, device=t.device).reshape(t.shape)
    times = np.asarray(t, dtype=float)
    if times.ndim == 0:
        return value(float(times))
    return np.array([value(float(time)) for time in times.reshape(-1)]).reshape(times.shape)
