"""Other libraries asked the same question: azula, diffusers, torchdiffeq and torchsde, each where it is installed."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from scoredm import (
    DEIS,
    EDM,
    GRIDS,
    METRICS,
    SAMPLERS,
    SDE,
    VESDE,
    VPSDE,
    AdaptiveFlow,
    ChurnedHeun,
    CosineVPSDE,
    CountedScore,
    DPMSolver2M,
    DPMSolver3M,
    GaussianMixture,
    GeometricVESDE,
    RectifiedFlow,
    Sampler,
    SubVPSDE,
    UniPC,
    ancestral,
    ddim,
    denoise,
    euler_maruyama,
    exact_prior,
    exact_score,
    flow_end_points,
    flow_euler,
    heun,
    noise_floor,
    pathwise_error,
    peers,
    sample,
    sliced_wasserstein_to_mixture,
    targets,
)
from scoredm.canonical import fingerprint
from scoredm.grids import time_of_log_snr
from tests.common import normal

KINDS = [VESDE(25.0), GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()]
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)
each_exploding_kind = pytest.mark.parametrize("sde", [VESDE(25.0), GeometricVESDE()], ids=repr)
each_preserving_kind = pytest.mark.parametrize("sde", [VPSDE(), CosineVPSDE()], ids=repr)

TUTORIAL = targets.mixture("tutorial")
N, STEPS, T_MIN = 50, 24, 1 / 64


def peer(name: str):
    return pytest.importorskip(name, reason=f"{name.split('.', maxsplit=1)[0]} is not installed", exc_type=ImportError)


def start(sde) -> Tensor:
    return exact_prior(TUTORIAL, sde).sample(N, torch.Generator().manual_seed(1)).double()


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
            return base.DiracPosterior(denoise(sde, score, x_t, float(t)))

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


@dataclass(frozen=True)
class Straight(SDE):
    """sigma = 20 t and alpha = 1: here a polynomial in t is one in sigma / alpha, which azula has."""

    def alpha(self, t):
        return 0 * t + 1.0

    def sigma(self, t):
        return 20 * t

    def diffusion(self, t):
        return 20 * (2 * t) ** 0.5

    def drift_rate(self, t):
        return 0 * t


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_deis_is_azulas_adams_bashforth_where_sigma_is_straight(order):
    sampler, sde = peer("azula.sample").zABSampler, Straight()
    settings = {"start": 1.0, "stop": T_MIN, "steps": STEPS, "silent": True, "dtype": torch.float64, "order": order}
    theirs = sampler(azula_denoiser(sde), **settings)(start(sde))
    torch.testing.assert_close(ours(sde, DEIS(order), GRIDS["uniform"](sde, STEPS, T_MIN)), theirs, rtol=1e-7, atol=1e-7)


@each_kind
def test_the_posterior_mean_of_a_gaussian_is_azulas(sde):
    base, covariance = peer("azula.denoise"), peer("azula.linalg.covariance")
    mean, variance = normal(2), torch.tensor([0.3, 2.0], dtype=torch.float64)
    theirs = base.GaussianDenoiser(mean, covariance.DiagonalCovariance(variance), lambda t: (sde.alpha(t), sde.sigma(t)))
    score, x, t = exact_score(GaussianMixture(mean[None], variance.diag()[None], [1.0]), sde), normal(N, 2), 0.6
    torch.testing.assert_close(denoise(sde, score, x, t), theirs(x, torch.tensor(t, dtype=torch.float64)).mean)


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


UNEVEN = [999, 960, 900, 800, 740, 650, 520, 500, 380, 250, 200, 120, 60, 25, 10]  # indices of timesteps, uneven on purpose


def compare_with_diffusers(scheduler, sde, step, **settings) -> None:
    """Run a scheduler and our step through its timesteps and on to timestep 0; diffusers knows its noise levels in float32."""
    scheduler.alphas_cumprod = alpha_squared(sde)
    scheduler.set_timesteps(**settings)
    indices, x = scheduler.timesteps.tolist(), start(sde)
    noise = normal(len(indices), N, 2)
    stochastic = scheduler.config.get("algorithm_type") == "sde-dpmsolver++"
    for i, z in zip(indices, noise, strict=True):
        given = {"variance_noise": z} if stochastic else {}
        x = scheduler.step(predicted_noise(sde, x, i), i, x, **given).prev_sample
    times = [(i + 1) / 1000 for i in [*indices, 0]]
    torch.testing.assert_close(ours(sde, step, times, noise), x, rtol=2e-5, atol=2e-5)


@each_preserving_kind
@pytest.mark.parametrize(
    "make_step,settings",
    [
        (DPMSolver2M, {"solver_order": 2, "algorithm_type": "dpmsolver++"}),
        (DPMSolver3M, {"solver_order": 3, "algorithm_type": "dpmsolver++"}),
        (lambda: DPMSolver2M(eta=1.0), {"solver_order": 2, "algorithm_type": "sde-dpmsolver++"}),
    ],
    ids=["2M", "3M", "SDE-2M"],
)
def test_the_multistep_solvers_are_diffusers(make_step, settings, sde):
    scheduler = peer("diffusers.schedulers.scheduling_dpmsolver_multistep").DPMSolverMultistepScheduler(
        lower_order_final=False, final_sigmas_type="sigma_min", **settings
    )
    compare_with_diffusers(scheduler, sde, make_step(), timesteps=UNEVEN)


@each_preserving_kind
@pytest.mark.parametrize("order", [1, 2, 3])
def test_unipc_is_diffusers(order, sde):
    scheduler = peer("diffusers.schedulers.scheduling_unipc_multistep").UniPCMultistepScheduler(
        solver_order=order, solver_type="bh2", lower_order_final=False, final_sigmas_type="sigma_min"
    )
    compare_with_diffusers(scheduler, sde, UniPC(order), num_inference_steps=20)


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


# k-diffusion, which knows the noise levels sigma of a variance-exploding kind.


def k_denoiser(sde):
    """Our exact posterior mean, as k-diffusion would have it; its noise levels find our times."""
    score = exact_score(TUTORIAL, sde)

    def denoised(x: Tensor, sigma: Tensor) -> Tensor:
        return denoise(sde, score, x, min(1.0, time_of_log_snr(sde, -2 * math.log(float(sigma[0])))))

    return denoised


@each_exploding_kind
def test_churned_heun_is_k_diffusions_on_the_same_noise(sde, monkeypatch):
    sampling = peer("k_diffusion.sampling")
    times = GRIDS["karras"](sde, STEPS, T_MIN)
    noise, sigmas = normal(STEPS, N, 2), sde.sigma(torch.tensor(times, dtype=torch.float64))
    most = 0.7 * float(sigmas[0])  # there is no time above t = 1 to which noise could lead
    given = iter(noise)
    monkeypatch.setattr(sampling.torch, "randn_like", lambda _x: next(given))
    settings = {"s_churn": 5.0, "s_tmin": 0.1, "s_tmax": most, "s_noise": 1.003}
    theirs = sampling.sample_heun(k_denoiser(sde), start(sde), sigmas, disable=True, **settings)
    step = ChurnedHeun(churn=5.0, low=0.1, high=most, noise=1.003)
    torch.testing.assert_close(ours(sde, step, times, noise), theirs, rtol=1e-9, atol=1e-9)


@each_exploding_kind
def test_the_multistep_solver_of_the_reverse_sde_is_k_diffusions_on_the_same_noise(sde):
    sampling = peer("k_diffusion.sampling")
    times, noise = GRIDS["karras"](sde, STEPS, T_MIN), normal(STEPS, N, 2)
    sigmas, given = sde.sigma(torch.tensor(times, dtype=torch.float64)), iter(noise)
    settings = {"disable": True, "eta": 0.5, "noise_sampler": lambda _from, _to: next(given)}
    theirs = sampling.sample_dpmpp_2m_sde(k_denoiser(sde), start(sde), sigmas, **settings)
    torch.testing.assert_close(ours(sde, DPMSolver2M(eta=0.5), times, noise), theirs, rtol=1e-9, atol=1e-9)


# The adapters of scoredm.peers, which the benchmark runs.

ADAPTED = [RectifiedFlow(), EDM(), VESDE(25.0), VPSDE()]
each_adapted = pytest.mark.parametrize("sde", ADAPTED, ids=repr)
each_peer = pytest.mark.parametrize("name", peers.PEERS)
CENTRED = GaussianMixture(TUTORIAL.means - TUTORIAL.mean, TUTORIAL.covariances, TUTORIAL.weights)


def adapted(name: str) -> Sampler:
    sampler = peers.installed().get(name)
    if sampler is None:
        pytest.skip(f"{name.partition('/')[0]} is not installed")
    return sampler


def path(sde, sampler, steps: int, n: int = N, seed: int = 0) -> tuple[Tensor, int]:
    """Points at every time, and the evaluations of the score."""
    times = GRIDS["log-snr"](sde, steps, 1e-3)
    score = CountedScore(exact_score(CENTRED, sde))
    x = exact_prior(CENTRED, sde).sample(n, torch.Generator().manual_seed(1)).double()
    draws = torch.Generator().manual_seed(seed)
    return sample(sde, score, n, step=sampler, times=times, start=x, generator=draws, trajectory=True).points, score.calls


@each_adapted
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("diffusers/ddim", "ddim"),
        ("diffusers/dpmpp-2m", "dpm-solver"),
        ("diffusers/dpmpp-3m", "dpm-solver-3m"),
        ("k-diffusion/euler", "ddim"),
        ("k-diffusion/dpmpp-2m", "dpm-solver"),
        ("azula/ddim", "ddim"),
    ],
)
def test_an_adapted_peer_takes_the_path_of_our_own_sampler(name, step, sde):
    """diffusers computes in float32, and takes all its steps in full from 15 steps on."""
    theirs, ours = path(sde, adapted(name), 20)[0], path(sde, SAMPLERS[step], 20)[0]
    tolerance = 3e-4 if name.startswith("diffusers") else 1e-9
    torch.testing.assert_close(theirs, ours, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("sde", ADAPTED[1:], ids=repr)
@pytest.mark.parametrize(("name", "step"), [("azula/ddpm", "ancestral"), ("diffusers/dpmpp-2m-sde", "sde-dpm-solver")])
def test_an_adapted_peer_takes_our_path_on_the_same_noise_and_leaves_the_shared_generator_alone(name, step, sde):
    """At t = 1 of a rectified flow ours draws noise, and a peer's run begins with DDIM."""
    before = torch.get_rng_state()
    theirs = path(sde, adapted(name), 20)[0]
    assert torch.equal(torch.get_rng_state(), before)
    tolerance = 3e-4 if name.startswith("diffusers") else 1e-9
    torch.testing.assert_close(theirs, path(sde, SAMPLERS[step], 20)[0], rtol=tolerance, atol=tolerance)


