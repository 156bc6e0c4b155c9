"""Three ways to compute a score of a diffused mixture, with few operations, each over a block of points.

    logits l_k = log(w_k N(x; m_k, S_k)) + (D / 2) log 2 pi,   r = softmax(l),   s = sum_k r_k s_k,   s_k = P_k (m_k - x)

Points are arrays (D, B), coordinates first, measured from an origin near the mean of p_t. `form_of` chooses the quickest way.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture

# Logits this far below the highest are raised to it: exponentials that leave float32's normal range slow a core down tenfold.
LEAST_LOGIT = -80.0

# Numbers per block of points: what is computed of a block then stays within a core's cache, or near it.
BLOCK_NUMBERS = 200_000
LEAST_BLOCK = 128  # points, for matrix products and calls to be worth it

# Full covariances: with K components in D dimensions, the D^2 products of coordinates pay from K = D^2 / 10 on, as measured for
# D = 2 to 100 on one core; below, it is quicker to compute the score of each component.
MANY = 10

Rows = tuple[Tensor, ...]  # what is prepared for one time


class Work(NamedTuple):
    """Arrays for a block of B points, cut from one buffer."""

    features: Tensor  # (F, B): products of coordinates, then the coordinates, then a row of ones
    x: Tensor  # (D, B), part of the features
    logits: Tensor  # (K, B), right behind the row of ones
    rest: Tensor  # (R, B)
    buffer: Tensor  # all of them, (F + K + R, B)


class Form(Protocol):
    """A way to compute the score; sizes are the rows of features, logits and rest of its Work."""

    sizes: tuple[int, int, int]

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """Coefficients for T times: alpha and sigma (T,), origin (T, D), float64 -> arrays (T, ...), float64."""
        ...

    def logits(self, work: Work, rows: Rows, scratch: Tensor, /) -> Tensor:
        """(K, B), from work.x; scratch is (D, B)."""
        ...

    def score(self, work: Work, rows: Rows, out: Tensor, /) -> None:
        """Write the score, (D, B), into `out`."""
        ...


def shares(logits: Tensor, scratch: Tensor) -> Tensor:
    """Responsibilities up to a factor of each point, in place of the logits (K, B): none is so small that a core slows down."""
    return logits.sub_(torch.amax(logits, 0, out=scratch)).clamp_(min=LEAST_LOGIT).exp_()


def form_of(mixture: GaussianMixture) -> Form:
    """The quickest form for a mixture, by the shape of its covariances and by K and D.

    Args:
        mixture: the distribution of the data.
    """
    K, D, rank = mixture.n_components, mixture.dim, mixture.excess_rank
    if rank == 0 or mixture.is_diagonal:
        return Features(mixture, 0 if rank == 0 else 1)
    if 4 * rank <= D:
        return LowRank(mixture)
    return Projected(mixture) if K * MANY < D * D else Features(mixture, D)


def points_in_block(numbers: int) -> int:
    """Points that are computed at once, where each takes so many numbers."""
    return max(LEAST_BLOCK, BLOCK_NUMBERS // numbers)


class Features:
    """Logits and score from products of coordinates: sums over components are two matrix products.

        l_k = c_k + h_k.x - x'P_k x / 2,   s = sum_k r_k h_k - (sum_k r_k P_k) x,   h_k = P_k m_k

    The products x_i x_{i+o} are laid out by their offset o, so that a symmetric matrix is kept once: all offsets for full
    covariances, offset 0 for diagonal ones, and |x|^2 alone for isotropic ones. Of two components, the share of the second is
    the logistic function of the difference of their logits.

    Args:
        mixture: the distribution of the data.
        offsets: how many offsets, D, 1 or 0, by the shape of its covariances.
    """

    def __init__(self, mixture: GaussianMixture, offsets: int) -> None:
        """Keep what preparing needs."""
        self._mixture, self._offsets = mixture, offsets
        K, D = mixture.n_components, mixture.dim
        self._lengths = [1] if offsets == 0 else [D - o for o in range(offsets)]
        self._pair = K == 2
        Q = sum(self._lengths)
        self.sizes = (Q + D + 1, K, D + Q + 1)

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """See Form: rows for the logits, and for the moments; of two components, for their differences too."""
        c, h, products = self._natural(alpha[:, None], sigma[:, None], origin)
        weight = torch.cat([torch.full((n,), -1.0 if o else -0.5) for o, n in enumerate(self._lengths)])
        logits = torch.cat([products * weight.to(products), h, c[..., None]], -1)
        moments = torch.cat([h, -products, torch.ones_like(c)[..., None]], -1).mT.contiguous()
        if self._pair:
            change = torch.cat([moments[..., :1], moments[..., 1:] - moments[..., :1]], -1)[:, :-1].contiguous()
            return logits, change, logits[:, 1:] - logits[:, :1]
        return logits, moments

    def _natural(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c (T, K), h (T, K, D) and the entries of P by offsets (T, K, Q)."""
        if self._offsets == self._mixture.dim > 1:
            c, h, P = self._mixture.natural(alpha[:, 0], sigma[:, 0], origin)
            return c, h, torch.cat([P.diagonal(o, -2, -1) for o in range(self._offsets)], -1)
        variances = self._mixture.covariances.diagonal(dim1=1, dim2=2)
        noisy = alpha[..., None] ** 2 * variances + sigma[..., None] ** 2
        m = alpha[..., None] * self._mixture.means - origin[:, None]
        c = self._mixture.weights.log() - (m * m / noisy + noisy.log()).sum(-1) / 2
        return c, m / noisy, 1 / (noisy if self._offsets else noisy[..., :1])

    def logits(self, work: Work, rows: Rows, scratch: Tensor) -> Tensor:
        """See Form."""
        self._multiply(work, scratch)
        return torch.mm(rows[0], work.features, out=work.logits)

    def _multiply(self, work: Work, scratch: Tensor) -> None:
        """Write the products."""
        x = work.x
        if self._offsets == 0:
            torch.sum(torch.mul(x, x, out=scratch), 0, out=work.features[0])
            return
        start = 0
        for o, n in enumerate(self._lengths):
            torch.mul(x[:n], x[o:], out=work.features[start : start + n])
            start += n

    def score(self, work: Work, rows: Rows, out: Tensor) -> None:
        """See Form."""
        D, x = len(work.x), work.x
        moments, total = work.rest[:-1], None
        if self._pair:
            self._multiply(work, out)
            torch.mm(rows[2], work.features, out=work.logits[:1]).clamp_(min=LEAST_LOGIT).sigmoid_()
            start = len(work.features) - 1
            torch.mm(rows[1], work.buffer[start : start + 2], out=moments)
        else:
            r = shares(self.logits(work, rows, out), out[0])
            torch.mm(rows[1], r, out=work.rest)
            total = work.rest[-1]
        torch.addcmul(moments[:D], moments[D : D + self._lengths[0]], x, out=out)
        start = D + self._lengths[0]
        for o, n in enumerate(self._lengths[1:], 1):
            part = moments[start : start + n]
            out[:n].addcmul_(part, x[o:])
            out[o:].addcmul_(part, x[:n])
            start += n
        if total is not None:
            out.div_(total)


