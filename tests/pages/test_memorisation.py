"""The memorisation page: its figures against the library's, the reader's own points, and the network's run."""

import io
import time

import numpy as np
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from scoredm import VESDE, EmpiricalScore, Trainer, exact_prior, exact_score, targets
from scoredm.charts import figures, palette
from scoredm.charts.figures import memorised
from scoredm.charts.memorisation import (
    EMPIRICAL,
    FRESH,
    NETWORK,
    TEST,
    TEST_FLOOR,
    TRAIN,
    TRAIN_FLOOR,
    TRUE,
    cloud_spec,
    distances_table,
    losses_table,
)
from scoredm.experiment import KINDS, Experiment
from scoredm.memorisation import collapse, copies, copy_distance, nearest_distances, sample_with_noise
from scoredm.streams import generator
from scoredm.ui.memorisation import compute, view
from scoredm.ui.memorisation.compute import Drawn

TUTORIAL = targets.mixture("tutorial")
LINE = b"x\n-2\n-1.9\n0.5\n2\n"
PLANE = b"0,0\n1,1\n1,-1\n"


def charts(at: AppTest) -> list:
    """Rows of the page's charts in the order of the page: the panels, and then what backs them up."""
    found = []
    for element in at.get("vega_lite_chart"):
        proto = element.proto
        found.append(pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas())
    return found


def chart(at: AppTest, column: str):
    """The rows of the chart that has a column or a kind of rows."""
    return next(rows for rows in charts(at) if column in rows.columns)


def sentence(at: AppTest) -> str:
    return next(m.value for m in at.markdown if m.value.startswith("With ") or "true score's samples" in m.value)


def says(at: AppTest, words: str) -> bool:
    return any(words in part.value for part in [*at.markdown, *at.caption, *at.info, *at.error])


def upload(at: AppTest, name: str, content: bytes) -> AppTest:
    at.file_uploader[0].set_value((name, content, "text/csv")).run()
    return at


# What it computes


def test_shares_and_curves_are_the_librarys_for_the_same_seed(open_page):
    at = open_page("memorisation", mn=40)
    assert not at.exception and not at.warning
    experiment, sde = Experiment(), VESDE(25.0)
    points = TUTORIAL.sample(5000, generator(experiment, "data"))[:40]
    fresh = nearest_distances(TUTORIAL.sample(20_000, generator(experiment, "reference")), points)
    draws = generator(experiment, "reverse")
    start, noise = exact_prior(sde, TUTORIAL).sample(1000, draws), torch.randn(80, 1000, 2, generator=draws)
    found = {}
    for name, score in ((TRUE, exact_score(TUTORIAL, sde)), (EMPIRICAL, EmpiricalScore(points, sde))):
        found[name] = nearest_distances(sample_with_noise(sde, score, start, noise, 1e-4), points)
        share = copies(found[name], copy_distance(fresh)).share
        assert says(at, f"copies **{view.percent(share)}**"), name
    assert view.percent(copies(found[EMPIRICAL], copy_distance(fresh)).share) in sentence(at)
    rows = chart(at, "distance")
    assert set(rows["series"].dropna()) == {FRESH, TRUE, EMPIRICAL}
    np.testing.assert_allclose(rows[rows["series"].isna()]["distance"], copy_distance(fresh))
    true = rows[rows["series"] == TRUE]
    assert np.interp(0.5, true["share"], true["distance"]) == pytest.approx(np.median(found[TRUE]), rel=0.02)
    curve, expected = chart(at, "largest"), collapse(EmpiricalScore(points, sde), 1e-4, generator(experiment, "metric"))
    np.testing.assert_allclose(curve["largest"].dropna(), expected.largest)
    assert curve[curve["series"] == "collapse"]["t"].item() == expected.time
    floors = chart(at, "loss")
    assert floors[floors["series"] == TRAIN_FLOOR]["loss"].iloc[0] == pytest.approx(expected.mean_floor)


def test_more_points_keep_those_that_were_there():
    few, many = (compute.drawn_points(Experiment(), n).array() for n in (10, 2000))
    np.testing.assert_array_equal(few, many[:10])
    assert len(many) == 2000


def test_all_three_scores_start_from_the_same_points_and_noise():
    experiment, points = Experiment("two-modes"), compute.drawn_points(Experiment("two-modes"), 5)
    true, empirical = compute.by_true_score(experiment, points), compute.by_empirical_score(experiment, points)
    side = np.sign(true.samples[:, 0]) == np.sign(empirical.samples[:, 0])
    assert side.mean() > 0.9  # the noise decides the mode long before the scores differ


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_every_sde_in_the_plane_and_on_the_line(open_page, kind, target):
    at = open_page("memorisation", mn=4, sde=kind, target=target)
    assert not at.exception and not at.warning
    assert says(at, "Empirical score** · copies **100\N{NO-BREAK SPACE}%")
    kinds = [set(rows["kind"]) for rows in charts(at) if "kind" in rows]
    assert kinds == 2 * [{"sample", "point", "contour", "corner"} if target == "tutorial" else {"bar", "curve", "point"}]
    assert says(at, "Below **t ≈")


