"""Kernel density estimates of a sample: a Gaussian about every point, on a grid of the plane or of the line.

    p(x) = (1 / N) sum_n N(x; x_n, H),   H = (sharpness N^{-1 / (D + 4)})^2 S

with S the covariance of the sample (Scott's rule). A grid is filled by sharing each point among the nearest cells and blurring
the cells, whose cost hardly grows with N; `scipy.stats.gaussian_kde` sums over all pairs of points and cells.
"""

import math
from collections.abc import Sequence

import numpy as np
import scipy.fft
from contourpy import contour_generator

SHARPNESS = 0.5  # of the usual width of the kernel, which is meant for a single mode
CELLS = 128  # a side
REACH = 5.0  # standard deviations of the kernel that lie outside the window and are still counted


def bandwidth(points: np.ndarray, sharpness: float = SHARPNESS) -> np.ndarray:
    """The covariance H of the kernel by Scott's rule.

    Args:
        points: (N, D), N at least 2.
        sharpness: 1 for the usual width, less for a sharper estimate.

    Returns:
        (D, D).
    """
    n, dim = points.shape
    return (sharpness * n ** (-1 / (dim + 4))) ** 2 * np.atleast_2d(np.cov(points, rowvar=False))


def density_on_grid(points: np.ndarray, box: Sequence[float], cells: int = CELLS) -> np.ndarray:
    """Estimate the density at the centres of equal cells of a window.

    The kernel's standard deviation is at least a cell along every axis, so that no sample falls between the centres.

    Args:
        points: (N, D) with D = 1 or 2; those that are not finite count in N and are drawn nowhere.
        box: the window: x_min, x_max, and in the plane y_min, y_max.
        cells: along each axis.

    Returns:
        (cells,) or (cells, cells), row 0 at y_min; per unit of x.

    Raises:
        ValueError: fewer than two points are finite.
    """
    finite = points[np.isfinite(points).all(1)].astype(np.float64)
    if len(finite) < 2:
        raise ValueError(f"{len(finite)} of {len(points)} points are finite; a density estimate needs 2 or more")
    lows, highs = np.array(box[::2], dtype=np.float64), np.array(box[1::2], dtype=np.float64)
    sides = (highs - lows) / cells
    variances, axes = np.linalg.eigh(bandwidth(finite) / np.outer(sides, sides))  # in cells
    kernel = (axes * np.maximum(variances, 1.0)) @ axes.T
    margin = math.ceil(REACH * math.sqrt(float(kernel.diagonal().max())))
    size = 1 << (cells + 2 * min(margin, cells) - 1).bit_length()  # a power of two: the transform is fast, and wraps far away
    shares = _shared((finite - lows) / sides - 0.5 + (size - cells) // 2, size)
    first = (size - cells) // 2
    inside = (slice(first, first + cells),) * len(lows)
    return np.maximum(_blurred(shares, kernel)[inside], 0.0) / (len(points) * sides.prod())


def _shared(places: np.ndarray, size: int) -> np.ndarray:
    """How many points each cell has, where a point between cells is shared by the nearest; places: (N, D), in cells."""
    whole = np.floor(places).astype(np.int64)
    within = ((whole >= 0) & (whole < size - 1)).all(1)
    whole, part = whole[within], (places - whole)[within]
    dim, counts = places.shape[1], np.zeros(size ** places.shape[1])
    for corner in np.ndindex((2,) * dim):
        weight = np.prod([part[:, d] if corner[d] else 1 - part[:, d] for d in range(dim)], axis=0)
        flat = np.zeros(len(whole), dtype=np.int64)
        for d in reversed(range(dim)):  # rows are y
            flat = flat * size + whole[:, d] + corner[d]
        counts += np.bincount(flat, weight, minlength=len(counts))
    return counts.reshape((size,) * dim)


def _blurred(counts: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Counts on a grid convolved with a Gaussian of covariance `kernel`, in cells, by its Fourier transform."""
    size, dim = len(counts), counts.ndim
    angular = 2 * np.pi * np.fft.fftfreq(size)
    half = 2 * np.pi * np.fft.rfftfreq(size)
    grids = np.meshgrid(*[angular] * (dim - 1), half, indexing="ij")
    k = np.stack(grids[::-1])  # x is the last axis
    decay = np.exp(-((np.tensordot(kernel, k, 1) * k).sum(0)) / 2)
    return np.asarray(scipy.fft.irfftn(np.asarray(scipy.fft.rfftn(counts)) * decay, counts.shape))


def estimate_contours(points: np.ndarray, box: Sequence[float], shares: Sequence[float], cells: int = CELLS) -> list[np.ndarray]:
    """Lines of equal estimated density in the plane that hold given shares of the probability.

    Args:
        points: (N, 2).
        box: the window; a line that lies outside it is left out.
        shares: of the probability inside each line.
        cells: along each axis.

    Returns:
        Polylines, each (M, 2).
    """
    density = density_on_grid(points, box, cells)
    area = (box[1] - box[0]) * (box[3] - box[2]) / cells**2
    falling = np.sort(density.ravel())[::-1]
    held = falling.cumsum() * area
    levels = [falling[np.searchsorted(held, share)] for share in shares if held[-1] > share]
    x, y = (box[i] + (box[i + 1] - box[i]) * (np.arange(cells) + 0.5) / cells for i in (0, 2))
    lines = contour_generator(x, y, density).lines
    return [np.asarray(line) for level in levels for line in lines(float(level))]


def estimate_curve(points: np.ndarray, box: Sequence[float], cells: int = 4 * CELLS) -> np.ndarray:
    """The estimated density on the line.

    Args:
        points: (N, 1).
        box: the window, x_min and x_max.
        cells: points of the curve.

    Returns:
        Points (x, p(x)) of a curve, (cells, 2).
    """
    x = box[0] + (box[1] - box[0]) * (np.arange(cells) + 0.5) / cells
    return np.stack([x, density_on_grid(points, box, cells)], 1)
