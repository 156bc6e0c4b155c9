"""Checks that hold for every target and every SDE, each with its two sides computed in different ways.

A deterministic one is exact up to rounding. Where one side is a mean over random draws, the tolerance is five of its standard
errors, which chance alone exceeds about once in two million times.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from scipy.integrate import quad, solve_ivp
from scipy.optimize import root_scalar
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from scoredm.checks.finding import Case, Finding
from scoredm.grids import log_snr_times, time_of_log_snr
from scoredm.identities import posterior_spread
from scoredm.likelihood import flow_log_prob
from scoredm.losses import dsm_floor
from scoredm.mixture import GaussianMixture
from scoredm.modes import merge_time
from scoredm.priors import exact_prior
from scoredm.samplers import SAMPLERS, Step, euler_maruyama, heun, prepare
from scoredm.score import ScoreFn, exact_score
from scoredm.sde import SDE, Time
from scoredm.simulation import forward_paths, sample

TIMES = (0.05, 0.5, 0.95)
EARLY = 0.01  # where integrals over time begin
POINTS = 200
DRAWS, FEW_DRAWS = 10_000, 2_000
MANY = 20  # components beyond which fewer draws are taken
NODES, NODE_RATE = 40, 1.5  # of Gauss-Legendre quadrature in log-SNR: at least, and per unit of it
FLOOR_ERROR = {True: 1e-2, False: 1e-5}  # of dsm_floor, as it says itself, for more than ten components and for fewer
SIGMAS = 5.0  # standard errors allowed

Spread = TypeVar("Spread", float, Tensor)


# The SDE.


def slope_of(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """The derivative of a function of time by automatic differentiation.

    Args:
        function: takes times (T,) to values (T,), each of which depends on its own time alone.
        t: times, (T,), float64.

    Returns:
        (T,); 0 for a function that does not depend on t.
    """
    t = t.clone().requires_grad_()
    return torch.autograd.grad((function(t) + 0 * t).sum(), t)[0]


def _last(sde: SDE) -> float:
    """1, or a little before where f and g are infinite at 1."""
    return float(sde.with_signal(1.0))


def _times(sde: SDE) -> Tensor:
    return torch.linspace(0.001, _last(sde), 41, dtype=torch.float64)


def drift(case: Case) -> Finding:
    """f = (log alpha)'.

    Args:
        case: target, SDE and seed.
    """
    t = _times(case.sde)
    rate = torch.as_tensor(case.sde.drift_rate(t))
    gap = (rate - slope_of(lambda s: torch.as_tensor(case.sde.alpha(s)).log(), t)).abs() / (1 + rate.abs())
    return Finding(0.0, float(gap.max()), 1e-9)


def diffusion(case: Case) -> Finding:
    """g^2 = (sigma^2)' - 2 f sigma^2.

    Args:
        case: target, SDE and seed.
    """
    t = _times(case.sde)
    square = torch.as_tensor(case.sde.diffusion(t)) ** 2
    growth = slope_of(lambda s: torch.as_tensor(case.sde.sigma(s)) ** 2, t)
    gap = square - (growth - 2 * torch.as_tensor(case.sde.drift_rate(t)) * torch.as_tensor(case.sde.sigma(t)) ** 2)
    return Finding(0.0, float((gap / square).abs().max()), 1e-9)


def start(case: Case) -> Finding:
    """Alpha and sigma at t = 0.

    Args:
        case: target, SDE and seed.
    """
    return Finding((1.0, 0.0), case.sde.scales(0.0), 1e-12)


def digits(case: Case) -> Finding:
    """The relative error of sigma in float32 near t = 0.

    Args:
        case: target, SDE and seed.
    """
    t = torch.tensor([1e-9, 1e-7, 1e-5, 1e-3])
    exact = torch.tensor([float(case.sde.sigma(time)) for time in t.tolist()], dtype=torch.float64)
    found = torch.as_tensor(case.sde.sigma(t)).double()
    return Finding(0.0, float((found / exact - 1).abs().max()), 2e-6)


def paths(case: Case) -> Finding:
    """Total variance of the forward paths against its own equation, v' = 2 f v + g^2, which knows neither alpha nor sigma.

    Args:
        case: target, SDE and seed.
    """
    mixture, sde, times = case.mixture, case.sde, (0.5, _last(case.sde))
    draws = case.draws()
    x0 = mixture.sample(_draws(mixture), draws).double()
    frames = forward_paths(sde, x0, [0.1, 0.2, *times], draws)[-2:]
    square = (frames - frames.mean(1, keepdim=True)).square().sum(-1)
    total, dim = float(mixture.covariance.trace()), mixture.dim

    def variance(t: float) -> float:
        shrink = quad(sde.drift_rate, 0, t, epsabs=1e-10)[0]
        noise = solve_ivp(
            lambda s, v: 2 * float(sde.drift_rate(s)) * v + float(sde.diffusion(s)) ** 2, (0, t), [0.0], rtol=1e-8, atol=1e-10
        )
        return math.exp(2 * shrink) * total + dim * float(noise.y[0, -1])

    errors = square.std(1) / math.sqrt(len(x0))
    return Finding(tuple(variance(t) for t in times), tuple(square.mean(1).tolist()), tuple((SIGMAS * errors).tolist()))


# Density and score.


def _draws(mixture: GaussianMixture) -> int:
    return DRAWS if mixture.n_components <= MANY else FEW_DRAWS


def _variance_of(sde: SDE, S: Spread, t: float) -> Spread:
    """Of p_t, for data of variance S."""
    alpha, sigma = sde.scales(t)
    return alpha**2 * S + sigma**2


def _normal(shape: Sequence[int], draws: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=draws, dtype=torch.float64)


def _data_and_noise(case: Case, draws: torch.Generator, n: int | None = None) -> tuple[Tensor, Tensor]:
    """Points of the data and as much noise, (n, D) each, float64."""
    x0 = case.mixture.sample(n or _draws(case.mixture), draws).double()
    return x0, _normal(x0.shape, draws)


def _noisy(case: Case, t: float, draws: torch.Generator, n: int | None = None) -> Tensor:
    """Draws from p_t, (n, D), float64, that do not ask `diffuse`."""
    x0, z = _data_and_noise(case, draws, n)
    return case.sde.perturb(x0, t, z)


def _independent_distribution(case: Case, t: float) -> MixtureSameFamily:
    """p_t by torch.distributions, from the means and covariances of the data."""
    alpha, sigma = case.sde.scales(t)
    spread = alpha**2 * case.mixture.covariances + sigma**2 * torch.eye(case.mixture.dim, dtype=torch.float64)
    parts = MultivariateNormal(alpha * case.mixture.means, spread)
    return MixtureSameFamily(Categorical(case.mixture.weights), parts)


def gradient(case: Case) -> Finding:
    """The exact score against the gradient of log p_t by autograd, in units of the noise.

    Args:
        case: target, SDE and seed.
    """
    worst = 0.0
    for t in TIMES:
        x = _noisy(case, t, case.draws(), POINTS).requires_grad_()
        slope = torch.autograd.grad(_independent_distribution(case, t).log_prob(x).sum(), x)[0]
        gap = exact_score(case.mixture, case.sde)(x.detach(), t) - slope
        worst = max(worst, float(case.sde.sigma(t)) * float(gap.abs().max()))
    return Finding(0.0, worst, 1e-8)


def convolution(case: Case) -> Finding:
    """`diffuse` against p_t(x) = int p_0(y) N(x; alpha y, sigma^2 I) dy by quadrature along each component's axes.

    Args:
        case: target, SDE and seed.
    """
    worst = 0.0
    for t in TIMES:
        x = _noisy(case, t, case.draws(), POINTS)
        found = case.distribution(t).log_prob(x)
        worst = max(worst, float((found - _convolved(case, t, x)).abs().max()))
    return Finding(0.0, worst, 1e-8)


def _convolved(case: Case, t: float, x: Tensor) -> Tensor:
    """log p_t(x), (N,): along the principal axes of a component the convolution falls apart into integrals over one number."""
    alpha, sigma = case.sde.scales(t)
    variances, axes = case.mixture.principal_axes
    centre = torch.einsum("kij,ki->kj", axes, case.mixture.means)[None, ..., None]
    at = torch.einsum("kij,ni->nkj", axes, x)[..., None]
    std, width = variances.sqrt()[None, ..., None], sigma / alpha
    nodes = torch.linspace(-12, 12, 61, dtype=torch.float64)
    # Nodes where the narrower factor is, for the product vanishes elsewhere.
    u = torch.where(std < width, centre + std * nodes, at / alpha + width * nodes)
    step = torch.where(std < width, std, torch.full_like(std, width))[..., 0] * (nodes[1] - nodes[0])
    product = _log_normal(u, centre, std) + _log_normal(at, alpha * u, torch.tensor(sigma, dtype=torch.float64))
    along = torch.logsumexp(product, -1) + step.log()
    return torch.logsumexp(case.mixture.weights.log() + along.sum(-1), -1)


def _log_normal(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return -(((x - mean) / std) ** 2) / 2 - std.log() - math.log(2 * math.pi) / 2


def fokker_planck(case: Case) -> Finding:
    """The rate at which log p_t changes against -f (D + x.s) + g^2 (div s + |s|^2) / 2, relative to the terms' mean size.

    Args:
        case: target, SDE and seed.
    """
    worst, h = 0.0, 1e-5
    for t in TIMES:
        x = _noisy(case, t, case.draws(), POINTS).requires_grad_()
        f, half = float(case.sde.drift_rate(t)), float(case.sde.diffusion(t)) ** 2 / 2
        s = exact_score(case.mixture, case.sde)(x, t)
        rows = [torch.autograd.grad(s[:, d].sum(), x, retain_graph=True)[0][:, d] for d in range(case.mixture.dim)]
        x, s = x.detach(), s.detach()
        spread, square = torch.stack(rows).sum(0), s.square().sum(-1)
        along = case.mixture.dim + (x * s).sum(-1)
        rate = (case.distribution(t + h).log_prob(x) - case.distribution(t - h).log_prob(x)) / (2 * h)
        size = abs(f) * (1 + along.abs()) + half * (spread.abs() + square)
        worst = max(worst, float((rate + f * along - half * (spread + square)).abs().max() / size.mean()))
    return Finding(0.0, worst, 1e-5)


def tweedie(case: Case) -> Finding:
    """E[x_0 | x_t] by the score against Bayes' rule over the components, in units of the spread of x_t / alpha_t.

    Args:
        case: target, SDE and seed.
    """
    worst = 0.0
    for t in TIMES:
        x = _noisy(case, t, case.draws(), POINTS)
        alpha, sigma = case.sde.scales(t)
        unit = math.sqrt(float(case.distribution(t).covariance.trace())) / alpha
        by_score = (x + sigma**2 * exact_score(case.mixture, case.sde)(x, t)) / alpha
        worst = max(worst, float((by_score - case.mixture.posterior_mean(x, alpha, sigma)).abs().max()) / unit)
    return Finding(0.0, worst, 1e-9)


def merging(case: Case) -> Finding:
    """Two modes set so that they merge at t = 1/2: by the closed form, and where the score at the middle turns flat.

    Args:
        case: target, SDE and seed.
    """
    alpha, sigma = case.sde.scales(0.5)
    noise, std = sigma / alpha, sigma / alpha / 2
    mu = math.hypot(std, noise)
    pair = GaussianMixture([[-mu], [mu]], [[[std**2]]] * 2, [1, 1])
    score = exact_score(pair, case.sde)

    def slope(t: float) -> float:
        at = 1e-4 * float(case.sde.alpha(t)) * mu * torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
        up, down = score(at, t)[:, 0].tolist()
        return up - down

    flat = float(root_scalar(slope, bracket=(0.05, _last(case.sde))).root)
    return Finding((0.5, 0.5), (merge_time(pair, case.sde) or math.nan, flat), 1e-5)


# Losses and entropy.


def _allowed(terms: Tensor) -> float:
    """Five standard errors of the mean of (N,) terms."""
    return SIGMAS * float(terms.std()) / math.sqrt(len(terms))


def _one_gaussian(mixture: GaussianMixture, wider: float = 1.0) -> GaussianMixture:
    return mixture.gaussian_fit(wider)


def dsm(case: Case) -> Finding:
    """DSM less ESM at t = 1/2 for a wrong score, against the spread of the clean data, which knows no score.

    Args:
        case: target, SDE and seed.
    """
    t, sde = 0.5, case.sde
    (alpha, sigma), (x0, z) = case.sde.scales(t), _data_and_noise(case, case.draws())
    x = sde.perturb(x0, t, z)
    exact, wrong = exact_score(case.mixture, sde)(x, t), exact_score(_one_gaussian(case.mixture), sde)(x, t) / 2
    found = (sigma * wrong + z).square().sum(-1) - (sigma * (wrong - exact)).square().sum(-1)
    expected = (alpha / sigma) ** 2 * (x0 - case.mixture.posterior_mean(x, alpha, sigma)).square().sum(-1)
    return Finding(float(expected.mean()), float(found.mean()), _allowed(found - expected))


def floor(case: Case) -> Finding:
    """The floor of DSM at t = 1/2 by quadrature of the score, against the spread of the clean data by draws.

    Args:
        case: target, SDE and seed.
    """
    spread, error = posterior_spread(case.mixture, case.sde, 0.5, _draws(case.mixture), case.draws())
    quadrature = FLOOR_ERROR[case.mixture.n_components > 10]
    return Finding(spread, dsm_floor(case.mixture, case.sde, 0.5), SIGMAS * error + quadrature)


def _over_time(sde: SDE) -> list[tuple[float, float]]:
    """Nodes t and weights w with sum w F(t) = int F dt over [EARLY, _last(sde)]: Gauss-Legendre quadrature in log-SNR."""
    most, least = float(sde.log_snr(EARLY)), float(sde.log_snr(_last(sde)))
    nodes, weights = np.polynomial.legendre.leggauss(max(NODES, math.ceil(NODE_RATE * (most - least))))
    times = [time_of_log_snr(sde, least + (most - least) * (node + 1) / 2) for node in nodes.tolist()]
    rates = slope_of(lambda t: torch.as_tensor(sde.log_snr(t)), torch.tensor(times, dtype=torch.float64))
    return list(zip(times, (weights * (most - least) / 2 / rates.abs().numpy()).tolist(), strict=True))


def entropy(case: Case) -> Finding:
    """h(p_1) - h(p_t0) against int (D f + g^2 E|s|^2 / 2) dt from t0 to 1, with fresh draws at each node.

    Args:
        case: target, SDE and seed.
    """
    mixture, sde, draws = case.mixture, case.sde, case.draws()
    x0, z = _data_and_noise(case, draws)
    before, after = (case.distribution(t).log_prob(sde.perturb(x0, t, z)) for t in (EARLY, _last(sde)))
    gained = before - after
    nodes, integral = _over_time(sde), torch.zeros(len(x0), dtype=torch.float64)
    score = exact_score(mixture, sde).on_grid([t for t, _ in nodes], x0)
    for t, weight in nodes:
        square = score(_noisy(case, t, draws), t).square().sum(-1)
        integral += weight * (mixture.dim * float(sde.drift_rate(t)) + float(sde.diffusion(t)) ** 2 / 2 * square)
    return Finding(float(gained.mean()), float(integral.mean()), _allowed(gained - integral))


def girsanov(case: Case) -> Finding:
    """KL(p || q) at t0 against its bound, which is attained where the wrong score and its prior belong to one diffusion q.

    Args:
        case: target, SDE and seed.
    """
    mixture, sde, draws = case.mixture, case.sde, case.draws()
    other = Case(_one_gaussian(mixture, 2.0), sde, case.seed)
    x0, z = _data_and_noise(case, draws)

    def gap(t: float) -> Tensor:
        x = sde.perturb(x0, t, z)
        return case.distribution(t).log_prob(x) - other.distribution(t).log_prob(x)

    found, bound, nodes = gap(EARLY), gap(_last(sde)), _over_time(sde)
    exact, wrong = (
        exact_score(distribution, sde).on_grid([t for t, _ in nodes], x0) for distribution in (mixture, other.mixture)
    )
    for t, weight in nodes:
        x = _noisy(case, t, draws)
        bound += weight * float(sde.diffusion(t)) ** 2 / 2 * (exact(x, t) - wrong(x, t)).square().sum(-1)
    return Finding(float(bound.mean()), float(found.mean()), _allowed(found - bound))


def girsanov_strict(case: Case) -> Finding:
    """The bound on data N(1, 1) for the score of data N(0, 1) and the prior N(0, sigma_1^2): the model is then N(0, v).

    Args:
        case: target, SDE and seed.
    """
    sde = case.sde

    def spread(t: float) -> float:
        return _variance_of(sde, 1.0, t)

    def backwards(t: float, v: np.ndarray) -> np.ndarray:
        """Of the model's variance: dx = [f x - g^2 s] dt + g dw from 1 down, s = -x / V."""
        g2 = float(sde.diffusion(t)) ** 2
        return 2 * (float(sde.drift_rate(t)) + g2 / spread(t)) * v - g2

    def divergence(t: float, v: float) -> float:
        """KL(N(alpha, V) || N(0, v))."""
        return ((spread(t) + float(sde.alpha(t)) ** 2) / v - 1 - math.log(spread(t) / v)) / 2

    last = _last(sde)
    prior = float(sde.sigma(last)) ** 2
    end = float(solve_ivp(backwards, (last, EARLY), [prior], method="LSODA", rtol=1e-10, atol=1e-12).y[0, -1])
    missed = sum(w * (float(sde.diffusion(t)) * float(sde.alpha(t)) / spread(t)) ** 2 for t, w in _over_time(sde)) / 2
    return Finding(missed + divergence(last, prior), divergence(EARLY, end), 1e-6, at_most=True)


