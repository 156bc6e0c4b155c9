"""Gaussian mixtures with full covariances: the targets whose every density and score is known exactly.

    p(x) = sum_k w_k N(x; mu_k, S_k),   r_k(x) = w_k N(x; mu_k, S_k) / p(x),   grad log p = sum_k r_k S_k^{-1} (mu_k - x).

Each covariance is kept as eigenvalues and eigenvectors, S_k = V_k diag(l_k) V_k': noise only moves the eigenvalues,
l -> alpha^2 l + sigma^2, so a diffused mixture needs no new factorisation.
"""

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from scoredm.conditioning import Conditioned, condition_gaussians, distinct_indices, finite_array, measure_gaussians
from scoredm.sde import SDE, Time, over_leading_axes

# Rows are evaluated in blocks of about this many numbers per component array: memory stays bounded and in cache.
BLOCK_NUMBERS = 1 << 19

# Rounding may move a point by this share of the narrowest standard deviation; where float32 would move it further, points are
# float64.
ROUNDING_SHARE = 0.01

FEW_AXES = 4  # up to so many dimensions, sums over axes are quicker axis by axis

WORTH_A_PRODUCT = 4000  # additions from which on a matrix product of a component's points is quicker than one at a time

# Below this ratio of the smallest eigenvalue to the largest, the rounding errors of eigh show in the smallest.
WELL_CONDITIONED = 1e-8

# A standard deviation below this share of the widest one before an observation would be mostly rounding error.
NARROWEST_SHARE = 1e-12


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


