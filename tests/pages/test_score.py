"""The score page: its table, pictures and curves against the library, its controls, and bad addresses."""

import io
import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import streamlit as st
import torch
from scipy.stats import multivariate_normal, norm

from scoredm import VESDE, GaussianMixture, parse_mixture, targets
from scoredm.experiment import Experiment
from scoredm.screens import score
from scoredm.screens.score import Settings
from scoredm.ui import show
from scoredm.ui.score import form, probe

TUTORIAL = Experiment("tutorial")
NUMBER = r"−?\d+(?:\.\d+)?"
LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def the_table(at) -> str:
    return next(m.value for m in at.markdown if "| $k$ |" in m.value)


def read_table(table: str) -> dict[str, dict[str, list[float]]]:
    """Head of a column without its power of ten -> label of a row -> its numbers, that power put back."""
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    columns = {}
    for i, name in enumerate(head[1:], start=1):
        title, _, power = name.partition("<br>/ 10")
        scale = 10.0 ** int(power.translate(LOWERED) or 0)
        numbers = {row[0]: re.findall(NUMBER, row[i]) for row in rows}
        columns[title] = {label: [scale * float(n.replace("−", "-")) for n in found] for label, found in numbers.items()}
    return columns


def contributions(table: str) -> dict[str, list[float]]:
    return read_table(table)["$r_k s_k$"]


def chart_rows(at, index: int):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def gaussian(mean: Any, covariance: Any) -> Any:
    return multivariate_normal(mean, covariance)


def tutorial_score(x: list[float], sigma: float = 0.0) -> np.ndarray:
    """The score of the tutorial's mixture plus noise, from scipy's densities."""
    distributions = [gaussian(m, np.array(S) + sigma**2 * np.eye(2)) for m, S in TUTORIAL_PARTS]
    r = np.array([distribution.pdf(x) for distribution in distributions])
    scores = np.array([np.linalg.solve(distribution.cov, distribution.mean - np.array(x)) for distribution in distributions])
    return (r / r.sum()) @ scores


TUTORIAL_PARTS = [([0.0, 1.0], [[1.0, 0.0], [0.0, 1.0]]), ([2.0, -1.0], [[2.0, 0.5], [0.5, 1.0]])]


def words(at) -> str:
    return " ".join(caption.value for caption in at.caption)


def sent(at) -> dict[str, Any]:
    """What the stage is told beside its arrays."""
    proto = next(element.proto for element in at.get("bidi_component") if element.proto.component_name == "scoredm_stage")
    return json.loads(proto.mixed.json)["view"] if proto.HasField("mixed") else json.loads(proto.json)["view"]


def test_the_table_is_the_library_and_its_sum_comes_out(open_page):
    at = open_page("score")
    assert not at.exception
    table = the_table(at)
    rows = contributions(table)
    np.testing.assert_allclose(rows["**score**"], tutorial_score([1.0, 0.0]), atol=6e-4)
    assert rows["**sum**"] == rows["**score**"]
    parts = [row for label, row in rows.items() if "span" in label]
    assert len(parts) == 2
    np.testing.assert_allclose(np.sum(parts, 0), tutorial_score([1.0, 0.0]), atol=2e-3)
    assert "log density **−3.03**" in table


@pytest.mark.parametrize("x", [[1.0, 0.0], [9.0, -7.0]])
def test_densities_of_the_components_add_up_and_their_shares_are_the_responsibilities(open_page, x):
    columns = read_table(the_table(open_page("score", px=x[0], py=x[1])))
    density, r = columns[r"$w_k \mathcal N_k$"], columns["$r_k$"]
    expected = {k: 0.5 * gaussian(m, S).pdf(x) for k, (m, S) in enumerate(TUTORIAL_PARTS, start=1)}
    total = sum(expected.values())
    for k, value in expected.items():
        label = next(label for label in density if label.endswith(f" {k}"))
        assert density[label][0] == pytest.approx(value, abs=6e-3 * total)
        assert r[label][0] == pytest.approx(value / total, abs=6e-3)
    assert density["**sum**"][0] == pytest.approx(total, rel=6e-3) and r["**sum**"] == [1.0]


