"""Forward diffusions dx = f_t x dt + g_t dW_t on t in [0, 1]: data at t = 0, noise at t = 1.

Every kind here is linear in x, so the distribution of x_t given x_0 is Gaussian and known exactly,

    p(x_t | x_0) = N(alpha_t x_0, sigma_t^2 I),   f_t = (log alpha_t)',   g_t^2 = (sigma_t^2)' - 2 f_t sigma_t^2.

Times may be Python numbers or tensors; the answer is of the same kind.

References:
    Song et al. 2020, "Score-Based Generative Modeling through SDEs", arXiv 2011.13456.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import wraps
from types import ModuleType
from typing import Any, final

import torch
from torch import Tensor

from scoredm.roots import bisect

Time = float | Tensor

LAM_MAX = 1e6  # beyond it sigma_1^2 leaves the range in which float32 still resolves the data
RATIO_MAX = 1e18  # beyond it (sigma_max / sigma_min)^2 leaves the range of float32
BETA_MAX = 100.0  # beyond it alpha_1^2 leaves the range of float32
COSINE_START = math.pi / 2 * 0.008 / 1.008
COSINE_RATE = math.pi / 2 * 0.9946 / 1.008
EDM_RHO = 7.0  # Karras et al. 2022, section 3
NEAR_DATA = 1e-6  # g is found here where its formula is 0 times infinity, as at t = 0 for sigma_t = sqrt(t)
NO_SIGNAL = 1e-12  # an alpha this small is 0 up to rounding: cos(pi / 2) is 6e-17
LEAST_SIGNAL = 1e-2  # where alpha_t is 0, a score is asked for clean data at the time at which alpha is this
FUNCTIONS = ("alpha", "sigma", "drift_rate", "diffusion")
NEGATIVE = 1e-6  # of the terms of g^2: it may come out this far below 0 by rounding


def over_leading_axes(value: Time, x: Tensor) -> Time:
    """Append axes to a value given per leading axis of x, so that it broadcasts against x.

    Args:
        value: a number, () or (B,).
        x: (B, ..., D).

    Returns:
        A number or (), as it is, or a tensor of x's rank.
    """
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    return value.reshape(value.shape + (1,) * (x.ndim - value.ndim))


def check_is_sde(sde: object) -> None:
    """Check that an argument is an SDE.

    Args:
        sde: what a caller was given for one.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(sde, SDE):
        raise TypeError(f"got a {type(sde).__name__}; an SDE is needed, such as VPSDE()")


def _in_kind(method: Callable[[Any, Tensor], Any]) -> Callable[[Any, Time], Time]:
    """A function of t that is given a float64 tensor and answers with the type, the shape and the precision of t."""

    @wraps(method)
    def answer(self: Any, t: Time) -> Time:
        times = torch.as_tensor(t, dtype=torch.float64)
        value = torch.as_tensor(method(self, times), dtype=torch.float64, device=times.device)
        if value.shape not in (times.shape, ()):
            raise ValueError(
                f"{method.__name__}(t) has shape {tuple(value.shape)} where t has {tuple(times.shape)}; they must be the same"
            )
        if not isinstance(t, Tensor):
            return float(value)
        value = value + torch.zeros_like(times)  # a number becomes one for each time
        return value.to(t.dtype) if t.is_floating_point() else value

    return answer


def _slope(function: Callable[[Tensor], Time], t: Tensor) -> Tensor:
    """The derivative of a function of t at each t, by automatic differentiation.

    Every time is given twice: math.exp and the like, which take one number and hide how it changes, then fail.
    """
    with torch.inference_mode(False), torch.enable_grad():
        pair = torch.stack([t, t]).detach().clone().requires_grad_()
        value = torch.as_tensor(function(pair))
        return torch.autograd.grad(value.sum(), pair)[0][0] if value.requires_grad else torch.zeros_like(t)


