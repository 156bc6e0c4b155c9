"""The checks of the screen Verified: all pass, in every kind of SDE; and a mistake planted under each makes it fail."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from pytest import MonkeyPatch

from scoredm import (
    DEIS,
    EDM,
    SAMPLERS,
    SDE,
    VESDE,
    VPSDE,
    CosineVPSDE,
    GaussianMixture,
    GeometricVESDE,
    RectifiedFlow,
    SubVPSDE,
    TrainMetrics,
    UniPC,
    ancestral,
    ddim,
    euler_maruyama,
    flow_euler,
    likelihood,
    losses,
    targets,
    zero_mean_prior,
)
from scoredm.checks import CHECKS, Check, identities, known_values
from scoredm.checks.finding import Case, Finding
from scoredm.score import ExactScore

KINDS = (VESDE, GeometricVESDE, VPSDE, SubVPSDE, CosineVPSDE, RectifiedFlow, EDM)
NAMED = {check.name: check for check in CHECKS}
DEFAULT = Case(targets.mixture("tutorial"), VESDE(25.0), 2021)


def words(check: Check, finding: Finding) -> str:
    return f"{check.name}: expected {finding.expected}, found {finding.found}, tolerance {finding.tolerance}"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_passes_on_the_apps_first_experiment(check: Check):
    finding = check(DEFAULT)
    assert finding.passed, words(check, finding)


def test_the_notebooks_recipe_starts_and_goes_as_the_notebook_does():
    """Its loss starts near 2, all noise, and 100 of its steps bring the error from above 0.4 to a few hundredths."""
    first, then = (known_values._rerun()[step - 1] for step in (1, 100))
    assert 1.6 < first.dsm < 2.6
    assert first.test_error > 0.4
    assert then.evaluated and 0.01 < then.test_error < 0.05
    assert then.dsm == pytest.approx(0.86, abs=0.06)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("number", range(len(KINDS)), ids=lambda number: KINDS[number].__name__)
def test_identities_hold_on_the_line_and_in_the_plane_for_every_kind(number: int):
    case = Case(targets.mixture(("unequal", "three-modes")[number % 2]), KINDS[number](), 7)
    for check in CHECKS:
        if not check.fixed:
            finding = check(case)
            assert finding.passed, words(check, finding)


EXTREMES = (
    VESDE(0.01),
    VESDE(1e4),
    GeometricVESDE(1e-3, 100.0),
    VPSDE(0.1, 80.0),
    VPSDE(0.1, 100.0),
    VPSDE(30.0, 100.0),
    SubVPSDE(0.1, 100.0),
)


@pytest.mark.thorough
@pytest.mark.parametrize("sde", EXTREMES, ids=repr)
def test_identities_hold_as_far_out_as_they_say(sde: SDE):
    case = Case(targets.mixture("three-modes"), sde, 7)
    for check in CHECKS:
        if not (check.fixed or check.slow):
            finding = check(case)
            assert finding.passed, words(check, finding)


def test_names_are_unique_and_every_claim_has_a_source():
    assert len(NAMED) == len(CHECKS)
    assert all(check.statement.endswith((".", "?")) and check.source for check in CHECKS)


def test_another_seed_gives_other_draws_and_the_same_seed_the_same():
    check = NAMED["dsm"]
    assert check(DEFAULT) == check(DEFAULT)
    assert check(DEFAULT) != check(DEFAULT._replace(seed=5))


# What passes.


@pytest.mark.parametrize(
    "finding,passed",
    [
        (Finding(1.0, 1.1, 0.11), True),
        (Finding(1.0, 1.1, 0.09), False),
        (Finding(1.0, 0.9, 0.09), False),
        (Finding((1.0, 2.0), (1.0, 2.1), 0.2), True),
        (Finding((1.0, 2.0), (1.0, 2.1), (0.2, 0.05)), False),
        (Finding(1.0, 0.2, 0.01, at_most=True), True),
        (Finding(1.0, 1.02, 0.01, at_most=True), False),
        (Finding(1.0, math.nan, math.inf), False),
        (Finding(1.0, math.nan, 1.0, at_most=True), False),
        (Finding(1.0, 1.0, math.nan), False),
    ],
)
def test_a_finding_passes_when_every_figure_is_within_its_tolerance(finding: Finding, passed: bool):
    assert finding.passed is passed


# Mistakes, each planted in the code of the app and not in the check.

Plant = Callable[[MonkeyPatch], None]
PLANT_CASE = Case(targets.mixture("tutorial"), VPSDE(), 3)


def in_every_kind(name: str, change: Callable[[Any, Any, Any], Any]) -> Plant:
    """Replace alpha, sigma, g or f of every SDE by something made from what it was."""

    def plant(patch: MonkeyPatch) -> None:
        for kind in KINDS:
            right = getattr(kind, name)
            patch.setattr(kind, name, lambda sde, t, right=right: change(right(sde, t), sde, t))

    return plant


def in_module(module: Any, name: str, wrong: Any) -> Plant:
    return lambda patch: patch.setattr(module, name, wrong)


def score_times(factor: float) -> Plant:
    """A score that is too long or too short, wherever the library asks for the exact one."""
    right, on_grid = ExactScore.__call__, ExactScore.on_grid

    def wrong_on_grid(score: ExactScore, times: Any, like: Any) -> Any:
        prepared = on_grid(score, times, like)
        return lambda x, t: factor * prepared(x, t)

    def plant(patch: MonkeyPatch) -> None:
        patch.setattr(ExactScore, "__call__", lambda score, x, t: factor * right(score, x, t))
        patch.setattr(ExactScore, "on_grid", wrong_on_grid)

    return plant


def diffuse_adds_sigma(patch: MonkeyPatch) -> None:
    right = GaussianMixture.diffuse
    patch.setattr(GaussianMixture, "diffuse", lambda mixture, alpha, sigma: right(mixture, alpha, math.sqrt(sigma)))


def sampler(name: str, wrong: Any) -> Plant:
    """Another step in a sampler's place."""
    return lambda patch: patch.setitem(SAMPLERS, name, replace(SAMPLERS[name], make_step=lambda: wrong))