@each_adapted
@pytest.mark.parametrize("names", [("k-diffusion/heun", "azula/heun", "diffusers/heun"), ("azula/zeab", "diffusers/deis")])
def test_peers_agree_with_each_other(names, sde):
    one, *others = [path(sde, adapted(name), 20)[0] for name in names]
    for other in others:
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@each_peer
def test_an_adapted_peer_costs_what_it_says_and_follows_its_seed(name):
    sampler, sde = adapted(name), VPSDE()
    points, calls = path(sde, sampler, 7)
    assert sampler.evaluations is not None
    assert calls == 7 * sampler.evaluations
    assert points.isfinite().all()
    again, other = path(sde, sampler, 7)[0], path(sde, sampler, 7, seed=1)[0]
    assert torch.equal(points, again)
    assert torch.equal(points, other) is not sampler.stochastic
    assert not torch.equal(points[-1], points[-2]), "each step moves the points"


@pytest.mark.parametrize("name", [name for name, sampler in peers.PEERS.items() if not sampler.stochastic])
def test_an_adapted_peer_without_noise_approaches_the_exact_flow_with_its_order(name):
    sampler, sde = adapted(name), VESDE(25.0)
    assert sampler.order is not None
    coarse, fine = (path(sde, sampler, steps)[0] for steps in (40, 80))
    exact = flow_end_points(CENTRED, sde, coarse[0], 1e-3)
    errors = [pathwise_error(points[-1], exact).value for points in (coarse, fine)]
    assert math.log2(errors[0] / errors[1]) > sampler.order - 0.3


