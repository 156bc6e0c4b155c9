"""Densities and scores over the plane and over time, as arrays ready to be drawn.

A window is (x_min, x_max, y_min, y_max) in data units; a picture has its row 0 at y_min and holds values at cell centres.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from scoredm.frames import Density
from scoredm.mixture import GaussianMixture
from scoredm.score import GridScore, ScoreFn, exact_score
from scoredm.sde import SDE

Times = Sequence[float] | np.ndarray

REACH = 3.2  # standard deviations of p_t shown on each side of its mean
LOG_RANGE = 12.0  # nats below the highest point at which a picture of the log density goes blank
PEAK_REACH = 7.0  # standard deviations around a narrow component in which a curve has points of its own
PEAK_POINTS = 801  # of them at most, about
SHARES = (0.25, 0.5, 0.75, 0.95)  # of the probability, inside the contours of an outline
CURVE_POINTS = 401  # of the density on the line


def _centres(low: float, high: float, n: int) -> np.ndarray:
    return low + (high - low) * (np.arange(n) + 0.5) / n


def grid_points(window: Sequence[float], n: int) -> Tensor:
    """Centres of the n x n cells of a window, row by row from y_min.

    Args:
        window: x_min, x_max, y_min, y_max.
        n: The number of cells along each side.

    Returns:
        (n * n, 2), in float32, or in float64 where float32 would move the centres by more than a hundredth of a cell.
    """
    x, y = np.meshgrid(_centres(window[0], window[1], n), _centres(window[2], window[3], n))
    cell = min(window[1] - window[0], window[3] - window[2]) / n
    fine = max(map(abs, window)) * np.finfo(np.float32).eps / 2 > cell / 100
    return torch.tensor(np.stack([x.ravel(), y.ravel()], 1), dtype=torch.float64 if fine else torch.float32)


def line_points(mixture: GaussianMixture, low: float, high: float, n: int) -> np.ndarray:
    """Points for a curve of a one-dimensional density, evenly spaced, and more across components too narrow for the spacing.

    A component less than two spacings wide would be cut short, or missed.

    Args:
        mixture: one-dimensional.
        low: where the curve begins.
        high: where it ends.
        n: the number of evenly spaced points.

    Returns:
        Rising, n or more.
    """
    even = np.linspace(low, high, n)
    means, stds = mixture.means[:, 0].numpy(), mixture.covariances[:, 0, 0].sqrt().numpy()
    narrow = stds < 2 * (even[1] - even[0])
    if not narrow.any():
        return even
    each = 2 * min(12, PEAK_POINTS // (2 * int(narrow.sum()))) + 1
    close = means[narrow, None] + stds[narrow, None] * np.linspace(-PEAK_REACH, PEAK_REACH, each)
    return np.unique(np.concatenate([even, close[(close > low) & (close < high)]]))


def windows(mixture: GaussianMixture, sde: SDE, times: Times, follow: bool) -> np.ndarray:
    """Square windows that hold p_t at each time.

    Args:
        mixture: the distribution of the data, in the plane.
        sde: the forward diffusion.
        times: T times.
        follow: whether each window reaches 3.2 standard deviations around the mean of its own p_t; otherwise every window is the
            one that holds them all.

    Returns:
        x_min, x_max, y_min, y_max at each time, (T, 4).
    """
    alpha, sigma = np.array([sde.scales(float(t)) for t in times]).T
    variance = float(mixture.covariance.diagonal().max())
    half = REACH * np.sqrt(alpha**2 * variance + sigma**2)
    x, y = (alpha * centre for centre in mixture.mean.tolist())
    box = np.stack([x - half, x + half, y - half, y + half], -1)
    if follow:
        return box
    whole = np.array([box[:, 0].min(), box[:, 1].max(), box[:, 2].min(), box[:, 3].max()])
    return np.tile(whole, (len(box), 1))


def span(mixture: GaussianMixture, sde: SDE) -> tuple[float, float]:
    """The interval that holds p_t at every t.

    Args:
        mixture: the distribution of the data, one-dimensional.
        sde: the forward diffusion.

    Returns:
        Its lower and upper end.
    """
    ends = [mixture.at(sde, t) for t in (0.0, 1.0)]
    reach = [REACH * float(p.covariance[0, 0]) ** 0.5 for p in ends]
    low = min(float(p.mean[0]) - r for p, r in zip(ends, reach, strict=True))
    high = max(float(p.mean[0]) + r for p, r in zip(ends, reach, strict=True))
    return low, high


def windows_1d(mixture: GaussianMixture) -> tuple[float, float]:
    """The interval that holds a one-dimensional distribution: 3.2 standard deviations on each side of its mean.

    Args:
        mixture: the distribution.

    Returns:
        Its lower and upper end.
    """
    half = REACH * float(mixture.covariance[0, 0]) ** 0.5
    return float(mixture.mean[0]) - half, float(mixture.mean[0]) + half


def density_pictures(
    mixture: GaussianMixture,
    sde: SDE,
    times: Times,
    boxes: np.ndarray,
    n: int = 64,
    scale: Literal["root", "log"] = "root",
) -> np.ndarray:
    """p_t over a window at each time, relative to the highest point of each picture.

    What is narrower than a cell is shown as wide as one, with its whole mass.

    Args:
        mixture: the distribution of the data, in the plane.
        sde: the forward diffusion.
        times: T times.
        boxes: the windows, (T, 4).
        n: the number of cells along each side.
        scale: "root" shows sqrt(p / max p), so that thin tails can be seen; "log" shows log p over its top 12 nats.

    Returns:
        (T, n, n), from 0 to 1, float32.
    """
    times = [float(t) for t in times]
    prepared = exact_score(mixture, sde).on_grid(times, grid_points(boxes[0], n))
    pictures = np.empty((len(times), n, n), dtype=np.float32)
    for i, (t, box) in enumerate(zip(times, boxes, strict=True)):
        below = _log_cells(mixture, sde, prepared, t, box, n)
        below = below - below.max()
        shown = (below / 2).exp() if scale == "root" else (1 + below / LOG_RANGE).clamp(min=0)
        pictures[i] = shown.reshape(n, n).numpy()
    return pictures


def density(
    mixture: GaussianMixture,
    sde: SDE,
    times: Times,
    cells: int = 64,
    scale: Literal["root", "log"] = "root",
    steps: int = 0,
    alone: int = -1,
) -> Density:
    """p_t as its components, from which the stage draws what `density_pictures` computes.

    Args:
        mixture: the distribution of the data, in the plane.
        sde: the forward diffusion.
        times: T times.
        cells: along each side of the picture.
        scale: see `density_pictures`.
        steps: see `bands`; 0 for none.
        alone: the only component to draw, or -1 for all.
    """
    variances, axes = mixture.principal_axes
    scales = np.array([sde.scales(float(t)) for t in times])
    return Density(
        weights=mixture.weights.numpy(),
        means=mixture.means.numpy(),
        variances=variances.flip(-1).numpy(),
        angles=torch.atan2(axes[:, 1, 1], axes[:, 0, 1]).numpy(),
        alpha=scales[:, 0],
        sigma=scales[:, 1],
        cells=cells,
        scale=scale,
        steps=steps,
        alone=alone,
    )


def _log_cells(mixture: GaussianMixture, sde: SDE, prepared: GridScore, t: float, box: Sequence[float], n: int) -> Tensor:
    """log p_t at the centres of the n x n cells of a square window, (n * n,).

    No component is narrower than half a cell along any of its axes: it would fall between the centres, or on one by luck. Where
    one is, its variance there is raised to (h / 2)^2, h the side of a cell, which leaves its mass as it is.
    """
    points, least = grid_points(box, n), ((box[1] - box[0]) / n / 2) ** 2
    p_t = mixture.at(sde, t)
    variances, axes = p_t.principal_axes
    if float(variances.min()) >= least:
        return prepared.log_prob(points, t) if points.dtype == torch.float32 else p_t.log_prob(points)
    points, variances = points.double(), variances.clamp(min=least)
    constant = p_t.weights.log() - variances.log().sum(1) / 2 - math.log(2 * math.pi)
    total = torch.full((len(points),), -math.inf, dtype=torch.float64)
    for mean, variance, turn, height in zip(p_t.means, variances, axes, constant, strict=True):
        along = (points - mean) @ turn
        torch.logaddexp(total, height - (along.square() / variance).sum(1) / 2, out=total)
    return total.float()


def nearness(mixture: GaussianMixture, x: Tensor, nats: float) -> np.ndarray:
    """How near points are to the data: 1 at the mean of a component, falling to 0 where its density is `nats` lower.

    A broad component counts as much as a narrow one, whose density is higher.

    Args:
        mixture: The distribution of the data.
        x: Points, (M, D).
        nats: Where nearness ends, above 0.

    Returns:
        (M,), in [0, 1].
    """
    variances, _ = mixture.principal_axes
    peaks = -(variances.log().sum(1) + mixture.dim * math.log(2 * math.pi)) / 2
    below = (mixture.component_log_prob(x.double()) - peaks)[:, mixture.weights > 0].amax(1)
    return (1 + below / nats).clamp(min=0).numpy()


def density_curves(mixture: GaussianMixture, sde: SDE, times: Times, y: np.ndarray) -> np.ndarray:
    """p_t(y) on given points of the line.

    Args:
        mixture: the distribution of the data, one-dimensional.
        sde: the forward diffusion.
        times: T times.
        y: points, (M,).

    Returns:
        (T, M), per unit of y.
    """
    points = torch.tensor(y, dtype=torch.float64)[:, None]
    return np.stack([mixture.at(sde, t).log_prob(points).exp().numpy() for t in times])


def cell_densities(mixture: GaussianMixture, sde: SDE, times: Times, edges: np.ndarray) -> np.ndarray:
    """The mean of p_t over each cell of the line, from its distribution function, so that no mode is too narrow to be seen.

    Args:
        mixture: the distribution of the data, one-dimensional.
        sde: the forward diffusion.
        times: T times.
        edges: of the cells, rising, (M + 1,).

    Returns:
        (T, M), per unit of y.
    """
    at, rows = torch.tensor(edges, dtype=torch.float64), []
    for t in times:
        p_t = mixture.at(sde, t)
        z = (at[:, None] - p_t.means[:, 0]) / p_t.covariances[:, 0, 0].sqrt()
        rows.append((torch.special.ndtr(z).diff(dim=0) @ p_t.weights / at.diff()).numpy())
    return np.stack(rows)


def score_on(score_fn: ScoreFn, times: Times, points: Tensor) -> np.ndarray:
    """A score at given points of each time.

    Args:
        score_fn: the score, exact or learned.
        times: T times.
        points: (T, M, D).

    Returns:
        (T, M, D), per unit of x.
    """
    with torch.no_grad():
        return np.stack([score_fn(at.contiguous(), float(t)).numpy() for t, at in zip(times, points, strict=True)])


def full_lengths(vectors: np.ndarray) -> np.ndarray:
    """The length that is drawn at full size at each time: the 95th percentile. Longer vectors are drawn as if they had it.

    Args:
        vectors: (T, M, D).

    Returns:
        (T,), 0 where all vectors are zero: what a legend has to say about arrows drawn by `arrow_lengths`.
    """
    return np.quantile(np.linalg.norm(vectors, axis=-1), 0.95, axis=1)


def arrow_lengths(vectors: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Vectors made short enough to draw: at each time those of the length `full_lengths` or more become as long as the spacing.

    Args:
        vectors: (T, M, 2).
        spacing: the longest length drawn at each time, in data units, (T,).

    Returns:
        (T, M, 2).
    """
    length = np.linalg.norm(vectors, axis=-1)
    full = np.maximum(full_lengths(vectors)[:, None], 1e-12)
    shown = spacing[:, None] * np.minimum(length / full, 1.0)
    return vectors * (shown / np.maximum(length, 1e-12))[..., None]


