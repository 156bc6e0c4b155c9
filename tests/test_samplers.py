"""Every step against a closed form.

On one Gaussian each step is affine, so the distribution it leads to is carried exactly, without a random number, and its distance
from the distribution it should lead to shows the order of convergence.
"""

import math
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from scoredm import (
    DEIS,
    GRIDS,
    SAMPLERS,
    VESDE,
    VPSDE,
    AdaptiveFlow,
    AnnealedLangevin,
    ChurnedHeun,
    CosineVPSDE,
    CountedScore,
    DPMSolver2M,
    DPMSolver3M,
    GeometricVESDE,
    PredictorCorrector,
    ScoreNet,
    SubVPSDE,
    UniPC,
    ancestral,
    ddim,
    denoise,
    euler_maruyama,
    exact_score,
    flow_euler,
    heun,
    reverse_step,
    targets,
)
from scoredm.grids import time_of_log_snr
from scoredm.samplers import langevin, prepare
from tests.common import normal

# Where sigma_min^2 is far below the data's variance, the leading error of Euler-Maruyama cancels: 0.5 keeps it in sight.
KINDS = [VESDE(25.0), GeometricVESDE(0.5, 10.0), VPSDE(), SubVPSDE(), CosineVPSDE()]
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)
each_sampler = pytest.mark.parametrize("name", SAMPLERS)

MEAN = torch.tensor([0.7, -0.4], dtype=torch.float64)
VARIANCE = torch.tensor([0.25, 2.0], dtype=torch.float64)
POINT = torch.zeros(2, dtype=torch.float64)  # the variance of data that are all one point
T_MIN = 0.01


@cache
def gaussian(sde, t: float, variance: Tensor = VARIANCE) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of x_t for data N(MEAN, diag(variance))."""
    return sde.alpha(t) * MEAN, (sde.alpha(t) ** 2 * variance + sde.sigma(t) ** 2).sqrt()


def gaussian_score(sde, variance: Tensor = VARIANCE):
    def score(x: Tensor, t) -> Tensor:
        mean, std = gaussian(sde, t, variance)
        return (mean - x) / std**2

    return score


@torch.no_grad()
def carried(sde, step, times, variance: Tensor = VARIANCE) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that the steps lead to, exactly, from the distribution of x at the first time.

    Three particles show what a step does: one at the mean, one a standard deviation off it, and one at the mean with noise 1.
    """
    score = gaussian_score(sde, variance)
    mean, std = gaussian(sde, times[0], variance)
    noise = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64).expand(3, 2)
    prepare(step, sde, times)
    for t, t_next in pairwise(times):
        mean, edge, shaken = step(sde, score, torch.stack([mean, mean + std, mean]), t, t_next, noise.clone())
        std = ((edge - mean) ** 2 + (shaken - mean) ** 2).sqrt()
    return mean, std


def carried_by_memory(sde, step, times, variance: Tensor = VARIANCE) -> tuple[Tensor, Tensor]:
    """As `carried`, for steps that remember what earlier noise did: the noise of each step has a particle of its own."""
    score, (mean, std) = gaussian_score(sde, variance), gaussian(sde, times[0], variance)
    x = torch.stack([mean, mean + std, *[mean] * (len(times) - 1)])
    for i, (t, t_next) in enumerate(pairwise(times)):
        noise = torch.zeros_like(x)
        noise[i + 2] = 1
        x = step(sde, score, x, t, t_next, noise)
    return x[0], (x[1:] - x[0]).square().sum(0).sqrt()


def error(sde, step, times, variance: Tensor = VARIANCE, carry=carried) -> float:
    """The 2-Wasserstein distance between the Gaussian that the steps lead to and p_t at the last time."""
    found, exact = carry(sde, step, times, variance), gaussian(sde, times[-1], variance)
    return math.sqrt(sum(float(((a - b) ** 2).sum()) for a, b in zip(found, exact, strict=True)))


