"""The likelihood of a diffusion model: how much density it puts at a point, by following its probability flow to the prior.

The flow dx/dt = f x - g^2 s / 2 carries p_t without noise, and along it d log p / dt = -(f D - g^2 div s / 2). Followed from x up
to t = 1, where the density is the prior's, this gives log p(x) of the model, which is a score and a prior. With the exact score
and the exact prior it is the exact density: anything else is an error that can be named.
Source: Song et al. 2020, arXiv 2011.13456, section 4.3; Chen et al. 2018, arXiv 1806.07366, eq. 8.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture, typical_std
from scoredm.roots import bisect
from scoredm.score import ExactScore, ScoreFn, check_sde_and_score, score_and_divergence
from scoredm.sde import LEAST_SIGNAL, SDE
from scoredm.statistics import Measurement
from scoredm.threads import FEW_NUMBERS, one_thread

END_SIGNAL = 1e-4  # alpha at the last time of a grid for an exact score where alpha_1 is 0; others end where it is 0.01
LOG_SHARE = 0.1  # of log-SNR in the grid: where the data are drowned, a wrong score moves points all the same


@dataclass(frozen=True, eq=False)
class Encoding:
    """Where the probability flow carries points from t_min to t = 1, and how much it stretches volume there.

    log p(x) = log prior(latent) + log_volume, for any prior, so that one encoding serves them all.

    Attributes:
        latent: The points at t = 1, (N, D), float64.
        log_volume: log |det d latent / d x|, (N,).
    """

    latent: Tensor
    log_volume: Tensor

    def log_prob(self, prior: GaussianMixture) -> Tensor:
        """The log density of a model with a given distribution at t = 1.

        Args:
            prior: the distribution at t = 1.

        Returns:
            The log density at each point, (N,), in nats.
        """
        return prior.log_prob(self.latent) + self.log_volume


def flow_scale(mixture: GaussianMixture) -> float:
    """A good `scale` for `encode`: half the standard deviation of a mode, in the units of x.

    It is the geometric mean over the axes and, by weight, over the components.

    Args:
        mixture: the data.
    """
    return typical_std(mixture) / 2


def encode(sde: SDE, score_fn: ScoreFn, x: Tensor, *, t_min: float = 0.0, steps: int = 100, scale: float = 0.5) -> Encoding:
    """Follow the probability flow from t_min up to t = 1, keeping account of volume.

    With c = scale, tan(phi) = sigma / (c alpha), r = sqrt(c^2 alpha^2 + sigma^2) and a = x / alpha at t_min, in
    z = (x - alpha a) / r the flow of every SDE is

        dz/dphi = -tan(phi) (z + r s),   d log|dz| / dphi = -tan(phi) (D + r^2 div s),

    smooth at both ends: the right side is 0 at t = 0. A point's path is measured from where it would be without any noise, so
    that data far from the origin lose no digits. It is solved by the classical Runge-Kutta method of order 4 on an even grid of
    tau = phi - 0.1 log cos(phi): even in sigma near t = 0, where detail is small, and even in the log-SNR once the noise is far
    larger than the data. A step takes 4 evaluations of the score and its divergence. Where alpha_1 = 0 and tau has no end, a step
    like that of DDIM goes to t = 1 from where alpha is 1e-4 for an exact score, with an error of about 1e-8 times the variance of
    the data, or 0.01 for a learned one, as samplers ask it there first.

    Args:
        sde: The forward diffusion.
        score_fn: The score, exact or learned.
        x: Points at t_min, (N, D).
        t_min: 0 for an exact score, above 0 for a network, which has no value at 0.
        steps: The number of Runge-Kutta steps.
        scale: About half the standard deviation of a mode, in the units of x: see `flow_scale`.

    Raises:
        ValueError: For other shapes, NaN or infinity, steps below 1, t_min outside [0, 1), scale not above 0, or a score that
            is not finite at t_min.
    """
    check_sde_and_score(sde, score_fn)
    _check(x, t_min, steps, scale)
    x = x.detach().to(torch.float64)
    end = float(sde.with_signal(1.0, END_SIGNAL if isinstance(score_fn, ExactScore) else LEAST_SIGNAL))
    times, length = _grid(sde, t_min, end, 2 * steps, scale)
    signal, noise = ([float(part(t)) for t in times] for part in (sde.alpha, sde.sigma))
    radius = [math.hypot(scale * a, s) for a, s in zip(signal, noise, strict=True)]
    rate = [s / (scale * a + LOG_SHARE * s) for a, s in zip(signal, noise, strict=True)]
    anchor = x / signal[0]
    h = length / steps

    def slope(state: Tensor, i: int) -> Tensor:
        s, divergence = score_and_divergence(score_fn, signal[i] * anchor + radius[i] * state[:, :-1], times[i])
        if i == 0 and not torch.isfinite(s).all():
            raise ValueError(f"the score is not finite at t_min = {t_min:g}; a network needs t_min above 0")
        change = torch.cat([state[:, :-1] + radius[i] * s, (x.shape[1] + radius[i] ** 2 * divergence)[:, None]], 1)
        return -rate[i] * change

    state = torch.zeros(len(x), x.shape[1] + 1, dtype=torch.float64, device=x.device)
    with one_thread(x.numel() <= FEW_NUMBERS):
        for i in range(0, 2 * steps, 2):
            state = _runge_kutta(slope, state, i, h)
    latent = signal[-1] * anchor + radius[-1] * state[:, :-1]
    log_volume = state[:, -1] + x.shape[1] * math.log(radius[-1] / radius[0])
    return Encoding(latent, log_volume) if times[-1] == 1 else _to_noise(score_fn, sde, latent, log_volume, times[-1])


def _to_noise(score_fn: ScoreFn, sde: SDE, x: Tensor, log_volume: Tensor, t: float) -> Encoding:
    """The rest of the way to t = 1 where alpha_1 = 0: x_1 is sigma_1 times the noise in x, as in a step of DDIM from there.

        x_1 = -sigma_1 sigma_t s,   log |det d x_1 / d x| = D ln(sigma_1 / sigma_t) - (sigma_t^2 div s + D)

    The errors are of order alpha_t^2 in x_1 and alpha_t^4 in the volume.
    """
    s, divergence = score_and_divergence(score_fn, x, t)
    first, last = float(sde.sigma(t)), float(sde.sigma(1.0))
    dim = x.shape[1]
    return Encoding(-last * first * s, log_volume + dim * math.log(last / first) - (first**2 * divergence + dim))


def _check(x: Tensor, t_min: float, steps: int, scale: float) -> None:
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (N, D) with N and D at least 1")
    if not torch.isfinite(x).all():
        raise ValueError("x holds NaN or infinity; it must be finite")
    if not 0 <= t_min < 1:
        raise ValueError(f"t_min is {t_min!r}; it must be at least 0 and below 1")
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"steps is {steps!r}; it must be a whole number, 1 or more")
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is {scale:g}; it must be finite and above 0")


def _grid(sde: SDE, t_min: float, end: float, count: int, scale: float) -> tuple[list[float], float]:
    """count + 1 times from t_min to the end, even in tau, found by bisection, and the length of tau between the ends."""

    def tau(t: Tensor) -> Tensor:
        noise, signal = torch.as_tensor(sde.sigma(t)), scale * torch.as_tensor(sde.alpha(t))
        return torch.atan2(noise, signal) + LOG_SHARE * (torch.hypot(noise, signal) / signal).log()

    first, last = tau(torch.tensor([t_min, end], dtype=torch.float64)).tolist()
    times = bisect(tau, torch.linspace(first, last, count + 1, dtype=torch.float64), t_min, end)
    return [t_min, *times[1:-1].tolist(), end], last - first


def _runge_kutta(slope: Callable[[Tensor, int], Tensor], y: Tensor, i: int, h: float) -> Tensor:
    """One step of the classical method of order 4 from grid place i to i + 2, half a step apart from i + 1."""
    a = slope(y, i)
    b = slope(y + h / 2 * a, i + 1)
    c = slope(y + h / 2 * b, i + 1)
    d = slope(y + h * c, i + 2)
    return y + h / 6 * (a + 2 * b + 2 * c + d)


def flow_log_prob(
    sde: SDE,
    score_fn: ScoreFn,
    prior: GaussianMixture,
    x: Tensor,
    *,
    t_min: float = 0.0,
    steps: int = 100,
    scale: float = 0.5,
) -> Tensor:
    """The log density of a model by its probability flow.

    log p(x) = log prior(x_1) + int_{t_min}^1 (f D - g^2 div s / 2) dt along the flow from x to x_1

    Where t_min is above 0 it is the density of the model's distribution at t_min, where a sampler with that t_min stops.

    Args:
        sde: The forward diffusion.
        score_fn: The score, exact or learned.
        prior: The model's distribution at t = 1.
        x: Points at t_min, (N, D).
        t_min: As in `encode`.
        steps: As in `encode`.
        scale: As in `encode`.

    Returns:
        log p(x) in nats, (N,), float64.

    Raises:
        ValueError: As `encode`.

    References:
        Song et al. 2020, arXiv 2011.13456, section 4.3.
    """
    return encode(sde, score_fn, x, t_min=t_min, steps=steps, scale=scale).log_prob(prior)


def bits_per_dimension(log_prob: Tensor, dim: int) -> Tensor:
    """A log density in bits for each coordinate, less being better; below 0 where the density is above 1.

    -log p(x) / (D ln 2)

    Args:
        log_prob: Of any shape, in nats.
        dim: D, 1 or more.

    Raises:
        ValueError: If dim is below 1.
    """
    if dim < 1:
        raise ValueError(f"dim is {dim}; it must be 1 or more")
    return -log_prob / (dim * math.log(2))


def kl_divergence(
    mixture: GaussianMixture,
    log_model: Callable[[Tensor], Tensor],
    n: int = 10_000,
    generator: torch.Generator | None = None,
) -> Measurement:
    """The Kullback-Leibler divergence of a model from a mixture, in nats, as a mean over draws of the mixture.

    KL(p_0 || model) = E[log p_0(x) - log p_model(x)], x from p_0

    Args:
        mixture: The distribution p_0.
        log_model: The model's log density, (n, D) float64 -> (n,), such as `flow_log_prob` with its other arguments filled in.
        n: The number of draws, 2 or more.
        generator: Makes the draws.

    Raises:
        ValueError: If n is not a whole number, 2 or more.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 2:
        raise ValueError(f"n is {n!r}; it must be a whole number, 2 or more")
    x = mixture.sample(n, generator).to(torch.float64)
    terms = mixture.log_prob(x) - log_model(x).to(torch.float64)
    return Measurement.mean(terms.cpu().numpy())