class _OnGrid:
    """A function of t that finds its values at the times of a grid all at once, when the first of them is asked for."""

    def __init__(self, function: Callable[[Time], Time], times: Sequence[float]) -> None:
        self._function, self._times = function, times
        self._values: dict[float, float] = {}

    def __call__(self, t: Time) -> Time:
        if isinstance(t, Tensor):
            return self._function(t)
        if not self._values:
            found = torch.as_tensor(self._function(torch.tensor(self._times, dtype=torch.float64)))
            self._values = dict(zip(self._times, found.tolist(), strict=True))
        value = self._values.get(t)
        return self._function(t) if value is None else value


class SDE(ABC):
    """A linear diffusion dx = f_t x dt + g_t dW_t. An SDE of your own says what alpha and sigma are:

        class Linear(SDE):
            def alpha(self, t):
                return 1 - t

            def sigma(self, t):
                return 80 * t

    Its `drift_rate` and `diffusion` follow by automatic differentiation; where you know them in closed form, define them too.
    Your methods are given a float64 tensor of times of any shape, so they use torch.exp and the like; they may return a number.
    Callers give a number or a tensor, and get the same kind and precision back. `check_sde` says whether all four fit together.

    alpha_0 = 1 and sigma_0 = 0, so that p_0 is the data, and sigma_t / alpha_t rises. alpha may fall to 0 at t = 1, not before.
    """

    def __init_subclass__(cls, **named: Any) -> None:
        """Let the four functions of an SDE of your own answer with the type of t."""
        super().__init_subclass__(**named)
        for name in FUNCTIONS:
            if name in vars(cls):
                setattr(cls, name, _in_kind(vars(cls)[name]))

    @abstractmethod
    def alpha(self, t: Time) -> Time:
        """Factor on the data: E[x_t | x_0] = alpha_t x_0.

        Args:
            t: times.
        """

    @abstractmethod
    def sigma(self, t: Time) -> Time:
        """Standard deviation of each coordinate of x_t given x_0.

        Args:
            t: times.
        """

    @_in_kind
    def diffusion(self, t: Tensor) -> Tensor:
        """g_t, the coefficient of dW_t: the noise added in dt has variance g_t^2 dt.

            g_t^2 = (sigma_t^2)' - 2 f_t sigma_t^2

        Args:
            t: times.

        Raises:
            ValueError: if this is negative: less noise than before is left at such a time.
        """
        square = self._squared_diffusion(t)
        if square.isnan().any():
            square = torch.where(square.isnan(), self._squared_diffusion(t.clamp(min=NEAR_DATA)), square)
        return square.sqrt()

    def _squared_diffusion(self, t: Tensor) -> Tensor:
        """g_t^2, NaN where its formula is 0 times infinity."""
        growth = _slope(lambda s: torch.as_tensor(self.sigma(s)) ** 2, t)
        shrinkage = 2 * torch.as_tensor(self.drift_rate(t)) * torch.as_tensor(self.sigma(t)) ** 2
        square = growth - shrinkage
        if (square < -NEGATIVE * (growth.abs() + shrinkage.abs())).any():
            worst = int(square.nan_to_num().argmin())
            raise ValueError(
                f"g^2 would be {float(square.reshape(-1)[worst]):.3g} at t = {float(t.reshape(-1)[worst]):.3g}: "
                "sigma_t / alpha_t falls there, and no diffusion takes noise away; it must rise"
            )
        return square.clamp(min=0)

    @_in_kind
    def drift_rate(self, t: Tensor) -> Tensor:
        """f_t = (log alpha_t)', the drift per unit of x; minus infinity where alpha_t is 0.

        Args:
            t: times.
        """
        alpha = torch.as_tensor(self.alpha(t))
        return torch.where(alpha == 0, -math.inf, _slope(self.alpha, t) / alpha)

    def on_grid(self, times: Sequence[float]) -> "SDE":
        """The same SDE prepared for given times, where automatic differentiation is then about ten times faster.

        Args:
            times: the grid.

        Returns:
            A copy, whose four functions answer for a number of the grid from what was found for all of it at once.
        """
        prepared, times = copy(self), tuple(dict.fromkeys(map(float, times)))
        for name in FUNCTIONS:
            object.__setattr__(prepared, name, _OnGrid(getattr(self, name), times))  # also of a frozen dataclass
        return prepared

    def only_noise(self, t: float) -> bool:
        """Whether alpha_t is 0 and f_t infinite, up to rounding: nothing of the data is left.

        Args:
            t: a time.
        """
        return float(self.alpha(t)) <= NO_SIGNAL and float(self.drift_rate(t)) <= -1 / NO_SIGNAL

    def with_signal(self, t: Time, alpha: float = LEAST_SIGNAL) -> Time:
        """A time at which something of the data is left: t itself, or the time with this alpha where alpha_t is 0.

        Args:
            t: times.
            alpha: between 0 and 1.

        Returns:
            The same kind.
        """
        lost = (torch.as_tensor(self.alpha(t)) <= NO_SIGNAL) & (torch.as_tensor(self.drift_rate(t)) <= -1 / NO_SIGNAL)
        if not lost.any():
            return t
        wanted = torch.full((1,), -alpha, dtype=torch.float64)
        last = float(bisect(lambda s: -torch.as_tensor(self.alpha(s)), wanted, 0.0, 1.0))
        return torch.where(lost, last, t) if isinstance(t, Tensor) else last

    def slopes(self, t: Time) -> tuple[Tensor, Tensor]:
        """alpha'_t and sigma'_t, by automatic differentiation.

        Args:
            t: times.

        Returns:
            Two tensors of t's shape, float64.
        """
        times = torch.as_tensor(t, dtype=torch.float64)
        return _slope(self.alpha, times), _slope(self.sigma, times)

    def drift(self, x: Tensor, t: Time) -> Tensor:
        """The drift at x.

            f(x, t) = f_t x

        Args:
            x: points, (B, ..., D).
            t: times, a number, () or (B,).

        Returns:
            (B, ..., D).
        """
        return over_leading_axes(self.drift_rate(t), x) * x

    def scales(self, t: Time) -> tuple[float, float]:
        """alpha_t and sigma_t at one time, as Python numbers computed in float64.

        Args:
            t: a time, a number or ().

        Returns:
            alpha_t and sigma_t.
        """
        t = float(t)
        return float(self.alpha(t)), float(self.sigma(t))

    def log_snr(self, t: Time) -> Time:
        """Logarithm of the signal-to-noise ratio, which says how much of the data is left in x_t.

            log(alpha_t^2 / sigma_t^2)

        Args:
            t: times, a number or a tensor.

        Returns:
            The same kind; it falls from infinity at t = 0, to minus infinity where alpha_t is 0.
        """
        sigma, alpha = self.sigma(t), self.alpha(t)
        if isinstance(sigma, Tensor) or isinstance(alpha, Tensor):
            return -2 * torch.as_tensor(sigma / alpha).log()
        if alpha == 0:
            return -math.inf
        return -2 * math.log(sigma / alpha) if sigma > 0 else math.inf

    def perturb(self, x0: Tensor, t: Time, noise: Tensor) -> Tensor:
        """Draw from p(x_t | x_0), given the noise.

            x_t = alpha_t x_0 + sigma_t z

        Args:
            x0: the data, (B, ..., D).
            t: times, a number, () or (B,).
            noise: z, standard normal, (B, ..., D).

        Returns:
            x_t, (B, ..., D).
        """
        return over_leading_axes(self.alpha(t), x0) * x0 + over_leading_axes(self.sigma(t), x0) * noise


