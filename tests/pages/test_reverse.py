"""The reverse page: what it says and draws of the screen's numbers, its controls, both dimensions."""

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from matplotlib.patches import Rectangle

from scoredm import VESDE, VPSDE, fields, targets
from scoredm.charts import figures, samples
from scoredm.charts.whatif import gauge
from scoredm.experiment import Experiment
from scoredm.screens import comparing, reverse as screen, whatif
from scoredm.screens.reverse import Settings
from scoredm.ui import prose, reverse, show
from tests.common import pictures

TUTORIAL = targets.mixture("tutorial")


def the_rows(at) -> dict[str, tuple[float, float, float]]:
    """Name -> (exact, found, standard error) as the page's table shows them."""
    table = next(m.value for m in at.markdown if "| exact |" in m.value)
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    read = [(name, *(float(v.replace("−", "-")) for v in (exact, found, gap.split("±")[1]))) for name, exact, found, gap in cells]
    return {name: (exact, found, error) for name, exact, found, error in read}


def chart_rows(at, index: int):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def says(at, words: str) -> bool:
    return any(words in m.value for m in at.markdown)


def test_the_table_is_the_screens_answer(open_page):
    at = open_page("reverse", lam=10, process="flow")
    assert not at.exception and not at.warning
    found = screen.run(Experiment(parameters=(10.0,)), Settings(process="flow")).comparison.statistics
    rows = the_rows(at)
    assert list(rows) == [row.name for row in found]
    np.testing.assert_allclose([row[1] for row in rows.values()], [row.found for row in found], rtol=6e-3, atol=6e-4)


def test_the_verdict_counts_the_rows_that_are_shown_and_the_distance(open_page):
    at = open_page("reverse", prior="exact")
    rows = len(the_rows(at))
    line = f"**By these {rows + 1} statistics the samples cannot be told apart from exact ones.**"
    assert says(at, f"{line} They are the {rows} rows of the table and the distance.")
    at = open_page("reverse", target="ring", prior="exact")
    assert "Weight 1" not in the_rows(at) and len(the_rows(at)) == 5
    assert says(at, "By these 14 statistics")
    assert says(at, "the 5 rows of the table, the 8 weights in the chart, and the distance")


def test_the_price_of_a_prior_at_zero_is_on_the_page(open_page):
    at = open_page("reverse")
    at.slider(key="lam").set_value(5.0)
    at.slider(key="rn").set_value(10_000).run()
    assert says(at, "Mean x₁ is 0.2") and says(at, "too low")
    assert says(at, "The initial distribution ignores the mean and the spread of the data.")
    at.selectbox(key="prior").set_value("exact").run()
    assert all(abs(found - exact) < 4 * error for exact, found, error in the_rows(at).values())
    assert says(at, "cannot be told apart")


@pytest.mark.parametrize(
    "link,words",
    [
        ({"target": "one-mode", "prior": "exact", "tmin": 0.2}, "To reduce it, stop at a smaller t_min"),
        ({"target": "one-mode", "prior": "exact", "tmin": 0.2, "denoise": "true"}, "means vary less than the data"),
        ({"target": "two-modes", "lam": 5}, "The initial distribution ignores the mean and the spread"),
        (
            {"target": "own", "mixture": "w9 m-1 s0.5; w1 m9 s0.5", "lam": 1.5, "prior": "matched", "rn": 10_000},
            "The initial distribution has the moments of p₁, but not its shape",
        ),
        ({"rsteps": 5}, "The steps are too long. Try more steps."),
        ({"target": "needle", "rsteps": 500}, "The steps are too long even so. Compare other methods on *Samplers*."),
    ],
)
def test_each_cause_has_its_advice(open_page, link, words):
    at = open_page("reverse", **link)
    assert not at.exception and says(at, "standard errors.**") and says(at, words)


def test_an_early_stop_says_what_is_left_of_the_noise(open_page):
    at = open_page("reverse", target="own", mixture="m 3 s 1", sde="vp", rn=10_000, tmin=0.3)
    assert says(at, "too low") and says(at, f"means are up to {3 - 3 * float(VPSDE().alpha(0.3)):.2f} off")
    at = open_page("reverse", target="one-mode", rn=10_000, prior="exact", tmin=0.2)
    assert says(at, "too high") and says(at, f"variances are up to {float(VESDE(25.0).sigma(0.2)) ** 2:.3f} too large")


