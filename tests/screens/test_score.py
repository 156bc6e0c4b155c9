"""The score screen's function: field, curves and probe against densities written down by hand."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from scoredm import VESDE, GaussianMixture, decomposition, parse_mixture, targets
from scoredm.charts import figures, palette
from scoredm.experiment import KINDS, Experiment
from scoredm.fields import REACH
from scoredm.screens import score
from scoredm.screens.score import Settings

TUTORIAL = Experiment("tutorial")
TUTORIAL_PARTS = [([0.0, 1.0], [[1.0, 0.0], [0.0, 1.0]]), ([2.0, -1.0], [[2.0, 0.5], [0.5, 1.0]])]
VIEWS = ("mixture", "component", "components", "weighted")


def gaussian(mean: Any, covariance: Any) -> Any:
    return multivariate_normal(mean, covariance)


def tutorial_scores(x: Any, sigma: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Responsibilities (K,) and scores (K, 2) of the components of the tutorial's mixture plus noise, from scipy's densities."""
    distributions = [gaussian(m, np.array(S) + sigma**2 * np.eye(2)) for m, S in TUTORIAL_PARTS]
    r = np.array([distribution.pdf(x) for distribution in distributions])
    scores = np.array([np.linalg.solve(distribution.cov, distribution.mean - np.array(x)) for distribution in distributions])
    return r / r.sum(), scores


def tutorial_score(x: Any, sigma: float = 0.0) -> np.ndarray:
    r, scores = tutorial_scores(x, sigma)
    return r @ scores


def same(one: GaussianMixture, other: GaussianMixture) -> None:
    for mine, its in zip(one.parameters, other.parameters, strict=True):
        torch.testing.assert_close(mine, its)


# ---------------------------------------------------------------- the probe


@pytest.mark.parametrize("t", [0.0, 0.25, 0.8])
def test_the_probe_takes_the_score_apart(t):
    found = score.probe(TUTORIAL, Settings(t=t, x=0.5, y=-2.0))
    sigma = float(VESDE(25.0).sigma(t))
    r, scores = tutorial_scores([0.5, -2.0], sigma)
    np.testing.assert_allclose(found.responsibilities, r, rtol=1e-9)
    np.testing.assert_allclose(found.component_scores, scores, rtol=1e-9)
    np.testing.assert_allclose(found.contributions, r[:, None] * scores, rtol=1e-9)
    np.testing.assert_allclose(found.score, r @ scores, rtol=1e-9)
    np.testing.assert_allclose(found.total, found.score, rtol=1e-9)
    parts = [0.5 * gaussian(m, np.array(S) + sigma**2 * np.eye(2)).pdf([0.5, -2.0]) for m, S in TUTORIAL_PARTS]
    np.testing.assert_allclose(np.exp(found.log_parts), parts, rtol=1e-9)
    assert np.exp(found.log_density) == pytest.approx(sum(parts), rel=1e-9)
    assert (found.alpha, found.sigma) == (1.0, pytest.approx(sigma))


def test_components_keep_their_order_whichever_is_most_responsible():
    for x, y in ((0.0, 1.0), (2.0, -1.0), (9.0, -7.0)):
        assert score.probe(TUTORIAL, Settings(x=x, y=y)).components.tolist() == [0, 1]
    ring = Experiment("ring")
    for x, y in ring.mixture.means.tolist():
        found = score.probe(ring, Settings(x=x, y=y))
        assert found.components.tolist() == sorted(found.components.tolist())
        nearest = np.linalg.norm(ring.mixture.means.numpy() - [x, y], axis=1).argmin()
        assert found.components[found.responsibilities.argmax()] == nearest


def test_many_components_leave_a_rest_so_that_the_sum_comes_out():
    checkerboard = Experiment("checkerboard")
    found = score.probe(checkerboard, Settings(t=0.5, x=0.3, y=0.2))
    assert found.other_count == 124 and found.other_responsibility > 0.5
    expected = checkerboard.distribution(0.5).score(torch.tensor([0.3, 0.2], dtype=torch.float64))
    np.testing.assert_allclose(found.contributions.sum(0) + found.other_contribution, expected, rtol=1e-9)


def test_a_chosen_component_is_told_by_itself():
    found = score.probe(TUTORIAL, Settings(view="component", component=2, x=1.0, y=0.5))
    mean, S = TUTORIAL_PARTS[1]
    assert found.alone is not None and found.alone.component == 1
    assert found.alone.log_density == pytest.approx(gaussian(mean, S).logpdf([1.0, 0.5]))
    np.testing.assert_allclose(found.alone.score, np.linalg.solve(S, np.array(mean) - [1, 0.5]))
    last = score.probe(TUTORIAL, Settings(view="component", component=200)).alone
    assert last is not None and last.component == 1
    assert score.probe(TUTORIAL, Settings()).alone is None