@each_kind
@pytest.mark.parametrize("name", sorted(SAMPLERS.keys() - {"rk45"}))  # scipy's solver keeps no gradients
def test_a_step_is_the_same_where_gradients_are_kept(sde, name):
    x, noise, ends = normal(6, 2), normal(6, 2, seed=1), []
    for kept in (False, True):
        with torch.set_grad_enabled(kept):
            step = SAMPLERS[name].make_step()
            prepare(step, sde, [0.5, 0.4])
            ends.append(step(sde, gaussian_score(sde), x.clone().requires_grad_(kept), 0.5, 0.4, noise.clone()).detach())
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-9, atol=1e-12)


@cache
def grid(name: str, sde, steps: int) -> list[float]:
    return GRIDS[name](sde, steps, T_MIN)


# Orders.


def started_gently(times: list[float]) -> list[float]:
    """The grid with short steps at its start, where a step that remembers has little to go by yet."""
    first, second = times[:2]
    return [first, *(first + (second - first) / 2**k for k in range(6, 0, -1)), *times[1:]]


WITH_ORDER = [name for name, method in SAMPLERS.items() if method.order and method.evaluations]
REMEMBER_MUCH = {"dpm-solver-3m", "unipc", "deis"}
# On the uniform grid their errors of several orders cancel, for so few steps.
ON_GRIDS = [(name, grid) for name in WITH_ORDER for grid in GRIDS if name not in REMEMBER_MUCH or grid != "uniform"]
# Each sampler meets every kind and every grid, if not every pair of them.
IN_TURN = [(sde, *one) for i, sde in enumerate(KINDS) for j, one in enumerate(ON_GRIDS) if (i + j) % 2]


@pytest.mark.one_in(4)
@pytest.mark.parametrize("sde,name,grid_name", IN_TURN)
def test_the_error_falls_with_the_stated_order(name, sde, grid_name):
    method, order = SAMPLERS[name], SAMPLERS[name].order or 0
    carry = carried_by_memory if name == "sde-dpm-solver" else carried
    grids = (grid(grid_name, sde, steps) for steps in (160, 320))
    coarse, fine = (
        error(sde, method.make_step(), started_gently(times) if name in REMEMBER_MUCH else times, carry=carry) for times in grids
    )
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1 if order < 4 else 0.15)


@each_kind
@pytest.mark.parametrize("eta", [0.5, 2.0])
def test_the_distribution_is_the_same_whatever_eta(eta, sde):
    coarse, fine = (error(sde, reverse_step(eta), grid("uniform", sde, steps)) for steps in (320, 640))
    assert math.log2(coarse / fine) == pytest.approx(1, abs=0.2)  # 1.16 for the cosine at eta = 0.5, where g is large at t = 1


@each_kind
def test_the_adaptive_flow_keeps_its_tolerance_and_pays_for_it_by_order_five(sde):
    (mean, std), (end_mean, end_std) = gaussian(sde, 1.0), gaussian(sde, T_MIN)
    start, end = torch.stack([mean, mean + std]), torch.stack([end_mean, end_mean + end_std])
    errors, evaluations = [], []
    for tolerance in (1e-6, 1e-10, 1e-12):
        counted = CountedScore(gaussian_score(sde))
        errors.append(float((AdaptiveFlow(tolerance, tolerance)(sde, counted, start, 1.0, T_MIN, start) - end).norm()))
        evaluations.append(counted.calls)
        assert tolerance / 10 < errors[-1] < 10 * tolerance
    order = math.log(errors[-2] / errors[-1]) / math.log(evaluations[-1] / evaluations[-2])
    assert order == pytest.approx(SAMPLERS["rk45"].order, abs=0.5)


def test_either_tolerance_of_the_adaptive_flow_counts():
    """A looser one takes fewer evaluations, whatever the other; far from 0 it is the relative one that decides."""
    sde, start = VESDE(25.0), torch.full((3, 2), 8.0, dtype=torch.float64)

    def cost(rtol: float, atol: float) -> int:
        counted = CountedScore(gaussian_score(sde))
        AdaptiveFlow(rtol, atol)(sde, counted, start, 1.0, T_MIN, start)
        return counted.calls

    for loose in (cost(1e-3, 1e-11), cost(1e-11, 1e-3)):
        assert cost(1e-3, 1e-3) <= loose < 0.5 * cost(1e-11, 1e-11)


