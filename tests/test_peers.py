"""Other libraries asked the same question: azula, diffusers, torchdiffeq and torchsde, each where it is installed."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from scoredm import (
    GRIDS,
    VESDE,
    VPSDE,
    AdaptiveFlow,
    CosineVPSDE,
    DPMSolver2M,
    GaussianMixture,
    GeometricVESDE,
    SubVPSDE,
    ancestral,
    ddim,
    denoise,
    euler_maruyama,
    exact_prior,
    exact_score,
    flow_euler,
    heun,
    sample,
    targets,
)
from tests.common import normal

KINDS = [VESDE(25.0), GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()]
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)
each_preserving_kind = pytest.mark.parametrize("sde", [VPSDE(), CosineVPSDE()], ids=repr)

TUTORIAL = targets.mixture("tutorial")
N, STEPS, T_MIN = 50, 24, 1 / 64


def peer(name: str):
    return pytest.importorskip(name, reason=f"{name.split('.', maxsplit=1)[0]} is not installed", exc_type=ImportError)


def start(sde) -> Tensor:
    return exact_prior(sde, TUTORIAL).sample(N, torch.Generator().manual_seed(1)).double()


def ours(sde, step, times, noise: Tensor | None = None) -> Tensor:
    return sample(sde, exact_score(TUTORIAL, sde), N, step=step, times=times, start=start(sde), noise=noise).end


def flow(sde):
    """dx/dt along the probability flow, for a solver of differential equations."""
    score = exact_score(TUTORIAL, sde)
    return lambda t, x: sde.drift_rate(float(t)) * x - sde.diffusion(float(t)) ** 2 / 2 * score(x, float(t))


# torchdiffeq.


@each_kind
@pytest.mark.parametrize("step,method", [(flow_euler, "euler"), (heun, "heun2")], ids=["euler", "heun"])
def test_fixed_steps_of_the_flow_are_torchdiffeqs(step, method, sde):
    odeint = peer("torchdiffeq").odeint
    times = GRIDS["karras"](sde, STEPS, T_MIN)
    theirs = odeint(flow(sde), start(sde), torch.tensor(times, dtype=torch.float64), method=method)[-1]
    torch.testing.assert_close(ours(sde, step, times), theirs, rtol=1e-9, atol=1e-9)


@each_kind
def test_the_adaptive_flow_ends_where_torchdiffeqs_dopri5_ends(sde):
    odeint = peer("torchdiffeq").odeint
    ends = torch.tensor([1.0, T_MIN], dtype=torch.float64)
    options = {"step_t": ends}  # or its last step overshoots t = 0, where there is no score
    theirs = odeint(flow(sde), start(sde), ends, method="dopri5", rtol=1e-8, atol=1e-8, options=options)[-1]
    torch.testing.assert_close(ours(sde, AdaptiveFlow(1e-8, 1e-8), [1.0, T_MIN]), theirs, rtol=1e-6, atol=1e-6)


# torchsde.


@each_kind
def test_euler_maruyama_is_torchsdes_on_the_same_brownian_path(sde):
    torchsde = peer("torchsde")
    noise, score = normal(63, N, 2), exact_score(TUTORIAL, sde)

    class Reverse:
        """The reverse SDE in the rising time s = 1 - t."""

        noise_type, sde_type = "diagonal", "ito"

        def f(self, s, y: Tensor) -> Tensor:
            t = 1 - float(s)
            return -(sde.drift_rate(t) * y - sde.diffusion(t) ** 2 * score(y, t))

        def g(self, s, y: Tensor) -> Tensor:
            return torch.full_like(y, sde.diffusion(1 - float(s)))

    class Path(torchsde.BaseBrownian):
        dtype, device, shape, levy_area_approximation = torch.float64, torch.device("cpu"), (N, 2), "none"

        def __call__(self, ta, tb=None, return_U=False, return_A=False):
            return noise[round(float(ta) * 64)] * math.sqrt(float(tb - ta))

        def __repr__(self):
            return "the increments of noise"

    ends = torch.tensor([0.0, 1 - T_MIN], dtype=torch.float64)
    theirs = torchsde.sdeint(Reverse(), start(sde), ends, bm=Path(), method="euler", dt=1 / 64)[-1]
    found = ours(sde, euler_maruyama, GRIDS["uniform"](sde, 63, T_MIN), noise)
    torch.testing.assert_close(found, theirs, rtol=1e-9, atol=1e-9)


# azula.


def azula_denoiser(sde):
    """Our schedule and our exact posterior mean, as azula would have them."""
    base, score = peer("azula.denoise"), exact_score(TUTORIAL, sde)

    class Ours(base.Denoiser):
        def __init__(self) -> None:
            super().__init__()
            self.schedule = lambda t: (sde.alpha(t), sde.sigma(t))

        def forward(self, x_t: Tensor, t: Tensor, **_):
            return base.DiracPosterior(denoise(score, sde, x_t, float(t)))

    return Ours()


@each_kind
@pytest.mark.parametrize("name", ["DDIMSampler", "EulerSampler"])
def test_ddim_is_azulas(name, sde):
    sampler = getattr(peer("azula.sample"), name)
    settings = {"start": 1.0, "stop": T_MIN, "steps": STEPS, "silent": True, "dtype": torch.float64}
    theirs = sampler(azula_denoiser(sde), **settings)(start(sde))
    torch.testing.assert_close(ours(sde, ddim, GRIDS["uniform"](sde, STEPS, T_MIN)), theirs, rtol=1e-9, atol=1e-9)


@each_kind
def test_ancestral_is_azulas_ddpm_on_the_same_noise(sde):
    sampler = peer("azula.sample").DDPMSampler
    settings = {"start": 1.0, "stop": T_MIN, "steps": STEPS, "silent": True, "dtype": torch.float64}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = sampler(azula_denoiser(sde), **settings)(start(sde))
        torch.manual_seed(3)
        noise = torch.stack([torch.randn_like(theirs) for _ in range(STEPS)])
    torch.testing.assert_close(ours(sde, ancestral, GRIDS["uniform"](sde, STEPS, T_MIN), noise), theirs, rtol=1e-9, atol=1e-9)


@each_kind
def test_the_posterior_mean_of_a_gaussian_is_azulas(sde):
    base, covariance = peer("azula.denoise"), peer("azula.linalg.covariance")
    mean, variance = normal(2), torch.tensor([0.3, 2.0], dtype=torch.float64)
    theirs = base.GaussianDenoiser(mean, covariance.DiagonalCovariance(variance), lambda t: (sde.alpha(t), sde.sigma(t)))
    score, x, t = exact_score(GaussianMixture(mean[None], variance.diag()[None], [1.0]), sde), normal(N, 2), 0.6
    torch.testing.assert_close(denoise(score, sde, x, t), theirs(x, torch.tensor(t, dtype=torch.float64)).mean)


def test_schedules_are_azulas():
    schedules, t = peer("azula.noise"), torch.linspace(0.01, 1, 50, dtype=torch.float64)
    alpha, sigma = schedules.VPSchedule(alpha_min=math.exp(-5), sigma_min=0.0)(t)
    torch.testing.assert_close(VPSDE(1e-12, 20.0).alpha(t), alpha, rtol=1e-9, atol=0)
    torch.testing.assert_close(VPSDE(1e-12, 20.0).sigma(t), sigma, rtol=1e-9, atol=0)
    _, sigma = schedules.VESchedule(sigma_min=0.01, sigma_max=10.0)(t)
    torch.testing.assert_close(GeometricVESDE(0.01, 10.0).sigma(t) ** 2, sigma**2 - 0.01**2)


# diffusers, which knows variance-preserving kinds at whole timesteps i, here t = (i + 1) / 1000.


def alpha_squared(sde) -> Tensor:
    return sde.alpha(torch.arange(1, 1001, dtype=torch.float64) / 1000) ** 2


def predicted_noise(sde, x: Tensor, i: int) -> Tensor:
    t = (i + 1) / 1000
    return -sde.sigma(t) * exact_score(TUTORIAL, sde)(x, t)


@each_preserving_kind
@pytest.mark.parametrize("step,eta", [(ddim, 0.0), (ancestral, 1.0)], ids=["ddim", "ancestral"])
def test_ddim_and_ancestral_are_diffusers_ddim_with_eta_0_and_1(step, eta, sde):
    scheduler = peer("diffusers.schedulers.scheduling_ddim").DDIMScheduler(clip_sample=False)
    scheduler.alphas_cumprod = alpha_squared(sde)
    scheduler.set_timesteps(20)
    indices, x = scheduler.timesteps.tolist(), start(sde)
    noise = normal(19, N, 2)
    for i, z in zip(indices[:-1], noise, strict=True):
        x = scheduler.step(predicted_noise(sde, x, i), i, x, eta=eta, variance_noise=z).prev_sample
    times = [(i + 1) / 1000 for i in indices]
    torch.testing.assert_close(ours(sde, step, times, noise), x, rtol=1e-9, atol=1e-9)


@each_preserving_kind
def test_the_multistep_solver_is_diffusers_to_its_single_precision(sde):
    scheduler = peer("diffusers.schedulers.scheduling_dpmsolver_multistep").DPMSolverMultistepScheduler(
        solver_order=2, algorithm_type="dpmsolver++", lower_order_final=False, final_sigmas_type="sigma_min"
    )
    scheduler.alphas_cumprod = alpha_squared(sde)
    indices = [999, 960, 900, 800, 740, 650, 520, 500, 380, 250, 200, 120, 60, 25, 10]  # uneven on purpose
    scheduler.set_timesteps(timesteps=indices)
    x = start(sde)
    for i in indices:
        x = scheduler.step(predicted_noise(sde, x, i), i, x).prev_sample
    times = [(i + 1) / 1000 for i in [*indices, 0]]
    torch.testing.assert_close(ours(sde, DPMSolver2M(), times), x, rtol=2e-5, atol=2e-5)


@each_preserving_kind
@pytest.mark.parametrize("grid,option", [("karras", "use_karras_sigmas"), ("log-snr", "use_lu_lambdas")])
def test_noise_levels_of_the_grids_are_diffusers(grid, option, sde):
    scheduler = peer("diffusers.schedulers.scheduling_dpmsolver_multistep").DPMSolverMultistepScheduler(**{option: True})
    scheduler.alphas_cumprod = alpha_squared(sde)
    scheduler.set_timesteps(18)
    times = torch.tensor(GRIDS[grid](sde, 17, 1e-3), dtype=torch.float64)
    theirs = scheduler.sigmas[:18].double()
    torch.testing.assert_close(sde.sigma(times) / sde.alpha(times), theirs, rtol=1e-5, atol=0)


def test_the_samplers_compared_here_are_further_from_each_other_than_from_their_peers():
    sde = VPSDE()
    times = GRIDS["uniform"](sde, STEPS, T_MIN)
    ends = [ours(sde, step, times, normal(STEPS, N, 2)) for step in (flow_euler, heun, ddim, ancestral, euler_maruyama)]
    assert all(float((a - b).abs().max()) > 1e-2 for a, b in pairwise(ends))
