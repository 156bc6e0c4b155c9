"""Distances against scipy, brute force and closed forms, standard errors of the right size, and zeros that are known."""

import math
from functools import partial

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from scoredm import (
    METRICS,
    GaussianMixture,
    Measurement,
    NoiseFloor,
    compare_moments,
    component_weights,
    energy_distance,
    fresh_reference,
    metrics,
    mmd,
    mmd_to_mixture,
    noise_floor,
    sample_moments,
    sliced_wasserstein,
    targets,
)
from tests.common import generator, normal

MIXTURE = targets.mixture("tutorial")
OF_SAMPLES = {key: metric for key, metric in METRICS.items() if not metric.pathwise}


# Moments and weights.


def test_the_error_of_the_mean_is_chi_distributed():
    n, runs = 400, 500
    for name in ("three-modes", "needle"):
        mixture = targets.mixture(name)
        errors = [METRICS["mean"](mixture.sample(n, generator(seed)), mixture) * math.sqrt(n) for seed in range(runs)]
        assert scipy.stats.kstest(errors, scipy.stats.chi(mixture.dim).cdf).pvalue > 1e-3
    line = targets.mixture("one-mode")
    assert METRICS["mean"](torch.tensor([[2.7]]), line) == pytest.approx(1)


def test_the_error_of_the_covariance_is_relative():
    covariance = torch.tensor([[2.0, 0.8], [0.8, 0.6]], dtype=torch.float64)
    root = torch.linalg.cholesky(covariance)
    x = normal(500, 2)
    white = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    target = GaussianMixture([[1.0, -1.0]], covariance[None], [1.0])
    assert METRICS["covariance"](white @ root.T, target) == pytest.approx(0, abs=1e-12)
    assert METRICS["covariance"](math.sqrt(1.3) * white @ root.T, target) == pytest.approx(0.3)


def test_the_error_of_the_weights_is_the_share_to_move():
    tight = targets.mixture("tight")
    x, k = tight.sample_labelled(1000, generator())
    moved = torch.cat([x[k == 0][:300], x[k == 1][:100]])
    assert METRICS["weights"](moved, tight) == pytest.approx(0.25, abs=1e-9)
    assert METRICS["weights"](x, targets.mixture("gaussian")) == 0


# Against a mixture.


def test_component_weights_are_mean_responsibilities():
    x, k = MIXTURE.sample_labelled(20_000, generator())
    torch.testing.assert_close(component_weights(x, MIXTURE), MIXTURE.responsibilities(x.double()).mean(0))
    far_apart = targets.mixture("tight")
    x, k = far_apart.sample_labelled(1000, generator())
    torch.testing.assert_close(component_weights(x, far_apart), torch.bincount(k).double() / 1000)


def test_sample_moments_are_numpys_with_n_minus_one():
    for D in (1, 3):
        x = normal(20, D)
        mean, covariance = sample_moments(x)
        np.testing.assert_allclose(mean, x.numpy().mean(0))
        np.testing.assert_allclose(covariance, np.cov(x.numpy().T).reshape(D, D))


@pytest.mark.parametrize("mixture", [MIXTURE, targets.mixture("three-modes"), GaussianMixture([[0, 0, 1]], np.eye(3)[None], [1])])
def test_comparisons_hold_exact_and_found_side_by_side(mixture):
    x = mixture.sample(500, generator())
    found = compare_moments(x, mixture)
    mean, covariance = sample_moments(x)
    for part, exact, measured in [
        (found.mean, mixture.mean, mean),
        (found.covariance, mixture.covariance, covariance),
        (found.weights, mixture.weights, component_weights(x, mixture)),
    ]:
        np.testing.assert_allclose(part.exact, exact)
        np.testing.assert_allclose(part.found, measured)
        np.testing.assert_allclose(part.difference, measured - exact)
        assert part.exact.shape == part.found.shape == part.error.shape