@pytest.mark.parametrize(
    "step,t_min,few,many",
    [(flow_euler, 1e-5, 2.2e-2, 6.9e-4), (heun, 1e-5, 8.3e-4, 7.5e-7)],
    ids=["flow-euler", "heun"],
)
def test_errors_of_one_particle_of_the_flow(step, t_min, few, many):
    """lambda = 25, S = 1: the particle that starts at 1 from the mean, after 20 and 640 steps."""
    sde, unit = VESDE(25.0), torch.ones(2, dtype=torch.float64)
    for steps, expected in ((20, few), (640, many)):
        times = GRIDS["uniform"](sde, steps, t_min)
        start, found, exact = gaussian(sde, 1.0, unit)[1], carried(sde, step, times, unit)[1], gaussian(sde, t_min, unit)[1]
        assert float(((found - exact).abs() / start)[0]) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("steps,expected", [(20, 3.7e-2), (640, 7.4e-4)])
def test_errors_in_variance_of_euler_maruyama(steps, expected):
    """lambda = 25, S = 1."""
    sde, unit = VESDE(25.0), torch.ones(2, dtype=torch.float64)
    _, std = carried(sde, euler_maruyama, GRIDS["uniform"](sde, steps, 1e-6), unit)
    assert float((std**2 - 1).abs()[0]) == pytest.approx(expected, rel=0.03)


def wrong_euler_maruyama(score_weight=lambda g, dt: g**2 * dt, noise_weight=lambda g, dt: g * math.sqrt(dt)):
    def step(sde, score, x, t, t_next, noise):
        dt, g = t - t_next, sde.diffusion(t)
        return (1 - sde.drift_rate(t) * dt) * x + score_weight(g, dt) * score(x, t) + noise_weight(g, dt) * noise

    return step


def stale_heun(sde, score, x, t, t_next, noise):
    """Both slopes are taken at t."""
    return heun(sde, lambda y, _: score(y, t), x, t, t_next, noise)


class Unhalved2M:
    """DPM-Solver++(2M) with c = h / h' for h / (2 h')."""

    def __init__(self) -> None:
        self.last = None

    def __call__(self, sde, score, x, t, t_next, _noise):
        clean = guess = denoise(sde, score, x, t)
        h = (sde.log_snr(t_next) - sde.log_snr(t)) / 2
        if self.last is not None:
            guess = clean + h / self.last[0] * (clean - self.last[1])
        self.last = h, clean
        return sde.sigma(t_next) / sde.sigma(t) * x - sde.alpha(t_next) * math.expm1(-h) * guess


PLANTED = {
    "g in place of g squared": (1, lambda: wrong_euler_maruyama(score_weight=lambda g, dt: g * dt)),
    "half the score term": (1, lambda: wrong_euler_maruyama(score_weight=lambda g, dt: g**2 * dt / 2)),
    "no square root of dt": (1, lambda: wrong_euler_maruyama(noise_weight=lambda g, dt: g * dt)),
    "both of Heun's slopes at t": (2, lambda: stale_heun),
    "twice the multistep correction": (2, Unhalved2M),
}


@pytest.mark.parametrize("sde", [VESDE(25.0), CosineVPSDE()], ids=repr)
@pytest.mark.parametrize("mistake", PLANTED)
def test_the_order_shows(mistake, sde):
    order, make_step = PLANTED[mistake]
    coarse, fine = (error(sde, make_step(), grid("karras", sde, steps)) for steps in (160, 320))
    assert math.log2(coarse / fine) < order - 0.4


# Exact where they can be.


@each_kind
@pytest.mark.parametrize(
    "name", ["ancestral", "ddim", "dpm-solver", "sde-dpm-solver", "dpm-solver-3m", "unipc", "deis", "churned-heun"]
)
def test_steps_that_guess_the_clean_data_are_exact_where_the_data_are_one_point(name, sde):
    assert error(sde, SAMPLERS[name].make_step(), [1.0, 0.7, 0.4, 0.1, T_MIN], POINT) < 1e-11