def test_the_probe_knows_whether_it_is_in_the_picture():
    half = REACH * 2.5**0.5  # of the window: the larger variance of the tutorial's mixture is 2.5, its mean (1, 0)
    assert score.probe(TUTORIAL, Settings(x=1 + 0.99 * half)).inside
    assert not score.probe(TUTORIAL, Settings(x=1 + 1.01 * half)).inside
    assert not score.probe(TUTORIAL, Settings(x=1.0, y=-1.01 * half)).inside
    assert score.probe(TUTORIAL, Settings(x=1 + 1.01 * half, t=1.0)).inside  # the camera follows
    assert score.probe(TUTORIAL, Settings(x=1 + 1.01 * half, camera="fixed")).inside
    line = Experiment("two-modes")
    assert score.probe(line, Settings(x=REACH * 26**0.5 - 0.1)).inside
    assert not score.probe(line, Settings(x=REACH * 26**0.5 + 0.1)).inside


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("target", ["tutorial", "two-modes", "ring"])
def test_one_scale_holds_the_longest_arrow_of_any_time(kind, view, target):
    experiment = Experiment(target, kind=kind)
    settings = Settings(view=view, component=2, x=1.3, y=-0.4)
    longest = []
    for t in score.TIMES.tolist():
        p_t = experiment.distribution(t)
        x = torch.tensor([1.3, -0.4][: p_t.dim], dtype=torch.float64)
        r, scores = p_t.responsibilities(x).numpy(), p_t.component_scores(x).numpy()
        shown = [1] if view == "component" else np.argsort(-r, kind="stable")[: score.PROBE_COMPONENTS]
        vectors = scores if view in ("component", "components") else r[:, None] * scores
        longest.append(np.linalg.norm(vectors[shown], axis=1).max())
    assert score.longest_arrow(experiment, settings) == pytest.approx(max(longest), rel=1e-9)
    assert score.longest_arrow(experiment, replace(settings, t=0.7)) == score.longest_arrow(experiment, settings)


def test_the_saddle_is_where_the_score_is_zero():
    found = score.saddle(TUTORIAL, Settings())
    assert found is not None
    np.testing.assert_allclose(tutorial_score(found), 0.0, atol=1e-9)
    assert score.saddle(TUTORIAL, Settings(t=1.0)) is None
    assert score.saddle(Experiment("one-mode"), Settings()) is None


# ---------------------------------------------------------------- the field


def true_lengths(found: score.Field, vectors: np.ndarray) -> np.ndarray:
    """The lengths that a reader finds in drawn arrows by the reference arrow, over the true ones."""
    width = found.window[1] - found.window[0]
    drawn = np.linalg.norm(found.arrows, axis=1)
    return drawn / (found.spacing * width) * found.full_length / np.linalg.norm(vectors, axis=1)


def test_arrows_on_the_grid_point_along_the_score_and_are_as_long_as_their_scale_says():
    found = score.field(TUTORIAL, Settings(t=0.3))
    sigma = float(VESDE(25.0).sigma(0.3))
    vectors = np.array([tutorial_score(anchor, sigma) for anchor in found.anchors])
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = (found.arrows * vectors).sum(1) / np.linalg.norm(found.arrows, axis=1) / lengths
    np.testing.assert_allclose(cosines, 1.0, atol=1e-5)
    in_full = lengths >= found.full_length
    assert in_full.mean() == pytest.approx(0.05, abs=0.005)
    np.testing.assert_allclose(true_lengths(found, vectors)[~in_full], 1.0, rtol=1e-4)
    assert (true_lengths(found, vectors)[in_full] <= 1 + 1e-4).all()


@pytest.mark.parametrize("settings", [Settings(view="weighted"), Settings(t=0.2, view="weighted", arrows="samples", samples=100)])
def test_weighted_arrows_sum_to_the_plain_arrow(settings):
    found = score.field(TUTORIAL, settings)
    bundles, owners = found.arrows.reshape(-1, 3, 2), found.owners.reshape(-1, 3)
    np.testing.assert_allclose(bundles[:, :2].sum(1), bundles[:, 2], atol=2e-6)
    assert (owners[:, 2] == -1).all() and set(owners[:, :2].ravel()) == {0, 1}


