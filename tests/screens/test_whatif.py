"""What if: each switch makes the line that it names, and the line does what a sampler written independently does."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from scoredm import exact_score, exercises, reverse_step, rollout
from scoredm.experiment import KINDS, Experiment
from scoredm.screens import reverse, whatif
from scoredm.screens.whatif import PARTICLES, Settings
from scoredm.streams import generator

STEPS = 40

Coefficients = tuple[float, float, float]  # of x, of the score, of the noise, in a step


def coefficients(f: float, g: float, dt: float, eta: float) -> Coefficients:
    """Of the right step, as the library's `reverse_step` has it."""
    return 1 - f * dt, (1 + eta**2) / 2 * g**2 * dt, eta * g * math.sqrt(dt)


# What each switch does to the coefficients of x, of the score and of the noise.
SLIPS: dict[str, Callable[[float, float, float, float], Coefficients]] = {
    "no_noise": lambda keep, drift, _noise, _dt: (keep, drift, 0.0),
    "plain_dt": lambda keep, drift, noise, dt: (keep, drift, noise * math.sqrt(dt)),
    "minus": lambda keep, drift, noise, _dt: (keep, -drift, noise),
    "half": lambda keep, drift, noise, _dt: (keep, drift / 2, noise),
    "earlier": lambda keep, drift, noise, _dt: (keep, drift, noise),
}


def independent(experiment: Experiment, slips: list[str], eta: float) -> np.ndarray:
    """The ends of a run by a step of the library's sampler loop with these slips in it, on the same noise."""
    sde, draws = experiment.sde, generator(experiment, "reverse")
    first = float(sde.with_signal(1.0))
    x = experiment.distribution(first).sample(PARTICLES, draws).double()
    noise = [torch.randn(x.shape, generator=draws, dtype=torch.float64) for _ in range(STEPS)]

    def step(_sde: Any, score: Any, points: torch.Tensor, t: float, t_next: float, z: torch.Tensor) -> torch.Tensor:
        at, dt = t_next if "earlier" in slips else t, t - t_next
        keep, drift, spread = coefficients(float(sde.drift_rate(at)), float(sde.diffusion(at)), dt, eta)
        for slip in slips:
            keep, drift, spread = SLIPS[slip](keep, drift, spread, dt)
        return keep * points + drift * score(points, at) + spread * z

    times = [*(first * (1 - i / STEPS) for i in range(STEPS)), 0.0]
    return list(rollout(sde, exact_score(experiment.mixture, sde), x, times, step, noise=noise))[-1][1].numpy()


@pytest.mark.parametrize(
    ("slips", "eta", "experiment"),
    [
        ([], 1.0, Experiment()),
        *(([slip], 1.0, Experiment(target)) for slip, target in zip(SLIPS, ["tutorial", "two-modes"] * 3, strict=False)),
        *(([], 0.5, Experiment("two-modes", kind=kind)) for kind in KINDS if kind != "ve"),
        (["minus", "plain_dt"], 0.35, Experiment(kind="vp")),
        (["half", "earlier"], 0.0, Experiment(kind="cosine")),
    ],
    ids=str,
)
def test_a_line_does_what_the_librarys_sampler_with_that_slip_does(slips, eta, experiment):
    found = whatif.run(experiment, Settings(**dict.fromkeys(slips, True), eta=eta, line_steps=STEPS))
    ends = independent(experiment, slips, eta)
    np.testing.assert_allclose(found.tried.end, ends, rtol=1e-5, atol=1e-5 * np.abs(ends).max())
    np.testing.assert_allclose(found.right.end, independent(experiment, [], eta), rtol=1e-5, atol=1e-6)
    assert found.tried.variance.value == pytest.approx(ends.var(0, ddof=1).mean(), rel=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_the_right_line_takes_the_steps_of_the_library(eta):
    experiment, draws = Experiment(), generator(Experiment(), "reverse")
    x = experiment.prior("exact").sample(PARTICLES, draws).double()
    noise = [torch.randn(x.shape, generator=draws, dtype=torch.float64) for _ in range(STEPS)]
    times = [*(1 - i / STEPS for i in range(STEPS)), 0.0]
    *_, (_t, end) = rollout(experiment.sde, experiment.score, x, times, reverse_step(eta), noise=noise)
    np.testing.assert_allclose(whatif.try_line(experiment, Settings(eta=eta, line_steps=STEPS)).end, end, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", ["tutorial", "ring"])
def test_the_gauges_of_an_exact_sample_are_exact(target):
    mixture = Experiment(target).mixture
    x = mixture.sample(50_000, torch.Generator().manual_seed(1)).double().numpy()
    result = whatif.run(Experiment(target), Settings(line_steps=5))
    for found, exact in ((whatif._variance(x), result.exact), (whatif._within(x, mixture), result.exact_within)):
        assert abs(found.value - exact) < 4 * found.error < 0.1 * exact


def test_the_gauges_of_one_gaussian_agree_with_the_recursion_of_its_variance():
    experiment = Experiment("m0,0 s1", kind="vp")
    for slips in ({}, {"no_noise": True}, {"half": True}, {"plain_dt": True}):
        variance, dt, sde = 1.0, 1 / 100, experiment.sde
        for i in range(100):
            t = 1 - i * dt
            step = coefficients(float(sde.drift_rate(t)), float(sde.diffusion(t)), dt, 1.0)
            for slip in slips:
                step = SLIPS[slip](*step, dt)
            variance = (step[0] - step[1]) ** 2 * variance + step[2] ** 2  # of p_t itself the variance is 1 at every t
        found = whatif.try_line(experiment, Settings(**slips)).variance
        assert abs(found.value - variance) < 4 * found.error + 1e-9


@pytest.mark.parametrize(
    ("settings", "slip"),
    [
        (Settings(), None),
        (Settings(earlier=True), None),
        (Settings(no_noise=True), "noise-missing"),
        (Settings(minus=True), "sign"),
        (Settings(half=True), "half-too-many"),
        (Settings(plain_dt=True), "dt-for-sqrt-dt"),
        (Settings(eta=0.0, minus=True), "sign"),
    ],
    ids=str,
)
def test_the_exercise_names_the_slip_that_a_switch_makes(settings, slip):
    name = "probability-flow" if settings.eta == 0 else "reverse-sde"
    verdict = exercises.check(name, whatif.code(settings, drift=False))
    assert (verdict.passed, verdict.slip) == (slip is None, slip)


def test_points_that_leave_the_range_of_numbers_are_no_error():
    result = whatif.run(Experiment("needle", kind="geometric", parameters=(0.01, 100.0)), Settings(minus=True))
    assert result.outside == PARTICLES and not result.tried.variance.value < 1e6


def test_the_screen_runs_the_line_only_where_it_is_asked_for():
    settings = reverse.Settings(particles=100, steps=5)
    assert reverse.run(Experiment("two-modes"), settings).what_if is None
    asked = reverse.Settings(particles=100, steps=5, what_if=True, half=True, line_steps=5)
    found = reverse.run(Experiment("two-modes"), asked).what_if
    assert found is not None and "0.5*g(t)**2" in found.tried.code
    assert asked.simulated == settings.simulated and asked.animated == settings.animated


def test_many_components_have_fewer_particles_in_both_lines():
    result = whatif.run(Experiment("checkerboard"), Settings(half=True, line_steps=5))
    assert len(result.tried.end) == len(result.right.end) == whatif.FEWER < PARTICLES