@each_kind
def test_one_step_is_the_written_update(sde):
    score, t, dt = exact_score(targets.mixture("tutorial"), sde), 0.7, 0.05
    (x, z), g = normal(2, 40, 2), sde.diffusion(t)
    drift, score_term, noise_term = sde.drift_rate(t) * x, g**2 * score(x, t), g * math.sqrt(dt) * z
    written = {
        euler_maruyama: x - (drift - score_term) * dt + noise_term,
        reverse_step(1.0): x - (drift - score_term) * dt + noise_term,
        reverse_step(0.5): x - (drift - 0.625 * score_term) * dt + 0.5 * noise_term,
        reverse_step(0.0): x - (drift - 0.5 * score_term) * dt,
        flow_euler: x - (drift - 0.5 * score_term) * dt,
    }
    for step, expected in written.items():
        torch.testing.assert_close(step(sde, score, x, t, t - dt, z.clone()), expected)


@each_kind
def test_the_ancestral_step_draws_from_the_posterior_of_x_s(sde):
    """Two Gaussian sources on x_s: N(alpha_s x_0, sigma_s^2) from the data, and x_t = r x_s + noise of variance v."""
    score, t, s = exact_score(targets.mixture("tutorial"), sde), 0.7, 0.5
    x, z = normal(2, 40, 2)
    clean, r = denoise(sde, score, x, t), sde.alpha(t) / sde.alpha(s)
    v = sde.sigma(t) ** 2 - r**2 * sde.sigma(s) ** 2
    variance = 1 / (1 / sde.sigma(s) ** 2 + r**2 / v)
    mean = variance * (sde.alpha(s) * clean / sde.sigma(s) ** 2 + r * x / v)
    torch.testing.assert_close(ancestral(sde, score, x, t, s, z.clone()), mean + math.sqrt(variance) * z)
    guessed = (x - sde.alpha(t) * clean) / sde.sigma(t)
    torch.testing.assert_close(ddim(sde, score, x, t, s, z), sde.alpha(s) * clean + sde.sigma(s) * guessed)


@each_kind
def test_two_steps_of_the_multistep_solver_are_algorithm_2(sde):
    score, x = exact_score(targets.mixture("tutorial"), sde), normal(40, 2)
    t, s, u = 0.7, 0.5, 0.45
    solver = DPMSolver2M()
    first = solver(sde, score, x, t, s, x)
    torch.testing.assert_close(first, ddim(sde, score, x, t, s, x))
    before, now = denoise(sde, score, x, t), denoise(sde, score, first, s)
    h = (sde.log_snr(u) - sde.log_snr(s)) / 2
    r = (sde.log_snr(s) - sde.log_snr(t)) / 2 / h
    D = (1 + 1 / (2 * r)) * now - 1 / (2 * r) * before
    expected = sde.sigma(u) / sde.sigma(s) * first - sde.alpha(u) * (math.exp(-h) - 1) * D
    torch.testing.assert_close(solver(sde, score, first, s, u, x), expected)


@each_kind
def test_the_multistep_solver_of_the_reverse_sde_is_the_written_update(sde):
    score, (x, z) = exact_score(targets.mixture("tutorial"), sde), normal(2, 40, 2)
    t, s, u = 0.7, 0.5, 0.45
    solver = DPMSolver2M(eta=1.0)
    first = solver(sde, score, x, t, s, z.clone())
    torch.testing.assert_close(first, ancestral(sde, score, x, t, s, z.clone()))
    before, now = denoise(sde, score, x, t), denoise(sde, score, first, s)
    h, before_h = ((sde.log_snr(b) - sde.log_snr(a)) / 2 for a, b in ((s, u), (t, s)))
    D = now + h / (2 * before_h) * (now - before)
    keep, spread = sde.sigma(u) / sde.sigma(s) * math.exp(-h), sde.sigma(u) * math.sqrt(1 - math.exp(-2 * h))
    expected = keep * first + sde.alpha(u) * (1 - math.exp(-2 * h)) * D + spread * z
    torch.testing.assert_close(solver(sde, score, first, s, u, z.clone()), expected)


TIMES_OF_FOUR = [0.7, 0.6, 0.45, 0.4, 0.2]


