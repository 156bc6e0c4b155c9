"""The probability flow's density against the exact one, its Jacobian against finite differences, and what a wrong prior does."""

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from scoredm import (
    SDE,
    VESDE,
    VPSDE,
    GaussianMixture,
    NotebookNet,
    ScoreFn,
    ScoreNet,
    SubVPSDE,
    bits_per_dimension,
    encode,
    exact_prior,
    exact_score,
    flow_log_prob,
    kl_divergence,
    parse_mixture,
    score_and_divergence,
    targets,
    zero_mean_prior,
)
from scoredm.likelihood import flow_scale
from tests.common import KINDS, each_kind, generator, normal

TUTORIAL = targets.mixture("tutorial")


def gaussian(mean: Tensor, covariance: Tensor) -> GaussianMixture:
    return GaussianMixture(mean[None], covariance[None], [1.0])


def spread_out(dim: int, width: float = 2.0, n: int = 11) -> Tensor:
    """Points of a square grid around the tutorial's middle, or of a line through its 1-D relatives."""
    side = torch.linspace(-width, width, n, dtype=torch.float64)
    return torch.cartesian_prod(side + 1, side) if dim == 2 else 4 * side[:, None]


# The divergence of a score.


@each_kind
@pytest.mark.parametrize("t", [0.0, 0.03, 1.0])
@pytest.mark.parametrize("name", ["spike", "tutorial", "pinwheel", "three dimensions"])
def test_the_closed_form_is_the_trace_of_the_jacobian(name, sde, t):
    mixture = targets.mixture(name) if name in targets.names() else three_dimensions()
    score = exact_score(mixture, sde)
    x = mixture.diffuse(float(sde.alpha(t)), float(sde.sigma(t))).sample(6, generator()).double()
    s, divergence = score_and_divergence(score, x, t)
    torch.testing.assert_close(s, score(x, t), rtol=1e-9, atol=1e-9)
    jacobian = torch.stack(
        [torch.as_tensor(torch.autograd.functional.jacobian(lambda y: score(y[None], t)[0], row)) for row in x]
    )
    torch.testing.assert_close(divergence, jacobian.diagonal(dim1=1, dim2=2).sum(1), rtol=1e-9, atol=1e-9)


def three_dimensions() -> GaussianMixture:
    root = normal(4, 3, 3)
    return GaussianMixture(normal(4, 3, seed=1), root @ root.mT + 0.3 * torch.eye(3, dtype=torch.float64), [1, 2, 0, 3])


def test_the_closed_form_and_differentiation_agree_and_keep_precision_and_values():
    sde = VPSDE()
    score = exact_score(TUTORIAL, sde)
    x = 3 * normal(40, 2)
    wrapped = score_and_divergence(score.__call__, x, 0.2)  # a bound method is not an ExactScore
    torch.testing.assert_close(score_and_divergence(score, x, 0.2), wrapped)
    single = score_and_divergence(score, x.float(), 0.2)
    assert [part.dtype for part in single] == [torch.float32] * 2
    torch.testing.assert_close(single[1].double(), wrapped[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [ScoreNet, NotebookNet])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_divergence_of_a_network_is_that_of_finite_differences(kind, dim):
    net = shaken(kind(VESDE(), dim)).requires_grad_(False)
    x, h = normal(7, dim), 1e-5
    with torch.no_grad():
        s, divergence = score_and_divergence(net, x, 0.3)
        torch.testing.assert_close(s, net(x, 0.3))
        steps = h * torch.eye(dim, dtype=torch.float64)
        slopes = [(net(x + step, 0.3) - net(x - step, 0.3))[:, d] / (2 * h) for d, step in enumerate(steps)]
    torch.testing.assert_close(divergence, torch.stack(slopes).sum(0), rtol=1e-6, atol=1e-8)
    assert not s.requires_grad
    assert not divergence.requires_grad


def shaken(net: ScoreNet | NotebookNet) -> ScoreNet | NotebookNet:
    """The network in float64, with a last layer that is not 0."""
    net = net.double()
    for i, parameter in enumerate(net.parameters()):
        parameter.data += 0.1 * normal(*parameter.shape, seed=i)
    return net


def test_a_score_without_gradients_is_refused():
    with pytest.raises(ValueError, match="computed without gradients"):
        score_and_divergence(torch.no_grad()(exact_score(TUTORIAL, VESDE()).__call__), normal(3, 2), 0.5)


# The likelihood of the exact model is the exact density.


@pytest.mark.parametrize("lam", [5.0, 25.0])
def test_the_figures_of_the_tutorials_mixture(lam):
    sde = VESDE(lam)
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, -1.0]])
    found = flow_log_prob(sde, exact_score(TUTORIAL, sde), exact_prior(TUTORIAL, sde), x)
    assert found.tolist() == pytest.approx([-2.5232, -3.0270, -2.7869], abs=6e-5)
    torch.testing.assert_close(found, TUTORIAL.log_prob(x.double()), rtol=0, atol=1e-5)


