"""Identities of diffusion, both sides computed apart: what the maths page shows beside each formula."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scoredm.losses import dsm_floor, edm_weight, likelihood_weight
from scoredm.mixture import GaussianMixture
from scoredm.score import ScoreFn, exact_score
from scoredm.sde import SDE

WRONG = ("zero", "gaussian", "frozen")  # scores to put into the two losses


def wrong_score(kind: str, mixture: GaussianMixture, sde: SDE) -> ScoreFn:
    """A score that is not that of p_t.

    Args:
        kind: "zero", 0 everywhere; "gaussian", the score of one Gaussian with the data's mean and covariance; or "frozen", the
            score of the data at every t.
        mixture: the distribution of the data.
        sde: the forward diffusion.

    Returns:
        A ScoreFn.

    Raises:
        ValueError: for a kind that is not in WRONG.
    """
    if kind == "zero":
        return lambda x, _t: torch.zeros_like(x)
    if kind == "gaussian":
        return exact_score(mixture.gaussian_fit(), sde)
    if kind == "frozen":
        return lambda x, _t: mixture.score(x)
    raise ValueError(f"there is no wrong score {kind!r}; choose one of {', '.join(WRONG)}")


@dataclass(frozen=True)
class TwoSides:
    """The sigma_t^2-weighted losses of blends (1 - c) wrong + c exact, at one t.

        dsm = esm + floor

    Attributes:
        shares: c of each blend, (C,).
        dsm: the denoising loss, a mean over draws, (C,).
        dsm_error: its standard error, (C,).
        esm: the distance to the exact score, a mean over other draws, (C,).
        esm_error: its standard error, (C,).
        floor: the constant, by `scoredm.dsm_floor`.
    """

    shares: np.ndarray
    dsm: np.ndarray
    dsm_error: np.ndarray
    esm: np.ndarray
    esm_error: np.ndarray
    floor: float

    def at(self, share: float) -> "BlendLosses":
        """Both losses of the blend at any c: they are polynomials of degree 2 in c, and three or more values determine them.

        Args:
            share: c.
        """
        dsm, esm = (float(np.polyval(np.polyfit(self.shares, loss, 2), share)) for loss in (self.dsm, self.esm))
        error = float(np.interp(share, self.shares, self.dsm_error))
        return BlendLosses(share, dsm, error, max(esm, 0.0) if share != 1 else 0.0)


@dataclass(frozen=True)
class BlendLosses:
    """The losses of one blend.

    Attributes:
        share: c.
        dsm: the denoising loss.
        dsm_error: its standard error.
        esm: the distance to the exact score.
    """

    share: float
    dsm: float
    dsm_error: float
    esm: float


def two_sides(
    mixture: GaussianMixture,
    sde: SDE,
    wrong: ScoreFn,
    t: float,
    shares: Sequence[float],
    n: int = 10_000,
    generator: torch.Generator | None = None,
) -> TwoSides:
    """Both sides of J_DSM = J_ESM + constant at one time, for blends (1 - c) wrong + c exact.

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.
        wrong: any score.
        t: a time above 0.
        shares: c of each blend.
        n: draws for each side.
        generator: draws them.

    Returns:
        The losses of every blend.
    """
    sigma = float(sde.sigma(t))
    x0 = mixture.sample(n, generator)
    exact = exact_score(mixture, sde).on_grid([t], x0)
    noise = torch.randn(x0.shape, generator=generator)
    x = sde.perturb(x0, t, noise)
    wrong_part, exact_part = sigma * wrong(x, t), sigma * exact(x, t)
    residuals = torch.stack([((1 - c) * wrong_part + c * exact_part + noise).square().sum(-1) for c in shares]).double()
    y = mixture.at(sde, t).sample(n, generator)
    gap = (sigma * (wrong(y, t) - exact(y, t))).square().sum(-1).double()
    left = (1 - np.array(shares, dtype=float)) ** 2  # a blend is so much nearer, squared, to the exact score
    return TwoSides(
        shares=np.array(shares, dtype=float),
        dsm=residuals.mean(1).numpy(),
        dsm_error=residuals.std(1).numpy() / math.sqrt(n),
        esm=left * float(gap.mean()),
        esm_error=left * float(gap.std()) / math.sqrt(n),
        floor=dsm_floor(mixture, sde, t),
    )


def posterior_spread(
    mixture: GaussianMixture, sde: SDE, t: float, n: int = 5000, generator: torch.Generator | None = None
) -> tuple[float, float]:
    """The floor of the DSM loss as the spread of the clean data around their posterior mean.

        (alpha_t / sigma_t)^2 E || x_0 - E[x_0 | x_t] ||^2

    Args:
        mixture: the distribution of the data.
        sde: the forward diffusion.
        t: a time above 0.
        n: draws that the mean is over.
        generator: draws them.

    Returns:
        The mean and its standard error.
    """
    x0 = mixture.sample(n, generator)
    x = sde.perturb(x0, t, torch.randn(x0.shape, generator=generator))
    alpha, sigma = sde.scales(t)
    square = (alpha / sigma) ** 2 * (x0 - mixture.posterior_mean(x, alpha, sigma)).double().square().sum(-1)
    return float(square.mean()), float(square.std()) / math.sqrt(n)


def weightings(sde: SDE, times: np.ndarray, data_std: float) -> dict[str, np.ndarray]:
    """How much of four training weightings falls on each noise level, for the loss w || z_hat - z ||^2.

    "tutorial" has w = 1 in t. "likelihood" has w = g_t^2 / sigma_t^2 in t, which is flat here. "truncation" is the same with the
    lower end of the integral over t drawn with a density like 1 / t. "edm" is a normal distribution of ln sigma times
    1 + sigma^2 / data_std^2, with lengths in units of data_std.

    Args:
        sde: the forward diffusion.
        times: rising, above 0, (T,).
        data_std: the standard deviation of the data, in units of x.

    Returns:
        By name the share per unit of ln(sigma_t / alpha_t), (T,); each integrates to 1.

    References:
        Song et al. 2021, arXiv 2101.09258 (likelihood); Kim et al. 2021, arXiv 2106.05527, k = 1 (truncation); Karras et al.
        2022, arXiv 2206.00364, table 1 (edm).
    """
    t = torch.as_tensor(times, dtype=torch.float64)
    level = -torch.as_tensor(sde.log_snr(t)).numpy() / 2
    rate = likelihood_weight(sde, t).numpy() / 2  # d level / dt
    shapes = {
        "tutorial": 1 / rate,
        "likelihood": np.ones_like(rate),
        "truncation": np.log(times / times[0]),
        "edm": edm_weight(sde, t, data_std).numpy() / rate,
    }
    return {name: shape / np.trapezoid(shape, level) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Parametrisation:
    """What is predicted from one noisy point in one parametrisation x_t = alpha x_0 + sigma z.

    Attributes:
        alpha: the factor on the data.
        sigma: the standard deviation of the noise.
        x: the point, (D,).
        score: the score there, (D,).
        noise: E[z | x_t], (D,).
        clean: E[x_0 | x_t], (D,).
        velocity: alpha E[z | x_t] - sigma E[x_0 | x_t], (D,).
    """

    alpha: float
    sigma: float
    x: np.ndarray
    score: np.ndarray
    noise: np.ndarray
    clean: np.ndarray
    velocity: np.ndarray


def parametrise(mixture: GaussianMixture, alpha: float, sigma: float, x: Tensor) -> Parametrisation:
    """Score, noise, clean data and velocity predicted at a point of the distribution of alpha x_0 + sigma z.

        noise = -sigma s,   clean = (x + sigma^2 s) / alpha,   velocity = alpha noise - sigma clean

    Args:
        mixture: the distribution of x_0.
        alpha: above 0.
        sigma: above 0.
        x: the point, (D,).

    Returns:
        The predictions, in float64.

    References:
        Salimans and Ho 2022, arXiv 2202.00512.
    """
    x = x.to(torch.float64)
    score = mixture.diffuse(alpha, sigma).score(x)
    noise, clean = -sigma * score, (x + sigma**2 * score) / alpha
    return Parametrisation(alpha, sigma, *(v.numpy() for v in (x, score, noise, clean, alpha * noise - sigma * clean)))


def variance_preserving(alpha: float, sigma: float) -> tuple[float, float]:
    """The pair with the same sigma / alpha whose squares sum to 1.

    Args:
        alpha: above 0.
        sigma: 0 or more.

    Returns:
        alpha and sigma of the variance-preserving form.
    """
    size = math.hypot(alpha, sigma)
    return alpha / size, sigma / size
