"""Exact conditioning: every result is a mixture with the density that Bayes' rule gives, whatever the sizes and the units."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from scoredm import GaussianMixture, targets

EYE = torch.eye(2, dtype=torch.float64)


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arbitrary(K: int, D: int, seed: int = 0) -> GaussianMixture:
    root = draws(K, D, D, seed=seed) / D**0.5
    weights = torch.linspace(1, 3, K, dtype=torch.float64)
    return GaussianMixture(draws(K, D, seed=seed + 1), root @ root.mT + 0.2 * torch.eye(D), weights)


def plane(mixture: GaussianMixture, n: int = 300, reach: float = 8.0) -> tuple[Tensor, float]:
    """Points of a square grid about the mean, (n^2, 2), and the area of each: sums over it are integrals, to rounding."""
    half = reach * float(mixture.covariance.diagonal().max().sqrt())
    line = torch.linspace(-half, half, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line) + mixture.mean, float(line[1] - line[0]) ** 2


def same(one: GaussianMixture, other: GaussianMixture, tolerance: float = 1e-9) -> None:
    for found, expected in zip((one.means, one.covariances), other.parameters[:2], strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(one.weights, other.weights, rtol=tolerance, atol=tolerance)
    # The factorisation belongs to the covariances.
    variances, axes = one.principal_axes
    torch.testing.assert_close((axes * variances[:, None]) @ axes.mT, one.covariances, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("A", [[[1.0, 0.0]], [[0.6, -1.3]], [[2.0, 1.0], [0.5, -1.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
def test_a_posterior_and_its_evidence_are_bayes_rule_by_quadrature(A):
    mixture, A = arbitrary(4, 2), torch.tensor(A, dtype=torch.float64)
    root = draws(len(A), len(A), seed=3)
    R, y = root @ root.T + 0.3 * torch.eye(len(A)), draws(len(A), seed=4)
    x, area = plane(mixture)
    joint = mixture.log_prob(x) + MultivariateNormal(torch.zeros(len(A), dtype=torch.float64), R).log_prob(y - x @ A.T)
    evidence = math.log(float(joint.exp().sum()) * area)
    assert mixture.log_evidence(A, y, R) == pytest.approx(evidence, abs=1e-9)
    torch.testing.assert_close(mixture.posterior(A, y, R).log_prob(x), joint - evidence, rtol=1e-9, atol=1e-9)


def test_a_posterior_in_many_dimensions_is_importance_sampling():
    """The prior is drawn from and weighed by the likelihood; the measurement says little, so that the weights are even."""
    mixture, A, y = arbitrary(3, 6), draws(2, 6, seed=1) / 3, draws(2, seed=2)
    R = torch.tensor([[4.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    x = mixture.sample(200_000, torch.Generator().manual_seed(5)).double()
    log_likelihood = MultivariateNormal(torch.zeros(2, dtype=torch.float64), R).log_prob(y - x @ A.T)
    w = torch.softmax(log_likelihood, 0)
    posterior, effective = mixture.posterior(A, y, R), 1 / float(w.square().sum())
    errors = posterior.covariance.diagonal().sqrt() / effective**0.5
    assert ((w @ x - posterior.mean).abs() < 5 * errors).all()
    offset = x - posterior.mean
    torch.testing.assert_close(offset.T @ (w[:, None] * offset), posterior.covariance, rtol=0, atol=0.02)
    assert mixture.log_evidence(A, y, R) == pytest.approx(float(torch.logsumexp(log_likelihood, 0)) - math.log(len(x)), abs=0.01)


@pytest.mark.parametrize(("alpha", "sigma"), [(0.7, 0.4), (1.0, 1e-5), (1e-3, 20.0)])
def test_a_noisy_point_is_a_measurement_of_every_coordinate(alpha, sigma):
    mixture, x = arbitrary(3, 4), draws(4, seed=6)
    same(
        mixture.posterior(alpha * torch.eye(4, dtype=torch.float64), x, sigma**2),
        mixture.denoising_posterior(x, alpha, sigma),
        1e-8,
    )


def test_measuring_twice_is_measuring_both_at_once_in_either_order():
    mixture, A, y = arbitrary(3, 5), draws(4, 5, seed=7), draws(4, seed=8)
    R = torch.diag(torch.tensor([0.1, 2.0, 0.5, 1.0], dtype=torch.float64))
    both = mixture.posterior(A, y, R)
    first, second = (A[:1], y[:1], R[:1, :1]), (A[1:], y[1:], R[1:, 1:])
    same(mixture.posterior(*first).posterior(*second), both)
    same(mixture.posterior(*second).posterior(*first), both)
    chained = mixture.log_evidence(*first) + mixture.posterior(*first).log_evidence(*second)
    assert chained == pytest.approx(mixture.log_evidence(A, y, R), abs=1e-10)


@pytest.mark.parametrize("noise", [1e-4, 1e-8])
def test_a_posterior_of_nearly_exact_coordinates_tends_to_the_conditional(noise):
    mixture, axes, values = arbitrary(3, 5), [3, 1], [0.4, -0.2]
    posterior = mixture.posterior(torch.eye(5)[axes], values, noise**2)
    same(posterior.marginal([0, 2, 4]), mixture.condition(axes, values), 100 * noise**2 + 1e-10)
    torch.testing.assert_close(
        posterior.marginal(axes).mean, torch.tensor(values, dtype=torch.float64), rtol=0, atol=100 * noise**2
    )
    expected = mixture.marginal(axes).log_prob(torch.tensor(values, dtype=torch.float64))
    assert mixture.log_evidence(torch.eye(5)[axes], values, noise**2) == pytest.approx(
        float(expected), abs=100 * noise**2 + 1e-10
    )
    # Each known coordinate keeps the variance of its noise, though it is many orders below the others.
    kept = posterior.covariances[:, axes, axes] / noise**2
    torch.testing.assert_close(kept, torch.ones_like(kept), rtol=1e-3, atol=0)


@pytest.mark.parametrize("known", [[0], [2, 0], [1, 2, 3]])
def test_marginal_times_conditional_is_the_joint_density(known):
    mixture, x = arbitrary(4, 4), draws(20, 4, seed=9)
    rest = [axis for axis in range(4) if axis not in known]
    for point in x:
        split = mixture.marginal(known).log_prob(point[known]) + mixture.condition(known, point[known]).log_prob(point[rest])
        assert float(split) == pytest.approx(float(mixture.log_prob(point)), abs=1e-9)


def test_a_marginal_is_the_density_integrated_over_the_other_axis():
    mixture = targets.mixture("unequal")
    x, area = plane(mixture)
    found = mixture.log_prob(x).exp().reshape(300, 300).sum(0) * area**0.5
    torch.testing.assert_close(mixture.marginal(1).log_prob(x[:300, 1:]).exp(), found, rtol=1e-9, atol=1e-12)
    same(mixture.marginal([1, 0]).marginal([1, 0]), mixture)


def test_a_product_is_the_normalised_product_of_the_densities():
    first, second = arbitrary(3, 2), arbitrary(2, 2, seed=5)
    product = first.product(second)
    x, area = plane(first)
    log_density = first.log_prob(x) + second.log_prob(x)
    log_density -= torch.logsumexp(log_density, 0) + math.log(area)
    assert product.n_components == 6
    torch.testing.assert_close(product.log_prob(x), log_density, rtol=1e-9, atol=1e-8)
    torch.testing.assert_close(second.product(first).log_prob(x), log_density, rtol=1e-9, atol=1e-8)


def test_a_product_with_a_likelihood_is_a_posterior_and_its_first_components_are_of_the_first():
    mixture, likelihood = arbitrary(3, 3), arbitrary(2, 3, seed=5)
    product, mean, covariance = mixture.product(likelihood), likelihood.means, likelihood.covariances
    same(product.subset([0, 1, 2]), mixture.posterior(torch.eye(3), mean[0], covariance[0]))
    same(product.subset([3, 4, 5]), mixture.posterior(torch.eye(3), mean[1], covariance[1]))


def test_the_covariance_of_the_noise_may_be_any_number():
    mixture, A, y = arbitrary(2, 3), draws(2, 3), draws(2)
    for number in (torch.tensor(2.0), np.float32(2), np.array(2.0), 2):
        same(mixture.posterior(A, y, number), mixture.posterior(A, y, 2 * EYE))


def test_a_subset_keeps_the_components_and_the_proportions():
    mixture = GaussianMixture(draws(4, 2), EYE.expand(4, 2, 2), [1.0, 2.0, 0.0, 5.0])
    found = mixture.subset([3, 1])
    torch.testing.assert_close(found.means, mixture.means[[3, 1]])
    assert found.weights.tolist() == pytest.approx([5 / 7, 2 / 7])
    assert mixture.subset(torch.tensor(1)).n_components == 1


def test_components_without_weight_stay_without_it():
    mixture = GaussianMixture(draws(3, 2), EYE.expand(3, 2, 2), [1.0, 0.0, 1.0])
    for found in (mixture.posterior([[1.0, 0.0]], 0.3, 1.0), mixture.condition(0, 0.3), mixture.product(mixture.subset([0, 2]))):
        assert float(found.weights[1]) == 0 and math.isfinite(float(found.log_prob(torch.zeros(found.dim))))


def test_units_do_not_matter():
    mixture, units = arbitrary(3, 4), torch.tensor([1e-2, 1.0, 1e3, 10.0], dtype=torch.float64)
    scaled = GaussianMixture(mixture.means * units, mixture.covariances * units * units[:, None], mixture.weights)
    A, y = draws(2, 4, seed=2), draws(2, seed=3)
    found, expected = scaled.posterior(A / units, y, 0.1), mixture.posterior(A, y, 0.1)
    torch.testing.assert_close(found.means / units, expected.means, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.covariances / units / units[:, None], expected.covariances, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.weights, expected.weights, rtol=1e-9, atol=1e-9)


def test_a_hundred_dimensions_and_a_far_measurement_stay_exact():
    mixture = arbitrary(5, 100)
    A, y = draws(60, 100, seed=4), 1e6 * draws(60, seed=5)
    posterior = mixture.posterior(A, y, 1e-6)
    assert all(torch.isfinite(part).all() for part in posterior.parameters)
    torch.testing.assert_close(posterior.mean @ A.T, y, rtol=0, atol=1e-6 * float(y.abs().max()))
    x = posterior.mean + draws(3, 100)
    likelihood = -((y - x @ A.T).square().sum(1) / 1e-6 + 60 * math.log(2 * math.pi * 1e-6)) / 2
    bayes = mixture.log_prob(x) + likelihood - mixture.log_evidence(A, y, 1e-6)
    torch.testing.assert_close(posterior.log_prob(x), bayes, rtol=1e-6, atol=1e-3)


LINE = [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda m: m.posterior([1.0, 0.0], 0.0, 1.0), r"A has shape \(2,\); it must be \(1, 2\)"),
        (lambda m: m.posterior([[1.0, 0.0, 0.0]], 0.0, 1.0), r"A has shape \(1, 3\); it must be \(1, 2\)"),
        (lambda m: m.posterior(LINE, [0.0, 1.0], 1.0), r"A has shape \(1, 2\); it must be \(2, 2\)"),
        (lambda m: m.posterior(LINE, math.nan, 1.0), "y is .nan.; NaN and infinity"),
        (lambda m: m.posterior(LINE, "near", 1.0), "y must be numbers"),
        (lambda m: m.posterior(LINE, 0.0, 0.0), "noise_covariance is .*; it must be symmetric and positive definite"),
        (lambda m: m.posterior(LINE, 0.0, -1.0), "noise_covariance is .*; it must be symmetric and positive definite"),
        (lambda m: m.posterior(EYE, [0, 0], [[1.0, 1.0], [1.0, 1.0]]), "it must be symmetric and positive definite"),
        (lambda m: m.posterior(EYE, [0, 0], [[1.0, 0.5], [0.0, 1.0]]), "it must be symmetric and positive definite"),
        (lambda m: m.log_evidence(EYE, [0, 0], [1.0, 1.0]), r"noise_covariance has shape \(2,\); it must be \(2, 2\)"),
        (lambda m: m.posterior(LINE, 0.0, 1e-40), "standard deviation of about .* float64 does not tell this from 0"),
        (lambda m: m.posterior(LINE, 1e300, 1.0), "so far from the mixture"),
        (lambda m: m.condition(0, 1e300), "so far from the mixture"),
        (lambda m: m.condition([0, 1], [0.0, 0.0]), "all of this 2-D mixture; at least one must remain"),
        (lambda m: m.condition(0, [0.0, 1.0]), r"values has shape \(2,\); it must be \(1,\)"),
        (lambda m: m.condition(2, 0.0), "axes are .2.; they must be different whole numbers from 0 to 1"),
        (lambda m: m.marginal([0, 0]), "axes are .0, 0.; they must be different"),
        (lambda m: m.marginal(-1), "axes are .-1.; they must be different whole numbers from 0 to 1"),
        (lambda m: m.marginal([]), r"axes are \[\]; they must be"),
        (lambda m: m.marginal([0.5]), "axes are .0.5.; they must be different whole numbers"),
        (lambda m: m.marginal("x"), "axes are 'x'; they must be whole numbers"),
        (lambda m: m.subset([0, 7]), "components are .0, 7.; they must be different whole numbers from 0 to"),
        (lambda m: m.add([0, 0], EYE, 0.0).subset(m.n_components), "weights are all zero"),
        (lambda m: m.product(m.marginal(0)), "the mixtures have 2 and 1 dimensions"),
        (lambda m: m.product(GaussianMixture.gaussian([1e200, 0.0], EYE)), "so far from the mixture"),
    ],
)
def test_what_cannot_be_is_refused_in_words(attempt, words):
    with pytest.raises(ValueError, match=words):
        attempt(targets.mixture("tutorial"))
