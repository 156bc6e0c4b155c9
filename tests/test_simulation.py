"""Laws of the forward paths and of the reverse samplers; the usual mistakes are planted here and must be caught."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from scoredm import (
    SAMPLERS,
    VESDE,
    VPSDE,
    AnnealedLangevin,
    CosineVPSDE,
    CountedScore,
    ExactScore,
    GaussianMixture,
    GeometricVESDE,
    SubVPSDE,
    Trainer,
    ancestral,
    coarsen,
    compare_moments,
    denoise,
    dsm_floor,
    dsm_loss,
    dsm_loss_at,
    euler_maruyama,
    exact_prior,
    exact_score,
    flow_log_prob,
    forward_paths,
    moment_matched_prior,
    rollout,
    sample,
    score_error,
    targets,
    zero_mean_prior,
)
from scoredm.grids import uniform_times
from scoredm.samplers import prepare
from tests.common import generator, most_memory

KINDS = [VESDE(26.0), VESDE(1.0), GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()]
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)


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
        found = compare_moments(frame, mixture.diffuse(1.0, float(sde.sigma(t))))
        for part in (found.mean, found.covariance, found.weights):
            assert (abs(part.difference) < 5 * part.error).all()


@pytest.mark.parametrize("times", [[], [0.5, 0.4], [-0.1, 0.5], [0.5, 1.1], [0.0, math.nan, 1.0]])
def test_forward_paths_refuse_times_out_of_order_or_range(times):
    with pytest.raises(ValueError, match="times"):
        forward_paths(VESDE(), torch.zeros(3, 1), times, generator())


def forward_euler(sde, x: Tensor, times, g_factor: float = 1.0, f_factor: float = 1.0) -> list[Tensor]:
    """x_t at each of the times, by a thousand small steps of dx = f x dt + g dw from t = 0."""
    shared, dt, frames = generator(1), times[-1] / 1000, []
    for i in range(1, 1001):
        t = (i - 1) * dt
        z = torch.randn(x.shape, generator=shared)
        x = (1 + f_factor * sde.drift_rate(t) * dt) * x + g_factor * sde.diffusion(t) * math.sqrt(dt) * z
        if i in [round(time / dt) for time in times]:
            frames.append(x)
    return frames


def off_by(x: Tensor, mixture: GaussianMixture) -> float:
    """The largest deviation of a mean, a covariance or a component weight from the mixture's, in standard errors."""
    found = compare_moments(x, mixture)
    return max(float((abs(part.difference) / part.error).max()) for part in (found.mean, found.covariance, found.weights))


def forward_deviation(sde, **factors: float) -> float:
    """How far the distributions of long Euler-Maruyama paths are from the diffused mixtures, at worst."""
    mixture, times = targets.mixture("tutorial"), [0.285, 0.95]
    frames = forward_euler(sde, mixture.sample(5000, generator()), times, **factors)
    distributions = [mixture.diffuse(sde.alpha(t), sde.sigma(t)) for t in times]
    return max(off_by(frame, exact) for frame, exact in zip(frames, distributions, strict=True))


@each_kind
def test_long_paths_of_the_written_sde_have_the_distributions_of_the_diffused_mixture(sde):
    assert forward_deviation(sde) < 4.5


@each_kind
def test_and_not_with_a_wrong_constant_in_f_or_g(sde):
    assert forward_deviation(sde, g_factor=1.25) > 7
    if sde.drift_rate(0.5):
        assert forward_deviation(sde, f_factor=1.3) > 7


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
    run = partial(sample, sde, exact_score(GAUSSIAN, sde), n, steps=steps, prior=exact_prior(GAUSSIAN, sde))
    path = run(step=step, generator=generator(), trajectory=True)
    expected = np.array(variance_recursion(sde, path.times))
    found = path.points[1:, :, 0].double().var(1).numpy()
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


# The sampler as a whole.


def without_root_of_dt(step):
    return lambda sde, score, x, t, t_next, z: step(sde, score, x, t, t_next, z * math.sqrt(t - t_next))


def with_half_the_score(step):
    return lambda sde, score, *rest: step(sde, lambda x, t: score(x, t) / 2, *rest)


class RootOfG:
    """An SDE whose g^2 is read where g should be."""

    def __init__(self, sde) -> None:
        self._sde = sde

    def __getattr__(self, name: str):
        return getattr(self._sde, name)

    def diffusion(self, t):
        return math.sqrt(self._sde.diffusion(t))


