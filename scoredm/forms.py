"""Four ways to compute a score of a diffused mixture, with few operations, each over a block of points.

    logits l_k = log(w_k N(x; m_k, S_k)) + (D / 2) log 2 pi,   r = softmax(l),   s = sum_k r_k s_k,   s_k = P_k (m_k - x)

Points are arrays (D, B), coordinates first, measured from an origin near the mean of p_t. `form_of` chooses the quickest way.
"""

from typing import Protocol, final

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture

# Logits this far below the highest are raised to it: exponentials that leave float32's normal range slow a core down tenfold.
LEAST_LOGIT = -80.0

# Numbers per block of points: what is computed of a block then stays within a core's cache, or near it.
BLOCK_NUMBERS = 400_000
LEAST_BLOCK = 128  # points, for matrix products and calls to be worth it

# Full covariances: with K components in D dimensions, the D^2 products of coordinates pay from K = D^2 / 10 on, as measured for
# D = 2 to 100 on one core; below, it is quicker to compute the score of each component.
MANY = 10

FEW_AXES = 4  # up to so many, two components are quickest as a pair whatever their covariances

Rows = tuple[Tensor, ...]  # what is prepared for one time


class Block(Protocol):
    """Arrays for a block of B points, and what is computed in them; making views costs as much as adding, so they are kept."""

    x: Tensor  # (D, B): the points, which the caller writes
    ones: Tensor  # (B,): ones, which blocks of another width write over

    def logits(self, rows: Rows, /) -> Tensor:
        """The logits of the points.

        Args:
            rows: what is prepared for their time.

        Returns:
            l, (K, B), until the next block is computed.
        """
        ...

    def add(self, rows: Rows, out: Tensor, weight: float, /) -> None:
        """Add the score of the points, times a weight.

        Args:
            rows: what is prepared for their time.
            out: what weight s is added to, (D, B).
            weight: a factor.
        """
        ...


class Form(Protocol):
    """A way to compute the score; `numbers` is how many numbers a point takes."""

    numbers: int

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """Coefficients for T times.

        Args:
            alpha: (T,), float64.
            sigma: (T,), float64.
            origin: where coordinates start, (T, D), float64.

        Returns:
            Arrays (T, ...), float64.
        """
        ...

    def block(self, buffer: Tensor) -> Block:
        """The arrays for B points.

        Args:
            buffer: what they are cut from, (numbers, B).
        """
        ...


def shares(logits: Tensor, scratch: Tensor) -> Tensor:
    """Responsibilities up to a factor of each point; none is so small that a core slows down.

    Args:
        logits: (K, B); they are overwritten.
        scratch: (B,).

    Returns:
        The logits' memory, (K, B).
    """
    return logits.sub_(torch.amax(logits, 0, out=scratch)).clamp_(min=LEAST_LOGIT).exp_()


