"""Known values of the tutorial's experiment, computed again.

Each was found first without this library: by quadrature, in closed form, or by running the notebook. The tolerance is the last
digit that is given, five standard errors where draws are involved, or the spread over seeds.
"""

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import root_scalar
from torch import Tensor

from scoredm import targets
from scoredm.checks.finding import Finding
from scoredm.grids import uniform_times
from scoredm.likelihood import flow_log_prob
from scoredm.losses import dsm_loss, notebook_score_error
from scoredm.metrics import compare_moments
from scoredm.mixture import GaussianMixture
from scoredm.priors import exact_prior, moment_matched_prior, zero_mean_prior
from scoredm.samplers import SAMPLERS, euler_maruyama
from scoredm.score import exact_score
from scoredm.sde import VESDE
from scoredm.simulation import sample
from scoredm.training import TrainConfig, Trainer, TrainMetrics, mean_floor

EPS = 0.01  # where the notebook's times begin
FLOOR_TIMES = (0.01, 0.25, 0.5, 0.75, 1.0)
PARTICLES = 60_000


def _tutorial() -> GaussianMixture:
    return targets.mixture("tutorial")


def _plane(half_width: float, n: int = 401) -> tuple[Tensor, float]:
    """Points (n^2, 2) of a square grid, and the area each stands for."""
    side = torch.linspace(-half_width, half_width, n, dtype=torch.float64)
    return torch.cartesian_prod(side, side), float(side[1] - side[0]) ** 2


# The prior.


def prior_divergence() -> Finding:
    """KL(p_1 || N(0, sigma_1^2 I)) by quadrature, at lambda 5 and 25."""

    def divergence(lam: float) -> float:
        sde = VESDE(lam)
        p, q = exact_prior(_tutorial(), sde), zero_mean_prior(sde, 2)
        x, area = _plane(9 * float(sde.sigma(1.0)) + 6)
        log_p = p.log_prob(x)
        return float((log_p.exp() * (log_p - q.log_prob(x))).sum()) * area

    return Finding((0.1088, 0.00546), (divergence(5.0), divergence(25.0)), (1e-4, 1e-5))


def prior_bias() -> Finding:
    """Mean and first weight after 200 steps from N(0, sigma_1^2 I) at lambda 5; the truth is (1, 0) and .5."""
    sde = VESDE(5.0)
    x = sample(sde, exact_score(_tutorial(), sde), PARTICLES, generator=torch.Generator().manual_seed(0)).end
    found = compare_moments(x, _tutorial())
    return Finding((0.745, 0.064, 0.55), (*found.mean.found.tolist(), float(found.weights.found[0])), (0.03, 0.03, 0.01))


def prior_cured() -> Finding:
    """The same from the Gaussian with the mean and covariance of p_1."""
    sde = VESDE(5.0)
    prior, draws = moment_matched_prior(_tutorial(), sde), torch.Generator().manual_seed(0)
    x = sample(sde, exact_score(_tutorial(), sde), PARTICLES, prior=prior, generator=draws).end
    found = compare_moments(x, _tutorial())
    return Finding((1.0, 0.0, 0.5), (*found.mean.found.tolist(), float(found.weights.found[0])), (0.03, 0.03, 0.01))


# The floor, entropy, the modes, and digits.


def floors() -> Finding:
    """D - sigma^2 E|s|^2 by quadrature over the plane."""
    sde = VESDE(25.0)

    def floor(t: float) -> float:
        p_t = _tutorial().at(sde, t)
        x, area = _plane(7 * float(sde.sigma(t)) + 9)
        return 2 - float(sde.sigma(t)) ** 2 * float((p_t.log_prob(x).exp() * p_t.score(x).square().sum(-1)).sum()) * area

    return Finding((1.986, 1.478, 0.722, 0.207, 0.045), tuple(floor(t) for t in FLOOR_TIMES), 6e-4)


def floor_over_time() -> Finding:
    """The mean of the floor over t in [.01, 1]."""
    return Finding(0.840, mean_floor(_tutorial(), VESDE(25.0), EPS), 6e-4)