class Projected:
    """The score of every component at every point by one matrix product, and logits from them.

        s_k = h_k - P_k x,   l_k = c_k + (h_k + s_k).x / 2

    Args:
        mixture: the distribution of the data.
    """

    def __init__(self, mixture: GaussianMixture) -> None:
        """Keep what preparing needs."""
        self._mixture = mixture
        K, D = mixture.n_components, mixture.dim
        self.sizes = (D + 1, K, D * K)

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """See Form: rows for the linear part of the logits, and for the scores, coordinates first."""
        c, h, P = self._mixture.natural(alpha, sigma, origin)
        scores = torch.cat([-P, h[..., None]], -1)  # (T, K, D, D + 1)
        return torch.cat([h / 2, c[..., None]], -1), scores.transpose(1, 2).flatten(1, 2)

    def logits(self, work: Work, rows: Rows, _scratch: Tensor) -> Tensor:
        """See Form."""
        torch.mm(rows[1], work.features, out=work.rest)
        torch.mm(rows[0], work.features, out=work.logits)
        for scores, coordinate in zip(work.rest.view(len(work.x), *work.logits.shape), work.x, strict=True):
            work.logits.addcmul_(scores, coordinate, value=0.5)
        return work.logits

    def score(self, work: Work, rows: Rows, out: Tensor) -> None:
        """See Form."""
        r = shares(self.logits(work, rows, out), out[0])
        scores = work.rest.view(len(out), *r.shape)
        torch.mul(scores[:, 0], r[0], out=out)
        for k in range(1, len(r)):
            out.addcmul_(scores[:, k], r[k])
        out.div_(r.sum(0))


