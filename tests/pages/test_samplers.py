"""The samplers page without a browser: its studies against the library's, what it says of them, its controls and links."""

import io
import math
import re
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from scoredm import VESDE, Sampler, TrainConfig, studies, targets, zero_mean_prior
from scoredm.budget import Budget, Plan
from scoredm.charts.samplers import rounded_up
from scoredm.experiment import Experiment
from scoredm.grids import GRIDS
from scoredm.likelihood import flow_log_prob
from scoredm.metrics import NoiseFloor
from scoredm.samplers import SAMPLERS
from scoredm.statistics import Measurement
from scoredm.studies import Curve, Job, curves, perform, race
from scoredm.ui.samplers import budget as budgets, likelihood, measuring, race as races
from tests.pages.conftest import APP

TUTORIAL = targets.mixture("tutorial")
SMALL = {"samplers": "ddim,heun", "to": 40, "n": 200, "seeds": 2, "dist": "covariance"}
FEW = {"view": "budget", "bscore": "exact", "rsteps": 10, "tmin": 0.1, "bn": 200, "bseeds": 2, "dist": "covariance"}


@pytest.fixture(scope="module")
def seeds():
    """Seeds that no other test has used: what was found is kept for everybody in the process."""
    return iter(range(9000, 10_000, 20))


def status(at: AppTest) -> str:
    return at.get("progress")[0].proto.text


def chart_rows(at: AppTest, index: int = 0):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def says(at: AppTest, words: str) -> bool:
    return any(words in part.value for part in (*at.markdown, *at.caption))


