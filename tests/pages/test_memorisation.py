"""The memorisation page: what it says, the reader's own points, and the network's run."""

import io
import math
import re
import time

import numpy as np
import pyarrow as pa
import pytest
import streamlit as st
from matplotlib.patches import Rectangle
from streamlit.runtime.uploaded_file_manager import DeletedFile
from streamlit.testing.v1 import AppTest

import scoredm
from scoredm import charts, screens, targets, work
from scoredm.charts import figures
from scoredm.charts.memorisation import TEST_FLOOR, distances_table, losses_table
from scoredm.charts.samples import Panel
from scoredm.experiment import KINDS, Experiment
from scoredm.memorisation import copies
from scoredm.screens.memorisation import Drawn, Settings
from scoredm.streams import generator
from scoredm.ui import background, memorisation
from tests.common import pictures, wait_for_work

TUTORIAL = targets.mixture("tutorial")
LINE = b"x\n-2\n-1.9\n0.5\n2\n"
PLANE = b"0,0\n1,1\n1,-1\n"


def tables(at: AppTest) -> list:
    """Rows of the page's charts in the order of the page."""
    found = []
    for element in at.get("vega_lite_chart"):
        proto = element.proto
        found.append(pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas())
    return found


def table(at: AppTest, column: str):
    """The rows of the chart that has a column."""
    return next(rows for rows in tables(at) if column in rows.columns)


def sentence(at: AppTest) -> str:
    return next(m.value for m in at.markdown if "true score" in m.value and ("copies" in m.value or "Copies" in m.value))


def says(at: AppTest, words: str) -> bool:
    return any(words in part.value for part in [*at.markdown, *at.caption, *at.info, *at.error])


def upload(at: AppTest, name: str, content: bytes) -> AppTest:
    at.file_uploader[0].set_value((name, content, "text/csv")).run()
    return at


# What it says


def test_the_page_shows_the_screens_numbers(open_page):
    at = open_page("memorisation", mn=40)
    assert not at.exception and not at.warning
    found = screens.memorisation.run(Experiment(), Settings(points=40))
    for drawn in (found.exact.true, found.exact.empirical):
        share = memorisation.percent(drawn.copies.share)
        assert says(at, f"copies **{share}**") and share in sentence(at)
    rows = table(at, "distance")
    assert set(rows["series"].dropna()) == {"fresh data", "true score", "empirical score"}
    np.testing.assert_allclose(rows[rows["series"].isna()]["distance"], found.exact.copy_distance)
    true = rows[rows["series"] == "true score"]
    assert np.interp(0.5, true["share"], true["distance"]) == pytest.approx(found.exact.true.copies.median, rel=0.02)
    curve = table(at, "largest")
    np.testing.assert_allclose(curve["largest"].dropna(), found.exact.collapse.curve.largest)
    assert curve[curve["series"] == "collapse"]["t"].item() == found.exact.collapse.curve.time
    lowest = table(at, "loss").groupby("series")["loss"].first()
    assert lowest["training, lowest"] == pytest.approx(found.train_floor)
    assert lowest["test, lowest"] == pytest.approx(found.test_floor)
    assert len(pictures(at)) == 2


@pytest.mark.parametrize(
    "kind,target",
    [(kind, target) for kind in KINDS for target in ("tutorial", "two-modes") if (kind == "ve") or target != "tutorial"],
)
def test_every_sde_on_the_line_and_the_plane(open_page, kind, target):
    at = open_page("memorisation", mn=4, sde=kind, target=target)
    assert not at.exception and not at.warning
    assert says(at, "Empirical score** · copies **100\N{NO-BREAK SPACE}%")
    assert len(pictures(at)) == 2
    assert says(at, "Below **t ≈")
    assert says(at, "training points · coloured")  # the legend


