"""Laws of the forward paths and of the reverse samplers; the usual mistakes are planted here and must be caught."""

import math
from functools import partial
from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from scoredm import (
    VESDE,
    VPSDE,
    CosineVPSDE,
    GaussianMixture,
    GeometricVESDE,
    SubVPSDE,
    against,
    denoise,
    euler_maruyama,
    exact_prior,
    exact_score,
    forward_paths,
    moment_matched_prior,
    rollout,
    sample,
    targets,
    zero_mean_prior,
)
from scoredm.grids import uniform_times

KINDS = [VESDE(26.0), VESDE(1.0), GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()]
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Forward.


@each_kind
def test_every_frame_has_the_exact_variance_and_not_one_increment_too_many(sde):
    n, times = 100_000, [i / 50 for i in range(51)]
    paths = forward_paths(sde, torch.full((n, 1), 2.0), times, generator())
    for t, frame in zip(times[1:], paths[1:].double(), strict=True):
        assert float(frame.var()) == pytest.approx(sde.sigma(t) ** 2, rel=5 * math.sqrt(2 / n))
        assert abs(float(frame.mean()) - 2 * sde.alpha(t)) < 5 * sde.sigma(t) / math.sqrt(n)


@each_kind
def test_frame_zero_is_the_data_without_noise(sde):
    x0 = torch.randn(100, 2, generator=generator())
    before = x0.clone()
    paths = forward_paths(sde, x0, [0.0, 0.0, 0.5, 1.0], generator())
    assert paths.shape == (4, 100, 2)
    assert torch.equal(paths[0], x0)
    assert torch.equal(paths[1], x0)
    assert torch.equal(x0, before)


@each_kind
def test_increments_are_independent_normals_also_on_uneven_grids(sde):
    times = [0.05, 0.1, 0.4, 0.41, 1.0]
    paths = forward_paths(sde, torch.zeros(20_000, 2), times, generator()).double()
    z, s, previous = [], 0.0, torch.zeros(20_000, 2, dtype=torch.float64)
    for t, frame in zip(times, paths, strict=True):
        ratio = sde.alpha(t) / sde.alpha(s)
        z.append((frame - ratio * previous) / math.sqrt(sde.sigma(t) ** 2 - ratio**2 * sde.sigma(s) ** 2))
        s, previous = t, frame
    columns = torch.cat(z, 1).T
    assert min(kstest(column, "norm").pvalue for column in columns.numpy()) > 1e-4
    assert (torch.corrcoef(columns) - torch.eye(len(columns))).abs().max() < 5 / math.sqrt(20_000)


def test_frames_of_a_mixture_have_its_diffused_law():
    mixture, sde = targets.mixture("tight"), VESDE(26.0)
    paths = forward_paths(sde, mixture.sample(20_000, generator()), [0.2, 0.6, 1.0], generator(1))
    for t, frame in zip([0.2, 0.6, 1.0], paths, strict=True):
        found = against(frame, mixture.diffuse(1.0, float(sde.sigma(t))))
        for part in (found.mean, found.covariance, found.weights):
            assert (abs(part.difference) < 5 * part.error).all()


@pytest.mark.parametrize("times", [[], [0.5, 0.4], [-0.1, 0.5], [0.5, 1.1], [0.0, math.nan, 1.0]])
def test_forward_paths_refuse_times_out_of_order_or_range(times):
    with pytest.raises(ValueError, match="times"):
        forward_paths(VESDE(), torch.zeros(3, 1), times, generator())


# Backward on one Gaussian: the variance obeys v <- (1 - (f + g^2 / V) dt)^2 v + g^2 dt, V = alpha^2 S + sigma^2, in closed form.

S = 0.5
GAUSSIAN = GaussianMixture([[0.0]], [[[S]]], [1.0])


