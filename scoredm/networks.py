"""Networks that learn a score: each is itself a ScoreFn of (x, t), for t above 0 where sigma_t is not 0.

Whatever a network's last layer predicts, its forward turns into a score. PARAMETRISATIONS, with F the output of the last layer:

    "own": the network's own formula, given in its class;   "score": s = F;
    "noise": s = -F / sigma_t;   "clean": s = (alpha_t F - x) / sigma_t^2.

All can represent the same scores. They differ in how large the outputs of the layers must be, and in how much an error of F
changes the score. Weights are drawn from a generator of their own, so that threads do not disturb each other.
"""

import math
from typing import final

import torch
from torch import Tensor, nn

from scoredm.conversions import score_from_clean, score_from_noise
from scoredm.sde import LEAST_SIGNAL, SDE, Time, check_is_sde, over_leading_axes

# Units in a hidden layer, where a recipe does not say otherwise.
SCORENET_WIDTH = 64
NOTEBOOK_WIDTH = 50

PARAMETRISATIONS = ("own", "score", "noise", "clean")

# At these times alpha and sigma tell two SDEs apart.
TELLING_TIMES = (0.25, 0.5, 0.75, 1.0)

HE_GAIN = math.sqrt(6)  # He et al. 2015, arXiv 1502.01852: signals keep their size from layer to layer


def _blank_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with no weights drawn: torch's own start would draw from the global generator."""
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")


