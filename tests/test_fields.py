"""Pictures and arrows against the mixture they show."""

import numpy as np
import pytest
import torch

from scoredm import VESDE, VPSDE, CosineVPSDE, GaussianMixture, exact_score, fields, parse_mixture, targets

SDE = VESDE(25.0)
TIMES = [0.0, 0.3, 1.0]


@pytest.mark.parametrize("name", ["tutorial", "checkerboard"])
def test_windows_hold_the_mass(name):
    mixture = targets.mixture(name)
    for follow in (True, False):
        for t, (x_min, x_max, y_min, y_max) in zip(TIMES, fields.windows(mixture, SDE, TIMES, follow), strict=True):
            x = mixture.diffuse(1.0, SDE.sigma(t)).sample(20_000, torch.Generator().manual_seed(0))
            inside = (x[:, 0] > x_min) & (x[:, 0] < x_max) & (x[:, 1] > y_min) & (x[:, 1] < y_max)
            assert inside.float().mean() > 0.99
            assert x_max - x_min == pytest.approx(y_max - y_min)
    assert len(np.unique(fields.windows(mixture, SDE, TIMES, False), axis=0)) == 1


@pytest.mark.parametrize("sde", [VPSDE(), CosineVPSDE()])
def test_windows_hold_shrinking_data(sde):
    """Where the means move inwards, a window or span that forgets alpha is too large or in the wrong place."""
    mixture = GaussianMixture([[3.0, 5.0], [5.0, 9.0]], [[[0.04, 0.0], [0.0, 0.04]]] * 2, [1, 1])
    for t, (x_min, x_max, y_min, y_max) in zip(TIMES, fields.windows(mixture, sde, TIMES, True), strict=True):
        p_t = mixture.diffuse(sde.alpha(t), sde.sigma(t))
        np.testing.assert_allclose([(x_min + x_max) / 2, (y_min + y_max) / 2], p_t.mean)
        assert x_max - x_min == pytest.approx(2 * fields.REACH * float(p_t.covariance.diagonal().max()) ** 0.5)
    line = GaussianMixture([[5.0], [9.0]], [[[0.04]]] * 2, [1, 1])
    low, high = fields.span(line, sde)
    for t in np.linspace(0, 1, 11).tolist():
        x = line.diffuse(sde.alpha(t), sde.sigma(t)).sample(5000, torch.Generator().manual_seed(0))
        assert ((x > low) & (x < high)).float().mean() > 0.99


@pytest.mark.parametrize("scale", ["root", "log"])
def test_a_density_picture_is_the_density(scale):
    mixture = targets.mixture("tutorial")
    boxes = fields.windows(mixture, SDE, TIMES, True)
    pictures = fields.density_pictures(mixture, SDE, TIMES, boxes, 32, scale)
    for t, box, picture in zip(TIMES, boxes, pictures, strict=True):
        log_p = mixture.diffuse(1.0, SDE.sigma(t)).log_prob(fields.grid_points(box, 32).double()).reshape(32, 32).numpy()
        below = log_p - log_p.max()
        expected = np.exp(below / 2) if scale == "root" else np.maximum(0, 1 + below / fields.LOG_RANGE)
        np.testing.assert_allclose(picture, expected, atol=2e-4)


def test_the_first_row_of_a_picture_is_the_lowest():
    points = fields.grid_points((0.0, 4.0, 10.0, 18.0), 4)
    np.testing.assert_allclose(points[:4], [[0.5, 11], [1.5, 11], [2.5, 11], [3.5, 11]])
    np.testing.assert_allclose(points[-1], [3.5, 17])


def test_density_curves_integrate_to_one():
    mixture = targets.mixture("two-modes")
    y = np.linspace(-60, 60, 6001)
    curves = fields.density_curves(mixture, SDE, TIMES, y)
    np.testing.assert_allclose(np.trapezoid(curves, y, axis=1), 1.0, atol=1e-5)
    low, high = fields.span(mixture, SDE)
    inside = (y > low) & (y < high)
    assert (np.trapezoid(curves[:, inside], y[inside], axis=1) > 0.99).all()


