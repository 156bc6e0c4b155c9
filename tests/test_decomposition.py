"""A score taken apart: the parts add up, near and far, and saddles are where the pulls cancel."""

import numpy as np
import pytest
import torch

from scoredm import VESDE, GaussianMixture, decomposition, targets

POINTS = torch.tensor([[0.0, 0.0], [1.3, -0.4], [-2.0, 3.0], [500.0, -800.0]], dtype=torch.float64)


def autograd_score(mixture: GaussianMixture, x: torch.Tensor) -> torch.Tensor:
    """The gradient of the log density of torch.distributions."""
    means, covariances, weights = mixture.parameters
    independent = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(weights), torch.distributions.MultivariateNormal(means, covariances)
    )
    x = x.clone().requires_grad_()
    return torch.autograd.grad(independent.log_prob(x).sum(), x)[0]


@pytest.mark.parametrize("name", ["tutorial", "ring", "pinwheel"])
@pytest.mark.parametrize("most", [1, 3, 50])
def test_parts_and_rest_add_up_to_the_score(name, most):
    mixture = targets.mixture(name)
    found = decomposition.decompose(mixture, POINTS, decomposition.heaviest(mixture, most))
    np.testing.assert_allclose(found.total, autograd_score(mixture, POINTS), rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(found.score, found.total, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.responsibilities.sum(1) + found.other_responsibility, 1.0)
    assert found.other_count == max(0, mixture.n_components - most)


def test_the_most_responsible_come_first_and_the_weightiest_in_order():
    mixture = targets.mixture("unequal")
    assert decomposition.most_responsible(mixture, [0.5, 2.9], 2).tolist()[0] == 2
    r = mixture.responsibilities(torch.tensor([1.0, -1.0]))[decomposition.most_responsible(mixture, [1.0, -1.0], 3)]
    assert (r.diff() <= 0).all()
    light_first = GaussianMixture([[0.0], [1.0], [2.0]], np.ones((3, 1, 1)), [1.0, 2.0, 3.0])
    assert decomposition.heaviest(light_first, 2).tolist() == [1, 2]


def test_contributions_are_the_longest_and_end_with_the_score():
    mixture = targets.mixture("ring")
    vectors, owners = decomposition.largest_contributions(mixture, POINTS, 8)
    np.testing.assert_allclose(vectors[:, :8].sum(1), vectors[:, 8], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(vectors[:, 8], autograd_score(mixture, POINTS), rtol=1e-9, atol=1e-7)
    assert (owners[:, 8] == -1).all()
    few, who = decomposition.largest_contributions(mixture, POINTS, 2)
    np.testing.assert_array_equal(few[:, :2], vectors[:, :2])
    everything = mixture.responsibilities(POINTS)[..., None] * mixture.component_scores(POINTS)
    np.testing.assert_allclose(few[0, 0], everything[0, who[0, 0]])
    assert (np.diff(np.linalg.norm(vectors[:, :8], axis=-1), axis=1) <= 0).all()


def test_the_longest_contribution_need_not_be_the_most_responsible():
    """At the mean of a component its own score is zero."""
    vectors, owners = decomposition.largest_contributions(targets.mixture("tutorial"), torch.tensor([[0.0, 1.0]]), 1)
    assert owners.tolist() == [[1, -1]]
    np.testing.assert_allclose(vectors[0, 0], vectors[0, 1], rtol=1e-6)


def test_a_component_alone_is_one_gaussian():
    alone = decomposition.component(targets.mixture("tutorial"), 1)
    assert alone.means.tolist() == [[2.0, -1.0]]
    assert alone.covariances.tolist() == [[[2.0, 0.5], [0.5, 1.0]]]


def test_the_hessian_is_the_second_derivative_of_the_log_density():
    mixture, x = targets.mixture("tutorial"), torch.tensor([0.7, 0.2], dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(lambda y: autograd_score_graph(mixture, y), x)
    torch.testing.assert_close(decomposition.hessian(mixture, x), expected)


def autograd_score_graph(mixture: GaussianMixture, x: torch.Tensor) -> torch.Tensor:
    means, covariances, weights = mixture.parameters
    distribution = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(weights), torch.distributions.MultivariateNormal(means, covariances)
    )
    return torch.autograd.grad(distribution.log_prob(x), x, create_graph=True)[0]


@pytest.mark.parametrize(("name", "start"), [("tutorial", [1.0, 0.0]), ("unequal", [0.0, -1.0]), ("moons", [1.0, 0.0])])
def test_a_saddle_has_no_score_and_rises_one_way(name, start):
    mixture = targets.mixture(name)
    found = decomposition.saddle(mixture, start)
    assert found is not None
    point = torch.tensor(found)
    assert autograd_score(mixture, point[None]).norm() < 1e-8
    assert mixture.component_scores(point).norm() > 1
    curvature = torch.linalg.eigvalsh(torch.autograd.functional.jacobian(lambda y: autograd_score_graph(mixture, y), point))
    assert curvature[0] < 0 < curvature[1]


@pytest.mark.parametrize(("name", "start"), [("tight", [1.0, 0.3]), ("two-modes", [1.0])])
def test_saddles_known_by_symmetry(name, start):
    found = decomposition.saddle(targets.mixture(name), start)
    assert found is not None
    np.testing.assert_allclose(found, 0.0, atol=1e-9)


def test_a_shallow_dip_between_modes_that_have_moved_together_is_found():
    mixture = targets.mixture("two-modes").diffuse(1.0, 23.5**0.5)
    assert mixture.log_prob(torch.tensor([0.0])) > mixture.log_prob(torch.tensor([5.0]))
    found = decomposition.saddle(mixture, [1.0])
    assert found is not None
    np.testing.assert_allclose(found, 0.0, atol=1e-9)


def test_the_dip_goes_when_the_modes_merge():
    """Two modes at +-5 of std 1 merge where sigma^2 = 24."""
    mixture, sde = targets.mixture("two-modes"), VESDE(25.0)
    merge = np.log1p(2 * np.log(25) * 24) / (2 * np.log(25))
    before, after = (mixture.diffuse(1.0, float(sde.sigma(merge + step))) for step in (-0.01, 0.01))
    assert decomposition.saddle(before, [1.0]) is not None
    assert decomposition.saddle(after, [1.0]) is None


@pytest.mark.parametrize("name", ["gaussian", "needle", "cross"])
def test_where_there_is_one_peak_there_is_no_saddle(name):
    assert decomposition.saddle(targets.mixture(name), [1.0, 0.0]) is None
