"""Networks: a start that is a known score, shapes, precision, and weights from their own generator."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from scoredm import (
    VESDE,
    VPSDE,
    CosineVPSDE,
    GaussianMixture,
    GeometricVESDE,
    NotebookNet,
    ScoreNet,
    SubVPSDE,
    exact_score,
    sample,
    targets,
)
from scoredm.networks import PARAMETRISATIONS

SDE = VESDE(25.0)
BOTH = pytest.mark.parametrize("kind", [ScoreNet, NotebookNet])


def awakened(net: ScoreNet) -> ScoreNet:
    """The network with a head that is not zero."""
    torch.nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(9))
    return net


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_untrained_scorenet_is_the_score_of_the_gaussian_with_its_mean_and_covariance(dim):
    generator = torch.Generator().manual_seed(1)
    root, mean = torch.randn(dim, dim, generator=generator), torch.randn(dim, generator=generator)
    covariance = root @ root.T + 0.1 * torch.eye(dim)
    net = ScoreNet(SDE, dim, mean=mean, covariance=covariance)
    exact = exact_score(GaussianMixture(mean[None], covariance[None], [1.0]), SDE)
    x, t = 5 * torch.randn(400, dim, generator=generator), torch.linspace(0.001, 1, 400)
    torch.testing.assert_close(net(x, t), exact(x, t), rtol=2e-4, atol=2e-4)


def test_scorenet_correction_vanishes_against_the_gaussian_where_noise_drowns_the_data():
    net, start = awakened(ScoreNet(VESDE(1e5), 2)), ScoreNet(VESDE(1e5), 2)
    x = net.sde.sigma(1.0) * torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    assert (net(x, 1.0) - start(x, 1.0)).norm() < 1e-3 * start(x, 1.0).norm()


def test_notebooknet_times_sigma_is_bounded_however_small_sigma():
    net, x = NotebookNet(SDE), torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    near, nearer = (SDE.sigma(t) * net(x, t) for t in (1e-4, 1e-6))
    torch.testing.assert_close(near, nearer, rtol=0, atol=5e-3)


@BOTH
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_a_number_a_scalar_and_a_batch_of_equal_times_agree(kind, dim, parametrisation):
    net = kind(SDE, dim, parametrisation=parametrisation)
    if isinstance(net, ScoreNet):
        awakened(net)
    x = torch.randn(7, 3, dim, generator=torch.Generator().manual_seed(0))
    by_number = net(x, 0.3)
    assert by_number.shape == x.shape
    torch.testing.assert_close(net(x, torch.tensor(0.3)), by_number)
    torch.testing.assert_close(net(x, torch.full((7,), 0.3)), by_number)
    torch.testing.assert_close(net(x[:, 0], 0.3), by_number[:, 0])
    torch.testing.assert_close(net(x[0, 0], 0.3), by_number[0, 0])


@BOTH
def test_each_row_has_its_own_time(kind):
    net = kind(SDE)
    x, t = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.linspace(0.1, 1, 6)
    rows = torch.stack([net(x[i], float(t[i])) for i in range(6)])
    torch.testing.assert_close(net(x, t), rows)


@BOTH
def test_points_in_double_precision_are_taken_and_answered_in_it(kind):
    assert kind(SDE)(torch.zeros(3, 2, dtype=torch.float64), 0.5).dtype == torch.float64


@BOTH
def test_weights_come_from_the_given_generator_and_leave_the_global_one_alone(kind):
    before = torch.random.get_rng_state()
    states = [kind(SDE, generator=torch.Generator().manual_seed(seed)).state_dict() for seed in (3, 3, 4)]
    assert torch.equal(torch.random.get_rng_state(), before)
    first, again, other = ([state[key] for key in ("body.0.weight", "body.2.bias")] for state in states)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


class Told(nn.Module):
    """A last layer that answers what it has been told, whatever it is asked."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer.float()

    def forward(self, features: Tensor) -> Tensor:
        return self.answer


def posterior(mixture: GaussianMixture, alpha: Tensor, sigma: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """E[x_0 | x_t = x] and E[z | x_t = x], (B, D), by Bayes' rule for each component, without any score."""
    clean = torch.zeros_like(x)
    for b in range(len(x)):
        V = alpha[b] ** 2 * mixture.covariances + sigma[b] ** 2 * torch.eye(mixture.dim)
        offset = x[b] - alpha[b] * mixture.means
        gain = torch.linalg.solve(V, offset[..., None])[..., 0]
        r = torch.softmax(mixture.weights.log() - ((offset * gain).sum(-1) + torch.logdet(V)) / 2, 0)
        clean[b] = r @ (mixture.means + alpha[b] * (mixture.covariances @ gain[..., None])[..., 0])
    return clean, (x - alpha[:, None] * clean) / sigma[:, None]


@pytest.mark.parametrize("sde", [SDE, GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@BOTH
def test_the_exact_prediction_makes_the_exact_score_in_every_parametrisation(kind, parametrisation, sde):
    mixture = targets.mixture("tutorial")
    t = torch.linspace(0.2, 1, 40, dtype=torch.float64)
    alpha, sigma = torch.as_tensor(sde.alpha(t)), torch.as_tensor(sde.sigma(t))
    x = alpha[:, None] * torch.ones(2) + (1 + sigma[:, None]) * torch.randn(40, 2, generator=torch.Generator().manual_seed(2))
    clean, noise = posterior(mixture, alpha, sigma, x)
    score = -noise / sigma[:, None]
    net = kind(sde, 2, parametrisation=parametrisation)
    v = (alpha**2 + sigma**2)[:, None]  # ScoreNet's own F, for data taken to have mean 0 and covariance I
    own = (score + x / v) * sigma[:, None] * v.sqrt() / alpha[:, None] if kind is ScoreNet else -noise
    told = Told({"own": own, "score": score, "noise": noise, "clean": clean}[parametrisation])
    net.body, net.head = (nn.Identity(), told) if kind is ScoreNet else (told, None)
    torch.testing.assert_close(net(x, t), score, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net(x, t), exact_score(mixture, sde)(x, t), rtol=1e-4, atol=1e-4)


@BOTH
def test_refuses_a_parametrisation_it_does_not_know(kind):
    with pytest.raises(ValueError, match="parametrisation is 'velocity'; it must be one of own, score, noise, clean"):
        kind(SDE, 2, parametrisation="velocity")


def test_scorenet_keeps_signals_of_order_one_through_its_layers():
    net = ScoreNet(SDE, width=128)
    x, t = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)), torch.rand(4000) * 0.98 + 0.02
    seen: list[torch.Tensor] = []
    net.head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    net(x, t)
    assert 0.3 < seen[0].std() < 3


@BOTH
def test_refuses_a_network_without_size(kind):
    with pytest.raises(ValueError, match="1 or more"):
        kind(SDE, 0)
    with pytest.raises(ValueError, match="1 or more"):
        kind(SDE, 2, width=0)


def test_notebooknet_refuses_an_odd_number_of_features():
    with pytest.raises(ValueError, match="features 9"):
        NotebookNet(SDE, features=9)


@BOTH
def test_a_sampler_takes_a_network_as_it_is(kind):
    x = sample(SDE, kind(SDE, 3), 10, steps=5, generator=torch.Generator().manual_seed(0)).end
    assert x.shape == (10, 3)
    assert not x.requires_grad


@BOTH
def test_networks_work_under_function_transforms(kind):
    net, x = kind(SDE), torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    assert vmap(jacrev(lambda point: net(point, 0.5)))(x).shape == (4, 2, 2)
