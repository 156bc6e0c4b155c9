"""The training page without a browser: its recipe, its runs and who shares them, and what it draws, against the library."""

import io
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from scoredm import VESDE, ScoreNet, TrainConfig, Trainer, dsm_floor, exact_score, score_error, targets
from scoredm.charts.training import FLOOR, FRESH, LOSS, NOTEBOOK, PERFECT, PRESENT, TRAIN
from scoredm.experiment import Experiment
from scoredm.training import mean_floor
from scoredm.ui.training import learned, progress, recipe, runs

SHORT = {"recipe": "Custom", "iters": 12, "points": 200, "batch": 64}
LONG = {"recipe": "Custom", "iters": 20_000, "points": 100, "batch": 16}


def config_of(parameters: dict, seed: int) -> TrainConfig:
    return TrainConfig(
        data_size=parameters["points"], batch=parameters["batch"], steps=parameters["iters"], eval_every=1, seed=seed
    )


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
    table = next(m.value for m in at.markdown if "Its floor" in m.value)
    return dict(re.findall(r"\| ([^|]+) \| ([^|]+) \|", table))


def press(at: AppTest, key: str) -> AppTest:
    return at.button(key=key).click().run()


def rerun_until(at: AppTest, done, seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not done(at):
        assert time.monotonic() < end, status(at)
        time.sleep(0.05)
        at.run()


def train_to_the_end(at: AppTest) -> None:
    press(at, "train")
    rerun_until(at, lambda at: any("Samples after" in part.value for part in at.subheader))
    assert "**Done**" in status(at)
    assert not at.exception


@pytest.fixture(scope="module")
def seeds():
    """Seeds that no other test has trained with: a run is shared by everybody in the process."""
    return iter(range(7000, 8000))


def test_before_training_there_is_the_floor_and_what_to_do(open_page):
    at = open_page("training")
    assert not at.exception
    assert re.search(r"Press Train: about \d+ (second|minute)s? on this machine", status(at))
    assert "ScoreNet" in status(at)
    rows = chart_rows(at, 0)
    assert set(rows["series"]) == {FLOOR}
    np.testing.assert_allclose(rows["value"], mean_floor(targets.mixture("tutorial"), VESDE(25.0), 0.01))
    assert rows["step"].tolist() == [0, TrainConfig().steps]
    assert numbers(at)["Its floor"] == "0.840"
    assert at.button(key="reset").disabled


def test_the_tutorials_recipe_by_its_button(open_page):
    at = open_page("training", lam=5, seed=3)
    next(b for b in at.button if b.label == "Tutorial’s run").click().run()
    assert not at.exception
    assert (at.slider(key="lam").value, at.number_input(key="seed").value) == (25.0, 2021)
    for words in ("tutorial’s network", "10000 points, all at once", "500 steps", "rate 0.005", "seed 2021"):
        assert words in status(at), words


def test_every_field_of_a_custom_recipe_reaches_the_run(open_page):
    at = open_page("training", recipe="Custom")
    for key, value in {"iters": 77, "points": 320, "batch": 32, "rate": 0.02, "eps": 0.05, "seed": 9}.items():
        at.number_input(key=key).set_value(value)
    at.selectbox(key="net").set_value("notebook")
    at.selectbox(key="sched").set_value("constant")
    at.run()
    assert not at.exception
    for words in ("tutorial’s network", "320 points, 32 a step", "77 steps", "rate 0.02 ", "t in [0.05, 1]", "seed 9"):
        assert words in status(at), words
    floor = mean_floor(targets.mixture("tutorial"), VESDE(25.0), 0.05)
    np.testing.assert_allclose(chart_rows(at, 0)["value"], floor)


def test_bad_links_give_the_nearest_recipe_and_say_so(open_page):
    bad = {"recipe": "Custom", "iters": "1e308", "points": "many", "batch": -5, "rate": 0, "eps": "nan", "net": "transformer"}
    worse = {"predict": "velocity", "weigh": "p2", "avg": "ema", "decay": 7}
    at = open_page("training", **bad, **worse, look=7, smooth="lots", log="perhaps")
    assert not at.exception
    complaints = " ".join(w.value for w in at.warning)
    for label in "The network predicts", "Weight of each t", "Decay: 7 is outside 0.9 to 0.9999":
        assert label in complaints, label
    for words in ("average of the weights: EMA", "decay 0.9999"):
        assert words in status(at), words
    for label in "Steps", "Points", "Batch", "Rate", "Smallest t", "Network", "Compare scores", "Smooth the loss", "Log axis":
        assert label in complaints, label
    for words in ("20000 steps", "10000 points, all at once", "up to 1e-05", "t in [0.01, 1]", "ScoreNet"):
        assert words in status(at), words


def test_the_advanced_choices_come_by_the_link_reach_the_run_and_say_what_they_change(open_page, seeds):
    seed, chosen = next(seeds), {"predict": "noise", "weigh": "min-snr", "avg": "ema", "decay": 0.95}
    at = open_page("training", **SHORT, seed=seed, **chosen, smooth="Off")
    assert not at.exception
    for words in ("predicts noise", "weight Min-SNR", "average of the weights: EMA", "decay 0.95"):
        assert words in status(at), words
    captions = [c.value for c in at.caption]
    for sentence in (recipe.PREDICTS["noise"][1], recipe.WEIGHS["min-snr"][1], recipe.AVERAGES["ema"][1]):
        assert sentence in captions
    train_to_the_end(at)
    changes = {"parametrisation": "noise", "weighting": "min-snr", "average": "ema", "decay": 0.95}
    history = list(Trainer(targets.mixture("tutorial"), VESDE(25.0), replace(config_of(SHORT, seed), **changes)))
    np.testing.assert_allclose(values(chart_rows(at, 0), FRESH), [row.test_error for row in history], rtol=1e-4)


def test_the_advanced_choices_belong_to_a_custom_recipe_alone(open_page):
    at = open_page("training", predict="clean", weigh="edm", avg="none")
    assert "predicts" not in status(at)
    assert "predict" not in [box.key for box in at.selectbox]


def test_at_each_time_there_is_the_floor_and_after_training_the_loss_and_the_error(open_page, seeds):
    seed = next(seeds)
    at = open_page("training", **SHORT, seed=seed, look=0.6)
    rows = chart_rows(at, 1)
    assert set(rows["series"]) == {FLOOR, PRESENT}
    assert rows[rows["series"] == PRESENT]["t"].tolist() == [0.6]
    times = rows[rows["series"] == FLOOR]["t"].to_numpy()
    mixture, sde = targets.mixture("tutorial"), VESDE(25.0)
    np.testing.assert_allclose(values(rows, FLOOR), dsm_floor(mixture, sde, times), rtol=1e-6)
    train_to_the_end(at)
    rows = chart_rows(at, 1)
    trainer = Trainer(mixture, sde, config_of(SHORT, seed))
    list(trainer)
    error = score_error(trainer.score_fn, mixture, sde, times, n=20_000)
    np.testing.assert_allclose(values(rows, FRESH), error, rtol=0.6)
    assert values(rows, FRESH).mean() == pytest.approx(error.mean(), rel=0.2)
    np.testing.assert_allclose(values(rows, LOSS), values(rows, FLOOR) + error, rtol=0.06)


def test_the_error_at_each_time_moves_while_training_goes_on(open_page, seeds, monkeypatch):
    monkeypatch.setattr(runs, "LOOK_SECONDS", 0.0)
    at = open_page("training", **LONG, seed=next(seeds))
    press(at, "train")
    rerun_until(at, lambda at: step_of(at) > 3)
    first = values(chart_rows(at, 1), FRESH)
    assert len(first) == 24
    rerun_until(at, lambda at: step_of(at) > 100)
    assert (values(chart_rows(at, 1), FRESH) != first).all()
    press(at, "pause")


class Going:
    """A run whose model is another one each time."""

    parked = False

    def snapshot(self) -> ScoreNet:
        return ScoreNet(VESDE())


def test_the_model_that_readers_look_at_is_held_for_a_second_while_a_run_goes_on_and_is_the_last_at_rest(monkeypatch):
    run, now = Going(), 100.0
    monkeypatch.setattr(runs.time, "monotonic", lambda: now)
    first = runs.model(run)  # pyright: ignore[reportArgumentType]
    now += 0.9
    assert runs.model(run) is first  # pyright: ignore[reportArgumentType]
    now += 0.2
    second = runs.model(run)  # pyright: ignore[reportArgumentType]
    assert second is not first
    run.parked = True
    assert runs.model(run) is not second  # pyright: ignore[reportArgumentType]


def test_the_map_is_blank_where_there_is_no_mass_and_full_where_the_error_is():
    experiment = Experiment("tight")
    mixture, sde = experiment.mixture, experiment.sde
    frames = learned.score_gap(experiment, ScoreNet(sde, 2), 0.05).frames
    assert frames is not None
    image, anchors, arrows = frames.image, frames.anchors, frames.arrows
    assert image is not None
    assert anchors is not None
    assert arrows is not None
    rings = frames.ellipses[0]  # pyright: ignore[reportOptionalSubscript]
    far = np.min([np.linalg.norm(anchors[0] - ring[:2], axis=1) / ring[2] for ring in rings], axis=0)
    drawn = np.isfinite(arrows[0]).all(1)
    assert drawn[far < 3].all()
    assert not drawn[far > 5].any()
    size = np.linalg.norm(arrows[0][drawn], axis=1) / ((frames.windows[0, 1] - frames.windows[0, 0]) / 14)
    points = torch.tensor(anchors[0][drawn], dtype=torch.float32)
    gap = float(sde.sigma(0.05)) * (ScoreNet(sde, 2)(points, 0.05).detach() - exact_score(mixture, sde)(points, 0.05))
    np.testing.assert_allclose(size, gap.norm(dim=1).clamp(max=1).sqrt(), atol=1e-4)


def test_the_map_names_its_largest_difference_and_what_its_colours_mean():
    experiment, t = Experiment(), 0.25
    model = ScoreNet(experiment.sde, 2)
    found = learned.score_gap(experiment, model, t)
    distribution = experiment.distribution(t)
    drawn = distribution.sample(20_000, torch.Generator().manual_seed(0))
    density = distribution.log_prob(drawn)
    usual = drawn[density > density.quantile(0.02)].float()
    gap = float(experiment.sde.sigma(t)) * (model(usual, t).detach() - exact_score(experiment.mixture, experiment.sde)(usual, t))
    assert found.largest == pytest.approx(float(gap.norm(dim=1).max()), rel=0.1)
    assert f"at most **{found.largest:.2g}**" in progress._gap_words(found, t)
    for level, text in learned.GAP_MARKS[:2]:
        assert learned.GAP_FULL * level**2 == {"0": 0, "¼": 0.25}[text]
    assert learned.GAP_MARKS[2] == (1.0, "1 unit of noise") and learned.GAP_FULL == 1


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
    assert progress._measured(value, error) == text
    assert len(text) <= 16


def test_models_of_equal_weights_that_predict_different_things_are_not_taken_for_one_another():
    experiment = Experiment("two-modes")
    own, clean = (ScoreNet(experiment.sde, 1, parametrisation=name) for name in ("own", "clean"))
    gaps = [learned.score_gap(experiment, model, 0.3).gap.learned for model in (own, clean)]
    assert np.abs(gaps[0] - gaps[1]).max() > 0.1


def test_a_finished_run_shows_the_numbers_of_the_library(open_page, seeds):
    seed = next(seeds)
    at = open_page("training", **SHORT, seed=seed, smooth="Off")
    train_to_the_end(at)
    trainer = Trainer(targets.mixture("tutorial"), VESDE(25.0), config_of(SHORT, seed))
    history = list(trainer)
    rows = chart_rows(at, 0)
    np.testing.assert_allclose(values(rows, LOSS), [row.dsm for row in history], rtol=1e-5)
    np.testing.assert_allclose(values(rows, TRAIN), [row.train_error for row in history], rtol=1e-5)
    np.testing.assert_allclose(values(rows, FRESH), [row.test_error for row in history], rtol=1e-5)
    assert numbers(at)["Error, fresh"] == f"{history[-1].test_error:.3g}"
    excess = np.mean([row.dsm for row in history]) - trainer.floor
    found = numbers(at)["Loss − floor"].split(" ± ")[0].replace("−", "-")
    assert float(found) == pytest.approx(excess, abs=0.51 * 10.0 ** -len(found.partition(".")[2]))
    assert at.button(key="train").label == "Train again"
    assert len(at.get("vega_lite_chart")) == 1 + 1 + 3  # over steps, over time, three samples
    assert [t.value for t in at.subheader] == ["Samples after 12 steps of training"]


def test_smoothing_and_the_axis_change_the_chart_and_not_the_run(open_page, seeds):
    at = open_page("training", **SHORT, seed=next(seeds), smooth="Off")
    train_to_the_end(at)
    raw = values(chart_rows(at, 0), LOSS)
    at.segmented_control(key="smooth").set_value("50").run()
    np.testing.assert_allclose(values(chart_rows(at, 0), LOSS), np.cumsum(raw) / np.arange(1, 13), rtol=1e-5)
    assert '"type": "log"' in at.get("vega_lite_chart")[0].proto.spec
    at.toggle(key="log").set_value(False).run()
    assert '"type": "log"' not in at.get("vega_lite_chart")[0].proto.spec
    assert "**Done**" in status(at)


def test_the_tutorials_metric_is_a_switch_with_a_warning(open_page, seeds):
    seed = next(seeds)
    at = open_page("training", **SHORT, seed=seed)
    train_to_the_end(at)
    assert set(chart_rows(at, 0)["series"]) == {FLOOR, LOSS, TRAIN, FRESH}
    at.toggle(key="metric").set_value(True).run()
    rows = chart_rows(at, 0)
    history = list(Trainer(targets.mixture("tutorial"), VESDE(25.0), config_of(SHORT, seed)))
    np.testing.assert_allclose(values(rows, NOTEBOOK), [row.notebook_error for row in history], rtol=1e-5)
    np.testing.assert_allclose(values(rows, PERFECT), 0.364, atol=0.02)
    warning = next(c.value for c in at.caption if "What is wrong" in c.value)
    assert "a perfect model scores 0.3" in warning


def test_on_the_line_learned_and_exact_score_are_curves(open_page, seeds):
    at = open_page("training", **SHORT, seed=next(seeds), target="two-modes", look=0.4)
    train_to_the_end(at)
    rows = chart_rows(at, 1)
    mixture, sde = targets.mixture("two-modes"), VESDE(25.0)
    exact = rows[rows["series"] == "exact"]
    x = exact["x"].to_numpy()[:, None]
    expected = float(sde.sigma(0.4)) * exact_score(mixture, sde)(torch.tensor(x), 0.4).numpy()[:, 0]
    np.testing.assert_allclose(exact["value"], expected, atol=1e-4)
    learned = values(rows, "learned")
    assert learned.shape == expected.shape
    assert np.abs(learned - expected).max() > 1e-3  # twelve steps do not make it exact
    assert len(at.get("vega_lite_chart")) == 2 + 3 + 1


def test_reset_forgets_the_run_and_training_anew_gives_the_same_numbers(open_page, seeds, monkeypatch):
    made = []
    make = Trainer.__init__
    monkeypatch.setattr(Trainer, "__init__", lambda self, *args: (made.append(args), make(self, *args))[1])
    monkeypatch.setattr("scoredm.ui.training.learned.training_seconds", lambda *_: 1.0)
    at = open_page("training", **SHORT, seed=next(seeds))
    train_to_the_end(at)
    first = values(chart_rows(at, 0), LOSS)
    press(at, "reset")
    assert "Press Train" in status(at)
    assert set(chart_rows(at, 0)["series"]) == {FLOOR}
    assert not at.subheader
    assert len(made) == 1
    train_to_the_end(at)
    assert len(made) == 2
    np.testing.assert_array_equal(values(chart_rows(at, 0), LOSS), first)


def test_the_run_is_found_after_another_page_and_through_the_link(open_page, seeds):
    parameters = SHORT | {"seed": next(seeds)}
    at = open_page("training", **parameters)
    train_to_the_end(at)
    at.switch_page("pages/forward.py").run()
    at.switch_page("pages/training.py").run()
    assert "**Done**, step 12 of 12" in status(at)
    other = open_page("training", **parameters)
    assert "**Trained here already**, step 12 of 12" in status(other)


def test_one_reader_resets_and_the_other_keeps_the_finished_run(open_page, seeds):
    parameters = SHORT | {"seed": next(seeds)}
    at, other = open_page("training", **parameters), open_page("training", **parameters)
    train_to_the_end(at)
    other.run()
    press(at, "reset")
    assert "**Trained here already**" in status(other.run())
    assert "Press Train" in status(at.run())


def test_a_newcomer_to_a_finished_run_watches_it_from_the_start_and_disturbs_nobody(open_page, seeds, monkeypatch):
    starts = []
    make = Trainer.__init__
    monkeypatch.setattr(Trainer, "__init__", lambda self, *args: (starts.append(self), make(self, *args))[1])
    monkeypatch.setattr("scoredm.ui.training.learned.training_seconds", lambda *_: 1.0)
    parameters = SHORT | {"seed": next(seeds)}
    at = open_page("training", **parameters)
    train_to_the_end(at)
    loss = values(chart_rows(at, 0), LOSS)
    newcomer, late = open_page("training", **parameters), open_page("training", **parameters)
    for page in (newcomer, late):  # late: pressed once the newcomer's run is over too
        assert "Press **Train again** to watch it from the start" in status(page)
        assert (page.button(key="train").label, page.button(key="train").disabled) == ("Train again", False)
        train_to_the_end(page)
        np.testing.assert_array_equal(values(chart_rows(page, 0), LOSS), loss)
    assert len(starts) == 3
    assert "**Done**, step 12 of 12" in status(at.run())
    press(at, "reset")  # his own run is not the one that newcomers find
    assert "Press Train" in status(at)


@pytest.mark.parametrize("step,joined", [(0, True), (10, True), (11, False), (100, False)])
def test_who_wants_to_see_it_from_the_start_joins_a_run_that_has_just_begun(monkeypatch, step, joined):
    asked, reader, forgotten = runs.Recipe(Experiment(), TrainConfig(steps=100)), runs._Reader(), []
    trainer = SimpleNamespace(step=step, config=asked.config)
    monkeypatch.setattr(runs, "_known", lambda: {asked: SimpleNamespace(error=None, trainer=trainer)})
    monkeypatch.setattr(runs, "_forget", forgotten.append)
    monkeypatch.setattr(runs, "_reader", lambda: reader)
    runs.train_again(asked)
    assert forgotten == ([] if joined else [asked]) and reader.wanted == {asked}


def test_two_readers_share_a_run_and_it_pauses_when_both_have(open_page, seeds):
    parameters = LONG | {"seed": next(seeds)}
    at, other = open_page("training", **parameters), open_page("training", **parameters)
    press(at, "train")
    press(other, "train")
    rerun_until(other, lambda at: step_of(at) > 3)
    press(at, "pause")
    assert "somebody else is training" in status(at)
    before = step_of(at)
    rerun_until(other, lambda at: step_of(at) > before + 3)
    press(other, "pause")
    assert "**Paused**" in status(other)
    paused = step_of(other)
    time.sleep(0.3)
    assert step_of(at.run()) == step_of(other.run()) == paused > before
    press(other, "train")
    rerun_until(other, lambda at: step_of(at) > paused)
    press(other, "pause")


def test_reset_beside_a_reader_who_trains_leads_back_to_the_same_run(open_page, seeds):
    parameters = LONG | {"seed": next(seeds)}
    at, other = open_page("training", **parameters), open_page("training", **parameters)
    press(other, "train")
    rerun_until(other, lambda at: step_of(at) > 3)
    press(at.run(), "reset")
    assert "Press Train" in status(at)
    press(other.run(), "pause")
    reached = step_of(other)
    assert reached > 3
    press(at, "train")
    assert step_of(at) >= reached
    press(at, "pause")


def test_a_run_that_fails_says_so_in_words_and_keeps_its_curve(open_page, seeds, monkeypatch):
    step = Trainer.__next__

    def fails(trainer: Trainer):
        if trainer.step == 5:
            raise FloatingPointError("the loss became nan at step 6")
        return step(trainer)

    monkeypatch.setattr(Trainer, "__next__", fails)
    monkeypatch.setattr("scoredm.ui.training.learned.training_seconds", lambda *_: 1.0)
    at = open_page("training", **SHORT, seed=next(seeds))
    press(at, "train")
    end = time.monotonic() + 40
    while not at.error and time.monotonic() < end:
        time.sleep(0.05)
        at.run()
    assert not at.exception
    assert "the loss became nan at step 6" in at.error[0].value
    assert len(values(chart_rows(at, 0), LOSS)) == 5
    assert at.button(key="train").disabled
    assert not at.subheader  # a broken model is not sampled from


def test_a_model_that_went_wild_is_shown_without_a_traceback(open_page, seeds):
    wild = {"recipe": "Custom", "iters": 60, "points": 50, "batch": 16, "rate": 1.0, "net": "Tutorial", "lam": 50}
    at = open_page("training", **wild, seed=next(seeds), target="tight")
    train_to_the_end(at)
    assert not at.exception


@pytest.mark.parametrize(("batch", "said"), [(0, "all at once"), (400, "400 a step"), (638, "638 a step"), (640, "all at once")])
def test_the_recipe_says_whether_a_step_takes_all_the_data(batch, said):
    """Each noise has both signs: 640 noisy points of 320."""
    assert f"320 points, {said}" in recipe.words(TrainConfig(data_size=320, batch=batch))