@pytest.mark.thorough
def test_one_point_and_absurd_links(open_page):
    at = open_page("memorisation", mn=1)
    assert not at.exception
    assert "With 1 training point, 100\N{NO-BREAK SPACE}% of the empirical score's" in sentence(at)
    assert says(at, "nothing to tell apart")
    at = open_page("memorisation", mn="1e308", msteps="abc", mnet="maybe")
    assert not at.exception
    complaints = " ".join(w.value for w in at.warning)
    assert all(words in complaints for words in ("Points N: 1e308", "Steps: “abc”", "Train the network: “maybe”"))
    assert (at.number_input(key="mn").value, at.number_input(key="msteps").value) == (5000, 1000)


def test_buttons_set_the_number_of_points_and_what_is_greyed_says_why(open_page):
    at = open_page("memorisation", mn=7)
    assert "7 training points" in sentence(at)
    steps = at.number_input(key="msteps")
    assert steps.disabled and "first switch on *Train the network*" in steps.help
    next(b for b in at.button if b.label == "100").click().run()
    assert at.number_input(key="mn").value == 100 and "100 training points" in sentence(at)


SHARES = [(1.0, "memorised"), (0.6, "mostly copies"), (0.1, "more than chance"), (0.05, "generates new points"), (0, "fewer")]


@pytest.mark.parametrize("share,words", SHARES)
def test_the_sentence_follows_the_share(share, words):
    drawn = Drawn(np.zeros((1000, 2)), np.ones(1000), copies(np.where(np.arange(1000) < 1000 * share, 0.0, 1.0), 0.5))
    every = {"true": drawn, "empirical": drawn, "network": drawn}
    said = memorisation.sentence(3, every, unlike=False)
    assert words in said and memorisation.percent(share) in said and "With 3 training points" in said
    assert words not in memorisation.sentence(3, every, unlike=True)


# The network


def test_the_network_is_trained_and_its_numbers_are_the_screens(open_page):
    at = open_page("memorisation", mn=6, msteps=60, seed=77, target="two-modes")
    assert says(at, "Switch on **Train the network**")
    at.toggle(key="mnet").set_value(True).run()
    wait_for_work(at)
    assert not at.exception and "network's" in sentence(at)
    found = screens.memorisation.run(Experiment("two-modes", seed=77), Settings(6, network=True, steps=60))
    assert found.network is not None and found.losses is not None and found.verdict is not None
    rows = table(at, "loss")
    test = found.test_floor + found.losses.curves.test_error
    np.testing.assert_allclose(rows[rows["series"] == "test loss"]["loss"], test, rtol=1e-3)
    train = rows[rows["series"] == "training loss"]["loss"]
    np.testing.assert_allclose(train, found.losses.curves.dsm, rtol=1e-3)
    assert "network" in set(table(at, "distance")["series"])
    share = memorisation.percent(found.network.copies.share)
    assert memorisation.VERDICTS[found.verdict].format(share=share) in sentence(at)
    at.toggle(key="mnet").set_value(False).run()
    assert "network" not in sentence(at) and says(at, "Switch on **Train the network**")


def test_a_run_whose_lease_ran_out_while_the_page_was_computing_is_still_polled(open_page, monkeypatch):
    monkeypatch.setattr(work, "LEASE_SECONDS", -1.0)  # every lease has run out before the page looks: no thread touches the run
    monkeypatch.setattr(work, "LOOKS_OF_A_LEASE", 0)
    monkeypatch.setattr(work, "MOST_LOOKS", math.inf)  # viewers that earlier tests left count for some seconds
    asked, fragment = [], st.fragment

    def record(function, *, run_every=None):
        asked.append(run_every)
        return fragment(function, run_every=run_every)

    monkeypatch.setattr(st, "fragment", record)
    at = open_page("memorisation", mn=10, msteps=50, seed=4711, mnet="true")
    for count in (100, 2000):
        asked.clear()
        next(b for b in at.button if b.label == str(count)).click().run()
        assert not at.exception and says(at, "**Training**, step 0 of 50")
        assert work.LOOK_SECONDS in asked
    asked.clear()
    at.toggle(key="mnet").set_value(False).run()
    assert work.LOOK_SECONDS not in asked


