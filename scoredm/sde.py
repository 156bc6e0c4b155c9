"""Forward diffusions dx = f_t x dt + g(t) dW_t on t in [0, 1]: data at t = 0, noise at t = 1.

Every kind here is linear in x, so the distribution of x_t given x_0 is Gaussian and known exactly,

    p(x_t | x_0) = N(alpha_t x_0, sigma_t^2 I),   f = (log alpha)',   g^2 = (sigma^2)' - 2 f sigma^2.

Times may be Python numbers or tensors; the answer is of the same kind.
Source: Song et al. 2020, "Score-Based Generative Modeling through SDEs", arXiv 2011.13456.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

Time = float | Tensor

LAM_MAX = 1e6  # beyond it sigma_1^2 leaves the range in which float32 still resolves the data
RATIO_MAX = 1e18  # beyond it (sigma_max / sigma_min)^2 leaves the range of float32
BETA_MAX = 100.0  # beyond it alpha_1^2 leaves the range of float32
COSINE_START = math.pi / 2 * 0.008 / 1.008
COSINE_RATE = math.pi / 2 * 0.9946 / 1.008


def over_leading_axes(value: Time, x: Tensor) -> Time:
    """Append axes to a value given per leading axis of x, so that it broadcasts against x.

    value: a number, () or (B,); x: (B, ..., D). Returns a number or a tensor of x's rank.
    """
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    return value.reshape(value.shape + (1,) * (x.ndim - value.ndim))


class SDE(ABC):
    """A linear diffusion; a kind of SDE says what alpha, sigma, g and the drift rate are."""

    @abstractmethod
    def alpha(self, t: Time) -> Time:
        """Factor on the data: E[x_t | x_0] = alpha_t x_0."""

    @abstractmethod
    def sigma(self, t: Time) -> Time:
        """Standard deviation of x_t given x_0."""

    @abstractmethod
    def diffusion(self, t: Time) -> Time:
        """g(t), the coefficient of dW_t."""

    @abstractmethod
    def drift_rate(self, t: Time) -> Time:
        """f(t) = (log alpha_t)', the drift per unit of x."""

    def drift(self, x: Tensor, t: Time) -> Tensor:
        """The drift f(t) x; x: (B, ..., D), t: a number, () or (B,)."""
        return over_leading_axes(self.drift_rate(t), x) * x

    def scales(self, t: Time) -> tuple[float, float]:
        """alpha_t and sigma_t at one time, as numbers, in float64; t: a number or ()."""
        t = float(t)
        return float(self.alpha(t)), float(self.sigma(t))

    def log_snr(self, t: Time) -> Time:
        """log(alpha_t^2 / sigma_t^2), which falls from infinity at t = 0: how much of the data is left in x_t."""
        ratio = self.sigma(t) / self.alpha(t)
        if isinstance(ratio, Tensor):
            return -2 * ratio.log()
        return -2 * math.log(ratio) if ratio > 0 else math.inf

    def perturb(self, x0: Tensor, t: Time, noise: Tensor) -> Tensor:
        """Draw from p(x_t | x_0): alpha_t x_0 + sigma_t z; x0, noise: (B, ..., D), t: a number, () or (B,)."""
        return over_leading_axes(self.alpha(t), x0) * x0 + over_leading_axes(self.sigma(t), x0) * noise


