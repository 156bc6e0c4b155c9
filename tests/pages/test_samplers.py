"""The samplers page without a browser: it shows what its screen functions compute, runs and stops, and says so in words."""

import io
import math
import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from scoredm import TrainConfig
from scoredm.budget import Budget
from scoredm.charts.samplers import difference_spec, rounded_up
from scoredm.experiment import Experiment
from scoredm.grids import GRIDS, Grid, uniform_times
from scoredm.metrics import METRICS, NamedMetric, NoiseFloor, covariance_error
from scoredm.samplers import SAMPLERS, Sampler, euler_maruyama
from scoredm.screens import budget as budget_screen, likelihood as likelihood_screen, race as race_screen, studying
from scoredm.statistics import Measurement
from scoredm.studies import Curve, Job, perform
from scoredm.tasks import TrainingTask
from scoredm.ui import budget, cache, likelihood, race, study
from tests.common import pictures, wait_for_work
from tests.pages.conftest import APP

SMALL = {"samplers": "ddim,heun", "to": 40, "particles": 200, "seeds": 1, "dist": "covariance", "target": "two-modes"}
FEW = {"show": "budget", "bscore": "exact", "rsteps": 10, "tmin": 0.1, "bn": 200, "bseeds": 2, "dist": "covariance"}
FLOOR = NoiseFloor(Measurement(0.05, 0.001), 0.04, 0.05, 0.06)


@pytest.fixture(scope="module")
def seeds():
    """Seeds that no other test has used: what was found is kept for everybody in the process."""
    return iter(range(9000, 10_000, 20))


@pytest.fixture
def new_seed(seeds, monkeypatch):
    """A seed whose noise floor is FLOOR: that of the default metric takes seconds, and words and controls do not need it."""
    monkeypatch.setattr(studying, "noise_floor", lambda *_settings: FLOOR)
    return next(seeds)


def status(at: AppTest) -> str:
    return at.get("progress")[0].proto.text


def chart_rows(at: AppTest, index: int = 0):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def says(at: AppTest, words: str) -> bool:
    return any(words in part.value for part in (*at.markdown, *at.caption))