def ellipses(mixture: GaussianMixture, sde: SDE, times: Times) -> np.ndarray:
    """The components of p_t in the plane as ellipses of one standard deviation.

    Args:
        mixture: the distribution of the data, in the plane.
        sde: the forward diffusion.
        times: T times.

    Returns:
        Centre x and y, standard deviations a >= b along the axes, and the angle of a in radians, (T, K, 5).
    """
    variances, axes = mixture.principal_axes
    angle = torch.atan2(axes[:, 1, 1], axes[:, 0, 1])
    shapes = []
    for t in times:
        alpha, sigma = sde.scales(float(t))
        std = (alpha**2 * variances + sigma**2).sqrt().flip(-1)
        shapes.append(torch.cat([alpha * mixture.means, std, angle[:, None]], 1))
    return torch.stack(shapes).numpy()


def bands(pictures: np.ndarray, n: int) -> np.ndarray:
    """Pictures as flat steps, so that the borders between them are contour lines.

    Args:
        pictures: from 0 to 1, of any shape.
        n: the number of steps.

    Returns:
        The same shape, multiples of 1 / n.
    """
    return np.round(np.clip(pictures, 0, 1) * n) / n


def bundle_lengths(vectors: np.ndarray, spacing: float) -> tuple[np.ndarray, float]:
    """Bundles of vectors made short enough to draw, each bundle by one factor, so that its sums still come out.

    Args:
        vectors: (N, M, 2), N bundles.
        spacing: in data units; no vector is drawn longer.

    Returns:
        The vectors as they are drawn, (N, M, 2), and the length that is drawn at full size: the 95th percentile of the bundles'
        longest vectors. Bundles with a longer one are drawn as if their longest had it.
    """
    longest = np.linalg.norm(vectors, axis=-1).max(axis=1, keepdims=True)
    factors = arrow_lengths(longest[None], np.array([spacing]))[0] / np.maximum(longest, 1e-12)
    return vectors * factors[..., None], float(full_lengths(longest[None])[0])


