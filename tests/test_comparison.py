"""Exact samples are accused as rarely as stated, for every target and size; wrong ones are accused."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy.stats import binom

from scoredm import GaussianMixture, comparison, metrics, targets
from scoredm.comparison import SampleComparison, Statistic, compare, fresh_samples
from tests.common import generator

SIZES = {100: 16, 500: 3, 2500: 1}  # particles: repeats


def fresh(mixture: GaussianMixture, n: int, seed: int):
    """Exact samples from generators of one seed."""
    return lambda count: fresh_samples(mixture, n, count, generator(seed), generator(seed + 1))


def accused(found: SampleComparison) -> bool:
    return found.off or found.far


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", targets.names())
def test_the_share_of_exact_samples_that_is_accused_is_the_stated_one(monkeypatch, name):
    """Of 39 fresh samples in place of 199, so the level is 1 / 40 for the moments and as much for the distance."""
    monkeypatch.setattr(comparison, "FEW_FRESH", 10)
    monkeypatch.setattr(comparison, "MANY_FRESH", 39)
    monkeypatch.setattr(comparison, "moment_errors", cache(metrics.moment_errors))
    mixture, count, total = targets.mixture(name), 0, 0
    for n, repeats in SIZES.items():
        for seed in range(repeats):
            x = mixture.sample(n, generator(1000 + seed))
            count += accused(compare(x, mixture, fresh(mixture, n, 10 * seed)))
            total += 1
    assert count <= binom.ppf(1 - 1e-5, total, 2 / 40)


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("name", targets.names())
def test_every_standard_error_is_the_scatter_of_exact_samples(name, n):
    mixture, draws = targets.mixture(name), generator(5)
    errors = metrics.moment_errors(mixture, n)
    compared = [metrics.compare_moments(mixture.sample(n, draws), mixture, errors) for _ in range(60)]
    for part in ("mean", "covariance", "weights"):
        if part == "weights" and mixture.n_components == 1:
            continue
        z = np.stack([getattr(one, part).difference / getattr(one, part).error for one in compared])
        # A root mean square over 60 has a standard error of 1 / sqrt(120), and more where n is small and z has heavy tails.
        assert np.sqrt((z**2).mean()) == pytest.approx(1, abs=0.25)
        assert (np.sqrt((z**2).mean(0)) < 1.8).all()


@pytest.mark.parametrize("name", ["tutorial", "three-modes", "needle"])
def test_a_sample_that_is_too_wide_or_moved_is_accused(name):
    mixture, n = targets.mixture(name), 1000
    x, exact = mixture.sample(n, generator(1)), cache(fresh(mixture, n, 2))
    moved = x + 0.3 * mixture.covariance.diagonal().sqrt().float()
    for wrong in (moved, 1.2 * (x - mixture.mean.float()) + mixture.mean.float()):
        found = compare(wrong, mixture, exact)
        assert found.off and found.clear and len(found.fresh_z_scores) == comparison.FEW_FRESH
    assert compare(moved, mixture, exact).far


def test_many_fresh_samples_begin_with_the_few():
    mixture = targets.mixture("tutorial")
    few, many = (fresh(mixture, 200, 3)(count) for count in (5, 20))
    np.testing.assert_array_equal(few.distances, many.distances[:5])
    np.testing.assert_array_equal(few.z_scores, many.z_scores[:5])


def test_the_noise_floor_is_that_of_the_few_however_many_are_drawn():
    mixture, count = targets.mixture("tutorial"), comparison.FEW_FRESH
    few, many = (fresh(mixture, 100, 3)(number).distances for number in (count, 3 * count))
    found = compare(mixture.sample(100, generator(7)), mixture, fresh(mixture, 100, 3))
    low, middle, high = replace(found, fresh_distances=few).noise_floor
    assert replace(found, fresh_distances=many).noise_floor == (low, middle, high)
    assert [(few < at).sum() for at in (low, middle, high)] == [1, count // 2, count - 1]


def test_an_error_of_0_does_not_acquit():
    assert Statistic("mean", "Mean x", 1.0, 1.5, 0.0).z_score == np.inf
    assert Statistic("mean", "Mean x", 1.0, 0.5, 0.0).z_score == -np.inf
    assert Statistic("mean", "Mean x", 1.0, 1.0, 0.0).z_score == 0
    assert Statistic("mean", "Mean x", 1.0, 0.5, 0.25).z_score == -2


def test_points_that_float32_cannot_tell_apart_are_accused_where_they_are_off():
    mixture, n = targets.parse_mixture("m 1000000 s 0.001"), 500
    exact = fresh(mixture, n, 1)
    assert not accused(compare(mixture.sample(n, generator(7)), mixture, exact))
    assert compare(torch.full((n, 1), 1e6 + 0.0625), mixture, exact).off


def test_twins_have_weights_that_are_known_without_error():
    twins = GaussianMixture([[0.0], [0.0]], [[[1.0]]] * 2, [1, 1])
    found = compare(twins.sample(300, generator(1)), twins, fresh(twins, 300, 2))
    assert all(abs(one.z_score) < 1e-2 for one in found.statistics if one.kind == "weight")


def test_statistics_have_names_in_any_dimension():
    dim = 11
    wide = GaussianMixture.gaussian(torch.zeros(dim), torch.eye(dim))
    moments = metrics.compare_moments(wide.sample(50, generator(1)), wide)
    names = [one.name for one in comparison.statistics(moments)]
    assert names[0] == "Mean x₁" and names[10] == "Mean x₁₁" and "Cov x₁x₁₁" in names and len(set(names)) == len(names)


def test_a_sample_compared_with_itself_is_at_no_distance():
    mixture = targets.mixture("ring")
    exact = partial(fresh_samples, mixture, 400)
    first = exact(1, generator(3), generator(4))
    assert compare(first.points, mixture, lambda count: exact(count, generator(3), generator(4))).distance == 0


def test_of_two_weights_that_are_off_by_the_same_the_first_is_named():
    x = targets.mixture("tutorial").sample(100, generator())
    found = compare(x, targets.mixture("tutorial"), fresh(targets.mixture("tutorial"), 100, 2))
    weights = [Statistic("weight", f"Weight {k}", 0.5, 0.5 + off, 0.01) for k, off in ((1, 0.02), (2, -0.02 * (1 + 1e-7)))]
    assert replace(found, statistics=weights).worst == weights[0]
    assert replace(found, statistics=[weights[0], replace(weights[1], found=0.47)]).worst.name == "Weight 2"