# Sampling.

REVERSE_TO = 0.1  # where reverse paths end: nearer to the data many more steps would be needed
REVERSE_STEPS = 120
FLOW_STEPS = 320  # of the flow of one point
ENCODED = 50  # points whose likelihood is found

_grid = lru_cache(maxsize=32)(log_snr_times)


def _with(step: Step, case: Case, times: Sequence[float], start: Tensor, noise: Tensor) -> Tensor:
    score = exact_score(case.mixture, case.sde)
    return sample(case.sde, score, len(start), times=times, step=step, start=start, noise=noise).end


def _distribution_after(step: Step, power: int, case: Case) -> Finding:
    """Mean of -log p_t and total variance of reverse paths from p_1, compared with fresh draws of p_t.

    They run with all steps and with half as many along the same noise, so that the leading error, of this power of the step,
    cancels.
    """
    draws, distribution = case.draws(), case.distribution(REVERSE_TO)
    n = _draws(case.mixture)
    start = exact_prior(case.mixture, case.sde).sample(n, draws).double()
    times = _grid(case.sde, REVERSE_STEPS, REVERSE_TO)
    noise = _normal((REVERSE_STEPS, *start.shape), draws)
    spans = torch.tensor([a - b for a, b in pairwise(times)], dtype=torch.float64)[:, None, None]
    along = (spans.sqrt() * noise).unflatten(0, (-1, 2)).sum(1) / spans.unflatten(0, (-1, 2)).sum(1).sqrt()
    fine, coarse = _with(step, case, times, start, noise), _with(step, case, times[::2], start, along)
    fresh = distribution.sample(n, draws).double()

    def statistics(x: Tensor) -> Tensor:
        return torch.stack([-distribution.log_prob(x), (x - distribution.mean).square().sum(-1)])

    found, expected = (2**power * statistics(fine) - statistics(coarse)) / (2**power - 1), statistics(fresh)
    errors = (found.var(1) / n + expected.var(1) / n).sqrt()
    return Finding(tuple(expected.mean(1).tolist()), tuple(found.mean(1).tolist()), tuple((SIGMAS * errors).tolist()))