def test_a_distance_that_chance_does_not_produce_is_reported():
    ends = np.repeat(np.array([1.3, 2.7], dtype=np.float32), 500)[:, None]
    experiment, settings = Experiment("one-mode"), Settings(1000, prior="exact")
    found = screen.simulate(experiment, settings)
    truth = screen.tell_truth("one-mode", 2021, 1000)
    result = screen.compare(experiment, settings, replace(found, end=ends), truth)
    count = result.floor_samples
    assert reverse.verdict(result, settings).startswith(f"**The distance is larger than that of any of {count} exact samples.**")


def test_the_noise_floor_and_the_rate_of_false_reports_are_said(open_page):
    at = open_page("reverse")
    assert says(at, "the distance that chance alone produces.")
    assert says(at, "One exact sample in 100 would be reported as different too.")
    assert not says(at, "figures") and not says(at, "no distance looks like")


def test_the_drift_is_in_the_update_only_where_there_is_one(open_page):
    at = open_page("reverse", rn=100, rsteps=100, moment=0.6)
    assert "f(t)" not in at.latex[0].value and not any("f(t)" in c.value for c in at.caption)
    at = open_page("reverse", rn=100, rsteps=100, sde="vp", moment=1)
    dt = 0.999 / 100
    assert r"- f(t)\,x_t\,\Delta t" in at.latex[0].value and rf"&= {1 + 10 * dt:.2f}\," in at.latex[0].value
    assert any("f(t) = −10.0" in c.value for c in at.caption)


def test_the_update_is_folded_until_it_is_asked_for_and_follows_its_slider(open_page):
    at = open_page("reverse")
    first = at.expander[0]
    assert first.label == "The update, with the numbers of one particle" and not first.proto.expanded
    assert not at.latex and "solution of an exercise" in first.markdown[0].value
    at.button(key="show-update").click().run()
    first = at.expander[0]
    assert [e.value for e in first.latex] == [at.latex[0].value]
    at.slider(key="lam").set_value(10.0)
    at.slider(key="rsteps").set_value(100).run()
    assert any("g(t) = 3.17" in c.value for c in at.caption)
    before = at.latex[0].value
    assert r"\begin{pmatrix}" in before and r"g(t)\sqrt{\Delta t}" in before
    at.slider(key="moment").set_value(1.0).run()
    assert any("t = 1.000, Δt = 0.00999, g(t) = 10.0" in c.value for c in at.caption)
    assert at.latex[0].value != before


def test_the_flow_can_be_played(open_page):
    at = open_page("reverse", moment=0.6)
    assert any("Each step adds fresh noise" in c.value for c in at.caption)
    at.segmented_control(key="process").set_value("flow").run()
    assert not at.exception
    assert any("each particle follows a smooth path" in c.value for c in at.caption)
    assert r"\tfrac12\,g(t)^2" in at.latex[0].value and r"\sqrt{\Delta t}" not in at.latex[0].value


def test_what_cannot_be_used_says_why(open_page):
    at = open_page("reverse", target="two-modes")
    camera, arrows = at.segmented_control(key="camera"), at.toggle(key="rarrows")
    assert camera.disabled and arrows.disabled
    assert "the axes do not move" in camera.help and "no room for arrows" in arrows.help
    at = open_page("reverse")
    assert not at.segmented_control(key="camera").disabled and "Follow:" in at.segmented_control(key="camera").help


