"""The maths page: every topic in both dimensions, controls that change numbers, and charts checked against the library."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from scoredm import VESDE, dsm_floor, exact_score, targets
from scoredm.charts import maths as charts
from scoredm.commandline import numbers
from scoredm.experiment import Experiment
from scoredm.screens import maths
from scoredm.ui import prose
from scoredm.ui.show import number

OpenPage = Callable[..., AppTest]
TOPICS = ("reverse", "dsm", "floor", "weightings", "parametrisations")


def settled(at: AppTest) -> AppTest:
    """After a link was put right the page starts anew; AppTest needs a run more to have it all."""
    return at.run()


def words(at: AppTest) -> str:
    return "\n".join(element.value for element in at.markdown)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_every_topic_unfolds_and_computes(open_page: OpenPage, topic: str, target: str) -> None:
    at = settled(open_page("maths", topic=topic, target=target))
    assert not at.exception and not at.error
    headings = [expander.label for expander in at.expander]
    steps = list(prose.read(f"maths/{topic}").sections)
    assert headings[: len(steps)] == steps
    assert "Read more" in headings
    assert any("What to look for" in caption.value for caption in at.caption)


def test_the_summary_is_a_topic_of_its_own(open_page: OpenPage) -> None:
    at = settled(open_page("maths", topic="summary"))
    assert not at.exception and not at.warning
    assert prose.read("maths/summary").lead in re.sub(r"</?span[^>]*>", "", words(at))


@pytest.mark.parametrize(("topic", "kind"), [*zip(TOPICS, ("cosine", "vp", "subvp", "cosine", "geometric"), strict=True)])
def test_topics_take_other_kinds(open_page: OpenPage, topic: str, kind: str) -> None:
    at = settled(open_page("maths", topic=topic, sde=kind))
    assert not at.exception and not at.error and not at.warning


def test_both_processes_lead_to_the_data_whatever_the_sde() -> None:
    for kind, parameters in (("vp", (0.1, 20.0)), ("cosine", ())):
        for row in maths.reverse_paths(Experiment("tutorial", kind=kind, parameters=parameters), 1.0).rows:
            assert abs(row.found - row.exact) < 4 * row.error + 0.02


def test_one_point_of_a_shrinking_sde_in_both_parametrisations() -> None:
    experiment = Experiment("tutorial", kind="subvp", parameters=(0.1, 20.0))
    both = maths.parametrisations(experiment, 0.5)
    assert both.exploding.alpha == 1 and both.preserving.alpha**2 + both.preserving.sigma**2 == pytest.approx(1)
    for side in (both.exploding, both.preserving):
        assert side.sigma / side.alpha == pytest.approx(math.exp(-float(experiment.sde.log_snr(0.5)) / 2))
        assert np.allclose(side.clean, both.bayes, atol=1e-5)


def test_references_are_linked(open_whole_page: OpenPage) -> None:
    text = words(settled(open_whole_page("maths")))
    for reference in ("2011.13456", "2206.00364", "2303.00848", "2106.05527", "0304-4149(82)90051-5", "NECO_a_00142"):
        assert reference in text


def both_sides(at: AppTest) -> tuple[float, float, float, float]:
    """J_DSM, J_ESM + C, J_ESM, C as they are printed."""
    left = re.search(r"J_DSM, simulated \| (\S+) ±", words(at))
    right = re.search(r"J_ESM \+ C \| (\S+) = (\S+) \+ (\S+) \|", words(at))
    assert left is not None and right is not None
    return float(left[1]), float(right[1]), float(right[2]), float(right[3])


def test_the_wrong_score_moves_one_side_and_not_the_constant(open_page: OpenPage) -> None:
    at = settled(open_page("maths", topic="dsm", time=0.3))
    dsm, right, esm, constant = both_sides(at)
    assert constant == pytest.approx(dsm_floor(targets.mixture("tutorial"), VESDE(25.0), 0.3), rel=5e-3)
    assert right == pytest.approx(2, abs=0.03)  # s = 0 has D
    assert dsm == pytest.approx(right, abs=0.08)
    at.slider(key="share").set_value(1.0).run()
    assert both_sides(at)[2] == 0
    at.slider(key="share").set_value(0.5).run()
    assert both_sides(at)[2] == pytest.approx(esm / 4, rel=0.01)
    at.segmented_control(key="wrong").set_value("gaussian").run()
    assert both_sides(at)[2] < 0.3 * esm / 4
    assert both_sides(at)[3] == constant
    at.slider(key="time").set_value(0.8).run()
    assert not at.exception
    assert both_sides(at)[3] < 0.5 * constant


def test_one_gaussian_in_place_of_two_far_and_narrow_ones(open_page: OpenPage) -> None:
    """Its variances are 1e8 and 1e-6: positive definite, though their ratio is beyond what double precision tells from 0."""
    link = {"target": "own", "mixture": "m -10000,0 s 0.001; m 10000,0 s 0.001"}
    at = settled(open_page("maths", topic="dsm", wrong="gaussian", **link))
    assert not at.exception and not at.error
    dsm, right, _, constant = both_sides(at)
    assert right == pytest.approx(1, abs=0.1)  # along the one axis it is wide and predicts no noise; along the other it is right
    assert dsm == pytest.approx(right, abs=0.1)  # 5 standard errors of the mean of 10000 squared normal numbers
    assert constant == pytest.approx(0, abs=1e-3)  # the noise is known from the distance to the nearer mode


def test_the_noise_dial_changes_paths_and_keeps_the_distribution(open_page: OpenPage) -> None:
    still = maths.reverse_paths(Experiment("tutorial"), 0.0)
    apart = np.abs(still.noisy - still.flow)
    assert apart[0].max() == 0 and 0 < apart[-1].max() < 0.3, "one flow by two methods: Euler's error lies between"
    for eta in (0.5, 1.0):
        run = maths.reverse_paths(Experiment("tutorial"), eta)
        assert np.array_equal(run.noisy[0], run.flow[0])  # the same starts
        assert not np.allclose(run.noisy[-1], run.flow[-1], atol=0.1)
        for row in run.rows:
            assert abs(row.found - row.exact) < 4 * row.error + 0.02
    at = settled(open_page("maths", topic="reverse"))
    before = words(at)
    at.slider(key="eta").set_value(0.5).run()
    assert not at.exception
    assert "η = 0.5" in words(at) and words(at) != before


def test_flow_paths_do_not_cross_on_the_line() -> None:
    """An ODE's paths keep their order, which noise does not."""
    run = maths.reverse_paths(Experiment("two-modes"), 1.0)
    order = np.argsort(run.flow[0])
    assert (np.diff(run.flow[:, order], axis=1) > 0).all()
    assert not (np.diff(run.noisy[:, order], axis=1) > 0).all()


