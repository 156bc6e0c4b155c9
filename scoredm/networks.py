"""Networks that learn a score: each is itself a ScoreFn of (x, t), for t above 0 where sigma_t is not 0.

Weights are drawn from a generator of the network's own, so that other threads neither disturb nor are disturbed.
"""

import math
from typing import final

import torch
from torch import Tensor, nn

from scoredm.sde import SDE, Time, over_leading_axes


def _blank_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with no weights drawn: torch's own start would draw from the global generator."""
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with torch's usual start, weights and biases uniform within 1 / sqrt(inputs)."""
    layer = _blank_linear(inputs, outputs)
    bound = 1 / math.sqrt(inputs)
    for parameter in (layer.weight, layer.bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def _per_point(value: Time, x: Tensor) -> Tensor:
    """A value per leading axis of x, (B,) or (), as (B, 1, ..., 1) or (1, ..., 1) of x's rank."""
    column = torch.as_tensor(over_leading_axes(value, x), dtype=x.dtype, device=x.device)
    return column.reshape(column.shape or (1,) * x.ndim)


@final
class ScoreNet(nn.Module):
    """A score network with scaled input and output: it starts at the score of a Gaussian and learns the rest.

    With v_t = alpha_t^2 s^2 + sigma_t^2 for data of mean m and standard deviation s, a network F whose input and target are
    both of order 1 at every t gives

        s(x, t) = -(x - alpha_t m) / v_t + (alpha_t s / (sigma_t sqrt v_t)) F((x - alpha_t m) / sqrt v_t, t).

    x: (B, ..., D), t: a number, () or (B,), above 0 -> (B, ..., D).
    Source: Karras et al. 2022, arXiv 2206.00364, table 1 (their c_skip, c_out and c_in, here for any alpha_t).
    """

    data_mean: Tensor

    def __init__(
        self,
        sde: SDE,
        dim: int = 2,
        *,
        width: int = 64,
        depth: int = 2,
        data_mean: Tensor | None = None,
        data_scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw the weights from the generator (default: one with seed 0).

        width, depth: size and number of the hidden layers; data_mean: (D,), default 0; data_scale: s.
        Raises ValueError unless dim, width and depth are 1 or more and data_scale is above 0.
        """
        super().__init__()
        if min(dim, width, depth) < 1 or not 0 < data_scale < math.inf:
            raise ValueError(
                f"dim {dim}, width {width} and depth {depth} must be 1 or more, and data_scale {data_scale:g} above 0"
            )
        generator = generator or torch.Generator().manual_seed(0)
        self.sde = sde
        self.dim = dim
        self.data_scale = float(data_scale)
        self.register_buffer("data_mean", torch.zeros(dim) if data_mean is None else data_mean.to(torch.float32).clone())
        layers: list[nn.Module] = []
        for inputs in [dim + 4] + [width] * (depth - 1):
            layers += [_linear(inputs, width, generator), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = _blank_linear(width, dim)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, t: Time) -> Tensor:
        """s(x, t), of x's shape and precision."""
        points = x.to(self.head.weight.dtype)
        alpha, sigma = (_per_point(v, points) for v in (self.sde.alpha(t), self.sde.sigma(t)))
        signal = alpha * self.data_scale
        scale = torch.rsqrt(signal**2 + sigma**2)
        y = (points - alpha * self.data_mean) * scale
        time = torch.cat(self._embed(signal * scale, sigma * scale), -1).expand(*x.shape[:-1], -1)
        correction = self.head(self.body(torch.cat([y, time], -1)))
        return (scale * (signal / sigma * correction - y)).to(x.dtype)

    def _embed(self, cos: Tensor, sin: Tensor) -> tuple[Tensor, ...]:
        """Four features of the angle of signal and noise: its cosine and sine, those of its double, and the log ratio."""
        return cos, sin, 2 * sin * cos, torch.log(sin / cos) / 4


@final
class NotebookNet(nn.Module):
    """The tutorial's network: random Fourier features of t, two hidden layers of tanh units, output divided by sigma_t.

        s(x, t) = MLP(x, sin(2 pi w t), cos(2 pi w t)) / sigma_t,   w ~ N(0, scale^2), drawn once and kept.

    x: (B, ..., D), t: a number, () or (B,), above 0 -> (B, ..., D).
    Source: Neuromatch Academy, deep learning, week 2 day 4, tutorial 2.
    """

    frequencies: Tensor

    def __init__(
        self,
        sde: SDE,
        dim: int = 2,
        *,
        width: int = 50,
        features: int = 10,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw frequencies and weights from the generator (default: one with seed 0).

        features: sines and cosines together. Raises ValueError unless dim and width are 1 or more, and features even, 2 or more.
        """
        super().__init__()
        if min(dim, width) < 1 or features < 2 or features % 2:
            raise ValueError(f"dim {dim} and width {width} must be 1 or more, and features {features} even, 2 or more")
        generator = generator or torch.Generator().manual_seed(0)
        self.sde = sde
        self.dim = dim
        self.register_buffer("frequencies", scale * torch.randn(features // 2, generator=generator))
        self.body = nn.Sequential(
            _linear(dim + features, width, generator),
            nn.Tanh(),
            _linear(width, width, generator),
            nn.Tanh(),
            _linear(width, dim, generator),
        )

    def forward(self, x: Tensor, t: Time) -> Tensor:
        """s(x, t), of x's shape and precision."""
        points = x.to(self.frequencies.dtype)
        phase = 2 * math.pi * self.frequencies * _per_point(t, points)
        time = torch.cat([phase.sin(), phase.cos()], -1).expand(*x.shape[:-1], -1)
        return (self.body(torch.cat([points, time], -1)) / _per_point(self.sde.sigma(t), points)).to(x.dtype)
