"""Mean log densities against quadrature and closed forms, and components counted as reached or lost."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from scoredm import GaussianMixture, component_weights, coverage, log_density_gap, mean_log_density, mode_coverage, targets
from tests.common import generator, most_memory, normal


def separate(dim: int, count: int = 8) -> GaussianMixture:
    """Equal components of width 1, far apart."""
    return GaussianMixture(30 * torch.eye(dim)[:count], torch.eye(dim).expand(count, -1, -1), torch.ones(count))


@pytest.mark.parametrize("name", ["three-modes", "spike", "one-mode"])
def test_on_the_line_the_mean_log_density_is_that_of_quadrature(name):
    line = targets.mixture(name)

    def weighted(x: float) -> float:
        log_p = float(line.log_prob(torch.tensor([x], dtype=torch.float64)))
        return math.exp(log_p) * log_p

    spread = 12 * line.covariances[:, 0, 0].sqrt()
    ends = float((line.means[:, 0] - spread).min()), float((line.means[:, 0] + spread).max())
    expected, _ = quad(weighted, *ends, limit=400, points=line.means[:, 0].tolist(), epsabs=1e-9)
    found = mean_log_density(line)
    assert found.value == pytest.approx(expected, abs=max(5 * found.error, 1e-8))
    assert found.error < 1e-3


def test_the_mean_log_density_is_closed_for_one_gaussian_and_for_components_far_apart():
    root = normal(5, 5)
    covariance = root @ root.T + 0.1 * torch.eye(5, dtype=torch.float64)
    one = mean_log_density(GaussianMixture.gaussian(torch.zeros(5), covariance))
    assert one.error == 0
    normal_entropy = torch.distributions.MultivariateNormal(torch.zeros(5, dtype=torch.float64), covariance).entropy()
    assert one.value == pytest.approx(-float(normal_entropy))
    far = mean_log_density(separate(20))
    assert far.value == pytest.approx(-10 * math.log(2 * math.pi * math.e) - math.log(8))


@pytest.mark.parametrize("mixture", [targets.mixture("tutorial"), targets.mixture("grid"), separate(20)], ids=repr)
def test_the_gap_of_exact_samples_is_chance_of_the_stated_size(mixture):
    found = [log_density_gap(mixture.sample(300, generator(seed)), mixture) for seed in range(60)]
    z = np.array([gap.value / gap.error for gap in found])
    assert abs(z.mean()) < 4 / math.sqrt(60)
    assert z.std() == pytest.approx(1, abs=0.35)


def test_samples_that_are_too_wide_have_a_gap_of_known_size_in_any_dimension():
    for dim in (2, 50):
        mixture = GaussianMixture.gaussian(torch.zeros(dim), torch.eye(dim))
        found = log_density_gap(1.1 * mixture.sample(4000, generator()), mixture)
        assert found.value == pytest.approx(-0.21 * dim / 2, abs=5 * found.error)
        assert abs(found.value) > 10 * found.error


def test_a_component_of_weight_0_changes_nothing():
    tutorial = targets.mixture("tutorial")
    padded = GaussianMixture(
        torch.cat([tutorial.means, torch.zeros(1, 2)]),
        torch.cat([tutorial.covariances, torch.eye(2)[None]]),
        [*tutorial.weights.tolist(), 0.0],
    )
    assert mean_log_density(padded).value == pytest.approx(mean_log_density(tutorial).value, abs=1e-3)
    x = tutorial.sample(500, generator())
    assert mode_coverage(x, padded) == mode_coverage(x, tutorial) == 1


def test_components_are_lost_below_half_of_their_weight():
    mixture = separate(20)
    x, k = mixture.sample_labelled(4000, generator())
    assert mode_coverage(x, mixture) == 1
    assert mode_coverage(x[k > 1], mixture) == 6 / 8
    thinned = torch.cat([x[k != 0], x[k == 0][:220]])  # of about 500: a share of .44 of its weight and .47 of the rest
    assert mode_coverage(thinned, mixture) == 7 / 8
    assert mode_coverage(thinned, mixture, least=0.2) == 1
    for least in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="least is"):
            mode_coverage(x, mixture, least)


def test_blocks_of_points_do_not_change_the_weights(monkeypatch):
    mixture = targets.mixture("grid")
    x = mixture.sample(333, generator())
    whole = component_weights(x, mixture)
    monkeypatch.setattr(coverage, "RESPONSIBILITIES", 1000)
    torch.testing.assert_close(component_weights(x, mixture), whole)


def test_weights_take_memory_for_a_block_of_points_at_a_time(monkeypatch):
    mixture = targets.mixture("grid")
    x = mixture.sample(50_000, generator()).double()
    whole = len(x) * mixture.n_components * x.element_size()
    assert most_memory(lambda: component_weights(x, mixture)) >= whole
    monkeypatch.setattr(coverage, "RESPONSIBILITIES", 25_000)
    assert most_memory(lambda: component_weights(x, mixture)) < whole / 5