def rerun_until(at: AppTest, done, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not done(at):
        assert time.monotonic() < end, status(at)
        time.sleep(0.05)
        at.run()
        assert not at.exception


def finish(at: AppTest) -> None:
    at.button(key="start").click().run()
    wait_for_work(at)
    assert status(at).startswith("**Done**") and not any(b.key == "stop" for b in at.button)


def explode(sde, score_fn, x, t, t_next, noise):
    return x / 0


# The race


def test_the_page_shows_what_the_command_line_prints(open_page, seeds):
    seed = next(seeds)
    at = open_page("samplers", **SMALL, seed=seed, grids="uniform,karras")
    assert not at.exception and not at.warning
    assert status(at).startswith("**Press Start**: 16 runs, about")
    assert set(chart_rows(at)["kind"]) == {"floor", "corner"}, "an empty race shows the noise floor"
    finish(at)
    settings = race_screen.Settings(("ddim", "heun"), ("uniform", "karras"), "5", "40", "exact", "covariance", 200, 1)
    result = race_screen.run(Experiment("two-modes", seed), settings)
    rows = chart_rows(at)
    found = rows[rows["kind"] == "run"]
    for line in result.standing.lines:
        drawn = found[(found["sampler"] == SAMPLERS[line.sampler].title) & (found["grid"] == GRIDS[line.grid].title)]
        np.testing.assert_allclose(drawn["value"], line.curve.value, rtol=1e-6)
        np.testing.assert_allclose(drawn["nfe"], line.curve.nfe)
    floor, band = result.standing.noise_floor, rows[rows["kind"] == "floor"]
    assert (band["low"].item(), band["high"].item()) == pytest.approx((floor.low, floor.high))
    assert says(at, race.table(result.standing, several=True))
    assert says(at, race.verdict(result.standing))
    assert len(at.get("vega_lite_chart")) == 1
    assert len(pictures(at)) == 2 + 1, "the end points of each sampler, and exact samples"
    assert says(at, "start from the same points and evaluate the score 11 times")
    assert any(e.label == "All results: 16 runs" for e in at.expander)


def test_what_was_run_before_is_not_run_again(open_page, seeds):
    at = open_page("samplers", **SMALL, seed=next(seeds))
    finish(at)
    at.multiselect(key="samplers").set_value(["ddim", "heun", "euler-maruyama"]).run()
    assert status(at).startswith("**Stopped**: 8 of 12 runs are done.")
    assert at.button(key="start").label == "Continue"
    finish(at)
    assert set(chart_rows(at)["sampler"].dropna()) == {"DDIM", "Flow, Heun", "Euler-Maruyama"}


def test_stop_keeps_what_has_arrived_and_continue_goes_on(open_page, seeds):
    at = open_page("samplers", samplers="rk45", to=640, particles=2000, seeds=5, dist="mean", seed=next(seeds), sde="vp")
    at.button(key="start").click().run()
    rerun_until(at, lambda at: not status(at).startswith("**Running**: 0 "))
    at.button(key="stop").click().run()
    assert status(at).startswith("**Stopped**: ")
    time.sleep(1.0)
    arrived = status(at.run())
    time.sleep(1.0)
    assert status(at.run())[:30] == arrived[:30], "nothing goes on"
    assert (chart_rows(at)["kind"] == "run").any()
    assert says(at, "So far")
    before = int(re.findall(r"\d+", arrived)[0])
    at.button(key="start").click().run()
    rerun_until(at, lambda at: status(at).startswith("**Running**") and int(re.findall(r"\d+", status(at))[0]) > before)
    at.button(key="stop").click().run()


def test_a_run_that_fails_says_why_and_the_others_stand(open_page, seeds, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "heun", Sampler("Flow, Heun", lambda: explode, evaluations=2))
    at = open_page("samplers", **SMALL, seed=next(seeds))
    finish(at)
    assert at.warning[0].value.startswith("**Flow, Heun**, 5 steps, seed 9")
    assert at.warning[0].value.endswith("the run failed. Its points ran off to infinity.")
    assert set(chart_rows(at)["sampler"].dropna()) == {"DDIM"}


def test_the_learned_score_is_the_network_of_the_training_page(open_page, seeds, monkeypatch):
    """The network that is in the common home is used; it is not trained a second time."""
    seed = next(seeds)
    short = TrainConfig(steps=20, data_size=200, batch=64, seed=seed)
    experiment = Experiment("two-modes", seed)
    task = TrainingTask("two-modes", experiment.sde, short)
    monkeypatch.setattr(studying, "recipe", lambda _experiment, score: short if score == "learned" else None)
    monkeypatch.setattr(studying, "training_task", lambda _experiment: task)
    at = open_page("samplers", **SMALL | {"samplers": "ddim"}, score="learned", seed=seed)
    finish(at)
    training = cache.workshop().networks.find(task)
    assert training is not None and training.model is not None
    settings = race_screen.Settings(("ddim",), ("uniform",), "5", "40", "learned", "covariance", 200, 1)
    job = race_screen.jobs(experiment, settings)[-1]
    rows = chart_rows(at)
    expected = perform(job, training.model)["covariance"]
    assert rows[rows["kind"] == "run"]["value"].iloc[-1] == pytest.approx(expected)
    assert expected != pytest.approx(perform(replace(job, recipe=None))["covariance"], rel=1e-3)


def test_each_control_of_the_race_counts(open_page):
    at = open_page("samplers", particles=200, dist="Error of the mean")
    assert status(at).startswith("**Press Start**: 72 runs")
    moves = {"to": "80", "from": "10", "score": "learned", "dist": "covariance", "particles": 300, "seeds": 2}
    for key, value in moves.items():
        widget = next(w for w in (*at.selectbox, *at.segmented_control, *at.slider) if w.key == key)
        widget.set_value(value).run()
        assert not at.exception, key
    assert status(at).startswith("**Press Start**: 32 runs"), "4 samplers, 10 to 80 steps, 2 seeds"
    at.multiselect(key="grids").set_value(["uniform", "log-snr"]).run()
    assert status(at).startswith("**Press Start**: 64 runs")


def test_with_no_sampler_chosen_the_page_stays_as_it_was(open_page):
    at = open_page("samplers", particles=200, dist="mean")
    before = status(at)[:30]
    at.multiselect(key="samplers").set_value([]).run()
    assert not at.exception and status(at)[:30] == before
    at.multiselect(key="grids").set_value([]).run()
    assert not at.exception and status(at)[:30] == before
    assert (chart_rows(at)["kind"] == "floor").any()


def test_one_registry_entry_is_a_new_sampler_grid_and_metric(open_page, seeds, monkeypatch):
    """Title, colour, shape, dash and help come from the entry or from its place: no table of the page names it."""
    monkeypatch.setitem(SAMPLERS, "dummy", Sampler("Dummy", lambda: euler_maruyama, stochastic=True))
    monkeypatch.setitem(
        SAMPLERS, "red", Sampler("Red", lambda: euler_maruyama, stochastic=True, colour="#FF0000", shape="stroke")
    )
    monkeypatch.setitem(GRIDS, "dummy", Grid("Dummy grid", lambda _sde, steps, t_min: uniform_times(steps, t_min), dash=(9, 9)))
    monkeypatch.setitem(METRICS, "dummy", NamedMetric("Dummy metric", "dummies", "A dummy.", covariance_error, fresh=3))
    link = {"samplers": "dummy,red", "grids": "uniform,dummy", "dist": "dummy"}
    at = open_page("samplers", **SMALL | link, seed=next(seeds))
    assert not at.exception and not at.warning
    finish(at)
    spec = at.get("vega_lite_chart")[0].proto.spec
    for words in ("Dummy metric (dummies)", '"Dummy"', '"Red"', "Dummy grid", "#FF0000", '"stroke"', "[9, 9]"):
        assert words in spec.replace("[9,9]", "[9, 9]"), words
    assert says(at, "| Dummy | Dummy grid |") and says(at, "| Red | Even in t |")
    assert "**Dummy metric**: A dummy." in at.selectbox(key="dist").help
    at = open_page("samplers", **FEW | {"sampler": "dummy", "dist": "dummy"})
    assert not at.exception and not at.warning
    finish(at)
    assert says(at, "| Steps |")


def test_bad_links_are_put_right_and_say_so(open_page, new_seed):
    bad = {"samplers": "ddim,magic", "grids": "", "from": 7, "to": "many", "score": "guessed", "dist": "taste"}
    at = open_page("samplers", **bad, particles="1e9", seeds=0, show="podium", seed=new_seed)
    assert not at.exception
    complaints = " ".join(w.value for w in at.warning)
    for words in ("“magic” is not one", "Time grids", "“7” is not one of 5, 10, 20", "“many”", "“guessed”", "“taste”"):
        assert words in complaints, words
    assert "1e9 is outside 200 to 10,000" in complaints and "0 is outside 1 to 5" in complaints and "“podium”" in complaints
    assert at.multiselect(key="samplers").value == ["ddim"]
    assert at.multiselect(key="grids").value == ["uniform"]


def test_a_metric_that_the_target_has_not_is_refused_however_it_was_asked_for(open_page):
    chosen = open_page("samplers", dist="weights", particles=200)
    chosen.selectbox(key="target").set_value("gaussian").run()
    elsewhere = open_page("samplers", dist="weights", particles=200)
    elsewhere.switch_page("pages/practice.py").run()
    elsewhere.selectbox(key="target").set_value("gaussian").run()
    elsewhere.switch_page("pages/samplers.py").run()
    for at in (open_page("samplers", target="gaussian", dist="weights", particles=200), chosen, elsewhere):
        assert not at.exception and at.selectbox(key="dist").value == "sliced-wasserstein"
        assert "dist" not in at.query_params
    assert "“Error of the weights” is not one of sliced-wasserstein" in " ".join(warning.value for warning in chosen.warning)


AGAINST_THE_FLOW = SMALL | {"samplers": "ddim,heun,euler-maruyama", "dist": "pathwise"}


def test_samplers_without_noise_race_against_the_exact_flow(open_page, seeds):
    seed = next(seeds)
    at = open_page("samplers", **AGAINST_THE_FLOW, seed=seed)
    assert not at.exception and not at.warning
    assert status(at).startswith("**Press Start**: 8 runs, about")
    left_out = "Left out: Euler-Maruyama. Samplers that add noise do not follow the exact flow."
    assert says(at, left_out)
    assert says(at, "so does the exact flow from the same points") and not says(at, "band")
    finish(at)
    settings = race_screen.Settings(("euler-maruyama", "ddim", "heun"), ("uniform",), "5", "40", "exact", "pathwise", 200, 1)
    result = race_screen.run(Experiment("two-modes", seed), settings)
    rows = chart_rows(at)
    assert set(rows["kind"]) == {"run", "corner"}, "there is no noise floor, and no band"
    assert set(rows["sampler"].dropna()) == {"DDIM", "Flow, Heun"}
    corners = rows[rows["kind"] == "corner"]["value"]
    values = np.concatenate([line.curve.value for line in result.standing.lines])
    np.testing.assert_allclose(rows[rows["kind"] == "run"]["value"], values, rtol=1e-6)
    assert (corners.min(), corners.max()) == pytest.approx((values.min(), values.max()))
    assert says(at, race.table(result.standing, several=False)) and says(at, "| sampler | best | at NFE | slope |")
    closest = result.standing.verdict
    assert closest is not None and closest.nfe == 41
    assert says(at, "**With at most 41 evaluations of the score, ") and says(at, f"flow: {closest.closest:.3g}"[:12])
    assert says(at, "A slope of −1 means order 1") and says(at, left_out) and not says(at, "noise floor")
    assert len(pictures(at)) == 2 + 1


def test_a_race_of_noise_alone_against_the_exact_flow_says_what_to_choose(open_page):
    at = open_page("samplers", **AGAINST_THE_FLOW | {"samplers": "euler-maruyama,langevin"})
    assert not at.exception
    assert [warning.value for warning in at.warning] == [
        "Euler-Maruyama, Annealed Langevin: samplers that add noise do not follow the exact flow. Choose one without noise, or "
        "another distance."
    ]
    assert not at.get("vega_lite_chart") and not any(button.key == "start" for button in at.button)
    at.multiselect(key="samplers").set_value(["euler-maruyama", "ddim"]).run()
    assert not at.exception and not at.warning
    assert set(chart_rows(at)["kind"]) == {"corner"}
    assert status(at).startswith("**Press Start**: 4 runs")


def test_the_distance_to_the_exact_flow_is_not_offered_for_the_error_budget(open_page):
    at = open_page("samplers", **FEW | {"dist": "pathwise"})
    assert not at.exception and at.selectbox(key="dist").value == "sliced-wasserstein"
    assert "“pathwise” is not one of sliced-wasserstein" in at.warning[0].value
    with pytest.raises(ValueError, match="dist is pathwise; the error budget needs a distance to the distribution"):
        budget_screen.Settings(metric="pathwise")


def test_links_name_every_choice(open_page):
    at = open_page("samplers", samplers="ddim,heun", dist="mean", particles=200).run()
    at.session_state["link"] = True
    at.run()
    link = next(code.value for code in at.code if "samplers=" in code.value)
    assert link.endswith("?samplers=ddim,heun&dist=mean&particles=200")
    again = AppTest.from_file(APP, default_timeout=60)
    again.query_params["samplers"] = ["DDIM", "Flow, Heun"]
    again.query_params["particles"] = "200"
    again.switch_page("pages/samplers.py").run()
    assert not again.warning
    assert again.multiselect(key="samplers").value == ["ddim", "heun"]


# The error budget


def test_the_bars_are_the_budget_that_the_command_line_prints(open_page, seeds):
    seed = next(seeds)
    at = open_page("samplers", **FEW, target="two-modes", seed=seed)
    assert not at.exception and not at.warning
    assert status(at).startswith("**Press Measure**: 12 runs, about")
    assert "what causes the error of this run" in at.info[0].value
    finish(at)
    settings = budget_screen.Settings("euler-maruyama", "zero", 10, 0.1, False, "exact", "covariance", 200, 2)
    result = budget_screen.run(Experiment("two-modes", seed), settings)
    found = result.budget
    assert found is not None and result.verdict is not None
    bars = chart_rows(at).set_index("part")
    assert bars.index.tolist() == ["This run", *budget.CAUSES.values(), "Remainder", "Noise floor"]
    for cause, name in budget.CAUSES.items():
        amount = found.parts[cause].value
        assert bars.loc[name, "amount"] == pytest.approx(amount, abs=1e-9)
        assert bars.loc[name, "start"] - bars.loc[name, "end"] == pytest.approx(amount, abs=1e-9)
        assert bars.loc[name, "start"] - bars.loc[name, "alone"] == pytest.approx(found.alone[cause].value, abs=1e-9)
    assert bars["amount"].iloc[1:].sum() == pytest.approx(bars.loc["This run", "amount"])
    np.testing.assert_allclose(bars["start"].iloc[2:6], bars["end"].iloc[1:5], err_msg="each begins where the last ends")
    assert bars.loc["Prior", "start"] == bars.loc["This run", "end"]
    assert bars.loc["Remainder", "end"] == pytest.approx(bars.loc["Noise floor", "end"])
    assert says(at, budget.table(found)) and says(at, "2 seeds; ± is a standard error.")
    assert says(at, " ".join(budget.largest(settings, found, result.verdict)))


def test_each_control_of_the_budget_counts(open_page, seeds):
    link = {"show": "Error budget", "bscore": "Exact", "bn": 200, "dist": "Error of the covariance"}
    at = open_page("samplers", **link, seed=next(seeds))
    assert status(at).startswith("**Press Measure**: 48 runs"), "6 for each of 8 seeds: there is no network"
    moves = {"sampler": "heun", "dist": "mean", "rsteps": 15, "tmin": 0.2, "prior": "exact", "bscore": "learned", "bseeds": 3}
    for key, value in moves.items():
        widget = next(w for w in (*at.selectbox, *at.segmented_control, *at.slider) if w.key == key)
        widget.set_value(value).run()
        assert not at.exception, key
    at.slider(key="bn").set_value(300)
    at.toggle(key="denoise").set_value(True).run()
    assert not at.exception
    assert status(at).startswith("**Press Measure**: 18 runs"), "of 8 for each seed, two are others: the prior is exact"


def test_the_run_is_the_reverse_pages(open_page, new_seed):
    at = open_page("reverse", rsteps=35, prior="matched", rn=100, seed=new_seed)
    at.switch_page("pages/samplers.py").run()
    at.segmented_control(key="show").set_value("budget").run()
    assert (at.slider(key="rsteps").value, at.selectbox(key="prior").value) == (35, "matched")


def test_a_failed_budget_says_why(open_page, seeds, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "heun", Sampler("Flow, Heun", lambda: explode, evaluations=2))
    at = open_page("samplers", **FEW, sampler="heun", seed=next(seeds))
    finish(at)
    assert at.warning[0].value.endswith("the run failed. Its points ran off to infinity.")
    assert any("more runs failed" in caption.value for caption in at.caption)


# Words


def line(sampler: str, values, nfe=(6, 11, 21, 41), error: float = 0.001) -> race_screen.Line:
    columns = (np.array(column, dtype=float) for column in (nfe, nfe, values, [error] * len(nfe)))
    return race_screen._line(Curve(sampler, "uniform", *columns), FLOOR)


def standing(*lines: race_screen.Line, done: int = 10) -> race_screen.Standing:
    return race_screen.Standing(10, done, FLOOR, lines, race_screen._verdict(lines), (), ())


def test_the_race_in_words():
    fast, slow = line("heun", [0.4, 0.1, 0.055, 0.05]), line("ddim", [0.8, 0.4, 0.2, 0.1])
    assert race.verdict(standing(slow, fast)) == (
        "**Flow, Heun reaches the noise floor first, with 21 evaluations of the score.** Above it with these steps: DDIM."
    )
    tie = race.verdict(standing(slow, fast, line("dpm-solver", [0.4, 0.1, 0.055, 0.05]), done=4))
    assert tie.startswith(
        "**So far Flow, Heun; DPM-Solver++(2M) reach the noise floor first, with 21 evaluations of the score.**"
    )
    assert race.verdict(standing(slow, done=4)).startswith("**So far no sampler reaches the noise floor.** DDIM is closest")
    none = race.verdict(standing(slow))
    assert none == (
        "**No sampler reaches the noise floor with these steps.** DDIM comes closest, with 0.100. "
        "The noise floor extends from 0.0400 to 0.0600."
    )


def test_the_table_gives_the_answer_first():
    table = race.table(
        standing(
            line("ddim", [0.8, 0.4, 0.2, 0.1]), line("heun", [0.4, 0.1, 0.055, 0.05]), line("rk45", [0.05, 0.05, 0.05, 0.05])
        ),
        several=True,
    ).splitlines()
    assert table[0] == "| sampler | time grid | floor reached at NFE | best | at NFE | slope |"
    slope = np.polyfit(np.log([6, 11, 21, 41]), np.log(np.sqrt(np.array([0.8, 0.4, 0.2, 0.1]) ** 2 - 0.05**2)), 1)[0]
    assert table[2] == f"| DDIM | Even in t | – | 0.1000 ± 0.0010 | 41 | −{abs(slope):.2f} |"
    assert table[3].startswith("| Flow, Heun | Even in t | 21 | 0.0500 ± 0.0010 | 41 | −")
    assert table[4] == "| Flow, adaptive RK45 | Even in t | 6 | 0.0500 ± 0.0010 | 6 | – |"


def test_end_points_at_other_evaluations_are_named():
    points = np.zeros((2, 1))
    ends = [race_screen.End(key, 5, nfe, 0.1, points) for key, nfe in (("ddim", 11), ("heun", 11), ("rk45", 51))]
    assert race.ends_caption(ends[:2]).endswith("from the same points and evaluate the score 11 times.")
    assert "11 times, except Flow, adaptive RK45" in race.ends_caption(ends)


def measured(**parts: float) -> Budget:
    amounts = {name: Measurement(parts.get(name, 0.0), 0.002) for name in budget.CAUSES}
    effects = dict.fromkeys(budget.CAUSES, Measurement(0.0, 0.002))
    total = FLOOR.mean.value + sum(amount.value for amount in amounts.values())
    interaction = Measurement(parts.get("interaction", 0.0), 0.002)
    return Budget(Measurement(total, 0.002), amounts, amounts, effects, interaction, Measurement(0.0, 0.002), FLOOR, 8)


def test_the_budget_in_words():
    settings, found = budget_screen.Settings(), measured(prior=0.02, steps=0.06)
    verdict = budget_screen.judge(found)
    assert budget.largest(settings, found, verdict) == [
        "**Largest part of the error: Steps, 0.0600 of 0.130.** Perfect samples have 0.0500 on average, the noise floor.",
        "To reduce it, take more steps, or choose a sampler of higher order.",
    ]
    small = measured(prior=0.009)
    assert "One sample would not show this part" in budget.largest(settings, small, budget_screen.judge(small))[1]
    none = measured(prior=0.004)
    assert budget.largest(settings, none, budget_screen.judge(none))[0].startswith("**No part stands out from the scatter")
    other = replace(found, alone=found.alone | {"stop": Measurement(0.08, 0.002)})
    assert any(
        "made exact alone, *Stop at t_min* takes off more" in s
        for s in budget.largest(settings, other, budget_screen.judge(other))
    )
    lines = budget.table(found).splitlines()
    assert lines[2] == "| Prior | 0.0200 ± 0.0020 | 0.0200 ± 0.0020 | 0.0000 ± 0.0020 |"
    assert lines[-1] == "| **Sum: this run** | **0.1300 ± 0.0020** | **0.1300 ± 0.0020** |  |"


def test_the_order_in_words():
    def said(found: Budget) -> str:
        return " ".join(budget.order(found, budget_screen.judge(found)))

    assert said(measured()) == "No order effect stands out from the scatter between the seeds."
    assert "the parts made exact alone add up to 0.0300 ± 0.0020 less" in said(measured(interaction=0.03))
    assert "the causes take off 0.0300 ± 0.0020 more: some error is counted twice" in said(measured(interaction=-0.03))
    found = measured()
    effects = found.order_effects | {"steps": Measurement(0.02, 0.002), "stop": Measurement(-0.02, 0.002)}
    both = said(replace(found, order_effects=effects))
    assert both.startswith("The order matters for *Steps*, *Stop at t_min*:"), "effects of opposite sign, and no interaction"


@pytest.mark.parametrize(
    ("changed", "cause", "words"),
    [
        ({}, "prior", "from the matched Gaussian or from p₁ itself"),
        ({"prior": "matched"}, "prior", "start from p₁ itself"),
        ({}, "stop", "a smaller t_min, or end with the Tweedie step"),
        ({"denoise": True}, "stop", "choose a smaller t_min."),
        ({}, "network", "train longer"),
    ],
)
def test_advice_is_what_has_not_been_done_yet(changed, cause, words):
    assert words in budget.remedy(budget_screen.Settings(**changed), cause)


def test_the_time_that_is_left_follows_the_pace(monkeypatch):
    """Before the first run it is an estimate; then it is what the runs so far say."""

    class Runs:
        error, done, ended, waits_for, at_once, needs = None, False, False, None, 2, ()
        seconds_left: float | None = None
        rows: tuple = ()
        jobs = (Job("two-modes", Experiment().sde, "ddim", steps=10),) * 3

    monkeypatch.setattr(cache, "job_pace", lambda *_: studying.JobPace(1.0, 0.0, 2.0))
    asked: Any = Runs()
    assert study._seconds_left(Experiment(), asked) == pytest.approx(3 * 12 / 2)
    asked.seconds_left = 123.0
    assert study._seconds_left(Experiment(), asked) == 123.0


# The likelihood


def the_table(at: AppTest) -> dict[str, str]:
    found = next(m.value for m in at.markdown if "| Bits per dimension" in m.value)
    return dict(re.findall(r"\| ([^|]+) \| ([^|]+) \|", found))


def test_the_map_and_the_numbers_are_what_the_command_line_prints(open_page):
    at = open_page("samplers", show="likelihood", lam=5)
    assert not at.exception and not at.warning
    result = likelihood_screen.run(Experiment(parameters=(5.0,)), likelihood_screen.Settings())
    assert says(at, likelihood.table(result)) and says(at, likelihood.verdict(result))
    assert says(at, "nats per point, all of it through its prior.**")
    cells = chart_rows(at)
    cells = cells[cells["kind"] == "cell"]
    most = rounded_up(result.usual)
    expected = np.clip(result.model - result.exact, -most, most)
    np.testing.assert_allclose(cells["difference"], expected, atol=1e-5 * most)
    np.testing.assert_allclose((cells["x"] + cells["right"]) / 2, result.x[:, 0], atol=1e-5)
    np.testing.assert_allclose(cells["right"] - cells["x"], result.x[1, 0] - result.x[0, 0], rtol=1e-3, err_msg="no gaps")


def test_the_legend_says_what_the_colours_mean():
    legend = str(difference_spec("light", 0.5))
    assert "−0.5: too little" in legend and "+0.5: too much" in legend and "model minus exact" in legend


@pytest.mark.parametrize("mixture", ["m 0 s 0.001; m 0 s 5", "m 0,0 s 0.001; m 0,0 s 5"])
def test_a_spike_on_a_broad_base_is_a_picture(open_page, mixture):
    at = open_page("samplers", show="likelihood", target="own", mixture=mixture, prior="exact", lsteps=10)
    assert not at.exception
    assert the_table(at)["Bits per dimension, exact"]
    rows = chart_rows(at)
    if "series" in rows:
        rows = rows.dropna()
        assert rows["x"].max() > 10 and (rows["x"].abs() < 1e-3).sum() > 4, "both the base and the spike are drawn"
    else:
        assert (rows["mass"] > 0.5).sum() > 500, "the base counts, though the spike is far denser"


def test_curves_end_where_the_data_do(open_page):
    at = open_page("samplers", show="likelihood", target="two-modes", lsteps=10)
    rows = chart_rows(at)
    assert set(rows["series"]) == {"exact", "model"}
    exact = rows[rows["series"] == "exact"]
    assert exact["value"].isna().any(), "between the modes there are none"
    means, std = (-5, 5), 1
    ends = [exact["x"].iloc[0], exact["x"].iloc[-1]]
    np.testing.assert_allclose(
        ends, [means[0] - 4 * std, means[1] + 4 * std], atol=0.2, err_msg="8 nats are 4 standard deviations"
    )


def test_each_control_of_the_likelihood_counts(open_page):
    at = open_page("samplers", show="Likelihood", lsteps=10)
    before = the_table(at)
    at.selectbox(key="prior").set_value("matched").run()
    assert not at.exception
    matched = the_table(at)
    prior = "of which KL(p₁, prior)"
    assert float(matched[prior].split(" ")[0]) < float(before[prior].split(" ")[0])
    at.slider(key="lsteps").set_value(20).run()
    assert not at.exception and the_table(at)["KL(data, model), nats"]
    at = open_page("samplers", show="likelihood", lsteps="many", lscore="none", prior="flat")
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == 3


def test_the_density_of_a_network_is_shown_once_it_is_trained(open_page, seeds, monkeypatch):
    seed = next(seeds)
    task = TrainingTask("two-modes", Experiment("two-modes").sde, TrainConfig(steps=20, data_size=200, batch=64, seed=seed))
    monkeypatch.setattr(studying, "training_task", lambda _experiment: task)
    at = open_page("samplers", show="likelihood", target="two-modes", lscore="learned", prior="exact", lsteps=10, seed=seed)
    end = time.monotonic() + 120
    while not says(at, "| Bits per dimension"):
        assert time.monotonic() < end and not at.exception
        assert "as soon as its network is trained" in at.info[0].value
        time.sleep(0.05)
        at.run()
    assert says(at, "of which the network") and says(at, "A network has no value at t = 0")
    assert says(at, "all of it through its network.**")


@pytest.mark.parametrize(("value", "up"), [(0.0031, 0.005), (1.0, 1.0), (1.3, 2.0), (2.1, 5.0), (51, 100), (0, 1), (math.nan, 1)])
def test_a_scale_ends_at_a_round_number(value, up):
    assert rounded_up(value) == pytest.approx(up)
