"""The tutorial's algorithms, written plainly in NumPy, SciPy and torch: what the library is measured against."""

import numpy as np
import torch
from scipy.stats import multivariate_normal


class PlainMixture:
    """A mixture that asks scipy for each component's density and weighs the component scores by them."""

    def __init__(self, means: np.ndarray, covariances: np.ndarray, weights: np.ndarray) -> None:
        self.means, self.covariances, self.weights = means, covariances, weights / weights.sum()
        self.precisions = [np.linalg.inv(covariance) for covariance in covariances]
        self.components = [multivariate_normal(mean, covariance) for mean, covariance in zip(means, covariances, strict=True)]

    def score(self, x: np.ndarray) -> np.ndarray:
        densities = np.stack([w * c.pdf(x) for w, c in zip(self.weights, self.components, strict=True)], axis=1)
        responsibilities = densities / densities.sum(axis=1, keepdims=True)
        score = np.zeros_like(x)
        for k, (mean, precision) in enumerate(zip(self.means, self.precisions, strict=True)):
            score += responsibilities[:, [k]] * -((x - mean) @ precision)
        return score

    def diffuse(self, variance: float) -> "PlainMixture":
        return PlainMixture(self.means, self.covariances + variance * np.eye(self.means.shape[1]), self.weights)


def reverse_paths(mixture: PlainMixture, lam: float, n: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """The reverse SDE by Euler-Maruyama with a mixture rebuilt at every step; returns the whole trajectory (steps + 1, n, D)."""

    def variance(t: float) -> float:
        return (lam ** (2 * t) - 1) / (2 * np.log(lam))

    dim, dt = mixture.means.shape[1], 1 / steps
    path = np.empty((steps + 1, n, dim))
    path[0] = np.sqrt(variance(1.0)) * rng.standard_normal((n, dim))
    for i in range(steps):
        t = 1 - i * dt
        g = lam**t
        s = mixture.diffuse(variance(t)).score(path[i])
        path[i + 1] = path[i] + g**2 * s * dt + g * np.sqrt(dt) * rng.standard_normal((n, dim))
    return path


class PlainNetwork(torch.nn.Module):
    """Sines and cosines of t at random frequencies beside x, two layers of 50 tanh units, the output over sigma_t."""

    def __init__(self, lam: float, dim: int) -> None:
        super().__init__()
        self.lam = lam
        self.frequencies = torch.nn.Parameter(torch.randn(5), requires_grad=False)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(dim + 10, 50), torch.nn.Tanh(), torch.nn.Linear(50, 50), torch.nn.Tanh(), torch.nn.Linear(50, dim)
        )

    def sigma(self, t: torch.Tensor) -> torch.Tensor:
        return torch.sqrt((self.lam ** (2 * t) - 1) / (2 * np.log(self.lam)))

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        phase = 2 * np.pi * t[:, None] * self.frequencies[None, :]
        return self.layers(torch.cat([x, phase.sin(), phase.cos()], dim=1)) / self.sigma(t)[:, None]


def train(data: np.ndarray, lam: float, steps: int = 500, eps: float = 0.01, seed: int = 2021) -> PlainNetwork:
    """Adam at .005 on the denoising loss of all the data at once, with fresh times and noise at every step."""
    torch.manual_seed(seed)
    x0 = torch.tensor(data, dtype=torch.float32)
    network = PlainNetwork(lam, x0.shape[1])
    optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
    for _ in range(steps):
        t = torch.rand(len(x0)) * (1 - eps) + eps
        z = torch.randn_like(x0)
        sigma = network.sigma(t)[:, None]
        loss = ((network(x0 + sigma * z, t) * sigma + z) ** 2).sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network