def half_score(right: Any) -> Any:
    """A step that hears half of the score."""
    return lambda sde, score, x, t, t_next, noise: right(sde, lambda y, s: score(y, s) / 2, x, t, t_next, noise)


def loud(right: Any) -> Any:
    """A step with twice the variance of noise."""
    return lambda sde, score, x, t, t_next, noise: right(sde, score, x, t, t_next, math.sqrt(2) * noise)


def history(**wrong: Any) -> Callable[[], tuple[TrainMetrics, ...]]:
    right = TrainMetrics(1, 2.152, 0.0054, 0.0054, 0.39, True, 0.0)
    return lambda: (replace(right, **wrong),) * 60


SQUARED_SIGMA = in_every_kind("sigma", lambda sigma, _sde, _t: sigma**2)
SQUARED_G = in_every_kind("diffusion", lambda g, _sde, _t: g**2)
LATE_ALPHA = in_every_kind("alpha", lambda alpha, _sde, _t: alpha**2)
OPPOSITE_DRIFT = in_every_kind("drift_rate", lambda f, _sde, _t: -f)
NOISE_AT_ZERO = in_every_kind("sigma", lambda sigma, _sde, _t: sigma + 1e-3)
BY_DIFFERENCE = in_every_kind("sigma", lambda _sigma, sde, t: (1 - sde.alpha(t) ** 2) ** 0.5)
SHORT_SCORE = score_times(0.9)
NO_OVERLAP = in_module(losses, "_prepared_gap", lambda _mixture: lambda x, _k: torch.zeros(len(x), dtype=torch.float64))

POWERS_OF_LAMBDA = in_every_kind("sigma", lambda _sigma, sde, t: ((sde.lam ** (2 * t) - 1) / (2 * math.log(sde.lam))) ** 0.5)
WITHOUT_MEAN = in_module(known_values, "moment_matched_prior", lambda _mixture, sde: zero_mean_prior(sde, 2))
MINUS_THE_NOISE = in_module(
    known_values, "dsm_loss", lambda sde, score, x, t, z: (sde.sigma(t) * score(x + sde.sigma(t) * z, t) - z).square().mean()
)
NO_DIVERGENCE = in_module(likelihood, "score_and_divergence", lambda score, x, t: (score(x, t), torch.zeros(len(x))))