def test_the_examples_of_the_text_come_out():
    told = prose.read("reverse").sections["Read more"]
    exact = Settings(10_000, prior="exact")
    for experiment, steps, words in (
        (Experiment(), 5, "a variance of 2.9"),
        (Experiment(kind="cosine"), 10, "10 steps give 3.7"),
    ):
        found = comparing.compare(experiment, screen.simulate(experiment, replace(exact, steps=steps)).end).statistics[2]
        assert words in told and found.name == "Var x₁"
        assert found.found == pytest.approx(float(words[-3:]), abs=0.05 + 3 * found.error)
        assert found.z_score > 5
    assert "smaller than chance" in told
    twenty = screen.simulate(Experiment(), Settings(steps=20, prior="exact"))
    assert not comparing.compare(Experiment(), twenty.end).off
    needles = screen.simulate(Experiment("needle"), Settings(steps=400, prior="exact")).end
    needle = comparing.compare(Experiment("needle"), needles).statistics[4]
    assert "almost three times" in told and 2.5 < np.sqrt(needle.found / needle.exact) < 3


@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_the_pictures_are_start_end_an_exact_sample_and_all_densities(open_page, target):
    at = open_page("reverse", rn=500, target=target)
    result = screen.run(Experiment(target), Settings(500))
    box, panels, series = result.truth.outline.box, reverse.panels(result, "light"), reverse.overlay(result, "light")
    drawn = [*(samples.panel("light", panel) for panel in panels), samples.overlay("light", series, box, "All three densities")]
    assert pictures(at) == drawn
    start, end, truth = panels
    assert (start.points is result.run.start) and (end.points is result.run.end) and (truth.points is result.truth.points)
    np.testing.assert_array_equal(end.box, truth.box)
    if target == "tutorial":
        np.testing.assert_allclose(box, fields.windows(TUTORIAL, VESDE(), [0.0], True)[0])
        assert box[1] - box[0] == pytest.approx(box[3] - box[2])  # a square window: equal aspect
    lines = [result.truth.outline.lines, result.truth.estimate, result.comparison.estimate]
    assert [one.lines for one in series] == lines


def test_many_components_are_a_chart_of_weights(open_page):
    at = open_page("reverse", target="unequal")
    assert "Weight 1" in the_rows(at)
    at = open_page("reverse", target="ring")
    rows = chart_rows(at, 0)
    run = screen.simulate(Experiment("ring"), Settings())
    found = targets.mixture("ring").responsibilities(torch.tensor(run.end).double()).mean(0)
    np.testing.assert_allclose(rows[rows["series"] == "found"]["weight"], found.numpy(), rtol=1e-6)
    np.testing.assert_allclose(rows[rows["series"] == "exact"]["weight"], 1 / 8)


def test_the_very_small_is_written_in_units_of_a_power_of_ten(open_page):
    at = open_page("reverse", target="needle")
    rows = the_rows(at)
    assert list(rows) == ["Mean along", "Mean across", "Var along", "Cov of both", "10⁴ Var across"]
    assert rows["10⁴ Var across"][0] == 4
    assert says(at, "Var across is 0.0052 too high") and says(at, "the long and the short axis of the data")


@pytest.mark.parametrize(
    "label,lam,particles,words",
    [
        ("Exercise 1.3", 10.0, 2500, "Mean x₁"),
        ("Comparison", 25.0, 1000, "Mean x₁"),
        ("Prior's cost", 5.0, 2500, "too low"),
    ],
)
def test_presets_load_the_tutorials_settings_and_say_so(open_page, label, lam, particles, words):
    at = open_page("reverse")
    at.selectbox(key="target").set_value("ring")
    at.slider(key="rsteps").set_value(50)
    at.selectbox(key="prior").set_value("exact")
    at.segmented_control(key="process").set_value("flow")
    at.toggle(key="denoise").set_value(True).run()
    assert "Weight 1" not in the_rows(at)
    next(b for b in at.button if b.label == label).click().run()
    assert not at.exception
    assert (at.slider(key="lam").value, at.slider(key="rn").value, at.slider(key="rsteps").value) == (lam, particles, 200)
    assert (at.selectbox(key="target").value, at.selectbox(key="prior").value) == ("tutorial", "zero")
    assert at.segmented_control(key="process").value == "sde"
    assert says(at, words)
    assert any(f"*{label}* changed the experiment" in c.value for c in at.caption)
    at.button(key="undo-preset").click().run()
    assert (at.selectbox(key="target").value, at.selectbox(key="prior").value) == ("ring", "exact")


