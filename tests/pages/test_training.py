"""The training page without a browser: its recipe, its runs and who shares them, and what it says and draws."""

import io
import math
import re
import time

import numpy as np
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from scoredm import VESDE, TrainConfig, Trainer, targets, tasks, work
from scoredm.charts.training import FLOOR, FRESH, LOSS, NOTEBOOK, PERFECT, PRESENT, TRAIN
from scoredm.experiment import Experiment
from scoredm.learning import TrainingPace
from scoredm.screens import onepoint
from scoredm.screens.training import STEPS, Settings
from scoredm.statistics import Measurement
from scoredm.training import mean_floor
from scoredm.ui import cache
from scoredm.ui.show import number
from scoredm.ui.training import recipe, view
from tests.common import pictures, wait_for_work

SHORT = {"recipe": "custom", "iters": 12, "points": 200, "batch": 64}
LONG = {"recipe": "custom", "iters": 20_000, "points": 100, "batch": 16}


def config_of(parameters: dict, seed: int) -> TrainConfig:
    chosen = Settings(recipe="custom", steps=parameters["iters"], data_size=parameters["points"], batch=parameters["batch"])
    return chosen.config(seed)


def chart_rows(at: AppTest, index: int):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def values(rows, series: str) -> np.ndarray:
    return rows[rows["series"] == series]["value"].to_numpy()


def status(at: AppTest) -> str:
    return at.get("progress")[0].proto.text


def step_of(at: AppTest) -> int:
    found = re.search(r"step (\d+) of", status(at))
    return int(found.group(1)) if found else -1


def numbers(at: AppTest) -> dict[str, str]:
    table = next(m.value for m in at.markdown if "Floor of the loss" in m.value)
    return dict(re.findall(r"\| ([^|]+) \| ([^|]+) \|", table))


def press(at: AppTest, key: str) -> AppTest:
    return at.button(key=key).click().run()


def press_label(at: AppTest, label: str) -> AppTest:
    return next(button for button in at.button if button.label == label).click().run()