class _Kind(SDE):
    """A kind of SDE of this module: its functions answer with the type and precision of t by themselves, ten times faster."""

    def __init_subclass__(cls, **named: Any) -> None:
        """Leave the four functions as they are written."""

    def on_grid(self, times: Sequence[float]) -> SDE:
        """The SDE itself: its functions are formulas."""
        del times
        return self


@final
@dataclass(frozen=True)
class VESDE(_Kind):
    """The tutorial's variance-exploding SDE, dx = lambda^t dW_t.

        alpha_t = 1,   g_t = lambda^t,   sigma_t^2 = (lambda^{2t} - 1) / (2 ln lambda), which is t at lambda = 1.

    Args:
        lam: lambda, by which g grows from t = 0 to 1; above 0 and at most 1e6.

    Raises:
        ValueError: if lam is out of this range.

    References:
        Neuromatch Academy, deep learning, week 2 day 4, tutorial 2.
    """

    lam: float = 25.0

    def __post_init__(self) -> None:
        """Validate `lam`."""
        if not (math.isfinite(self.lam) and 0 < self.lam <= LAM_MAX):
            raise ValueError(f"lambda is {self.lam:g}; it must be above 0 and at most {LAM_MAX:g}")

    def alpha(self, t: Time) -> Time:
        """1 at every t: the mean does not move."""
        return _constant(1.0, t)

    def sigma(self, t: Time) -> Time:
        """sqrt((lambda^{2t} - 1) / (2 ln lambda)); expm1 keeps the relative precision as t -> 0."""
        maths, rate = _functions(t), 2 * math.log(self.lam)
        return maths.sqrt(t if rate == 0 else maths.expm1(rate * t) / rate)

    def diffusion(self, t: Time) -> Time:
        """lambda^t."""
        return _functions(t).exp(math.log(self.lam) * t)

    def drift_rate(self, t: Time) -> Time:
        """0: there is no drift."""
        return _constant(0.0, t)


