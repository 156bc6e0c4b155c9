"""Sliced Wasserstein distances against brute force, closed forms and quantiles found by bisection."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from scoredm import GaussianMixture, sliced_wasserstein, sliced_wasserstein_to_mixture, targets, wasserstein
from tests.common import generator, normal

# Of two samples.


@pytest.mark.parametrize("n,m", [(1, 1), (5, 5), (4, 6), (7, 3), (12, 1)])
def test_unequal_sizes_pair_quantiles_exactly(n, m):
    x, y = normal(n, 1), normal(m, 1, seed=1)
    repeated = x.repeat_interleave(m, 0).sort(0).values - y.repeat_interleave(n, 0).sort(0).values
    assert sliced_wasserstein(x, y) == pytest.approx(float(repeated.square().mean().sqrt()), rel=1e-12)
    torch.testing.assert_close([x, y], [normal(n, 1), normal(m, 1, seed=1)], rtol=0, atol=0)  # they are left as they were


def test_on_the_line_it_is_the_second_and_not_the_first_wasserstein_distance():
    n = 40_000
    x, y = 1 + 2 * normal(n, 1), -2 + 0.5 * normal(n, 1, seed=1)
    assert sliced_wasserstein(x, y) == pytest.approx(math.hypot(3, 1.5), rel=0.02)


def test_a_shift_costs_its_length_over_the_root_of_the_dimension():
    for D in (2, 3, 6):
        x = normal(50, D)
        shift = torch.arange(1.0, D + 1, dtype=torch.float64)
        found = sliced_wasserstein(x, x + shift, generator(), n_projections=20_000)
        assert found == pytest.approx(float(shift.norm()) / math.sqrt(D), rel=0.02)


def test_it_is_the_root_of_a_mean_of_squares_over_unit_directions():
    x, y = normal(30, 2), 2 * normal(20, 2, seed=1) + 1
    u = torch.randn(16, 2, generator=generator(7), dtype=torch.float64)
    u = u / u.norm(dim=1, keepdim=True)
    squares = [sliced_wasserstein(x @ v[:, None], y @ v[:, None]) ** 2 for v in u]
    assert sliced_wasserstein(x, y, generator(7), n_projections=16) == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-9)


def test_sliced_wasserstein_is_a_distance_with_units():
    x, y = normal(40, 2), normal(30, 2, seed=1) + 1
    d = partial(sliced_wasserstein, n_projections=64)
    assert d(x, x.flip(0), generator()) < 1e-12
    assert d(x, y, generator()) == pytest.approx(d(y, x, generator()), rel=1e-12)
    assert d(10 * x, 10 * y, generator()) == pytest.approx(10 * d(x, y, generator()), rel=1e-12)
    assert d(x, y, generator()) == d(x, y, generator())
    assert d(x, y, generator()) != d(x, y, generator(1))
    assert d(x.float(), y.float(), generator()) == pytest.approx(d(x, y, generator()), rel=1e-5)


def test_blocks_of_directions_do_not_change_it(monkeypatch):
    pairs = [(normal(40, 3), normal(m, 3, seed=1)) for m in (31, 40, 80)]
    whole = [sliced_wasserstein(x, y, generator()) for x, y in pairs]
    monkeypatch.setattr(wasserstein, "PAIR_NUMBERS", 500)
    assert [sliced_wasserstein(x, y, generator()) for x, y in pairs] == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_prepared_projections_give_the_same_distance(dim):
    x, y = (torch.randn(500, dim, generator=generator(seed)) + 100 + seed for seed in (1, 2))
    centre = torch.full((dim,), 101.0)
    directions = wasserstein.random_directions(50, dim, generator(3))
    prepared = [wasserstein.sorted_projections(points, centre, directions) for points in (x, y)]
    assert prepared[0].shape == (1 if dim == 1 else 50, 500)
    assert wasserstein.paired_distance(*prepared) == pytest.approx(sliced_wasserstein(x, y, generator(3), 50), rel=1e-5)


# Of a sample and a mixture.


def by_bisection(x: Tensor, mixture: GaussianMixture) -> float:
    """W_2 on the line: the quantiles by bisection, and the mass between two of them in closed form."""
    points, n = np.sort(x[:, 0].double().numpy()), len(x)
    means, stds, shares = mixture.means[:, 0].numpy(), mixture.covariances[:, 0, 0].sqrt().numpy(), mixture.weights.numpy()
    low, high = np.full(n + 1, (means - 9 * stds).min()), np.full(n + 1, (means + 9 * stds).max())
    for _ in range(80):
        middle = (low + high) / 2
        under = norm.cdf((middle[:, None] - means) / stds) @ shares < np.arange(n + 1) / n
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    z = (low[:, None] - means) / stds
    below = norm.cdf(z) @ (shares * means) - norm.pdf(z) @ (shares * stds)
    below[[0, -1]] = 0, shares @ means
    return math.sqrt((points**2).mean() + shares @ (means**2 + stds**2) - 2 * points @ np.diff(below))


FAR = GaussianMixture([[0.0], [1000.0], [1001.0]], [[[1e-6]], [[1.0]], [[1e-4]]], [1, 2, 1])


@pytest.mark.parametrize("n", [1, 7, 3000])
@pytest.mark.parametrize("mixture", [targets.mixture("spike"), targets.mixture("three-modes"), FAR], ids=str)
def test_on_the_line_it_is_that_of_quantiles_found_by_bisection(monkeypatch, mixture, n):
    monkeypatch.setattr(wasserstein, "LEVELS", 1000)
    x = mixture.sample(n, generator(1)).double()
    assert sliced_wasserstein_to_mixture(x, mixture) == pytest.approx(by_bisection(x, mixture), rel=1e-6)
    assert sliced_wasserstein_to_mixture(x + 1e-3, mixture) == pytest.approx(by_bisection(x + 1e-3, mixture), rel=1e-6)


def test_it_is_the_root_mean_square_over_the_lines_of_projected_mixtures(monkeypatch):
    monkeypatch.setattr(wasserstein, "SORT_NUMBERS", 900)
    root = normal(4, 3, 3)
    mixture = GaussianMixture(2 * normal(4, 3, seed=1), root @ root.mT + 0.1 * torch.eye(3, dtype=torch.float64), [1, 2, 3, 4])
    x, directions = 1.1 * mixture.sample(200, generator()).double(), wasserstein.random_directions(11, 3, generator(3))
    squares = []
    for u in directions:
        line = GaussianMixture((mixture.means @ u)[:, None], (mixture.covariances @ u @ u)[:, None, None], mixture.weights)
        squares.append(by_bisection((x @ u)[:, None], line) ** 2)
    assert sliced_wasserstein_to_mixture(x, mixture, directions) == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-6)


@pytest.mark.parametrize("dim", [2, 5])
def test_gaussians_moved_and_widened_are_at_known_distances(dim):
    mixture = GaussianMixture.gaussian(torch.zeros(dim), 4 * torch.eye(dim))
    x, shift = mixture.sample(20_000, generator()).double(), torch.arange(1.0, dim + 1)
    directions = wasserstein.even_directions(20, dim)
    along = math.sqrt(float((directions @ shift.double()).square().mean()))
    assert along == pytest.approx(float(shift.norm()) / math.sqrt(dim), rel=0.1)  # directions are even
    assert sliced_wasserstein_to_mixture(x + shift, mixture, directions) == pytest.approx(along, rel=0.03)
    assert sliced_wasserstein_to_mixture(1.5 * x, mixture, directions) == pytest.approx(1.0, rel=0.03)


def test_for_exact_samples_it_falls_like_the_root_of_their_number_with_no_end():
    mixture = targets.mixture("tutorial")
    directions = wasserstein.even_directions(8, 2)
    small, large = (
        np.sqrt(
            np.mean(
                [
                    sliced_wasserstein_to_mixture(mixture.sample(n, generator(seed)), mixture, directions) ** 2
                    for seed in range(12)
                ]
            )
        )
        for n in (1000, 16_000)
    )
    assert small / large == pytest.approx(4, rel=0.35)


def test_even_directions_see_every_axis_alike_and_are_the_same_each_time():
    for dim in (1, 2, 3, 50):
        directions = wasserstein.even_directions(2 * dim, dim)
        assert directions.shape == (1 if dim == 1 else 2 * dim, dim)
        torch.testing.assert_close(directions.norm(dim=1), torch.ones(len(directions), dtype=torch.float64))
        assert torch.equal(directions, wasserstein.even_directions(2 * dim, dim))
        spread = directions.T @ directions / len(directions)
        torch.testing.assert_close(spread, torch.eye(dim, dtype=torch.float64) / dim)


def test_directions_of_another_dimension_are_refused():
    mixture = targets.mixture("tutorial")
    for directions in (torch.zeros(4, 3), torch.zeros(4), torch.zeros(0, 2)):
        with pytest.raises(ValueError, match="directions have shape"):
            sliced_wasserstein_to_mixture(torch.zeros(4, 2), mixture, directions)
    with pytest.raises(ValueError, match="2-D mixture"):
        sliced_wasserstein_to_mixture(torch.zeros(4, 3), mixture)


def test_what_is_kept_of_a_mixture_is_for_one_mixture_and_one_size():
    """Along directions that are given nothing is kept."""
    mixtures = [targets.mixture(name) for name in ("tutorial", "tight")]
    for _ in range(2):
        for mixture in mixtures:
            for n in (50, 60, 5000):
                x = mixture.sample(n, generator())
                fresh = sliced_wasserstein_to_mixture(x, mixture, wasserstein.even_directions(wasserstein.PROJECTIONS, 2))
                assert sliced_wasserstein_to_mixture(x, mixture) == pytest.approx(fresh, rel=1e-12)