def rerun_until(at: AppTest, done, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done(at):
        assert time.monotonic() < end, status(at)
        time.sleep(0.05)
        at.run()
        assert not at.exception


def finish(at: AppTest) -> None:
    at.button(key="start").click().run()
    rerun_until(at, lambda at: status(at).startswith("**Done**") and not any(b.key == "stop" for b in at.button))


@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_the_lines_are_the_librarys_race(open_page, seeds, target):
    seed = next(seeds)
    at = open_page("samplers", **SMALL, target=target, seed=seed, grids="uniform,karras")
    assert not at.exception and not at.warning
    assert status(at).startswith("**Press Start**: 32 runs, about")
    before = chart_rows(at)
    assert set(before["kind"]) == {"floor", "corner"}, "an empty race shows the band"
    finish(at)
    sde, steps = VESDE(25.0), [5, 10, 20, 40]
    jobs = race(
        target,
        sde,
        ["ddim", "heun"],
        steps,
        ["uniform", "karras"],
        [seed, seed + 1],
        n=200,
        metrics=("covariance",),
    )
    expected = curves([perform(job) for job in jobs], "covariance")
    rows = chart_rows(at)
    found = rows[rows["kind"] == "run"]
    assert len(found) == 16
    for curve in expected:
        line = found[(found["sampler"] == SAMPLERS[curve.sampler].title) & (found["grid"] == GRIDS[curve.grid].title)]
        np.testing.assert_allclose(line["value"], curve.value, rtol=1e-6)
        np.testing.assert_allclose(line["nfe"], np.array(steps) * (2 if curve.sampler == "heun" else 1) + 1)
    floor = measuring.noise_floor(target, seed, "covariance", 200)
    band = rows[rows["kind"] == "floor"]
    assert (band["low"].item(), band["high"].item()) == pytest.approx((floor.low, floor.high))
    assert says(at, "| DDIM · Even in t |") and says(at, "| Flow, Heun · Karras, ρ = 7 |")
    assert len(at.get("vega_lite_chart")) == 1 + 2 + 1, "the race, an end for each sampler, and the truth"
    assert any(e.label == "Every run: 32 rows" for e in at.expander)


def test_what_was_run_before_is_not_run_again(open_page, seeds):
    parameters = {**SMALL, "seed": next(seeds)}
    at = open_page("samplers", **parameters)
    finish(at)
    at.multiselect(key="samplers").set_value(["ddim", "heun", "euler-maruyama"]).run()
    assert status(at).startswith("**Stopped** at 16 of 24 runs")
    assert at.button(key="start").label == "Continue"
    finish(at)
    assert set(chart_rows(at)["sampler"].dropna()) == {"DDIM", "Flow, Heun", "Euler-Maruyama"}


def test_stop_keeps_what_has_arrived_and_continue_goes_on(open_page, seeds):
    at = open_page("samplers", samplers="rk45", to=640, n=2000, seeds=5, dist="mean", seed=next(seeds), sde="vp")
    at.button(key="start").click().run()
    rerun_until(at, lambda at: not status(at).startswith("**Running**, 0 "))
    at.button(key="stop").click().run()
    assert status(at).startswith("**Stopped** at ")
    time.sleep(1.0)
    arrived = status(at.run())
    time.sleep(1.0)
    assert status(at.run()) == arrived, "nothing goes on"
    assert (chart_rows(at)["kind"] == "run").any()
    at.button(key="start").click().run()
    rerun_until(at, lambda at: status(at).startswith("**Running**") and status(at)[13:] > arrived[15:])
    at.button(key="stop").click().run()


def explode(sde, score_fn, x, t, t_next, noise):
    return x / 0


def test_a_run_that_fails_says_why_and_the_others_stand(open_page, seeds, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "heun", Sampler("Flow, Heun", lambda: explode, evaluations=2))
    at = open_page("samplers", **SMALL, seed=next(seeds))
    finish(at)
    assert at.warning[0].value.startswith("Failed: Flow, Heun with 5 steps, seed 9")
    assert at.warning[0].value.endswith("its points ran off to infinity.")
    assert set(chart_rows(at)["sampler"].dropna()) == {"DDIM"}


def test_the_learned_score_is_the_recipes_network(open_page, seeds, monkeypatch):
    seed = next(seeds)
    assert measuring.recipe(Experiment(seed=seed), True) == TrainConfig(seed=seed)
    short = TrainConfig(steps=20, data_size=200, batch=64, seed=seed)
    monkeypatch.setattr(measuring, "recipe", lambda _experiment, wanted: short if wanted else None)
    at = open_page("samplers", samplers="ddim", to=40, n=200, seeds=1, dist="covariance", score="learned", seed=seed)
    finish(at)
    jobs = race("tutorial", VESDE(25.0), ["ddim"], [5, 10, 20, 40], seeds=[seed], n=200, metrics=("covariance",), recipe=short)
    rows = chart_rows(at)
    expected = perform(jobs[-1])["covariance"]
    assert rows[rows["kind"] == "run"]["value"].iloc[-1] == pytest.approx(expected)
    assert expected != pytest.approx(perform(replace(jobs[-1], recipe=None))["covariance"], rel=1e-3)


def test_each_control_of_the_race_counts(open_page):
    at = open_page("samplers", n=200, dist="Error of the mean")
    assert status(at).startswith("**Press Start**: 72 runs")
    moves = {"to": "80", "from": "10", "score": "learned", "dist": "covariance", "n": 300, "seeds": 2}
    for key, value in moves.items():
        widget = next(w for w in (*at.selectbox, *at.segmented_control, *at.slider) if w.key == key)
        widget.set_value(value).run()
        assert not at.exception, key
    assert status(at).startswith("**Press Start**: 32 runs"), "4 samplers, 10 to 80 steps, 2 seeds"
    at.multiselect(key="grids").set_value(["uniform", "log-snr"]).run()
    assert status(at).startswith("**Press Start**: 64 runs")
    at.multiselect(key="samplers").set_value([]).run()
    assert at.info[0].value == "Pick at least one sampler and one grid."


def test_bad_links_are_put_right_and_say_so(open_page):
    bad = {"samplers": "ddim,magic", "grids": "", "from": 7, "to": "many", "score": "guessed", "dist": "taste"}
    at = open_page("samplers", **bad, n="1e9", seeds=0, view="podium")
    assert not at.exception
    complaints = " ".join(w.value for w in at.warning)
    for words in ("“magic” is not one of", "Time grids", "“7” is not one of 5, 10, 20", "“many”", "“guessed”", "“taste”"):
        assert words in complaints, words
    assert "1e9 is outside 200 to 10,000" in complaints and "0 is outside 1 to 5" in complaints and "“podium”" in complaints
    assert at.multiselect(key="samplers").value == ["ddim"]
    assert at.multiselect(key="grids").value == ["uniform"]


def test_links_name_every_choice(open_page):
    at = open_page("samplers", samplers="ddim,heun", dist="mean").run()
    at.session_state["link"] = True
    at.run()
    link = next(code.value for code in at.code if "samplers=" in code.value)
    assert link.endswith("?samplers=ddim,heun&dist=mean")
    again = AppTest.from_file(APP, default_timeout=60)
    again.query_params["samplers"] = ["DDIM", "Flow, Heun"]
    again.switch_page("pages/samplers.py").run()
    assert not again.warning
    assert again.multiselect(key="samplers").value == ["ddim", "heun"]


def test_another_pages_view_is_not_this_pages(open_page):
    at = open_page("score", view="component")
    at.switch_page("pages/samplers.py").run()
    assert not at.exception
    assert at.segmented_control(key="view").value == "race"
    at.segmented_control(key="view").set_value("budget").run()
    at.switch_page("pages/score.py").run()
    assert not at.exception
    assert at.segmented_control(key="view").value in ("mixture", "component")


@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_the_bars_are_the_librarys_budget(open_page, seeds, target):
    seed = next(seeds)
    at = open_page("samplers", **FEW, target=target, seed=seed)
    assert not at.exception and not at.warning
    assert status(at).startswith("**Press Measure**: 12 runs, about")
    assert "taken apart" in at.info[0].value
    finish(at)
    job = Job(target, VESDE(25.0), steps=10, prior="zero", t_min=0.1, denoise=False, n=200, metrics=("covariance",))
    plan = Plan(job, (seed, seed + 1))
    expected = plan.read(map(perform, plan.jobs), "covariance", measuring.noise_floor(target, seed, "covariance", 200))
    assert expected is not None
    bars = chart_rows(at).set_index("part")
    assert bars.index.tolist() == ["This run", *budgets.PARTS.values(), "Remainder", "Noise floor"]
    for part, name in budgets.PARTS.items():
        amount = expected.parts[part].value
        assert bars.loc[name, "amount"] == pytest.approx(amount, abs=1e-9)
        assert bars.loc[name, "start"] - bars.loc[name, "end"] == pytest.approx(amount, abs=1e-9)
        assert bars.loc[name, "start"] - bars.loc[name, "alone"] == pytest.approx(expected.alone[part].value, abs=1e-9)
    assert bars["amount"].iloc[1:].sum() == pytest.approx(bars.loc["This run", "amount"])
    np.testing.assert_allclose(bars["start"].iloc[2:6], bars["end"].iloc[1:5], err_msg="each hangs from the last")
    assert bars.loc["Prior", "start"] == bars.loc["This run", "end"]
    assert bars.loc["Remainder", "end"] == pytest.approx(bars.loc["Noise floor", "end"])
    assert says(at, "| Steps |") and says(at, "2 seeds; ± is a standard error.")


def test_each_control_of_the_budget_counts(open_page):
    at = open_page("samplers", view="Error budget", bscore="Exact", bn=200, dist="Error of the covariance")
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


def test_the_run_is_the_reverse_pages(open_page):
    at = open_page("reverse", rsteps=35, prior="matched")
    at.switch_page("pages/samplers.py").run()
    at.segmented_control(key="view").set_value("budget").run()
    assert (at.slider(key="rsteps").value, at.selectbox(key="prior").value) == (35, "matched")


def test_a_failed_budget_says_why(open_page, seeds, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "heun", Sampler("Flow, Heun", lambda: explode, evaluations=2))
    at = open_page("samplers", **FEW, sampler="heun", seed=next(seeds))
    finish(at)
    assert at.error[0].value.startswith("A run failed: its points ran off to infinity.")


FLOOR = NoiseFloor(Measurement(0.05, 0.0), 0.04, 0.05, 0.06)


def curve(sampler: str, values, nfe=(6, 11, 21, 41), error: float = 0.001) -> Curve:
    columns = (np.array(column, dtype=float) for column in (nfe, nfe, values, [error] * len(nfe)))
    return Curve(sampler, "uniform", *columns)


def test_the_race_in_words():
    fast, slow = curve("heun", [0.4, 0.1, 0.055, 0.05]), curve("ddim", [0.8, 0.4, 0.2, 0.1])
    assert races.verdict([slow, fast], ["DDIM", "Heun"], FLOOR) == (
        "**Heun is at the noise floor with 21 evaluations of the score.** Not within these steps: DDIM."
    )
    both = races.verdict([slow, fast, fast], ["DDIM", "Heun", "DPM"], FLOOR, whole=False)
    assert both.startswith("**So far: Heun and DPM are at the noise floor with 21 evaluations of the score.**"), (
        "a tie has two names"
    )
    assert races.verdict([slow], ["DDIM"], FLOOR, whole=False).startswith("**So far none reaches")
    none = races.verdict([slow], ["DDIM"], FLOOR)
    assert none.startswith("**None reaches the noise floor with these steps.** DDIM comes closest, to 0.100;")
    table = races.table([slow, fast, curve("rk45", [0.05, 0.05, 0.05, 0.05])], ["DDIM", "Heun", "RK"], FLOOR).splitlines()
    slope = np.polyfit(np.log([6, 11, 21, 41]), np.log(np.sqrt(np.array([0.8, 0.4, 0.2, 0.1]) ** 2 - 0.05**2)), 1)[0]
    assert table[2] == f"| DDIM | −{abs(slope):.2f} | 0.1000 ± 0.0010 | 41 | – |"
    assert table[3].startswith("| Heun | −") and table[3].endswith("| 0.0500 ± 0.0010 | 41 | 21 |")
    assert table[4] == "| RK | at the floor | 0.0500 ± 0.0010 | 6 | 6 |"
    assert table[-1].startswith(":small[– : fewer than two values clear of the band")
    assert len(races.table([fast], ["Heun"], FLOOR).splitlines()) == 3, "a dash is explained where there is one"


def budget(**parts: float) -> Budget:
    amounts = {name: Measurement(parts.get(name, 0.0), 0.002) for name in budgets.PARTS}
    effects = {name: Measurement(parts.get("effect", 0.0) * (name == "steps"), 0.002) for name in budgets.PARTS}
    alone = {name: Measurement(amounts[name].value + effects[name].value, 0.002) for name in budgets.PARTS}
    total = FLOOR.mean.value + sum(amount.value for amount in amounts.values())
    return Budget(Measurement(total, 0.002), amounts, alone, effects, Measurement(0.0, 0.002), Measurement(0.0, 0.002), FLOOR, 8)


def test_the_budget_in_words():
    worst = budgets.largest(budget(prior=0.02, steps=0.06))
    assert worst == (
        "**Most is lost to the steps: 0.0600 of 0.130; perfect samples have 0.0500.** "
        "To win it back, take more steps, or a sampler of higher order."
    )
    small = budgets.largest(budget(prior=0.005))
    assert small.startswith("**Most is lost to the prior: 0.00500 of 0.0550") and "One sample would not show it" in small
    assert budgets.largest(budget(prior=0.004)).startswith("**No part is clear of its own error.**")
    found = budget(prior=0.02, steps=0.06)
    other = replace(found, alone=found.alone | {"stop": Measurement(0.07, 0.002)})
    assert "made alone, the switch of the stop at t_min takes off more" in budgets.largest(other)
    for value in (0.05, 0.063):  # less, and more by less than the errors
        assert "made alone" not in budgets.largest(replace(found, alone=found.alone | {"stop": Measurement(value, 0.002)}))
    assert "the same as in this order" in budgets.order_words(budget(effect=0.003))
    for effect, alone in ((0.03, "0.0900"), (-0.03, "0.0300")):
        words = budgets.order_words(budget(steps=0.06, effect=effect))
        assert f"the steps takes off 0.0600 ± 0.0020 in this order, and {alone} ± 0.0020 alone" in words
    lines = budgets.table(budget(prior=0.02, steps=0.06)).splitlines()
    assert lines[2] == "| Prior | 0.0200 ± 0.0020 | 0.0200 ± 0.0020 |"
    assert lines[-1] == "| **Sum: this run** | **0.1300 ± 0.0020** | **0.1300 ± 0.0020** |"


def test_the_pace_counts_what_a_run_does():
    pace = measuring.Pace(evaluation=0.1, noise=0.01, metric=1.0)
    assert pace.seconds(Job("tutorial", VESDE(), "heun", steps=10)) == pytest.approx(20 * 0.1 + 1)
    assert pace.seconds(Job("tutorial", VESDE(), "euler-maruyama", steps=10)) == pytest.approx(10 * 0.1 + 10 * 0.01 + 1)
    shared = Job("tutorial", VESDE(), "euler-maruyama", steps=10, noise_steps=1000)
    assert pace.seconds(shared) == pytest.approx(10 * 0.1 + 1000 * 0.01 + 1)


@pytest.mark.parametrize("network", [False, True])
def test_the_pace_is_that_of_the_runs(network):
    """Within a factor of 4: the machine may be busy with other things while one of the two is timed."""
    recipe = TrainConfig(data_size=10, batch=10, steps=1, seed=5) if network else None
    job = Job("tutorial", VESDE(), "ddim", steps=300, n=2000, recipe=recipe)
    perform(replace(job, steps=1))
    began = time.perf_counter()
    perform(job)
    took = time.perf_counter() - began
    about = measuring._pace("tutorial", network, "sliced-wasserstein", 2000).seconds(job)
    assert took / 4 < about < 4 * took


def test_a_single_component_has_no_weights_to_be_wrong():
    assert "weights" in measuring.metrics(Experiment("tutorial"))
    assert "weights" not in measuring.metrics(Experiment("one-mode"))
    assert math.isfinite(measuring.noise_floor("one-mode", 1, "mean", 200).high)


def the_figures(at: AppTest) -> dict[str, str]:
    found = next(m.value for m in at.markdown if "Bits per dimension" in m.value)
    return dict(re.findall(r"\| ([^|]+) \| ([^|]+) \|", found))


def test_with_exact_score_and_prior_only_the_solver_is_left(open_page):
    at = open_page("samplers", view="likelihood", prior="exact", lam=10)
    assert not at.exception and not at.warning
    found = likelihood.compare(Experiment(parameters=(10.0,)), likelihood.Settings(False, "exact", 60))
    assert found.worst < 1e-5
    assert abs(found.divergence.value) < 1e-5
    assert found.prior_divergence.value == 0
    assert says(at, "**Only the solver is left")
    assert the_figures(at)["Bits per dimension, exact"] == the_figures(at)["Bits per dimension, model"]
    bits = -TUTORIAL.log_prob(torch.tensor(found.x).double()).numpy() / 2 / math.log(2)
    np.testing.assert_allclose(-found.exact / 2 / math.log(2), bits)


def test_a_prior_loses_what_divides_it_from_p1(open_page):
    at = open_page("samplers", view="likelihood", lam=5)
    experiment = Experiment(parameters=(5.0,))
    found = likelihood.compare(experiment, likelihood.Settings(False, "zero", 60))
    assert found.divergence.value == pytest.approx(0.1088, abs=3 * found.divergence.error)
    assert found.divergence.value == pytest.approx(found.prior_divergence.value, abs=1e-5)
    assert found.model_bits.value - found.exact_bits.value == pytest.approx(found.divergence.value / 2 / math.log(2))
    assert says(at, "**All that is lost is the prior's: 0.1")
    cells = chart_rows(at)
    cells = cells[cells["kind"] == "cell"]
    prior = zero_mean_prior(experiment.sde, 2)
    few = torch.tensor(found.x[::400]).double()
    model = flow_log_prob(experiment.score, experiment.sde, prior, few, steps=200)
    expected = (model - TUTORIAL.log_prob(few)).numpy()
    most = rounded_up(found.usual)
    np.testing.assert_allclose(cells["difference"].to_numpy()[::400], np.clip(expected, -most, most), atol=1e-3)
    centre = (cells["x"] + cells["right"]).to_numpy()[::400] / 2
    np.testing.assert_allclose(centre, few[:, 0], atol=1e-5)
    np.testing.assert_allclose(cells["right"] - cells["x"], found.x[1, 0] - found.x[0, 0], rtol=1e-3, err_msg="no gaps")


def test_a_network_is_held_against_the_density_where_it_begins(open_page, monkeypatch, seeds):
    """The exact score in a network's place: its divergence by automatic differentiation, its density that of p_t at 0.001."""
    asked = []

    def network(target, sde, recipe):
        asked.append((target, sde, recipe))
        mixture = targets.mixture(target)
        return lambda x, t: mixture.diffused_score(x, sde.alpha(t), sde.sigma(t))

    monkeypatch.setattr(studies, "learned_score", network)
    seed = next(seeds)
    at = open_page("samplers", view="likelihood", target="spike", lscore="learned", prior="exact", seed=seed)
    assert not at.exception
    assert asked[0] == ("spike", VESDE(25.0), TrainConfig(seed=seed))
    found = likelihood.compare(Experiment("spike", seed), likelihood.Settings(True, "exact", 60))
    assert found.worst < 2e-3, "the spike's variance 0.01 is wider by a tenth at t = 0.001: 0.05 nats"
    assert says(at, "A network begins at t = 0.001") and says(at, "all of it is the network's")
    curves = chart_rows(at)
    exact = curves[(curves["series"] == "exact") & curves["value"].notna()]
    model = curves[(curves["series"] == "model") & curves["value"].notna()]
    np.testing.assert_allclose(exact["value"], model["value"], atol=2e-3)


def test_what_a_model_loses_is_the_priors_and_the_networks_on_the_same_points(open_page, monkeypatch, seeds):
    """A score off by the factor 1.1 and a start that ignores the data: both parts are there, and add up."""

    def network(target, sde, recipe):
        mixture = targets.mixture(target)
        return lambda x, t: 1.1 * mixture.diffused_score(x, sde.alpha(t), sde.sigma(t))

    monkeypatch.setattr(studies, "learned_score", network)
    experiment = Experiment("tutorial", next(seeds), parameters=(5.0,))
    settings = likelihood.Settings(True, "zero", 60)
    found = likelihood.compare(experiment, settings)
    assert found.prior_divergence.value == pytest.approx(0.1088, abs=4 * found.prior_divergence.error)
    assert found.network_divergence.value > 5 * found.network_divergence.error
    both = found.prior_divergence.value + found.network_divergence.value
    assert found.divergence.value == pytest.approx(both, rel=1e-9)
    same = likelihood.compare(experiment, likelihood.Settings(True, "exact", 60))
    assert same.prior_divergence.value == 0 and same.network_divergence == same.divergence
    assert "of it the network’s" in likelihood.table(settings, found)
    assert "by its prior" in likelihood.verdict(settings, found) and "by the network" in likelihood.verdict(settings, found)
    assert "network" not in likelihood.table(likelihood.Settings(False, "zero", 60), found)


def test_curves_on_the_line_end_where_the_data_do(open_page):
    at = open_page("samplers", comparison="likelihood", target="two-modes")
    rows = chart_rows(at)
    distribution = Experiment("two-modes").mixture
    ends = distribution.log_prob(torch.tensor([[rows["x"].min()], [rows["x"].max()]], dtype=torch.float64))
    lowest = float(distribution.log_prob(torch.linspace(-20, 20, 4001)[:, None].double()).max()) - likelihood.DEEP
    assert (ends > lowest - 0.01).all() and (ends < lowest + 0.5).all()
    assert rows["value"].isna().any(), "between the modes there are none"


def test_each_control_of_the_likelihood_counts(open_page):
    at = open_page("samplers", view="Likelihood")
    before = the_figures(at)
    at.selectbox(key="prior").set_value("matched").run()
    assert not at.exception
    matched = the_figures(at)
    assert float(matched["of it KL(p₁, prior)"].split(" ")[0]) < float(before["of it KL(p₁, prior)"].split(" ")[0])
    at.slider(key="lsteps").set_value(10).run()
    assert not at.exception and the_figures(at)["KL(data, model), nats"]
    at = open_page("samplers", view="likelihood", lsteps="many", lscore="none", prior="flat")
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == 3


@pytest.mark.parametrize(("value", "up"), [(0.0031, 0.005), (1.0, 1.0), (1.3, 2.0), (2.1, 5.0), (51, 100), (0, 1), (math.nan, 1)])
def test_a_scale_ends_at_a_round_number(value, up):
    assert rounded_up(value) == pytest.approx(up)


def test_the_likelihood_of_a_spike_on_a_broad_base_shows_both(open_page):
    at = open_page("samplers", comparison="likelihood", target="own", mixture="m 0 s 0.001; m 0 s 5")
    assert not at.exception
    rows = chart_rows(at).dropna()
    assert rows["x"].max() > 10 and (rows["x"].abs() < 1e-3).sum() > 4