@final
@dataclass(frozen=True)
class VESDE(SDE):
    """The tutorial's variance-exploding SDE, dx = lambda^t dW_t.

    alpha_t = 1,   g(t) = lambda^t,   sigma_t^2 = (lambda^{2t} - 1) / (2 ln lambda), which is t at lambda = 1.

    Raises ValueError unless 0 < lam <= 1e6. Source: Neuromatch Academy, deep learning, week 2 day 4, tutorial 2.
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
        rate = 2 * math.log(self.lam)
        return _sqrt(t if rate == 0 else _expm1(rate * t) / rate)

    def diffusion(self, t: Time) -> Time:
        """lambda^t."""
        return _exp(math.log(self.lam) * t)

    def drift_rate(self, t: Time) -> Time:
        """0: there is no drift."""
        return _constant(0.0, t)


@final
@dataclass(frozen=True)
class GeometricVESDE(SDE):
    """Song's variance-exploding SDE: the noise level grows by one factor per unit of time.

    alpha_t = 1,   sigma_t^2 = sigma_min^2 (r^{2t} - 1),   g(t) = sigma_min r^t sqrt(2 ln r),   r = sigma_max / sigma_min.

    sigma_t is 0 at t = 0, where Song et al. have sigma_min: it is the noise added to the data, so that p_0 is the data.
    Raises ValueError unless 0 < sigma_min < sigma_max <= 1e6 and r <= 1e18.
    Source: Song et al. 2020, arXiv 2011.13456, section 3.4.
    """

    sigma_min: float = 0.01
    sigma_max: float = 10.0

    def __post_init__(self) -> None:
        """Validate the noise levels."""
        if not (math.isfinite(self.sigma_max) and 0 < self.sigma_min < self.sigma_max <= LAM_MAX):
            raise ValueError(
                f"sigma_min is {self.sigma_min:g} and sigma_max {self.sigma_max:g}; "
                f"they must be above 0, sigma_min below sigma_max, and at most {LAM_MAX:g}"
            )
        if self.sigma_max > RATIO_MAX * self.sigma_min:
            raise ValueError(
                f"sigma_max is {self.sigma_max:g} and sigma_min {self.sigma_min:g}; "
                f"the one may be at most {RATIO_MAX:g} times the other"
            )

    @property
    def _rate(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Time) -> Time:
        """1 at every t: the mean does not move."""
        return _constant(1.0, t)

    def sigma(self, t: Time) -> Time:
        """sigma_min sqrt(r^{2t} - 1)."""
        return self.sigma_min * _sqrt(_expm1(2 * self._rate * t))

    def diffusion(self, t: Time) -> Time:
        """sigma_min r^t sqrt(2 ln r)."""
        return self.sigma_min * math.sqrt(2 * self._rate) * _exp(self._rate * t)

    def drift_rate(self, t: Time) -> Time:
        """0: there is no drift."""
        return _constant(0.0, t)


@final
@dataclass(frozen=True)
class VPSDE(SDE):
    """The variance-preserving SDE of DDPM, dx = -beta x / 2 dt + sqrt(beta) dW_t.

    beta(t) = beta_min + t (beta_max - beta_min),   B(t) = int_0^t beta,   alpha_t = exp(-B / 2),   sigma_t^2 = 1 - exp(-B).

    Raises ValueError unless 0 < beta_min <= beta_max <= 100. Source: Song et al. 2020, arXiv 2011.13456, section 3.4.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        """Validate the rates."""
        _check_rates(self.beta_min, self.beta_max)

    def alpha(self, t: Time) -> Time:
        """exp(-B / 2)."""
        return _exp(-_integrated(self.beta_min, self.beta_max, t) / 2)

    def sigma(self, t: Time) -> Time:
        """sqrt(1 - exp(-B))."""
        return _sqrt(-_expm1(-_integrated(self.beta_min, self.beta_max, t)))

    def diffusion(self, t: Time) -> Time:
        """sqrt(beta)."""
        return _sqrt(self.beta_min + t * (self.beta_max - self.beta_min))

    def drift_rate(self, t: Time) -> Time:
        """-beta / 2."""
        return -(self.beta_min + t * (self.beta_max - self.beta_min)) / 2