def variance_recursion(sde, times) -> list[float]:
    v = sde.alpha(times[0]) ** 2 * S + sde.sigma(times[0]) ** 2
    variances = []
    for t, t_next in pairwise(times):
        g2, dt = sde.diffusion(t) ** 2, t - t_next
        spread = sde.alpha(t) ** 2 * S + sde.sigma(t) ** 2
        v = (1 - (sde.drift_rate(t) + g2 / spread) * dt) ** 2 * v + g2 * dt
        variances.append(v)
    return variances


def worst_deviation(sde, step) -> float:
    """The largest deviation of a frame's variance from the recursion, in standard errors."""
    n, steps = 50_000, 25
    run = partial(sample, sde, exact_score(GAUSSIAN, sde), n, steps=steps, prior=exact_prior(sde, GAUSSIAN))
    path = run(step=step, generator=generator(), trajectory=True).double()
    expected = np.array(variance_recursion(sde, uniform_times(steps)))
    found = path[1:, :, 0].var(1).numpy()
    return float(np.abs((found / expected - 1) / math.sqrt(2 / n)).max())


@each_kind
def test_reverse_variance_follows_the_closed_recursion(sde):
    assert worst_deviation(sde, euler_maruyama) < 4.5


def wrong_step(score_factor=lambda g, dt: g**2 * dt, noise_factor=lambda g, dt: g * math.sqrt(dt), keep=-1.0, late=False):
    def step(sde, score_fn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        dt, at = t - t_next, t_next if late else t
        g = sde.diffusion(at)
        drifted = (1 + keep * sde.drift_rate(at) * dt) * x
        return drifted + score_factor(g, dt) * score_fn(x, at) + noise_factor(g, dt) * noise

    return step


PLANTED = {
    "g instead of g squared": wrong_step(score_factor=lambda g, dt: g * dt),
    "half the score": wrong_step(score_factor=lambda g, dt: g**2 * dt / 2),
    "score with the wrong sign": wrong_step(score_factor=lambda g, dt: -(g**2) * dt),
    "no square root of dt": wrong_step(noise_factor=lambda g, dt: g * dt),
    "g squared on the noise": wrong_step(noise_factor=lambda g, dt: g**2 * math.sqrt(dt)),
    "no noise": wrong_step(noise_factor=lambda g, dt: 0 * g * dt),
    "g and s one step late": wrong_step(late=True),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_the_recursion_catches(mistake):
    assert worst_deviation(VESDE(26.0), PLANTED[mistake]) > 20


def test_the_recursion_catches_a_drift_run_forwards():
    assert worst_deviation(VPSDE(3.0, 3.0), wrong_step()) < 4.5
    assert worst_deviation(VPSDE(3.0, 3.0), wrong_step(keep=1.0)) > 20


@each_kind
def test_one_step_is_the_written_update(sde):
    x, z = torch.randn(2, 40, 2, generator=generator(), dtype=torch.float64)
    score, t, dt = exact_score(targets.mixture("tutorial"), sde), 0.7, 0.05
    g = sde.diffusion(t)
    expected = x - (sde.drift_rate(t) * x - g**2 * score(x, t)) * dt + g * math.sqrt(dt) * z
    before = x.clone()
    torch.testing.assert_close(euler_maruyama(sde, score, x, t, t - dt, z.clone()), expected)
    assert torch.equal(x, before)


def final_variance_error(steps: int) -> float:
    """Euler-Maruyama is affine on a Gaussian, so its variance is carried exactly by where it sends 1 and the noise."""
    sde, one = VESDE(25.0), torch.ones(1, 1, dtype=torch.float64)
    mixture = GaussianMixture([[0.0]], [[[1.0]]], [1.0])
    v = 1 + float(sde.sigma(1.0)) ** 2
    for t, t_next in pairwise(uniform_times(steps, 1e-6)):
        a = euler_maruyama(sde, exact_score(mixture, sde), one, t, t_next, 0 * one)
        b = euler_maruyama(sde, exact_score(mixture, sde), 0 * one, t, t_next, one.clone())
        v = float(a) ** 2 * v + float(b) ** 2
    return abs(v - 1)


def test_euler_maruyama_has_weak_order_one():
    steps = [20, 40, 80, 160, 320, 640]
    errors = [final_variance_error(n) for n in steps]
    assert errors[0] == pytest.approx(3.7e-2, rel=0.03)
    assert errors[-1] == pytest.approx(7.4e-4, rel=0.03)
    slopes = -np.diff(np.log(errors)) / np.diff(np.log(steps))
    assert slopes[-1] == pytest.approx(1.0, abs=0.05)


# The sampler as a whole.


@pytest.mark.parametrize("sde", [VESDE(), VPSDE(8.0, 8.0)], ids=repr)
def test_samples_from_the_exact_prior_have_the_law_of_the_data(sde):
    mixture = targets.mixture("unequal")
    x = sample(sde, exact_score(mixture, sde), 10_000, steps=500, prior=exact_prior(sde, mixture), generator=generator())
    found = against(x, mixture)
    assert (abs(found.mean.difference) < 5 * found.mean.error).all()
    assert (abs(found.weights.difference) < 5 * found.weights.error).all()
    assert (abs(found.covariance.difference) < 5 * found.covariance.error + 0.02).all()


def test_times_fall_evenly_from_one_to_t_min():
    times = uniform_times(4, 0.2)
    assert times == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert (times[0], times[-1]) == (1.0, 0.2)
    assert uniform_times(3)[-1] == 1e-3


def test_each_step_is_taken_once_with_fresh_noise():
    seen, noises = [], []

    def step(sde, score_fn, x, t, t_next, noise):
        seen.append((t, t_next))
        noises.append(noise.clone())
        return x

    sample(VESDE(), exact_score(GAUSSIAN, VESDE()), 2000, steps=6, step=step, generator=generator())
    assert seen == list(pairwise(uniform_times(6)))
    z = torch.cat(noises, 1).T
    assert min(kstest(row, "norm").pvalue for row in z.numpy()) > 1e-4
    assert (torch.corrcoef(z) - torch.eye(6)).abs().max() < 5 / math.sqrt(2000)


@pytest.mark.parametrize("finish", [False, True], ids=["plain", "denoised"])
def test_the_trajectory_ends_in_the_sample_and_starts_in_the_prior(finish):
    sde, mixture = VESDE(), targets.mixture("tutorial")
    run = partial(sample, sde, exact_score(mixture, sde), 300, steps=20, denoise=finish)
    path = run(generator=generator(), trajectory=True)
    assert path.shape == (21, 300, 2)
    assert torch.equal(path[-1], run(generator=generator()))
    assert torch.equal(path[0], zero_mean_prior(sde, 2).sample(300, generator()))


@pytest.mark.parametrize("trajectory", [False, True])
def test_a_step_may_ignore_the_noise_it_is_given(trajectory):
    def shift(sde, score_fn, x, t, t_next, noise):
        return x + 1

    score = exact_score(GAUSSIAN, VESDE())
    found = sample(VESDE(), score, 50, steps=5, step=shift, generator=generator(), trajectory=trajectory)
    start = zero_mean_prior(VESDE(), 1).sample(50, generator())
    expected = torch.stack([start + i for i in range(6)]) if trajectory else start + 5
    torch.testing.assert_close(found, expected)


def test_frames_of_a_trajectory_do_not_share_memory():
    sde = VESDE()
    path = sample(sde, exact_score(GAUSSIAN, sde), 50, steps=5, generator=generator(), trajectory=True)
    assert all(not torch.equal(path[i], path[j]) for i in range(6) for j in range(i))


def test_a_trajectory_costs_its_own_array_and_two_frames():
    sde, score, n = VESDE(), exact_score(targets.mixture("tutorial"), VESDE()), 200_000
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        path = sample(sde, score, n, steps=10, generator=generator(), trajectory=True)
    assert recording.profiler is not None
    assert recording.profiler.kineto_results is not None
    changes = [event for event in recording.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = accumulate(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns()))  # pyright: ignore
    assert max(held) <= path.nbytes + 2 * path[0].nbytes


def test_denoising_replaces_the_last_point_by_the_posterior_mean():
    sde, mixture = VESDE(), targets.mixture("tutorial")
    score = exact_score(mixture, sde)
    run = partial(sample, sde, score, 200, steps=10, t_min=0.2)
    last = run(generator=generator())
    torch.testing.assert_close(run(generator=generator(), denoise=True), denoise(score, sde, last, 0.2))


def test_same_seed_same_numbers_and_the_global_seed_is_left_alone():
    sde, score = VESDE(), exact_score(targets.mixture("tutorial"), VESDE())
    first = sample(sde, score, 100, steps=10, generator=generator(4))
    state = torch.get_rng_state()
    torch.manual_seed(1)
    again = sample(sde, score, 100, steps=10, generator=generator(4))
    torch.set_rng_state(state)
    assert torch.equal(first, again)
    assert not torch.equal(first, sample(sde, score, 100, steps=10, generator=generator(5)))
    forward_paths(sde, first, [0.0, 1.0], generator())
    assert torch.equal(torch.get_rng_state(), state)


def test_any_function_of_x_and_t_will_do_as_a_score():
    sde, mixture = VESDE(), targets.mixture("tutorial")
    exact = exact_score(mixture, sde)

    def plain(x, t):
        return exact(x, t)

    run = partial(sample, sde, n=200, steps=30, generator=generator())
    found = run(score_fn=plain, prior=zero_mean_prior(sde, 2))
    torch.testing.assert_close(sample(sde, exact, 200, steps=30, generator=generator()), found, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="zero_mean_prior"):
        run(score_fn=plain)


def test_rollout_is_what_sample_runs():
    sde, mixture = VESDE(), targets.mixture("tutorial")
    times, shared = uniform_times(15), generator()
    start = zero_mean_prior(sde, 2).sample(100, shared)
    frames = list(rollout(sde, exact_score(mixture, sde), start, times, generator=shared))
    path = sample(sde, exact_score(mixture, sde), 100, steps=15, generator=generator(), trajectory=True)
    assert len(frames) == 15
    torch.testing.assert_close(torch.stack(frames), path[1:])


def test_an_untracked_run_leaves_the_callers_gradient_mode_alone():
    sde = VESDE()
    frames = rollout(sde, exact_score(GAUSSIAN, sde), torch.zeros(5, 1), uniform_times(3), generator=generator())
    for _ in frames:
        assert torch.is_grad_enabled()


@each_kind
def test_priors_are_the_laws_they_are_called_after(sde):
    mixture = targets.mixture("tutorial")
    alpha, sigma = sde.alpha(1.0), sde.sigma(1.0)
    zero, matched, exact = zero_mean_prior(sde, 2), moment_matched_prior(sde, mixture), exact_prior(sde, mixture)
    identity = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(zero.mean, torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(zero.covariance, sigma**2 * identity)
    for prior in (matched, exact):
        torch.testing.assert_close(prior.mean, alpha * mixture.mean)
        torch.testing.assert_close(prior.covariance, alpha**2 * mixture.covariance + sigma**2 * identity)
    assert (matched.n_components, exact.n_components) == (1, 2)
    x = torch.randn(20, 2, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(exact.log_prob(x), mixture.diffuse(alpha, sigma).log_prob(x))


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"n": 0}, "number of samples is 0"),
        ({"n": 2.5}, "number of samples is 2.5"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": True}, "steps is True"),
        ({"t_min": 0.0}, "t_min is 0.0"),
        ({"t_min": 1.0}, "t_min is 1.0"),
        ({"t_min": math.nan}, "t_min is nan"),
    ],
)
def test_refusals_name_the_value(settings, message):
    arguments = {"n": 10, "generator": generator(), **settings}
    with pytest.raises(ValueError, match=message):
        sample(VESDE(), exact_score(GAUSSIAN, VESDE()), **arguments)
