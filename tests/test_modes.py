"""Modes counted against peaks on a fine grid, and the noise at which they merge against closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from scoredm import VESDE, VPSDE, GaussianMixture, targets
from scoredm.modes import count_modes, countable, merge_time, mergers, mode_levels


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
        assert level == pytest.approx((mean**2 - std**2) ** 0.5, rel=1e-12)


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


def turns_of_the_score(mixture: GaussianMixture) -> int:
    """Modes on the line, on a grid as fine as the narrowest component around every mean."""
    (means, stds), fine = (mixture.means[:, 0], mixture.covariances[:, 0, 0].sqrt()), torch.linspace(-10, 10, 801)
    score = mixture.score((means[:, None, None] + stds[:, None] * fine.double()).ravel().sort().values[:, None])[:, 0]
    score = score[score.abs() > 1e-12]
    return int(((score[:-1] > 0) & (score[1:] < 0)).sum())


def arbitrary(rng: np.random.Generator, count: int) -> GaussianMixture:
    """Components on the line whose widths and weights differ by up to four powers of ten."""
    stds, weights = np.exp(rng.uniform(-7, 2, count)), np.exp(rng.uniform(-9, 0, count))
    return GaussianMixture(np.exp(rng.uniform(-3, 2)) * rng.uniform(-1, 1, (count, 1)), stds[:, None, None] ** 2, weights)


def in_the_plane(mixture: GaussianMixture, rng: np.random.Generator) -> GaussianMixture:
    """The same along a tilted line, and one Gaussian across it: the modes are those on the line."""
    turn = torch.linalg.qr(torch.from_numpy(rng.normal(size=(2, 2)))).Q
    means = torch.cat([mixture.means, torch.full_like(mixture.means, 0.3)], 1)
    across = torch.tensor([0.0, float(np.exp(rng.uniform(-4, 4)))], dtype=torch.float64)
    covariances = torch.diag_embed(torch.cat([mixture.covariances[..., 0], torch.zeros_like(mixture.means)], 1) + across)
    return GaussianMixture(means @ turn.T, turn @ covariances @ turn.T, mixture.weights)


def test_modes_of_any_mixture_on_the_line_are_those_of_a_fine_grid() -> None:
    rng = np.random.default_rng(0)
    for mixture in (arbitrary(rng, 2 + i % 4) for i in range(400)):
        assert count_modes(mixture) == turns_of_the_score(mixture), mixture.parameters


def test_modes_of_rows_that_are_about_to_merge_are_those_of_a_fine_grid() -> None:
    """Symmetric rows, whose slope in the middle is nothing but rounding, and whose components share points of the grid."""
    for half in np.linspace(0.8, 1.6, 41):
        for weight in (0.05, 0.15, 0.35, 0.6):
            row = GaussianMixture([[-half], [half], [-3 * half], [3 * half]], [[[1.0]]] * 4, [1, 1, weight, weight])
            assert count_modes(row) == turns_of_the_score(row), (half, weight)
    for weight in np.linspace(0.7, 0.8, 201):
        three = GaussianMixture([[0.3], [1.9], [3.5]], [[[1.0]]] * 3, [weight, 1, weight])
        assert count_modes(three) == 1, weight


def test_modes_of_a_pair_in_the_plane_are_those_on_the_line_through_both() -> None:
    rng = np.random.default_rng(1)
    for mixture in (arbitrary(rng, 2) for _ in range(300)):
        assert count_modes(in_the_plane(mixture, rng)) == turns_of_the_score(mixture), mixture.parameters


def test_a_narrow_mode_on_the_shoulder_of_a_wide_one_and_a_shallow_one_between_neighbours_are_seen() -> None:
    shoulder = GaussianMixture([[0.0], [0.3]], [[[9.0]], [[0.0016]]], [1, 1])
    assert count_modes(shoulder) == count_modes(in_the_plane(shoulder, np.random.default_rng(2))) == 2
    assert count_modes(GaussianMixture([[-1.6], [1.6], [-4.8], [4.8]], [[[1.0]]] * 4, [1, 1, 0.15, 0.15])) == 4


def test_a_component_without_weight_has_no_mode() -> None:
    for mean in ([[0.0], [9.0]], [[0.0, 0.0], [9.0, 0.0]]):
        dim = len(mean[0])
        assert count_modes(GaussianMixture(mean, [np.eye(dim).tolist()] * 2, [1, 0])) == 1


def test_what_is_not_counted_is_refused_in_words() -> None:
    ring = targets.mixture("ring")
    assert not countable(ring)
    with pytest.raises(ValueError, match="8 components in 2-D"):
        count_modes(ring)


def modes_on_the_line(mixture: GaussianMixture, sde, t: float) -> int:
    """Local maxima of p_t along the line through two means."""
    p_t = mixture.diffuse(float(sde.alpha(t)), float(sde.sigma(t)))
    along = torch.linspace(-0.5, 1.5, 20_001, dtype=torch.float64)[:, None]
    height = p_t.log_prob(p_t.means[0] + along * (p_t.means[1] - p_t.means[0])).numpy()
    return int(((height[1:-1] > height[:-2]) & (height[1:-1] > height[2:])).sum())


@pytest.mark.parametrize("sde", [VESDE(25.0), VESDE(3.0), VESDE(1.0)])
@pytest.mark.parametrize("name", ["two-modes", "tight"])
def test_modes_merge_when_counting_says_so(sde, name: str) -> None:
    mixture = targets.mixture(name)
    at = merge_time(mixture, sde)
    assert at is not None
    if math.isinf(at):
        assert modes_on_the_line(mixture, sde, 1.0) == 2
    else:
        assert (modes_on_the_line(mixture, sde, at - 0.01), modes_on_the_line(mixture, sde, at + 0.01)) == (2, 1)


@pytest.mark.parametrize("name", ["tutorial", "three-modes", "spike"])
def test_one_mode_is_left_after_the_merge_time_and_more_before(name: str) -> None:
    mixture, sde = targets.mixture(name), VPSDE()
    at = merge_time(mixture, sde)
    assert at is not None and 0 < at < 1
    assert count_modes(mixture.at(sde, 0.999 * at)) == 2 and count_modes(mixture.at(sde, 1.001 * at)) == 1


def test_merge_time_has_the_closed_form_of_a_pair_on_the_line() -> None:
    exact = math.log(1 + 2 * math.log(25) * (25 - 1)) / (2 * math.log(25))
    assert merge_time(targets.mixture("two-modes"), VESDE(25.0)) == pytest.approx(exact, abs=1e-12)


def test_merge_time_of_other_mixtures() -> None:
    assert merge_time(targets.mixture("ring"), VESDE(25.0)) is None  # not countable
    assert merge_time(targets.mixture("gaussian"), VESDE(25.0)) == 0.0
    assert merge_time(GaussianMixture([[-0.9], [0.9]], [[[1.0]]] * 2, [1, 1]), VESDE(25.0)) == 0.0
    assert merge_time(targets.mixture("two-modes"), VESDE(1.0)) == math.inf


def test_merge_time_of_a_tilted_pair_uses_the_covariance_along_the_line() -> None:
    pair = GaussianMixture([[-1.5, 0.0], [1.5, 1.0]], [[[1.0, 0.6], [0.6, 0.5]]] * 2, [2, 2])
    at = merge_time(pair, VPSDE(3.0, 3.0))
    assert at is not None
    p_t = pair.diffuse(float(VPSDE(3.0, 3.0).alpha(at)), float(VPSDE(3.0, 3.0).sigma(at)))
    hessian = torch.autograd.functional.hessian(lambda x: -_log_density(p_t, x), p_t.mean)
    assert float(torch.linalg.eigvalsh(torch.as_tensor(hessian))[0]) == pytest.approx(0, abs=1e-9)  # the saddle turns flat


def _log_density(p_t: GaussianMixture, x: torch.Tensor) -> torch.Tensor:
    parts = [torch.distributions.MultivariateNormal(m, S) for m, S in zip(p_t.means, p_t.covariances, strict=True)]
    return torch.logsumexp(torch.stack([part.log_prob(x) for part in parts]), 0)


def test_mergers_end_at_the_merge_time_and_keep_their_log_snr_in_another_sde() -> None:
    mixture = targets.mixture("three-modes")
    levels = mode_levels(mixture)
    found = {sde: mergers(levels, sde) for sde in (VESDE(), VPSDE())}
    for sde, changes in found.items():
        assert changes[-1].t == merge_time(mixture, sde) and changes[-1].modes == 1
        assert [sde.log_snr(change.t) for change in changes] == pytest.approx([change.log_snr for change in changes])
    assert len({tuple(change.log_snr for change in changes) for changes in found.values()}) == 1
    assert mergers(levels, VESDE(0.5)) == found[VESDE()][:0], "too little noise for any"