def _factorise(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (K, D), ascending, and eigenvectors (K, D, D), one per column; refuses what is not positive definite."""
    for k, covariance in enumerate(covariances):
        if not torch.allclose(covariance, covariance.T, rtol=1e-6, atol=1e-12 * float(covariance.abs().max())):
            raise ValueError(f"covariance of component {k} is {covariance.tolist()}; it must be symmetric")
    eigenvalues, eigenvectors = torch.linalg.eigh(covariances)
    for k, values in enumerate(eigenvalues):
        if values[0] <= WELL_CONDITIONED * values[-1]:
            eigenvalues[k], eigenvectors[k] = _factorise_scaled(covariances[k], k)
    return eigenvalues, eigenvectors


def _factorise_scaled(covariance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same for one covariance whose axes differ by orders of magnitude, by way of its correlations.

    With S = D R D, where D holds the standard deviations, S is positive definite exactly where R is, and the rounding errors of
    R do not depend on the units of the axes. With R = C C' the eigenvalues of S are the squared singular values of D C.
    """
    variances = covariance.diagonal()
    if (variances > 0).all():
        stds = variances.sqrt()
        correlations = covariance / stds[:, None] / stds
        factor, failed = torch.linalg.cholesky_ex(correlations)
        # An eigenvalue below the rounding errors of the entries cannot be told from zero.
        if not failed and torch.linalg.eigvalsh(correlations)[0] > 1e-14:
            return _squared_singular_values(stds[:, None] * factor)
    raise ValueError(
        f"covariance of component {k} is {covariance.tolist()}, with smallest eigenvalue "
        f"{float(torch.linalg.eigvalsh(covariance)[0]):.3g}; it must be positive definite"
    )


def _squared_singular_values(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors of F F', (..., D, M) -> (..., D), (..., D, D), without forming it."""
    axes, lengths, _ = torch.linalg.svd(factor, full_matrices=False)
    return lengths.flip(-1).square(), axes.flip(-1)


def _normalised(weights: Tensor) -> Tensor:
    """Weights divided by their sum, which may be too large for float64."""
    total = weights.sum()
    if torch.isfinite(total):
        return weights / total
    parts = weights / weights.max()  # each is finite, their sum is not
    return parts / parts.sum()


def _sum_over_axes(values: Tensor) -> Tensor:
    """(..., D) -> (...): a sum over two or three numbers a row, which torch is slow at, is one addition of columns an axis."""
    return reduce(torch.add, values.unbind(-1)) if values.shape[-1] <= FEW_AXES else values.sum(-1)


def _count(n: int) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"the number of samples is {n!r}; it must be a whole number, 1 or more")
    return n


@final
class GaussianMixture:
    """A mixture of K Gaussians in D dimensions, immutable.

    Densities and scores are computed in float64 and returned in the precision of x, so they are accurate far from the modes.

    Args:
        means: mu_k, (K, D).
        covariances: S_k, symmetric and positive definite, (K, D, D).
        weights: w_k, 0 or more, (K,); they are divided by their sum.

    Raises:
        ValueError: if shapes disagree, a covariance is not symmetric and positive definite, a weight is negative or all are 0,
            or a number is NaN or infinite; the message has the component and the value.
    """

    __slots__ = ("_covariances", "_eigenvalues", "_eigenvectors", "_means", "_shares", "_weights")
    _covariances: Tensor
    _eigenvalues: Tensor
    _eigenvectors: Tensor
    _means: Tensor
    _shares: Tensor  # the weights, divided by their sum
    _weights: Tensor

    def __init__(self, means: Any, covariances: Any, weights: Any) -> None:
        """Check the parameters and factorise the covariances."""
        mu = _as_parameter(means, "means", 2)
        S = _as_parameter(covariances, "covariances", 3)
        w = _as_parameter(weights, "weights", 1)
        _check_shapes(mu, S, w)
        _check_weights(w)
        self._set(mu, S, *_factorise(S), w)

    @classmethod
    def gaussian(cls, mean: Any, covariance: Any) -> "GaussianMixture":
        """One Gaussian as a mixture of a single component.

        Args:
            mean: (D,).
            covariance: symmetric and positive definite, (D, D).

        Returns:
            The mixture.

        Raises:
            ValueError: as for the constructor.
        """
        return cls(_as_parameter(mean, "mean", 1)[None], _as_parameter(covariance, "covariance", 2)[None], [1.0])

    @classmethod
    def isotropic(cls, means: Any, variances: Any, weights: Any) -> "GaussianMixture":
        """Components that are equally wide in every direction, S_k = v_k I; their scores cost K D and not K D^2.

        Args:
            means: mu_k, (K, D).
            variances: v_k, above 0, (K,).
            weights: w_k, 0 or more, (K,).

        Returns:
            The mixture.

        Raises:
            ValueError: as for the constructor.
        """
        mu, v = _as_parameter(means, "means", 2), _as_parameter(variances, "variances", 1)
        return cls.diagonal(mu, v[:, None].expand(len(v), mu.shape[1]), weights)

    @classmethod
    def diagonal(cls, means: Any, variances: Any, weights: Any) -> "GaussianMixture":
        """Components whose coordinates are independent, S_k = diag(v_k); their scores cost K D and not K D^2.

        Args:
            means: mu_k, (K, D).
            variances: v_k, above 0, (K, D).
            weights: w_k, 0 or more, (K,).

        Returns:
            The mixture.

        Raises:
            ValueError: as for the constructor.
        """
        return cls(means, torch.diag_embed(_as_parameter(variances, "variances", 2)), weights)

    @classmethod
    def low_rank(cls, means: Any, factors: Any, variances: Any, weights: Any) -> "GaussianMixture":
        """Components that are wide along a few axes and equally narrow along all others; their scores cost K D R.

            S_k = F_k F_k' + v_k I

        Args:
            means: mu_k, (K, D).
            factors: F_k, (K, D, R), with R at most D.
            variances: v_k, above 0, (K,).
            weights: w_k, 0 or more, (K,).

        Returns:
            The mixture.

        Raises:
            ValueError: as for the constructor, or for R above D.
        """
        mu, w = _as_parameter(means, "means", 2), _as_parameter(weights, "weights", 1)
        F, v = _as_parameter(factors, "factors", 3), _as_parameter(variances, "variances", 1)
        K, D = mu.shape
        if F.shape[:2] != (K, D) or F.shape[2] > D:
            raise ValueError(
                f"factors have shape {tuple(F.shape)}; means of shape {(K, D)} need ({K}, {D}, R) with R at most {D}"
            )
        _check_shapes(mu, F @ F.mT, w)
        _check_weights(w)
        if v.shape != (K,) or not bool((v > 0).all()):
            raise ValueError(f"variances are {v.tolist()}; there must be {K}, each above 0")
        axes, lengths, _ = torch.linalg.svd(F)
        added = torch.cat([torch.zeros(K, D - F.shape[2], dtype=torch.float64), lengths.flip(1).square()], 1)
        covariances = F @ F.mT + v[:, None, None] * torch.eye(D, dtype=torch.float64)
        return _restore(mu, covariances, v[:, None] + added, axes.flip(2), w)

    def _set(self, means: Tensor, covariances: Tensor, eigenvalues: Tensor, eigenvectors: Tensor, weights: Tensor) -> None:
        values = (covariances, eigenvalues, eigenvectors, means, _normalised(weights), weights)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a mixture is a value, shared between users and caches."""
        raise AttributeError(f"a GaussianMixture is immutable; make a new one instead of setting {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the factorisation, which a covariance may be too ill-conditioned to give again."""
        return _restore, (self._means, self._covariances, self._eigenvalues, self._eigenvectors, self._weights)

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
        """(K,), summing to 1, a copy."""
        return self._shares.clone()

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Means, covariances and weights (not normalised) that make this very mixture again: copies, float64."""
        return self.means, self.covariances, self._weights.clone()

    @property
    def principal_axes(self) -> tuple[Tensor, Tensor]:
        """Variances (K, D), ascending, along orthonormal directions (K, D, D), one per column."""
        return self._eigenvalues.clone(), self._eigenvectors.clone()

    @property
    def is_diagonal(self) -> bool:
        """Whether the coordinates of every component are independent."""
        return bool((self._covariances == torch.diag_embed(self._covariances.diagonal(dim1=1, dim2=2))).all())

    @property
    def excess_rank(self) -> int:
        """The most axes along which a component is wider than along its narrowest: 0 where all are isotropic."""
        return int((self._eigenvalues > self._eigenvalues[:, :1]).sum(1).max())

    @property
    def spread(self) -> tuple[Tensor, Tensor]:
        """The least variance of each component, and the mean squared distance of its points from the mean of all: (K,) each."""
        return self._eigenvalues.amin(1), (self._means - self.mean).square().sum(1) + self._eigenvalues.sum(1)

    @property
    def mean(self) -> Tensor:
        """sum_k w_k mu_k, (D,)."""
        return self._shares @ self._means

    @property
    def covariance(self) -> Tensor:
        """sum_k w_k (S_k + (mu_k - m)(mu_k - m)'), (D, D)."""
        offset = self._means - self.mean
        return torch.einsum("k,kij->ij", self.weights, self.covariances + offset[:, :, None] * offset[:, None, :])

    def gaussian_fit(self, variance_factor: float = 1.0) -> "GaussianMixture":
        """The one Gaussian with the mean and the covariance of this mixture.

        Its axes are found from the parts of the covariance, so that it exists even where narrow components lie so far apart that
        their covariance, added up, is singular in float64.

        Args:
            variance_factor: Multiplies the covariance, above 0.

        Returns:
            A mixture of one component.
        """
        mean, share = self.mean, self.weights.sqrt()
        within = share[:, None, None] * self._eigenvectors * self._eigenvalues.sqrt()[:, None, :]
        between = share[:, None] * (self._means - mean)
        eigenvalues, axes = _squared_singular_values(torch.cat([within.permute(1, 0, 2).flatten(1), between.T], 1))
        one = torch.ones(1, dtype=torch.float64)
        return _restore(mean[None], variance_factor * self.covariance[None], variance_factor * eigenvalues[None], axes[None], one)

    @property
    def needs_float64(self) -> bool:
        """Whether float32 would round points of this mixture by more than a hundredth of its narrowest standard deviation."""
        farthest = self._means.abs().amax(1) / self._eigenvalues[:, 0].sqrt()
        return float(farthest.max()) * torch.finfo(torch.float32).eps / 2 > ROUNDING_SHARE

    def add(self, mean: Any, covariance: Any, weight: float) -> "GaussianMixture":
        """A new mixture with one more component.

        Args:
            mean: (D,).
            covariance: symmetric and positive definite, (D, D).
            weight: on the scale of the weights this mixture was made with: adding weight 1 to weights (1, 1) gives thirds.

        Returns:
            The new mixture; this one does not change.

        Raises:
            ValueError: as for the constructor.
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
        """The distribution of alpha X + sigma Z, with Z standard normal.

            sum_k w_k N(alpha mu_k, alpha^2 S_k + sigma^2 I)

        Args:
            alpha: a number or ().
            sigma: a number or (), 0 or more.

        Returns:
            A mixture with as many components.

        Raises:
            ValueError: unless both are finite, sigma is 0 or more, and one of them is not 0.
        """
        alpha, sigma = float(alpha), float(sigma)
        if not (math.isfinite(alpha) and math.isfinite(sigma) and sigma >= 0 and (alpha != 0 or sigma > 0)):
            raise ValueError(f"alpha = {alpha:g}, sigma = {sigma:g}: both must be finite, sigma at least 0, not both zero")
        covariances = alpha**2 * self._covariances + sigma**2 * torch.eye(self.dim, dtype=torch.float64)
        eigenvalues = alpha**2 * self._eigenvalues + sigma**2
        return _restore(alpha * self._means, covariances, eigenvalues, self._eigenvectors, self._weights)

    def at(self, sde: SDE, t: Time) -> "GaussianMixture":
        """The distribution p_t of x_t under an SDE whose data are this mixture: diffuse(alpha_t, sigma_t).

        Args:
            sde: the forward diffusion.
            t: a time, a number or ().

        Returns:
            A mixture with as many components.
        """
        return self.diffuse(*sde.scales(t))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n points.

        Args:
            n: The number of points, 1 or more.
            generator: Draws the numbers, on its own device.

        Returns:
            (n, D), in the default precision, or in float64 where that would lose the shape of a component: see `needs_float64`.

        Raises:
            ValueError: If n is not a whole number, 1 or more.
        """
        return self.sample_labelled(n, generator)[0]

    def sample_labelled(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n points and tell which component each came from.

        Args:
            n: The number of points, 1 or more.
            generator: Draws the numbers, on its own device.

        Returns:
            The points x, (n, D), as in `sample`, and their components k, (n,), int64.

        Raises:
            ValueError: If n is not a whole number, 1 or more.
        """
        device = generator.device if generator is not None else torch.device("cpu")
        k = torch.multinomial(self.weights.to(device), _count(n), replacement=True, generator=generator)
        dtype = torch.float64 if self.needs_float64 else torch.get_default_dtype()
        z = torch.randn(n, self.dim, generator=generator, device=device, dtype=dtype)
        return self._placed(z, k), k

    def _placed(self, z: Tensor, k: Tensor) -> Tensor:
        """mu_k + V_k l_k^{1/2} z for each row of z, with k its component: without an (n, D, D) array."""
        means, factors = self._means.to(z), self._factors.to(z)
        if bool((self._eigenvectors == torch.eye(self.dim, dtype=torch.float64)).all()):
            return means[k].addcmul_(self._eigenvalues.sqrt().to(z)[k], z)
        if self.dim <= FEW_AXES or len(z) * self.dim**2 < WORTH_A_PRODUCT * self.n_components:
            x = means[k]
            for i in range(self.dim):
                for j in range(self.dim):  # one number a point at a time
                    x[:, i].addcmul_(factors[:, i, j][k], z[:, j])
            return x
        x, counts = torch.empty_like(z), torch.bincount(k, minlength=self.n_components).tolist()
        for rows, mean, factor in zip(k.argsort().split(counts), means, factors, strict=True):
            x.index_copy_(0, rows, torch.addmm(mean, z.index_select(0, rows), factor.T))
        return x

    def log_prob(self, x: Any) -> Tensor:
        """log p(x), in nats, by log-sum-exp.

        Args:
            x: points, (..., D).

        Returns:
            (...).

        Raises:
            ValueError: if the last axis of x is not D long; so do the methods below.
        """
        return self._in_blocks(lambda rows: torch.logsumexp(self._logits(*self._project(rows)), -1), x)

    def component_log_prob(self, x: Any) -> Tensor:
        """log N(x; mu_k, S_k) of each component, in nats, without its weight.

        Args:
            x: points, (..., D).

        Returns:
            (..., K).
        """
        return self._in_blocks(lambda rows: self._component_log_prob(*self._project(rows)), x)

    def responsibilities(self, x: Any) -> Tensor:
        """The probability that x came from each component.

            r_k(x) = w_k N(x; mu_k, S_k) / p(x)

        Args:
            x: points, (..., D).

        Returns:
            (..., K), summing to 1.
        """
        return self._in_blocks(lambda rows: torch.softmax(self._logits(*self._project(rows)), -1), x)

    def component_scores(self, x: Any) -> Tensor:
        """The score of each component alone.

            s_k(x) = S_k^{-1} (mu_k - x)

        Args:
            x: points, (..., D).

        Returns:
            (..., K, D), per unit of x.
        """
        return self._in_blocks(lambda rows: self._component_scores(*self._project(rows)), x)

    def score(self, x: Any) -> Tensor:
        """The score at x.

            grad log p(x) = sum_k r_k(x) S_k^{-1} (mu_k - x)

        Args:
            x: points, (..., D).

        Returns:
            (..., D), per unit of x.
        """
        return self._in_blocks(lambda rows: self._score(*self._project(rows)), x)

    def diffused_score(self, x: Tensor, alpha: Time, sigma: Time) -> Tensor:
        """The score at x of the distribution of alpha X + sigma Z.

        Where alpha and sigma are numbers, it is the score of `diffuse(alpha, sigma)`.

        Args:
            x: (B, ..., D).
            alpha: A number or () for all points, or (B,), one for each leading index of x.
            sigma: As alpha.

        Returns:
            (B, ..., D), in the precision of x.
        """
        if not (isinstance(alpha, Tensor) or isinstance(sigma, Tensor)):
            return self.diffuse(alpha, sigma).score(x)
        return self._in_blocks(lambda rows, a, s: self._score(*self._project(rows, a, s)), x, *_per_row(x, alpha, sigma))

    def score_and_divergence(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The score s at x and its divergence.

            div s = sum_k r_k (|s_k - s|^2 - tr S_k^{-1})

        Args:
            x: (B, D).

        Returns:
            (B, D) and (B,), in the precision of x.
        """

        def both(rows: Tensor) -> Tensor:
            along, variances, axes = self._project(rows)
            r = torch.softmax(self._logits(along, variances, axes), -1)
            scores = self._component_scores(along, variances, axes)
            s = torch.einsum("bk,bki->bi", r, scores)
            spread = (scores - s[:, None]).square().sum(-1) - (1 / variances).sum(-1)
            return torch.cat([s, (r * spread).sum(-1, keepdim=True)], -1)

        found = self._in_blocks(both, x)
        return found[:, :-1], found[:, -1]

    def squared_score_gap(self, x: Tensor, k: int) -> Tensor:
        """How far the score of component k is from that of the components before it, where both have density.

            [p_{<k} / (p_{<k} + w_k N_k)] || s_k - s_{<k} ||^2

        Args:
            x: Points, (M, D), float64.
            k: The index of a component, above 0.

        Returns:
            (M,).
        """
        first = self.subset(torch.arange(k + 1))
        before = first.responsibilities(x)[:, :k]
        share = before.sum(1, keepdim=True)
        scores = first.component_scores(x)
        difference = share * scores[:, k] - torch.einsum("bk,bki->bi", before, scores[:, :k])
        return difference.square().sum(1) / share[:, 0].clamp(min=1e-300)

    def posterior_mean(self, x: Tensor, alpha: Time, sigma: Time) -> Tensor:
        """The mean of X given that alpha X + sigma Z is x, by Bayes' rule over the components, without the score.

            E[X | x] = sum_k r_k(x) [mu_k + alpha S_k (alpha^2 S_k + sigma^2 I)^{-1} (x - alpha mu_k)]

        It keeps its digits for any alpha, where (x + sigma^2 s) / alpha loses them as alpha falls to 0.

        Args:
            x: (B, ..., D).
            alpha: A number or () for all points, or (B,), one for each leading index of x.
            sigma: As alpha.

        Returns:
            (B, ..., D), in the precision of x.
        """

        def guess(rows: Tensor, a: Tensor, s: Tensor) -> Tensor:
            along, variances, axes = self._project(rows, a, s)
            r = torch.softmax(self._logits(along, variances, axes), -1)
            gain = a[:, None, None] * self._eigenvalues.to(rows.device) / variances
            return torch.einsum("bk,bki->bi", r, self._means.to(rows.device) + torch.einsum("bkj,kij->bki", gain * along, axes))

        return self._in_blocks(guess, x, *_per_row(x, alpha, sigma))

    def denoising_posterior(self, x: Any, alpha: Time, sigma: Time) -> "GaussianMixture":
        """The distribution of X given that alpha X + sigma Z is x: a mixture again.

            sum_k r_k(x) N(mu_k + alpha S_k M_k^{-1} (x - alpha mu_k), S_k - alpha^2 S_k M_k^{-1} S_k),
            M_k = alpha^2 S_k + sigma^2 I

        Equal to posterior(alpha I, x, sigma^2 I), without a new factorisation and for any sigma above 0.

        Args:
            x: one point, (D,).
            alpha: a number or ().
            sigma: a number or (), above 0.

        Returns:
            A mixture with as many components.

        Raises:
            ValueError: unless x is one finite point and sigma is finite and above 0.
        """
        point = torch.as_tensor(x, dtype=torch.float64)
        alpha, sigma = float(alpha), float(sigma)
        if point.shape != (self.dim,) or not torch.isfinite(point).all():
            raise ValueError(f"x is {point.tolist()}; it must be one point of {self.dim} finite numbers")
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma is {sigma:g}; it must be finite and above 0")
        noisy = self.diffuse(alpha, sigma)
        along, variances, axes = noisy._project(point[None])
        shrunk = self._eigenvalues * sigma**2 / variances
        means = self._means + torch.einsum("kj,kij->ki", alpha * self._eigenvalues / variances * along[0], axes)
        covariances = (axes * shrunk[:, None, :]) @ axes.mT
        return _restore(means, covariances, shrunk, axes, torch.softmax(noisy._logits(along, variances, axes), -1)[0])

    def subset(self, components: Any) -> "GaussianMixture":
        """The mixture of some components.

        Args:
            components: their indices, in the order wanted, (M,), or one.

        Returns:
            The mixture, with their weights divided by their sum.

        Raises:
            ValueError: unless they are different components of this mixture, one of them with a weight above 0.
        """
        chosen = distinct_indices(components, "components", self.n_components)
        _check_weights(self._weights[chosen])
        parts = (self._means, self._covariances, self._eigenvalues, self._eigenvectors, self._weights)
        return _restore(*(part[chosen] for part in parts))

    def marginal(self, axes: Any) -> "GaussianMixture":
        """The distribution of some coordinates of X, whatever the others are.

        Args:
            axes: the coordinates, counted from 0, in the order wanted, (M,), or one.

        Returns:
            A mixture in M dimensions with as many components.

        Raises:
            ValueError: unless they are different axes of this mixture.
        """
        kept = distinct_indices(axes, "axes", self.dim)
        variances, directions = _squared_singular_values(self._factors[:, kept])
        return _restore(self._means[:, kept], self._covariances[:, kept][..., kept], variances, directions, self._weights)

    def condition(self, axes: Any, values: Any) -> "GaussianMixture":
        """The distribution of the other coordinates of X where some are known exactly.

            p(x_b | x_a) = p(x_a, x_b) / p(x_a)

        Args:
            axes: the known coordinates a, counted from 0, (M,), or one.
            values: x_a, (M,), or a number.

        Returns:
            A mixture in D - M dimensions with as many components; the remaining axes keep their order.

        Raises:
            ValueError: unless the axes are different axes of this mixture, not all, and have a finite value each; or where the
                values are too far away, or the other coordinates vary too little, for float64.
        """
        known = distinct_indices(axes, "axes", self.dim)
        if len(known) == self.dim:
            raise ValueError(f"axes are {known.tolist()}, all of this {self.dim}-D mixture; at least one must remain")
        rest = [axis for axis in range(self.dim) if axis not in known]
        means, factors = self._means, self._factors
        values = finite_array(values, "values", (len(known),))
        found = condition_gaussians(means[:, rest], factors[:, rest], values, means[:, known], factors[:, known])
        return _after(found, self._shares.log(), self._eigenvalues[:, -1])

    def posterior(self, A: Any, y: Any, noise_covariance: Any) -> "GaussianMixture":
        """The distribution of X given a linear measurement y = A X + noise, with the noise normal and independent of X.

            p(x | y) = p(x) N(y; A x, R) / p(y)
                     = sum_k v_k N(mu_k + G_k (y - A mu_k), S_k - G_k A S_k),   G_k = S_k A' (A S_k A' + R)^{-1},

        with weights v_k proportional to w_k N(y; A mu_k, A S_k A' + R).

        Args:
            A: what is measured, (M, D).
            y: the measurement, (M,).
            noise_covariance: R, symmetric and positive definite, (M, M), or a number for that many times the identity.

        Returns:
            A mixture with as many components.

        Raises:
            ValueError: if shapes disagree, a number is not finite, or R is not symmetric and positive definite; or where y is too
                far away, or the noise too small, for float64. Where some coordinates are known without noise, use `condition`.

        References:
            Bishop 2006, "Pattern Recognition and Machine Learning", section 2.3.3, for each component.
        """
        return _after(self._measured(A, y, noise_covariance), self._shares.log(), self._eigenvalues[:, -1])

    def log_evidence(self, A: Any, y: Any, noise_covariance: Any) -> float:
        """The log density, in nats, of a linear measurement y = A X + noise.

            log p(y) = log sum_k w_k N(y; A mu_k, A S_k A' + R)

        Args:
            A: what is measured, (M, D).
            y: the measurement, (M,).
            noise_covariance: R, as in `posterior`.

        Raises:
            ValueError: if shapes disagree, a number is not finite, or R is not symmetric and positive definite.
        """
        return float(torch.logsumexp(self._shares.log() + self._measured(A, y, noise_covariance).log_prob, 0))

    def product(self, other: "GaussianMixture") -> "GaussianMixture":
        """The distribution whose density is proportional to the product of two densities.

            p(x) q(x) / Z,   with a component N(x; mu_j, S_j) N(x; nu_k, T_k) for each pair,

        whose weight is proportional to w_j v_k N(nu_k; mu_j, S_j + T_k).

        Args:
            other: q, of the same dimension, with weights v_k, means nu_k and covariances T_k.

        Returns:
            A mixture of as many components as there are pairs: first all with the first component of q.

        Raises:
            ValueError: if the dimensions differ; or where the mixtures are too far apart, or q too narrow beside p, for float64.
        """
        if self.dim != other.dim:
            raise ValueError(f"the mixtures have {self.dim} and {other.dim} dimensions; a product needs equal ones")
        # A component of q says of X what a measurement of all its coordinates would.
        A, factors = torch.eye(self.dim, dtype=torch.float64), self._factors
        pairs = [
            measure_gaussians(self._means, factors, A, *measured) for measured in zip(other._means, other._factors, strict=True)
        ]
        found = Conditioned(*(torch.cat(parts) for parts in zip(*pairs, strict=True)))
        log_weights = (other._shares.log()[:, None] + self._shares.log()).flatten()
        return _after(found, log_weights, self._eigenvalues[:, -1].repeat(other.n_components))

    def natural(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> NaturalParameters:
        """Natural parameters of the diffused mixtures, in coordinates that start at an origin, for a whole grid at once.

            P = S^{-1},   h = P m,   c = log w - (m'Pm + log det S) / 2,   m = alpha mu - origin

        Args:
            alpha: (T,), float64.
            sigma: (T,), float64.
            origin: (T, D), float64.

        Returns:
            c, (T, K), h, (T, K, D), and P, (T, K, D, D).
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
        square = _sum_over_axes(along**2 / variances)
        return -(square + variances.log().sum(-1) + self.dim * math.log(2 * math.pi)) / 2

    def _logits(self, along: Tensor, variances: Tensor, axes: Tensor) -> Tensor:
        return self._shares.log().to(along.device) + self._component_log_prob(along, variances, axes)

    def _component_scores(self, along: Tensor, variances: Tensor, axes: Tensor) -> Tensor:
        return -torch.einsum("bkj,kij->bki", along / variances, axes)

    def _score(self, along: Tensor, variances: Tensor, axes: Tensor) -> Tensor:
        r = torch.softmax(self._logits(along, variances, axes), -1)
        return torch.einsum("bk,bki->bi", r, self._component_scores(along, variances, axes))

    @property
    def _factors(self) -> Tensor:
        """F_k with S_k = F_k F_k', (K, D, D)."""
        return self._eigenvectors * self._eigenvalues.sqrt()[:, None, :]

    def _measured(self, A: Any, y: Any, noise_covariance: Any) -> Conditioned:
        """Every component given a measurement, as in `posterior`."""
        y = finite_array(y, "y", ("M",))
        A = finite_array(A, "A", (len(y), self.dim))
        if isinstance(noise_covariance, int | float) or getattr(noise_covariance, "ndim", None) == 0:
            noise_covariance = float(noise_covariance) * torch.eye(len(y), dtype=torch.float64)
        R = finite_array(noise_covariance, "noise_covariance", (len(y), len(y)))
        try:
            variances, directions = _factorise(R[None])
        except ValueError as error:
            raise ValueError(f"noise_covariance is {R.tolist()}; it must be symmetric and positive definite") from error
        return measure_gaussians(self._means, self._factors, A, y, directions[0] * variances[0].sqrt())


def _after(found: Conditioned, log_weights: Tensor, widest: Tensor) -> GaussianMixture:
    """The mixture of components after an observation, given their weights and largest variances before it, each (K,)."""
    logits = log_weights + found.log_prob
    if not (torch.isfinite(found.means).all() and torch.isfinite(logits.max())):
        raise ValueError("what is observed is so far from the mixture that float64 cannot tell which component it is nearest to")
    variances, axes = _squared_singular_values(found.factors)
    least = variances[:, 0].sqrt()
    for k in (least <= NARROWEST_SHARE * widest.sqrt()).nonzero()[:1, 0].tolist():
        raise ValueError(
            f"what is observed leaves component {k} a standard deviation of about {float(least[k]):.3g} where it had up to "
            f"{float(widest[k].sqrt()):.3g} before; float64 does not tell this from 0"
        )
    return _restore(found.means, found.factors @ found.factors.mT, variances, axes, torch.softmax(logits, 0))


def _restore(means: Tensor, covariances: Tensor, eigenvalues: Tensor, eigenvectors: Tensor, weights: Tensor) -> GaussianMixture:
    """A mixture of parts that belong together, without checking or factorising them."""
    mixture = GaussianMixture.__new__(GaussianMixture)
    mixture._set(means, covariances, eigenvalues, eigenvectors, weights)
    return mixture


def _per_row(x: Tensor, *values: Time) -> list[Tensor]:
    """Numbers, or one for each leading index of x (B, ..., D), as one for each point of x, float64."""
    return [
        torch.as_tensor(over_leading_axes(v, x[..., 0]), dtype=torch.float64, device=x.device).expand(x.shape[:-1]).reshape(-1)
        for v in values
    ]


def typical_std(mixture: GaussianMixture) -> float:
    """The standard deviation of a component along an axis, as the geometric mean over axes and, by weight, over components.

    Args:
        mixture: the mixture.

    Returns:
        A length in units of x, above 0.
    """
    variances, _ = mixture.principal_axes
    return math.exp(float(mixture.weights @ variances.log().mean(1)) / 2)