def test_a_run_that_ends_while_the_page_is_computing_is_shown_at_once(open_page, monkeypatch):
    """The page looks at the run, then samples with the exact scores, then draws the losses: the run may end in between."""
    experiment = Experiment("two-modes", seed=78)
    points = screens.memorisation.training_points(experiment, 5)
    task, compute = screens.memorisation.task(experiment, points, 50), screens.memorisation.exact_scores

    def slow(*arguments):
        found = compute(*arguments)
        run = background.training(task)
        while run is not None and not run.ended:
            run.renew("test")
            time.sleep(0.05)
        return found

    monkeypatch.setattr(screens.memorisation, "exact_scores", slow)
    at = open_page("memorisation", mn=5, msteps=50, seed=78, target="two-modes", mnet="true")
    assert not at.exception
    assert "network's samples" in sentence(at)


# The reader's own points


def test_a_file_of_points_takes_the_place_of_the_targets(open_page):
    at = upload(open_page("memorisation", target="two-modes"), "mine.csv", LINE)
    assert not at.exception
    count = at.number_input(key="mn")
    assert "With 4 training points" in sentence(at) and count.disabled and "Your own points are in use" in count.help
    greyed = [b for b in at.button if b.label in ("10", "100", "2000")]
    assert len(greyed) == 3 and all(b.disabled and "Your own points are in use" in b.help for b in greyed)
    assert says(at, "**mine.csv**: 4 points in 1-D")
    ticks = re.findall(r'points="(\S+?),\S+ (\S+?),\S+"', pictures(at)[-1])  # lines of two points
    at_x = np.array([float(left) for left, right in ticks if left == right])
    np.testing.assert_allclose((at_x - at_x[0]) / (at_x[-1] - at_x[0]), [0, 0.1 / 4, 2.5 / 4, 1], atol=2e-3)
    assert "mine" not in str(dict(at.query_params))
    at.button(key="mback").click().run()
    assert "With 10 training points" in sentence(at) and not at.number_input(key="mn").disabled


def test_points_that_look_like_no_draw_of_the_target_are_reported(open_page):
    def content(array: np.ndarray) -> bytes:
        return "\n".join(f"{x},{y}" for x, y in array).encode()

    drawn = TUTORIAL.sample(30, generator(Experiment(), "paths")).numpy()
    at = upload(open_page("memorisation"), "drawn.csv", content(drawn))
    assert "do not look like" not in sentence(at)
    upload(at, "moved.csv", content(drawn + 8))
    assert "Your points do not look like draws of this target" in sentence(at)