PLANTED: dict[str, list[Plant]] = {
    "drift": [OPPOSITE_DRIFT, LATE_ALPHA],
    "diffusion": [SQUARED_SIGMA, SQUARED_G, OPPOSITE_DRIFT],
    "start": [NOISE_AT_ZERO],
    "digits": [BY_DIFFERENCE],
    "paths": [SQUARED_SIGMA, SQUARED_G, LATE_ALPHA, OPPOSITE_DRIFT],
    "gradient": [SHORT_SCORE],
    "convolution": [diffuse_adds_sigma],
    "fokker-planck": [SQUARED_SIGMA, SQUARED_G, OPPOSITE_DRIFT, SHORT_SCORE, diffuse_adds_sigma],
    "tweedie": [SHORT_SCORE, diffuse_adds_sigma],
    "merging": [diffuse_adds_sigma, in_module(identities, "merge_time", lambda *_: 0.49)],
    "dsm": [SHORT_SCORE, diffuse_adds_sigma],
    "floor": [NO_OVERLAP, in_module(identities, "dsm_floor", lambda *_: 0.0)],
    "entropy": [SHORT_SCORE, SQUARED_G, OPPOSITE_DRIFT],
    "girsanov": [SHORT_SCORE, SQUARED_G],
    "girsanov-strict": [SQUARED_SIGMA, OPPOSITE_DRIFT],
    "anderson": [
        SHORT_SCORE,
        SQUARED_G,
        in_module(identities, "euler_maruyama", half_score(euler_maruyama)),
        in_module(identities, "euler_maruyama", loud(euler_maruyama)),
    ],
    "flow": [SHORT_SCORE, SQUARED_G, in_module(identities, "heun", half_score(flow_euler))],
    "likelihood": [
        NO_DIVERGENCE,
        in_module(identities, "exact_prior", lambda mixture, sde: zero_mean_prior(sde, mixture.dim)),
    ],
    "flow-gaussian": [SHORT_SCORE, SQUARED_G, OPPOSITE_DRIFT],
    "recursion": [SHORT_SCORE, sampler("euler-maruyama", loud(euler_maruyama)), sampler("euler-maruyama", ancestral)],
    "order-euler-maruyama": [sampler("euler-maruyama", loud(euler_maruyama))],
    "order-ancestral": [sampler("ancestral", half_score(ancestral))],
    "order-ddim": [sampler("ddim", half_score(ddim))],
    "order-flow-euler": [SQUARED_G],
    "order-heun": [sampler("heun", flow_euler)],
    "order-dpm-solver": [sampler("dpm-solver", ddim)],
    "order-sde-dpm-solver": [sampler("sde-dpm-solver", ancestral)],
    "order-dpm-solver-3m": [sampler("dpm-solver-3m", ddim)],
    "order-unipc": [sampler("unipc", UniPC(2))],
    "order-deis": [sampler("deis", DEIS(2))],
    "order-churned-heun": [sampler("churned-heun", flow_euler)],
    "prior-divergence": [SQUARED_SIGMA],
    "prior-bias": [SQUARED_G],
    "prior-cured": [WITHOUT_MEAN],
    "floors": [SQUARED_SIGMA],
    "floor-over-time": [NO_OVERLAP],
    "de-bruijn": [SQUARED_G, SQUARED_SIGMA],
    "modes-merge": [SQUARED_SIGMA],
    "lost-digits": [POWERS_OF_LAMBDA],
    "likelihoods": [NO_DIVERGENCE],
    "flow-euler-errors": [sampler("flow-euler", half_score(flow_euler))],
    "heun-errors": [sampler("heun", flow_euler)],
    "euler-maruyama-errors": [in_module(known_values, "euler_maruyama", ancestral)],
    "extra-increment": [SQUARED_SIGMA],
    "one-point": [MINUS_THE_NOISE],
    "one-gaussian": [score_times(0.7)],
    "perfect-score": [SHORT_SCORE],
    "first-loss": [in_module(known_values, "_rerun", history(dsm=2.152 / 2))],
    "last-loss": [in_module(known_values, "_rerun", history(dsm=0.84 / 2))],
    "last-metric": [in_module(known_values, "_rerun", history(notebook_error=0.2))],
    "last-error": [in_module(known_values, "_rerun", history(test_error=0.05))],
}


def test_a_mistake_is_planted_under_every_check():
    assert set(PLANTED) == set(NAMED)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "name,plant", [pytest.param(name, plant, id=f"{name}-{i}") for name in PLANTED for i, plant in enumerate(PLANTED[name])]
)
def test_a_planted_mistake_makes_the_check_fail(name: str, plant: Plant, monkeypatch: MonkeyPatch):
    identities._grid.cache_clear()
    plant(monkeypatch)
    finding = NAMED[name](PLANT_CASE)
    assert not finding.passed, words(NAMED[name], finding)