@pytest.mark.parametrize("t", [0.25, 0.8])
def test_time_diffuses_what_the_table_shows(open_page, t):
    at = open_page("score", t=t, px=0.5, py=-2)
    assert not at.exception
    sigma = float(VESDE(25.0).sigma(t))
    np.testing.assert_allclose(contributions(the_table(at))["**score**"], tutorial_score([0.5, -2.0], sigma), rtol=0.02)
    assert any(f"sigma_t = {sigma:.3f}" in m.value or f"sigma_t = {sigma:.2f}" in m.value for m in at.markdown)


@pytest.mark.parametrize(
    ("target", "x"), [("tutorial", {"px": 1000, "py": -1000}), ("two-modes", {"px": -1000}), ("grid", {"px": 1e6})]
)
def test_a_thousand_standard_deviations_away_every_number_is_finite(open_page, target, x):
    at = open_page("score", target=target, **x)
    assert not at.exception
    table = the_table(at)
    assert "nan" not in table and "inf" not in table and "–" not in table
    assert re.search("density \\*\\*\\d\\.\\d\\d × 10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]{4,}", table)  # a density that no float holds
    rows = read_table(re.sub("<br>/ 10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]{4,}", "", table))["$r_k s_k$"]
    assert np.abs(rows["**score**"]).max() > 100
    assert rows["**sum**"] == rows["**score**"]


def test_many_components_leave_a_rest_so_that_the_sum_comes_out(open_page):
    rows = contributions(the_table(open_page("score", target="checkerboard", px=0, py=0, t=0.5)))
    assert "other 124" in rows
    assert rows["**sum**"] == rows["**score**"]


def test_the_rows_keep_their_order_whichever_component_is_most_responsible(open_page):
    at = open_page("score", px=2, py=-1)
    tables = [the_table(at)]
    at.number_input(key="px").set_value(0.0).run()
    at.number_input(key="py").set_value(1.0).run()
    tables.append(the_table(at))
    orders = [[label[-1] for label in read_table(table)["$r_k$"] if "span" in label] for table in tables]
    assert orders == [["1", "2"], ["1", "2"]]
    assert np.argmax([read_table(tables[0])["$r_k$"][label][0] for label in list(read_table(tables[0])["$r_k$"])[:2]]) == 1


@pytest.mark.parametrize("link", [{"target": "needle", "px": 100_000}, {"target": "needle", "t": 0.3, "px": -7.77, "py": 123.4}])
def test_no_cell_of_the_table_is_wider_than_a_number(open_page, link):
    rows = [line.split("|")[2:-1] for line in the_table(open_page("score", **link)).splitlines() if line.startswith("| <span")]
    assert rows
    for part in (part for row in rows for cell in row for part in cell.split("<br>")):
        assert len(part.strip()) <= 8, part


def test_a_probe_outside_the_picture_is_said_in_words(open_page):
    at = open_page("score", px=100)
    assert "outside the picture" in words(at) and "large arrows" not in words(at)
    at.number_input(key="px").set_value(1.0).run()
    assert "outside" not in words(at) and "large arrows" in words(at)
    assert "outside the picture" in words(open_page("score", target="two-modes", px=100))


def test_the_saddle_is_where_the_score_is_zero(open_page):
    at = open_page("score", target="tight")
    next(b for b in at.button if b.label == "To the saddle").click().run()
    assert (at.number_input(key="px").value, at.number_input(key="py").value) == (0.0, 0.0)
    assert contributions(the_table(at))["**score**"] == [0.0, 0.0]
    assert "| 0.5000 | 50.00<br>50.00 |" in the_table(at)
    at.slider(key="t").set_value(1.0).run()
    next(b for b in at.button if b.label == "To the saddle").click().run()
    assert any("no dip" in w.value for w in at.warning)
    at.slider(key="t").set_value(0.9).run()
    assert not at.warning


def test_one_component_has_no_saddle_and_the_page_says_why(open_page):
    at = open_page("score", target="own", mixture="m0,0s1")
    button = next(b for b in at.button if b.label == "To the saddle")
    assert button.disabled and "has only one" in button.help and "has only one" in words(at)
    at = open_page("score")
    button = next(b for b in at.button if b.label == "To the saddle")
    assert not button.disabled and "it is not a peak" in button.help and "far" not in button.help
    assert "has only one" not in words(at)