def test_one_point_and_absurd_links(open_page):
    at = open_page("memorisation", mn=1)
    assert not at.exception
    assert "With 1 training point **the empirical score gives 100\N{NO-BREAK SPACE}%" in sentence(at) and says(
        at, "nothing to tell apart"
    )
    at = open_page("memorisation", mn="1e308", msteps="abc", mnet="maybe")
    assert not at.exception
    complaints = " ".join(w.value for w in at.warning)
    assert all(words in complaints for words in ("Points N: 1e308", "Steps: “abc”", "Train the network: “maybe”"))
    assert (at.number_input(key="mn").value, at.number_input(key="msteps").value) == (5000, 1000)


def test_buttons_set_the_number_of_points(open_page):
    at = open_page("memorisation", mn=7)
    assert "7 training points" in sentence(at)
    next(b for b in at.button if b.label == "100").click().run()
    assert at.number_input(key="mn").value == 100 and "100 training points" in sentence(at)


# The network


def test_the_network_is_trained_on_these_points_and_its_figures_are_the_librarys(open_page):
    at = open_page("memorisation", mn=6, msteps=60, seed=77, target="two-modes", mnet="true").run()
    end = time.monotonic() + 60
    while "network" not in sentence(at):
        assert time.monotonic() < end and not at.exception
        time.sleep(0.1)
        at.run()
    experiment = Experiment("two-modes", seed=77)
    points = compute.drawn_points(experiment, 6)
    trainer = Trainer(experiment.mixture, experiment.sde, compute.config(60, 77), "cpu", points.rows())
    history = list(trainer)
    rows = chart(at, "loss")
    test = trainer.floor + np.array([row.test_error for row in history if row.evaluated])
    np.testing.assert_allclose(rows[rows["series"] == TEST]["loss"], test, rtol=1e-4)
    assert rows[rows["series"] == TRAIN]["loss"].iloc[-1] == pytest.approx(np.mean([row.dsm for row in history[-20:]]), rel=1e-4)
    assert set(chart(at, "distance")["series"].dropna()) == {FRESH, TRUE, EMPIRICAL, NETWORK}
    found = compute._draw(experiment, points, trainer.score_fn)
    assert view.percent(found.copies.share) in sentence(at)
    assert view.judgement(found) in sentence(at)
    at.toggle(key="mnet").set_value(False).run()
    assert "network" not in sentence(at) and says(at, "Switch on **Train the network**")


OWN = "points of its own"


@pytest.mark.parametrize(
    "share,words", [(1.0, "by heart"), (0.6, "most of what"), (0.1, "in part"), (0.07, OWN), (0.05, OWN), (0, "fewer")]
)
def test_the_sentence_follows_the_share(share, words):
    distances = np.ones(1000)
    drawn = Drawn(np.zeros((1000, 2)), distances, copies(np.where(np.arange(1000) < 1000 * share, 0.0, 1.0), 0.5))
    assert words in view.judgement(drawn)
    others = {TRUE: drawn, EMPIRICAL: drawn, NETWORK: drawn}
    assert view.percent(share) in view.sentence(3, others, alike=True)


# The reader's own points


def test_a_file_of_points_takes_the_place_of_the_targets(open_page):
    at = upload(open_page("memorisation", target="two-modes"), "mine.csv", LINE)
    assert not at.exception
    assert "With 4 training points" in sentence(at) and at.number_input(key="mn").disabled
    assert says(at, "**mine.csv**: 4 points in 1-D")
    empirical = charts(at)[1]
    points = empirical[empirical["kind"] == "point"]["x"]
    np.testing.assert_allclose(points, [-2, -1.9, 0.5, 2], rtol=1e-6)
    at.button(key="mback").click().run()
    assert "With 10 training points" in sentence(at) and not at.number_input(key="mn").disabled


@pytest.mark.parametrize("count", [3, 30, 500])
def test_points_that_no_draw_of_the_target_looks_like_are_said_so(open_page, count):
    def table(array: np.ndarray) -> bytes:
        return "\n".join(f"{x},{y}" for x, y in array).encode()

    drawn = TUTORIAL.sample(count, generator(Experiment(), "paths")).numpy()
    at = upload(open_page("memorisation"), "drawn.csv", table(drawn))
    assert "do not look like" not in sentence(at)
    upload(at, "moved.csv", table(drawn + 8))
    assert "do not look like draws of this target" in sentence(at) and "by heart" not in sentence(at)