def rerun_until(at: AppTest, done, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not done(at):
        assert time.monotonic() < end, status(at)
        time.sleep(0.05)
        at.run()


def train_to_the_end(at: AppTest) -> None:
    press(at, "train")
    wait_for_work(at)
    assert any("Samples after" in part.value for part in at.header)
    assert "**Done**" in status(at)
    assert not at.exception


@pytest.fixture(scope="module")
def seeds():
    """Seeds that no other test has trained with: a run is shared by everybody in the process."""
    return iter(range(7000, 8000))


# Recipe


def test_it_opens_with_the_tutorials_recipe_its_floor_and_what_to_do(open_page):
    at = open_page("training", predict="off")
    assert not at.exception
    assert re.search(r"Press Train: about \d+ (second|minute)s? on this machine", status(at))
    for words in ("The tutorial's network", "10000 points, all in each step", "500 steps", "rate 0.005", "seed 2021"):
        assert words in status(at), words
    rows = chart_rows(at, 0)
    assert set(rows["series"]) == {FLOOR}
    np.testing.assert_allclose(rows["value"], mean_floor(targets.mixture("tutorial"), VESDE(25.0), 0.01))
    assert rows["step"].tolist() == [0, 500]
    assert numbers(at)["Floor of the loss"] == "0.840"
    assert at.button(key="reset").disabled
    assert any("After Train the learned score is drawn beside it" in caption.value for caption in at.caption)


def test_loading_the_tutorials_settings_says_what_changed_and_runs_nothing(open_page):
    at = press_label(open_page("training", lam=5, seed=3, recipe="ours"), "Load the tutorial's settings")
    assert not at.exception
    assert (at.slider(key="lam").value, at.number_input(key="seed").value) == (25.0, 2021)
    assert "The tutorial's network" in status(at) and "Press Train" in status(at)
    assert any("changed the experiment for every screen" in caption.value for caption in at.caption)
    press(at, "undo-preset")
    assert (at.slider(key="lam").value, at.number_input(key="seed").value) == (5.0, 3)
    assert "ScoreNet" in status(at)


def test_one_button_loads_the_experiment_with_50_points(open_page):
    at = press_label(open_page("training", output="clean"), "Train on 50 points only")
    assert not at.exception
    for words in ("ScoreNet", "50 points, all in each step", "1000 steps"):
        assert words in status(at), words
    assert "predicts" not in status(at)


def test_every_field_of_a_custom_recipe_reaches_the_run(open_page):
    at = open_page("training", recipe="custom", predict="off")
    for key, value in {"iters": 77, "points": 320, "batch": 32, "rate": 0.02, "eps": 0.00001, "seed": 9}.items():
        at.number_input(key=key).set_value(value)
    at.selectbox(key="net").set_value("notebook")
    at.selectbox(key="sched").set_value("constant")
    at.run()
    assert not at.exception
    for words in ("The tutorial's network", "320 points, 32 in a step", "77 steps", "rate 0.02", "t from 1e-05 to 1", "seed 9"):
        assert words in status(at), words
    floor = mean_floor(targets.mixture("tutorial"), VESDE(25.0), 1e-5)
    np.testing.assert_allclose(chart_rows(at, 0)["value"], floor)


def test_bad_links_give_the_nearest_recipe_and_say_so(open_page):
    bad = {"recipe": "custom", "iters": "1e308", "points": "many", "batch": -5, "rate": 0, "eps": "nan", "net": "transformer"}
    worse = {"output": "velocity", "weigh": "p2", "avg": "ema", "decay": 7}
    at = open_page("training", **bad, **worse, look=7, smooth="lots", log="perhaps")
    assert not at.exception
    complaints = " ".join(w.value for w in at.warning)
    for label in "The network predicts", "Weight of each t", "Decay: 7 is outside 0.9 to 0.9999":
        assert label in complaints, label
    for label in "Steps", "Points", "Batch", "Rate", "Smallest t", "Network", "Compare scores", "Smooth the loss", "Log axis":
        assert label in complaints, label
    for words in ("20000 steps", "10000 points, all in each step", "up to 1e-05", "average of the weights: EMA", "decay 0.9999"):
        assert words in status(at), words


def test_the_advanced_choices_come_by_the_link_and_say_what_they_change(open_page):
    at = open_page("training", **SHORT, output="noise", weigh="min-snr", avg="ema", decay=0.95)
    assert not at.exception
    for words in ("predicts: Noise", "weight of each t: Min-SNR", "average of the weights: EMA", "decay 0.95"):
        assert words in status(at), words
    captions = [c.value for c in at.caption]
    for sentence in (recipe.PREDICTS["noise"][1], recipe.WEIGHS["min-snr"][1], recipe.AVERAGES["ema"][1]):
        assert sentence in captions
    assert "predicts" not in status(open_page("training", output="clean", weigh="edm", avg="none"))


@pytest.mark.parametrize(
    ("batch", "said"), [(0, "all in each step"), (400, "400 in a step"), (638, "638 in a step"), (640, "all in each step")]
)
def test_the_recipe_says_whether_a_step_takes_all_the_data(batch, said):
    """Each noise has both signs: 640 noisy points of 320."""
    assert f"320 points, {said}" in recipe.words(TrainConfig(data_size=320, batch=batch))


# What is shown


def test_a_finished_run_shows_the_numbers_of_the_library(open_page, seeds):
    seed = next(seeds)
    at = open_page("training", **SHORT, seed=seed, smooth="1", look=0.6)
    rows = chart_rows(at, 1)
    assert set(rows["series"]) == {FLOOR, PRESENT}
    assert rows[rows["series"] == PRESENT]["t"].tolist() == [0.6]
    train_to_the_end(at)
    trainer = Trainer(targets.mixture("tutorial"), VESDE(25.0), config_of(SHORT, seed))
    history = list(trainer)
    rows = chart_rows(at, 0)
    np.testing.assert_allclose(values(rows, LOSS), [row.dsm for row in history], rtol=1e-5)
    np.testing.assert_allclose(values(rows, TRAIN), [row.train_error for row in history], rtol=1e-5)
    np.testing.assert_allclose(values(rows, FRESH), [row.test_error for row in history], rtol=1e-5)
    assert {LOSS, FLOOR, FRESH} <= set(chart_rows(at, 1)["series"])
    assert numbers(at)["Error, fresh points"] == number(history[-1].test_error)
    excess = np.mean([row.dsm for row in history]) - trainer.floor
    found = numbers(at)["Loss − floor"].split(" ± ")[0].replace("−", "-")
    assert float(found) == pytest.approx(excess, abs=0.51 * 10.0 ** -len(found.partition(".")[2]))
    assert at.button(key="train").label == "Train again"
    assert len(at.get("vega_lite_chart")) == 2  # over steps, over time
    overlay, *samples = pictures(at)
    names = ["By the learned score", "By the exact score", "Exact sample"]
    assert all(f">{name}</text>" in overlay for name in ["exact density", *names])
    assert all(f">{name}</text>" in picture for name, picture in zip(names, samples, strict=True))
    assert [t.value for t in at.header] == ["Samples after 12 steps of training"]


def test_a_sample_that_failed_is_not_said_to_fill_the_contours(open_page, seeds):
    at = open_page("training", **SHORT, seed=next(seeds), net="notebook", output="score", target="rings")
    train_to_the_end(at)
    assert any("The samples by the learned score differ from exact ones" in m.value for m in at.markdown)
    assert not any("cannot be told apart" in m.value for m in at.markdown)


def test_one_dimension_shows_both_scores_as_curves_and_the_estimates_as_curves(open_page, seeds):
    at = open_page("training", **SHORT, seed=next(seeds), target="two-modes")
    assert set(chart_rows(at, 1)["series"]) == {"exact", "density"}
    train_to_the_end(at)
    assert {"learned", "exact", "density"} in [set(chart_rows(at, i)["series"]) for i in range(2)]
    overlay, *samples = pictures(at)
    assert ">By the learned score</text>" in overlay and len(samples) == 3 and all("density" in one for one in samples)


def test_the_difference_is_shown_on_request_with_its_unit_in_words(open_page, seeds):
    at = open_page("training", **SHORT, seed=next(seeds), pair="difference")
    train_to_the_end(at)
    words = next(c.value for c in at.caption if "Typical difference" in c.value)
    assert "Learned minus exact score at t = 0.25" in words
    assert "a difference of 1 means that the network misjudges the noise by one standard deviation of the noise" in words


def test_the_tutorials_metric_is_shown_on_request_with_what_is_wrong_with_it(open_page, seeds):
    at = open_page("training", **SHORT, seed=next(seeds), metric="true")
    assert set(chart_rows(at, 0)["series"]) == {FLOOR, PERFECT}
    assert any("even the exact score has" in caption.value for caption in at.caption)
    train_to_the_end(at)
    assert NOTEBOOK in set(chart_rows(at, 0)["series"])
    assert "The tutorial's metric" in numbers(at)


@pytest.mark.thorough
def test_few_points_lead_below_the_floor_and_the_page_says_why(open_page, seeds):
    at = open_page("training", recipe="custom", iters=1000, points=10, batch=0, seed=next(seeds))
    train_to_the_end(at)
    assert any("the network has begun to memorise its training points" in caption.value for caption in at.caption)


@pytest.mark.parametrize(
    "value,error,text",
    [
        (-0.00445, 0.0051, "−0.0044 ± 0.0051"),
        (0.84412, 0.006, "0.8441 ± 0.0060"),
        (3.1e9, 1e8, "3.10 × 10⁹"),
        (2.0, np.nan, "2.00"),
    ],
)
def test_a_value_and_its_error_have_the_same_decimals_and_fit_the_table(value, error, text):
    assert view._measured(Measurement(value, error)) == text
    assert len(text) <= 16


# Who trains


def polled(monkeypatch) -> list[float | None]:
    """How often the live view is drawn again in each run of the page, from now on, if no crowd slows it down."""
    monkeypatch.setattr(work, "MOST_LOOKS", math.inf)  # viewers that earlier tests left count for some seconds
    every, fragment = [], st.fragment

    def noted(draw, **options):
        every.extend(options.values())
        return fragment(draw, **options)

    monkeypatch.setattr(st, "fragment", noted)
    return every


def test_a_run_that_is_wanted_and_not_done_is_polled_though_its_lease_ran_out_while_the_page_was_computed(
    open_page, seeds, monkeypatch
):
    """A reader on a busy machine: without polling nobody would renew the lease, and the training would be stuck."""
    at = open_page("training", **LONG, seed=next(seeds))
    every = polled(monkeypatch)
    monkeypatch.setattr(work, "LEASE_SECONDS", 0.05)
    monkeypatch.setattr(work, "LOOKS_OF_A_LEASE", 0)
    shown = view.buttons

    def slow(task, run):
        end = time.monotonic() + 20
        while run.watched or not run.resting:  # until the lease has run out
            assert time.monotonic() < end
            time.sleep(0.02)
        shown(task, run)

    monkeypatch.setattr(view, "buttons", slow)
    press(at, "train")
    assert not at.exception
    assert every == [work.LOOK_SECONDS]
    before = step_of(at)
    monkeypatch.setattr(view, "buttons", shown)
    monkeypatch.setattr(work, "LEASE_SECONDS", 5.0)
    rerun_until(at, lambda at: step_of(at) > before)
    press(at, "pause")
    assert every[-1] is None and "**Paused**" in status(at)


def test_nothing_is_polled_before_training_and_after_it(open_page, seeds, monkeypatch):
    every = polled(monkeypatch)
    at = open_page("training", **SHORT, seed=next(seeds))
    assert every == [None]
    train_to_the_end(at)
    assert every[-1] is None and work.LOOK_SECONDS in every


def test_pause_keeps_the_step_and_continue_goes_on(open_page, seeds):
    at = open_page("training", **LONG, seed=next(seeds))
    press(at, "train")
    rerun_until(at, lambda at: step_of(at) > 3)
    press(at, "pause")
    assert "**Paused**" in status(at)
    paused = step_of(at)
    time.sleep(0.3)
    assert step_of(at.run()) == paused
    assert at.button(key="train").label == "Continue"
    press(at, "train")
    rerun_until(at, lambda at: step_of(at) > paused)
    assert "left" in status(at)
    press(at, "pause")


def test_another_page_and_the_link_find_the_run(open_page, seeds):
    parameters = SHORT | {"seed": next(seeds)}
    at = open_page("training", **parameters)
    train_to_the_end(at)
    at.switch_page("pages/forward.py").run()
    at.switch_page("pages/training.py").run()
    assert "**Done**, step 12 of 12" in status(at)
    assert "**Trained here already**, step 12 of 12" in status(open_page("training", **parameters))


def test_one_readers_reset_leaves_the_run_to_others_and_newcomers(open_page, seeds, monkeypatch):
    parameters = SHORT | {"seed": next(seeds)}
    at, other = open_page("training", **parameters), open_page("training", **parameters)
    train_to_the_end(at)
    other.run()
    press(at, "reset")
    assert "Press Train" in status(at.run())
    assert "**Trained here already**" in status(other.run())
    assert "**Trained here already**" in status(open_page("training", **parameters))
    assert not at.header
    train_to_the_end(at)  # from the start


def test_a_newcomer_to_a_finished_run_watches_it_from_the_start_and_disturbs_nobody(open_page, seeds, monkeypatch):
    started = []
    make = tasks.Training.__init__
    monkeypatch.setattr(tasks.Training, "__init__", lambda self, *args: (started.append(self), make(self, *args))[1])
    parameters = SHORT | {"seed": next(seeds)}
    at = open_page("training", **parameters)
    train_to_the_end(at)
    loss, before = values(chart_rows(at, 0), LOSS), len(started)
    newcomer = open_page("training", **parameters)
    assert "Press **Train again** to watch it from the start" in status(newcomer)
    assert (newcomer.button(key="train").label, newcomer.button(key="train").disabled) == ("Train again", False)
    train_to_the_end(newcomer)
    np.testing.assert_array_equal(values(chart_rows(newcomer, 0), LOSS), loss)
    assert len(started) > before
    assert "**Done**, step 12 of 12" in status(at.run())


def test_two_readers_share_a_run_and_it_pauses_when_both_have(open_page, seeds):
    parameters = LONG | {"seed": next(seeds)}
    at, other = open_page("training", **parameters), open_page("training", **parameters)
    press(at, "train")
    press(other, "train")
    rerun_until(other, lambda at: step_of(at) > 3)
    press(at, "pause")
    assert "Somebody else is training this same network" in status(at)
    before = step_of(at)
    rerun_until(other, lambda at: step_of(at) > before + 3)
    press(other, "pause")
    assert "**Paused**" in status(other)
    paused = step_of(other)
    time.sleep(0.3)
    assert step_of(at.run()) == step_of(other.run()) == paused > before


def test_a_reader_who_leaves_stops_the_run(open_page, seeds, monkeypatch):
    monkeypatch.setattr(work, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(work, "LOOKS_OF_A_LEASE", 0)
    parameters = LONG | {"seed": next(seeds)}
    at = open_page("training", **parameters)
    press(at, "train")
    at.switch_page("pages/home.py").run()
    time.sleep(1.0)
    other = open_page("training", **parameters)
    assert "**Paused**" in status(other) or "Press Train" in status(other)
    before = step_of(other)
    time.sleep(0.3)
    assert step_of(other.run()) == before


def test_a_run_that_fails_says_so_in_words_and_keeps_its_curve(open_page, seeds, monkeypatch):
    step = Trainer.__next__

    def fails(trainer: Trainer):
        if trainer.step == 5:
            raise FloatingPointError("the loss became nan at step 6")
        return step(trainer)

    at = open_page("training", **SHORT, seed=next(seeds))
    monkeypatch.setattr(cache, "training_pace", lambda *_: TrainingPace(0.01, 0.01))
    monkeypatch.setattr(Trainer, "__next__", fails)
    monkeypatch.setattr(work, "SLICE_SECONDS", 0.0)  # each step is published
    press(at, "train")
    wait_for_work(at)
    assert not at.exception
    assert "the loss became nan at step 6" in at.error[0].value
    assert at.button(key="train").disabled
    assert not at.header  # a broken model is not sampled from


def test_a_model_that_went_wild_is_shown_without_a_traceback(open_page, seeds):
    wild = {"recipe": "custom", "iters": 60, "points": 50, "batch": 16, "rate": 1.0, "net": "notebook", "lam": 50}
    at = open_page("training", **wild, seed=next(seeds), target="tight")
    train_to_the_end(at)
    assert not at.exception


def test_the_sampler_is_described_as_it_runs(open_page, seeds):
    at = open_page("training", **SHORT, seed=next(seeds))
    train_to_the_end(at)
    assert any(f"{STEPS} steps of the reverse SDE down to t = 0.01" in caption.value for caption in at.caption)


def test_the_loss_of_one_point_is_shown_with_the_guess_and_a_second_origin(open_page):
    at = open_page("training", showloss="true")
    rows = next(m.value for m in at.markdown if m.value.startswith("| t = 0.25")).splitlines()
    found = onepoint.run(Experiment(), onepoint.Settings())
    assert [row.rsplit("|", 2)[1].strip() for row in rows[3:]] == [
        number(value) for value in (found.first.loss, found.mean, found.floor)
    ]
    at.toggle(key="second").set_value(True)
    next(button for button in at.button if button.label == "Another point").click().run()
    assert not at.exception and at.number_input(key="lpoint").value == 2
    other = onepoint.run(Experiment(), onepoint.Settings(point=2, second=True))
    rows = next(m.value for m in at.markdown if m.value.startswith("| t = 0.25")).splitlines()
    assert other.average is not None and f"| Mean of both | | | {number(other.average)} |" in [" ".join(r.split()) for r in rows]