def points_in_block(numbers: int) -> int:
    """Points that are computed at once.

    Args:
        numbers: how many a point takes.
    """
    return max(LEAST_BLOCK, BLOCK_NUMBERS // numbers)


def form_of(mixture: GaussianMixture) -> Form:
    """The quickest form for a mixture, by the shape of its covariances and by K and D.

    Args:
        mixture: the distribution of the data.
    """
    K, D, rank = mixture.n_components, mixture.dim, mixture.excess_rank
    simple = rank == 0 or mixture.is_diagonal
    if K == 2 and (D <= FEW_AXES or not simple and 4 * rank > D):
        return Pair(mixture)
    if simple:
        return Features(mixture, 0 if rank == 0 else 1)
    if 4 * rank <= D:
        return LowRank(mixture)
    return Projected(mixture) if K * MANY < D * D else Features(mixture, D)


@final
class Features(Form):
    """Logits and score from products of coordinates: sums over components are two matrix products.

        l_k = c_k + h_k.x - x'P_k x / 2,   s = sum_k r_k h_k - (sum_k r_k P_k) x,   h_k = P_k m_k

    The products x_i x_{i+o} are laid out by their offset o, so that a symmetric matrix is kept once: all offsets for full
    covariances, offset 0 for diagonal ones, and |x|^2 alone for isotropic ones.

    Args:
        mixture: the distribution of the data.
        offsets: how many offsets, D, 1 or 0, by the shape of its covariances.
    """

    def __init__(self, mixture: GaussianMixture, offsets: int) -> None:
        """Keep what preparing needs."""
        self._mixture, self._offsets = mixture, offsets
        self.components, self.dim = mixture.n_components, mixture.dim
        self.lengths = [self.dim - o for o in range(offsets)] or [1]
        self.numbers = 2 * sum(self.lengths) + 2 * self.dim + 2 + self.components

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """Rows for the logits, and for the moments."""
        c, h, products = self._natural(alpha[:, None], sigma[:, None], origin)
        weight = torch.cat([torch.full((n,), -1.0 if o else -0.5) for o, n in enumerate(self.lengths)])
        logits = torch.cat([products * weight.to(products), h, c[..., None]], -1)
        return logits, torch.cat([h, -products, torch.ones_like(c)[..., None]], -1).mT.contiguous()

    def _natural(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c (T, K), h (T, K, D) and the entries of P by offsets (T, K, Q)."""
        if self._offsets == self.dim > 1:
            c, h, P = self._mixture.natural(alpha[:, 0], sigma[:, 0], origin)
            return c, h, torch.cat([P.diagonal(o, -2, -1) for o in range(self._offsets)], -1)
        variances = self._mixture.covariances.diagonal(dim1=1, dim2=2)
        noisy = alpha[..., None] ** 2 * variances + sigma[..., None] ** 2
        m = alpha[..., None] * self._mixture.means - origin[:, None]
        c = self._mixture.weights.log() - (m * m / noisy + noisy.log()).sum(-1) / 2
        return c, m / noisy, 1 / (noisy if self._offsets else noisy[..., :1])

    def block(self, buffer: Tensor) -> Block:
        """The arrays for B points."""
        return _FeaturesBlock(self, buffer)


@final
class _FeaturesBlock(Block):
    """The arrays, from the top: products, coordinates, ones; logits; h, the entries of P and the sum of the shares."""

    def __init__(self, form: Features, buffer: Tensor) -> None:
        Q, D, K = sum(form.lengths), form.dim, form.components
        self._isotropic = form.lengths[0] < D  # where D = 1 there is no difference
        self._features, self._logits, self._moments = buffer.split([Q + D + 1, K, D + Q + 1])
        products, self.x, (self.ones,) = self._features.split([Q, D, 1])
        self._h, entries, (self._total,) = self._moments.split([D, Q, 1])
        self._diagonal, *parts = entries.split(form.lengths)
        self._square = products[0]
        self._products = [
            (product, self.x[: D - o], self.x[o:]) for o, product in enumerate(products.split(form.lengths))
        ]  # their places, and their factors
        self._crossed = [
            (self._h[place], part, self.x[other])
            for o, part in enumerate(parts, start=1)
            for place, other in ((slice(D - o), slice(o, None)), (slice(o, None), slice(D - o)))
        ]

    def logits(self, rows: Rows) -> Tensor:
        if self._isotropic:
            torch.sum(torch.mul(self.x, self.x, out=self._h), 0, out=self._square)
        else:
            for product, one, other in self._products:
                torch.mul(one, other, out=product)
        return torch.mm(rows[0], self._features, out=self._logits)

    def add(self, rows: Rows, out: Tensor, weight: float) -> None:
        torch.mm(rows[1], shares(self.logits(rows), self._total), out=self._moments)
        for place, entries, coordinates in self._crossed:
            place.addcmul_(entries, coordinates)
        out.addcdiv_(self._h.addcmul_(self._diagonal, self.x), self._total, value=weight)


@final
class Pair(Form):
    """Two components: the score of the first, and as much of the way to that of the second as its share.

        s = s_1 + r d,   d = s_2 - s_1 = (h_2 - h_1) - (P_2 - P_1) x,
        r = 1 / (1 + exp(l_1 - l_2)),   l_2 - l_1 = c_2 - c_1 + (h_2 - h_1 + d).x / 2,   l_1 = c_1 + (h_1 + s_1).x / 2

    Args:
        mixture: the distribution of the data, with two components.
    """

    def __init__(self, mixture: GaussianMixture) -> None:
        """Keep what preparing needs."""
        self._mixture, self.dim = mixture, mixture.dim
        self.numbers = 3 * self.dim + 4

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """Rows for s_1, for d and for the linear part of l_2 - l_1; and for those of l_1 and l_2."""
        c, h, P = self._mixture.natural(alpha, sigma, origin)
        scores = torch.cat([-P, h[..., None]], -1)  # (T, 2, D, D + 1)
        linear = torch.cat([h / 2, c[..., None]], -1)  # (T, 2, D + 1)
        return torch.cat([scores[:, 0], scores[:, 1] - scores[:, 0], linear[:, 1:] - linear[:, :1]], 1), linear

    def block(self, buffer: Tensor) -> Block:
        """The arrays for B points."""
        return _PairBlock(self, buffer)


@final
class _PairBlock(Block):
    """The arrays, from the top: coordinates, ones; s_1; d; l_2 - l_1, and then the share; logits."""

    def __init__(self, form: Pair, buffer: Tensor) -> None:
        D = form.dim
        self._features, self._found, self._logits = buffer.split([D + 1, 2 * D + 1, 2])
        self.x, self.ones = self._features[:-1], self._features[-1]
        self._first, self._change, (self._share,) = self._found.split([D, D, 1])
        self._along = [*zip(self._first.unbind(), self._change.unbind(), self.x.unbind(), strict=True)]

    def logits(self, rows: Rows) -> Tensor:
        torch.mm(rows[0], self._features, out=self._found)
        torch.mm(rows[1], self._features, out=self._logits)
        for score, change, coordinate in self._along:
            self._logits.addcmul_(score, coordinate, value=0.5)
            self._logits[1].addcmul_(change, coordinate, value=0.5)
        return self._logits

    def add(self, rows: Rows, out: Tensor, weight: float) -> None:
        torch.mm(rows[0], self._features, out=self._found)
        for _, change, coordinate in self._along:
            self._share.addcmul_(change, coordinate, value=0.5)
        out.add_(self._first, alpha=weight)
        out.addcmul_(self._change, self._share.clamp_(min=LEAST_LOGIT).sigmoid_(), value=weight)


@final
class Projected(Form):
    """The score of every component at every point by one matrix product, and logits from them.

        s_k = h_k - P_k x,   l_k = c_k + (h_k + s_k).x / 2

    Args:
        mixture: the distribution of the data.
    """

    def __init__(self, mixture: GaussianMixture) -> None:
        """Keep what preparing needs."""
        self._mixture = mixture
        self.components, self.dim = mixture.n_components, mixture.dim
        self.numbers = self.dim + 2 + self.components * (self.dim + 1)

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """Rows for the linear part of the logits, and for the scores, coordinates first."""
        c, h, P = self._mixture.natural(alpha, sigma, origin)
        scores = torch.cat([-P, h[..., None]], -1)  # (T, K, D, D + 1)
        return torch.cat([h / 2, c[..., None]], -1), scores.transpose(1, 2).flatten(1, 2)

    def block(self, buffer: Tensor) -> Block:
        """The arrays for B points."""
        return _ProjectedBlock(self, buffer)


@final
class _ProjectedBlock(Block):
    """The arrays, from the top: coordinates, ones; logits; scores, (D, K, B); a row for sums."""

    def __init__(self, form: Projected, buffer: Tensor) -> None:
        K, D = form.components, form.dim
        self._features, self._logits, self._scores, (self._total,) = buffer.split([D + 1, K, D * K, 1])
        self.x, self.ones = self._features[:-1], self._features[-1]
        scores = self._scores.view(D, K, -1)
        self._by_coordinate = [*zip(scores.unbind(), self.x.unbind(), strict=True)]
        self._by_component = [*zip(scores.unbind(1), self._logits.unbind(), strict=True)]

    def logits(self, rows: Rows) -> Tensor:
        torch.mm(rows[1], self._features, out=self._scores)
        torch.mm(rows[0], self._features, out=self._logits)
        for scores, coordinate in self._by_coordinate:
            self._logits.addcmul_(scores, coordinate, value=0.5)
        return self._logits

    def add(self, rows: Rows, out: Tensor, weight: float) -> None:
        r = shares(self.logits(rows), self._total)
        r.div_(torch.sum(r, 0, out=self._total))
        for scores, share in self._by_component:
            out.addcmul_(scores, share, value=weight)


@final
class LowRank(Form):
    """Covariances S_k = U_k E_k U_k' + v_k I of rank R beside the isotropic part: R coordinates y of each component.

        P_k = p_k I - A_k A_k',   y_k = A_k'(x - m_k),   l_k = c_k - p_k |x - m_k|^2 / 2 + |y_k|^2 / 2,
        s = sum_k r_k (A_k y_k - p_k (x - m_k))

    Args:
        mixture: the distribution of the data.
    """

    def __init__(self, mixture: GaussianMixture) -> None:
        """Keep what preparing needs."""
        self._mixture = mixture
        self.components, self.dim, self.rank = mixture.n_components, mixture.dim, mixture.excess_rank
        self.numbers = 2 * self.dim + 4 + self.components * (self.rank + 1)

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """Rows for logits and y, and for the moments."""
        variances, axes = self._mixture.principal_axes
        alpha, noise = alpha[:, None, None], sigma[:, None, None] ** 2
        noisy = alpha**2 * variances + noise  # (T, K, D), ascending
        p, kept = 1 / noisy[..., :1], noisy[..., -self.rank :]
        A = axes[:, :, -self.rank :] * (p - 1 / kept).clamp_(min=0).sqrt()[..., None, :]  # (T, K, D, R)
        m = alpha * self._mixture.means - origin[:, None]
        c = self._mixture.weights.log() - (p[..., 0] * m.square().sum(-1) + noisy.log().sum(-1)) / 2
        linear = torch.cat([-p / 2, p * m, c[..., None]], -1)  # (T, K, D + 2), for (|x|^2, x, 1)
        along = torch.cat([torch.zeros_like(A[:, :, :1]), A, -(m[..., None, :] @ A)], 2)  # (T, K, D + 2, R)
        apart = torch.cat([p * m, -p, torch.ones_like(p)], -1)
        moments = torch.cat([apart, _by_axis(torch.cat([A, torch.zeros_like(A[:, :, :2])], 2))], 1)
        return torch.cat([linear, _by_axis(along)], 1), moments.mT.contiguous()

    def block(self, buffer: Tensor) -> Block:
        """The arrays for B points."""
        return _LowRankBlock(self, buffer)


def _by_axis(parts: Tensor) -> Tensor:
    """(T, K, M, R) -> (T, R K, M)."""
    return parts.permute(0, 3, 1, 2).flatten(1, 2)


@final
class _LowRankBlock(Block):
    """The arrays, from the top: |x|^2, coordinates, ones; logits; y, (R, K, B); h, p and the sum of the shares."""

    def __init__(self, form: LowRank, buffer: Tensor) -> None:
        K, D, R = form.components, form.dim, form.rank
        self._features, self._found, self._moments = buffer.split([D + 2, K * (R + 1), D + 2])
        (self._square,), self.x, (self.ones,) = self._features.split([1, D, 1])
        self._h, self._p, (self._total,) = self._moments.split([D, 1, 1])
        self._logits, y = self._found.split([K, K * R])
        self._y = y.view(R, K, -1)
        self._by_axis = self._y.unbind()

    def logits(self, rows: Rows) -> Tensor:
        torch.sum(torch.mul(self.x, self.x, out=self._h), 0, out=self._square)
        torch.mm(rows[0], self._features, out=self._found)
        for y in self._by_axis:
            self._logits.addcmul_(y, y, value=0.5)
        return self._logits

    def add(self, rows: Rows, out: Tensor, weight: float) -> None:
        self._y.mul_(shares(self.logits(rows), self._total))
        torch.mm(rows[1], self._found, out=self._moments)
        out.addcdiv_(self._h.addcmul_(self._p, self.x), self._total, value=weight)