def test_tables_hold_both_sides() -> None:
    both = maths.dsm_sides(Experiment(), "zero", 0.3)
    rows = charts.sides_table(maths.at_share(both, 0.25)).to_pandas()
    assert rows.loc[rows["series"] == charts.CHOSEN, "share"].tolist() == [0.25]
    dsm, esm, right = (rows.loc[rows["series"] == name, "loss"].to_numpy() for name in (charts.DSM, charts.ESM, charts.RIGHT))
    assert np.allclose(right - esm, both.floor)
    assert both.shares[esm.argmin()] == 1
    assert np.allclose(dsm, right, atol=0.1)
    curve = maths.floor_curve(Experiment())
    assert np.allclose(curve.floor[-1], 0.045, atol=1e-3)
    at_draws = dsm_floor(targets.mixture("tutorial"), VESDE(25.0), curve.at)
    assert np.all(np.abs(curve.spread - at_draws) < 4 * curve.error)
    weighted = maths.weightings(Experiment())
    level, shares = weighted.level, weighted.shares
    assert set(charts.weightings_table(level, shares)["series"].to_pylist()) == set(charts.WEIGHTINGS.values())
    assert np.allclose(shares["likelihood"], shares["likelihood"][0]), "the likelihood weighting is flat in ln(sigma / alpha)"
    assert shares["tutorial"][-1] > 10 * shares["tutorial"][0]
    for share in shares.values():
        assert np.trapezoid(share, np.log(level)) == pytest.approx(1)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axes_have_names(mode: str) -> None:
    for spec in (charts.paths_spec(mode), charts.sides_spec(mode), charts.floor_spec(mode), charts.weightings_spec(mode)):
        assert {"x", "y"} <= {channel for channel, title in _titles(spec) if title}


