"""Pictures and arrows against the mixture they show."""

import numpy as np
import pytest
import torch

from scoredm import VESDE, VPSDE, CosineVPSDE, GaussianMixture, exact_score, fields, targets

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


def test_ellipses_are_the_component_covariances():
    mixture = targets.mixture("tutorial")
    for t, shapes in zip(TIMES, fields.ellipses(mixture, SDE, TIMES), strict=True):
        covariances = mixture.diffuse(1.0, SDE.sigma(t)).covariances.numpy()
        for (x, y, a, b, angle), mean, covariance in zip(shapes, mixture.means.numpy(), covariances, strict=True):
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            np.testing.assert_allclose(turn @ np.diag([a**2, b**2]) @ turn.T, covariance, atol=1e-9)
            np.testing.assert_allclose([x, y], mean)
            assert a >= b
