"""A variance-preserving SDE, so that the laws are also tested where alpha is not 1 and the drift is not 0."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from scoredm import SDE
from scoredm.sde import Time


@final
@dataclass(frozen=True)
class ConstantVP(SDE):
    """dx = -beta x / 2 dt + sqrt(beta) dw: alpha_t = exp(-beta t / 2), sigma_t^2 = 1 - exp(-beta t)."""

    beta: float = 3.0

    def alpha(self, t: Time) -> Time:
        return torch.exp(-self.beta * t / 2) if isinstance(t, Tensor) else math.exp(-self.beta * t / 2)

    def sigma(self, t: Time) -> Time:
        return (-torch.expm1(-self.beta * t)).sqrt() if isinstance(t, Tensor) else math.sqrt(-math.expm1(-self.beta * t))

    def diffusion(self, t: Time) -> Time:
        root = math.sqrt(self.beta)
        return torch.full_like(t, root) if isinstance(t, Tensor) else root

    def drift_rate(self, t: Time) -> Time:
        return torch.full_like(t, -self.beta / 2) if isinstance(t, Tensor) else -self.beta / 2