def anderson(case: Case) -> Finding:
    """The reverse SDE takes draws of p_1 to draws of p_t.

    Args:
        case: target, SDE and seed.
    """
    return _distribution_after(euler_maruyama, 1, case)


def flow(case: Case) -> Finding:
    """The probability flow takes draws of p_1 to draws of p_t.

    Args:
        case: target, SDE and seed.
    """
    return _distribution_after(heun, 2, case)


def likelihood(case: Case) -> Finding:
    """log p_0 by following the flow from the data to p_1, against the mixture's own, at draws of the data; in nats.

    Args:
        case: target, SDE and seed.
    """
    x = case.mixture.sample(ENCODED, case.draws()).double()
    narrowest = math.sqrt(float(case.mixture.principal_axes[0].min()))
    score, prior = exact_score(case.mixture, case.sde), exact_prior(case.mixture, case.sde)
    found = flow_log_prob(case.sde, score, prior, x, scale=narrowest)
    return Finding(0.0, float((found - case.mixture.log_prob(x)).abs().max()), 5e-3)


def flow_of_a_gaussian(case: Case) -> Finding:
    """Where the flow takes a point two standard deviations out along each axis of one Gaussian with the data's moments.

    Args:
        case: target, SDE and seed.
    """
    gaussian = Case(_one_gaussian(case.mixture), case.sde, case.seed)
    before, after = gaussian.distribution(1.0), gaussian.distribution(REVERSE_TO)
    (v1, axes), (v0, _) = ((p[0] for p in distribution.principal_axes) for distribution in (before, after))
    start = before.mean + 2 * v1.sqrt() @ axes.T
    end = _with(heun, gaussian, _grid(case.sde, FLOW_STEPS, REVERSE_TO), start[None], torch.zeros(FLOW_STEPS, 1, len(start)))
    found = ((end[0] - after.mean) @ axes) / v0.sqrt()
    return Finding((2.0,) * len(start), tuple(found.tolist()), 5e-3)


