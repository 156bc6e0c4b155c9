"""Gaussian mixtures with full covariances: the targets whose every density and score is known exactly.

    p(x) = sum_k w_k N(x; mu_k, S_k),   r_k(x) = w_k N(x; mu_k, S_k) / p(x),   grad log p = sum_k r_k S_k^{-1} (mu_k - x).

Each covariance is kept as eigenvalues and eigenvectors, S_k = V_k diag(l_k) V_k': noise only moves the eigenvalues,
l -> alpha^2 l + sigma^2, so a diffused mixture needs no new factorisation.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from scoredm.sde import SDE, Time, over_leading_axes

# Rows are evaluated in blocks of about this many numbers per component array: memory stays bounded and in cache.
BLOCK_NUMBERS = 1 << 19


class NaturalParameters(NamedTuple):
    """Coefficients of the component logits log(w_k N(x; mu_k, S_k)) = c + h.x - x'Px / 2 (up to a shared constant)."""

    c: Tensor  # (..., K)
    h: Tensor  # (..., K, D)
    precision: Tensor  # (..., K, D, D)


def _as_parameter(value: Any, name: str, ndim: int) -> Tensor:
    try:
        tensor = torch.as_tensor(value, dtype=torch.float64).detach().cpu().clone()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers in a regular array: {error}") from error
    if tensor.ndim != ndim or 0 in tensor.shape:
        raise ValueError(f"{name} must have {ndim} axes, none empty; got shape {tuple(tensor.shape)}")
    for k, component in enumerate(tensor):
        if not torch.isfinite(component).all():
            raise ValueError(f"{name}: component {k} is {component.tolist()}; NaN and infinity are not allowed")
    return tensor


def _check_shapes(means: Tensor, covariances: Tensor, weights: Tensor) -> None:
    K, D = means.shape
    if covariances.shape != (K, D, D):
        raise ValueError(f"covariances have shape {tuple(covariances.shape)}; means of shape {(K, D)} need {(K, D, D)}")
    if weights.shape != (K,):
        raise ValueError(f"weights have shape {tuple(weights.shape)}; {K} components need ({K},)")


def _check_weights(weights: Tensor) -> None:
    for k, weight in enumerate(weights.tolist()):
        if weight < 0:
            raise ValueError(f"weight of component {k} is {weight:g}; weights must be 0 or more")
    if weights.sum() == 0:
        raise ValueError(f"weights are all zero ({weights.tolist()}); at least one must be positive")


def _decompose(covariances: Tensor) -> tuple[Tensor, Tensor]:
    for k, covariance in enumerate(covariances):
        if not torch.allclose(covariance, covariance.T, rtol=1e-6, atol=1e-12 * float(covariance.abs().max())):
            raise ValueError(f"covariance of component {k} is {covariance.tolist()}; it must be symmetric")
    eigenvalues, eigenvectors = torch.linalg.eigh(covariances)
    for k, values in enumerate(eigenvalues):
        # An eigenvalue below rounding error of the largest cannot be told from zero.
        if values[0] <= 1e-14 * values[-1]:
            raise ValueError(
                f"covariance of component {k} is {covariances[k].tolist()}, with smallest eigenvalue {float(values[0]):.3g}; "
                "it must be positive definite"
            )
    return eigenvalues, eigenvectors


def _count(n: int) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"the number of samples is {n!r}; it must be a whole number, 1 or more")
    return n