class LowRank:
    """Covariances S_k = U_k E_k U_k' + v_k I of rank R beside the isotropic part: R coordinates y of each component.

        P_k = p_k I - A_k A_k',   y_k = A_k'(x - m_k),   l_k = c_k - p_k |x - m_k|^2 / 2 + |y_k|^2 / 2,
        s = sum_k r_k (A_k y_k - p_k (x - m_k))

    Args:
        mixture: the distribution of the data.
    """

    def __init__(self, mixture: GaussianMixture) -> None:
        """Keep what preparing needs."""
        self._mixture, self._rank = mixture, mixture.excess_rank
        K, D = mixture.n_components, mixture.dim
        self.sizes = (D + 2, K, K * self._rank + D + 2)

    def prepare(self, alpha: Tensor, sigma: Tensor, origin: Tensor) -> Rows:
        """See Form: rows for logits and y, and for the moments."""
        variances, axes = self._mixture.principal_axes
        alpha, noise = alpha[:, None, None], sigma[:, None, None] ** 2
        noisy = alpha**2 * variances + noise  # (T, K, D), ascending
        p, kept = 1 / noisy[..., :1], noisy[..., -self._rank :]
        A = axes[:, :, -self._rank :] * (p - 1 / kept).clamp_(min=0).sqrt()[..., None, :]  # (T, K, D, R)
        m = alpha * self._mixture.means - origin[:, None]
        c = self._mixture.weights.log() - ((p[..., 0] * m.square().sum(-1)) + noisy.log().sum(-1)) / 2
        linear = torch.cat([-p / 2, p * m, c[..., None]], -1)  # (T, K, D + 2), for (|x|^2, x, 1)
        along = torch.cat([torch.zeros_like(A[:, :, :1]), A, -(m[..., None, :] @ A)], 2)  # (T, K, D + 2, R)
        one = torch.ones_like(p)
        moments = torch.cat(
            [torch.cat([p * m, -p, one], -1).mT, self._by_axis(torch.cat([A, torch.zeros_like(A[:, :, :2])], 2)).mT], -1
        )
        return torch.cat([linear, self._by_axis(along)], 1), moments.contiguous()

    @staticmethod
    def _by_axis(parts: Tensor) -> Tensor:
        """(T, K, M, R) -> (T, R K, M)."""
        return parts.permute(0, 3, 1, 2).flatten(1, 2)

    def logits(self, work: Work, rows: Rows, scratch: Tensor) -> Tensor:
        """See Form."""
        K, F = len(work.logits), len(work.features)
        torch.sum(torch.mul(work.x, work.x, out=scratch), 0, out=work.features[0])
        torch.mm(rows[0], work.features, out=work.buffer[F : F + K * (self._rank + 1)])
        for y in self._along(work):
            work.logits.addcmul_(y, y, value=0.5)
        return work.logits

    def _along(self, work: Work) -> Tensor:
        """(R, K, B)."""
        return work.rest[: self._rank * len(work.logits)].view(self._rank, *work.logits.shape)

    def score(self, work: Work, rows: Rows, out: Tensor) -> None:
        """See Form."""
        r, F, D = shares(self.logits(work, rows, out), out[0]), len(work.features), len(out)
        self._along(work).mul_(r)
        moments = torch.mm(rows[1], work.buffer[F : F + len(r) * (self._rank + 1)], out=work.rest[-D - 2 :])
        torch.addcmul(moments[:D], moments[D], work.x, out=out).div_(moments[D + 1])
