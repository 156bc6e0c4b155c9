"""What an engineer would write in an hour: scores of a diffused mixture in plain vectorised torch, and a plain sampler.

Each score is made of means (K, D), covariances (K, D, D) or variances (K,), and weights (K,), in float32, and is a function of x
(N, D) and sigma, for data alpha X + sigma Z with alpha = 1.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

Score = Callable[[Tensor, float], Tensor]


def _diffused(covariances: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Precisions and log determinants of S_k + sigma^2 I."""
    noisy = covariances.double() + sigma**2 * torch.eye(covariances.shape[1], device=covariances.device, dtype=torch.float64)
    return torch.linalg.inv(noisy).to(covariances), torch.logdet(noisy).to(covariances)


def einsum(means: Tensor, covariances: Tensor, weights: Tensor) -> Score:
    """All components at once, by batched einsum."""

    def score(x: Tensor, sigma: float) -> Tensor:
        precisions, log_det = _diffused(covariances, sigma)
        offset = means - x[:, None]
        scores = torch.einsum("nkd,kde->nke", offset, precisions)
        r = torch.softmax(weights.log() - ((offset * scores).sum(-1) + log_det) / 2, 1)
        return torch.einsum("nk,nkd->nd", r, scores)

    return score


def products(means: Tensor, covariances: Tensor, weights: Tensor) -> Score:
    """One matrix product for each component."""

    def score(x: Tensor, sigma: float) -> Tensor:
        precisions, log_det = _diffused(covariances, sigma)
        scores, logits = [], []
        for k in range(len(means)):
            offset = means[k] - x
            scores.append(offset @ precisions[k])
            logits.append(weights[k].log() - ((offset * scores[-1]).sum(1) + log_det[k]) / 2)
        r = torch.softmax(torch.stack(logits), 0)
        total = torch.zeros_like(x)
        for share, part in zip(r, scores, strict=True):
            total.addcmul_(share[:, None], part)
        return total

    return score


def distances(means: Tensor, variances: Tensor, weights: Tensor) -> Score:
    """Isotropic components: squared distances from cdist, and the responsibilities' product with the means."""

    def score(x: Tensor, sigma: float) -> Tensor:
        noisy = variances + sigma**2
        squares = torch.cdist(x, means) ** 2
        r = torch.softmax(weights.log() - squares / (2 * noisy) - means.shape[1] / 2 * noisy.log(), 1) / noisy
        return r @ means - r.sum(1, keepdim=True) * x

    return score


def expanded(means: Tensor, variances: Tensor, weights: Tensor) -> Score:
    """The same with |x - mu|^2 = |x|^2 - 2 x mu + |mu|^2, two matrix products in all."""

    def score(x: Tensor, sigma: float) -> Tensor:
        noisy = variances + sigma**2
        squares = (x * x).sum(1, keepdim=True) - 2 * x @ means.T + (means * means).sum(1)
        r = torch.softmax(weights.log() - squares / (2 * noisy) - means.shape[1] / 2 * noisy.log(), 1) / noisy
        return r @ means - r.sum(1, keepdim=True) * x

    return score


def autograd(means: Tensor, covariances: Tensor, weights: Tensor) -> Score:
    """The gradient of a log density of torch.distributions; variances (K,) are taken for isotropic components."""

    def density(sigma: float) -> MixtureSameFamily:
        if covariances.ndim == 1:
            std = (covariances + sigma**2).sqrt()[:, None].expand_as(means)
            return MixtureSameFamily(Categorical(weights), Independent(Normal(means, std), 1))
        noisy = covariances + sigma**2 * torch.eye(means.shape[1], device=means.device)
        return MixtureSameFamily(Categorical(weights), MultivariateNormal(means, noisy))

    def score(x: Tensor, sigma: float) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(density(sigma).log_prob(x).sum(), x)[0]

    return score


def reverse_paths(score: Score, lam: float, n: int, dim: int, steps: int, device: str = "cpu") -> Tensor:
    """The reverse SDE of the tutorial by Euler-Maruyama; returns the whole trajectory, (steps + 1, n, D)."""
    variance = lambda t: (lam ** (2 * t) - 1) / (2 * math.log(lam))  # noqa: E731
    path, dt = torch.empty(steps + 1, n, dim, device=device), (1 - 1e-3) / steps
    path[0] = math.sqrt(variance(1.0)) * torch.randn(n, dim, device=device)
    for i in range(steps):
        t = 1 - i * dt
        x, g = path[i], lam**t
        path[i + 1] = x + g**2 * dt * score(x, math.sqrt(variance(t))) + g * math.sqrt(dt) * torch.randn(n, dim, device=device)
    return path


def noise_paths(n: int, dim: int, steps: int, device: str = "cpu") -> Tensor:
    """The floor: what any sampler must do, draw the noise of every step and write it where the trajectory goes."""
    path = torch.empty(steps + 1, n, dim, device=device)
    for frame in path:
        frame.normal_()
    return path
