"""Laws of GaussianMixture, against torch.distributions, scipy, autograd, quadrature and the laws of large samples."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import chisquare, kstest, multivariate_normal
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from scoredm import VPSDE, GaussianMixture, mixture as module, parse_mixture, targets
from tests.common import normal


def tutorial() -> GaussianMixture:
    return GaussianMixture([[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]], [0.5, 0.5])


def arbitrary(K: int, D: int, seed: int = 0) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(K, D, D))
    return GaussianMixture(rng.normal(0, 3, (K, D)), root @ root.swapaxes(1, 2) + 0.1 * np.eye(D), rng.uniform(0.2, 2, K))


def reference(mixture: GaussianMixture) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(probs=mixture.weights), MultivariateNormal(mixture.means, mixture.covariances))


def gradient(log_density, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_density(x).sum(), x)[0]


def points(mixture: GaussianMixture, n: int = 50) -> Tensor:
    return 4 * torch.randn(n, mixture.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


MIXTURES = [tutorial(), arbitrary(1, 1), arbitrary(4, 1), arbitrary(5, 2), arbitrary(3, 3), arbitrary(2, 6)]
each_mixture = pytest.mark.parametrize("mixture", MIXTURES, ids=repr)


@each_mixture
def test_log_density_is_that_of_torch_and_of_scipy(mixture):
    x = points(mixture)
    torch.testing.assert_close(mixture.log_prob(x), reference(mixture).log_prob(x))
    components = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    logs = [math.log(w) + multivariate_normal(m.numpy(), S.numpy()).logpdf(x.numpy()) for w, m, S in components]
    np.testing.assert_allclose(mixture.log_prob(x), logsumexp(logs, axis=0), rtol=1e-9)


@each_mixture
def test_score_is_the_gradient_of_the_log_density_not_its_negative(mixture):
    x = points(mixture)
    torch.testing.assert_close(mixture.score(x), gradient(reference(mixture).log_prob, x))


@each_mixture
def test_component_scores_are_gradients_without_weights(mixture):
    x = points(mixture)
    for k in range(mixture.n_components):
        component = MultivariateNormal(mixture.means[k], mixture.covariances[k])
        torch.testing.assert_close(mixture.component_log_prob(x)[:, k], component.log_prob(x))
        torch.testing.assert_close(mixture.component_scores(x)[:, k], gradient(component.log_prob, x))


@each_mixture
def test_responsibilities_follow_bayes_rule_and_weigh_the_component_scores(mixture):
    x = points(mixture)
    r = mixture.responsibilities(x)
    bayes = (mixture.weights.log() + mixture.component_log_prob(x) - mixture.log_prob(x)[:, None]).exp()
    torch.testing.assert_close(r, bayes)
    torch.testing.assert_close(r.sum(-1), torch.ones(len(x), dtype=torch.float64))
    torch.testing.assert_close(mixture.score(x), (r[..., None] * mixture.component_scores(x)).sum(-2))


def far_answers(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log density, responsibilities and score of the tutorial's mixture, written out with explicit inverses."""
    inverse = [np.eye(2), np.array([[1.0, -0.5], [-0.5, 2.0]]) / 1.75]
    offset = [x - mean for mean in ([0.0, 1.0], [2.0, -1.0])]
    pulls = [-o @ P for o, P in zip(offset, inverse, strict=True)]
    logs = [math.log(0.5) + (o * p).sum(-1) / 2 - math.log(2 * math.pi) for o, p in zip(offset, pulls, strict=True)]
    logs[1] = logs[1] - math.log(1.75) / 2
    total = np.asarray(logsumexp(logs, axis=0))
    r = np.exp(np.array(logs) - total)
    return total, r.T, r[0][..., None] * pulls[0] + r[1][..., None] * pulls[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [30, 1000, 1e6])
