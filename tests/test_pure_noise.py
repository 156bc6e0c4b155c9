"""SDEs that end in noise alone, alpha_1 = 0: samplers, grids, likelihoods, losses and networks answer with the right numbers."""

import math

import numpy as np
import pytest
import torch

from scoredm import (
    EDM,
    GRIDS,
    SAMPLERS,
    SDE,
    CountedScore,
    GaussianMixture,
    RectifiedFlow,
    TrainConfig,
    Trainer,
    denoise,
    dsm_floor,
    dsm_loss,
    encode,
    exact_prior,
    exact_score,
    flow_log_prob,
    forward_paths,
    kl_divergence,
    reverse_step,
    sample,
    score_error,
    sliced_wasserstein,
    sliced_wasserstein_to_mixture,
    targets,
    time_of_log_snr,
)
from scoredm.samplers import AdaptiveFlow
from tests.common import Cosine, generator

LINE, PLANE = GaussianMixture([[-1.5], [1.5]], [[[0.3]], [[0.1]]], [0.4, 0.6]), targets.mixture("tutorial")


class Steep(SDE):
    """Noise 80 times as large as that of a rectified flow."""

    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return 80 * t


class Root(SDE):
    """Its alpha and sigma have infinite slopes at the ends."""

    def alpha(self, t):
        return torch.sqrt(1 - t)

    def sigma(self, t):
        return torch.sqrt(t)


