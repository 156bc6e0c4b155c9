"""Practice: what a line does in the experiment, beside the right one, against laws and other parts of the library."""

import numpy as np
import pytest
import torch

from scoredm import Experiment, losses
from scoredm.exercises import EXERCISES, Refusal, trials
from scoredm.exercises.trials import suit, try_out
from scoredm.frames import Frames
from scoredm.screens.practice import Arrows, Curves, Effect, Result, Settings, Steps, run

TUTORIAL, LINE = Experiment(), Experiment("two-modes", seed=7)
SOLUTION = {name: exercise.solution for name, exercise in EXERCISES.items()}


def effect(found: Result) -> Effect:
    assert found.effect is not None, found.problem or found.verdict.message
    return found.effect


@pytest.mark.parametrize("experiment", [TUTORIAL, LINE], ids=["plane", "line"])
@pytest.mark.parametrize("name", EXERCISES)
def test_a_solution_does_what_the_right_line_does(name, experiment):
    found = run(experiment, Settings(name, SOLUTION[name]))
    assert found.verdict.passed and not found.refused and not found.replaced
    for row in effect(found).rows:
        assert row.found == pytest.approx(row.right, rel=1e-9)
    match effect(found).picture:
        case Steps(found=one, right=other):
            assert one.particles is not None and other.particles is not None
            np.testing.assert_allclose(one.particles, other.particles, rtol=1e-7, atol=1e-9)
        case Curves(found=one, right=other):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)
        case Arrows(frames=Frames(arrows=arrows)):
            assert arrows is not None
            np.testing.assert_allclose(*np.split(arrows[0], 2), rtol=1e-6, atol=1e-7)


def test_a_slip_shows_in_the_picture_and_in_its_numbers():
    found = run(TUTORIAL, Settings("reverse-sde", "x + g(t)**2 * score(x, t) * dt + g(t) * dt * z"))
    mean, variance = effect(found).rows
    assert found.verdict.slip == "dt-for-sqrt-dt"
    assert variance.found < 0.1 * variance.right and variance.exact == pytest.approx(2.5)
    assert mean.right == pytest.approx(1, abs=0.15) and variance.right == pytest.approx(2.5, abs=0.35)


def test_half_the_drift_without_noise_is_the_flow_from_the_same_points():
    half = try_out("reverse-sde", "x + 0.5 * g(t)**2 * score(x, t) * dt", TUTORIAL)
    np.testing.assert_allclose(half.found, try_out("probability-flow", SOLUTION["probability-flow"], TUTORIAL).right, rtol=1e-9)


def test_the_right_answers_are_those_of_the_library():
    sigma = try_out("sigma", "t", Experiment(parameters=(5.0,)))
    expected = [float(Experiment(parameters=(5.0,)).sde.sigma(float(t))) ** 2 for t in sigma.x]
    np.testing.assert_allclose(sigma.right, expected, rtol=1e-9, atol=1e-12)
    score = try_out("mixture-score", "s.sum(1)", TUTORIAL, 0.3)
    np.testing.assert_allclose(score.right, TUTORIAL.score(torch.from_numpy(score.x), 0.3).numpy(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("experiment", [TUTORIAL, Experiment("two-modes", kind="vp")], ids=["ve", "vp"])
def test_the_distance_to_the_clean_point_is_the_least_loss_in_other_units(experiment):
    """E tr Cov(x_0 | x_t) = sigma_t^2 / alpha_t^2 times the floor of the loss."""
    (row,) = try_out("tweedie", SOLUTION["tweedie"], experiment, 0.3).rows
    alpha, sigma = experiment.sde.scales(0.3)
    least = (sigma / alpha) ** 2 * float(losses.dsm_floor(experiment.mixture, experiment.sde, 0.3))
    assert row.right**2 == pytest.approx(least, rel=0.12)


def test_the_loss_of_the_exact_score_is_the_floor_and_of_a_wrong_sign_more_at_every_time():
    found = try_out("dsm-loss", SOLUTION["dsm-loss"].replace("+ z", "- z"), TUTORIAL)
    assert found.exact is not None
    np.testing.assert_allclose(found.right, found.exact, atol=0.08)
    assert (found.found > found.right).all()


def test_an_sde_that_the_formula_does_not_fit_is_replaced_and_no_other():
    drift, geometric = Experiment("ring", 5, "vp"), Experiment("ring", 5, "geometric")
    assert suit(drift, "tweedie") == drift and suit(drift, "mixture-score") == drift and suit(geometric, "dsm-loss") == geometric
    for name in ("reverse-sde", "probability-flow", "dsm-loss", "sigma"):
        assert suit(drift, name) == Experiment("ring", 5)
    assert suit(Experiment(parameters=(1.0,)), "sigma") == Experiment() and suit(geometric, "sigma") == Experiment("ring", 5)
    assert run(drift, Settings("dsm-loss", SOLUTION["dsm-loss"])).replaced


@pytest.mark.parametrize(("code", "slip"), [("x.sum(1)", "shape"), ("x / 0 * t", None), ("x.__class__", None), (" ", None)])
def test_a_line_without_a_picture_says_why(code, slip):
    found = run(TUTORIAL, Settings("reverse-sde", code))
    assert found.effect is None and found.verdict.slip == slip and found.refused == (slip is None)
    assert found.problem if slip else found.verdict.message


def test_a_line_that_explodes_is_drawn_as_far_as_it_is_finite():
    found = run(TUTORIAL, Settings("reverse-sde", "x * 1e40 + z"))
    assert isinstance(effect(found).picture, Steps) and not np.isfinite(effect(found).rows[1].found)


def test_all_runs_of_a_line_together_are_bounded(monkeypatch):
    monkeypatch.setattr(trials, "MOST_SECONDS", 0.0)
    with pytest.raises(Refusal, match="takes too long"):
        try_out("reverse-sde", SOLUTION["reverse-sde"], TUTORIAL)


def test_without_code_the_line_is_what_a_reader_starts_from():
    found = run(TUTORIAL, Settings("tweedie"))
    assert found.code == EXERCISES["tweedie"].start and found.refused and "three dots" in found.verdict.message