def test_no_underflow_to_nan_far_from_the_modes(dtype, distance):
    angle = torch.linspace(0, 6, 40, dtype=torch.float64)
    x = (distance * torch.stack([angle.cos(), angle.sin()], 1)).to(dtype)
    log_prob, responsibilities, score = far_answers(x.double().numpy())
    rtol = 1e-6 if dtype == torch.float32 else 1e-9
    mixture = tutorial()
    for found, expected in [
        (mixture.log_prob(x), log_prob),
        (mixture.responsibilities(x), responsibilities),
        (mixture.score(x), score),
    ]:
        assert found.dtype == dtype
        np.testing.assert_allclose(found.double().numpy(), expected, rtol=rtol, atol=1e-30)
    single = x[7]
    torch.testing.assert_close(mixture.score(single), mixture.score(x)[7], rtol=0, atol=0)
    torch.testing.assert_close(mixture.responsibilities(single), mixture.responsibilities(x)[7], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_far_point_between_two_modes_belongs_to_both(dtype):
    tight = GaussianMixture([[-2, -2], [2, 2]], np.stack([0.04 * np.eye(2)] * 2), [1, 1])
    x = torch.tensor([700.0, -700.0], dtype=dtype)
    torch.testing.assert_close(tight.responsibilities(x), torch.tensor([0.5, 0.5], dtype=dtype))
    torch.testing.assert_close(tight.score(x), torch.tensor([-17500.0, 17500.0], dtype=dtype))


def test_shapes_follow_the_leading_axes():
    mixture = arbitrary(3, 2)
    for lead in [(), (1,), (7,), (4, 5), (0,)]:
        x = torch.zeros(*lead, 2)
        assert mixture.log_prob(x).shape == lead
        assert mixture.score(x).shape == (*lead, 2)
        assert mixture.component_log_prob(x).shape == mixture.responsibilities(x).shape == (*lead, 3)
        assert mixture.component_scores(x).shape == (*lead, 3, 2)
    torch.testing.assert_close(mixture.score([1, 2]), mixture.score(torch.tensor([1.0, 2.0])))
    with pytest.raises(ValueError, match=r"\(5, 3\)"):
        mixture.log_prob(torch.zeros(5, 3))


def test_blocks_do_not_change_the_answer(monkeypatch):
    mixture = arbitrary(3, 2)
    x = points(mixture, 101)
    alpha, sigma = torch.linspace(0.2, 1, 101), torch.linspace(0, 3, 101)
    whole = mixture.score(x), mixture.responsibilities(x), mixture.diffused_score(x, alpha, sigma)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 60)
    for found, expected in zip(
        (mixture.score(x), mixture.responsibilities(x), mixture.diffused_score(x, alpha, sigma)), whole, strict=True
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("alpha,sigma", [(1.0, 0.7), (0.6, 0.8), (-0.5, 2.0), (1.0, 0.0), (0.0, 1.5)])
def test_diffuse_is_the_convolution_with_variance_sigma_squared_not_sigma(alpha, sigma):
    mixture = GaussianMixture([[-2.0], [1.0]], [[[0.3]], [[0.9]]], [1, 2])
    y = torch.linspace(-12, 12, 6001, dtype=torch.float64)
    x = torch.linspace(-4, 4, 41, dtype=torch.float64)
    if sigma > 0:
        kernel = torch.distributions.Normal(alpha * y, sigma).log_prob(x[:, None]).exp()
        expected = torch.trapezoid(kernel * reference(mixture).log_prob(y[:, None]).exp(), y, dim=1)
    else:
        expected = reference(mixture).log_prob(x[:, None]).exp()
    torch.testing.assert_close(mixture.diffuse(alpha, sigma).log_prob(x[:, None]).exp(), expected)


@each_mixture
def test_diffuse_composes(mixture):
    x = points(mixture)
    twice = mixture.diffuse(0.8, 0.6).diffuse(1.5, 0.7)
    once = mixture.diffuse(0.8 * 1.5, math.hypot(1.5 * 0.6, 0.7))
    for name in ("means", "covariances", "weights", "mean", "covariance"):
        torch.testing.assert_close(getattr(twice, name), getattr(once, name))
    torch.testing.assert_close(twice.log_prob(x), once.log_prob(x))
    torch.testing.assert_close(once.score(x), gradient(reference(once).log_prob, x))
    variances, axes = once.principal_axes
    torch.testing.assert_close((axes * variances[:, None]) @ axes.mT, once.covariances)


def test_the_distribution_at_a_time_is_the_mixture_diffused_by_the_scales_of_that_time():
    sde = VPSDE()
    for t in (0.0, 0.3, torch.tensor(0.3, dtype=torch.float64)):
        distribution, expected = tutorial().at(sde, t), tutorial().diffuse(sde.alpha(t), sde.sigma(t))
        assert all(torch.equal(a, b) for a, b in zip(distribution.parameters, expected.parameters, strict=True))


def test_one_gaussian_is_a_mixture_of_one():
    found = GaussianMixture.gaussian([1, -2], [[2, 0.5], [0.5, 1]])
    expected = GaussianMixture([[1, -2]], [[[2, 0.5], [0.5, 1]]], [1])
    assert all(torch.equal(a, b) for a, b in zip(found.parameters, expected.parameters, strict=True))
    for bad in (([1, 2], [[1]]), ([[1]], [[1]]), ([1], [[-1]])):
        with pytest.raises(ValueError, match="mean|covariance"):
            GaussianMixture.gaussian(*bad)


@pytest.mark.parametrize("alpha,sigma", [(math.nan, 1), (1, -0.1), (1, math.inf), (0, 0)])
def test_diffuse_refuses_what_is_not_a_law(alpha, sigma):
    with pytest.raises(ValueError, match="alpha = .*, sigma = "):
        tutorial().diffuse(alpha, sigma)


def test_mean_and_covariance_are_the_integrals():
    mixture = arbitrary(4, 1)
    x = torch.linspace(-40, 40, 40001, dtype=torch.float64)
    p = reference(mixture).log_prob(x[:, None]).exp()
    mean = torch.trapezoid(p * x, x)
    torch.testing.assert_close(mixture.mean[0], mean)
    torch.testing.assert_close(mixture.covariance[0, 0], torch.trapezoid(p * (x - mean) ** 2, x))
    torch.testing.assert_close(tutorial().mean, torch.tensor([1.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(tutorial().covariance, torch.tensor([[2.5, -0.75], [-0.75, 2.0]], dtype=torch.float64))


@pytest.mark.parametrize("mixture", [tutorial(), arbitrary(4, 1), arbitrary(3, 3)], ids=repr)
def test_samples_have_the_distribution_of_their_component_and_std_is_not_variance(mixture):
    x, k = mixture.sample_labelled(60_000, torch.Generator().manual_seed(3))
    counts = torch.bincount(k, minlength=mixture.n_components)
    assert chisquare(counts.numpy(), (mixture.weights * len(x)).numpy()).pvalue > 1e-4
    for label, (mean, covariance) in enumerate(zip(mixture.means, mixture.covariances, strict=True)):
        white = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (x[k == label].double() - mean).T, upper=False)
        assert min(kstest(row, "norm").pvalue for row in white.numpy()) > 1e-4
        correlation = torch.corrcoef(white).reshape(mixture.dim, mixture.dim) - torch.eye(mixture.dim)
        assert correlation.abs().max() < 5 / math.sqrt(white.shape[1])


def test_same_seed_same_sample_and_the_global_seed_is_left_alone():
    mixture = tutorial()
    first = mixture.sample(100, torch.Generator().manual_seed(5))
    state = torch.get_rng_state()
    torch.manual_seed(99)
    again, labels = mixture.sample_labelled(100, torch.Generator().manual_seed(5))
    torch.set_rng_state(state)
    assert torch.equal(first, again)
    assert labels.dtype == torch.int64
    mixture.sample(100, torch.Generator().manual_seed(6))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, mixture.sample(100, torch.Generator().manual_seed(6)))


@pytest.mark.parametrize("n", [0, -3, 2.5, True, "5"])
def test_sample_refuses_what_is_not_a_count(n):
    with pytest.raises(ValueError, match="whole number"):
        tutorial().sample(n)


def test_a_mixture_cannot_be_changed():
    means, covariances, weights = np.ones((2, 2)), np.stack([np.eye(2)] * 2), np.ones(2)
    mixture = GaussianMixture(means, covariances, weights)
    means += 7
    covariances *= 3
    weights[0] = 0
    for parameter in (mixture.means, mixture.covariances, mixture.weights, *mixture.principal_axes, *mixture.parameters):
        parameter.zero_()
    torch.testing.assert_close(mixture.means, torch.ones(2, 2, dtype=torch.float64))
    torch.testing.assert_close(mixture.covariances, torch.eye(2, dtype=torch.float64).expand(2, 2, 2))
    torch.testing.assert_close(mixture.weights, torch.full((2,), 0.5, dtype=torch.float64))
    torch.testing.assert_close(mixture.principal_axes[0], torch.ones(2, 2, dtype=torch.float64))
    for name in ("_means", "means", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(mixture, name, torch.ones(2, 2))


@each_mixture
def test_parameters_survive_copies_pickles_and_rebuilding_bit_for_bit(mixture):
    for twin in (GaussianMixture(*mixture.parameters), copy.deepcopy(mixture), pickle.loads(pickle.dumps(mixture))):
        for found, expected in zip(twin.parameters, mixture.parameters, strict=True):
            assert torch.equal(found, expected)
        assert torch.equal(twin.score(points(mixture)), mixture.score(points(mixture)))


def test_add_takes_the_weight_on_the_scale_of_the_others():
    pair = GaussianMixture([[0, 1], [2, -1]], np.stack([np.eye(2)] * 2), [1, 1])
    three = pair.add([5, 5], 2 * np.eye(2), 2)
    torch.testing.assert_close(three.weights, torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64))
    expected = GaussianMixture([[0, 1], [2, -1], [5, 5]], np.stack([np.eye(2), np.eye(2), 2 * np.eye(2)]), [1, 1, 2])
    torch.testing.assert_close(three.score(points(pair)), expected.score(points(pair)))
    assert pair.n_components == 2
    with pytest.raises(ValueError, match=r"\(3,\)"):
        pair.add([1, 2, 3], np.eye(2), 1)
    with pytest.raises(ValueError, match="component 2 is -1"):
        pair.add([1, 2], np.eye(2), -1)


def test_a_component_of_weight_zero_changes_nothing():
    with_ghost = tutorial().add([0, 0], np.eye(2), 0.0)
    x = points(with_ghost)
    torch.testing.assert_close(with_ghost.score(x), tutorial().score(x))
    torch.testing.assert_close(with_ghost.log_prob(x), tutorial().log_prob(x))
    assert (with_ghost.responsibilities(x)[:, 2] == 0).all()


I2 = [[1.0, 0.0], [0.0, 1.0]]
REFUSED = {
    "means on one axis": (([0.0, 1.0], [I2], [1]), r"means must have 2 axes.*\(2,\)"),
    "ragged means": (([[0.0], [0.0, 1.0]], [I2], [1]), "means must be numbers"),
    "words": (([["a", "b"]], [I2], [1]), "means must be numbers"),
    "no components": ((np.zeros((0, 2)), np.zeros((0, 2, 2)), []), r"means.*none empty.*\(0, 2\)"),
    "too few covariances": (([[0, 0], [1, 1]], [I2], [1, 1]), r"covariances have shape \(1, 2, 2\).*\(2, 2, 2\)"),
    "too few weights": (([[0, 0], [1, 1]], [I2, I2], [1]), r"weights have shape \(1,\).*\(2,\)"),
    "NaN mean": (([[0, 0], [1, math.nan]], [I2, I2], [1, 1]), r"means: component 1 is \[1.0, nan\]"),
    "infinite covariance": (([[0]], [[[math.inf]]], [1]), r"covariances: component 0 is \[\[inf\]\]"),
    "NaN weight": (([[0], [0]], [[[1]], [[1]]], [1, math.nan]), "weights: component 1 is nan"),
    "not symmetric": (
        ([[0, 0]], [[[1, 0.5], [0, 1]]], [1]),
        r"component 0 is \[\[1.0, 0.5\], \[0.0, 1.0\]\]; it must be symmetric",
    ),
    "indefinite": (([[0, 0], [0, 0]], [I2, [[1, 3], [3, 1]]], [1, 1]), r"component 1 is .*eigenvalue -2;.*positive definite"),
    "singular": (([[0, 0]], [[[1, 1], [1, 1]]], [1]), "component 0 .*positive definite"),
    "zero variance": (([[0]], [[[0]]], [1]), "component 0 .*positive definite"),
    "negative weight": (([[0], [0]], [[[1]], [[1]]], [1, -0.5]), "component 1 is -0.5"),
    "weights all zero": (([[0], [0]], [[[1]], [[1]]], [0, 0]), "all zero"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_component_and_the_value(case):
    arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        GaussianMixture(*arguments)


# What float64 can hold is not refused, and keeps its digits.


@pytest.mark.parametrize("correlation", [0.0, 0.3, -0.99])
@pytest.mark.parametrize("scales", [(1e4, 1e-4), (1e-6, 1e6), (1e8, 1e-8)])
def test_a_covariance_is_singular_by_its_correlations_and_not_by_its_units(scales, correlation):
    (a, b), c = scales, correlation
    mixture = GaussianMixture.gaussian([0.0, 0.0], [[a * a, c * a * b], [c * a * b, b * b]])
    (small, large), _ = (part[0] for part in mixture.principal_axes)
    # The eigenvalues have the sum a^2 + b^2 and the product a^2 b^2 (1 - c^2).
    assert float(large) == pytest.approx(max(a, b) ** 2, rel=1e-6)
    assert float(small) == pytest.approx(min(a, b) ** 2 * (1 - c * c), rel=1e-6)


def test_the_gaussian_fit_of_narrow_modes_far_apart_has_their_width_across():
    for text in ("m -10000,0 s 0.001; m 10000,0 s 0.001", "m -1000000,-1000000 s 0.001; m 1000000,1000000 s 0.001"):
        mixture = parse_mixture(text)
        fit = mixture.gaussian_fit()
        half = float(mixture.means[1].square().sum())
        torch.testing.assert_close(
            fit.principal_axes[0][0], torch.tensor([1e-6, half + 1e-6], dtype=torch.float64), rtol=1e-6, atol=0
        )
        kept = pickle.loads(pickle.dumps(fit))
        assert all(torch.equal(one, other) for one, other in zip(fit.principal_axes, kept.principal_axes, strict=True))
        assert torch.isfinite(fit.at(VPSDE(), 0.5).score(torch.tensor([[3.0, 4.0]], dtype=torch.float64))).all()


def test_the_gaussian_fit_has_the_mean_and_the_covariance():
    mixture = arbitrary(5, 3)
    fit, twice = mixture.gaussian_fit(), mixture.gaussian_fit(2.0)
    torch.testing.assert_close(fit.mean, mixture.mean)
    variances, axes = (part[0] for part in fit.principal_axes)
    torch.testing.assert_close((axes * variances) @ axes.T, mixture.covariance)
    torch.testing.assert_close(twice.covariance, 2 * mixture.covariance)
    torch.testing.assert_close(twice.principal_axes[0], 2 * fit.principal_axes[0])


def test_weights_whose_sum_overflows_keep_their_shares():
    for huge, shares in (([1e308, 1e308], [0.5, 0.5]), ([1.5e308, 0.5e308], [0.75, 0.25])):
        mixture = GaussianMixture([[0.0], [1.0]], [[[1.0]]] * 2, huge)
        assert mixture.weights.tolist() == pytest.approx(shares)
        assert mixture.sample(50, torch.Generator().manual_seed(0)).isfinite().all()


@pytest.mark.parametrize("text", ["m 100000 s 0.001", "m -1000000,5 s 0.001, 1; m 3,2 s 2"])
def test_samples_far_from_the_origin_are_as_wide_as_their_component(text):
    mixture = parse_mixture(text)
    x, k = mixture.sample_labelled(20_000, torch.Generator().manual_seed(0))
    first = x[k == 0, 0].double() - mixture.means[0, 0]
    assert x.dtype == torch.float64
    assert float(first.std()) == pytest.approx(1e-3, rel=0.03) and abs(float(first.mean())) < 5 * 1e-3 / len(first) ** 0.5
    assert tutorial().sample(3).dtype == torch.get_default_dtype()


def test_score_and_divergence_are_those_of_differentiation():
    mixture, x = arbitrary(4, 3), torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    s, divergence = mixture.score_and_divergence(x)
    torch.testing.assert_close(s, mixture.score(x))
    rows = [torch.autograd.functional.jacobian(lambda y: mixture.score(y[None])[0], point) for point in x]
    torch.testing.assert_close(divergence, torch.stack([torch.as_tensor(row).trace() for row in rows]))


@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.3), (0.4, 2.0), (0.8, 1e-4)])
@pytest.mark.parametrize("target", ["three-modes", "tutorial", "needle"])
def test_the_posterior_is_bayes_rule(target, alpha, sigma):
    mixture = targets.mixture(target)
    clean = mixture.sample(1, torch.Generator().manual_seed(3))[0].double()
    x = alpha * clean + sigma * torch.randn(mixture.dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    posterior = mixture.denoising_posterior(x, alpha, sigma)
    x0 = posterior.sample(50, torch.Generator().manual_seed(5)).double()
    kernel = -((x - alpha * x0).square().sum(1) / sigma**2 + mixture.dim * np.log(2 * np.pi * sigma**2)) / 2
    bayes = mixture.log_prob(x0) + kernel - mixture.diffuse(alpha, sigma).log_prob(x)
    torch.testing.assert_close(posterior.log_prob(x0), bayes, rtol=1e-6, atol=1e-5)
    mean = mixture.posterior_mean(x[None], alpha, sigma)[0]
    torch.testing.assert_close(posterior.mean, mean, rtol=1e-9, atol=1e-9)
    assert float(posterior.weights.sum()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("x", "sigma", "words"), [([0.0], 1.0, "one point of 2"), ([0.0, np.nan], 1.0, "finite"), ([0.0, 0.0], 0.0, "sigma is 0")]
)
def test_a_posterior_needs_a_point_and_noise(x, sigma, words):
    with pytest.raises(ValueError, match=words):
        targets.mixture("tutorial").denoising_posterior(x, 1.0, sigma)


def test_named_shapes_are_the_mixtures_of_their_covariances():
    means, factors = normal(3, 4), normal(3, 4, 2)
    variances = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    identity, x = torch.eye(4, dtype=torch.float64), normal(50, 4, seed=1)
    by_axis = 0.1 + normal(3, 4, seed=2).abs()
    pairs = [
        (GaussianMixture.isotropic(means, variances, [1, 2, 3]), variances[:, None, None] * identity),
        (GaussianMixture.diagonal(means, by_axis, [1, 2, 3]), torch.diag_embed(by_axis)),
        (
            GaussianMixture.low_rank(means, factors, variances, [1, 2, 3]),
            factors @ factors.mT + variances[:, None, None] * identity,
        ),
    ]
    for found, covariances in pairs:
        expected = GaussianMixture(means, covariances, [1, 2, 3])
        torch.testing.assert_close(found.covariances, covariances)
        torch.testing.assert_close(found.log_prob(x), expected.log_prob(x))
        torch.testing.assert_close(found.score(x), expected.score(x))
    assert [found.excess_rank for found, _ in pairs] == [0, 3, 2] and [found.is_diagonal for found, _ in pairs] == [
        True,
        True,
        False,
    ]
    diffused = pairs[2][0].diffuse(0.3, 2.0)
    assert diffused.excess_rank == 2


def test_the_shape_of_covariances_is_recognised():
    assert parse_mixture("m 1,2 s 0.3; m 3,4 s 2").excess_rank == 0
    assert GaussianMixture(np.zeros((2, 30)), np.stack([0.7 * np.eye(30), 3 * np.eye(30)]), [1, 1]).excess_rank == 0
    assert parse_mixture("m 1,2 s 0.3, 1; m 3,4 s 2").is_diagonal
    assert not tutorial().is_diagonal


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianMixture.isotropic([[0.0, 1.0]], [-1.0], [1]), "positive definite"),
        (lambda: GaussianMixture.isotropic([[0.0, 1.0]], [1.0, 2.0], [1]), "covariances have shape"),
        (lambda: GaussianMixture.diagonal([[0.0, 1.0]], [[1.0, 0.0]], [1]), "positive definite"),
        (lambda: GaussianMixture.low_rank([[0.0, 1.0]], [[[1.0], [0.0]]], [0.0], [1]), r"variances are \[0.0\]"),
        (lambda: GaussianMixture.low_rank([[0.0, 1.0]], [[[1.0] * 3, [0.0] * 3]], [1.0], [1]), "R at most 2"),
        (lambda: GaussianMixture.low_rank([[0.0, 1.0]], [[[1.0], [0.0]]], [1.0], [-1]), "weights must be 0 or more"),
    ],
)
def test_named_shapes_refuse_what_is_no_mixture(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    "mixture", [tutorial(), arbitrary(3, 6), arbitrary(2, 12), GaussianMixture.isotropic(normal(4, 9), [1, 2, 3, 4], [1] * 4)]
)
def test_a_sample_is_the_scaled_noise_of_its_seed_however_it_is_computed(mixture):
    seeded, n = torch.Generator().manual_seed(3), 5000
    x, k = mixture.sample_labelled(n, torch.Generator().manual_seed(3))
    assert torch.equal(k, torch.multinomial(mixture.weights, n, replacement=True, generator=seeded))
    z = torch.randn(n, mixture.dim, generator=seeded)
    variances, axes = mixture.principal_axes
    expected = mixture.means[k] + torch.einsum("nij,nj->ni", (axes * variances.sqrt()[:, None])[k], z.double())
    torch.testing.assert_close(x.double(), expected, rtol=1e-5, atol=1e-5)
