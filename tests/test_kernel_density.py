"""Kernel density estimates on a grid against scipy's sum over all pairs, and against closed forms."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, gaussian_kde

from scoredm import targets
from scoredm.kernel_density import SHARPNESS, bandwidth, density_on_grid, estimate_contours, estimate_curve


def drawn(target: str, n: int) -> np.ndarray:
    return targets.mixture(target).sample(n, torch.Generator().manual_seed(5)).double().numpy()


def by_pairs(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The same estimate by scipy; points (N, D), at (M, D) -> (M,)."""
    return gaussian_kde(points.T, bw_method=SHARPNESS * len(points) ** (-1 / (points.shape[1] + 4)))(at.T)


def centres(low: float, high: float, cells: int) -> np.ndarray:
    return low + (high - low) * (np.arange(cells) + 0.5) / cells


@pytest.mark.parametrize("box", [(-4.0, 6.0, -5.0, 5.0), (-0.5, 1.5, -2.0, 0.0)])
def test_the_grid_is_scipys_estimate_in_the_plane(box):
    points = drawn("tutorial", 600)
    x, y = np.meshgrid(centres(box[0], box[1], 128), centres(box[2], box[3], 128))
    expected = by_pairs(points, np.stack([x.ravel(), y.ravel()], 1)).reshape(128, 128)
    np.testing.assert_allclose(density_on_grid(points, box), expected, atol=6e-3 * expected.max())


def test_the_grid_is_scipys_estimate_on_the_line():
    points = drawn("two-modes", 600)
    curve = estimate_curve(points, (-8.0, 8.0))
    expected = by_pairs(points, curve[:, :1])
    np.testing.assert_allclose(curve[:, 1], expected, atol=3e-3 * expected.max())
    assert curve[:, 1].sum() == pytest.approx(expected.sum(), rel=1e-3)


def test_points_outside_the_window_count_but_do_not_come_round_its_edge():
    points = np.concatenate(
        [np.tile([[50.0, 0.0], [0.0, 50.0], [50.0, 50.0]], (100, 1)), np.zeros((100, 2)), np.full((100, 2), np.nan)]
    )
    box = (-30.0, 30.0, -30.0, 30.0)
    density = density_on_grid(points, box)
    x, y = np.meshgrid(centres(-30, 30, 128), centres(-30, 30, 128))
    expected = 0.8 * by_pairs(points[:400], np.stack([x.ravel(), y.ravel()], 1)).reshape(128, 128)
    np.testing.assert_allclose(density, expected, atol=6e-3 * expected.max())


def test_a_sample_narrower_than_a_cell_keeps_its_mass():
    points = np.random.default_rng(2).normal(0, 1e-6, (500, 2))
    density = density_on_grid(points, (-1.0, 1.0, -1.0, 1.0))
    assert density.sum() * (2 / 128) ** 2 == pytest.approx(1, abs=1e-3)
    alike = np.zeros((50, 1))
    assert estimate_curve(alike, (-1.0, 1.0))[:, 1].sum() * 2 / 512 == pytest.approx(1, abs=1e-3)


def test_contours_of_a_gaussian_sample_are_the_ellipses_of_the_widened_gaussian():
    points = np.random.default_rng(3).multivariate_normal([1, -1], [[2, 0.8], [0.8, 1]], 20_000)
    wide = np.cov(points, rowvar=False) + bandwidth(points)
    for share in (0.25, 0.75):
        (line,) = estimate_contours(points, (-6, 8, -8, 6), [share])
        offset = line - points.mean(0)
        radius = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(wide), offset)
        assert radius.mean() == pytest.approx(chi2(2).ppf(share), rel=0.05)


def test_a_contour_outside_the_window_is_left_out():
    points = np.random.default_rng(4).normal(0, 1, (2000, 2))
    box = (-0.5, 0.5, -0.5, 0.5)
    assert estimate_contours(points, box, [0.9]) == []
    assert estimate_contours(points, box, [0.05])


def test_fewer_than_two_finite_points_are_refused():
    with pytest.raises(ValueError, match="1 of 3 points are finite"):
        density_on_grid(np.array([[0.0], [np.nan], [np.inf]]), (-1.0, 1.0))