def test_standard_errors_fit_the_scatter_of_fresh_samples():
    runs, n = 600, 300
    x = MIXTURE.sample(runs * n, generator()).double().reshape(runs, n, 2)
    comparisons = [compare_moments(sample, MIXTURE) for sample in x]
    for part in ("mean", "covariance", "weights"):
        z = np.array([getattr(c, part).difference / getattr(c, part).error for c in comparisons])
        np.testing.assert_allclose(z.std(0), 1, atol=0.12)
        np.testing.assert_allclose(z.mean(0), 0, atol=0.3)


# The noise floor.


def test_a_fresh_reference_is_the_metric_of_exact_samples_of_that_size():
    seen = []

    def metric(x: Tensor, y: Tensor) -> float:
        seen.append((x, y))
        return energy_distance(x, y)

    found = fresh_reference(MIXTURE, 300, metric, generator())
    (x, y) = seen[0]
    shared = generator()
    assert torch.equal(x, MIXTURE.sample(300, shared))
    assert torch.equal(y, MIXTURE.sample(300, shared))
    assert found == energy_distance(x, y) > 0
    fresh_reference(MIXTURE, 50, metric, generator(), reference=y)
    assert seen[1][1] is y
    assert len(seen[1][0]) == 50


@pytest.mark.parametrize("metric", [energy_distance, partial(sliced_wasserstein, generator=generator())])
def test_a_fresh_reference_shrinks_like_one_over_root_n(metric):
    small, large = (
        np.sqrt(np.mean([fresh_reference(MIXTURE, n, metric, generator(seed)) ** 2 for seed in range(30)])) for n in (100, 1600)
    )
    assert small / large == pytest.approx(4, rel=0.35)


@pytest.mark.parametrize("key", OF_SAMPLES)
@pytest.mark.parametrize("name", ["three-modes", "grid"])
def test_every_named_metric_grows_when_the_sample_is_spoilt(monkeypatch, key, name):
    monkeypatch.setattr(metrics, "REFERENCE_POINTS", 1000)
    mixture = targets.mixture(name)
    metric = METRICS[key]
    x, k = mixture.sample_labelled(1000, generator(1))
    floor = noise_floor(mixture, 1000, metric, generator(), repeats=3)
    spoilt = torch.cat([x, x[k == 0].repeat(40, 1)]) * 1.1
    assert metric(spoilt, mixture, generator()) > 2 * floor.high
    assert metric(x, mixture, generator()) == metric(x, mixture, generator())
    assert metric.title
    assert metric.caption.endswith(".")


def test_distances_are_taken_to_an_exact_sample_of_a_stated_size_from_the_generator(monkeypatch):
    monkeypatch.setattr(metrics, "REFERENCE_POINTS", 700)
    x, shared = normal(50, 2), generator(3)
    y = MIXTURE.sample(700, shared)
    assert METRICS["energy"](x, MIXTURE, generator(3)) == energy_distance(x, y)
    assert METRICS["sliced-wasserstein"](x, MIXTURE, generator(3)) == sliced_wasserstein(x, y, shared)
    assert METRICS["mmd"](x, MIXTURE) == mmd_to_mixture(x, MIXTURE)


@pytest.mark.parametrize("key", ["sliced-wasserstein", "energy"])
def test_the_size_that_a_caption_states_is_the_size_drawn(key):
    assert f"an exact sample of {metrics.REFERENCE_POINTS:,} points".replace(",", " ") in METRICS[key].caption


def test_a_noise_floor_holds_the_middle_of_fresh_samples():
    seen = []

    def metric(x: Tensor, mixture: GaussianMixture, rng: torch.Generator | None) -> float:
        assert x.shape == (200, 2)
        seen.append(METRICS["weights"](x, mixture, rng))
        return seen[-1]

    found = noise_floor(MIXTURE, 200, metric, generator(), repeats=21)
    assert len(set(seen)) == 21
    assert found == NoiseFloor(Measurement.mean(seen), sorted(seen)[1], float(np.median(seen)), sorted(seen)[19])
    assert found == noise_floor(MIXTURE, 200, METRICS["weights"], generator(), repeats=21)
    again = [METRICS["weights"](MIXTURE.sample(200, generator(seed)), MIXTURE) for seed in range(400)]
    wide = noise_floor(MIXTURE, 200, METRICS["weights"], generator(), repeats=400)
    assert np.mean([wide.low < value < wide.high for value in again]) == pytest.approx(0.9, abs=0.06)