@each_kind
def test_the_last_of_four_steps_of_deis_integrates_a_parabola_of_noise_exactly(sde):
    def noise(t) -> float:
        return 2 - 3 * t + 5 * t**2

    def ratio(t: float) -> float:
        return float(sde.sigma(t) / sde.alpha(t))

    step, x, (t, s) = DEIS(), normal(5, 2), TIMES_OF_FOUR[-2:]
    before = x
    for begin, end in pairwise(TIMES_OF_FOUR):
        before, x = x, step(sde, lambda x, t: torch.full_like(x, -noise(t) / sde.sigma(t)), x, begin, end, x)
    slope = quad(lambda time: noise(time) * float(sde.diffusion(time) / sde.alpha(time)) ** 2 / (2 * ratio(time)), t, s)[0]
    torch.testing.assert_close(x / sde.alpha(s), before / sde.alpha(t) + slope, rtol=1e-8, atol=1e-8)


@each_kind
def test_the_last_of_four_steps_of_the_third_order_solver_integrates_half_of_a_parabola_s_bend(sde):
    def level(t: float) -> float:
        return float(sde.log_snr(t)) / 2

    def clean(at: float, bend: float = 1.0) -> float:
        return 2 - 3 * (at - start) + 5 * bend * (at - start) ** 2

    def score(x: Tensor, t) -> Tensor:
        return (sde.alpha(t) * clean(level(t)) - x) / sde.sigma(t) ** 2

    (t, s), step, x = TIMES_OF_FOUR[-2:], DPMSolver3M(), normal(5, 2)
    start, end, before = level(t), level(s), x
    for begin, stop in pairwise(TIMES_OF_FOUR):
        before, x = x, step(sde, score, x, begin, stop, x)
    gained = quad(lambda at: math.exp(at - end) * clean(at, bend=0.5), start, end)[0]
    torch.testing.assert_close(x, sde.sigma(s) / sde.sigma(t) * before + sde.alpha(s) * gained, rtol=1e-8, atol=1e-8)


@each_kind
def test_unipc_of_order_1_is_ddim_that_starts_each_step_from_a_corrected_point(sde):
    """The corrected point is where the mean of the x_0 at both ends of the step leads."""
    score, x = exact_score(targets.mixture("tutorial"), sde), normal(40, 2)
    t, s, u = 0.7, 0.5, 0.45
    step = UniPC(1)
    guess = step(sde, score, x, t, s, x)
    torch.testing.assert_close(guess, ddim(sde, score, x, t, s, x))
    now = denoise(sde, score, guess, s)
    keep = sde.sigma(s) / sde.sigma(t)
    corrected = keep * x + (sde.alpha(s) - keep * sde.alpha(t)) * (denoise(sde, score, x, t) + now) / 2
    keep = sde.sigma(u) / sde.sigma(s)
    expected = keep * corrected + (sde.alpha(u) - keep * sde.alpha(s)) * now
    torch.testing.assert_close(step(sde, score, guess, s, u, x), expected)


@each_kind
def test_churned_heun_adds_the_noise_between_two_levels_and_takes_heuns_step_in_sigma_over_alpha(sde):
    score, (x, z), (t, s) = exact_score(targets.mixture("tutorial"), sde), normal(2, 40, 2), (0.5, 0.4)
    step, gamma = ChurnedHeun(churn=3.0, low=0.0, high=math.inf, noise=1.1), 0.3
    prepare(step, sde, [k / 10 for k in range(10, -1, -1)])
    r, r_s = (sde.sigma(time) / sde.alpha(time) for time in (t, s))
    raised = (1 + gamma) * r
    at = time_of_log_snr(sde, -2 * math.log(raised))
    y = x / sde.alpha(t) + 1.1 * math.sqrt(raised**2 - r**2) * z

    def slope(y: Tensor, time: float, r: float) -> Tensor:
        return (y - denoise(sde, score, sde.alpha(time) * y, time)) / r

    first = slope(y, at, raised)
    second = slope(y + (r_s - raised) * first, s, r_s)
    expected = sde.alpha(s) * (y + (r_s - raised) * (first + second) / 2)
    torch.testing.assert_close(step(sde, score, x, t, s, z.clone()), expected)
    still = ChurnedHeun(churn=0.0)
    prepare(still, sde, [0.5, 0.4])
    assert torch.equal(still(sde, score, x, t, s, z), still(sde, score, x, t, s, -z))