def with_g_for_g_squared(step):
    return lambda sde, *rest: step(RootOfG(sde), *rest)


def deviation_from_the_data(sde, name: str, spoil=lambda step: step) -> float:
    """How far the distribution of a sampler's end points is from the tutorial's mixture, in standard errors."""
    method, steps, mixture = SAMPLERS[name], 200, targets.mixture("tutorial")
    if name == "rk45":
        steps = 1  # between the ends of the grid it chooses its own
    if name == "langevin":
        method, steps = replace(method, visits=100, make_step=lambda: AnnealedLangevin(0.8)), 20
    run = partial(sample, sde, exact_score(mixture, sde), 1500, prior=exact_prior(mixture, sde), generator=generator())
    step, times = method.make_step(), method.times(uniform_times(steps))
    prepare(step, sde, times)  # a spoiled one is not asked
    return off_by(run(step=spoil(step), times=times).end, mixture)


@pytest.mark.one_in(2)
# Each sampler meets every second kind, and each kind every second sampler.
@pytest.mark.parametrize("name,sde", [(name, sde) for i, name in enumerate(SAMPLERS) for sde in KINDS[i % 2 :: 2]])
def test_every_sampler_ends_in_the_distribution_of_the_data(name, sde):
    assert deviation_from_the_data(sde, name) < 5


@pytest.mark.one_in(3)
@pytest.mark.parametrize("sde", [VESDE(25.0), CosineVPSDE()], ids=repr)
@pytest.mark.parametrize("name", SAMPLERS)
def test_half_the_score_term_does_not(name, sde):
    assert deviation_from_the_data(sde, name, with_half_the_score) > 10


@pytest.mark.parametrize("sde", [VESDE(25.0), CosineVPSDE()], ids=repr)
@pytest.mark.parametrize("name", ["euler-maruyama", "flow-euler", "heun", "rk45"])
def test_g_in_place_of_g_squared_does_not(name, sde):
    assert deviation_from_the_data(sde, name, with_g_for_g_squared) > 10


@pytest.mark.parametrize("sde", [VESDE(25.0), CosineVPSDE()], ids=repr)
@pytest.mark.parametrize("name", ["euler-maruyama", "ancestral"])
def test_a_missing_square_root_of_dt_does_not(name, sde):
    assert deviation_from_the_data(sde, name, without_root_of_dt) > 10


@pytest.mark.parametrize("mistake", [mistake for mistake in PLANTED if mistake != "g and s one step late"])
def test_nor_does_euler_maruyama_with(mistake):
    assert deviation_from_the_data(VESDE(25.0), "euler-maruyama", lambda _: PLANTED[mistake]) > 10


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
    path, last = run(generator=generator(), trajectory=True), run(generator=generator())
    assert path.times == (*uniform_times(20), *[0.0] * finish)
    assert path.points.shape == (len(path.times), 300, 2)
    assert torch.equal(path.end, last.end)
    assert last.times == path.times[-1:]
    assert torch.equal(path.points[0], zero_mean_prior(sde, 2).sample(300, generator()))


@pytest.mark.parametrize("trajectory", [False, True])
def test_a_step_may_ignore_the_noise_it_is_given(trajectory):
    def shift(sde, score_fn, x, t, t_next, noise):
        return x + 1

    score = exact_score(GAUSSIAN, VESDE())
    found = sample(VESDE(), score, 50, steps=5, step=shift, generator=generator(), trajectory=trajectory)
    start = zero_mean_prior(VESDE(), 1).sample(50, generator())
    expected = torch.stack([start + i for i in range(6)]) if trajectory else start + 5
    torch.testing.assert_close(found.points if trajectory else found.end, expected)


def test_frames_of_a_trajectory_do_not_share_memory():
    sde = VESDE()
    path = sample(sde, exact_score(GAUSSIAN, sde), 50, steps=5, generator=generator(), trajectory=True).points
    assert all(not torch.equal(path[i], path[j]) for i in range(6) for j in range(i))


def test_a_trajectory_costs_its_own_array_and_three_frames():
    sde, score, n = VESDE(), exact_score(targets.mixture("tutorial"), VESDE()), 200_000
    frame = 2 * n * torch.zeros(1).nbytes
    most = most_memory(lambda: sample(sde, score, n, steps=10, generator=generator(), trajectory=True).points)
    assert 11 * frame < most <= 14 * frame + 10_000