def _linear(inputs: int, outputs: int, generator: torch.Generator, gain: float = 1.0) -> nn.Linear:
    """A linear layer with weights and biases uniform within gain / sqrt(inputs); torch's own start has gain 1."""
    layer = _blank_linear(inputs, outputs)
    bound = gain / math.sqrt(inputs)
    for parameter in (layer.weight, layer.bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def _per_point(value: Time, x: Tensor) -> Tensor:
    """A value per leading axis of x, (B,) or (), as (B, 1, ..., 1) or (1, ..., 1) of x's rank."""
    column = torch.as_tensor(over_leading_axes(value, x), dtype=x.dtype, device=x.device)
    return column.reshape(column.shape or (1,) * x.ndim)


def _score(output: Tensor, x: Tensor, sde: SDE, t: Time, parametrisation: str) -> Tensor:
    """The score that the output of a last layer stands for in any parametrisation but the network's own."""
    if parametrisation == "noise":
        return score_from_noise(output, sde, t)
    return output if parametrisation == "score" else score_from_clean(output, x, sde, t)


def _check_parametrisation(name: str) -> None:
    if name not in PARAMETRISATIONS:
        raise ValueError(f"parametrisation is {name!r}; it must be one of {', '.join(PARAMETRISATIONS)}")


class _Network(nn.Module):
    """A network whose weights say, in its state_dict, for which SDE they were trained: by alpha and sigma at four times."""

    sde: SDE
    dim: int
    parametrisation: str
    sizes: dict[str, int]  # what __init__ needs to make one of the same shape

    def get_extra_state(self) -> Tensor:
        """alpha and sigma of the SDE at TELLING_TIMES, (4, 2), float64."""
        return torch.tensor([self.sde.scales(t) for t in TELLING_TIMES], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Refuse weights that were trained for another SDE.

        Args:
            state: what `get_extra_state` of the network that they come from gave.

        Raises:
            ValueError: if it is not what this network's gives.
        """
        for t, theirs, ours in zip(TELLING_TIMES, state.tolist(), self.get_extra_state().tolist(), strict=True):
            if not all(math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12) for one, other in zip(theirs, ours, strict=True)):
                raise ValueError(
                    f"the weights were trained for another SDE: at t = {t:g} it has alpha = {theirs[0]:g} and "
                    f"sigma = {theirs[1]:g}, where {self.sde} has {ours[0]:g} and {ours[1]:g}"
                )


@final
class ScoreNet(_Network):
    """A score network with scaled input and output, which starts as the score of a Gaussian and learns the rest.

    In the principal axes of the data, of mean m and standard deviation s along an axis, with v_t = alpha_t^2 s^2 + sigma_t^2,

        s(x, t) = -(x - alpha_t m) / v_t + (alpha_t s / (sigma_t sqrt v_t)) F((x - alpha_t m) / sqrt v_t, t),

    so that the inputs and outputs of the network F are of order 1 at every t. In another parametrisation than "own", F takes the
    same inputs but predicts the score, the noise or the clean data directly.

    References:
        Karras et al. 2022, arXiv 2206.00364, table 1 (their c_skip, c_out and c_in, here per axis and for any alpha_t).
    """

    mean: Tensor
    std: Tensor
    axes: Tensor

    def __init__(
        self,
        sde: SDE,
        dim: int = 2,
        *,
        width: int = SCORENET_WIDTH,
        depth: int = 3,
        mean: Tensor | None = None,
        covariance: Tensor | None = None,
        parametrisation: str = "own",
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw the weights.

        Args:
            sde: the SDE whose score is learned.
            dim: D, the dimension of the data.
            width: units in each hidden layer.
            depth: number of hidden layers.
            mean: mean of the data, (D,); 0 by default.
            covariance: covariance of the data, (D, D); the identity by default.
            parametrisation: what the last layer predicts, one of PARAMETRISATIONS.
            generator: source of the initial weights; by default a new one with seed 0.

        Raises:
            TypeError: the first argument is no SDE.
            ValueError: if dim, width or depth is below 1, or the parametrisation is unknown.
        """
        super().__init__()
        check_is_sde(sde)
        _check_parametrisation(parametrisation)
        if min(dim, width, depth) < 1:
            raise ValueError(f"dim is {dim}, width {width} and depth {depth}; each must be 1 or more")
        generator = generator or torch.Generator().manual_seed(0)
        self.sde = sde
        self.dim = dim
        self.parametrisation = parametrisation
        self.sizes = {"dim": dim, "width": width, "depth": depth}
        variances, axes = torch.linalg.eigh(torch.eye(dim) if covariance is None else covariance)
        self.register_buffer("mean", torch.zeros(dim) if mean is None else mean.clone())
        self.register_buffer("std", variances.clamp(min=1e-12).sqrt())
        self.register_buffer("axes", axes)
        layers: list[nn.Module] = []
        for inputs in [6 * dim] + [width] * (depth - 1):
            layers += [_linear(inputs, width, generator, HE_GAIN), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = _blank_linear(width, dim)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, t: Time) -> Tensor:
        """Evaluate the learned score s(x, t).

        Args:
            x: points, (B, ..., D).
            t: time above 0; a number, () or (B,).

        Returns:
            The score, with the shape and precision of x.
        """
        points = x.to(self.mean.dtype)
        alpha, sigma = (_per_point(v, points) for v in (self.sde.alpha(t), self.sde.sigma(t)))
        signal = alpha * self.std
        scale = torch.rsqrt(signal**2 + sigma**2)
        y = (points - alpha * self.mean) @ self.axes * scale
        ratio = signal / sigma
        level = torch.where(ratio > 0, ratio, LEAST_SIGNAL)  # at alpha_t = 0 its logarithm is infinite
        time = torch.cat([signal * scale, sigma * scale, level.log() / 4], -1).expand(*x.shape[:-1], -1)
        # The waves let a small network draw fine detail early.
        output = self.head(self.body(torch.cat([y, (2 * y).sin(), (2 * y).cos(), time], -1)))
        if self.parametrisation == "own":
            return ((scale * (ratio * output - y)) @ self.axes.mT).to(x.dtype)
        return _score(output, points, self.sde, t, self.parametrisation).to(x.dtype)


@final
class NotebookNet(_Network):
    """The tutorial's network: random Fourier features of t, two hidden layers of tanh units, and an output divided by sigma_t.

        s(x, t) = MLP(x, sin(2 pi w t), cos(2 pi w t)) / sigma_t,   w ~ N(0, scale^2), drawn once and kept.

    The output of its last layer is an estimate of minus the noise.

    References:
        Neuromatch Academy, deep learning, week 2 day 4, tutorial 2.
    """

    frequencies: Tensor

    def __init__(
        self,
        sde: SDE,
        dim: int = 2,
        *,
        width: int = NOTEBOOK_WIDTH,
        features: int = 10,
        scale: float = 1.0,
        parametrisation: str = "own",
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw the frequencies and the weights.

        Args:
            sde: the SDE whose score is learned.
            dim: D, the dimension of the data.
            width: units in each of the two hidden layers.
            features: number of Fourier features of t, sines and cosines together; even.
            scale: standard deviation of the frequencies w.
            parametrisation: what the last layer predicts, one of PARAMETRISATIONS.
            generator: source of the frequencies and initial weights; by default a new one with seed 0.

        Raises:
            TypeError: the first argument is no SDE.
            ValueError: if dim or width is below 1, features is odd or below 2, or the parametrisation is unknown.
        """
        super().__init__()
        check_is_sde(sde)
        _check_parametrisation(parametrisation)
        if min(dim, width) < 1 or features < 2 or features % 2:
            raise ValueError(f"dim {dim} and width {width} must be 1 or more, and features {features} even, 2 or more")
        generator = generator or torch.Generator().manual_seed(0)
        self.sde = sde
        self.dim = dim
        self.parametrisation = parametrisation
        self.sizes = {"dim": dim, "width": width, "features": features}
        self.register_buffer("frequencies", scale * torch.randn(features // 2, generator=generator))
        self.body = nn.Sequential(
            _linear(dim + features, width, generator),
            nn.Tanh(),
            _linear(width, width, generator),
            nn.Tanh(),
            _linear(width, dim, generator),
        )

    def forward(self, x: Tensor, t: Time) -> Tensor:
        """Evaluate the learned score s(x, t).

        Args:
            x: points, (B, ..., D).
            t: time above 0; a number, () or (B,).

        Returns:
            The score, with the shape and precision of x.
        """
        points = x.to(self.frequencies.dtype)
        phase = 2 * math.pi * self.frequencies * _per_point(t, points)
        time = torch.cat([phase.sin(), phase.cos()], -1).expand(*x.shape[:-1], -1)
        output = self.body(torch.cat([points, time], -1))
        if self.parametrisation == "own":
            return (output / _per_point(self.sde.sigma(t), points)).to(x.dtype)
        return _score(output, points, self.sde, t, self.parametrisation).to(x.dtype)
