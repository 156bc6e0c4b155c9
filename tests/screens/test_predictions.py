"""The answer to each question against an independent computation, on two experiments or more."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, root
from scipy.special import ndtr

from scoredm.experiment import Experiment
from scoredm.screens import budget, forward, home, likelihood, maths, memorisation, predictions, race, reverse, score, training
from scoredm.screens.predictions import Options, Place, Posed, Scale, Slider, Trained
from tests.common import generator


def experiment(target: str, lam: float = 25.0) -> Experiment:
    return Experiment(target, 2021, "ve", (lam,))


def sigma2(lam: float, t: float) -> float:
    return (lam ** (2 * t) - 1) / (2 * math.log(lam))


def on_the_line(target: str) -> tuple[np.ndarray, ...]:
    """Weights, means and variances of a target on the line."""
    means, covariances, weights = experiment(target).mixture.parameters
    return weights.numpy(), means.numpy()[:, 0], covariances.numpy()[:, 0, 0]


def test_names_are_different_and_every_text_has_its_places():
    names = [question.name for question in predictions.QUESTIONS]
    assert len(set(names)) == len(names) >= 10
    asked = [value for value in vars(predictions).values() if isinstance(value, predictions.Question)]
    assert sorted(names) == sorted(question.name for question in asked), "every question is in the list"


@pytest.mark.parametrize("target,lam,std", [("two-modes", 25.0, math.sqrt(26)), ("tight", 5.0, None)])
def test_the_noise_in_widths_of_the_data(target, lam, std):
    found = home.run(experiment(target, lam), home.Settings())
    if std is None:
        draws = experiment(target).mixture.sample(200_000, generator(5)).numpy()
        std = math.sqrt(draws.var(axis=0).mean())
    assert predictions.NOISE_AT_THE_END.pose(found) is not None
    assert predictions.NOISE_AT_THE_END.truth(found) == pytest.approx(math.sqrt(sigma2(lam, 1)) / std, rel=0.01)


@pytest.mark.parametrize("lam", [25.0, 60.0, 5.0])
def test_two_modes_merge_when_the_noise_is_as_wide_as_half_their_gap(lam):
    found = forward.run(experiment("two-modes", lam), forward.Settings(20, 5))
    posed = predictions.MERGING.pose(found)
    t = math.log(1 + 2 * math.log(lam) * (5**2 - 1)) / (2 * math.log(lam))
    if t > 1:
        assert posed is None and predictions.HALF.pose(found) is None, "there is too little noise for either question"
        return
    assert posed is not None and posed.values == {"n": 2} and predictions.HALF.pose(found) is None
    assert predictions.MERGING.truth(found) == pytest.approx(t, rel=1e-6)


@pytest.mark.parametrize("target,lam", [("ring", 25.0), ("one-mode", 5.0)])
def test_the_time_at_which_half_of_the_variance_is_noise(target, lam):
    asked = experiment(target, lam)
    found = forward.run(asked, forward.Settings(20, 5))
    assert predictions.MERGING.pose(found) is None and predictions.HALF.pose(found) is not None
    variance = np.trace(np.asarray(asked.mixture.covariance)) / asked.dim
    t = predictions.HALF.truth(asked)
    assert t == pytest.approx(math.log(1 + 2 * math.log(lam) * variance) / (2 * math.log(lam)))


def probed(asked: Experiment, t: float = 0.0) -> predictions.Probed:
    return predictions.Probed(asked, t, score.probe(asked, score.Settings(t=t)), predictions.saddle(asked))


@pytest.mark.parametrize("target", ["tutorial", "tight"])
def test_the_saddle_is_a_zero_of_the_slope_that_falls_one_way_and_rises_the_other(target):
    at = probed(experiment(target))
    means, covariances, weights = (np.asarray(part) for part in at.experiment.mixture.parameters)

    def density(x: np.ndarray) -> float:
        parts = [
            w * math.exp(-(x - m) @ np.linalg.solve(c, x - m) / 2) / math.sqrt(np.linalg.det(c))
            for m, c, w in zip(means, covariances, weights, strict=True)
        ]
        return sum(parts)

    def slope(x: np.ndarray, h: float = 1e-5) -> np.ndarray:
        return np.array([density(x + h * e) - density(x - h * e) for e in np.eye(2)]) / (2 * h * density(x))

    found = root(slope, means.mean(axis=0), tol=1e-10).x
    assert isinstance(at.saddle, tuple) and predictions.SADDLE.truth(at) == pytest.approx(tuple(found), abs=1e-5)
    curvature = np.linalg.eigvalsh([(slope(found + 1e-4 * e) - slope(found - 1e-4 * e)) / 2e-4 for e in np.eye(2)])
    assert curvature[0] < 0 < curvature[1]
    assert predictions.SADDLE.pose(at) == Posed(Place((1.0, 0.0)))


def test_without_two_modes_in_the_plane_nobody_is_asked_for_a_saddle():
    for target in ("ring", "gaussian", "cross", "two-modes"):
        assert predictions.SADDLE.pose(probed(experiment(target))) is None, target


@pytest.mark.parametrize("target,t", [("two-modes", 0.0), ("three-modes", 0.3)])
def test_responsibilities_at_the_end_by_bayes_rule(target, t):
    at = probed(experiment(target, 5.0), t)
    w, mu, v = on_the_line(target)

    def shares(t: float) -> np.ndarray:
        spread = v + sigma2(5.0, t)
        parts = w / w.sum() * np.exp(-((1.0 - mu) ** 2) / (2 * spread)) / np.sqrt(spread)
        return parts / parts.sum()

    k = int(shares(t).argmax())
    posed = predictions.SHARE.pose(at)
    assert posed is not None and posed.values["k"] == k + 1 and posed.values["r"] == pytest.approx(shares(t)[k])
    assert predictions.SHARE.truth(at) == pytest.approx(shares(1.0)[k])
    assert predictions.SHARE.pose(probed(experiment("one-mode"))) is None, "one component has it all"
    assert predictions.SHARE.pose(probed(at.experiment, 0.95)) is None, "it is as good as on screen"


@pytest.mark.parametrize("asked", [experiment("two-modes", 5.0), Experiment("three-modes", 1, "vp", (0.1, 5.0))])
def test_the_spread_of_all_that_may_have_led_to_one_point(asked):
    w, mu, v = on_the_line(asked.target)
    alpha, sigma = asked.sde.scales(1.0)
    x = np.linspace(-12, 12, 20_001)
    prior = sum(a * np.exp(-((x - m) ** 2) / (2 * c)) / math.sqrt(c) for a, m, c in zip(w, mu, v, strict=True))
    posterior = prior * np.exp(-((alpha * x) ** 2) / (2 * sigma**2))
    posterior /= posterior.sum()
    variance = posterior @ x**2 - (posterior @ x) ** 2
    settings = reverse.Settings()
    assert predictions.SPREAD.truth((asked, settings)) == pytest.approx(variance, rel=1e-6)
    assert predictions.SPREAD.truth((asked, replace(settings, process="flow"))) == 0
    posed = predictions.SPREAD.pose((asked, settings))
    assert posed is not None and isinstance(posed.answer, Slider) and posed.answer.high > variance


def looked(asked: Experiment) -> "training.Look":
    settings = training.Settings(recipe="ours")
    return training.look(training.reference(asked, 0.01), settings, asked, None, None)


@pytest.mark.parametrize("lam", [25.0, 5.0])
def test_the_loss_of_a_perfect_network_on_one_gaussian(lam):
    _w, _mu, (v,) = on_the_line("one-mode")
    mean, _error = quad(lambda t: v / (v + sigma2(lam, t)), 0.01, 1)
    look = looked(experiment("one-mode", lam))
    posed = predictions.LOSS.pose(look)
    assert posed is not None and isinstance(posed.answer, Options)
    truth = posed.answer.titles[str(predictions.LOSS.truth(look))]
    assert truth == pytest.approx(mean / 0.99, rel=1e-3)
    assert set(posed.answer.titles.values()) == {0.0, truth, 1.0}
    assert predictions.LOSS.pose(replace(look, step=1)) is None, "the loss is on screen"


@pytest.mark.parametrize("target", ["one-mode", "two-modes"])
def test_twice_the_noise_ends_in_the_same_variance(target):
    asked = experiment(target)
    w, mu, v = on_the_line(target)
    mean = w @ mu / w.sum()
    exact = w @ (v + (mu - mean) ** 2) / w.sum() + sigma2(25.0, maths.T_MIN)
    paths = maths.reverse_paths(asked, predictions.TWICE)
    row = next(row for row in paths.rows if row.moment == "variance" and not row.flow)
    truth = predictions.TWICE_THE_NOISE.truth(paths)
    assert isinstance(truth, float) and abs(truth - exact) < 4 * row.error + 0.05 * exact
    assert predictions.TWICE_THE_NOISE.pose(paths) is None, "it is on screen"
    posed = predictions.TWICE_THE_NOISE.pose(replace(paths, eta=1.0))
    assert posed is not None and posed.values["variance"] == pytest.approx(exact)


@pytest.mark.parametrize("target", ["one-mode", "two-modes"])
def test_the_winner_is_nearest_to_the_exact_quantiles(target):
    asked = experiment(target)
    settings = race.Settings(samplers=("euler-maruyama", "ddim", "heun"), last="40", particles=2000)
    ends = [race.end(job) for job in race.end_jobs(asked, settings, predictions.EVALUATIONS)]
    w, mu, v = on_the_line(target)
    below = [partial(lambda p, x: w @ ndtr((x - mu) / np.sqrt(v)) / w.sum() - p, (i + 0.5) / 2000) for i in range(2000)]
    exact = [brentq(excess, -50, 50) for excess in below]
    apart = {end.sampler: float(np.abs(np.sort(end.points[:, 0]) - exact).mean()) for end in ends}
    assert all(end.nfe == predictions.EVALUATIONS + 1 for end in ends)
    assert predictions.WINNER.truth(ends) == min(apart, key=apart.__getitem__)
    lost = [replace(end, distance=math.nan) if end.sampler == predictions.WINNER.truth(ends) else end for end in ends]
    assert predictions.WINNER.truth(lost) != predictions.WINNER.truth(ends), "what ran off to infinity does not win"
    posed = predictions.WINNER.pose(settings)
    assert posed is not None and isinstance(posed.answer, Options) and list(posed.answer.titles) == list(settings.samplers)
    assert predictions.WINNER.pose(replace(settings, score="learned")) is None


CAUSES = {"prior": "Prior", "steps": "Steps", "stop": "Stop", "network": "Network"}
SMALL = budget.Settings("heun", "exact", 5, 0.3, False, "exact", "covariance", 200, 3)


@pytest.mark.parametrize(
    "settings,lam,cause",
    [(SMALL, 25.0, "stop"), (replace(SMALL, sampler="ddim", prior="zero", t_min=0.1, denoise=True), 2.0, "prior")],
)
def test_the_largest_cause_is_the_one_that_was_made_large(settings, lam, cause):
    result = budget.run(experiment("one-mode", lam), settings)
    assert predictions.CAUSE.truth(result) == cause
    assert predictions.CAUSE.truth(None) is None and predictions.CAUSE.pose((CAUSES, result)) is None
    posed = predictions.CAUSE.pose((CAUSES, None))
    assert posed is not None and isinstance(posed.answer, Options) and list(posed.answer.titles) == [*CAUSES, "none"]


@pytest.mark.parametrize("lam", [25.0, 5.0])
def test_the_solver_of_order_four_gains_a_factor_near_sixteen(lam):
    asked = experiment("one-mode", lam)
    few, many = (likelihood.run(asked, likelihood.Settings(prior="exact", steps=steps)) for steps in (predictions.FEW_STEPS, 40))
    posed = predictions.ORDER.pose(likelihood.Settings())
    assert posed is not None and isinstance(posed.answer, Scale) and posed.values == {"few": 20, "many": 40}
    _w, (mu,), (v,) = on_the_line("one-mode")
    worst = [
        np.abs(found.model + (found.x[:, 0] - mu) ** 2 / (2 * v) + math.log(2 * math.pi * v) / 2)[found.mass > 0].max()
        for found in (few, many)
    ]
    assert predictions.ORDER.truth((few, many)) == pytest.approx(worst[0] / worst[1], rel=0.02)
    assert 10 < worst[0] / worst[1] < 25


@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_copies_counted_one_by_one(target):
    asked = experiment(target)
    points = memorisation.training_points(asked, predictions.MANY_POINTS)
    drawn = memorisation.draw(asked, points, asked.score, 0.1)
    nearest = np.linalg.norm(drawn.samples[:, None] - points.array(), axis=-1).min(axis=1)
    trained = Trained(predictions.MANY_POINTS, drawn)
    assert predictions.COPIES.truth(trained) == pytest.approx(100 * float((nearest < 0.1).mean()))
    assert predictions.COPIES.pose(trained) is None, "it is on screen"
    for other in (Trained(10, drawn), Trained(predictions.MANY_POINTS, None)):
        assert predictions.COPIES.truth(other) is None and predictions.COPIES.pose(other) is not None