def test_absurd_links_give_the_nearest_page_and_say_so(open_page):
    bad = {
        "rn": "1e308",
        "rsteps": "abc",
        "process": "ode",
        "prior": "<b>",
        "tmin": "-1",
        "denoise": "maybe",
        "moment": "nan",
        "rcolour": "x",
        "lam": "0",
    }
    at = open_page("reverse", **bad)
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == len(bad)
    assert (at.slider(key="rn").value, at.slider(key="rsteps").value, at.slider(key="tmin").value) == (10_000, 200, 0.001)
    assert at.selectbox(key="prior").value == "zero" and at.segmented_control(key="process").value == "sde"


@pytest.mark.parametrize("target", ["tutorial", "two-modes", "needle"])
def test_the_figure_shows_estimates_over_exact_lines(target):
    experiment = Experiment(target)
    result = screen.run(experiment, Settings(300, 20))
    start, end = result.comparison.start_outline, result.truth.outline
    figure = reverse.figure(result)
    one, two, three, four = figure.axes
    assert two.get_xlim() == three.get_xlim() == four.get_xlim() == tuple(end.box[:2])
    drawn = [line.get_xydata() for line in four.lines]
    lines = [line for series in reverse.overlay(result, "light") for line in series.lines]
    assert len(drawn) == len(lines) and all(map(np.array_equal, drawn, lines))
    assert one.get_xlim() == tuple(start.box[:2])
    if experiment.dim == 2:
        assert two.get_aspect() == 1
        assert len(two.lines) == len(end.lines) and any(c.get_paths() for c in two.collections[1:])
    assert figures.as_bytes(lambda: figure, "svg").lstrip().startswith(b"<?xml")


def test_samples_that_lie_closer_than_their_precision_are_printed():
    values = 1e5 + 1e-3 * np.random.default_rng(0).normal(size=(500, 1))
    box = np.array([1e5 - 0.005, 1e5 + 0.005])
    line = np.stack([np.linspace(box[0], box[1], 50), np.ones(50)], axis=1)
    panels = [samples.Panel("Samples", values.astype(kind), box, [line], "#123456") for kind in (np.float32, np.float64)]
    figure = figures.samples(panels, (0.5,), [])
    assert figures.as_bytes(lambda: figure, "png").startswith(b"\x89PNG")
    bars = [bar for bar in figure.axes[1].patches if isinstance(bar, Rectangle)]
    assert len(bars) == figures.BINS
    assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(1, abs=1e-6)


def test_what_if_is_closed_until_asked_for_and_follows_its_switches(open_page):
    at = open_page("reverse", rn=100, rsteps=10)
    assert not at.code and not any(toggle.key == "minus" for toggle in at.toggle)
    at.toggle(key="whatif").set_value(True).run()
    right = "x + g(t)**2*score(x, t)*dt + g(t)*sqrt(dt)*z"
    assert [code.value for code in at.code] == [right, right] and says(at, "says: *Right.")
    at.toggle(key="nonoise").set_value(True)
    at.slider(key="weta").set_value(0.5).run()
    assert not at.exception and at.toggle(key="plaindt").disabled
    assert [code.value for code in at.code] == [
        "x + 0.625*g(t)**2*score(x, t)*dt",
        "x + 0.625*g(t)**2*score(x, t)*dt + 0.5*g(t)*sqrt(dt)*z",
    ]
    found = whatif.run(Experiment(), whatif.Settings(no_noise=True, eta=0.5))
    variance = found.tried.variance
    assert says(at, f"| Variance | 2.25 | {show.with_error(variance.value, variance.error)} |")
    assert not says(at, "The exercise")
    assert gauge("light", "Variance, over the exact one", variance.value / 2.25, found.right.variance.value / 2.25) in pictures(
        at
    )
    at.slider(key="weta").set_value(0.0).run()
    assert says(at, "says: *Right.")


@pytest.mark.parametrize(
    ("ratio", "place"), [(1.0, 145.0), (1e-9, 20.0), (0.0, 20.0), (np.inf, 270.0), (np.nan, 270.0), (10.0, 186.7)]
)
def test_the_gauge_points_to_the_ratio_or_to_an_end(ratio, place):
    assert f'cx="{place:.1f}" cy="38" r="7"' in gauge("light", "", ratio, 1.0)
