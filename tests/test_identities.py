"""Each identity of the maths page against an answer found another way."""

import numpy as np
import pytest
import torch

from scoredm import VESDE, VPSDE, GaussianMixture, dsm_floor, dsm_loss, euler_maruyama, exact_score, sample, score_error, targets
from scoredm.identities import (
    WRONG,
    parametrise,
    posterior_spread,
    two_sides,
    variance_preserving,
    weightings,
    wrong_score,
)
from scoredm.samplers import reverse_step
from tests.common import generator

TUTORIAL = targets.mixture("tutorial")
SDES = [VESDE(25.0), VPSDE(3.0, 3.0)]


def test_full_noise_is_euler_maruyama() -> None:
    x, noise = torch.randn(2, 50, 2, generator=generator())
    for sde in SDES:
        score = exact_score(TUTORIAL, sde)
        ours = reverse_step(1.0)(sde, score, x, 0.6, 0.55, noise.clone())
        assert torch.allclose(ours, euler_maruyama(sde, score, x, 0.6, 0.55, noise.clone()))


@pytest.mark.parametrize("sde", SDES)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 1.5])
def test_every_amount_of_noise_keeps_the_distribution(sde, eta: float) -> None:
    """Data N(1, 2): 400 steps; a missing half, 1 + eta in place of 1 + eta^2, or a lost eta moves the variance by over 10 %."""
    mixture = GaussianMixture([[1.0]], [[[2.0]]], [1.0])
    prior = mixture.diffuse(float(sde.alpha(1.0)), float(sde.sigma(1.0)))
    x = sample(
        sde, exact_score(mixture, sde), 20_000, steps=400, step=reverse_step(eta), prior=prior, t_min=0.01, generator=generator()
    ).end
    truth = mixture.diffuse(float(sde.alpha(0.01)), float(sde.sigma(0.01)))
    assert abs(float(x.mean()) - float(truth.mean)) < 0.05
    assert float(x.var()) == pytest.approx(float(truth.covariance), rel=0.045)


def test_negative_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        reverse_step(-1.0)