@pytest.mark.parametrize("link", [{}, {"px": 2.5, "py": -3, "t": 0.3}, {"target": "spike", "px": 1.8}, {"px": 40, "py": 9}])
def test_shares_times_scores_are_the_contributions_to_the_last_figure_shown(open_page, link):
    table = the_table(open_page("score", **link))
    columns = read_table(table)
    own = [label for label in columns["$s_k$"] if "span" in label]
    shown = [columns["$r_k s_k$"][label] for label in own]
    products = [np.array(columns["$s_k$"][label]) * columns["$r_k$"][label][0] for label in own]
    unit = 10 ** (np.floor(np.log10(np.abs(shown).max())) - 2)
    np.testing.assert_allclose(products, shown, atol=1.001 * unit)


def press(at, label: str):
    return next(b for b in at.button if b.label == label).click().run()


def same(one: GaussianMixture, other: GaussianMixture) -> None:
    for mine, its in zip(one.parameters, other.parameters, strict=True):
        torch.testing.assert_close(mine, its)


def test_what_no_share_reaches_is_shown_as_nothing(open_page):
    alone = {"target": "own", "mixture": "m-2_-2s0.2m2_2s0.2m0_0s0.5", "px": 0, "py": 0}
    rows = contributions(the_table(open_page("score", **alone)))
    assert {tuple(row) for label, row in rows.items() if "other" not in label} == {(0.0, 0.0)}
    found = score.probe(Experiment(alone["mixture"]), Settings(x=0.0, y=0.0))
    assert 0 < np.abs(found.contributions).max() < 1e-30
    assert {arrow[1:] for arrow in probe.arrows(found, "mixture")} == {(0.0, 0.0)}


def test_the_arrows_at_the_probe_are_those_of_the_view(open_page):
    drawn = {}
    for view in ("mixture", "weighted", "components", "component"):
        drawn[view] = sent(open_page("score", view=view, k=2, px=1, py=0.5))["probeArrows"]
    owners = {view: [k for k, *_vector in arrows] for view, arrows in drawn.items()}
    assert owners == {"mixture": [0, 1, -1], "weighted": [0, 1, -1], "components": [0, 1], "component": [1]}
    vectors = {view: np.array([vector for _k, *vector in arrows]) for view, arrows in drawn.items()}
    np.testing.assert_allclose(vectors["mixture"][:2].sum(0), vectors["mixture"][2], atol=1e-12)
    np.testing.assert_allclose(vectors["mixture"][2], tutorial_score([1.0, 0.5]), rtol=1e-9)
    own = [np.linalg.solve(S, np.array(mean) - [1, 0.5]) for mean, S in TUTORIAL_PARTS]
    np.testing.assert_allclose(vectors["components"], own, rtol=1e-9)
    np.testing.assert_allclose(vectors["component"], own[1:], rtol=1e-9)


def test_the_probes_arrows_have_one_scale_for_every_t_unless_they_are_fitted(open_page):
    at = open_page("score", px=1, py=0)
    at.slider(key="t").set_value(0.0).run()
    scales = [sent(at)["probeScale"]]
    assert "too short" not in words(at)
    at.slider(key="t").set_value(1.0).run()
    scales.append(sent(at)["probeScale"])
    assert scales[0] == scales[1] and "for every t" in scales[0]["text"]
    assert "too short to see" in words(at)
    at.segmented_control(key="pscale").set_value("fitted").run()
    fitted = sent(at)["probeScale"]
    assert fitted["size"] < scales[0]["size"] / 20 and "for this t" in fitted["text"] and "too short" not in words(at)


def test_the_field_has_a_legend_that_says_where_arrows_stop_growing(open_page):
    for view, symbol in (("mixture", "‖s‖"), ("components", "‖sₖ‖"), ("weighted", "‖rₖ sₖ‖")):
        (scale,) = sent(open_page("score", view=view, t=0.3))["arrowScales"]
        full = score.field(TUTORIAL, Settings(view=view, t=0.3)).full_length
        assert scale["size"] == pytest.approx(full)
        assert scale["text"] == f"{symbol} = {show.number(full)} or more"
    assert sent(open_page("score", arrows="off"))["arrowScales"] == []