@pytest.mark.one_in(3)
@each_kind
@pytest.mark.parametrize("name", ["two-modes", "three-modes", "tutorial", "gaussian"])
def test_with_the_exact_prior_it_is_the_exact_density(name, sde):
    mixture = targets.mixture(name)
    x = spread_out(mixture.dim)
    found = flow_log_prob(sde, exact_score(mixture, sde), exact_prior(mixture, sde), x, steps=50)
    allowed = 3e-4 * (1 + sde.only_noise(1.0))  # there the grid is longer
    torch.testing.assert_close(found, mixture.log_prob(x), rtol=0, atol=allowed)


@each_kind
def test_from_a_later_start_it_is_the_density_there(sde):
    x, t = 2 * spread_out(2), 0.3
    p_t = TUTORIAL.diffuse(float(sde.alpha(t)), float(sde.sigma(t)))
    found = flow_log_prob(sde, exact_score(TUTORIAL, sde), exact_prior(TUTORIAL, sde), x, t_min=t, steps=40)
    torch.testing.assert_close(found, p_t.log_prob(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sde", [VESDE(), SubVPSDE()], ids=repr)
def test_it_is_of_order_four(sde):
    x = spread_out(2)
    score, prior = exact_score(TUTORIAL, sde), exact_prior(TUTORIAL, sde)
    steps = (12, 24, 48)
    errors = [float((flow_log_prob(sde, score, prior, x, steps=n) - TUTORIAL.log_prob(x)).abs().mean()) for n in steps]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(-4, abs=0.5)


@pytest.mark.parametrize("scale", [0.2, 2.0])
def test_the_scale_changes_the_road_and_not_the_place(scale):
    x, sde = spread_out(2, n=5), VPSDE()
    found = flow_log_prob(sde, exact_score(TUTORIAL, sde), exact_prior(TUTORIAL, sde), x, steps=120, scale=scale)
    torch.testing.assert_close(found, TUTORIAL.log_prob(x), rtol=0, atol=1e-4)


# The flow, its volume, and other priors.


@each_kind
def test_the_flow_of_a_gaussian_is_linear(sde):
    mixture = targets.mixture("gaussian")
    x = spread_out(2)
    found = encode(sde, exact_score(mixture, sde), x, steps=40)
    stretch, end = stretch_of(mixture, sde)
    torch.testing.assert_close(found.latent, end + (x - mixture.mean) @ stretch, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.log_volume, torch.logdet(stretch).expand(len(x)), rtol=0, atol=1e-5)


def stretch_of(mixture: GaussianMixture, sde: SDE) -> tuple[Tensor, Tensor]:
    """The matrix by which the flow of one Gaussian carries offsets from its mean from t = 0 to 1, and where the mean goes."""
    alpha, sigma = float(sde.alpha(1.0)), float(sde.sigma(1.0))
    variances, axes = (part[0] for part in mixture.principal_axes)
    return axes @ torch.diag(((alpha**2 * variances + sigma**2) / variances).sqrt()) @ axes.T, alpha * mixture.mean


@each_kind
def test_a_wrong_prior_makes_a_gaussian_another_gaussian(sde):
    mixture = targets.mixture("gaussian")
    x = spread_out(2)
    stretch, end = stretch_of(mixture, sde)
    back = torch.linalg.inv(stretch)
    found = encode(sde, exact_score(mixture, sde), x, steps=40)
    for prior in (zero_mean_prior(sde, 2), gaussian(torch.tensor([0.5, -2.0]), torch.tensor([[1.5, 0.2], [0.2, 0.7]]))):
        model = gaussian(mixture.mean + (prior.mean - end) @ back, back @ prior.covariance @ back.T)
        torch.testing.assert_close(found.log_prob(prior), model.log_prob(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lam,expected", [(5.0, 0.1088), (25.0, 0.00546)])
def test_the_prior_costs_at_the_data_what_it_costs_at_the_end(lam, expected):
    """The flow is a bijection, so KL(p_0 || model) = KL(p_1 || prior)."""
    sde = VESDE(lam)
    side = torch.arange(-6.0, 9.0, 0.3, dtype=torch.float64)
    x = torch.cartesian_prod(side, side - 1)
    log_p = TUTORIAL.log_prob(x)
    found = flow_log_prob(sde, exact_score(TUTORIAL, sde), zero_mean_prior(sde, 2), x, steps=40)
    assert float((log_p.exp() * (log_p - found)).sum()) * 0.3**2 == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("sde", [VESDE(), VPSDE()], ids=repr)
def test_an_untrained_network_has_the_likelihood_of_the_gaussian_it_starts_as(sde):
    mixture, t = targets.mixture("gaussian"), 0.01
    net = ScoreNet(sde, 2, mean=mixture.mean.float(), covariance=mixture.covariance.float())
    x = spread_out(2, n=5)
    found = flow_log_prob(sde, net, exact_prior(mixture, sde), x, t_min=t, steps=40)
    p_t = mixture.diffuse(float(sde.alpha(t)), float(sde.sigma(t)))
    torch.testing.assert_close(found, p_t.log_prob(x), rtol=0, atol=1e-4)


SCORES: dict[str, ScoreFn] = {
    "exact": exact_score(TUTORIAL, VPSDE()),
    "of another mixture": exact_score(targets.mixture("gaussian"), VPSDE()),
    "network": shaken(ScoreNet(VPSDE(), 2)),
    "notebook": shaken(NotebookNet(VPSDE(), 2)),
}


@pytest.mark.parametrize("score", SCORES)
def test_the_volume_is_the_determinant_of_the_flow_whatever_the_score(score):
    h = 1e-5
    moves = h * torch.tensor([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    x = normal(4, 1, 2) + moves
    found = encode(VPSDE(), SCORES[score], x.flatten(0, 1), t_min=0.02, steps=60)
    _, right, left, up, down = found.latent.view(4, 5, 2).unbind(1)
    log_det = torch.linalg.slogdet(torch.stack([right - left, up - down], -1) / (2 * h)).logabsdet
    torch.testing.assert_close(found.log_volume.view(4, 5)[:, 0], log_det, rtol=0, atol=5e-3)


# Bits and nats.


def test_bits_per_dimension_counts_halvings_of_volume():
    assert float(bits_per_dimension(torch.tensor(-3 * 8 * math.log(2)), 3)) == pytest.approx(8)
    uniform = torch.full((4,), math.log(4.0))  # density 4 on a square of side 1/2: one bit less than 0 a coordinate
    torch.testing.assert_close(bits_per_dimension(uniform, 2), torch.full((4,), -1.0))


def test_kl_of_two_gaussians_is_the_closed_form_with_an_honest_error():
    p = gaussian(torch.tensor([1.0, 0.0]), torch.tensor([[1.0, 0.3], [0.3, 0.5]]))
    q = gaussian(torch.tensor([0.0, 0.5]), torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    ratio = torch.linalg.solve(q.covariance, p.covariance)
    offset = q.mean - p.mean
    exact = (float(ratio.trace() - torch.logdet(ratio)) - 2 + float(offset @ torch.linalg.solve(q.covariance, offset))) / 2
    found = [kl_divergence(p, q.log_prob, 2000, generator(seed)) for seed in range(200)]
    z = np.array([(one.value - exact) / one.error for one in found])
    assert abs(z.mean()) < 4 / math.sqrt(200)
    assert z.std() == pytest.approx(1, abs=0.15)
    assert kl_divergence(p, p.log_prob, 100, generator()).value == 0
    assert kl_divergence(p, q.log_prob, 50, generator(1)) == kl_divergence(p, q.log_prob, 50, generator(1))


# Refusals.


def test_bad_values_are_refused():
    sde = VESDE()
    score = exact_score(TUTORIAL, sde)
    for x, message in [
        (torch.zeros(2), r"x has shape \(2,\)"),
        (torch.zeros(0, 2), r"x has shape \(0, 2\)"),
        (torch.tensor([[0.0, math.nan]]), "NaN or infinity"),
    ]:
        with pytest.raises(ValueError, match=message):
            encode(sde, score, x)
    x = torch.zeros(3, 2)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"t_min": 1.0}, "t_min is 1.0"),
        ({"t_min": -0.1}, "t_min is -0.1"),
        ({"scale": 0.0}, "scale is 0"),
        ({"scale": math.nan}, "scale is nan"),
    ]
    for options, message in refused:
        with pytest.raises(ValueError, match=message):
            encode(sde, score, x, **options)
    with pytest.raises(ValueError, match="not finite at t_min = 0; a network needs t_min above 0"):
        encode(sde, NotebookNet(sde), x)
    for n in (1, 0, 2.0):
        with pytest.raises(ValueError, match="n is"):
            kl_divergence(TUTORIAL, TUTORIAL.log_prob, n)  # pyrefly: ignore[bad-argument-type]
    with pytest.raises(ValueError, match="dim is 0"):
        bits_per_dimension(torch.zeros(2), 0)


# Narrow modes a million apart: a sum of squares expanded around the common mean has no digit left.

APART = parse_mixture("m -1000000 s 0.001; m 1000000 s 0.001")


def in_decimals(x: str, means: tuple[str, str], variance: str) -> tuple[float, float]:
    """Score and divergence of an equal pair on the line, with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        v, offsets = Decimal(variance), [Decimal(x) - Decimal(mean) for mean in means]
        parts = [(-(o * o) / (2 * v)).exp() for o in offsets]
        r = [part / sum(parts) for part in parts]
        scores = [-o / v for o in offsets]
        s = sum(a * b for a, b in zip(r, scores, strict=True))
        return float(s), float(sum(a * (b - s) ** 2 for a, b in zip(r, scores, strict=True)) - 1 / v)


@pytest.mark.parametrize("x", ["-999999.9997", "-1000000.0021", "1000000.0005"])
def test_the_divergence_of_narrow_modes_far_apart_is_that_of_sixty_digits(x):
    s, divergence = exact_score(APART, VESDE()).with_divergence(torch.tensor([[float(x)]], dtype=torch.float64), 0.0)
    expected = in_decimals(str(Decimal(float(x))), ("-1000000", "1000000"), "1e-6")
    assert (float(s), float(divergence)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sde", [sde for sde in KINDS if not sde.only_noise(1.0)], ids=repr)  # alpha^2 1e12 must be small
def test_the_likelihood_of_narrow_modes_far_apart_is_exact(sde):
    x = APART.sample(30, generator())
    found = flow_log_prob(sde, exact_score(APART, sde), exact_prior(APART, sde), x, scale=flow_scale(APART))
    torch.testing.assert_close(found, APART.log_prob(x), rtol=0, atol=1e-5)


def test_a_scale_is_half_the_width_of_a_mode():
    assert flow_scale(targets.mixture("tight")) == pytest.approx(0.1)
    assert flow_scale(parse_mixture("w 1 m 0 s 1; w 3 m 9 s 16")) == pytest.approx(4.0)