def test_cells_hold_the_mass_of_what_is_narrower_than_they_are():
    edges = np.linspace(-160_000, 260_000, 129)
    spikes = GaussianMixture([[1e5], [-5.0]], [[[1.0]], [[1e-6]]], [3, 1])
    for t, cells in zip(TIMES, fields.cell_densities(spikes, SDE, TIMES, edges), strict=True):
        mass = cells * np.diff(edges)
        assert np.sort(mass)[-2:] == pytest.approx([0.25, 0.75]) and edges[mass.argmax()] < 1e5 < edges[mass.argmax() + 1], t
    smooth, edges = targets.mixture("two-modes"), np.linspace(-30, 30, 401)
    fine = np.linspace(-30, 30, 4001)
    exact = fields.density_curves(smooth, SDE, TIMES, fine)
    expected = [[np.trapezoid(row[i : i + 11], fine[i : i + 11]) for i in range(0, 4000, 10)] for row in exact]
    np.testing.assert_allclose(fields.cell_densities(smooth, SDE, TIMES, edges), np.array(expected) / 0.15, atol=5e-6)


def test_a_curve_has_points_on_every_peak():
    spikes = GaussianMixture([[1e6], [-1e6], [0.0]], [[[1.0]], [[1e-6]], [[1e10]]], [1, 1, 2])
    x = fields.line_points(spikes, -3e6, 3e6, 241)
    assert (np.diff(x) > 0).all() and x[[0, -1]].tolist() == [-3e6, 3e6] and set(np.linspace(-3e6, 3e6, 241)) <= set(x)
    (density,) = fields.density_curves(spikes, SDE, [0.0], x)
    assert np.trapezoid(density, x) == pytest.approx(1, abs=0.02)
    assert density.max() == pytest.approx(0.25 / np.sqrt(2e-6 * np.pi), rel=1e-3)
    assert len(fields.line_points(targets.mixture("two-modes"), -20, 20, 241)) == 241
    many = GaussianMixture(np.linspace(-1e4, 1e4, 200)[:, None], np.full((200, 1, 1), 1e-4), np.ones(200))
    assert len(fields.line_points(many, -2e4, 2e4, 241)) < 1500


@pytest.mark.parametrize("apart", [40.0, 1e6])
def test_a_picture_shows_modes_narrower_than_its_cells(apart):
    """The root picture squared is the density: the masses of three modes stand in their ratio, wherever in a cell they lie."""
    means = [[-apart, 0.13 * apart], [0.71 * apart, 0.4 * apart], [0.1 * apart, -apart]]
    modes = GaussianMixture(means, np.eye(2) * np.square([0.001, 0.1, 0.02])[:, None, None], [1, 1, 1])
    box = fields.windows(modes, SDE, [0.0], True)
    (picture,) = fields.density_pictures(modes, SDE, [0.0], box, 64)
    x, y = fields.grid_points(box[0], 64).T.numpy()
    near = [np.hypot(x - m[0], y - m[1]).reshape(64, 64) < 0.4 * apart for m in means]
    mass = np.array([(picture[place] ** 2).sum() for place in near])
    np.testing.assert_allclose(mass / mass.mean(), 1, atol=0.05)
    assert (picture[~np.any(near, 0)] < 1e-3).all() and picture.max() == 1