def de_bruijn() -> Finding:
    """int g^2 E|s|^2 dt against 2 [h(p_1) - h(p_t0)] for three modes on the line, both by quadrature."""
    sde, mixture, x = VESDE(10.0), targets.mixture("three-modes"), torch.linspace(-60, 60, 12_001, dtype=torch.float64)[:, None]

    def moment(t: float, of: str) -> float:
        p_t = mixture.at(sde, t)
        log_p = p_t.log_prob(x)
        values = -log_p if of == "entropy" else p_t.score(x)[:, 0] ** 2
        return float((log_p.exp() * values).sum() * (x[1, 0] - x[0, 0]))

    nodes, weights = np.polynomial.legendre.leggauss(60)
    times = EPS + (nodes + 1) / 2 * (1 - EPS)
    integrand = [float(sde.diffusion(t)) ** 2 * moment(t, "score") for t in times.tolist()]
    found = float(weights @ np.array(integrand)) * (1 - EPS) / 2
    return Finding(2 * (moment(1.0, "entropy") - moment(EPS, "entropy")), found, 1e-5)


def merging() -> Finding:
    """When modes at +-2 of standard deviation 1/2 merge at lambda 5 and 25: ln(1 + 2 ln(lambda) 3.75) / (2 ln(lambda))."""
    pair = GaussianMixture([[-2.0], [2.0]], [[[0.25]]] * 2, [1, 1])

    def slope(t: float, lam: float) -> float:
        up, down = pair.at(VESDE(lam), t).score(torch.tensor([[1e-4], [-1e-4]], dtype=torch.float64))[:, 0].tolist()
        return up - down

    def found(lam: float) -> float:
        return float(root_scalar(slope, (lam,), bracket=(0.05, 1.0)).root)

    def expected(lam: float) -> float:
        return math.log(1 + 2 * math.log(lam) * 3.75) / (2 * math.log(lam))

    return Finding((expected(5.0), expected(25.0)), (found(5.0), found(25.0)), 1e-5)


def lost_digits() -> Finding:
    """The relative error of sigma^2 in float32 at t = 1e-5: at most 1e-4 by powers, 1e-6 by expm1."""
    t, rate = torch.tensor(1e-5), 2 * math.log(25.0)
    exact = math.expm1(rate * float(t)) / rate
    by_powers, by_expm1 = (25.0 ** (2 * t) - 1) / rate, torch.as_tensor(VESDE(25.0).sigma(t)) ** 2
    return Finding((1e-4, 0.0), (abs(float(by_powers) / exact - 1), abs(float(by_expm1) / exact - 1)), (9e-5, 1e-6))


def likelihoods() -> Finding:
    """log p_0 at (0, 1), (1, 0) and (2, -1) by the probability flow at lambda 25."""
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, -1.0]], dtype=torch.float64)
    sde = VESDE(25.0)
    found = flow_log_prob(sde, exact_score(_tutorial(), sde), exact_prior(_tutorial(), sde), x)
    return Finding((-2.5232, -3.0270, -2.7869), tuple(found.tolist()), 6e-5)


# Orders, on N(0, 1) at lambda 25 and even steps.


def _flow_error(name: str, steps: int) -> float:
    """How far from its exact place the flow ends that starts at x = 1."""
    sde, x, end = VESDE(25.0), torch.ones(1, 1, dtype=torch.float64), 1e-6
    step, score = SAMPLERS[name].make_step(), exact_score(GaussianMixture.gaussian([0.0], [[1.0]]), sde)
    for t, t_next in pairwise(uniform_times(steps, end)):
        x = step(sde, score, x, t, t_next, torch.zeros_like(x))
    return abs(float(x) - math.sqrt((1 + float(sde.sigma(end)) ** 2) / (1 + float(sde.sigma(1.0)) ** 2)))


def _variance_error(steps: int) -> float:
    """How far from 1 the variance ends that Euler-Maruyama leaves, each of whose steps is linear in x and z."""
    sde, zero, one = VESDE(25.0), torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    score = exact_score(GaussianMixture.gaussian([0.0], [[1.0]]), sde)
    variance = 1 + float(sde.sigma(1.0)) ** 2
    for t, t_next in pairwise(uniform_times(steps, 1e-6)):
        kept, added = (float(euler_maruyama(sde, score, at, t, t_next, 1 - at)) for at in (one, zero))
        variance = kept**2 * variance + added**2
    return abs(variance - 1)


