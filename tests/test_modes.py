"""Modes counted against peaks on a fine grid, and the noise at which they merge against closed forms."""

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from scoredm import GaussianMixture, targets
from scoredm.modes import count_modes, countable, mode_levels


def peaks(mixture: GaussianMixture, reach: float, n: int) -> int:
    """Points of a fine grid that are higher than all their neighbours."""
    axis = torch.linspace(-reach, reach, n, dtype=torch.float64)
    points = torch.cartesian_prod(*[axis] * mixture.dim).reshape(-1, mixture.dim)
    height = mixture.log_prob(points).numpy().reshape([n] * mixture.dim)
    return int(((height == maximum_filter(height, 3, mode="constant", cval=-np.inf)) & np.isfinite(height)).sum())


@pytest.mark.parametrize("name", ["two-modes", "three-modes", "spike", "tutorial", "tight", "cross"])
def test_counts_change_where_the_peaks_do(name: str) -> None:
    mixture = targets.mixture(name)
    levels = mode_levels(mixture)
    reach, n = (12.0, 24_001) if mixture.dim == 1 else (6.0, 801)
    ends = [r for r, _ in levels[1:]] + [2 * levels[-1][0] + 1]
    for (low, count), high in zip(levels, ends, strict=True):
        for r in (low + 0.03 * (high - low), high - 0.03 * (high - low)):
            assert peaks(mixture.diffuse(1.0, r), reach, n) == count_modes(mixture.diffuse(1.0, r)) == count
    assert levels[-1][1] == 1


def test_an_equal_pair_merges_where_its_variance_is_the_square_of_half_its_distance() -> None:
    for mean, std in ((5.0, 1.0), (1.0, 0.2), (3.0, 0.01)):
        pair = GaussianMixture([[-mean], [mean]], [[[std**2]]] * 2, [1, 1])
        (start, two), (level, one) = mode_levels(pair)
        assert (start, two, one) == (0, 2, 1)
        assert level == pytest.approx((mean**2 - std**2) ** 0.5, rel=2e-4)


def test_scale_and_rotation_change_nothing() -> None:
    mixture = targets.mixture("tutorial")
    turn = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q * 7
    turned = GaussianMixture(mixture.means @ turn.T, turn @ mixture.covariances @ turn.T, mixture.weights)
    (_, (level, _)), (_, (larger, _)) = mode_levels(mixture), mode_levels(turned)
    assert larger == pytest.approx(7 * level, rel=2e-4)


def test_far_and_narrow_and_alone() -> None:
    assert mode_levels(targets.mixture("gaussian")) == [(0.0, 1)]
    assert (
        count_modes(GaussianMixture([[0.0, 0.0], [1e4, 3.0]], [[[1e-4, 0.0], [0.0, 1e-6]], [[1.0, 0.0], [0.0, 1.0]]], [1, 1]))
        == 2
    )
    assert count_modes(GaussianMixture([[1.0], [1.0]], [[[4.0]], [[0.01]]], [1, 1])) == 1
    many = GaussianMixture([[float(i)] for i in range(16)], [[[0.01]]] * 16, [1.0] * 16)
    assert count_modes(many) == 16


def test_what_is_not_counted_is_refused_in_words() -> None:
    ring = targets.mixture("ring")
    assert not countable(ring)
    with pytest.raises(ValueError, match="8 components in 2-D"):
        count_modes(ring)