def _titles(spec: dict) -> list[tuple[str, str | None]]:
    """Channel and axis title of every encoding in a spec."""
    found = [(channel, encoding.get("title")) for channel, encoding in spec.get("encoding", {}).items()]
    return found + [pair for layer in spec.get("layer", []) for pair in _titles(layer)]


def test_the_parametrisations_agree_with_the_library(open_page: OpenPage) -> None:
    experiment = Experiment("tutorial")
    both = maths.parametrisations(experiment, 0.5)
    x = torch.tensor(both.exploding.x)
    assert np.allclose(both.exploding.score, exact_score(experiment.mixture, experiment.sde)(x[None], 0.5)[0].numpy())
    assert np.allclose(both.exploding.clean, both.bayes)
    assert np.allclose(both.preserving.clean, both.bayes)
    at = settled(open_page("maths", topic="parametrisations"))
    before = words(at)
    at.number_input(key="seed").set_value(5).run()
    assert words(at) != before


def test_bad_links_give_a_page_and_a_message(open_page: OpenPage) -> None:
    at = settled(open_page("maths", topic="dsm", wrong="?", share="1e308", time="-3", eta="nan", lam="0"))
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == 4  # eta is not on this topic
    at = settled(open_page("maths", topic="nonsense", eta="nan"))
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == 2


def test_two_hundred_components(open_page: OpenPage) -> None:
    many = "".join(f"m{i % 20}_{i // 20}s0.3" for i in range(200))
    for topic in ("dsm", "floor"):
        at = settled(open_page("maths", topic=topic, target="own", mixture=many))
        assert not at.exception and not at.error


def test_the_flow_has_no_error_to_see_and_small_etas_have():
    """Twice the steps' own error at eta = 0, where Euler's steps lose 3 % of the variance; the flow's is below a thousandth."""
    experiment = Experiment()
    found = {}
    for eta in (0.0, 1.0):
        run = maths.reverse_paths(experiment, eta)
        found[eta] = {row.flow: (row.found - row.exact) / row.exact for row in run.rows if row.moment == "variance"}
    euler, flow = found[0.0][False], found[0.0][True]
    assert flow == found[1.0][True]
    assert euler - flow == pytest.approx(-0.031, abs=0.004), "on the same starts the luck of the draw drops out"


@pytest.mark.parametrize(("mixture", "near"), [("m 0 s 0.001", False), ("m 0 s 2", True)])
def test_the_caption_of_the_floor_says_where_it_starts(open_page: OpenPage, mixture: str, near: bool) -> None:
    curve = maths.floor_curve(Experiment(mixture))
    assert curve.near_dim is near
    at = settled(open_page("maths", topic="floor", target="own", mixture=mixture))
    start = "near D = 1, because a little noise" if near else f"at {number(float(curve.floor[0]))}, not near D = 1"
    assert any(f"the floor starts {start}" in caption.value for caption in at.caption)


def test_the_losses_are_known_at_every_share() -> None:
    sides = maths.dsm_sides(Experiment(), "gaussian", 0.3)
    for share, dsm, esm in zip(sides.shares, sides.dsm, sides.esm, strict=True):
        found = maths.at_share(sides, float(share))
        assert (found.dsm, found.esm) == (pytest.approx(dsm), pytest.approx(esm, abs=1e-12))
    between = maths.at_share(sides, 0.55)  # ESM is (1 - c)^2 times its value at c = 0
    assert between.esm == pytest.approx(0.45**2 * maths.at_share(sides, 0.0).esm)


def test_settings_out_of_bounds_are_refused_with_the_value_and_the_range() -> None:
    with pytest.raises(ValueError, match=r"eta is 9\.0; it must be a number from 0 to 2"):
        maths.Settings(eta=9.0)
    with pytest.raises(ValueError, match="topic is 'nonsense'; it must be one of reverse, dsm"):
        maths.Settings(topic="nonsense")


def test_the_command_line_runs_every_topic() -> None:
    for topic in (*TOPICS, "summary"):
        assert isinstance(numbers(maths.run(Experiment(), maths.Settings(topic=topic))), dict)