def test_churn_is_shared_out_over_the_steps_within_its_levels():
    sde, x, z = VESDE(25.0), torch.zeros(1, 2), torch.ones(1, 2)
    added = []

    def score(x: Tensor, _t) -> Tensor:
        added.append(float(x[0, 0]) ** 2)
        return torch.zeros_like(x)

    for churn, steps, share in ((4.0, 10, 0.4), (40.0, 10, math.sqrt(2) - 1)):
        step = ChurnedHeun(churn, low=float(sde.sigma(0.3)), high=float(sde.sigma(0.7)))
        prepare(step, sde, [*(1 - k / steps for k in range(steps)), 0.0, 0.0])
        for t in (0.2, 0.3, 0.5, 0.7, 0.8, 1.0):
            step(sde, score, x, t, 0.0, z.clone())
        expected = [((1 + share) ** 2 - 1) * sde.sigma(t) ** 2 for t in (0.3, 0.5, 0.7)]
        assert added == pytest.approx([0.0, *expected, 0.0, 0.0])
        added.clear()
    with pytest.raises(RuntimeError, match="does not know its grid"):
        ChurnedHeun()(sde, score, x, 0.5, 0.4, z)


def test_a_predictor_that_wants_to_know_its_grid_is_told():
    step = PredictorCorrector(predictor=ChurnedHeun())
    sde, (x, z) = VPSDE(), normal(2, 10, 2)
    prepare(step, sde, [1.0, 0.5, 0.4])
    alone = ChurnedHeun()
    prepare(alone, sde, [1.0, 0.5, 0.4])
    found = (each(sde, gaussian_score(sde), x, 0.5, 0.4, z.clone()) for each in (step, alone))
    torch.testing.assert_close(*found)


# Where a grid stands still, and where it ends at the data.


@each_sampler
@each_kind
def test_a_repeated_time_changes_nothing_but_by_a_correction(sde, name):
    """The distribution that the steps lead to, and what they remember, are those of the grid without the repeated time."""
    times = GRIDS["log-snr"](sde, 12, T_MIN)
    step, repeated = SAMPLERS[name].make_step(), [*times[:6], *times[5:]]
    if SAMPLERS[name].visits:
        assert all(torch.isfinite(part).all() for part in carried(sde, step, repeated))
    else:
        assert carried(sde, SAMPLERS[name].make_step(), times)[1].tolist() == carried(sde, step, repeated)[1].tolist()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("repeats", [0, 1])
@each_sampler
@each_kind
def test_a_grid_may_end_at_the_data(sde, name, repeats):
    """The last step, from T_MIN, takes the distribution no farther from that of the data than the noise that was left."""
    times = GRIDS["log-snr"](sde, 40, T_MIN)
    before, after = (error(sde, SAMPLERS[name].make_step(), [*times, *end]) for end in ([], [0.0] * (repeats + 1)))
    assert after < before + sde.sigma(T_MIN)


@each_kind
def test_the_multistep_solver_ends_at_the_posterior_mean(sde):
    score, x, solver = exact_score(targets.mixture("tutorial"), sde), normal(40, 2), DPMSolver2M()
    x = solver(sde, score, x, 0.7, 0.5, x)
    torch.testing.assert_close(solver(sde, score, x, 0.5, 0.0, x), denoise(sde, score, x, 0.5))


# Langevin dynamics.


def settled(sde, t: float, snr: float, variance: Tensor = VARIANCE) -> Tensor:
    """The variance v that a Langevin step leaves alone: v = (1 - e / V)^2 v + 2 e."""
    V, e = gaussian(sde, t, variance)[1] ** 2, (snr * sde.sigma(t)) ** 2
    return 2 * e / (1 - (1 - e / V) ** 2)