def test_a_pathwise_metric_has_no_noise_floor():
    exact = normal(50, 2)
    assert METRICS["pathwise"](exact, exact) == 0
    assert METRICS["pathwise"](exact + torch.tensor([3.0, 4.0]), exact) == pytest.approx(5)
    assert noise_floor(MIXTURE, 200, METRICS["pathwise"], generator()) == NoiseFloor(Measurement(0, 0), 0, 0, 0)


# Refusals.

BAD = {
    "one axis": (torch.zeros(4), r"x has shape \(4,\)"),
    "no points": (torch.zeros(0, 2), r"x has shape \(0, 2\)"),
    "no coordinates": (torch.zeros(3, 0), r"x has shape \(3, 0\)"),
    "NaN": (torch.tensor([[0.0, 1.0], [math.nan, 2.0]]), r"x\[1\] is \[nan, 2.0\]"),
    "infinite": (torch.tensor([[0.0, math.inf], [1.0, 1.0]]), r"x\[0\] is \[0.0, inf\]"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_samples_are_refused_by_name_and_value(case):
    x, message = BAD[case]
    good = torch.zeros(5, 2)
    for call in (sliced_wasserstein, energy_distance):
        with pytest.raises(ValueError, match=message):
            call(x, good)
        with pytest.raises(ValueError, match=message.replace("x", "y", 1)):
            call(good, x)
    for call in (component_weights, compare_moments, mmd_to_mixture, *OF_SAMPLES.values()):
        with pytest.raises(ValueError, match=message):
            call(x, MIXTURE)
    with pytest.raises(ValueError, match=message):
        sample_moments(x)


def test_other_refusals():
    with pytest.raises(ValueError, match="x has 2 coordinates and y has 3"):
        energy_distance(torch.zeros(4, 2), torch.zeros(4, 3))
    with pytest.raises(ValueError, match="n_projections is 0"):
        sliced_wasserstein(torch.zeros(4, 2), torch.zeros(4, 2), n_projections=0)
    with pytest.raises(ValueError, match="at least 2"):
        sample_moments(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="number of samples is 0"):
        fresh_reference(MIXTURE, 0, energy_distance, generator())
    for call in (compare_moments, mmd_to_mixture, *OF_SAMPLES.values()):
        with pytest.raises(ValueError, match=r"2-D mixture|must agree|2 coordinates"):
            call(torch.zeros(4, 3), MIXTURE)
    for h in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="the bandwidth is"):
            mmd(torch.zeros(4, 2), torch.zeros(4, 2), h)
        with pytest.raises(ValueError, match="the bandwidth is"):
            mmd_to_mixture(torch.zeros(4, 2), MIXTURE, h)
    with pytest.raises(ValueError, match="repeats is 0"):
        noise_floor(MIXTURE, 10, METRICS["mmd"], generator(), repeats=0)
    with pytest.raises(TypeError, match="'Distance to the exact flow' is given a GaussianMixture; .* the exact end points"):
        METRICS["pathwise"](torch.zeros(4, 2), MIXTURE)
    with pytest.raises(TypeError, match="'Error of the mean' is given a Tensor; it compares x with the exact distribution"):
        METRICS["mean"](torch.zeros(4, 2), torch.zeros(4, 2))


@pytest.mark.parametrize("key", OF_SAMPLES)
def test_a_metric_draws_from_its_generator_only_where_it_has_a_reference_sample(key):
    mixture, named = targets.mixture("unequal"), METRICS[key]
    x = mixture.sample(50, generator(1))
    one, other = (named(x, mixture, generator(seed)) for seed in (2, 3))
    assert (one != other) == (named.reference > 0)
