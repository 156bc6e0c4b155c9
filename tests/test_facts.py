"""Known numbers and identities of the tutorial's experiment, computed here a second way: quadrature, closed forms, sampling."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from scoredm import (
    VESDE,
    GaussianMixture,
    against,
    exact_prior,
    exact_score,
    forward_paths,
    moment_matched_prior,
    sample,
    targets,
    zero_mean_prior,
)

TUTORIAL = targets.mixture("tutorial")


def plane(half_width: float, n: int = 401) -> tuple[torch.Tensor, float]:
    """Points (n^2, 2) of a square grid and the area each stands for."""
    side = torch.linspace(-half_width, half_width, n, dtype=torch.float64)
    return torch.cartesian_prod(side, side), float(side[1] - side[0]) ** 2


def line() -> tuple[torch.Tensor, float]:
    side = torch.linspace(-60, 60, 12_001, dtype=torch.float64)
    return side[:, None], float(side[1] - side[0])


def at_time(mixture: GaussianMixture, sde: VESDE, t: float) -> GaussianMixture:
    return mixture.diffuse(1.0, float(sde.sigma(t)))


@pytest.mark.parametrize("lam,expected", [(5.0, 0.1088), (25.0, 0.00546)])
def test_prior_mismatch_in_nats(lam, expected):
    sde = VESDE(lam)
    p, q = exact_prior(sde, TUTORIAL), zero_mean_prior(sde, 2)
    x, area = plane(9 * float(sde.sigma(1.0)) + 6)
    log_p = p.log_prob(x)
    assert float((log_p.exp() * (log_p - q.log_prob(x))).sum()) * area == pytest.approx(expected, rel=2e-3)


def test_a_prior_at_zero_biases_mean_and_weights():
    sde = VESDE(5.0)
    x = sample(sde, exact_score(TUTORIAL, sde), 60_000, generator=torch.Generator().manual_seed(0))
    found = against(x, TUTORIAL)
    assert found.mean.found == pytest.approx([0.745, 0.064], abs=0.03)
    assert found.weights.found == pytest.approx([0.55, 0.45], abs=0.01)


@pytest.mark.parametrize("prior", [moment_matched_prior, exact_prior])
def test_a_prior_with_the_right_moments_removes_the_bias(prior):
    sde = VESDE(5.0)
    x = sample(sde, exact_score(TUTORIAL, sde), 60_000, prior=prior(sde, TUTORIAL), generator=torch.Generator().manual_seed(0))
    found = against(x, TUTORIAL)
    assert found.mean.found == pytest.approx([1, 0], abs=0.03)
    assert found.weights.found == pytest.approx([0.5, 0.5], abs=0.01)


def test_the_notebooks_cumulative_sum_has_1_068_times_the_variance_and_exact_increments_do_not():
    lam, frames, n = 26.0, 50, 50_000
    sde = VESDE(lam)
    times = [i / (frames - 1) for i in range(frames)]
    cumulative = sum(lam ** (2 * t) / (frames - 1) for t in times)
    assert cumulative / sde.sigma(1.0) ** 2 == pytest.approx(1.068, abs=5e-4)
    paths = forward_paths(sde, torch.zeros(n, 1), times, torch.Generator().manual_seed(0))
    assert float(paths[-1].var()) / sde.sigma(1.0) ** 2 == pytest.approx(1, abs=5 * math.sqrt(2 / n))


@pytest.mark.parametrize("t,expected", [(0.01, 1.986), (0.25, 1.478), (0.5, 0.722), (0.75, 0.207), (1.0, 0.045)])
def test_the_floor_of_denoising_from_the_exact_score(t, expected):
    sde = VESDE(25.0)
    p_t = at_time(TUTORIAL, sde, t)
    x, area = plane(7 * float(sde.sigma(t)) + 9)
    squared_norm = float((p_t.log_prob(x).exp() * (p_t.score(x) ** 2).sum(-1)).sum()) * area
    assert 2 - sde.sigma(t) ** 2 * squared_norm == pytest.approx(expected, abs=6e-4)


def test_entropy_grows_by_half_g_squared_times_the_fisher_information():
    sde, mixture = VESDE(10.0), targets.mixture("three-modes")
    x, width = line()

    def entropy(t: float) -> float:
        log_p = at_time(mixture, sde, t).log_prob(x)
        return -float((log_p.exp() * log_p).sum()) * width

    def fisher(t: float) -> float:
        p_t = at_time(mixture, sde, t)
        return float((p_t.log_prob(x).exp() * p_t.score(x)[:, 0] ** 2).sum()) * width

    nodes, weights = np.polynomial.legendre.leggauss(60)
    eps = 0.01
    t = eps + (nodes + 1) / 2 * (1 - eps)
    integral = sum(w * sde.diffusion(s) ** 2 * fisher(s) for w, s in zip(weights, t.tolist(), strict=True)) * (1 - eps) / 2
    assert integral == pytest.approx(2 * (entropy(1.0) - entropy(eps)), rel=1e-6)


@pytest.mark.parametrize("lam", [5.0, 25.0])
def test_two_modes_merge_when_the_noise_fills_the_gap(lam):
    mu, std, sde = 2.0, 0.5, VESDE(lam)
    pair = GaussianMixture([[-mu], [mu]], [[[std**2]], [[std**2]]], [1, 1])

    def slope_of_score_at_zero(t: float) -> float:
        h = 1e-4
        x = torch.tensor([[h], [-h]], dtype=torch.float64)
        up, down = at_time(pair, sde, t).score(x)[:, 0].tolist()
        return (up - down) / (2 * h)

    merging = math.log(1 + 2 * math.log(lam) * (mu**2 - std**2)) / (2 * math.log(lam))
    assert brentq(slope_of_score_at_zero, 0.05, 1.0) == pytest.approx(merging, abs=1e-5)