@final
class GaussianMixture:
    """A mixture of K Gaussians in D dimensions, immutable.

    means: (K, D), covariances: (K, D, D) symmetric positive definite, weights: (K,), 0 or more, normalised to sum 1.
    Densities and scores are computed in float64 and returned in the precision of x, so they stay right far from the modes.

    Raises ValueError, naming the component and the value, where shapes disagree, a covariance is not symmetric positive
    definite, a weight is negative or all are zero, or a number is NaN or infinite.
    """

    __slots__ = ("_covariances", "_eigenvalues", "_eigenvectors", "_means", "_weights")

    def __init__(self, means: Any, covariances: Any, weights: Any) -> None:
        """Check the parameters and factorise the covariances."""
        mu = _as_parameter(means, "means", 2)
        S = _as_parameter(covariances, "covariances", 3)
        w = _as_parameter(weights, "weights", 1)
        _check_shapes(mu, S, w)
        _check_weights(w)
        self._set(mu, S, *_decompose(S), w)

    @classmethod
    def gaussian(cls, mean: Any, covariance: Any) -> "GaussianMixture":
        """One Gaussian N(mean, covariance) as a mixture of a single component; mean: (D,), covariance: (D, D).

        Raises ValueError as the constructor does.
        """
        return cls(_as_parameter(mean, "mean", 1)[None], _as_parameter(covariance, "covariance", 2)[None], [1.0])

    def _set(self, means: Tensor, covariances: Tensor, eigenvalues: Tensor, eigenvectors: Tensor, weights: Tensor) -> None:
        values = (covariances, eigenvalues, eigenvectors, means, weights)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a mixture is a value, shared between users and caches."""
        raise AttributeError(f"a GaussianMixture is immutable; make a new one instead of setting {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the parameters."""
        return GaussianMixture, self.parameters

    def __repr__(self) -> str:
        """Name the size."""
        return f"GaussianMixture({self.n_components} components, {self.dim}-D)"

    @property
    def n_components(self) -> int:
        """K."""
        return self._means.shape[0]

    @property
    def dim(self) -> int:
        """D."""
        return self._means.shape[1]

    @property
    def means(self) -> Tensor:
        """(K, D), a copy."""
        return self._means.clone()

    @property
    def covariances(self) -> Tensor:
        """(K, D, D), a copy."""
        return self._covariances.clone()

    @property
    def weights(self) -> Tensor:
        """(K,), summing to 1."""
        return self._weights / self._weights.sum()

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Means, covariances and weights (not normalised) that make this very mixture again: copies, float64."""
        return self.means, self.covariances, self._weights.clone()

    @property
    def principal_axes(self) -> tuple[Tensor, Tensor]:
        """Variances (K, D), ascending, along orthonormal directions (K, D, D), one per column."""
        return self._eigenvalues.clone(), self._eigenvectors.clone()

    @property
    def mean(self) -> Tensor:
        """sum_k w_k mu_k, (D,)."""
        return self.weights @ self._means

    @property
    def covariance(self) -> Tensor:
        """sum_k w_k (S_k + (mu_k - m)(mu_k - m)'), (D, D)."""
        offset = self._means - self.mean
        return torch.einsum("k,kij->ij", self.weights, self.covariances + offset[:, :, None] * offset[:, None, :])

    def add(self, mean: Any, covariance: Any, weight: float) -> "GaussianMixture":
        """A new mixture with one more component.

        mean: (D,), covariance: (D, D); weight: on the scale of the weights this mixture was made with, so that adding
        weight 1 to weights (1, 1) gives thirds. Raises ValueError as the constructor does.
        """
        mu, S = _as_parameter(mean, "mean", 1), _as_parameter(covariance, "covariance", 2)
        if mu.shape != (self.dim,) or S.shape != (self.dim, self.dim):
            raise ValueError(
                f"a new component of a {self.dim}-D mixture needs a mean of shape ({self.dim},) and a covariance of shape "
                f"({self.dim}, {self.dim}); got {tuple(mu.shape)} and {tuple(S.shape)}"
            )
        return GaussianMixture(
            torch.cat([self._means, mu[None]]),
            torch.cat([self.covariances, S[None]]),
            torch.cat([self._weights, torch.tensor([weight], dtype=torch.float64)]),
        )

    def diffuse(self, alpha: Time, sigma: Time) -> "GaussianMixture":
        """The distribution of alpha X + sigma Z: means alpha mu_k, covariances alpha^2 S_k + sigma^2 I.

        Raises ValueError unless both are finite, sigma >= 0, and one of them is not zero.
        """
        alpha, sigma = float(alpha), float(sigma)
        if not (math.isfinite(alpha) and math.isfinite(sigma) and sigma >= 0 and (alpha != 0 or sigma > 0)):
            raise ValueError(f"alpha = {alpha:g}, sigma = {sigma:g}: both must be finite, sigma at least 0, not both zero")
        diffused = GaussianMixture.__new__(GaussianMixture)
        covariances = alpha**2 * self._covariances + sigma**2 * torch.eye(self.dim, dtype=torch.float64)
        eigenvalues = alpha**2 * self._eigenvalues + sigma**2
        diffused._set(alpha * self._means, covariances, eigenvalues, self._eigenvectors, self._weights)
        return diffused

    def at(self, sde: SDE, t: Time) -> "GaussianMixture":
        """The distribution p_t of x_t under an SDE whose data are this mixture, diffuse(alpha_t, sigma_t); t: a number or ()."""
        return self.diffuse(*sde.scales(t))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n points, (n, D), in the default float precision on the generator's device."""
        return self.sample_labelled(n, generator)[0]

    def sample_labelled(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n points and say which component each came from: x (n, D), k (n,) int64.

        Raises ValueError unless n is a whole number, 1 or more.
        """
        device = generator.device if generator is not None else torch.device("cpu")
        k = torch.multinomial(self.weights.to(device), _count(n), replacement=True, generator=generator)
        z = torch.randn(n, self.dim, generator=generator, device=device)
        scale = (self._eigenvectors * self._eigenvalues.sqrt()[:, None, :]).to(z)
        x = self._means.to(z)[k]
        for i in range(self.dim):
            for j in range(self.dim):  # one number a point at a time: no (n, D, D) array
                x[:, i].addcmul_(scale[:, i, j][k], z[:, j])
        return x, k

    def log_prob(self, x: Any) -> Tensor:
        """log p(x), by log-sum-exp; x: (..., D) -> (...)."""
        return self._in_blocks(lambda rows: torch.logsumexp(self._logits(*self._project(rows)), -1), x)

    def component_log_prob(self, x: Any) -> Tensor:
        """log N(x; mu_k, S_k) of each component, without its weight; x: (..., D) -> (..., K)."""
        return self._in_blocks(lambda rows: self._component_log_prob(*self._project(rows)), x)

    def responsibilities(self, x: Any) -> Tensor:
        """r_k(x), the probability that x came from component k; x: (..., D) -> (..., K), summing to 1."""
        return self._in_blocks(lambda rows: torch.softmax(self._logits(*self._project(rows)), -1), x)

    def component_scores(self, x: Any) -> Tensor:
        """S_k^{-1} (mu_k - x) of each component; x: (..., D) -> (..., K, D)."""
        return self._in_blocks(lambda rows: self._component_scores(*self._project(rows)), x)

    def score(self, x: Any) -> Tensor:
        """grad log p(x) = sum_k r_k(x) S_k^{-1} (mu_k - x); x: (..., D) -> (..., D)."""
        return self._in_blocks(lambda rows: self._score(*self._project(rows)), x)

    def diffused_score(self, x: Tensor, alpha: Time, sigma: Time) -> Tensor:
        """The score of alpha X + sigma Z at x, with one alpha and sigma for all or one per leading axis of x.

        x: (B, ..., D); alpha, sigma: numbers, () or (B,). Equal to diffuse(alpha, sigma).score(x) where they are numbers.
        """
        if not (isinstance(alpha, Tensor) or isinstance(sigma, Tensor)):
            return self.diffuse(alpha, sigma).score(x)
        shape = x.shape[:-1]
        per_row = [
            torch.broadcast_to(torch.as_tensor(over_leading_axes(v, x[..., 0])), shape).reshape(-1).to(x.device, torch.float64)
            for v in (alpha, sigma)
        ]
        return self._in_blocks(lambda rows, a, s: self._score(*self._project(rows, a, s)), x, *per_row)

    def natural(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> NaturalParameters:
        """Natural parameters of the diffused mixtures, in coordinates that start at an origin, for a whole grid at once.

        With P = S^{-1} and m = alpha mu - origin: h = P m and c = log w - (m'Pm + log det S) / 2.
        alpha, sigma: (T,), origin: (T, D), float64 -> c (T, K), h (T, K, D), precision (T, K, D, D).
        """
        eigenvalues = alpha[:, None, None] ** 2 * self._eigenvalues + sigma[:, None, None] ** 2
        m = alpha[:, None, None] * self._means - origin[:, None, :]
        precision = (self._eigenvectors / eigenvalues[..., None, :]) @ self._eigenvectors.mT
        h = (precision @ m[..., None])[..., 0]
        c = self.weights.log() - ((m * h).sum(-1) + eigenvalues.log().sum(-1)) / 2
        return NaturalParameters(c, h, precision)

    def _in_blocks(self, evaluate: Callable[..., Tensor], x: Any, *per_row: Tensor) -> Tensor:
        """Evaluate rows of x in float64, a cache-sized block at a time; answer in x's own precision and shape."""
        x = torch.as_tensor(x)
        if not x.is_floating_point():
            x = x.to(torch.get_default_dtype())
        if x.ndim == 0 or x.shape[-1] != self.dim:
            raise ValueError(f"x has shape {tuple(x.shape)}; a {self.dim}-D mixture needs (..., {self.dim})")
        rows = x.reshape(-1, self.dim)
        size = max(1, BLOCK_NUMBERS // (self.n_components * self.dim))
        if len(rows) <= size:
            values = evaluate(rows, *per_row).to(x.dtype)
        else:
            blocks = zip(*(part.split(size) for part in (rows, *per_row)), strict=True)
            values = torch.cat([evaluate(*block).to(x.dtype) for block in blocks])
        return values.reshape(x.shape[:-1] + values.shape[1:])

    def _project(self, rows: Tensor, alpha: Tensor | None = None, sigma: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Offsets of rows (B, D) along each component's axes (B, K, D), the variances there, and the axes."""
        device = rows.device
        means, variances, axes = (p.to(device) for p in (self._means, self._eigenvalues, self._eigenvectors))
        if alpha is not None and sigma is not None:
            means = alpha[:, None, None] * means
            variances = alpha[:, None, None] ** 2 * variances + sigma[:, None, None] ** 2
        offset = rows.to(torch.float64)[:, None, :] - means
        return torch.einsum("bki,kij->bkj", offset, axes), variances, axes

    def _component_log_prob(self, along: Tensor, variances: Tensor, _axes: Tensor) -> Tensor:
        return -((along**2 / variances).sum(-1) + variances.log().sum(-1) + self.dim * math.log(2 * math.pi)) / 2

    def _logits(self, along: Tensor, variances: Tensor, axes: Tensor) -> Tensor:
        return self.weights.log().to(along.device) + self._component_log_prob(along, variances, axes)

    def _component_scores(self, along: Tensor, variances: Tensor, axes: Tensor) -> Tensor:
        return -torch.einsum("bkj,kij->bki", along / variances, axes)

    def _score(self, along: Tensor, variances: Tensor, axes: Tensor) -> Tensor:
        r = torch.softmax(self._logits(along, variances, axes), -1)
        return torch.einsum("bk,bki->bi", r, self._component_scores(along, variances, axes))