def test_one_component_at_the_probe_is_told_by_itself(open_page):
    at = open_page("score", view="component", k=2, px=1, py=0.5)
    mean, S = TUTORIAL_PARTS[1]
    own = np.linalg.solve(S, np.array(mean) - [1, 0.5])
    table = the_table(at)
    assert f"log density **{show.number(gaussian(mean, S).logpdf([1, 0.5]))}**" in table
    assert f"‖sₖ‖ **{show.number(float(np.linalg.norm(own)))}**" in table
    assert "2 alone: log" in table and "In the mixture:" in table
    assert any("k = 2" in m.value and "p_t = " not in m.value for m in at.markdown)


def test_a_nat_is_explained_and_no_claim_is_made_beyond_straight_lines(open_page):
    assert "factor of 2.7 (one nat)" in words(open_page("score"))
    assert "one nat" not in words(open_page("score", picture="root"))
    assert "Along each straight line" in words(open_page("score", view="component"))
    assert "Only the 8 components" in words(open_page("score", view="components", target="checkerboard"))


def with_form(at):
    """Open the form that adds a component."""
    at.session_state["adding"] = True
    return at.run()


def test_what_is_entered_is_there_when_the_form_is_opened_again(open_page):
    at = open_page("score", px=-1)
    assert not [field for field in at.number_input if str(field.key).startswith("add-")], "what is folded is not sent"
    with_form(at).number_input(key="add-std-1").set_value(0.25).run()
    at.number_input(key="add-x₁--1,0").set_value(-1.5).run()
    at.session_state["adding"] = False
    at.run()
    at.slider(key="t").set_value(0.4).run()
    assert with_form(at).number_input(key="add-std-1").value == 0.25
    assert at.number_input(key="add-x₁--1,0").value == -1.5
    assert at.number_input(key="add-std-2").value == 0.5


def test_a_component_is_added_at_the_probe_with_its_covariance_and_taken_away_again(open_page):
    at = with_form(open_page("score", px=-1, py=2.5))
    for key, value in (("add-std-1", 0.25), ("add-std-2", 2.0), ("add-correlation", -0.5), ("add-weight", 2.0)):
        at.number_input(key=key).set_value(value).run()
    press(at, "Add it")
    assert not at.exception and not at.warning
    assert at.selectbox(key="target").value == "own"
    text = at.text_input(key="mixture").value
    before = targets.mixture("tutorial")
    same(parse_mixture(text), before.add([-1.0, 2.5], [[0.0625, -0.25], [-0.25, 4.0]], 2.0))
    assert at.query_params["mixture"] == text
    assert len(re.findall(r"<span", the_table(at))) == 3
    press(at, "Remove component 3")
    assert not at.exception and not at.warning
    same(parse_mixture(at.text_input(key="mixture").value), before)
    press(at, "Remove component 2")
    assert next(b for b in at.button if b.label == "Remove component 1").disabled


def test_the_fields_of_a_new_component_come_in_the_order_of_reading(open_page):
    fields = [field.label for field in with_form(open_page("score")).number_input if field.key and field.key.startswith("add-")]
    assert fields == ["Mean x₁", "Mean x₂", "Std x₁", "Std x₂", "Correlation", "Weight"]


def test_a_component_on_the_line_has_one_standard_deviation(open_page):
    at = open_page("score", px=2)
    at.selectbox(key="target").set_value("two-modes").run()
    with_form(at).number_input(key="add-std-1").set_value(0.25).run()
    press(at, "Add it")
    same(parse_mixture(at.text_input(key="mixture").value), targets.mixture("two-modes").add([2.0], [[0.0625]], 1.0))


def test_a_component_that_cannot_be_is_refused_in_words(open_page):
    at = press(with_form(open_page("score", target="own", mixture="m0s1" * 200)), "Add it")
    assert not at.exception
    assert any("not added" in w.value and "200 components" in w.value for w in at.warning)
    assert at.text_input(key="mixture").value == "m0s1" * 200