def test_arrows_keep_their_direction_and_fit_their_cells():
    mixture = targets.mixture("ring")
    points = torch.randn(len(TIMES), 50, 2, generator=torch.Generator().manual_seed(0)) * 3
    vectors = fields.score_on(exact_score(mixture, SDE), TIMES, points)
    for t, at, found in zip(TIMES, points, vectors, strict=True):
        np.testing.assert_allclose(found, mixture.diffuse(1.0, SDE.sigma(t)).score(at), rtol=1e-5)
    shown = fields.arrow_lengths(vectors, np.array([0.5, 1.0, 2.0]))
    length = np.linalg.norm(shown, axis=-1)
    assert (length <= np.array([[0.5], [1.0], [2.0]]) * (1 + 1e-6)).all()
    assert length.max(axis=1) == pytest.approx([0.5, 1.0, 2.0], rel=1e-6)
    np.testing.assert_allclose(shown / length[..., None], vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), atol=1e-5)


def test_a_drawn_arrow_is_as_long_as_the_reference_arrow_says():
    """Up to the full length an arrow's length over the spacing is its vector's length over the full length; then it is 1."""
    vectors = torch.randn(2, 400, 2, generator=torch.Generator().manual_seed(3)).double().numpy() * np.array([[[1.0]], [[50.0]]])
    spacing = np.array([0.5, 2.0])
    full = fields.full_lengths(vectors)
    length = np.linalg.norm(vectors, axis=-1)
    assert (length > full[:, None]).mean(axis=1) == pytest.approx(0.05, abs=0.0026)
    drawn = np.linalg.norm(fields.arrow_lengths(vectors, spacing), axis=-1)
    np.testing.assert_allclose(drawn / spacing[:, None], np.minimum(length / full[:, None], 1.0), rtol=1e-9)
    assert fields.full_lengths(np.zeros((1, 5, 2))) == [0.0]


def test_a_bundle_is_shortened_as_a_whole_to_the_length_that_is_handed_back():
    vectors = torch.randn(300, 3, 2, generator=torch.Generator().manual_seed(4)).double().numpy()
    drawn, full = fields.bundle_lengths(vectors, 0.25)
    longest = np.linalg.norm(vectors, axis=-1).max(axis=1)
    expected = np.minimum(0.25 / full, 0.25 / longest)  # one factor a bundle
    np.testing.assert_allclose(drawn, vectors * expected[:, None, None], rtol=1e-9)
    assert (longest > full).mean() == pytest.approx(0.05, abs=0.004)


def test_ellipses_are_the_component_covariances():
    mixture = targets.mixture("tutorial")
    for t, shapes in zip(TIMES, fields.ellipses(mixture, SDE, TIMES), strict=True):
        covariances = mixture.diffuse(1.0, SDE.sigma(t)).covariances.numpy()
        for (x, y, a, b, angle), mean, covariance in zip(shapes, mixture.means.numpy(), covariances, strict=True):
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            np.testing.assert_allclose(turn @ np.diag([a**2, b**2]) @ turn.T, covariance, atol=1e-9)
            np.testing.assert_allclose([x, y], mean)
            assert a >= b


def test_pictures_of_a_narrow_target_far_from_the_origin_are_those_of_the_same_target_at_the_origin():
    near, far = parse_mixture("m 0,0 s 0.001"), parse_mixture("m 100000,-50000 s 0.001")
    times = [0.0, 1e-9]
    pictures = [
        fields.density_pictures(m, VESDE(), times, fields.windows(m, VESDE(), times, True), n=32, scale="log")
        for m in (near, far)
    ]
    np.testing.assert_allclose(pictures[1], pictures[0], atol=1e-3)
    assert fields.grid_points([-4.0, 4.0, -4.0, 4.0], 64).dtype == torch.float32


def test_a_broad_component_is_as_near_as_a_narrow_one():
    mixture = parse_mixture("m 0 s 0.001; m 0 s 5; w 0 m 50 s 1")
    x = torch.tensor([[0.0], [5.0], [10.0], [25.0], [50.0]])
    np.testing.assert_allclose(fields.nearness(mixture, x, 8.0), [1, 1 - 0.5 / 8, 1 - 2 / 8, 0, 0], atol=1e-12)