def contours(
    mixture: GaussianMixture, sde: SDE, t: float, box: Sequence[float], shares: Sequence[float], n: int = 160
) -> list[np.ndarray]:
    """Lines of equal p_t in the plane that hold given shares of its probability.

    A line at level c holds the probability where p_t > c, summed over the n x n cells of the window. For a single Gaussian,
    which may be narrower than a cell, they are the ellipses of squared Mahalanobis radius -2 ln(1 - share).

    Args:
        mixture: the distribution of the data, in the plane.
        sde: the forward diffusion.
        t: a time.
        box: the window x_min, x_max, y_min, y_max.
        shares: of the probability inside each line, between 0 and 1.
        n: the number of cells along each side.

    Returns:
        Polylines, each (M, 2).
    """
    from contourpy import contour_generator

    if mixture.n_components == 1:
        shape = ellipses(mixture, sde, [t])[0, 0]
        return [_ellipse(shape, math.sqrt(-2 * math.log1p(-share))) for share in shares]
    log_p = _log_cells(mixture, sde, exact_score(mixture, sde).on_grid([t], grid_points(box, n)), t, box, n).double().numpy()
    falling = np.sort(np.exp(log_p - log_p.max()))[::-1]
    levels = np.log(falling[np.searchsorted(falling.cumsum() / falling.sum(), shares)]) + log_p.max()
    x, y = (_centres(box[i], box[i + 1], n) for i in (0, 2))
    lines = contour_generator(x, y, log_p.reshape(n, n)).lines
    return [np.asarray(line) for level in levels for line in lines(float(level))]