ENDING = pytest.mark.parametrize("sde", [RectifiedFlow(), Steep(), Cosine(), Root()], ids=lambda s: type(s).__name__)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("sde", [RectifiedFlow(), EDM()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_on_every_grid_ends_at_the_data(sde, name):
    for grid in GRIDS.values():
        for mixture in (LINE, PLANE):
            assert far(sde, name, grid(sde, 8 if name == "rk45" else 40, 1e-3), mixture) < 0.3


@pytest.mark.parametrize("sde", [Steep(), Cosine(), Root()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", ["euler-maruyama", "ancestral", "predictor-corrector", "heun", "dpm-solver"])
def test_own_sdes_end_at_the_data(sde, name):
    assert far(sde, name, GRIDS["log-snr"](sde, 30, 1e-3), PLANE) < 0.3


def far(sde, name, times, mixture):
    """The distance of samples from the data; that of the sampler without an order, and of long Euler steps, is not looked at."""
    sampler = SAMPLERS[name]
    score, prior = exact_score(mixture, sde), exact_prior(mixture, sde)
    end = sample(sde, score, 800, step=sampler.make_step(), prior=prior, times=sampler.times(times), generator=generator(1)).end
    assert torch.isfinite(end).all()
    if name == "langevin" or (name == "flow-euler" and isinstance(sde, EDM)):
        return 0.0
    return sliced_wasserstein_to_mixture(end, mixture)


FLOWS = [name for name, sampler in SAMPLERS.items() if sampler.order and not sampler.stochastic]


@pytest.mark.parametrize("name,sde", [*((name, RectifiedFlow()) for name in FLOWS), ("heun", Cosine()), ("dpm-solver", Cosine())])
def test_the_first_step_keeps_the_order(sde, name):
    """One Gaussian, whose flow is x_t = alpha_t m + sqrt(v_t / v_1) x_1."""
    gaussian, x = GaussianMixture.gaussian([1.0], [[0.25]]), torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    (alpha, sigma), sampler = sde.scales(0.05), SAMPLERS[name]
    truth = alpha + math.sqrt(alpha**2 * 0.25 + sigma**2) * x
    errors = []
    for steps in (2, 4) if name == "rk45" else (60, 120):
        step = AdaptiveFlow(1e-8, 1e-8) if name == "rk45" else sampler.make_step()
        times = GRIDS["log-snr"](sde, steps, 0.05)
        end = sample(sde, exact_score(gaussian, sde), 9, step=step, times=times, start=x).end
        errors.append(float((end - truth).square().mean().sqrt()))
    if name == "rk45":
        assert errors[1] < 1e-5
    elif name in ("dpm-solver-3m", "unipc", "deis"):  # their first steps are of a lower order, and are not small here
        assert errors[1] < min(5e-5, errors[0] / 1.5)
    else:
        assert math.log2(errors[0] / errors[1]) == pytest.approx(sampler.order, abs=0.35)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 1.5])
def test_the_reverse_process_with_any_noise_begins_there_too(eta):
    sde = RectifiedFlow()
    end = sample(
        sde, exact_score(PLANE, sde), 2000, step=reverse_step(eta), prior=exact_prior(PLANE, sde), generator=generator(3)
    ).end
    assert float(sliced_wasserstein(end, PLANE.sample(5_000, generator(2)))) < 0.15


@ENDING
def test_likelihood_is_the_exact_density(sde):
    for mixture in (LINE, PLANE):
        x, score, prior = mixture.sample(50, generator(0)).double(), exact_score(mixture, sde), exact_prior(mixture, sde)
        torch.testing.assert_close(flow_log_prob(sde, score, prior, x), mixture.log_prob(x), rtol=0, atol=2e-4)
    latent = encode(sde, score, PLANE.sample(1500, generator(1)), steps=20).latent / sde.scales(1.0)[1]
    torch.testing.assert_close(torch.cov(latent.T), torch.eye(2, dtype=torch.float64), rtol=0, atol=0.15)
    found = kl_divergence(PLANE, lambda x: flow_log_prob(sde, score, prior, x, steps=30), 50, generator(2))
    assert abs(found.value) < 1e-3


def test_the_last_step_of_a_learned_score_keeps_account_of_volume():
    """Its errors, of order alpha^2 = 1e-4 at a point, cancel in the mean; without the volume they would add up to 4e-4."""
    sde, x = RectifiedFlow(), PLANE.sample(300, generator(0)).double()
    found = flow_log_prob(sde, CountedScore(exact_score(PLANE, sde)), exact_prior(PLANE, sde), x, t_min=1e-6, steps=60)
    assert abs(float((found - PLANE.log_prob(x)).mean())) < 1e-4


@ENDING
def test_paths_losses_and_grids_are_finite_at_the_end(sde):
    x0 = torch.full((4000, 2), 3.0, dtype=torch.float64)
    path = forward_paths(sde, x0, [0.0, 0.5, 1.0, 1.0], generator(0)) / sde.scales(1.0)[1]
    assert torch.equal(path[2], path[3])
    assert float(path[3].mean()) == pytest.approx(0, abs=0.06) and float(path[3].std()) == pytest.approx(1, abs=0.05)
    score = exact_score(PLANE, sde)
    assert dsm_floor(PLANE, sde, 1.0) == pytest.approx(0, abs=1e-9) and score_error(PLANE, sde, score, 1.0) == 0
    noise = torch.randn(x0.shape, generator=generator(1), dtype=torch.float64)
    assert float(dsm_loss(sde, score, x0, 1.0, noise)) == pytest.approx(0, abs=1e-9)
    t = time_of_log_snr(sde, -12.0)
    assert sde.log_snr(t) == pytest.approx(-12, abs=1e-6) and t < 1
    for grid in GRIDS.values():
        times = grid(sde, 10, 1e-3)
        assert times[0] == 1 and times[-1] == 1e-3 and (np.diff(times) < 0).all()


@pytest.mark.parametrize("network", ["scorenet", "notebook"])
@pytest.mark.parametrize("parametrisation", ["own", "score", "noise", "clean"])
def test_networks_are_finite_at_the_end(network, parametrisation):
    sde = RectifiedFlow()
    trainer = Trainer(PLANE, sde, TrainConfig(steps=5, data_size=100, network=network, parametrisation=parametrisation))
    assert all(math.isfinite(row.dsm) for row in trainer)
    x = torch.randn(50, 2, generator=generator(0))
    for t in (1.0, torch.ones(50)):
        assert torch.isfinite(trainer.score_fn(x, t)).all()
    for name in ("euler-maruyama", "predictor-corrector", "heun", "dpm-solver"):
        step = SAMPLERS[name].make_step()
        assert torch.isfinite(sample(sde, trainer.score_fn, 50, step=step, steps=20, generator=generator(1)).end).all()


def test_a_learned_score_guesses_clean_data_where_one_percent_is_left():
    """The score of a function: at alpha = 0 it is asked a little earlier, so the guess is E[x_0] to about a percent."""
    sde, exact = RectifiedFlow(), exact_score(PLANE, RectifiedFlow())
    x, t = torch.randn(20, 2, generator=generator(0), dtype=torch.float64), torch.tensor([1.0, 0.5] * 10, dtype=torch.float64)
    learned = CountedScore(exact)
    guess = denoise(sde, learned, x, t)
    torch.testing.assert_close(guess[0::2], PLANE.mean.expand(10, 2), rtol=0, atol=0.2)
    torch.testing.assert_close(guess[1::2], exact.posterior_mean(x[1::2], 0.5))
    torch.testing.assert_close(denoise(sde, learned, x[:1], 1.0), guess[:1])


def test_a_weighting_without_a_mean_is_refused():
    config = TrainConfig(steps=2, data_size=50, weighting="likelihood")
    with pytest.raises(ValueError, match="no finite mean over t for this SDE, because alpha_t is 0 at t = 1"):
        Trainer(PLANE, RectifiedFlow(), config)
    for weighting in ("min-snr", "edm"):
        trainer = Trainer(PLANE, RectifiedFlow(), TrainConfig(steps=2, data_size=50, weighting=weighting))
        assert all(math.isfinite(row.dsm) for row in trainer)