@each_kind
def test_langevin_settles_at_its_own_variance(sde):
    t, snr = 0.7, 0.5
    mean, std = carried(sde, AnnealedLangevin(snr), [t] * 100)
    torch.testing.assert_close(mean, gaussian(sde, t)[0])
    torch.testing.assert_close(std**2, settled(sde, t, snr))
    V, e = gaussian(sde, t)[1] ** 2, (snr * sde.sigma(t)) ** 2
    torch.testing.assert_close(std**2, V / (1 - e / (2 * V)))
    x, z = normal(2, 10, 2)
    written = x + e * gaussian_score(sde)(x, t) + math.sqrt(2 * e) * z
    torch.testing.assert_close(langevin(sde, gaussian_score(sde), x, t, z, snr), written)


def test_the_named_samplers_are_songs():
    """Ancestral steps corrected at snr 0.16, and Langevin dynamics alone at 0.3."""
    sde, score, (x, z) = VPSDE(), gaussian_score(VPSDE()), normal(2, 10, 2)
    corrected, annealed = (SAMPLERS[name].make_step() for name in ("predictor-corrector", "langevin"))
    torch.testing.assert_close(corrected(sde, score, x, 0.7, 0.6, z.clone()), ancestral(sde, score, x, 0.7, 0.6, z.clone()))
    for step, snr in ((corrected, 0.16), (annealed, 0.3)):
        torch.testing.assert_close(step(sde, score, x, 0.7, 0.7, z.clone()), langevin(sde, score, x, 0.7, z.clone(), snr))
    assert annealed(sde, score, x, 0.7, 0.6, z) is x


@each_kind
def test_annealed_langevin_with_many_visits_settles_at_the_last_level_it_visits(sde):
    times = replace(SAMPLERS["langevin"], visits=100).times([1.0, 0.8, 0.6, 0.5])
    mean, std = carried(sde, AnnealedLangevin(0.5), times)
    torch.testing.assert_close(mean, gaussian(sde, 0.6)[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(std**2, settled(sde, 0.6, 0.5), rtol=1e-4, atol=0)


@each_kind
def test_a_corrector_that_shrinks_with_the_steps_keeps_the_predictors_order(sde):
    """snr^2 like the length of a step."""
    times = SAMPLERS["predictor-corrector"].times
    errors = [error(sde, PredictorCorrector(1 / math.sqrt(n)), times(grid("uniform", sde, n))) for n in (160, 320)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(1, abs=0.15)


def test_a_corrector_of_fixed_snr_has_the_last_word():
    """For data N(mean, I) under VP the variance to reach is 1 at every t; many steps lead to the corrector's own instead."""
    sde, unit, t_min = VPSDE(), torch.ones(2, dtype=torch.float64), 0.3
    _, std = carried(
        sde, PredictorCorrector(0.3), SAMPLERS["predictor-corrector"].times(GRIDS["uniform"](sde, 1000, t_min)), unit
    )
    bias = settled(sde, t_min, 0.3, unit) - 1
    torch.testing.assert_close(std**2 - 1, bias, rtol=0.03, atol=0)
    assert float(bias[0]) > 0.02
    assert SAMPLERS["predictor-corrector"].order is None


# What every step keeps.


@each_sampler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_step_leaves_x_alone_and_uses_noise_only_if_it_says_so(name, dtype):
    sde, method = VPSDE(), SAMPLERS[name]
    score, times = exact_score(targets.mixture("tutorial"), sde), method.times([0.6, 0.5])
    x, z = normal(2, 30, 2).to(dtype)
    before, found = x.clone(), []
    for noise in (z, z, -z):
        step = method.make_step()
        prepare(step, sde, times)
        found.append(step(sde, score, x, times[0], times[1], noise.clone()))
    assert torch.equal(x, before)
    assert found[0].dtype == dtype
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2]) != method.stochastic


@pytest.mark.parametrize("steps", [1, 7])
@each_sampler
def test_a_run_costs_the_evaluations_that_the_sampler_names(name, steps):
    sde, method = CosineVPSDE(), SAMPLERS[name]
    times, start = method.times(GRIDS["karras"](sde, steps, 1e-3)), normal(20, 2)
    counted = CountedScore(exact_score(targets.mixture("tutorial"), sde).on_grid(times, start))
    assert len(times) == steps * (method.visits + 1) + 1
    x, step = start, method.make_step()
    prepare(step, sde, times)
    for t, t_next in pairwise(times):
        x = step(sde, counted, x, t, t_next, normal(20, 2))
    assert torch.isfinite(x).all()
    if method.evaluations is None:
        assert method.nfe(steps) is None
        assert counted.calls > 5 * steps
    else:
        assert counted.calls == method.nfe(steps)


def test_a_corrector_visits_each_time_but_the_last():
    assert replace(SAMPLERS["langevin"], visits=2).times([1.0, 0.5, 0.1]) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.1]
    assert SAMPLERS["heun"].times((1.0, 0.5)) == [1.0, 0.5]