@pytest.mark.parametrize("t", [0.0, 0.4])
def test_all_components_show_their_own_scores_at_every_point(t):
    found = score.field(TUTORIAL, Settings(t=t, view="components"))
    assert found.owners.reshape(-1, 2).tolist() == [[0, 1]] * 100
    sigma = float(VESDE(25.0).sigma(t))
    vectors = np.array([tutorial_scores(anchor, sigma)[1][k] for anchor, k in zip(found.anchors, found.owners, strict=True)])
    cosines = (found.arrows * vectors).sum(1) / np.linalg.norm(found.arrows, axis=1) / np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(cosines, 1.0, atol=1e-5)
    below = np.linalg.norm(vectors, axis=1) < found.full_length
    np.testing.assert_allclose(true_lengths(found, vectors)[below], 1.0, rtol=1e-4)
    assert found.frames.ellipses is not None and found.outlined.tolist() == [0, 1]
    for (x, y, a, b, angle), (mean, S) in zip(found.frames.ellipses[0], TUTORIAL_PARTS, strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        np.testing.assert_allclose(turn @ np.diag([a**2, b**2]) @ turn.T, np.array(S) + sigma**2 * np.eye(2), atol=1e-9)
        assert [x, y] == mean


def test_of_very_many_components_the_heaviest_are_drawn():
    text = ";".join(f"w{1 + (k % 3 == 0)} m{k},0 s1" for k in range(24))
    found = score.field(Experiment(text), Settings(view="components"))
    assert found.outlined.tolist() == list(range(0, 24, 3)) and set(found.owners) == set(range(0, 24, 3))
    assert found.frames.ellipses is not None
    seen = found.frames.ellipses[0, :, 0] >= found.window[0] - 24
    assert np.flatnonzero(seen).tolist() == found.outlined.tolist()


def test_one_component_has_its_own_straight_score_and_outline():
    found = score.field(TUTORIAL, Settings(view="component", component=1))
    towards = np.array([0.0, 1.0]) - found.anchors  # the covariance of component 1 is the identity
    short = np.linalg.norm(towards, axis=1) < 0.99 * found.full_length
    ratio = found.arrows[short] / towards[short]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert found.frames.ellipses is not None
    np.testing.assert_allclose(found.frames.ellipses[0, 0, :4], [0.0, 1.0, 1.0, 1.0], atol=1e-6)
    assert found.frames.ellipses[0, 1, 0] < found.window[0]


def test_the_probe_moves_nothing_in_the_field():
    settings = Settings(t=0.2, samples=50)
    one, other = (score.field(TUTORIAL, replace(settings, x=x, y=x)) for x in (0.0, 2.5))
    for name in ("window", "anchors", "arrows", "samples"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert replace(settings, x=2.5).without_probe == settings.without_probe
    assert replace(settings, t=0.9).without_time == settings.without_time
    assert replace(settings, t=0.9).without_probe != settings.without_probe


def test_samples_follow_time_and_more_of_them_move_none():
    few, many = (score.field(TUTORIAL, Settings(t=0.5, samples=n)).samples for n in (100, 5000))
    np.testing.assert_array_equal(few, many[:100])
    assert many.shape == (5000, 2)
    variance = np.diag(targets.mixture("tutorial").covariance) + VESDE(25.0).sigma(0.5) ** 2
    np.testing.assert_allclose(many.var(0) / variance, 1.0, atol=4 * np.sqrt(2 / 5000))
    before, labels = score.draw_samples(TUTORIAL, 0.0)
    assert np.abs(before[labels == 1].mean(0) - [2.0, -1.0]).max() < 4 * np.sqrt(2 / 2500)


def test_many_samples_are_grey_under_the_arrows():
    for n, colours in ((score.COLOURED, {0, 1}), (5000, {score.GREY})):
        found = score.field(TUTORIAL, Settings(samples=n))
        assert found.frames.labels is not None and set(found.frames.labels.tolist()) == colours
        assert set(found.labels.tolist()) == {0, 1} and len(found.labels) == n
    assert palette.component_colour(score.GREY) == "#999999"


def test_without_layers_there_is_a_density_alone():
    frames = score.field(TUTORIAL, Settings(samples=0, arrows="off", picture="root")).frames
    assert frames.particles is frames.arrows is frames.ellipses is None and frames.density is not None
    arrows = score.field(TUTORIAL, Settings(arrows="samples", samples=5000)).arrows
    assert arrows.shape == (score.ARROW_SAMPLES, 2)


# ---------------------------------------------------------------- the line


@pytest.mark.parametrize("view", VIEWS)
def test_the_score_is_the_slope_of_the_log_density_along_the_line(view):
    along = score.curves(Experiment("three-modes"), Settings(t=0.2, view=view, component=3)).along
    x, log_p, s = along.x[:, 0], along.log_density, along.score[:, 0]
    slope = np.diff(log_p) / np.diff(x)
    middle = (s[1:] + s[:-1]) / 2
    assert np.abs(slope - middle).max() < 0.02 * np.abs(s).max()
    assert along.components.tolist() == ([2] if view == "component" else [0, 1, 2])
    np.testing.assert_allclose(along.total, along.score, atol=1e-9)


def test_curves_reach_as_far_as_the_camera():
    line = Experiment("two-modes")
    ends = {}
    for camera in ("follow", "fixed"):
        x = score.curves(line, Settings(camera=camera)).along.x[:, 0]
        ends[camera] = (x[0], x[-1])
        assert all(low < high for low, high in pairwise(x))
    assert ends["follow"] == pytest.approx((-REACH * 26**0.5, REACH * 26**0.5))
    assert ends["fixed"][1] == pytest.approx(REACH * (26 + VESDE(25.0).sigma(1.0) ** 2) ** 0.5)


def test_run_has_the_field_in_the_plane_and_curves_on_the_line():
    plane, line = score.run(TUTORIAL, Settings()), score.run(Experiment("two-modes"), Settings(samples=40))
    assert plane.field is not None and plane.curves is None
    assert line.field is None and line.curves is not None and line.curves.samples.shape == (40,)
    assert plane.longest_arrow >= np.linalg.norm(plane.probe.contributions, axis=1).max()


@pytest.mark.parametrize("wrong", [{"t": 1.5}, {"view": "sideways"}, {"x": float("nan")}, {"samples": -1}, {"component": 0}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be|is "):
        Settings(**wrong)


# ---------------------------------------------------------------- the reader's own mixture


def test_a_component_is_added_with_its_covariance_and_taken_away_again():
    text = score.add_component(TUTORIAL, [-1.0, 2.5], [0.25, 2.0], -0.5, 2.0)
    expected = TUTORIAL.mixture.add([-1.0, 2.5], [[0.0625, -0.25], [-0.25, 4.0]], 2.0)
    same(parse_mixture(text), expected)
    same(parse_mixture(score.remove_component(Experiment(text))), TUTORIAL.mixture)
    line = Experiment("two-modes")
    same(parse_mixture(score.add_component(line, [2.0], [0.25], 0.0, 1.0)), line.mixture.add([2.0], [[0.0625]], 1.0))


@pytest.mark.parametrize(
    ("target", "stds", "words"),
    [
        ("m0s1" * 200, [0.5], "200 components"),
        ("two-modes", [0.0], "positive definite|between"),
        ("two-modes", [np.nan], "NaN"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused_in_words(target, stds, words):
    with pytest.raises(ValueError, match=words):
        score.add_component(Experiment(target), [0.0], stds, 0.0, 1.0)


# ---------------------------------------------------------------- print


@pytest.mark.parametrize("settings", [Settings(samples=50), Settings(t=0.4, arrows="samples"), Settings(arrows="off")])
def test_the_printed_panels(settings):
    panels = score.printed_fields(TUTORIAL, settings)
    assert [panel.view for panel in panels] == ["mixture", "components", "weighted"]
    figure = figures.score_fields([(panel.view, panel) for panel in panels], "title")
    drawn = [(len(axis.patches), len(axis.collections) > 2) for axis in figure.axes]
    assert drawn == [(0, True), (4, True), (4, True)]  # one and two standard deviations of each component
    one = score.printed_fields(TUTORIAL, replace(settings, view="component", component=2))
    assert [panel.view for panel in one][-1] == "component" and one[-1].component == 1
    assert figures.as_bytes(lambda: figure, "svg").startswith(b"<?xml")


def test_the_printed_curves():
    curves = score.curves(Experiment("spike"), Settings(t=0.1))
    assert len(figures.score_curves(curves.along, "title").axes) == 4
    one = score.curves(Experiment("two-modes"), Settings(view="component", component=2)).along
    density, _, slope, _ = figures.score_curves(one, "title", alone=True).axes
    assert len(density.lines) == len(slope.lines) == 2
    x, y = np.asarray(slope.lines[0].get_data())
    np.testing.assert_allclose(y[~np.isnan(y)], (5 - x)[~np.isnan(y)])
    assert 0 < np.isnan(y).sum() < len(y) / 2


def test_densities_of_the_line_are_the_mixtures():
    along = score.curves(Experiment("three-modes"), Settings()).along
    x = along.x[:, 0]
    density = sum(w * norm.pdf(x, m, s) for w, m, s in [(0.2, -5.0, 0.5), (0.5, 0.0, 1.0), (0.3, 4.0, 0.3)])
    np.testing.assert_allclose(np.exp(along.log_density), density, rtol=1e-9)
    np.testing.assert_array_equal(along.components, decomposition.heaviest(targets.mixture("three-modes"), 8))