@final
@dataclass(frozen=True)
class GeometricVESDE(_Kind):
    """Song's variance-exploding SDE: the noise level grows by one factor per unit of time.

        alpha_t = 1,   sigma_t^2 = sigma_min^2 (r^{2t} - 1),   g_t = sigma_min r^t sqrt(2 ln r),   r = sigma_max / sigma_min.

    sigma_t is 0 at t = 0, where Song et al. have sigma_min: it is the noise added to the data, so that p_0 is the data.

    Args:
        sigma_min: the noise level that the growth starts from, in units of the data; above 0.
        sigma_max: the noise level at t = 1, in units of the data; above sigma_min, at most 1e6 and at most 1e18 sigma_min.

    Raises:
        ValueError: if a noise level is out of its range.

    References:
        Song et al. 2020, arXiv 2011.13456, section 3.4.
    """

    sigma_min: float = 0.01
    sigma_max: float = 10.0

    def __post_init__(self) -> None:
        """Validate the noise levels."""
        _check_levels(self.sigma_min, self.sigma_max)

    @property
    def _rate(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Time) -> Time:
        """1 at every t: the mean does not move."""
        return _constant(1.0, t)

    def sigma(self, t: Time) -> Time:
        """sigma_min sqrt(r^{2t} - 1)."""
        maths = _functions(t)
        return self.sigma_min * maths.sqrt(maths.expm1(2 * self._rate * t))

    def diffusion(self, t: Time) -> Time:
        """sigma_min r^t sqrt(2 ln r)."""
        return self.sigma_min * math.sqrt(2 * self._rate) * _functions(t).exp(self._rate * t)

    def drift_rate(self, t: Time) -> Time:
        """0: there is no drift."""
        return _constant(0.0, t)