@pytest.mark.parametrize("label", ["Tutorial", "See it in one dimension"])
def test_a_button_that_replaces_ones_own_mixture_says_so_and_gives_it_back(open_page, label):
    mine = "w1 m-1,0 s0.5; w2 m3,1 s1"
    at = press(open_page("score", target="own", mixture=mine, t=0.3, view="weighted"), label)
    assert at.selectbox(key="target").value != "own"
    assert f"*{label}* changed the experiment" in words(at) and "Your own mixture →" in words(at)
    at.button(key="undo-preset").click().run()
    assert not at.exception
    assert (at.selectbox(key="target").value, at.text_input(key="mixture").value) == ("own", mine)
    assert at.segmented_control(key="view").value == "weighted" and at.slider(key="t").value == 0.3
    same(parse_mixture(at.text_input(key="mixture").value), parse_mixture(mine))


def test_adding_a_component_to_a_named_target_gives_ones_own_mixture_back_too(open_page):
    mine = "w1 m-1,0 s0.5; w2 m3,1 s1"
    at = open_page("score", target="own", mixture=mine)
    at.selectbox(key="target").set_value("tight").run()
    press(with_form(at), "Add it")
    assert at.selectbox(key="target").value == "own" and at.text_input(key="mixture").value != mine
    assert "*Adding a component* changed" in words(at)
    at.button(key="undo-preset").click().run()
    assert at.selectbox(key="target").value == "tight"
    del at.query_params["mixture"]  # as a browser does with the parameter of a widget that is gone
    at.selectbox(key="target").set_value("own").run()
    assert at.text_input(key="mixture").value == mine


def test_one_dimension_is_a_button_away(open_page):
    at = press(open_page("score"), "See it in one dimension")
    assert not at.exception
    assert at.selectbox(key="target").value == "two-modes"
    assert len(at.get("vega_lite_chart")) == 4
    assert not [b for b in at.button if b.label == "See it in one dimension"]


def test_the_tutorial_button(open_page):
    at = open_page("score")
    at.selectbox(key="target").set_value("ring").run()
    at.slider(key="t").set_value(0.4).run()
    press(at, "Tutorial")
    assert not at.exception
    assert (at.selectbox(key="target").value, at.slider(key="t").value, at.slider(key="dots").value) == ("tutorial", 0.0, 5000)


def test_the_printed_curves_are_those_of_the_view(open_page, monkeypatch):
    monkeypatch.setattr(show, "download", lambda _name, draw: drawn.append(draw()))
    drawn: list[Any] = []
    for view, lines in (("component", 2), ("mixture", 4), ("components", 4)):
        assert not open_page("score", target="three-modes", view=view, k=2).exception
        assert len(drawn[-1].axes[2].lines) == lines, view