# Samplers on Gaussian data.

ORDER_STEPS = (160, 320)
ORDER_TO = 0.5  # much nearer to the data the leading errors of Euler-Maruyama cancel where nothing drifts
FAR_RUNS = {"dpm-solver-3m", "unipc", "deis", "churned-heun"}  # of which t = 0.5 may be too near to t = 1
ORDER_RISE = 8.0  # of the log-SNR in these runs
ORDER_SPREADS = (0.25, 1.0, 4.0)  # the data's variances, in units of the noise's at that t: one alone may hide the leading error


def _variance_after(name: str, sde: SDE, score: ScoreFn, variance: Tensor, times: Sequence[float]) -> Tensor:
    """The variances (D,) that a sampler ends with from those it starts with, where each of its steps is linear in x and z.

    A particle starts at the standard deviation; for the noise of each step another starts at 0, and feels noise 1 in that step.
    """
    step, x = SAMPLERS[name].make_step(), torch.zeros(len(times), len(variance), dtype=variance.dtype)
    x[0] = variance.sqrt()
    if not SAMPLERS[name].stochastic:
        x = x[:1]
    prepare(step, sde, times)
    for i, (t, t_next) in enumerate(pairwise(times), 1):
        noise = torch.zeros_like(x)
        noise[i:][:1] = 1
        x = step(sde, score, x, t, t_next, noise)
    return x.square().sum(0)