@dataclass(frozen=True)
class _LinearRate(_Kind):
    """A diffusion that shrinks the data at the rate beta_t / 2, with beta_t linear in t; a kind says what its noise is."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        """Validate the rates."""
        if not (math.isfinite(self.beta_max) and 0 < self.beta_min <= self.beta_max <= BETA_MAX):
            raise ValueError(
                f"beta_min is {self.beta_min:g} and beta_max {self.beta_max:g}; "
                f"they must be above 0, beta_min not above beta_max, and at most {BETA_MAX:g}"
            )

    def _beta(self, t: Time) -> Time:
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def _integral(self, t: Time) -> Time:
        """B_t = int_0^t beta."""
        return t * (self.beta_min + t * (self.beta_max - self.beta_min) / 2)

    def alpha(self, t: Time) -> Time:
        """exp(-B_t / 2)."""
        return _functions(t).exp(-self._integral(t) / 2)

    def drift_rate(self, t: Time) -> Time:
        """-beta_t / 2."""
        return -self._beta(t) / 2


@final
@dataclass(frozen=True)
class VPSDE(_LinearRate):
    """The variance-preserving SDE of DDPM, dx = -beta x / 2 dt + sqrt(beta) dW_t.

        beta_t = beta_min + t (beta_max - beta_min),   B_t = int_0^t beta,   alpha_t = exp(-B_t / 2),   sigma_t^2 = 1 - exp(-B_t).

    Args:
        beta_min: beta at t = 0; above 0.
        beta_max: beta at t = 1; at least beta_min and at most 100.

    Raises:
        ValueError: if a rate is out of its range.

    References:
        Song et al. 2020, arXiv 2011.13456, section 3.4.
    """

    def sigma(self, t: Time) -> Time:
        """sqrt(1 - exp(-B_t))."""
        maths = _functions(t)
        return maths.sqrt(-maths.expm1(-self._integral(t)))

    def diffusion(self, t: Time) -> Time:
        """sqrt(beta_t)."""
        return _functions(t).sqrt(self._beta(t))


@final
@dataclass(frozen=True)
class SubVPSDE(_LinearRate):
    """The sub-variance-preserving SDE: the drift of VPSDE with less noise, so that x_t never varies more than there.

        alpha_t = exp(-B_t / 2),   sigma_t = 1 - exp(-B_t),   g_t^2 = beta_t (1 - exp(-2 B_t)),   beta and B as in VPSDE.

    Args:
        beta_min: beta at t = 0; above 0.
        beta_max: beta at t = 1; at least beta_min and at most 100.

    Raises:
        ValueError: if a rate is out of its range.

    References:
        Song et al. 2020, arXiv 2011.13456, section 3.4.
    """

    def sigma(self, t: Time) -> Time:
        """1 - exp(-B_t)."""
        return -_functions(t).expm1(-self._integral(t))

    def diffusion(self, t: Time) -> Time:
        """sqrt(beta_t (1 - exp(-2 B_t)))."""
        maths = _functions(t)
        return maths.sqrt(-self._beta(t) * maths.expm1(-2 * self._integral(t)))


@final
@dataclass(frozen=True)
class CosineVPSDE(_Kind):
    """The variance-preserving SDE whose signal falls like a cosine, slower at both ends than VPSDE's.

        alpha_t = cos(phi_t) / cos(phi_0),   sigma_t^2 = 1 - alpha_t^2,   g_t^2 = 2 phi' tan(phi_t),
        phi_t = (pi / 2) (0.9946 t + 0.008) / 1.008.

    The full cosine would reach alpha = 0, where no score can be turned into clean data; it stops a little before, at 0.9946.

    References:
        Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17; the stop: Lu et al. 2022, arXiv 2206.00927, appendix D.4.
    """

    def alpha(self, t: Time) -> Time:
        """cos(phi_t) / cos(phi_0)."""
        return _functions(t).cos(_angle(t)) / math.cos(COSINE_START)

    def sigma(self, t: Time) -> Time:
        """sqrt(sin(phi_t - phi_0) sin(phi_t + phi_0)) / cos(phi_0), which is sqrt(1 - alpha^2) without its cancellation."""
        maths, turned = _functions(t), COSINE_RATE * t
        return maths.sqrt(maths.sin(turned) * maths.sin(turned + 2 * COSINE_START)) / math.cos(COSINE_START)

    def diffusion(self, t: Time) -> Time:
        """sqrt(2 phi' tan(phi_t))."""
        maths, angle = _functions(t), _angle(t)
        return maths.sqrt(2 * COSINE_RATE * maths.sin(angle) / maths.cos(angle))

    def drift_rate(self, t: Time) -> Time:
        """-phi' tan(phi_t)."""
        maths, angle = _functions(t), _angle(t)
        return -COSINE_RATE * maths.sin(angle) / maths.cos(angle)


@final
@dataclass(frozen=True)
class RectifiedFlow(_Kind):
    """The diffusion whose noisy point lies on the straight line from clean data to noise, as in flow matching.

        alpha_t = 1 - t,   sigma_t = t,   f_t = -1 / (1 - t),   g_t^2 = 2 t / (1 - t)

    At t = 1 nothing is left of the data, alpha_1 = 0: p_1 is N(0, I) whatever the data are, and f and g are infinite there.
    Samplers begin at t = 1 all the same, by a step that is finite: see `scoredm.samplers`.

    References:
        Liu et al. 2022, "Flow Straight and Fast", arXiv 2209.03003; Lipman et al. 2022, arXiv 2210.02747.
    """

    def alpha(self, t: Time) -> Time:
        """1 - t."""
        return 1.0 - t

    def sigma(self, t: Time) -> Time:
        """t."""
        return t if isinstance(t, Tensor) else float(t)

    def diffusion(self, t: Time) -> Time:
        """sqrt(2 t / (1 - t)), infinite at t = 1."""
        return _functions(t).sqrt(_over(2 * t, 1 - t))

    def drift_rate(self, t: Time) -> Time:
        """-1 / (1 - t), minus infinity at t = 1."""
        return -_over(1.0, 1 - t)


@final
@dataclass(frozen=True)
class EDM(_Kind):
    """The noise levels of Karras et al.: an even grid in t visits the very levels of their samplers.

        alpha_t = 1,   sigma_t^2 = u_t^14 - sigma_min^2,   g_t^2 = 14 u_t^13 u',
        u_t = sigma_min^{1/7} + t (sigma_max^{1/7} - sigma_min^{1/7})

    u_t^7 is their level, from sigma_min at t = 0 to sigma_max at t = 1. sigma_t is 0 at t = 0, as in `GeometricVESDE`: it is the
    noise added to the data, so that p_0 is the data itself, and not the data with noise of sigma_min. Above 4 sigma_min the two
    differ by less than 4 percent.

    Args:
        sigma_min: the level that the growth starts from, in units of the data; above 0.
        sigma_max: the level at t = 1, in units of the data; above sigma_min, at most 1e6 and at most 1e18 sigma_min.

    Raises:
        ValueError: if a noise level is out of its range.

    References:
        Karras et al. 2022, arXiv 2206.00364, equation 5 with rho = 7.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        """Validate the noise levels."""
        _check_levels(self.sigma_min, self.sigma_max)

    @property
    def _rise(self) -> float:
        """u' / u_0."""
        return (self.sigma_max / self.sigma_min) ** (1 / EDM_RHO) - 1

    def alpha(self, t: Time) -> Time:
        """1 at every t: the mean does not move."""
        return _constant(1.0, t)

    def sigma(self, t: Time) -> Time:
        """sqrt(u_t^14 - sigma_min^2); expm1 and log1p keep the relative precision as t -> 0."""
        maths = _functions(t)
        return self.sigma_min * maths.sqrt(maths.expm1(2 * EDM_RHO * maths.log1p(self._rise * t)))

    def diffusion(self, t: Time) -> Time:
        """sqrt(14 u_t^13 u')."""
        return self.sigma_min * math.sqrt(2 * EDM_RHO * self._rise) * (1 + self._rise * t) ** (EDM_RHO - 0.5)

    def drift_rate(self, t: Time) -> Time:
        """0: there is no drift."""
        return _constant(0.0, t)


def _check_levels(sigma_min: float, sigma_max: float) -> None:
    if not (math.isfinite(sigma_max) and 0 < sigma_min < sigma_max <= LAM_MAX):
        raise ValueError(
            f"sigma_min is {sigma_min:g} and sigma_max {sigma_max:g}; "
            f"they must be above 0, sigma_min below sigma_max, and at most {LAM_MAX:g}"
        )
    if sigma_max > RATIO_MAX * sigma_min:
        raise ValueError(
            f"sigma_max is {sigma_max:g} and sigma_min {sigma_min:g}; the one may be at most {RATIO_MAX:g} times the other"
        )


def _over(numerator: Time, denominator: Time) -> Time:
    """A ratio of something above 0, infinite where the denominator is 0."""
    return numerator / denominator if isinstance(denominator, Tensor) or denominator else math.inf


def _angle(t: Time) -> Time:
    return COSINE_RATE * t + COSINE_START


def _constant(value: float, t: Time) -> Time:
    return torch.full_like(t, value) if isinstance(t, Tensor) else value


def _functions(t: Time) -> ModuleType:
    """Where exp, sqrt and the like of such a t are found: math is ten times faster for a number, as samplers have it."""
    return torch if isinstance(t, Tensor) else math