def _ellipse(shape: np.ndarray, radius: float) -> np.ndarray:
    """The outline (181, 2) at so many standard deviations of a shape (5,) as `ellipses` gives it."""
    x, y, a, b, angle = shape
    turn = np.linspace(0, 2 * np.pi, 181)
    along, across = radius * a * np.cos(turn), radius * b * np.sin(turn)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x + cos * along - sin * across, y + sin * along + cos * across], 1)


@dataclass(frozen=True)
class Outline:
    """What a sample is drawn over: a window, and contours that hold given shares of the probability, or the density on the line.

    Attributes:
        box: the window, (4,), or (2,) on the line.
        lines: polylines, each (M, 2); on the line one, of points (x, p_t(x)).
        shares: of the probability inside each contour; none on the line.
    """

    box: np.ndarray
    lines: list[np.ndarray]
    shares: tuple[float, ...] = ()


def outline(mixture: GaussianMixture, sde: SDE, t: float) -> Outline:
    """The window and the exact lines of p_t.

    Args:
        mixture: the distribution of the data, in the plane or on the line.
        sde: the forward diffusion.
        t: a time.

    Returns:
        Contours in the plane, the density on the line.
    """
    p_t = mixture.at(sde, t)
    if p_t.dim == 1:
        ends = windows_1d(p_t)
        x = line_points(p_t, *ends, CURVE_POINTS)
        return Outline(np.array(ends), [np.stack([x, density_curves(mixture, sde, [t], x)[0]], 1)])
    box = windows(mixture, sde, [t], True)[0]
    return Outline(box, contours(mixture, sde, t, box.tolist(), SHARES), SHARES)