def test_denoising_ends_at_the_posterior_mean_of_the_last_point():
    sde, mixture = VESDE(), targets.mixture("tutorial")
    score = exact_score(mixture, sde)
    run = partial(sample, sde, score, 200, steps=10, t_min=0.2)
    last = run(generator=generator()).end
    path = run(generator=generator(), denoise=True, trajectory=True).points
    torch.testing.assert_close(path[-1], denoise(sde, score, last, 0.2))
    assert torch.equal(path[-2], last)


def test_same_seed_same_numbers_and_the_global_seed_is_left_alone():
    sde, score = VESDE(), exact_score(targets.mixture("tutorial"), VESDE())
    first = sample(sde, score, 100, steps=10, generator=generator(4)).end
    state = torch.get_rng_state()
    torch.manual_seed(1)
    again = sample(sde, score, 100, steps=10, generator=generator(4)).end
    torch.set_rng_state(state)
    assert torch.equal(first, again)
    assert not torch.equal(first, sample(sde, score, 100, steps=10, generator=generator(5)).end)
    forward_paths(sde, first, [0.0, 1.0], generator())
    assert torch.equal(torch.get_rng_state(), state)


def test_any_function_of_x_and_t_will_do_as_a_score():
    sde, mixture = VESDE(), targets.mixture("tutorial")
    exact = exact_score(mixture, sde)

    def plain(x, t):
        return exact(x, t)

    run = partial(sample, sde, n=200, steps=30, generator=generator())
    found = run(score_fn=plain, prior=zero_mean_prior(sde, 2)).end
    torch.testing.assert_close(sample(sde, exact, 200, steps=30, generator=generator()).end, found, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="zero_mean_prior"):
        run(score_fn=plain)


def test_a_module_without_weights_will_do_too():
    class Wrapped(torch.nn.Module):
        dim = 1

        def forward(self, x, t):
            return exact_score(GAUSSIAN, VESDE())(x, t)

    found = sample(VESDE(), Wrapped(), 20, step="ddim", steps=4, generator=generator()).end
    expected = sample(VESDE(), exact_score(GAUSSIAN, VESDE()), 20, step="ddim", steps=4, generator=generator()).end
    torch.testing.assert_close(found, expected)


def test_a_counted_score_says_the_dimension_of_the_score_inside():
    sde, counted = VESDE(), CountedScore(exact_score(GAUSSIAN, VESDE()))
    assert sample(sde, counted, 7, steps=3, generator=generator()).end.shape == (7, 1)
    assert counted.calls == 3
    with pytest.raises(ValueError, match="takes points in 1-D"):
        next(rollout(sde, counted, torch.zeros(7, 2), uniform_times(3), generator=generator()))


def test_rollout_is_what_sample_runs():
    sde, mixture = VESDE(), targets.mixture("tutorial")
    times, shared = uniform_times(15), generator()
    start = zero_mean_prior(sde, 2).sample(100, shared)
    frames = list(rollout(sde, exact_score(mixture, sde), start, times, generator=shared))
    path = sample(sde, exact_score(mixture, sde), 100, steps=15, generator=generator(), trajectory=True)
    assert [t for t, _ in frames] == times[1:]
    torch.testing.assert_close(torch.stack([x for _, x in frames]), path.points[1:])


def test_an_untracked_run_leaves_the_callers_gradient_mode_alone():
    sde = VESDE()
    frames = rollout(sde, exact_score(GAUSSIAN, sde), torch.zeros(5, 1), uniform_times(3), generator=generator())
    for _ in frames:
        assert torch.is_grad_enabled()


# Noise, starts and times handed in.


def root_mean_square(x: Tensor) -> float:
    return float((x**2).sum(-1).mean().sqrt())


def falls(errors: list[float]) -> float:
    """The slope of log error against the log of a number of steps that doubles from each error to the next."""
    return -float(np.polyfit(np.arange(len(errors)) * math.log(2), np.log(errors), 1)[0])


def shared_run(sde, steps: int, noise: Tensor, step) -> Tensor:
    """End points from the same starts, on the noise given."""
    mixture, n = targets.mixture("tutorial"), noise.shape[1]
    start = exact_prior(mixture, sde).sample(n, generator()).double()
    times = uniform_times(steps, 0.05)
    return sample(sde, exact_score(mixture, sde), n, step=step, times=times, start=start, noise=noise).end


def fresh_noise(steps: int, n: int = 300) -> Tensor:
    return torch.randn(steps, n, 2, generator=generator(1), dtype=torch.float64)