@pytest.mark.parametrize("sde", SDES)
@pytest.mark.parametrize("name", ["tutorial", "three-modes", "needle", "moons"])
def test_bayes_and_tweedie_agree(sde, name: str) -> None:
    mixture = targets.mixture(name)
    for t in (0.05, 0.5, 1.0):
        x = sde.perturb(mixture.sample(200, generator()), t, torch.randn(200, mixture.dim, generator=generator(1))).double()
        alpha, sigma = sde.scales(t)
        by_score = (x + sigma**2 * exact_score(mixture, sde)(x, t)) / alpha
        assert torch.allclose(mixture.posterior_mean(x, *sde.scales(t)), by_score, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("sde", SDES)
def test_denoising_loss_is_explicit_loss_plus_floor(sde, kind: str) -> None:
    sides = two_sides(
        TUTORIAL, sde, wrong_score(kind, TUTORIAL, sde), 0.3, [-0.5, 0.0, 0.5, 1.0], n=40_000, generator=generator()
    )
    right = sides.esm + sides.floor
    assert np.all(np.abs(sides.dsm - right) < 4 * np.hypot(sides.dsm_error, sides.esm_error))
    assert sides.esm[1] > 0.02
    assert sides.esm[3] == 0


def test_both_losses_of_a_blend_follow_from_three_others() -> None:
    sde, wrong = VESDE(25.0), wrong_score("gaussian", TUTORIAL, VESDE(25.0))
    three, one = (two_sides(TUTORIAL, sde, wrong, 0.4, c, n=500, generator=generator()) for c in ([-0.5, 0.5, 1.5], [0.8]))
    blend = three.at(0.8)
    assert (blend.dsm, blend.esm) == pytest.approx((one.dsm[0], one.esm[0]))
    assert three.at(1).esm == 0 and three.at(0.5).dsm_error == three.dsm_error[1]


def test_two_sides_uses_the_losses_of_the_library() -> None:
    sde, t, c = VESDE(25.0), 0.4, 0.3
    wrong = wrong_score("gaussian", TUTORIAL, sde)
    exact = exact_score(TUTORIAL, sde)
    sides = two_sides(TUTORIAL, sde, wrong, t, [c], n=20_000, generator=generator())
    again = generator()
    x0 = TUTORIAL.sample(20_000, again)
    noise = torch.randn(x0.shape, generator=again)
    loss = dsm_loss(sde, lambda x, s: (1 - c) * wrong(x, s) + c * exact(x, s), x0, t, noise)
    assert sides.dsm[0] == pytest.approx(float(loss), rel=1e-5)
    blend = score_error(TUTORIAL, sde, lambda x, s: (1 - c) * wrong(x, s) + c * exact(x, s), t, n=20_000, generator=again)
    assert sides.esm[0] == pytest.approx(blend, rel=1e-4)


def test_no_other_wrong_score() -> None:
    with pytest.raises(ValueError, match="nothing"):
        wrong_score("nothing", TUTORIAL, SDES[0])


@pytest.mark.parametrize("sde", SDES)
@pytest.mark.parametrize("t", [0.1, 0.5, 1.0])
def test_the_floor_is_the_spread_of_the_clean_data(sde, t: float) -> None:
    value, error = posterior_spread(TUTORIAL, sde, t, 40_000, generator())
    assert abs(value - dsm_floor(TUTORIAL, sde, t)) < 4 * error


def test_weightings_match_their_definitions() -> None:
    """Written out in time and carried over with d ln sigma = g^2 / (2 sigma^2) dt, by numerical differentiation of ln sigma."""
    sde, data_std = VESDE(25.0), 1.5
    times = np.linspace(0.01, 1, 4001)
    sigma = np.array([sde.sigma(t) for t in times])
    level = np.log(sigma)
    shares = weightings(sde, times, data_std)
    in_time = {name: share * np.gradient(level, times) for name, share in shares.items()}
    g2 = 25.0 ** (2 * times)
    ends = slice(2, -2)
    assert np.ptp(in_time["tutorial"][ends]) < 1e-3 * in_time["tutorial"].mean()
    ratio = in_time["likelihood"] / (g2 / sigma**2)
    assert np.ptp(ratio[ends]) < 1e-3 * ratio.mean()
    kept = in_time["truncation"][ends] / (g2 / sigma**2 * np.log(times / 0.01) / np.log(100))[ends]
    assert np.ptp(kept) < 1e-3 * kept.mean()
    for share in shares.values():
        assert np.trapezoid(share, level) == pytest.approx(1)


def test_edm_weighting_is_that_of_the_paper() -> None:
    """Its loss is lambda(sigma) ||D - x_0||^2, lambda = (sigma^2 + d^2) / (sigma d)^2, D - x_0 = sigma (z - z_hat), d = 0.5."""
    times = np.linspace(0.05, 1, 500)
    sigma = np.array([VESDE(25.0).sigma(t) for t in times])
    distribution = np.exp(-((np.log(sigma) + 1.2) ** 2) / (2 * 1.2**2))
    expected = distribution * (sigma**2 + 0.25) / (0.5 * sigma) ** 2 * sigma**2
    found = weightings(VESDE(25.0), times, 0.5)["edm"]
    assert np.allclose(found / found[0], expected / expected[0])


def test_two_parametrisations_of_one_point_agree() -> None:
    alpha, sigma = 1.0, 2.3
    x = torch.tensor([1.0, -3.0])
    exploding = parametrise(TUTORIAL, alpha, sigma, x)
    a, s = variance_preserving(alpha, sigma)
    preserving = parametrise(TUTORIAL, a, s, a * x)
    assert a**2 + s**2 == pytest.approx(1)
    assert np.allclose(preserving.noise, exploding.noise)
    assert np.allclose(preserving.clean, exploding.clean)
    assert np.allclose(preserving.score, exploding.score / a)
    assert np.allclose(preserving.alpha * preserving.x - preserving.sigma * preserving.velocity, preserving.clean)
    assert np.allclose(exploding.alpha * exploding.clean + exploding.sigma * exploding.noise, exploding.x)
