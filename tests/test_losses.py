"""The denoising loss, its floor and the score error: closed forms, the tutorial's figures, and Vincent's identity."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from scoredm import (
    SDE,
    VESDE,
    VPSDE,
    CosineVPSDE,
    GaussianMixture,
    GeometricVESDE,
    NotebookNet,
    SubVPSDE,
    dsm_floor,
    dsm_loss,
    dsm_loss_at,
    dsm_losses,
    exact_score,
    score_error,
)
from scoredm.losses import WEIGHTINGS, edm_weight, likelihood_weight, mean_weight, min_snr_weight, notebook_score_error
from scoredm.sde import Time
from tests.common import normal

TUTORIAL = GaussianMixture([[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]], [1, 1])
LINE = GaussianMixture([[-2.0], [1.0]], [[[0.25]], [[1.0]]], [0.3, 0.7])
VE = VESDE(25.0)
FLOOR_TIMES, FLOORS = [0.01, 0.25, 0.5, 0.75, 1.0], [1.986, 1.478, 0.722, 0.207, 0.045]


@final
@dataclass(frozen=True)
class Shrinking(SDE):
    """alpha_t = 1 - t / 2, sigma_t = t: a diffusion that also shrinks the data."""

    def alpha(self, t: Time) -> Time:
        return 1 - t / 2

    def sigma(self, t: Time) -> Time:
        return t * 1.0

    def diffusion(self, t: Time) -> Time:
        raise NotImplementedError

    def drift_rate(self, t: Time) -> Time:
        raise NotImplementedError


SDES = pytest.mark.parametrize("sde", [VE, Shrinking()])
KINDS = pytest.mark.parametrize("sde", [VE, GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()], ids=lambda s: type(s).__name__)
EACH_WEIGHTING = pytest.mark.parametrize("weighting", WEIGHTINGS)
TIMES = torch.linspace(0.01, 1, 400, dtype=torch.float64)


CROSS = GaussianMixture([[0.0, 0.0]] * 2, [[[3.0, 2.9], [2.9, 3.0]], [[3.0, -2.9], [-2.9, 3.0]]], [1, 1])


def zero(x, t):
    return torch.zeros_like(x)


def sloping(x, t):
    return 0.2 - 0.4 * x


# The loss


@pytest.mark.parametrize("t", [0.1, torch.tensor(0.7), torch.linspace(0.01, 1, 1000, dtype=torch.float64)])
def test_one_point_at_0_with_its_score_has_loss_0_catching_a_wrong_sign_of_the_noise_and_sigma_for_its_square(t):
    def score(x, t):
        sigma = torch.as_tensor(VE.sigma(t))
        return -x / (sigma[:, None] if sigma.ndim else sigma) ** 2

    x0 = torch.zeros(1000, 2, dtype=torch.float64)
    assert float(dsm_loss(VE, score, x0, t, normal(1000, 2))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_no_score_at_all_costs_D_catching_a_mean_over_coordinates_and_a_sum_over_the_batch(dim):
    noise = normal(200_000, dim)
    assert float(dsm_loss(VE, zero, torch.zeros_like(noise), 0.5, noise)) == pytest.approx(dim, rel=0.01)


@SDES
@pytest.mark.parametrize("t", [0.05, 0.4, 0.9])
def test_gaussian_data_with_its_score_costs_the_shrinkage_catching_a_missing_alpha_and_unscaled_noise(sde, t):
    variances = torch.tensor([0.5, 4.0], dtype=torch.float64)
    data = GaussianMixture([[3.0, -1.0]], variances.diag()[None], [1.0])
    noise = normal(400_000, 2)
    x0 = torch.tensor([3.0, -1.0]) + variances.sqrt() * normal(400_000, 2, seed=1)
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    closed = float((alpha**2 * variances / (alpha**2 * variances + sigma**2)).sum())
    assert float(dsm_loss(sde, exact_score(data, sde), x0, t, noise)) == pytest.approx(closed, rel=0.01)


def test_a_batch_of_times_is_the_mean_of_its_rows_catching_times_broadcast_along_the_wrong_axis():
    score, x0, noise, t = exact_score(TUTORIAL, VE), normal(2, 2), normal(2, 2, seed=1), torch.tensor([0.1, 0.9])
    rows = [float(dsm_loss(VE, score, x0[[i]], float(t[i]), noise[[i]])) for i in range(2)]
    assert float(dsm_loss(VE, score, x0, t, noise)) == pytest.approx(sum(rows) / 2, rel=1e-6)


def test_losses_of_points_have_the_loss_as_their_mean():
    x0, noise, t = normal(50, 2), normal(50, 2, seed=1), torch.linspace(0.1, 1, 50, dtype=torch.float64)
    losses = dsm_losses(VE, sloping, x0, t, noise)
    assert losses.shape == (50,)
    torch.testing.assert_close(losses[7], dsm_loss(VE, sloping, x0[[7]], float(t[7]), noise[[7]]))
    torch.testing.assert_close(losses.mean(), dsm_loss(VE, sloping, x0, t, noise))


# Weightings


@EACH_WEIGHTING
@KINDS
def test_mean_weight_is_what_adaptive_quadrature_finds(sde, weighting):
    def weight(t: float) -> float:
        return float(WEIGHTINGS[weighting](sde, torch.tensor([t], dtype=torch.float64), 1.5))

    for eps in (0.001, 0.1):
        expected = quad(weight, eps, 1, limit=400, points=[2 * eps, 0.3])[0] / (1 - eps)
        assert mean_weight(weighting, sde, eps, 1.5) == pytest.approx(expected, rel=1e-3)


@KINDS
def test_likelihood_weight_makes_the_weight_of_the_score_itself_g_squared(sde):
    """w || sigma s + z ||^2 = (w sigma^2) || s + z / sigma ||^2."""
    on_the_score = likelihood_weight(sde, TIMES) * torch.as_tensor(sde.sigma(TIMES)) ** 2
    torch.testing.assert_close(on_the_score, torch.as_tensor(sde.diffusion(TIMES)) ** 2)


@KINDS
def test_min_snr_weight_is_that_of_its_paper_on_the_error_of_the_clean_data(sde):
    """min(SNR, 5) || x_hat - x_0 ||^2 with x_hat read off a guess of the noise, x_t = alpha x_hat + sigma z_hat."""
    x0, z, guess = normal(400, 2), normal(400, 2, seed=1), normal(400, 2, seed=2)
    alpha, sigma = (torch.as_tensor(f(TIMES))[:, None] for f in (sde.alpha, sde.sigma))
    clean = (sde.perturb(x0, TIMES, z) - sigma * guess) / alpha
    expected = torch.clamp((alpha / sigma)[:, 0] ** 2, max=5) * (clean - x0).square().sum(-1)
    torch.testing.assert_close(min_snr_weight(sde, TIMES) * (guess - z).square().sum(-1), expected)


@pytest.mark.parametrize("sde", [VE, VPSDE(), CosineVPSDE()])
def test_edm_weight_over_uniform_times_is_its_papers_loss_over_its_distribution_of_noise_levels(sde):
    """E over ln s ~ N(-1.2, 1.2^2) of (s^2 + d^2) / (s d)^2 || x_hat - x_0 ||^2, d = .5, where x_hat - x_0 = s (z - z_hat).

    Data of standard deviation 2 are theirs stretched by 4. The error of the noise is any function of the level, here sin^2.
    """
    alpha, sigma = (np.array([float(f(t)) for t in (0.01, 1.0)]) for f in (sde.alpha, sde.sigma))
    low, high = np.log(sigma / alpha / 4)

    def theirs(log_s: float) -> float:
        s = np.exp(log_s)
        distribution = np.exp(-((log_s + 1.2) ** 2) / (2 * 1.2**2)) / (1.2 * np.sqrt(2 * np.pi))
        return distribution * (s**2 + 0.25) / (0.5 * s) ** 2 * s**2 * np.sin(log_s) ** 2

    def ours(t: float) -> float:
        log_s = np.log(float(sde.sigma(t)) / float(sde.alpha(t)) / 4)
        return float(edm_weight(sde, torch.tensor([t], dtype=torch.float64), 2.0)) * np.sin(log_s) ** 2

    expected = quad(theirs, low, high, limit=400)[0]
    assert quad(ours, 0.01, 1, limit=400, points=[0.02, 0.1, 0.9])[0] == pytest.approx(expected, rel=1e-6)


@EACH_WEIGHTING
@KINDS
def test_gradient_of_the_weighted_loss_of_a_linear_score_is_its_closed_form(sde, weighting):
    """s = a x on N(0, v): the loss at t is (sigma a)^2 (alpha^2 v + sigma^2) + 2 a sigma^2 + 1."""
    v, n = 2.0, 400_000
    a = torch.tensor(-0.3, dtype=torch.float64, requires_grad=True)
    t = 0.01 + 0.99 * (torch.arange(n, dtype=torch.float64) + 0.5) / n
    weight = WEIGHTINGS[weighting](sde, t, v**0.5) / mean_weight(weighting, sde, 0.01, v**0.5)
    x0, z = v**0.5 * normal(n, 1), normal(n, 1, seed=1)
    losses = dsm_losses(sde, lambda x, _t: a * x, x0, t, z)
    (found,) = torch.autograd.grad((weight * losses).mean(), a)
    alpha, sigma = torch.as_tensor(sde.alpha(t)), torch.as_tensor(sde.sigma(t))
    slope = 2 * float(a.detach()) * sigma**2 * (alpha**2 * v + sigma**2) + 2 * sigma**2
    x = sde.perturb(x0, t, z)[:, 0]
    error = float((weight * 2 * (sigma * float(a.detach()) * x + z[:, 0]) * sigma * x).std()) / n**0.5
    assert float(found) == pytest.approx(float((weight * slope).mean()), abs=4 * error)


@EACH_WEIGHTING
def test_the_exact_score_is_the_least_of_every_weighting_in_every_direction(weighting):
    """The slope of the weighted loss at the exact score along any other function of x and t is 0, within 4 standard errors."""
    sde, n = VPSDE(), 200_000
    t = 0.01 + 0.99 * (torch.arange(n, dtype=torch.float64) + 0.5) / n
    x0, z = TUTORIAL.sample(n, torch.Generator().manual_seed(5)).double(), normal(n, 2, seed=6)
    x = sde.perturb(x0, t, z)
    residual = torch.as_tensor(sde.sigma(t))[:, None] * exact_score(TUTORIAL, sde)(x, t) + z
    weight = WEIGHTINGS[weighting](sde, t, 1.5) / mean_weight(weighting, sde, 0.01, 1.5)
    for direction in (torch.ones_like(x), x, x.sin(), x.flip(-1) * t[:, None]):
        slopes = weight * (residual * direction).sum(-1)
        assert abs(float(slopes.mean())) < 4 * float(slopes.std()) / n**0.5


# The floor


@pytest.mark.parametrize("kind", [np.array, torch.tensor], ids=["array", "tensor"])
def test_floor_of_the_tutorial_is_the_known_table_in_the_kind_of_the_times(kind):
    floor = dsm_floor(TUTORIAL, VE, kind(FLOOR_TIMES))
    assert type(floor) is type(kind([0.0]))
    np.testing.assert_allclose(np.asarray(floor), FLOORS, atol=6e-4)


def test_floor_at_a_number_is_a_number():
    assert dsm_floor(TUTORIAL, VE, 0.5) == pytest.approx(0.722, abs=6e-4)
    assert dsm_floor(TUTORIAL, VE, torch.tensor(0.5)).shape == ()


@SDES
@pytest.mark.parametrize("variances", [[0.3], [0.5, 4.0]])
def test_floor_of_a_gaussian_is_the_shrinkage(sde, variances):
    data = GaussianMixture([[1.0] * len(variances)], torch.tensor(variances, dtype=torch.float64).diag()[None], [1.0])
    for t in (0.05, 0.5, 1.0):
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        closed = sum(alpha**2 * v / (alpha**2 * v + sigma**2) for v in variances)
        assert dsm_floor(data, sde, t) == pytest.approx(closed, abs=1e-7)


@SDES
@pytest.mark.parametrize("t", [0.05, 0.3, 0.9])
def test_floor_on_a_line_is_what_adaptive_quadrature_finds(sde, t):
    alpha, sigma = float(sde.alpha(t)), float(sde.sigma(t))
    means, variances = alpha * np.array([-2.0, 1.0]), alpha**2 * np.array([0.25, 1.0]) + sigma**2

    def integrand(x: float) -> float:
        p = np.array([0.3, 0.7]) * np.exp(-((x - means) ** 2) / (2 * variances)) / np.sqrt(2 * np.pi * variances)
        return float((p * (means - x) / variances).sum() ** 2 / p.sum()) if p.sum() > 0 else 0.0

    fisher = quad(integrand, -80, 80, points=[-2, -1, 0, 1], limit=400, epsabs=1e-7)[0]
    assert dsm_floor(LINE, sde, t) == pytest.approx(1 - sigma**2 * fisher, abs=1e-6)


@SDES
def test_floor_by_draws_above_two_dimensions_agrees_with_two_independent_planes(sde):
    K, D = 4, 4
    means = torch.stack([torch.cat([TUTORIAL.means[i], TUTORIAL.means[j]]) for i in range(2) for j in range(2)])
    S = TUTORIAL.covariances
    covariances = torch.stack([torch.block_diag(S[i], S[j]) for i in range(2) for j in range(2)])
    product = GaussianMixture(means, covariances, torch.ones(K))
    for t in (0.1, 0.5):
        assert dsm_floor(product, sde, t) == pytest.approx(2 * dsm_floor(TUTORIAL, sde, t), abs=0.01 * D)


def test_floor_by_quadrature_agrees_with_draws_where_many_components_leave_few_nodes():
    generator = torch.Generator().manual_seed(0)
    many = GaussianMixture(3 * torch.randn(60, 2, generator=generator), 0.05 * torch.eye(2).repeat(60, 1, 1), torch.ones(60))
    for t in (0.05, 0.3, 0.7):
        x0, noise = many.sample(20_000, generator).double(), normal(20_000, 2, seed=5)
        drawn = float(dsm_loss(VE, exact_score(many, VE), x0, t, noise))
        assert dsm_floor(many, VE, t) == pytest.approx(drawn, abs=0.05)


def floor_of_concentric(stds: tuple[float, ...], sde: SDE, t: float) -> float:
    """D - sigma^2 E|s|^2 of round Gaussians with one centre in the plane, all of one weight, by adaptive quadrature over r."""
    alpha, sigma = sde.scales(t)
    v = np.array([alpha**2 * std**2 + sigma**2 for std in stds])

    def integrand(r: float) -> float:
        n = np.exp(-(r**2) / (2 * v)) / (2 * np.pi * v * len(v))
        return 2 * np.pi * r * (n @ (r / v)) ** 2 / n.sum()

    edges = [0.0, *sorted(c * s for s in np.sqrt(v) for c in (1, 2, 3, 4, 6, 9))]
    ends = [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b <= 9 * np.sqrt(v.max())]
    return 2 - sigma**2 * sum(quad(integrand, a, b, epsabs=1e-12, epsrel=1e-11)[0] for a, b in ends)


@SDES
@pytest.mark.parametrize("stds", [(0.1, 5.0), (5.0, 0.1), (1e-3, 5.0), (0.05, 0.6, 5.0), (0.3, 0.1, 2.0, 3.0)])
def test_floor_sees_a_narrow_component_beside_a_wide_one(sde, stds):
    mixture = GaussianMixture([[0.0, 0.0]] * len(stds), [(std**2 * np.eye(2)).tolist() for std in stds], [1] * len(stds))
    for t in (0.003, 0.08, 0.4):
        assert dsm_floor(mixture, sde, t) == pytest.approx(floor_of_concentric(stds, sde, t), abs=1e-5)


@pytest.mark.parametrize("t", [0.02, 0.0663, 0.3])
def test_floor_of_crossing_strokes_is_that_of_a_fine_grid(t):
    mixture, side = CROSS, torch.linspace(-18, 18, 601, dtype=torch.float64)  # five steps to a standard deviation
    p_t, x = mixture.at(VE, t), torch.cartesian_prod(side, side)
    energy = (p_t.log_prob(x).exp() * p_t.score(x).square().sum(1)).sum() * (side[1] - side[0]) ** 2
    assert dsm_floor(mixture, VE, t) == pytest.approx(2 - float(VE.sigma(t)) ** 2 * float(energy), abs=1e-5)


@SDES
@pytest.mark.parametrize("mixture", [TUTORIAL, LINE], ids=["plane", "line"])
def test_denoising_loss_is_floor_plus_score_error_at_each_t(sde, mixture):
    """Vincent 2011: J_DSM - J_ESM = D / sigma^2 - E||s||^2, whatever the score that is judged."""
    n, generator = 100_000, torch.Generator().manual_seed(3)
    x0, noise = mixture.sample(n, generator).double(), normal(n, mixture.dim, seed=4)
    for t in (0.1, 0.5, 0.9):
        loss = float(dsm_loss(sde, sloping, x0, t, noise))
        error = score_error(mixture, sde, sloping, t, n=n, generator=generator)
        assert loss - error == pytest.approx(dsm_floor(mixture, sde, t), abs=0.02 * (1 + loss))


def test_floor_knows_the_entropy_that_the_noise_adds():
    """De Bruijn: int g^2 E||s||^2 dt = 2 (h(p_1) - h(p_eps)), with E||s||^2 = (D - floor) / sigma^2."""
    eps = 0.01
    nodes, weights = np.polynomial.legendre.leggauss(40)
    t, w = eps + (1 - eps) * (nodes + 1) / 2, (1 - eps) * weights / 2
    fisher = (1 - dsm_floor(LINE, VE, t)) / np.array([VE.sigma(float(time)) ** 2 for time in t])
    gain = float(w @ (np.array([VE.diffusion(float(time)) ** 2 for time in t]) * fisher))

    def entropy(time: float) -> float:
        x = torch.linspace(-120, 120, 200_001, dtype=torch.float64)[:, None]
        log_p = LINE.diffuse(1.0, float(VE.sigma(time))).log_prob(x)
        return float(torch.trapezoid(-log_p.exp() * log_p, x[:, 0]))

    assert gain == pytest.approx(2 * (entropy(1.0) - entropy(eps)), rel=1e-4)


# The errors


def test_the_exact_score_has_error_0_and_a_shifted_one_its_shift_squared_times_sigma_squared():
    exact, t = exact_score(TUTORIAL, VE), np.array([0.1, 0.9])
    np.testing.assert_allclose(score_error(TUTORIAL, VE, exact, t, n=1000), 0, atol=1e-10)
    shifted = score_error(TUTORIAL, VE, lambda x, t: exact(x, t) + torch.tensor([3.0, 4.0]), t, n=1000)
    np.testing.assert_allclose(shifted, [25 * float(VE.sigma(time)) ** 2 for time in (0.1, 0.9)], rtol=1e-4)


def test_no_score_at_all_has_the_error_that_the_floor_lacks_to_D_catching_points_of_the_wrong_law():
    t = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(score_error(TUTORIAL, VE, zero, t, n=200_000), 2 - dsm_floor(TUTORIAL, VE, t), rtol=0.02)


def test_score_error_draws_from_its_generator():
    generator = torch.Generator().manual_seed(5)
    first = score_error(LINE, VE, zero, 0.5, n=100, generator=generator)
    assert score_error(LINE, VE, zero, 0.5, n=100, generator=generator) != first
    assert score_error(LINE, VE, zero, 0.5, n=100, generator=torch.Generator().manual_seed(5)) == first


def test_a_perfect_model_scores_0_364_on_the_tutorials_own_measure():
    t = 0.01 + 0.99 * (np.arange(50) + 0.5) / 50
    perfect = notebook_score_error(TUTORIAL, exact_score(TUTORIAL, VE), t, n=40_000)
    assert float(perfect.mean()) == pytest.approx(0.364, abs=0.006)


def test_errors_leave_no_gradient_graph():
    net = NotebookNet(VE)
    assert isinstance(score_error(TUTORIAL, VE, net, 0.5, n=10), float)
    assert not score_error(TUTORIAL, VE, net, torch.tensor([0.5]), n=10).requires_grad


def test_mean_floor_of_the_tutorial_over_the_notebooks_times():
    t = 0.01 + 0.99 * (np.arange(100) + 0.5) / 100
    assert float(dsm_floor(TUTORIAL, VE, t).mean()) == pytest.approx(0.840, abs=6e-4)
    assert math.isfinite(dsm_floor(TUTORIAL, VE, 1e-6))


@pytest.mark.parametrize(("mixture", "sde"), [(TUTORIAL, VPSDE()), (LINE, VE)], ids=["plane", "line"])
def test_the_loss_at_a_point_is_the_mean_over_its_origins_and_its_mean_is_the_floor(mixture, sde):
    t, draws = 0.3, torch.Generator().manual_seed(0)
    exact = exact_score(mixture, sde)
    alpha, sigma = sde.scales(t)
    points = mixture.at(sde, t).sample(300, draws).double()
    least = np.array([dsm_loss_at(mixture, sde, exact, x, t) for x in points])
    assert abs(least.mean() - dsm_floor(mixture, sde, t)) < 4 * least.std() / math.sqrt(len(least))
    for score in (exact, lambda x, _t: -0.3 * x):
        origins = exact.posterior(points[0], t).sample(50_000, draws).double()
        noises = (points[0] - alpha * origins) / sigma
        losses = (sigma * score(points[:1], t) + noises).square().sum(1)
        mean = dsm_loss_at(mixture, sde, score, points[0], t)
        assert abs(float(losses.mean()) - mean) < 4 * float(losses.std()) / math.sqrt(len(losses))
    assert dsm_loss_at(mixture, sde, exact, points[0], t) < mean