@pytest.mark.parametrize("sde", [VESDE(25.0), VPSDE()], ids=repr)
def test_heun_asks_no_score_at_time_0_and_ends_with_an_euler_step(sde):
    network, x = ScoreNet(sde), normal(8, 2)
    with torch.no_grad():
        end = heun(sde, network, x, 0.5, 0.0, x)
        assert torch.isfinite(end).all()
        torch.testing.assert_close(end, flow_euler(sde, network, x, 0.5, 0.0, x))


def test_a_score_that_is_not_finite_ends_the_adaptive_solver_in_words():
    with pytest.raises(RuntimeError, match=r"t = 1 hold NaN or infinity"):
        AdaptiveFlow()(VESDE(), lambda x, _: x * math.nan, torch.ones(2, 2), 1.0, T_MIN, torch.zeros(2, 2))


def test_a_step_that_does_not_change_the_log_snr_leaves_the_multistep_solver_finite():
    still = VESDE(1e-10)  # its noise is at an end, in float64, long before t = 1
    score, times = exact_score(targets.mixture("tutorial"), still), [1.0, 0.8, 0.6, 0.4, 0.2, 1e-3]
    x, solver = normal(5, 2), DPMSolver2M()
    assert float(still.log_snr(1.0)) == float(still.log_snr(0.8))
    for t, t_next in pairwise(times):
        x = solver(still, score, x, t, t_next, x)
        assert torch.isfinite(x).all()


def test_one_multistep_object_for_two_runs_gives_what_two_objects_give():
    sde, times = VESDE(25.0), GRIDS["log-snr"](VESDE(25.0), 12, 1e-3)
    score, starts = exact_score(targets.mixture("tutorial"), sde), 10 * normal(2, 30, 2)

    def run(step, x: Tensor) -> Tensor:
        for t, t_next in pairwise(times):
            x = step(sde, score, x, t, t_next, x)
        return x

    shared, expected = DPMSolver2M(), [run(DPMSolver2M(), x) for x in starts]
    for x, end in zip(starts, expected, strict=True):
        assert torch.equal(run(shared, x), end)
    assert torch.equal(run(shared, starts[0, :5]), run(DPMSolver2M(), starts[0, :5]))
    assert not torch.equal(expected[0], run(ddim, starts[0]))


@pytest.mark.parametrize(
    "make,message",
    [
        (partial(DPMSolver2M, -1.0), "eta is -1.0; it must be a number, 0 or more"),
        (partial(UniPC, 4), "order is 4; it must be 1, 2 or 3"),
        (partial(DEIS, 0), "order is 0; it must be 1, 2, 3 or 4"),
        (partial(ChurnedHeun, -1.0), "churn is -1.0; it must be a number, 0 or more"),
        (partial(ChurnedHeun, noise=math.nan), "noise is nan"),
        (partial(ChurnedHeun, low=2.0, high=1.0), "high is 1.0; it must be at least low, 2.0"),
        (partial(reverse_step, -0.1), "eta is -0.1; it must be a number, 0 or more"),
        (partial(reverse_step, math.nan), "eta is nan"),
        (partial(reverse_step, math.inf), "eta is inf"),
        (partial(AdaptiveFlow, 0.0), "rtol is 0.0; it must lie between"),
        (partial(AdaptiveFlow, atol=math.nan), "atol is nan"),
        (partial(PredictorCorrector, 0.0), "snr is 0.0; it must be above 0 and at most 1"),
        (partial(AnnealedLangevin, 1.5), "snr is 1.5"),
        (partial(AnnealedLangevin, math.nan), "snr is nan"),
    ],
)
def test_refusals_name_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()