def order(name: str, case: Case) -> Finding:
    """The power of the step with which the error of a sampler falls, from two numbers of steps.

    The error is relative, in the variance, as a root mean square over three variances of the data. Those of FAR_RUNS begin
    with short steps, in which they have little to remember yet, and run until the log-SNR has risen by ORDER_RISE.

    Args:
        name: of a sampler in SAMPLERS that has an order.
        case: its SDE is used, on Gaussian data.

    Returns:
        The order that the sampler's entry states, and the one found.
    """
    sde, far, to = case.sde, name in FAR_RUNS, ORDER_TO
    if far:
        to = time_of_log_snr(sde, float(sde.log_snr(_last(sde))) + ORDER_RISE)
    S = math.exp(-float(sde.log_snr(to))) * torch.tensor(ORDER_SPREADS, dtype=torch.float64)

    def score(x: Tensor, t: Time, /) -> Tensor:
        return -x / _variance_of(sde, S, float(t))

    def error(steps: int) -> float:
        first, second, *rest = [_last(sde), *_grid(sde, steps, to)[1:]]
        short = [first + (second - first) / 2**k for k in range(6, 0, -1)] if far else []
        found = _variance_after(name, sde, score, _variance_of(sde, S, first), [first, *short, second, *rest])
        return float((found / _variance_of(sde, S, to) - 1).square().mean().sqrt())

    return Finding(float(SAMPLERS[name].order or 0), math.log2(error(ORDER_STEPS[0]) / error(ORDER_STEPS[1])), 0.1)


def recursion(case: Case) -> Finding:
    """The variance after 50 steps of Euler-Maruyama on Gaussian data: the sampler's over that of the written recursion.

    Args:
        case: target, SDE and seed.
    """
    sde = case.sde
    S = float(case.mixture.covariance.trace()) / case.mixture.dim
    times = [_last(sde), *_grid(sde, 50, REVERSE_TO)[1:]]
    v = first = _variance_of(sde, S, times[0])
    for t, t_next in pairwise(times):
        g2, dt = float(sde.diffusion(t)) ** 2, t - t_next
        v = (1 - (float(sde.drift_rate(t)) + g2 / _variance_of(sde, S, t)) * dt) ** 2 * v + g2 * dt
    score = exact_score(GaussianMixture.gaussian([0.0], [[S]]), sde)
    found = _variance_after("euler-maruyama", sde, score, torch.tensor([first], dtype=torch.float64), times)
    return Finding(1.0, float(found) / v, 1e-9)


ORDERS: dict[str, Callable[[Case], Finding]] = {
    name: partial(order, name)
    for name, sampler in SAMPLERS.items()
    if sampler.order is not None and sampler.evaluations is not None
}