@pytest.mark.parametrize(
    "content,words",
    [
        (b"1,2,3\n4,5,6", "3 columns; it must have 1"),
        (b"1\ntwo\n", "“two”, which is not a number"),
        (b"1\nnan\n", "every number must lie within"),
        (b"1\n" * 5001, "5001 rows; at most 5000"),
        (b"\xff\xfe\x00\x81", "not a text file"),
        (b"", "no numbers in it"),
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


def test_of_points_unlike_the_target_the_sentence_is_whole_for_any_number_of_scores():
    some = Drawn(np.zeros((10, 2)), np.ones(10), copies(np.repeat([0.0, 1.0], 5), 0.5))
    every = Drawn(np.zeros((10, 2)), np.ones(10), copies(np.zeros(10), 0.5))
    end = " nearer to one of the 2 training points than 95 % of fresh data are. **Your points do not look like draws"
    half, whole = view.percent(0.5), view.percent(1)
    for drawn, words in (
        ({TRUE: some}, f"{half} of the true score's samples are"),
        (
            {TRUE: some, EMPIRICAL: every, NETWORK: None},
            f"{half} of the true score's samples and {whole} of the empirical score's are",
        ),
        (
            {TRUE: some, EMPIRICAL: every, NETWORK: some},
            f"{half} of the true score's samples, {whole} of the empirical score's and {half} of the network's are",
        ),
    ):
        assert view.sentence(2, drawn, alike=False).startswith(words + end)


def test_panels_come_before_the_charts_that_back_them_up(open_page):
    kinds = ["kind" if "kind" in rows.columns else rows.columns[0] for rows in charts(open_page("memorisation"))]
    assert kinds == ["kind", "kind", "series", "t", "series"]


# Charts and the figure


@pytest.mark.parametrize("few", [True, False])
def test_few_training_points_are_rings_on_a_halo_above_the_samples_and_many_are_dots_below(few):
    layers = cloud_spec("light", TRUE, few)["layer"]
    kinds = [layer["transform"][0]["filter"] for layer in layers]
    points, sample = [i for i, kind in enumerate(kinds) if "'point'" in kind], kinds.index("(datum.kind === 'sample')")
    assert (min(points) > sample) == few
    assert layers[sample]["mark"]["opacity"] < 0.6
    if few:
        halo, circle = (layers[i]["mark"] for i in points)
        assert (halo["color"], circle["color"]) == (palette.PAPER["light"], palette.INK["light"])
        assert halo["strokeWidth"] > circle["strokeWidth"] and halo["size"] == circle["size"]


@pytest.mark.parametrize("target,count", [("tutorial", 3), ("tutorial", 90), ("two-modes", 4)])
def test_the_figure_has_the_samples_of_each_score(target, count):
    experiment = Experiment(target)
    points = compute.drawn_points(experiment, count)
    over, found = compute.target(experiment, points), compute.by_empirical_score(experiment, points)
    figure = memorised([(EMPIRICAL, "left", found.samples), (TRUE, "right", found.samples)], points.array(), over.box, over.lines)
    left, _ = figure.axes
    assert left.get_title() == "left" and left.get_xlim() == pytest.approx(over.box[:2])
    if experiment.dim == 2:
        drawn = [len(np.asarray(dots.get_offsets())) for dots in left.collections]
        assert drawn == [len(found.samples), count]
    else:
        assert sum(bar.get_height() * bar.get_width() for bar in left.patches) == pytest.approx(1, abs=1e-6)  # pyright: ignore
    assert figures.as_bytes(lambda: figure, "svg").startswith(b"<?xml")


def test_what_is_nearer_than_the_axis_stands_at_its_edge_and_what_is_lost_at_the_other():
    rows = distances_table({TRUE: np.array([0.0, 1e-9, 0.5, 2.0]), NETWORK: np.full(4, np.inf)}, 0.1)
    true, network = (np.asarray(rows[rows["series"] == name]["distance"]) for name in (TRUE, NETWORK))
    assert true.min() == pytest.approx(1e-3)
    np.testing.assert_allclose([true.max(), network.min(), network.max()], 2, rtol=0.01)


def test_a_loss_of_nothing_is_left_off_the_log_axis():
    rows = losses_table(None, 100, 0.0, 0.8)
    assert set(rows["series"].dropna()) == {TEST_FLOOR}
    assert np.min(rows["loss"]) > 0.5