def test_curves_of_one_dimension(open_page):
    at = open_page("score", target="three-modes", view="weighted", px=2.0, dots=2000)
    assert not at.exception
    density, log, score, shares = (chart_rows(at, i) for i in range(4))
    x = density.loc[density["series"] == "mixture", "x"].to_numpy()
    distributions = [(0.2, -5.0, 0.5), (0.5, 0.0, 1.0), (0.3, 4.0, 0.3)]
    parts = np.stack([w * norm.pdf(x, m, s) for w, m, s in distributions])
    np.testing.assert_allclose(density.loc[density["series"] == "mixture", "y"], parts.sum(0), rtol=1e-9)
    np.testing.assert_allclose(density.loc[density["series"] == "component 2", "y"], parts[1], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(shares.loc[shares["series"] == "component 3", "y"], (parts / parts.sum(0))[2], atol=1e-9)
    own = sum(np.nan_to_num(score.loc[score["series"] == f"component {k}", "y"].to_numpy()) for k in (1, 2, 3))
    np.testing.assert_allclose(own, score.loc[score["series"] == "mixture", "y"], rtol=1e-6, atol=1e-9)
    curve = log[log["series"] == "mixture"].dropna(subset=["y"])
    floor = curve["y"].max() - 12
    assert curve["y"].min() == floor == log["y"].min()
    ends = curve.loc[curve["y"] == floor, "x"].to_numpy()  # where the curve leaves the frame and comes back
    exact = [np.log(sum(w * norm.pdf(end, m, s) for w, m, s in distributions)) for end in ends]
    assert len(ends) >= 2 and np.abs(np.array(exact) - floor).max() < 0.05
    bars = density[density["series"] == "samples"]
    assert (bars["y"] * (bars["right"] - bars["x"])).sum() == pytest.approx(1.0, abs=5e-3)
    assert all(rows.loc[rows["series"] == "probe", "x"].tolist() == [2.0] for rows in (density, log, score, shares))


def test_peaks_far_narrower_than_the_axis_are_drawn(open_page):
    at = open_page("score", target="own", mixture="m1e6s1;m-1e6s1", dots=0)
    assert not at.exception
    density, log = (chart_rows(at, i).query("series == 'mixture'").dropna(subset=["y"]) for i in (0, 1))
    peaks = density[density["y"] > 0.9 * density["y"].max()]["x"]
    assert density["y"].max() == pytest.approx(0.5 * norm.pdf(0)) and set(np.sign(peaks)) == {-1, 1}
    assert log["y"].max() == pytest.approx(np.log(0.5 * norm.pdf(0)))


def test_one_component_of_one_dimension_is_a_straight_line(open_page):
    at = open_page("score", target="two-modes", view="component", k=2)
    score = chart_rows(at, 2)
    line = score[score["series"] == "component 2"].dropna(subset=["y"])
    np.testing.assert_allclose(line["y"], 5 - line["x"], atol=1e-9)


def test_all_components_of_one_dimension_are_straight_lines(open_page):
    score_rows = chart_rows(open_page("score", target="two-modes", view="components"), 2)
    for k, mean in ((1, -5), (2, 5)):
        line = score_rows[score_rows["series"] == f"component {k}"].dropna(subset=["y"])
        assert len(line) > 10
        np.testing.assert_allclose(line["y"], mean - line["x"], atol=1e-9)


def test_the_component_stays_within_the_mixture_when_the_target_changes(open_page):
    at = open_page("score")
    at.selectbox(key="target").set_value("grid").run()
    at.segmented_control(key="view").set_value("component").run()
    at.number_input(key="k").set_value(25).run()
    at.selectbox(key="target").set_value("tutorial").run()
    assert not at.exception
    assert at.number_input(key="k").value == 2


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


def test_numbers_have_a_real_minus_and_no_e():
    found = {v: show.number(v) for v in (-0.75, 6.34e-4, -3e-12, 9.996, 12345.0, 1e5, 0.0, float("nan"))}
    assert list(found.values()) == ["−0.750", "6.34 × 10⁻⁴", "−3.00 × 10⁻¹²", "10.0", "12345", "1.00 × 10⁵", "0", "–"]
    assert [show.fixed(v, 2) for v in (-0.001, -1.005, 2.0)] == ["0.00", "−1.00", "2.00"]


def test_a_row_of_exact_and_found_keeps_the_decimals_of_its_error(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr("streamlit.markdown", lines.append)
    rows = [("a", -0.75, -0.7543, 0.037), ("b", 99.4, 108.2, 12.0), ("c", 0.0, 0.00688, 0.028), ("d", 1.0, 1.0, 0.0)]
    show.exact_and_found(rows)
    assert lines[0].splitlines()[2:] == [
        "| a | −0.750 | −0.754 | −0.004 ± 0.037 |",
        "| b | 99.4 | 108.2 | +8.8 ± 12.0 |",
        "| c | 0.000 | 0.007 | +0.007 ± 0.028 |",
        "| d | 1.00 | 1.00 | +0 ± 0 |",
    ]


def test_why_a_component_was_not_added_is_plain_text(monkeypatch):
    """What a mixture's text holds would otherwise come out as a formula or a link."""

    def fails() -> str:
        raise ValueError("$x$ is no [number](//host/)")

    monkeypatch.setattr(st, "session_state", {})
    form._change("Adding", fails, "Not added: {error}.")
    assert st.session_state[probe.PROBLEM] == r"Not added: \$x\$ is no \[number\]\(//host/\)."
