"""Energy distance and maximum mean discrepancy against scipy, brute force and what is known of exact samples."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from scoredm import (
    GaussianMixture,
    discrepancies,
    energy_distance,
    mmd,
    mmd_bandwidth,
    mmd_to_mixture,
    targets,
)
from tests.common import generator, normal

# Energy distance.


@pytest.mark.parametrize("n,m", [(1, 1), (200, 200), (150, 400)])
def test_energy_distance_on_the_line_is_scipys(n, m):
    x, y = normal(n, 1), 0.3 + 1.5 * normal(m, 1, seed=1)
    expected = scipy.stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_energy_distance_is_the_mean_over_all_pairs_in_any_block_size(monkeypatch, block):
    x, y = normal(33, 3), 0.5 + normal(20, 3, seed=1)
    a, b = x.numpy(), y.numpy()

    def mean(u, v):
        return np.linalg.norm(u[:, None] - v[None], axis=-1).mean()

    monkeypatch.setattr(discrepancies, "PAIR_NUMBERS", block)
    assert energy_distance(x, y) == pytest.approx(math.sqrt(2 * mean(a, b) - mean(a, a) - mean(b, b)), rel=1e-6)


def test_energy_distance_far_from_the_origin_does_not_cancel():
    x, y = normal(100, 2), 0.5 + normal(80, 2, seed=1)
    assert energy_distance(x + 1e5, y + 1e5) == pytest.approx(energy_distance(x, y), rel=1e-6)
    for D in (1, 2):
        assert energy_distance(x[:, :D], x[:, :D].flip(0)) == pytest.approx(0, abs=1e-6)


def test_energy_distance_sees_small_shifts_and_survives_lost_points():
    x = normal(300, 2)
    y = x + 1e-3
    exact = math.sqrt(2 * float(torch.cdist(x, y).mean()) - float(torch.cdist(x, x).mean() + torch.cdist(y, y).mean()))
    assert energy_distance(x, y) == pytest.approx(exact, rel=1e-3)
    lost = torch.cat([x[:-1], torch.full((1, 2), 1e30, dtype=torch.float64)])
    farther = math.sqrt(2 * math.sqrt(2) * 1e30) / 300  # twice the distance the point went, times its mass squared
    assert energy_distance(lost, x) == pytest.approx(farther, rel=1e-3)


@pytest.mark.parametrize("name", ["tutorial", "grid", "needle", "checkerboard"])
def test_energy_distance_of_many_points_in_the_plane_is_that_over_all_pairs(monkeypatch, name):
    mixture = targets.mixture(name)
    x, y = (mixture.sample(n, generator(n)).double() for n in (3000, 2000))
    over_pairs = energy_distance(x, y)
    monkeypatch.setattr(discrepancies, "MANY_POINTS", 0)
    over_directions = energy_distance(x, y)
    assert over_directions != over_pairs
    assert over_directions == pytest.approx(over_pairs, rel=5e-5)
    monkeypatch.setattr(discrepancies, "SORTED_NUMBERS", 1)
    assert energy_distance(x, y) == pytest.approx(over_directions, rel=1e-6), "a direction at a time"
    assert energy_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-6)
    assert energy_distance(x + 1e5, y + 1e5) == pytest.approx(over_pairs, rel=1e-4)


# Maximum mean discrepancy.


def kernel(u: Tensor, v: Tensor, h: float) -> Tensor:
    return (-(u[:, None] - v[None]).square().sum(-1) / (2 * h**2)).exp()


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
@pytest.mark.parametrize("D", [1, 2, 3])
def test_mmd_is_the_mean_kernel_over_all_pairs_in_any_block_size(monkeypatch, block, D):
    x, y, h = normal(33, D), 0.5 + normal(20, D, seed=1), 0.8
    monkeypatch.setattr(discrepancies, "PAIR_NUMBERS", block)
    squared = kernel(x, x, h).mean() + kernel(y, y, h).mean() - 2 * kernel(x, y, h).mean()
    assert mmd(x, y, h) == pytest.approx(math.sqrt(squared), rel=1e-5)
    assert mmd(10 * x, 10 * y, 10 * h) == pytest.approx(mmd(x, y, h), rel=1e-5)
    assert mmd(x + 1e5, y + 1e5, h) == pytest.approx(mmd(x, y, h), rel=1e-5)
    assert mmd(x, x.flip(0), h) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("D,n", [(1, 50), (2, 500), (3, 300)])
def test_the_mean_kernel_over_waves_is_that_over_pairs_to_the_last_digits(monkeypatch, D, n):
    """The corners of the box among the points: there the waves of a period too short would meet the next period."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.5, 1.5], dtype=torch.float64)] * D).reshape(-1, D)
    x, y = torch.cat([0.4 * normal(n, D), corners]), 0.3 + 0.4 * normal(n, D, seed=1)
    exact, waves = float(kernel(x, x, 1.0).mean()), discrepancies._waves
    monkeypatch.setattr(discrepancies, "_waves", lambda box, _most: waves(box, 100_000))
    assert discrepancies._mean_kernel_within(x) == pytest.approx(exact, rel=1e-12)
    squared = exact + float(kernel(y, y, 1.0).mean() - 2 * kernel(x, y, 1.0).mean())
    assert mmd(x, y, 1.0) ** 2 == pytest.approx(squared, rel=1e-10)
    monkeypatch.setattr(discrepancies, "_waves", lambda *_: None)
    assert discrepancies._mean_kernel_within(x) == pytest.approx(exact, rel=1e-7), "over pairs"
    assert mmd(x, y, 1.0) ** 2 == pytest.approx(squared, rel=1e-5)