def flow_euler_errors() -> Finding:
    """Of the probability flow by Euler, at 20 and 640 steps."""
    return Finding((2.2e-2, 6.9e-4), (_flow_error("flow-euler", 20), _flow_error("flow-euler", 640)), (5e-4, 5e-6))


def heun_errors() -> Finding:
    """Of the probability flow by Heun, at 20 and 640 steps."""
    return Finding((8.3e-4, 7.5e-7), (_flow_error("heun", 20), _flow_error("heun", 640)), (5e-6, 5e-9))


def euler_maruyama_errors() -> Finding:
    """Of the variance by Euler-Maruyama, at 20 and 640 steps."""
    return Finding((3.7e-2, 7.4e-4), (_variance_error(20), _variance_error(640)), (5e-4, 5e-6))


# The notebook.


def extra_increment() -> Finding:
    """The variance of the notebook's cumulative sum at lambda 26 with 50 frames, over the true one."""
    lam, frames = 26.0, 50
    cumulative = sum(lam ** (2 * i / (frames - 1)) / (frames - 1) for i in range(frames))
    return Finding(1.068, cumulative / float(VESDE(lam).sigma(1.0)) ** 2, 5e-4)


def loss_of_one_point() -> Finding:
    """The loss of all data at 0 with s = -x / sigma^2, and of s = 0 on any data: 0 and D."""
    sde, draws = VESDE(25.0), torch.Generator().manual_seed(0)
    noise, t = torch.randn(PARTICLES, 2, generator=draws, dtype=torch.float64), 0.3
    at_zero = dsm_loss(sde, lambda x, s: -x / float(sde.sigma(float(s))) ** 2, torch.zeros_like(noise), t, noise)
    x0 = _tutorial().sample(PARTICLES, draws).double()
    silent = dsm_loss(sde, lambda x, _t: torch.zeros_like(x), x0, t, noise)
    return Finding((0.0, 2.0), (float(at_zero), float(silent)), (1e-12, 5 * 2 / math.sqrt(PARTICLES)))


def loss_of_a_gaussian() -> Finding:
    """The loss of the exact score on Gaussian data with variances 2 and 0.5: sum_i v_i / (v_i + sigma^2)."""
    sde, draws, t = VESDE(25.0), torch.Generator().manual_seed(0), 0.4
    gaussian = GaussianMixture.gaussian([1.0, -1.0], [[2.0, 0.0], [0.0, 0.5]])
    x0 = gaussian.sample(PARTICLES, draws).double()
    noise = torch.randn(x0.shape, generator=draws, dtype=torch.float64)
    residual = float(sde.sigma(t)) * exact_score(gaussian, sde)(sde.perturb(x0, t, noise), t) + noise
    expected = sum(v / (v + float(sde.sigma(t)) ** 2) for v in (2.0, 0.5))
    error = float(residual.square().sum(-1).std()) / math.sqrt(PARTICLES)
    return Finding(expected, float(dsm_loss(sde, exact_score(gaussian, sde), x0, t, noise)), 5 * error)


def perfect_score() -> Finding:
    """What the exact score scores on the notebook's own measure, on average over t in [.01, 1]."""
    times = EPS + (1 - EPS) * (np.arange(50) + 0.5) / 50
    found = notebook_score_error(_tutorial(), exact_score(_tutorial(), VESDE(25.0)), times, n=20_000)
    return Finding(0.364, float(found.mean()), 0.01)


@lru_cache(maxsize=1)
def _rerun() -> tuple[TrainMetrics, ...]:
    """The notebook's training, by our own trainer."""
    return tuple(Trainer(_tutorial(), VESDE(25.0), TrainConfig.notebook(), "cpu"))


def first_loss() -> Finding:
    """Before the first step."""
    return Finding(2.152, _rerun()[0].dsm, 0.5)


def last_loss() -> Finding:
    """The mean of the last 50 steps."""
    return Finding(0.849, float(np.mean([row.dsm for row in _rerun()[-50:]])), 0.02)


def last_notebook_metric() -> Finding:
    """The notebook's own measure at the end."""
    return Finding(0.39, _rerun()[-1].notebook_error, 0.06)


def last_score_error() -> Finding:
    """The sigma^2-weighted score error at the end."""
    return Finding(0.0054, _rerun()[-1].test_error, 0.004)