@pytest.mark.parametrize("name", [name for name, sampler in peers.PEERS.items() if sampler.stochastic])
def test_an_adapted_peer_with_noise_approaches_the_exact_distribution(name):
    sampler, n = adapted(name), 4000
    floor = noise_floor(CENTRED, n, METRICS["exact-sliced-wasserstein"], torch.Generator().manual_seed(0), 20)
    coarse, fine = (sliced_wasserstein_to_mixture(path(VPSDE(), sampler, steps, n)[0][-1], CENTRED) for steps in (8, 300))
    assert fine < 1.3 * floor.high < coarse


def test_a_peer_without_its_grid_says_so():
    step, x = peers.AzulaStep("DDIMSampler"), torch.zeros(3, 2)
    with pytest.raises(RuntimeError, match="does not know its grid; call prepare"):
        step(VPSDE(), exact_score(CENTRED, VPSDE()), x, 1.0, 0.5, x)


def test_only_peers_that_are_installed_are_offered_with_their_versions(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: object() if name == "azula" else None)
    monkeypatch.setattr(peers.metadata, "version", lambda name: {"azula": "1.2.3"}[name])
    assert peers.versions() == {"azula": "1.2.3"}
    offered = peers.installed()
    assert offered and {name.partition("/")[0] for name in offered} == {"azula"}
    assert {sampler.source for sampler in offered.values()} == {"azula 1.2.3"}
    one = offered["azula/ddim"]
    assert fingerprint(one) != fingerprint(replace(one, source="azula 1.2.4")), "rows of another version are other rows"
