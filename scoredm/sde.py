"""Forward diffusions dx = f(t) x dt + g(t) dw on t in [0, 1]: data at t = 0, noise at t = 1.

Every kind here is linear in x, so the law of x_t given x_0 is Gaussian and known exactly,

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
        """g(t), the coefficient of dw."""

    @abstractmethod
    def drift_rate(self, t: Time) -> Time:
        """f(t) = (log alpha_t)', the drift per unit of x."""

    def drift(self, x: Tensor, t: Time) -> Tensor:
        """The drift f(t) x; x: (B, ..., D), t: a number, () or (B,)."""
        return over_leading_axes(self.drift_rate(t), x) * x

    def perturb(self, x0: Tensor, t: Time, noise: Tensor) -> Tensor:
        """Draw from p(x_t | x_0): alpha_t x_0 + sigma_t z; x0, noise: (B, ..., D), t: a number, () or (B,)."""
        return over_leading_axes(self.alpha(t), x0) * x0 + over_leading_axes(self.sigma(t), x0) * noise


@final
@dataclass(frozen=True)
class VESDE(SDE):
    """The tutorial's variance-exploding SDE, dx = lambda^t dw.

    alpha_t = 1,   g(t) = lambda^t,   sigma_t^2 = (lambda^{2t} - 1) / (2 ln lambda), which is t at lambda = 1.

    Raises ValueError unless 0 < lam <= 1e6. Source: Neuromatch Academy, deep learning, week 2 day 4, tutorial 2.
    """

    lam: float = 25.0

    def __post_init__(self) -> None:
        """Refuse a lambda that defines no diffusion."""
        if not (math.isfinite(self.lam) and 0 < self.lam <= LAM_MAX):
            raise ValueError(f"lambda is {self.lam:g}; it must be above 0 and at most {LAM_MAX:g}")

    def alpha(self, t: Time) -> Time:
        """1 at every t: the mean does not move."""
        return torch.ones_like(t) if isinstance(t, Tensor) else 1.0

    def sigma(self, t: Time) -> Time:
        """sqrt((lambda^{2t} - 1) / (2 ln lambda)); expm1 keeps the relative precision as t -> 0."""
        rate = 2 * math.log(self.lam)
        if isinstance(t, Tensor):
            return (t if rate == 0 else torch.expm1(rate * t) / rate).sqrt()
        return math.sqrt(t if rate == 0 else math.expm1(rate * t) / rate)

    def diffusion(self, t: Time) -> Time:
        """lambda^t."""
        log_lam = math.log(self.lam)
        return torch.exp(log_lam * t) if isinstance(t, Tensor) else math.exp(log_lam * t)

    def drift_rate(self, t: Time) -> Time:
        """0: nothing pulls x back."""
        return torch.zeros_like(t) if isinstance(t, Tensor) else 0.0
