"""The tutorial's algorithms, written plainly in NumPy, SciPy and torch: what the library is measured against."""

import numpy as np
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
