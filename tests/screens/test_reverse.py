"""The reverse screen: its numbers against the library and closed forms, and the cause of what is off."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from scoredm import (
    VESDE,
    compare_moments,
    euler_maruyama,
    exact_prior,
    exact_score,
    fields,
    flow_euler,
    sample,
    sliced_wasserstein,
    targets,
)
from scoredm.comparison import FEW_FRESH, MANY_FRESH, PROJECTIONS, SampleComparison, Statistic
from scoredm.experiment import Experiment
from scoredm.kernel_density import density_on_grid
from scoredm.metrics import Estimate
from scoredm.screens import comparing, reverse
from scoredm.screens.animation import MOST_FRAMES
from scoredm.screens.reverse import Settings
from scoredm.streams import generator

TUTORIAL = targets.mixture("tutorial")
EXACT = Settings(prior="exact")


def compared(experiment: Experiment, settings: Settings) -> SampleComparison:
    return comparing.compare(experiment, reverse.simulate(experiment, settings).end)


def judged(experiment: Experiment, settings: Settings) -> reverse.Verdict:
    return reverse.judge(experiment, settings, compared(experiment, settings))


def test_the_statistics_are_the_librarys_for_the_same_seed():
    result = reverse.run(Experiment(), Settings())
    sde, rng = VESDE(25.0), generator(Experiment(), "reverse")
    found = compare_moments(sample(sde, exact_score(TUTORIAL, sde), 2500, generator=rng).end, TUTORIAL)
    names = ["Mean x₁", "Mean x₂", "Var x₁", "Cov x₁x₂", "Var x₂", "Weight 1", "Weight 2"]
    assert [row.name for row in result.comparison.statistics] == names
    expected = [*found.mean.found, *found.covariance.found[[0, 0, 1], [0, 1, 1]], *found.weights.found]
    np.testing.assert_allclose([row.found for row in result.comparison.statistics], expected, rtol=1e-6)
    assert [row.exact for row in result.comparison.statistics] == [1, 0, 2.5, -0.75, 2, 0.5, 0.5]


def test_a_bad_value_names_itself_and_its_range():
    for field, value, words in (("particles", 50, "from 100"), ("steps", 505, "to 500"), ("process", "ode", "one of sde, flow")):
        changed: dict[str, Any] = {field: value}
        with pytest.raises(ValueError, match=words):
            replace(Settings(), **changed)


@pytest.mark.parametrize("process,step", [("sde", euler_maruyama), ("flow", flow_euler)])
def test_a_process_is_the_librarys_sampler_and_the_last_step_ends_at_0(process, step):
    experiment = Experiment("ring", parameters=(10.0,))
    run = reverse.simulate(experiment, Settings(500, 50, process, "exact", 0.1, denoise=True))
    rng, prior = generator(experiment, "reverse"), exact_prior(experiment.mixture, experiment.sde)
    x = sample(experiment.sde, experiment.score, 500, steps=50, step=step, prior=prior, t_min=0.1, denoise=True, generator=rng)
    np.testing.assert_allclose(run.end, x.end.numpy(), atol=1e-4)
    assert (run.times[0], run.times[-2], run.times[-1]) == (1.0, pytest.approx(0.1), 0.0)
    assert (np.diff(run.shown_times) < 0).all() and run.shown_times[-1] == 0


def test_the_flow_of_one_gaussian_ends_where_its_closed_form_does():
    experiment = Experiment("m 3 s 1")
    run = reverse.simulate(experiment, Settings(200, 500, "flow", "exact"))
    sigma = experiment.sde.sigma
    expected = 3 + np.sqrt((1 + sigma(1e-3) ** 2) / (1 + sigma(1.0) ** 2)) * (run.start - 3)
    np.testing.assert_allclose(run.end, expected, atol=0.02 * np.abs(run.start - 3).max() / sigma(1.0))


def test_the_animation_shows_the_run_and_the_arrows_are_the_score():
    experiment = Experiment("tutorial", parameters=(10.0,))
    settings = replace(EXACT, colour="component", arrows=True)
    run = reverse.simulate(experiment, settings)
    animation = reverse.show(experiment, settings, run)
    frames, shown = animation.frames, reverse.DRAWN[2]
    assert frames.particles is not None and frames.arrows is not None and frames.anchors is not None
    assert frames.particles.shape[1] == shown and len(frames.times) == MOST_FRAMES == len(animation.sizes)
    np.testing.assert_array_equal(frames.particles[0], run.start[:shown])
    np.testing.assert_array_equal(frames.particles[-1], run.end[:shown])
    expected = experiment.mixture.responsibilities(torch.tensor(run.end[:shown])).argmax(1)
    np.testing.assert_array_equal(frames.labels, expected)
    plain = reverse.show(experiment, EXACT, run)
    assert plain.frames.labels is None and plain.frames.arrows is None and plain.sizes == ()
    for i in (0, 30, 60):
        distribution = experiment.mixture.diffuse(1.0, float(experiment.sde.sigma(float(frames.times[i]))))
        score = distribution.score(torch.tensor(frames.anchors[i], dtype=torch.float64)).numpy()
        norms, drawn = (np.linalg.norm(v, axis=1) for v in (score, frames.arrows[i]))
        assert (score * frames.arrows[i]).sum(1) == pytest.approx(norms * drawn, rel=1e-3)
        size, length = animation.sizes[i]
        width = frames.windows[i, 1] - frames.windows[i, 0]
        short = norms < size
        np.testing.assert_allclose(drawn[short] / width, norms[short] / size * length, rtol=1e-3)
        assert 0.9 < short.mean() < 1


EXPERIMENTS = [Experiment("tutorial", parameters=(10.0,)), Experiment("tutorial", kind="subvp", parameters=(0.1, 20.0))]


@pytest.mark.parametrize("t", [1.0, 0.503, 0.0])
@pytest.mark.parametrize("process,step", [("sde", euler_maruyama), ("flow", flow_euler)])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_update_shown_is_the_step_of_the_sampler(experiment, process, step, t):
    settings = replace(EXACT, particles=100, steps=40, process=process, moment=t)
    run = reverse.simulate(experiment, settings)
    shown = reverse.update(experiment, settings, run)
    assert shown.t - shown.dt - 1e-9 <= max(t, 1e-3) <= shown.t
    assert shown.g == pytest.approx(experiment.sde.diffusion(shown.t))
    noise = np.zeros_like(shown.x) if shown.noise is None else shown.noise
    assert (shown.noise is None) == (process == "flow") and np.abs(noise).max() < 4.5
    x, z = (torch.tensor(v, dtype=torch.float64)[None] for v in (shown.x, noise))
    after = step(experiment.sde, experiment.score, x, shown.t, shown.t - shown.dt, z.clone())
    np.testing.assert_allclose(after[0].numpy(), shown.x_next, atol=1e-5)
    i = int(np.argmin(np.abs(run.times - shown.t)))
    np.testing.assert_array_equal(run.walk[[i, i + 1]], [shown.x, shown.x_next])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_noise_that_the_updates_reveal_is_standard_normal(experiment):
    settings = replace(EXACT, particles=100, steps=400)
    run = reverse.simulate(experiment, settings)
    moments = np.clip(run.times[:-1], 0, 1).tolist()
    revealed = [reverse.update(experiment, replace(settings, moment=t), run).noise for t in moments]
    noise = np.stack([z for z in revealed if z is not None])
    assert len(noise) == 400
    assert noise.mean() == pytest.approx(0, abs=4 / np.sqrt(800))
    assert noise.var() == pytest.approx(1, abs=4 * np.sqrt(2 / 800))


def test_distance_is_zero_to_itself_and_grows_by_the_shift():
    experiment = Experiment("tutorial", parameters=(25.0,))
    y = comparing.reference(experiment, 2000)
    assert comparing.compare(experiment, y).distance == 0
    moved = comparing.compare(experiment, y + np.array([3.0, 0.0], dtype=np.float32))
    assert moved.distance == pytest.approx(3 / np.sqrt(2), rel=0.15)  # 3 |cos| over 32 directions, root mean square
    low, middle, high = moved.noise_floor
    assert 0 < low < middle < high < 0.2
    assert moved.worst.name == "Mean x₁" and moved.worst.z_score > 50


def test_an_exact_sample_passes_and_is_compared_with_fresh_ones():
    experiment = Experiment("grid", parameters=(25.0,))
    x = experiment.mixture.sample(2000, torch.Generator().manual_seed(7)).numpy()
    found = comparing.compare(experiment, x)
    assert not (found.off or found.far)
    assert reverse.judge(experiment, Settings(), found).fault is None
    rng = generator(experiment, "reference")
    reference, fresh = (experiment.mixture.sample(2000, rng) for _ in range(2))
    expected = sliced_wasserstein(fresh, reference, generator(experiment, "metric"), PROJECTIONS)
    assert found.fresh_distances[0] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(reference, comparing.reference(experiment, 2000))
    np.testing.assert_array_equal(
        comparing.compare(Experiment("grid", parameters=(5.0,)), x).fresh_distances, found.fresh_distances
    )


def test_few_fresh_samples_will_do_where_the_sample_is_far_off():
    experiment, asked = Experiment(), []

    def fresh(*arguments: Any) -> comparing.FreshSamples:
        asked.append(arguments[-1])
        return comparing.fresh_samples(*arguments)

    x = comparing.reference(Experiment(seed=7), 500)
    centred = x - x.mean(0) + np.array([1, 0], dtype=np.float32)
    for errors, counts in ((40, [FEW_FRESH]), (4.2, [FEW_FRESH, MANY_FRESH])):
        asked.clear()
        shift = np.array([errors * (2.5 / 500) ** 0.5, 0], dtype=np.float32)
        assert comparing.compare(experiment, centred + shift, fresh).off and asked == counts


def test_a_needle_that_is_too_wide_is_seen_across_it():
    experiment = Experiment("needle")
    run = reverse.simulate(experiment, Settings())
    found = comparing.compare(experiment, run.end)
    assert found.turned and [row.name for row in found.statistics[2:]] == ["Var along", "Cov of both", "Var across"]
    across = (run.end[:, 1].astype(np.float64) - run.end[:, 0]) / np.sqrt(2)
    row = found.statistics[4]
    assert (row.exact, row.found) == (pytest.approx(4e-4), pytest.approx(across.var(ddof=1), rel=1e-3))
    assert row.error == pytest.approx(row.exact * np.sqrt(2 / len(across)), rel=0.01)


def test_a_sample_with_the_right_moments_is_told_apart_by_its_distance():
    experiment = Experiment("one-mode")
    ends = np.repeat(np.array([1.3, 2.7], dtype=np.float32), 500)[:, None]  # mean 2 and standard deviation 0.7, on two points
    found = comparing.compare(experiment, ends)
    assert abs(found.worst.z_score) < 0.1 and found.far
    verdict = reverse.judge(experiment, EXACT, found)
    assert verdict.fault == "distance" and verdict.difference == found.distance - found.noise_floor[1]


# The cause of what is off


def test_an_early_stop_is_the_cause_and_its_noise_is_the_number():
    experiment, settings = Experiment("one-mode"), replace(EXACT, particles=10_000, t_min=0.2)
    verdict = judged(experiment, settings)
    noise = float(VESDE(25.0).sigma(0.2)) ** 2
    assert (verdict.cause, verdict.left) == ("stop", pytest.approx(noise))
    assert verdict.difference == pytest.approx(noise, abs=4 * verdict.worst.error)


def test_a_shrinking_sde_stopped_early_leaves_the_mean_short():
    experiment = Experiment("m 3 s 1", kind="vp")
    verdict = judged(experiment, Settings(10_000, t_min=0.3))
    assert (verdict.worst.name, verdict.cause) == ("Mean x", "stop")
    assert verdict.left == pytest.approx(3 * float(experiment.sde.alpha(0.3)) - 3)


def test_the_last_step_from_an_early_stop_is_the_cause():
    experiment, settings = Experiment("one-mode"), replace(EXACT, particles=10_000, t_min=0.2, denoise=True)
    verdict = judged(experiment, settings)
    noise, data = float(VESDE(25.0).sigma(0.2)) ** 2, float(targets.mixture("one-mode").covariance[0, 0])
    assert verdict.cause == "last step"
    assert verdict.difference == pytest.approx(data**2 / (data + noise) - data, abs=4 * verdict.worst.error)


def off_by(kind: str, difference: float) -> SampleComparison:
    """A comparison in which one statistic is off, and clearly so."""
    statistic = Statistic(kind, kind, 1.0, 1.0 + difference, 1e-3)
    return SampleComparison([statistic], Estimate(*np.ones((3, 1))), 0.0, np.ones(1), np.ones(1), False)


def test_the_last_step_narrows_the_data_and_is_not_blamed_for_what_widens_them():
    settings = replace(EXACT, t_min=0.2, denoise=True)
    for difference, cause in ((-0.1, "last step"), (0.1, "steps")):
        assert reverse.judge(Experiment("one-mode"), settings, off_by("spread", difference)).cause == cause


def test_what_is_left_at_the_stop_is_that_of_the_coordinate_with_most():
    experiment, settings = Experiment("m 3,1 s 1", kind="vp"), replace(EXACT, t_min=0.3)
    short = 3 * float(experiment.sde.alpha(0.3)) - 3
    verdict = reverse.judge(experiment, settings, off_by("mean", short))
    assert (verdict.cause, verdict.left) == ("stop", pytest.approx(short))


@pytest.mark.parametrize("process", ["sde", "flow"])
def test_the_prior_is_the_cause_and_its_cost_is_the_difference_to_a_run_from_the_exact_one(process):
    experiment, settings = Experiment(parameters=(5.0,)), Settings(10_000, process=process)
    verdict = judged(experiment, settings)
    end, other = (reverse.simulate(experiment, replace(settings, prior=prior)).end[:, 0] for prior in ("zero", "exact"))
    assert (verdict.worst.name, verdict.cause) == ("Mean x₁", "prior")
    assert verdict.prior_cost == pytest.approx(float(end.mean() - other.mean()), abs=1e-5)
    assert judged(experiment, replace(settings, prior="exact", steps=500)).cause is None


def test_a_matched_gaussian_can_be_the_cause():
    experiment = Experiment("w9 m-1 s0.5; w1 m9 s0.5", parameters=(1.5,))
    assert judged(experiment, Settings(10_000, prior="matched")).cause == "prior"


TOO_LONG = [(Experiment(kind="cosine"), 10), (Experiment(), 5), (Experiment("m0s0.001"), 200), (Experiment("needle"), 200)]


@pytest.mark.parametrize("experiment,steps", TOO_LONG)
def test_steps_that_are_too_long_are_not_blamed_on_the_prior(experiment, steps):
    assert judged(experiment, Settings(steps=steps)).cause == "steps"


def test_a_spike_with_too_little_weight_is_seen_in_many_particles_and_blamed_on_the_steps():
    """Long steps give the spike 1.3 points too little: 1.9 standard errors of 2500 particles, 3.8 of 10 000."""
    found = judged(Experiment("spike", seed=1), Settings(particles=10_000))
    assert found.cause == "steps"


def test_the_exact_prior_is_simulated_only_where_the_verdict_needs_it(monkeypatch):
    priors: list[str] = []
    prior = Experiment.prior
    monkeypatch.setattr(Experiment, "prior", lambda experiment, name: priors.append(name) or prior(experiment, name))
    for experiment, settings, expected in (
        (Experiment(), Settings(), ["zero"]),
        (Experiment("one-mode"), Settings(t_min=0.3), ["zero"]),
        (Experiment(), Settings(steps=5), ["zero", "exact"]),
    ):
        priors.clear()
        reverse.run(experiment, settings)
        assert priors == expected


@pytest.mark.parametrize("steps", [5, 20])
def test_few_steps_give_the_moments_of_the_euler_recursion(steps):
    lam, v0, experiment = 25.0, 1.0, Experiment("m 3 s 1")
    found = compared(experiment, replace(EXACT, particles=10_000, steps=steps)).statistics
    v, times = v0 + float(experiment.sde.sigma(1.0)) ** 2, np.linspace(1, 1e-3, steps + 1)
    for t, dt in zip(times, -np.diff(times), strict=False):
        g2 = lam ** (2 * t)
        v = (1 - g2 * dt / (v0 + float(experiment.sde.sigma(float(t))) ** 2)) ** 2 * v + g2 * dt
    mean, variance = found
    assert (mean.name, variance.name) == ("Mean x", "Var x")  # one component has no weight to compare
    assert variance.found == pytest.approx(v, abs=4 * v * np.sqrt(2 / 10_000))
    assert mean.found == pytest.approx(3, abs=4 * np.sqrt(v / 10_000))


def test_the_prior_at_zero_costs_what_theory_says():
    found = compared(Experiment(parameters=(5.0,)), Settings(10_000)).statistics
    assert [row.found for row in found[:2]] == pytest.approx([0.745, 0.064], abs=0.05)
    assert [row.found for row in found[-2:]] == pytest.approx([0.55, 0.45], abs=0.015)


# What the ends are drawn over


@pytest.mark.parametrize("target,t", [("tutorial", 0.0), ("tutorial", 1.0), ("needle", 0.0), ("unequal", 0.0)])
def test_contours_hold_their_share_of_an_independent_sample(target, t):
    experiment = Experiment(target, parameters=(10.0,))
    distribution = experiment.mixture.diffuse(1.0, float(experiment.sde.sigma(t)))
    heights = distribution.log_prob(distribution.sample(40_000, torch.Generator().manual_seed(3)).double())
    lines = comparing.outline(experiment, t).lines
    along = [distribution.log_prob(torch.tensor(line, dtype=torch.float64)) for line in lines]
    assert all(float(level.max() - level.min()) < 0.1 for level in along)
    held = {
        min(fields.SHARES, key=lambda s, h=h: abs(s - h)): h for h in (float((heights > a.mean()).double().mean()) for a in along)
    }
    assert sorted(held) == list(fields.SHARES)
    assert all(share == pytest.approx(h, abs=0.012) for share, h in held.items())


def test_the_estimates_are_of_the_run_and_of_the_exact_sample():
    result = reverse.run(Experiment("two-modes"), Settings(500, 50))
    box = result.truth.outline.box.tolist()
    for (curve,), points in ((result.comparison.estimate, result.run.end), (result.truth.estimate, result.truth.points)):
        np.testing.assert_allclose(curve[:, 1], density_on_grid(points, box, len(curve)))
    np.testing.assert_array_equal(result.truth.points, comparing.reference(Experiment("two-modes"), 500))
    plane = reverse.run(Experiment(), Settings(500, 50))
    assert len(plane.comparison.estimate) >= len(fields.SHARES) and len(plane.truth.estimate) >= len(fields.SHARES)


def test_a_choice_that_changes_only_the_picture_leaves_the_run_as_it_was():
    seen: list[str] = []

    def noted(name, function):
        return lambda *arguments: seen.append(f"{name} {hash(arguments[1])}") or function(*arguments)

    default = reverse.Parts()
    parts = reverse.Parts(*(noted(name, getattr(default, name)) for name in default._fields))
    keys = []
    for settings in (Settings(200, 20), Settings(200, 20, moment=0.2), Settings(200, 20, camera="fixed", colour="component")):
        seen.clear()
        reverse.run(Experiment(), settings, parts)
        keys.append(dict(line.split() for line in seen))
    assert keys[0] == keys[1]
    assert {name for name in keys[0] if keys[0][name] != keys[2][name]} == {"show"}