@final
@dataclass(frozen=True)
class SubVPSDE(SDE):
    """The sub-variance-preserving SDE: the drift of VPSDE with less noise, so that x_t never varies more than there.

    alpha_t = exp(-B / 2),   sigma_t = 1 - exp(-B),   g^2 = beta (1 - exp(-2 B)),   beta and B as in VPSDE.

    Raises ValueError unless 0 < beta_min <= beta_max <= 100. Source: Song et al. 2020, arXiv 2011.13456, section 3.4.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        """Validate the rates."""
        _check_rates(self.beta_min, self.beta_max)

    def alpha(self, t: Time) -> Time:
        """exp(-B / 2)."""
        return _exp(-_integrated(self.beta_min, self.beta_max, t) / 2)

    def sigma(self, t: Time) -> Time:
        """1 - exp(-B)."""
        return -_expm1(-_integrated(self.beta_min, self.beta_max, t))

    def diffusion(self, t: Time) -> Time:
        """sqrt(beta (1 - exp(-2 B)))."""
        beta = self.beta_min + t * (self.beta_max - self.beta_min)
        return _sqrt(-beta * _expm1(-2 * _integrated(self.beta_min, self.beta_max, t)))

    def drift_rate(self, t: Time) -> Time:
        """-beta / 2."""
        return -(self.beta_min + t * (self.beta_max - self.beta_min)) / 2


@final
@dataclass(frozen=True)
class CosineVPSDE(SDE):
    """The variance-preserving SDE whose signal falls like a cosine, slower at both ends than VPSDE's.

    alpha_t = cos(phi) / cos(phi_0),   sigma_t^2 = 1 - alpha_t^2,   g^2 = 2 phi' tan(phi),
    phi(t) = (pi / 2) (0.9946 t + 0.008) / 1.008,   phi_0 = phi(0).

    The full cosine would reach alpha = 0, where no score can be turned into clean data; it stops a little before, at 0.9946.
    Source: Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17; the stop: Lu et al. 2022, arXiv 2206.00927, appendix D.4.
    """

    def alpha(self, t: Time) -> Time:
        """cos(phi) / cos(phi_0)."""
        return _cos(_angle(t)) / math.cos(COSINE_START)

    def sigma(self, t: Time) -> Time:
        """sqrt(sin(phi - phi_0) sin(phi + phi_0)) / cos(phi_0), which is sqrt(1 - alpha^2) without its cancellation."""
        return _sqrt(_sin(COSINE_RATE * t) * _sin(COSINE_RATE * t + 2 * COSINE_START)) / math.cos(COSINE_START)

    def diffusion(self, t: Time) -> Time:
        """sqrt(2 phi' tan(phi))."""
        return _sqrt(2 * COSINE_RATE * _sin(_angle(t)) / _cos(_angle(t)))

    def drift_rate(self, t: Time) -> Time:
        """-phi' tan(phi)."""
        return -COSINE_RATE * _sin(_angle(t)) / _cos(_angle(t))


def _check_rates(beta_min: float, beta_max: float) -> None:
    if not (math.isfinite(beta_max) and 0 < beta_min <= beta_max <= BETA_MAX):
        raise ValueError(
            f"beta_min is {beta_min:g} and beta_max {beta_max:g}; "
            f"they must be above 0, beta_min not above beta_max, and at most {BETA_MAX:g}"
        )


def _integrated(beta_min: float, beta_max: float, t: Time) -> Time:
    """B(t) = int_0^t beta."""
    return t * (beta_min + t * (beta_max - beta_min) / 2)


def _angle(t: Time) -> Time:
    return COSINE_RATE * t + COSINE_START


def _constant(value: float, t: Time) -> Time:
    return torch.full_like(t, value) if isinstance(t, Tensor) else value


def _exp(v: Time) -> Time:
    return v.exp() if isinstance(v, Tensor) else math.exp(v)


def _expm1(v: Time) -> Time:
    return v.expm1() if isinstance(v, Tensor) else math.expm1(v)


def _sqrt(v: Time) -> Time:
    return v.sqrt() if isinstance(v, Tensor) else math.sqrt(v)


def _sin(v: Time) -> Time:
    return v.sin() if isinstance(v, Tensor) else math.sin(v)


def _cos(v: Time) -> Time:
    return v.cos() if isinstance(v, Tensor) else math.cos(v)
