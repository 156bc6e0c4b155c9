"""The score page: its table, pictures and curves against the library, its controls, and bad addresses."""

import io
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from scoredm import VESDE, figures, parse_mixture, targets
from scoredm.ui import compute
from scoredm.ui.compute import ScoreField
from scoredm.ui.experiment import Experiment

TUTORIAL = Experiment("tutorial")
NUMBER = r"−?\d+(?:\.\d+)?(?:e[+−]?\d+)?"


def the_table(at) -> str:
    return next(m.value for m in at.markdown if "| component k |" in m.value)


def last_numbers(table: str, row: str) -> list[float]:
    """The numbers in the last column of the row that starts so."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {row}"))
    return [float(n.replace("−", "-")) for n in re.findall(NUMBER, line.split("|")[-2])]


def chart_rows(at, index: int):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def gaussian(mean: Any, covariance: Any) -> Any:
    return multivariate_normal(mean, covariance)


def tutorial_score(x: list[float], sigma: float = 0.0) -> np.ndarray:
    """The score of the tutorial's mixture plus noise, from scipy's densities."""
    laws = [gaussian(m, np.array(S) + sigma**2 * np.eye(2)) for m, S in TUTORIAL_PARTS]
    r = np.array([law.pdf(x) for law in laws])
    pulls = np.array([np.linalg.solve(law.cov, law.mean - np.array(x)) for law in laws])
    return (r / r.sum()) @ pulls


TUTORIAL_PARTS = [([0.0, 1.0], [[1.0, 0.0], [0.0, 1.0]]), ([2.0, -1.0], [[2.0, 0.5], [0.5, 1.0]])]


def test_the_table_is_the_library_and_its_sum_comes_out(open_page):
    at = open_page("score")
    assert not at.exception
    table = the_table(at)
    np.testing.assert_allclose(last_numbers(table, "**score s**"), tutorial_score([1.0, 0.0]), atol=6e-4)
    assert last_numbers(table, "**sum**") == last_numbers(table, "**score s**")
    contributions = [last_numbers(table, row) for row in re.findall(r"^\| (<span.*?) \|", table, re.MULTILINE)]
    assert len(contributions) == 2
    np.testing.assert_allclose(np.sum(contributions, 0), tutorial_score([1.0, 0.0]), atol=2e-3)
    assert "log density **−3.03**" in table


@pytest.mark.parametrize("t", [0.25, 0.8])
def test_time_diffuses_what_the_table_shows(open_page, t):
    at = open_page("score", t=t, px=0.5, py=-2)
    assert not at.exception
    sigma = float(VESDE(25.0).sigma(t))
    np.testing.assert_allclose(last_numbers(the_table(at), "**score s**"), tutorial_score([0.5, -2.0], sigma), rtol=0.02)
    assert any(f"sigma_t = {sigma:.3f}" in m.value or f"sigma_t = {sigma:.2f}" in m.value for m in at.markdown)


def test_many_components_leave_a_rest_so_that_the_sum_comes_out(open_page):
    at = open_page("score", target="checkerboard", px=0, py=0, t=0.5)
    table = the_table(at)
    assert "other 124" in table
    assert last_numbers(table, "**sum**") == last_numbers(table, "**score s**")
    found = compute.probe(Experiment("checkerboard"), 0.5, [0.3, 0.2])
    p_t = compute.score_mixture(Experiment("checkerboard"), 0.5)
    np.testing.assert_allclose(
        found.weighted[0].sum(0) + found.rest[0], p_t.score(torch.tensor([0.3, 0.2], dtype=torch.float64)), rtol=1e-9
    )
    assert found.rest_responsibility[0] > 0.5


@pytest.mark.parametrize(
    ("target", "x"), [("tutorial", {"px": 1000, "py": -1000}), ("two-modes", {"px": -1000}), ("grid", {"px": 1e6})]
)
def test_a_thousand_standard_deviations_away_every_number_is_finite(open_page, target, x):
    at = open_page("score", target=target, **x)
    assert not at.exception
    table = the_table(at)
    assert "nan" not in table and "inf" not in table and "–" not in table
    assert re.search(r"\\times 10\^\{-\d{4,}\}", table)  # a density that no float holds
    assert np.abs(last_numbers(table, "**score s**")).max() > 100
    assert last_numbers(table, "**sum**") == last_numbers(table, "**score s**")


def test_the_saddle_is_where_the_score_is_zero(open_page):
    at = open_page("score", target="tight")
    next(b for b in at.button if b.label == "To the saddle").click().run()
    assert (at.number_input(key="px").value, at.number_input(key="py").value) == (0.0, 0.0)
    assert last_numbers(the_table(at), "**score s**") == [0.0, 0.0]
    assert "| 0.50 | (50.0, 50.0) |" in the_table(at)
    at.slider(key="t").set_value(1.0).run()
    next(b for b in at.button if b.label == "To the saddle").click().run()
    assert any("no dip" in w.value for w in at.warning)
    at.slider(key="t").set_value(0.9).run()
    assert not at.warning


def test_a_component_is_added_at_the_probe_and_becomes_the_target(open_page):
    at = open_page("score", px=-1, py=2.5)
    at.number_input(key="add-std").set_value(0.25).run()
    at.number_input(key="add-weight").set_value(2.0).run()
    next(b for b in at.button if b.label == "Add it").click().run()
    assert not at.exception and not at.warning
    assert at.selectbox(key="target").value == "own"
    text = at.text_input(key="mixture").value
    added = parse_mixture(text)
    expected = targets.mixture("tutorial").add([-1.0, 2.5], 0.0625 * np.eye(2), 2.0)
    for one, other in zip(added.parameters, expected.parameters, strict=True):
        torch.testing.assert_close(one, other)
    assert at.query_params["mixture"] == text
    assert len(re.findall(r"<span", the_table(at))) == 3


def test_a_component_that_cannot_be_is_refused_in_words(open_page):
    at = open_page("score", target="own", mixture="m0s1" * 200)
    next(b for b in at.button if b.label == "Add it").click().run()
    assert not at.exception
    assert any("not added" in w.value and "200 components" in w.value for w in at.warning)
    assert at.text_input(key="mixture").value == "m0s1" * 200


def test_arrows_on_the_grid_point_along_the_score():
    frames = compute.score_field(TUTORIAL, ScoreField(t=0.3))
    assert frames.anchors is not None and frames.arrows is not None
    sigma = float(VESDE(25.0).sigma(0.3))
    for i in (0, 77, 130, 255):
        arrow, s = frames.arrows[0, i], tutorial_score(frames.anchors[0, i].tolist(), sigma)
        assert arrow @ s / np.linalg.norm(arrow) / np.linalg.norm(s) == pytest.approx(1.0, abs=1e-5)
    lengths = np.linalg.norm(frames.arrows[0], axis=1)
    assert lengths.max() <= (frames.windows[0, 1] - frames.windows[0, 0]) / 16 * 1.0001


def test_weighted_arrows_sum_to_the_ink_arrow():
    for settings in (ScoreField(view="weighted"), ScoreField(t=0.2, view="weighted", arrows="samples", samples=100)):
        frames = compute.score_field(TUTORIAL, settings)
        assert frames.arrows is not None and frames.arrow_labels is not None
        bundles, owners = frames.arrows.reshape(-1, 3, 2), frames.arrow_labels.reshape(-1, 3)
        np.testing.assert_allclose(bundles[:, :2].sum(1), bundles[:, 2], atol=2e-6)
        assert (owners[:, 2] == -1).all() and set(owners[:, :2].ravel()) == {0, 1}


def test_one_component_has_its_own_straight_pull_and_outline():
    frames = compute.score_field(TUTORIAL, ScoreField(view="component", component=0))
    assert frames.arrows is not None and frames.anchors is not None and frames.ellipses is not None
    towards = np.array([0.0, 1.0]) - frames.anchors[0]  # the covariance of component 1 is the identity
    short = np.linalg.norm(towards, axis=1) < 4
    ratio = frames.arrows[0][short] / towards[short]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    np.testing.assert_allclose(frames.ellipses[0, 0, :4], [0.0, 1.0, 1.0, 1.0], atol=1e-6)
    assert frames.ellipses[0, 1, 0] < frames.windows[0, 0]


def test_the_steps_of_grey_are_nats():
    frames = compute.score_field(TUTORIAL, ScoreField(arrows="off"))
    assert frames.image is not None
    image = frames.image[0]
    n = len(image)
    x = frames.windows[0, 0] + (np.array([10, 100, 200]) + 0.5) / n * (frames.windows[0, 1] - frames.windows[0, 0])
    y = frames.windows[0, 2] + (np.array([20, 128, 90]) + 0.5) / n * (frames.windows[0, 3] - frames.windows[0, 2])
    log_p = np.log(sum(0.5 * gaussian(m, S).pdf(np.stack([x, y], 1)) for m, S in TUTORIAL_PARTS))
    top = -2.5229  # the log density of the tutorial's mixture at its higher peak
    expected = np.round(12 + log_p - top) / 12
    np.testing.assert_allclose(image[[20, 128, 90], [10, 100, 200]], expected, atol=1e-6)
    assert len(np.unique(image)) <= 13


def test_samples_follow_time_and_more_of_them_move_none():
    few = compute.score_field(TUTORIAL, ScoreField(t=0.5, samples=100)).particles
    many = compute.score_field(TUTORIAL, ScoreField(t=0.5, samples=5000)).particles
    assert few is not None and many is not None
    np.testing.assert_array_equal(few[0], many[0, :100])
    assert many.shape == (1, 5000, 2)
    sigma = VESDE(25.0).sigma(0.5)
    variance = np.diag(targets.mixture("tutorial").covariance) + sigma**2
    np.testing.assert_allclose(many[0].var(0) / variance, 1.0, atol=4 * np.sqrt(2 / 5000))
    before, labels = compute.score_samples(TUTORIAL, 0.0)
    assert np.abs(before[labels == 1].mean(0) - [2.0, -1.0]).max() < 4 * np.sqrt(2 / 2500)


def test_the_probe_carries_its_parts_into_the_picture():
    field = compute.score_field(TUTORIAL, ScoreField())
    found = compute.probe(TUTORIAL, 0.0, [1.0, 0.0])
    frames = compute.with_probe(field, found)
    assert frames.arrows is not None and frames.arrow_labels is not None and field.arrows is not None
    extra = frames.arrows[0, field.arrows.shape[1] :]
    np.testing.assert_allclose(extra[:2].sum(0), extra[2])
    assert frames.arrow_labels[-1] == -1 and set(frames.arrow_labels[-3:-1]) == {0, 1}
    assert compute.with_probe(field, compute.probe(TUTORIAL, 0.0, [1000.0, 0.0])) is field


def test_curves_of_one_dimension(open_page):
    at = open_page("score", target="three-modes", view="weighted", px=2.0, dots=2000)
    assert not at.exception
    density, log, score, shares = (chart_rows(at, i) for i in range(4))
    x = density.loc[density["series"] == "mixture", "x"].to_numpy()
    laws = [(0.2, -5.0, 0.5), (0.5, 0.0, 1.0), (0.3, 4.0, 0.3)]
    parts = np.stack([w * norm.pdf(x, m, s) for w, m, s in laws])
    np.testing.assert_allclose(density.loc[density["series"] == "mixture", "y"], parts.sum(0), rtol=1e-9)
    np.testing.assert_allclose(density.loc[density["series"] == "component 2", "y"], parts[1], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(shares.loc[shares["series"] == "component 3", "y"], (parts / parts.sum(0))[2], atol=1e-9)
    own = sum(np.nan_to_num(score.loc[score["series"] == f"component {k}", "y"].to_numpy()) for k in (1, 2, 3))
    np.testing.assert_allclose(own, score.loc[score["series"] == "mixture", "y"], rtol=1e-6, atol=1e-9)
    assert log["y"].min() >= log["y"].max() - 12
    bars = density[density["series"] == "samples"]
    assert (bars["y"] * (bars["right"] - bars["x"])).sum() == pytest.approx(1.0, abs=5e-3)
    assert all(rows.loc[rows["series"] == "probe", "x"].tolist() == [2.0] for rows in (density, log, score, shares))


def test_one_component_of_one_dimension_is_a_straight_line(open_page):
    at = open_page("score", target="two-modes", view="component", k=2)
    score = chart_rows(at, 2)
    line = score[score["series"] == "component 2"].dropna(subset=["y"])
    np.testing.assert_allclose(line["y"], 5 - line["x"], atol=1e-9)


def test_the_component_stays_within_the_mixture_when_the_target_changes(open_page):
    at = open_page("score")
    at.selectbox(key="target").set_value("grid").run()
    at.segmented_control(key="view").set_value("component").run()
    at.number_input(key="k").set_value(25).run()
    at.selectbox(key="target").set_value("tutorial").run()
    assert not at.exception
    assert at.number_input(key="k").value == 2


def test_the_tutorial_button(open_page):
    at = open_page("score")
    at.selectbox(key="target").set_value("ring").run()
    at.slider(key="t").set_value(0.4).run()
    next(b for b in at.button if b.label == "Tutorial").click().run()
    assert not at.exception
    assert (at.selectbox(key="target").value, at.slider(key="t").value, at.slider(key="dots").value) == ("tutorial", 0.0, 5000)
    arrows = compute.score_field(TUTORIAL, ScoreField(arrows="samples", samples=5000)).arrows
    assert arrows is not None and arrows.shape == (1, 200, 2)


@pytest.mark.parametrize(
    "bad",
    [
        {"t": "7", "px": "1e308", "py": "nan", "dots": "-4"},
        {"view": "sideways", "arrows": "all", "picture": "x", "t": "soon"},
        {"view": "component", "k": "1e9"},
        {"target": "two-modes", "view": "component", "k": "zero", "px": "inf"},
    ],
)
def test_a_bad_address_gets_a_sensible_page_and_a_word(open_page, bad):
    at = open_page("score", **bad)
    assert not at.exception
    assert at.warning
    assert the_table(at)


def test_prints():
    for settings in (ScoreField(samples=50), ScoreField(t=0.4, arrows="samples")):
        panels = compute.score_fields(TUTORIAL, settings)
        assert [p.title for p in panels][-2:] == ["score of component 1", "score of component 2"]
        figure = figures.score_fields(panels, "title")
        assert len(figure.axes) == 4
    curves = compute.score_curves(Experiment("spike"), 0.1, True, None)
    assert len(figures.score_curves(curves, "title").axes) == 4
    assert figures.as_bytes(lambda: figure, "svg").startswith(b"<?xml")
