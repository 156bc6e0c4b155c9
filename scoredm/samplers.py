"""Samplers, one step each: from x at time t to x at an earlier time t_next, by a score.

Every step is for any SDE dx = f x dt + g dw with p(x_t | x_0) = N(alpha_t x_0, sigma_t^2 I). Two processes run backwards through
the same distributions p_t: the reverse SDE dx = [f x - g^2 s] dt + g dw (Anderson 1982), and the probability flow
dx/dt = f x - g^2 s / 2, which draws no noise (Song et al. 2020, arXiv 2011.13456, sec. 4.3).

Where nothing of the data is left, alpha_t = 0 as at t = 1 of a rectified flow, f and g are infinite. The steps that need them
begin there with the step of the same process that needs only E[x_0 | x_t]: `ancestral` where they draw noise, else `ddim`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from scoredm.grids import time_of_log_snr
from scoredm.language import N_
from scoredm.multistep import DEIS, DPMSolver2M, DPMSolver3M, UniPC
from scoredm.score import ScoreFn, add_score, denoise
from scoredm.sde import SDE, Time


class Step(Protocol):
    """One step from t down to t_next, 1 >= t >= t_next >= 0.

    A function will do. An object that needs its grid has a method `prepare(sde, times)` too, which `rollout` and `sample`
    call once before the first step, with all the times that the run steps through.
    """

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor, /) -> Tensor:
        """Take the step.

        Args:
            sde: the forward diffusion.
            score_fn: the score s(x, t); a step may ask it at any time.
            x: points at t, (N, D); they are left as they are.
            t: the time at which the step begins.
            t_next: the time at which it ends, at most t; where it is t, the answer is x, or x moved within its distribution p_t.
            noise: (N, D), standard normal; the step may overwrite and return it.

        Returns:
            Points at t_next, (N, D).
        """
        ...


def prepare(step: Step, sde: SDE, times: Sequence[float]) -> None:
    """Call `step.prepare(sde, times)` if the step has it.

    `rollout` and `sample` do so. Call this before the first step if you take the steps yourself.

    Args:
        step: a step, with or without a method `prepare`.
        sde: the forward diffusion.
        times: the times that the run steps through.
    """
    tell = getattr(step, "prepare", None)
    if tell is not None:
        tell(sde, times)


def euler_maruyama(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
    """Take one Euler-Maruyama step of the reverse SDE; weak order 1, and strong order 1 too, as g does not depend on x.

        x - (f x - g^2 s) dt + g sqrt(dt) z,   dt = t - t_next, with f, g and s taken at t

    Args:
        sde: the forward diffusion.
        score_fn: the score s(x, t).
        x: points at t, (N, D).
        t: the time at which the step begins.
        t_next: the time at which it ends, at most t.
        noise: z, (N, D), standard normal; it is overwritten.

    Returns:
        Points at t_next, (N, D).

    References:
        Song et al. 2020, arXiv 2011.13456, section 4.1; Kloeden and Platen 1992, "Numerical Solution of Stochastic Differential
        Equations", sections 10.2 and 10.3.
    """
    if sde.only_noise(t):
        return ancestral(sde, score_fn, x, t, t_next, noise)
    dt = t - t_next
    g = float(sde.diffusion(t))
    keep = 1 - float(sde.drift_rate(t)) * dt
    return add_score(_with_noise(x, keep, noise, g * math.sqrt(dt)), score_fn, x, t, g**2 * dt)


def _with_noise(x: Tensor, keep: float, noise: Tensor, spread: float) -> Tensor:
    """keep x + spread z, in the memory of the noise z."""
    if keep == 1 and not torch.is_grad_enabled():  # one pass over the points in place of two
        return torch.add(x, noise, alpha=spread, out=noise)
    return noise.mul_(spread).add_(x, alpha=keep)


def reverse_step(eta: float) -> Step:
    """Make an Euler step of the reverse process with noise eta; the distribution of x_t is the same for every eta.

        x - (f x - (1 + eta^2) / 2 g^2 s) dt + eta g sqrt(dt) z

    Args:
        eta: 0 or more; 1 is the reverse SDE, 0 the probability-flow ODE.

    Returns:
        The step.

    Raises:
        ValueError: eta is negative or not finite.

    References:
        Karras et al. 2022, arXiv 2206.00364, equation 6.
    """
    if not 0 <= eta < math.inf:
        raise ValueError(f"eta is {eta}; it must be a number, 0 or more")

    def step(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        if sde.only_noise(t):
            return (ancestral if eta else ddim)(sde, score_fn, x, t, t_next, noise)
        dt, g = t - t_next, float(sde.diffusion(t))
        keep = 1 - float(sde.drift_rate(t)) * dt
        weight = (1 + eta**2) / 2 * g**2 * dt
        return add_score(_with_noise(x, keep, noise, eta * g * math.sqrt(dt)), score_fn, x, t, weight)

    return step


def flow_euler(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, _noise: Tensor) -> Tensor:
    """Take one Euler step of the probability-flow ODE; order 1.

        x - (f x - g^2 s / 2) dt,   dt = t - t_next

    Args:
        sde: the forward diffusion.
        score_fn: the score s(x, t).
        x: points at t, (N, D).
        t: the time at which the step begins.
        t_next: the time at which it ends, at most t.

    Returns:
        Points at t_next, (N, D).
    """
    if sde.only_noise(t):
        return ddim(sde, score_fn, x, t, t_next, _noise)
    return x - (t - t_next) * _flow(sde, score_fn, x, t)


def heun(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, _noise: Tensor) -> Tensor:
    """Take one Heun step of the probability-flow ODE; order 2, two evaluations of the score.

    It is an Euler step, followed by one with the mean of the slopes at both ends. A step to t = 0 is the Euler step alone,
    because a network has no value at 0.

    Args:
        sde: the forward diffusion.
        score_fn: the score s(x, t).
        x: points at t, (N, D).
        t: the time at which the step begins.
        t_next: the time at which it ends, at most t.

    Returns:
        Points at t_next, (N, D).

    References:
        Karras et al. 2022, arXiv 2206.00364, algorithm 1, here in t for any SDE.
    """
    if sde.only_noise(t):
        return ddim(sde, score_fn, x, t, t_next, _noise)
    dt = t - t_next
    slope = _flow(sde, score_fn, x, t)
    if t_next == 0:
        return x - dt * slope
    return x - dt / 2 * (slope + _flow(sde, score_fn, x - dt * slope, t_next))


@final
class ChurnedHeun:
    """EDM's stochastic sampler: before each step of Heun some noise is added, and t rises to where that noise belongs.

    In the variables y = x / alpha and r = sigma / alpha, with N the number of steps in the grid:

        gamma = min(churn / N, sqrt(2) - 1) where low <= r_t <= high, else 0
        r' = (1 + gamma) r_t,   y' = y + noise sqrt(r'^2 - r_t^2) z, and then Heun's step of dy/dr = (y - x_0) / r from r' to r_s

    The noise leads from p_t to p_t' exactly, so the order in the distribution is Heun's, 2. No noise is added at t = 1, above
    which there is no time, and t' is at most 1. A step to t = 0, and one from where alpha = 0, is the Euler step alone (DDIM).

    Args:
        churn: how much noise is added in all; 0 is the probability flow.
        low: the least noise-to-signal ratio r at which noise is added.
        high: the largest.
        noise: the standard deviation of z; Karras et al. take 1.003 to 1.007 for networks, which remove a little too much noise.

    Raises:
        ValueError: one of them is out of its range.

    References:
        Karras et al. 2022, arXiv 2206.00364, algorithm 2 and table 5, from which the defaults are.
    """

    def __init__(self, churn: float = 40.0, low: float = 0.05, high: float = 50.0, noise: float = 1.0) -> None:
        """Validate the settings; the grid is not known yet."""
        for name, value in (("churn", churn), ("low", low), ("noise", noise)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}; it must be a number, 0 or more")
        if not high >= low:
            raise ValueError(f"high is {high}; it must be at least low, {low}")
        self._churn, self._low, self._high, self._noise = churn, low, high, noise
        self._gamma: float | None = None

    def prepare(self, _sde: SDE, times: Sequence[float]) -> None:
        """Share the noise out over the steps of the grid.

        Args:
            times: the times that the run steps through.
        """
        self._gamma = min(self._churn / (len(set(times)) - 1), math.sqrt(2) - 1)

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        """x, noise: (N, D) -> (N, D)."""
        if t_next == t:
            return x
        if self._gamma is None:
            raise RuntimeError("this step does not know its grid; call prepare(sde, times) before the first step")
        (alpha, sigma), (alpha_s, sigma_s) = sde.scales(t), sde.scales(t_next)
        if self._gamma > 0 and t < 1 and self._low * alpha <= sigma <= self._high * alpha:
            t, (alpha_before, sigma_before) = self._raised(sde, t), (alpha, sigma)
            alpha, sigma = sde.scales(t)
            keep = alpha / alpha_before
            spread = self._noise * math.sqrt(max(sigma**2 - (keep * sigma_before) ** 2, 0.0))
            x = _with_noise(x, keep, noise, spread)
        clean = denoise(sde, score_fn, x, t)
        keep = sigma_s / sigma
        euler = (keep * x).add_(clean, alpha=alpha_s - keep * alpha)
        if sigma_s == 0 or alpha == 0:
            return euler
        ratio, ratio_s = sigma / alpha, sigma_s / alpha_s
        slopes = (x / alpha - clean) / ratio + (euler / alpha_s - denoise(sde, score_fn, euler, t_next)) / ratio_s
        return (alpha_s / alpha * x).add_(slopes, alpha=alpha_s * (ratio_s - ratio) / 2)

    def _raised(self, sde: SDE, t: float) -> float:
        """The time at which r is 1 + gamma times as large as at t, or 1."""
        level = float(sde.log_snr(t)) - 2 * math.log1p(self._gamma or 0.0)
        return 1.0 if level <= float(sde.log_snr(1.0)) else time_of_log_snr(sde, level)


def ancestral(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
    """Draw from p(x_s | x_t, x_0) at x_0 = E[x_0 | x_t], with s = t_next; exact in the noise that it adds, weak order 1.

    With r = alpha_t / alpha_s, and v = sigma_t^2 - r^2 sigma_s^2 the variance of the noise added between s and t, it is normal
    with

        mean (r sigma_s^2 x_t + alpha_s v x_0) / sigma_t^2 and variance v sigma_s^2 / sigma_t^2

    Args:
        sde: the forward diffusion.
        score_fn: the score s(x, t).
        x: points at t, (N, D).
        t: the time at which the step begins.
        t_next: the time at which it ends, at most t.
        noise: (N, D), standard normal; it is overwritten.

    Returns:
        Points at t_next, (N, D).

    References:
        Ho et al. 2020, arXiv 2006.11239, equations 6 and 7 (DDPM), for any alpha_t and sigma_t.
    """
    if t_next == t:
        return x
    (alpha_t, sigma_t), (alpha_s, sigma_s) = sde.scales(t), sde.scales(t_next)
    r = alpha_t / alpha_s
    between = sigma_t**2 - (r * sigma_s) ** 2
    clean = denoise(sde, score_fn, x, t)
    spread = math.sqrt(max(between, 0.0)) * sigma_s / sigma_t
    return _with_noise(x, r * (sigma_s / sigma_t) ** 2, noise, spread).add_(clean, alpha=alpha_s * between / sigma_t**2)


def ddim(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, _noise: Tensor) -> Tensor:
    """Predict clean data and noise at t, and combine them again at s = t_next; order 1, draws no noise.

        x_s = alpha_s x_0 + sigma_s z,   x_0 = E[x_0 | x_t],   z = (x_t - alpha_t x_0) / sigma_t

    It follows the probability flow, and is exact where the prediction of x_0 does not change along the step.

    Args:
        sde: the forward diffusion.
        score_fn: the score s(x, t).
        x: points at t, (N, D).
        t: the time at which the step begins.
        t_next: the time at which it ends, at most t.

    Returns:
        Points at t_next, (N, D).

    References:
        Song, Meng and Ermon 2020, arXiv 2010.02502, equation 12 with sigma = 0.
    """
    if t_next == t:
        return x
    (alpha_t, sigma_t), (alpha_s, sigma_s) = sde.scales(t), sde.scales(t_next)
    clean = denoise(sde, score_fn, x, t)
    keep = sigma_s / sigma_t
    return (keep * x).add_(clean, alpha=alpha_s - keep * alpha_t)


@final
@dataclass(frozen=True)
class AdaptiveFlow:
    """The probability flow by an adaptive Runge-Kutta method of order 5(4), which chooses its own steps between t and t_next.

    The error allowed in each of its steps is the root mean square over all coordinates of all particles. A call raises
    RuntimeError where the solver gives up or the score is not finite. Where alpha_t is 0 it begins with a step of `ddim` to
    alpha = 1e-4, whose error is about 1e-8 for an exact score.

    Attributes:
        rtol: the relative error allowed in a step.
        atol: the absolute error allowed in a step, in the units of x.

    Raises:
        ValueError: a tolerance is outside [1e-12, 1].

    References:
        Dormand and Prince 1980; the solver is scipy.integrate.solve_ivp, RK45.
    """

    rtol: float = 1e-5
    atol: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse tolerances that float64 cannot keep, or that allow anything."""
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not 1e-12 <= value <= 1:
                raise ValueError(f"{name} is {value}; it must lie between 1e-12 and 1")

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        """x: (N, D) -> (N, D)."""
        if sde.only_noise(t):
            first = max(float(sde.with_signal(t, ADAPTIVE_START)), t_next)
            x, t = ddim(sde, score_fn, x, t, first, noise), first

        def slope(time: float, flat: Any) -> Any:
            points = torch.from_numpy(flat).reshape(x.shape).to(x)
            found = _flow(sde, score_fn, points, float(time)).reshape(-1).double().cpu()
            if not torch.isfinite(found).all():  # the solver would shorten its step for ever
                raise RuntimeError(f"the score or the points at t = {time:g} hold NaN or infinity, so the solver cannot go on")
            return found.numpy()

        if t == t_next:
            return x
        found = solve_ivp(slope, (t, t_next), x.reshape(-1).double().cpu().numpy(), rtol=self.rtol, atol=self.atol)
        if not found.success:
            raise RuntimeError(f"the solver gave up between t = {t:g} and {t_next:g}: {found.message}")
        return torch.from_numpy(found.y[:, -1]).reshape(x.shape).to(x)


def langevin(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, noise: Tensor, snr: float) -> Tensor:
    """Take one step of Langevin dynamics at a fixed t, which leaves p_t unchanged as the step goes to 0.

        x + e s + sqrt(2 e) z,   e = (snr sigma_t)^2

    Repeated on N(0, V) it settles at variance V / (1 - e / (2 V)): a bias of e / 2 for a small e. The size e is in proportion to
    the noise in x_t, as in Song and Ermon 2019. Song et al. 2020 take 2 (snr ||z|| / ||s||)^2, which is twice this e under pure
    noise, and makes the particles of a batch depend on each other.

    Args:
        sde: the forward diffusion.
        score_fn: the score s(x, t).
        x: points at t, (N, D).
        t: the time, which does not change.
        noise: z, (N, D), standard normal; it is overwritten.
        snr: the size of the step in units of sigma_t.

    Returns:
        Points at t, (N, D).

    References:
        Song and Ermon 2019, arXiv 1907.05600, algorithm 1; Song et al. 2020, arXiv 2011.13456, algorithms 4 and 5.
    """
    e = (snr * float(sde.sigma(t))) ** 2
    return add_score(_with_noise(x, 1.0, noise, math.sqrt(2 * e)), score_fn, x, t, e)


@final
@dataclass(frozen=True)
class PredictorCorrector:
    """A predictor down in time, and a Langevin step at every time that the grid visits twice.

    Many small steps end at the corrector's bias (see `langevin`), not at the predictor's: at a fixed snr there is no order; where
    snr^2 falls like the length of a step, the order is the predictor's.

    Attributes:
        snr: the size of a Langevin step in units of sigma_t.
        predictor: the step down in time.

    Raises:
        ValueError: unless 0 < snr <= 1.

    References:
        Song et al. 2020, arXiv 2011.13456, algorithm 1.
    """

    snr: float = 0.16
    predictor: Step = ancestral

    def __post_init__(self) -> None:
        """Refuse a step of Langevin dynamics that overshoots."""
        _check_snr(self.snr)

    def prepare(self, sde: SDE, times: Sequence[float]) -> None:
        """Tell the predictor its grid, if it needs it.

        Args:
            sde: the forward diffusion.
            times: the times that the run steps through.
        """
        prepare(self.predictor, sde, times)

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        """x, noise: (N, D) -> (N, D); a step with t = t_next corrects."""
        if t_next == t:
            return langevin(sde, score_fn, x, t, noise, self.snr)
        return self.predictor(sde, score_fn, x, t, t_next, noise)


@final
@dataclass(frozen=True)
class AnnealedLangevin:
    """Langevin steps only: the noise level falls between them and x stays where it is.

    It needs several visits to each time, and has no order: the distribution is right only as both steps and visits grow.

    Attributes:
        snr: the size of a step in units of sigma_t.

    Raises:
        ValueError: unless 0 < snr <= 1.

    References:
        Song and Ermon 2019, arXiv 1907.05600, algorithm 1.
    """

    snr: float = 0.3

    def __post_init__(self) -> None:
        """Refuse a step of Langevin dynamics that overshoots."""
        _check_snr(self.snr)

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        """x, noise: (N, D) -> (N, D); a step with t = t_next moves x, any other only turns the noise level down."""
        if t_next == t:
            return langevin(sde, score_fn, x, t, noise, self.snr)
        return x


def _check_snr(snr: float) -> None:
    if not 0 < snr <= 1:
        raise ValueError(f"snr is {snr}; it must be above 0 and at most 1")


def _flow(sde: SDE, score_fn: ScoreFn, x: Tensor, t: float) -> Tensor:
    """dx/dt along the probability flow."""
    return add_score(float(sde.drift_rate(t)) * x, score_fn, x, t, -(float(sde.diffusion(t)) ** 2) / 2)


@final
@dataclass(frozen=True)
class Sampler:
    """A named sampler: one entry of SAMPLERS is all that a new sampler needs.

    Attributes:
        title: what it is called on screen.
        make_step: makes a fresh step for one run.
        evaluations: of the score on the way from one time of a grid to the next; None where the method decides.
        stochastic: whether it adds noise.
        order: of the error in the distribution for a small step; None where it has none.
        visits: Langevin steps at each time before the step down.
        caption: a sentence for the help on screen.
        source: the paper it is from.
        shape: of its points, a name or path of Vega-Lite; chosen by its place in SAMPLERS where there is none.
        colour: in CSS; chosen by its place in SAMPLERS where there is none.
    """

    title: str
    make_step: Callable[[], Step]
    evaluations: int | None = 1
    stochastic: bool = False
    order: int | None = 1
    visits: int = 0
    caption: str = ""
    source: str = ""
    shape: str | None = None
    colour: str | None = None

    def times(self, times: Sequence[float]) -> list[float]:
        """A grid with its corrector's visits: each time but the last is repeated `visits` times.

        Args:
            times: the grid, falling.

        Returns:
            The times that the sampler steps through.
        """
        return [t for t in times[:-1] for _ in range(self.visits + 1)] + [times[-1]]

    def nfe(self, steps: int) -> int | None:
        """Evaluations of the score (network evaluations) over a grid of `steps` steps; None where the method decides.

        Args:
            steps: of the grid, without the visits.
        """
        return None if self.evaluations is None else self.evaluations * steps

    def expected_nfe(self, steps: int) -> int:
        """Evaluations of the score over a grid of `steps` steps; about so many where the method decides.

        Args:
            steps: of the grid, without the visits.
        """
        return steps * (self.evaluations or ADAPTIVE_EVALUATIONS)


ADAPTIVE_START = 1e-4  # alpha after the first step of an adaptive method from pure noise
ADAPTIVE_EVALUATIONS = 8  # that an adaptive method takes between two times of a grid, about
LANGEVIN_VISITS = 5

SONG = "Song et al. 2020, arXiv 2011.13456"

SAMPLERS = {
    "euler-maruyama": Sampler(
        N_("Euler-Maruyama"),
        lambda: euler_maruyama,
        stochastic=True,
        caption=N_("The reverse SDE in plain steps, as in the tutorial."),
        source=f"{SONG}, section 4.1",
    ),
    "ancestral": Sampler(
        N_("Ancestral (DDPM)"),
        lambda: ancestral,
        stochastic=True,
        caption=N_("Guesses the clean data and draws the less noisy point given both."),
        source="Ho et al. 2020, arXiv 2006.11239",
    ),
    "predictor-corrector": Sampler(
        N_("Predictor-corrector"),
        PredictorCorrector,
        evaluations=2,
        stochastic=True,
        order=None,
        visits=1,
        caption=N_("A step of Langevin dynamics at each time, then an ancestral step down."),
        source=f"{SONG}, algorithm 1",
    ),
    "langevin": Sampler(
        N_("Annealed Langevin"),
        AnnealedLangevin,
        evaluations=LANGEVIN_VISITS,
        stochastic=True,
        order=None,
        visits=LANGEVIN_VISITS,
        caption=N_("Several steps of Langevin dynamics at each noise level."),
        source="Song and Ermon 2019, arXiv 1907.05600",
    ),
    "ddim": Sampler(
        N_("DDIM"),
        lambda: ddim,
        caption=N_("Guesses the clean data and the noise, and puts them together again with less noise."),
        source="Song, Meng and Ermon 2020, arXiv 2010.02502",
    ),
    "flow-euler": Sampler(
        N_("Flow, Euler"),
        lambda: flow_euler,
        caption=N_("The probability-flow ODE in plain steps."),
        source=f"{SONG}, section 4.3",
    ),
    "heun": Sampler(
        N_("Flow, Heun"),
        lambda: heun,
        evaluations=2,
        order=2,
        caption=N_("The probability-flow ODE; each step takes the mean of the slopes at both its ends."),
        source="Karras et al. 2022, arXiv 2206.00364",
    ),
    "dpm-solver": Sampler(
        N_("DPM-Solver++(2M)"),
        DPMSolver2M,
        order=2,
        caption=N_("DDIM with its guess of the clean data extrapolated from the last two guesses."),
        source="Lu et al. 2022, arXiv 2211.01095",
    ),
    "rk45": Sampler(
        N_("Flow, adaptive RK45"),
        AdaptiveFlow,
        evaluations=None,
        order=5,
        caption=N_("The probability-flow ODE by a solver that chooses its own steps."),
        source="Dormand and Prince 1980",
    ),
    "sde-dpm-solver": Sampler(
        N_("SDE-DPM-Solver++(2M)"),
        lambda: DPMSolver2M(eta=1.0),
        stochastic=True,
        order=2,
        caption=N_("DPM-Solver++(2M) for the reverse SDE, with the noise of the exact step."),
        source="Lu et al. 2022, arXiv 2211.01095",
    ),
    "dpm-solver-3m": Sampler(
        N_("DPM-Solver++(3M)"),
        DPMSolver3M,
        order=2,
        caption=N_("DDIM with its guess of the clean data extrapolated from the last three guesses."),
        source="Lu et al. 2022, arXiv 2211.01095",
    ),
    "unipc": Sampler(
        N_("UniPC-3"),
        UniPC,
        order=4,
        caption=N_("DDIM with its guess extrapolated from the last three; the guess at the end of a step corrects that step."),
        source="Zhao et al. 2023, arXiv 2302.04867",
    ),
    "deis": Sampler(
        N_("DEIS-3"),
        DEIS,
        order=3,
        caption=N_("DDIM with its guess of the noise extrapolated from the last three guesses."),
        source="Zhang and Chen 2022, arXiv 2204.13902",
    ),
    "churned-heun": Sampler(
        N_("Heun with churn (EDM)"),
        ChurnedHeun,
        evaluations=2,
        stochastic=True,
        order=2,
        caption=N_("Adds a little noise before each step, and then takes a step of Heun that removes more than that."),
        source="Karras et al. 2022, arXiv 2206.00364, algorithm 2",
    ),
}


def sampler_of(step: str | Sampler | Step) -> Sampler:
    """The sampler that is meant by a name, a Sampler or one step.

    Args:
        step: a key of SAMPLERS, a Sampler, or a step, which is then used as it is and visits each time once.

    Raises:
        ValueError: for a name that is not in SAMPLERS, or what cannot be called.
    """
    if isinstance(step, Sampler):
        return step
    if isinstance(step, str) and step in SAMPLERS:
        return SAMPLERS[step]
    if isinstance(step, str) or not callable(step):
        raise ValueError(f"step is {step!r}; it must be one of {', '.join(SAMPLERS)}, a Sampler, or a step of your own")
    return Sampler("", lambda: step)


@final
class CountedScore:
    """A score that counts how often it is asked, once for a whole batch: the NFE of a run."""

    def __init__(self, score_fn: ScoreFn) -> None:
        """Start at 0."""
        self.score_fn = score_fn
        self.calls = 0

    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """s(x, t) of the score inside."""
        self.calls += 1
        return self.score_fn(x, t)

    def add_to(self, out: Tensor, x: Tensor, t: Time, weight: float) -> Tensor:
        """Add weight s(x, t); see `score.add_score`.

        Args:
            out: what it is added to, in place.
            x: points, (B, ..., D).
            t: as for the score.
            weight: a factor.

        Returns:
            out.
        """
        self.calls += 1
        return add_score(out, self.score_fn, x, t, weight)