def test_a_kernel_much_narrower_than_the_sample_takes_pairs():
    """So many waves would be needed that their number alone would not fit in memory."""
    x = normal(200, 2)
    x[0] = 1e12
    assert discrepancies._waves(discrepancies._box(x.T)[1], 10_000) is None
    assert discrepancies._mean_kernel_within(x) == pytest.approx(float(kernel(x, x, 1.0).mean()), rel=1e-4)


def test_mmd_of_two_points_far_apart_is_the_root_of_two():
    points = torch.tensor([[0.0, 0.0], [1e60, -1e60]], dtype=torch.float64)
    assert mmd(points[:1], points[1:], 1.0) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("name", ["three-modes", "tutorial", "needle"])
@pytest.mark.parametrize("h", [None, 0.7])
def test_mmd_to_the_mixture_is_that_to_an_endless_sample(name, h):
    mixture = targets.mixture(name)
    x = mixture.sample(300, generator()).double() + 0.5 * math.sqrt(float(mixture.covariance.trace()))
    y = mixture.sample(5000, generator(1)).double()
    width = mmd_bandwidth(mixture) if h is None else h
    assert mmd_to_mixture(x, mixture, h) == pytest.approx(mmd(x, y, width), abs=0.02)


@pytest.mark.parametrize("name", ["spike", "tutorial"])
def test_the_mean_square_mmd_of_exact_samples_is_known(name):
    mixture, n = targets.mixture(name), 50
    h = mmd_bandwidth(mixture)
    squares = [mmd_to_mixture(mixture.sample(n, generator(seed)), mixture) ** 2 for seed in range(400)]
    x, y = (mixture.sample(2000, generator(seed)).double() for seed in (1, 2))
    expected = (1 - float(kernel(x, y, h).mean())) / n
    error = float(np.std(squares)) / math.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(expected, abs=5 * error)
    assert error < 0.04 * expected


def test_the_bandwidth_is_the_width_of_a_component():
    covariances = np.array([np.diag([0.04, 1.0]), np.diag([0.01, 0.01])])
    pair = GaussianMixture([[0, 0], [90, 90]], covariances, [3, 1])
    assert mmd_bandwidth(pair) == pytest.approx((0.2 * 1.0) ** (3 / 8) * 0.1 ** (1 / 4))


def separate(dim: int) -> GaussianMixture:
    """Eight equal components of width 1, far apart."""
    return GaussianMixture(10 * torch.eye(dim)[:8], torch.eye(dim).expand(8, -1, -1), torch.ones(8))


def test_the_bandwidth_grows_with_the_dimension_and_follows_the_wide_axes():
    for dim in (8, 50):
        assert mmd_bandwidth(separate(dim)) == pytest.approx(math.sqrt(dim / 2))
    flat = GaussianMixture.gaussian(torch.zeros(50), torch.diag(torch.tensor([1.0] * 2 + [1e-8] * 48)))
    assert mmd_bandwidth(flat) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("dim", [20, 50])
def test_mmd_sees_a_lost_component_in_many_dimensions(dim):
    mixture = separate(dim)
    zero = [mmd_to_mixture(mixture.sample(1000, generator(seed)), mixture) for seed in range(10)]
    x, k = mixture.sample_labelled(1200, generator(20))
    assert mmd_to_mixture(x[k > 0][:1000], mixture) > np.mean(zero) + 10 * np.std(zero)


def test_pairs_of_components_are_factorised_in_blocks_of_any_size(monkeypatch):
    mixture = targets.mixture("grid")
    x = mixture.sample(100, generator())
    whole = mmd_to_mixture(x, mixture)
    monkeypatch.setattr(discrepancies, "COVARIANCE_NUMBERS", 300)
    assert mmd_to_mixture(x, mixture) == pytest.approx(whole, rel=1e-9)