@each_kind
def test_ancestral_meets_euler_maruyama_on_the_same_noise_as_steps_grow(sde):
    apart = []
    for steps in (40, 80, 160):
        ends = [shared_run(sde, steps, fresh_noise(steps), step) for step in (ancestral, euler_maruyama)]
        apart.append(root_mean_square(ends[0] - ends[1]))
    assert falls(apart) == pytest.approx(1, abs=0.15)


@each_kind
@pytest.mark.parametrize("step", [euler_maruyama, ancestral])
def test_coarsened_noise_walks_the_same_brownian_path_and_strong_order_is_one(step, sde):
    fine = fresh_noise(320)
    end = {factor: shared_run(sde, 320 // factor, coarsen(fine, factor), step) for factor in (1, 2, 4, 8)}
    apart = [root_mean_square(end[factor] - end[factor // 2]) for factor in (8, 4, 2)]
    assert falls(apart) == pytest.approx(1, abs=0.2)
    unrelated = shared_run(sde, 160, fresh_noise(160), step)
    assert root_mean_square(unrelated - end[1]) > 20 * apart[-1]


def test_coarsened_noise_adds_the_increments_up():
    fine, dt = fresh_noise(12, 500), 1 / 12
    coarse = coarsen(fine, 4)
    assert coarse.shape == (3, 500, 2)
    torch.testing.assert_close(coarse[1] * math.sqrt(4 * dt), (fine[4:8] * math.sqrt(dt)).sum(0))
    assert kstest(coarse.flatten().numpy(), "norm").pvalue > 1e-4
    assert torch.equal(coarsen(fine, 1), fine)


@pytest.mark.parametrize("factor", [0, -2, 5, 24])
def test_a_factor_that_does_not_divide_the_steps_is_refused(factor):
    with pytest.raises(ValueError, match=f"factor is {factor}; it must divide the 12 steps"):
        coarsen(fresh_noise(12, 3), factor)


@pytest.mark.parametrize("trajectory", [False, True])
@pytest.mark.parametrize("name", SAMPLERS)
def test_same_noise_same_path_and_the_noise_is_left_as_it_was(name, trajectory):
    sde, method, mixture = VPSDE(), SAMPLERS[name], targets.mixture("tutorial")
    times = method.times(uniform_times(5))
    noise, start = fresh_noise(len(times) - 1, 40).float(), torch.randn(40, 2, generator=generator(2))
    kept = noise.clone(), start.clone()
    run = partial(sample, sde, exact_score(mixture, sde), 40, times=times, start=start, trajectory=trajectory)
    first = run(step=method.make_step(), noise=noise, generator=generator(3)).points
    assert torch.equal(first, run(step=method.make_step(), noise=noise, generator=generator(4)).points)
    assert torch.equal(noise, kept[0])
    assert torch.equal(start, kept[1])
    drawn = run(step=method.make_step(), generator=generator(5)).points
    assert torch.equal(first, drawn) != method.stochastic
    if trajectory:
        assert torch.equal(first[0], start)


def test_a_start_and_times_take_the_place_of_the_prior_and_the_grid():
    sde, score = VESDE(), exact_score(targets.mixture("tutorial"), VESDE())
    start, times = torch.full((7, 2), 3.0, dtype=torch.float64), [0.4, 0.3, 0.25]
    path = sample(sde, score, 7, start=start, times=times, steps=99, trajectory=True, generator=generator()).points
    assert path.shape == (3, 7, 2)
    assert path.dtype == torch.float64
    torch.testing.assert_close(path[1:], torch.stack([x for _, x in rollout(sde, score, start, times, generator=generator())]))


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"noise": torch.zeros(4, 10, 1)}, r"noise has shape \(4, 10, 1\); this run needs \(5, 10, 1\)"),
        ({"noise": torch.zeros(5, 10, 2)}, r"noise has shape \(5, 10, 2\)"),
        ({"start": torch.zeros(9, 1)}, r"start has shape \(9, 1\)"),
        ({"start": torch.zeros(10)}, r"start has shape \(10,\)"),
        ({"start": torch.zeros(10, 2)}, r"start has shape \(10, 2\); this score takes points in 1-D"),
        ({"prior": zero_mean_prior(VESDE(), 3)}, r"start has shape \(10, 3\); this score takes points in 1-D"),
        ({"times": [0.2, 0.5]}, r"times are \[0.2, 0.5\]"),
        ({"times": [1.5, 0.5]}, r"times are \[1.5, 0.5\]"),
        ({"times": [1.0, -0.5]}, r"times are \[1.0, -0.5\]"),
        ({"times": [1.0, math.nan]}, r"times are \[1.0, nan\]"),
        ({"times": [1.0]}, r"times are \[1.0\]"),
    ],
)
def test_what_is_handed_in_must_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        sample(VESDE(), exact_score(GAUSSIAN, VESDE()), 10, **({"steps": 5, "generator": generator()} | settings))


# Samplers by name, and steps that do not keep to the rules.


@pytest.mark.parametrize("trajectory", [False, True])
@pytest.mark.parametrize("name", ["ddim", "predictor-corrector", "dpm-solver", "churned-heun"])
def test_a_sampler_may_be_named_or_given_whole_and_makes_its_own_visits(name, trajectory):
    sde, method, score = VPSDE(), SAMPLERS[name], exact_score(targets.mixture("tutorial"), VPSDE())
    run = partial(sample, sde, score, 40, trajectory=trajectory)
    times = method.times(uniform_times(6))
    expected = run(step=method.make_step(), times=times, generator=generator())
    for step in (name, method):
        found = run(step=step, steps=6, generator=generator())
        assert found.times == expected.times and torch.equal(found.points, expected.points)
    frames = list(rollout(sde, score, expected.points[0], uniform_times(6), name, generator()))
    assert [t for t, _ in frames] == times[1:]


@pytest.mark.parametrize("step", ["magic", 3, None])
def test_what_is_no_sampler_is_refused_with_the_names_of_those_there_are(step):
    message = rf"step is {step!r}; it must be one of euler-maruyama, .*, churned-heun, a Sampler, or a step"
    with pytest.raises(ValueError, match=message):
        sample(VESDE(), exact_score(GAUSSIAN, VESDE()), 5, step=step)
    with pytest.raises(ValueError, match=message):
        next(rollout(VESDE(), exact_score(GAUSSIAN, VESDE()), torch.zeros(5, 1), uniform_times(3), step))


def in_place(sde, score_fn, x, t, t_next, noise):
    return x.mul_(0.9).add_(noise, alpha=0.1)


def out_of_place(sde, score_fn, x, t, t_next, noise):
    return x * 0.9 + noise * 0.1


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("trajectory", [False, True])
def test_a_step_that_writes_into_x_harms_no_frame_and_no_start(trajectory, inference):
    sde, score, start = VESDE(), exact_score(GAUSSIAN, VESDE()), torch.randn(50, 1, generator=generator(1))
    kept, times = start.clone(), uniform_times(5)
    with torch.inference_mode(inference):
        run = partial(sample, sde, score, 50, start=start, steps=5, trajectory=trajectory)
        found, expected = (run(step=step, generator=generator()).points for step in (in_place, out_of_place))
        torch.testing.assert_close(found, expected)
        paths = [list(rollout(sde, score, start, times, step, generator())) for step in (in_place, out_of_place)]
        for (_, mine), (_, theirs) in zip(*paths, strict=True):
            torch.testing.assert_close(mine, theirs)
    assert torch.equal(start, kept)


def test_a_step_that_leaves_x_alone_is_given_the_frames_themselves():
    """But for the first step, which could write into the caller's start."""
    sde, storage, seen = VESDE(), torch.zeros(5, 50, 1), []

    def step(sde, score_fn, x, t, t_next, noise):
        seen.append(x.data_ptr())
        return noise

    start = torch.zeros(50, 1)
    list(rollout(sde, exact_score(GAUSSIAN, sde), start, uniform_times(5), step, generator(), storage))
    assert seen[1:] == [frame.data_ptr() for frame in storage[:-1]]
    assert seen[0] != start.data_ptr()


def test_a_step_that_writes_into_x_only_later_is_refused():
    def late(sde, score_fn, x, t, t_next, noise):
        return x.add_(noise) if t < 0.5 else x + noise

    with pytest.raises(RuntimeError, match=r"the step from t = 0.4.* to 0.2.* wrote into x, which it must leave as it is"):
        sample(VESDE(), exact_score(GAUSSIAN, VESDE()), 50, steps=5, step=late, generator=generator())


def test_a_step_may_differentiate_and_its_graph_is_not_kept():
    """Half the score of p_t is the gradient of half of log p_t."""
    sde, score = VESDE(), exact_score(GAUSSIAN, VESDE())

    def by_gradient(sde, score_fn, x, t, t_next, noise):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (s,) = torch.autograd.grad(GAUSSIAN.at(sde, t).log_prob(x).sum(), x)
            return x + sde.diffusion(t) ** 2 / 2 * (t - t_next) * s

    run = partial(rollout, sde, score, torch.randn(9, 1, generator=generator()), uniform_times(4))
    for (_, mine), (_, theirs) in zip(run(by_gradient), run("flow-euler"), strict=True):
        torch.testing.assert_close(mine, theirs)
        assert not mine.requires_grad


@pytest.mark.parametrize(
    "result,words", [(torch.zeros(9, 2), r"returned \(9, 2\)"), (torch.zeros(9), r"returned \(9,\)"), (None, "returned NoneType")]
)
def test_a_step_that_returns_another_shape_is_refused(result, words):
    with pytest.raises(ValueError, match=rf"the step from t = 1 to 0.5005 {words}; it must return a tensor \(9, 1\)"):
        sample(VESDE(), exact_score(GAUSSIAN, VESDE()), 9, steps=2, step=lambda *_: result, generator=generator())


@pytest.mark.parametrize(
    "noise,words",
    [
        ([torch.zeros(9, 1)] * 3, "the noise ended after 3 of 5 steps"),
        ([torch.zeros(9, 1), torch.zeros(1, 1)], r"the noise of step 2 has shape \(1, 1\); it must be \(9, 1\)"),
    ],
)
def test_noise_that_runs_short_or_has_another_shape_is_refused(noise, words):
    with pytest.raises(ValueError, match=words):
        sample(VESDE(), exact_score(GAUSSIAN, VESDE()), 9, steps=5, noise=iter(noise), generator=generator())


def test_times_that_begin_elsewhere_want_a_start():
    sde, mixture, times = VESDE(), targets.mixture("tutorial"), [0.3, 0.2, 0.1, 1e-3]
    run = partial(sample, sde, exact_score(mixture, sde), 2000, times=times, generator=generator())
    for prior in (None, exact_prior(mixture, sde)):
        with pytest.raises(ValueError, match="begin at 0.3, but the prior is the distribution at t = 1; pass points at that"):
            run(prior=prior)
    start = mixture.at(sde, 0.3).sample(2000, generator(1))
    assert off_by(run(start=start, step="heun").end, mixture) < 5


@pytest.mark.parametrize(
    "first,second,given",
    [
        (exact_score(GAUSSIAN, VESDE()), VESDE(), "ExactScore and VESDE"),
        (VESDE(), GAUSSIAN, "VESDE and GaussianMixture"),
        (VESDE(), VESDE(), "VESDE and VESDE"),
    ],
)
def test_what_is_no_sde_and_score_is_refused_in_words(first, second, given):
    message = f"got {given}; pass the SDE first and then the score"
    with pytest.raises(TypeError, match=message):
        sample(first, second, 5)
    with pytest.raises(TypeError, match=message):
        next(rollout(first, second, torch.zeros(5, 1), uniform_times(3)))
    x, t = torch.zeros(5, 1), torch.ones(5)
    for refuse in (
        lambda: denoise(first, second, x, 0.5),
        lambda: flow_log_prob(first, second, GAUSSIAN, x),
        lambda: dsm_loss(first, second, x, t, x),
    ):
        with pytest.raises(TypeError, match=message):
            refuse()


SWAPPED: tuple[Any, Any] = (VESDE(), GAUSSIAN)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ExactScore(*SWAPPED),
        lambda: exact_score(*SWAPPED),
        lambda: exact_prior(*SWAPPED),
        lambda: moment_matched_prior(*SWAPPED),
        lambda: dsm_floor(*SWAPPED, 0.5),
        lambda: dsm_loss_at(*SWAPPED, lambda x, _t: x, torch.zeros(1), 0.5),
        lambda: score_error(*SWAPPED, lambda x, _t: x, 0.5),
        lambda: Trainer(*SWAPPED),
    ],
)
def test_what_is_no_mixture_and_sde_is_refused_in_words(call):
    message = "got VESDE and GaussianMixture; pass the mixture first and then the SDE"
    with pytest.raises(TypeError, match=message):
        call()


# Priors and refusals.


@each_kind
def test_priors_are_the_distributions_they_are_called_after(sde):
    mixture = targets.mixture("tutorial")
    alpha, sigma = sde.alpha(1.0), sde.sigma(1.0)
    zero, matched, exact = zero_mean_prior(sde, 2), moment_matched_prior(mixture, sde), exact_prior(mixture, sde)
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
    arguments: dict[str, Any] = {"n": 10, "generator": generator(), **settings}
    with pytest.raises(ValueError, match=message):
        sample(VESDE(), exact_score(GAUSSIAN, VESDE()), **arguments)