@pytest.mark.parametrize(
    "content,words",
    [
        (b"1,2,3\n4,5,6", "3 columns; it must have 1"),
        (b"1\ntwo\n", "“two”, which is not a number"),
        (b"\xff\xfe\x00\x81", "not a text file"),
        (b"1,2\n3," + b"4" * 200_000, "200002 characters; at most 1000"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words_and_nothing_is_lost(open_page, content, words):
    at = upload(open_page("memorisation", target="two-modes"), "good.csv", LINE)
    upload(at, "bad.csv", content)
    assert not at.exception
    assert "bad.csv" in at.error[0].value and words in at.error[0].value
    assert "With 4 training points" in sentence(at)
    at.file_uploader[0].set_value(None).run()  # as a browser does before it sends the next file
    assert not at.error and "With 4 training points" in sentence(at)


def test_the_name_of_a_file_and_its_words_are_plain_text(monkeypatch):
    """Markdown would make a formula and a link of them."""
    monkeypatch.setattr(st, "session_state", {})
    memorisation._take("$x$ [a](b).csv", b"1\n$y$\n")
    refused = st.session_state[memorisation.REFUSED]
    assert r"\$x\$ \[a\]\(b\).csv" in refused and r"“\$y\$”" in refused
    memorisation._take("$x$.csv", b"\xff\xfe\x00\x81")
    assert r"\$x\$.csv" in st.session_state[memorisation.REFUSED]


def test_a_file_that_the_server_no_longer_has_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(st, "session_state", {"mfile0": DeletedFile("1")})
    memorisation._brought("mfile0")
    assert st.session_state[memorisation.REFUSED] == "The file did not arrive. Choose it again."


def test_points_stay_for_the_visit_and_wait_for_a_target_of_their_dimension(open_page):
    at = upload(open_page("memorisation"), "flat.csv", PLANE)
    assert "With 3 training points" in sentence(at)
    at.selectbox(key="target").set_value("two-modes").run()
    assert not at.exception
    assert says(at, "flat.csv has points in 2-D and the target is in 1-D") and "With 10 training points" in sentence(at)
    at.switch_page("pages/forward.py").run()
    at.selectbox(key="target").set_value("ring").run()
    at.switch_page("pages/memorisation.py").run()
    assert not at.exception and "With 3 training points" in sentence(at)
    assert memorisation.OWN not in open_page("memorisation").session_state  # another visitor does not see them


# The figure


@pytest.mark.parametrize("target,count", [("tutorial", 3), ("tutorial", 600), ("two-modes", 4)])
def test_the_figure_has_the_samples_of_each_score_and_a_legend(target, count):
    experiment = Experiment(target)
    points = screens.memorisation.training_points(experiment, count)
    outline, x = screens.comparing.outline(experiment, 0.0), experiment.mixture.sample(200).numpy()
    panels = [Panel(name, x, outline.box, outline.lines, "#123456", marked=points.array()) for name in ("left", "right")]
    figure = figures.memorised(panels)
    left, _ = figure.axes
    assert left.get_title() == "left" and left.get_xlim() == pytest.approx(outline.box[:2])
    if experiment.dim == 2:
        assert [len(np.asarray(dots.get_offsets())) for dots in left.collections] == [200, count]
    else:
        bars = [bar for bar in left.patches if isinstance(bar, Rectangle)]
        assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(1, abs=0.02)
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"samples", "exact density", "training points"}
    assert figures.as_bytes(lambda: figure, "svg").startswith(b"<?xml")


def test_bars_of_every_histogram_are_a_density_over_the_whole_sample():
    bars = charts.common.histogram(np.array([0.5, 0.6, 1.5, 7.0, np.nan]), np.array([0.0, 1.0, 3.0]))
    np.testing.assert_allclose(bars["y"], [2 / 5, 1 / 5 / 2])
    np.testing.assert_array_equal([bars["x"], bars["right"]], [[0, 1], [1, 3]])


def test_what_is_nearer_than_the_axis_stands_at_its_edge_and_what_is_lost_at_the_other():
    rows = distances_table({"true": np.array([0.0, 1e-9, 0.5, 2.0]), "network": np.full(4, np.inf)}, 0.1).to_pandas()
    true, network = (np.asarray(rows[rows["series"] == name]["distance"]) for name in ("true score", "network"))
    assert true.min() == pytest.approx(1e-3)
    np.testing.assert_allclose([true.max(), network.min(), network.max()], 2, rtol=0.01)


def test_a_loss_of_nothing_is_left_off_the_log_axis():
    rows = losses_table(None, 100, 0.0, 0.8).to_pandas()
    assert set(rows["series"].dropna()) == {TEST_FLOOR}
    assert np.min(rows["loss"]) > 0.5
    nothing = losses_table(None, 100, 0.0, 0.0).to_pandas()  # of a mixture that is almost a point
    assert nothing["series"].isna().all() and (nothing["loss"] > 0).all()


def test_the_words_on_the_page_keep_to_the_fields_terms(open_page):
    at = open_page("memorisation", mn=10)
    shown = " ".join(part.value for part in [*at.markdown, *at.caption, *at.info])
    for idiom in ("by heart", "set beside", "points of its own", "falls onto"):
        assert idiom not in shown
    assert scoredm.memorisation.COPY_QUANTILE == 0.05 and "5 % of fresh data are" in shown
