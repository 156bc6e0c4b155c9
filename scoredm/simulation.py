"""Simulating the diffusion, forwards with exact increments and backwards with a score.

A sampler is a step (samplers.py) over a falling grid of times (grids.py); `rollout` runs any of them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from scoredm.grids import uniform_times
from scoredm.mixture import GaussianMixture
from scoredm.priors import zero_mean_prior
from scoredm.samplers import CountedScore, Sampler, Step, euler_maruyama, prepare, sampler_of
from scoredm.score import ExactScore, GridScore, ScoreFn, check_sde_and_score, denoise as tweedie
from scoredm.sde import SDE, check_is_sde
from scoredm.threads import FEW_NUMBERS, one_thread


@final
@dataclass(frozen=True, eq=False)
class Trajectory:
    """The points of a run at the times that were kept: every time of its grid, or the last alone.

    Attributes:
        times: falling, T of them; after the last step to E[x_0 | x_t] the last is 0.
        points: (T, N, D); points[i] is where the particles are at times[i].
    """

    times: tuple[float, ...]
    points: Tensor

    @property
    def end(self) -> Tensor:
        """The samples: the points at the last time, (N, D)."""
        return self.points[-1]


@torch.no_grad()
def rollout(
    sde: SDE,
    score_fn: ScoreFn,
    x: Tensor,
    times: Sequence[float],
    step: str | Sampler | Step = euler_maruyama,
    generator: torch.Generator | None = None,
    storage: Tensor | None = None,
    noise: Iterable[Tensor] | None = None,
) -> Iterator[tuple[float, Tensor]]:
    """Run a sampler down a grid of times; yield each later time with the points there.

    Below T is the number of times: those given, and with a name or a Sampler its corrector's visits too.

    Args:
        sde: the forward diffusion.
        score_fn: the score, exact or learned.
        x: the points at times[0], (N, D).
        times: two or more falling times in [0, 1]; a repeated time is a step of the corrector.
        step: a name in SAMPLERS, a Sampler, or one step.
        generator: draws the noise, on its own device.
        storage: where the points are written, (T - 1, N, D), if given.
        noise: (T - 1, N, D), or an iterator of (N, D), in place of draws; it is not changed.

    Yields:
        T - 1 pairs (t, x), x: (N, D).

    Raises:
        TypeError: for an sde that is none, or a score that cannot be called.
        ValueError: for an unknown name, points of another dimension than the score's, noise of another shape or too little of
            it, times that rise or leave [0, 1], or a step that returns another shape.
        RuntimeError: for a step that writes into x, after one that did not.
    """
    sampler = sampler_of(step)
    times = sampler.times(times)
    states = _steps(sde, score_fn, x, times, sampler.make_step(), generator, storage, noise)
    yield from zip(times[1:], states, strict=True)


def _steps(
    sde: SDE,
    score_fn: ScoreFn,
    x: Tensor,
    times: Sequence[float],
    step: Step,
    generator: torch.Generator | None,
    storage: Tensor | None,
    noise: Iterable[Tensor] | None,
) -> Iterator[Tensor]:
    """The loop of `rollout`, for a caller that has gradients switched off already."""
    check_sde_and_score(sde, score_fn)
    _check_times(times)
    dim = _dim_of(score_fn)
    if dim is not None and x.shape[-1] != dim:
        raise ValueError(f"the start has shape {tuple(x.shape)}; this score takes points in {dim}-D")
    if isinstance(noise, Tensor) and noise.shape != (len(times) - 1, *x.shape):
        raise ValueError(f"noise has shape {tuple(noise.shape)}; this run needs {(len(times) - 1, *x.shape)}")
    score_at = score_fn.on_grid(times, x) if isinstance(score_fn, ExactScore) else score_fn
    sde = sde.on_grid(times)
    frames = None if storage is None else storage.unbind()
    given = None if noise is None else iter(noise)
    prepare(step, sde, times)
    writes = True  # whether the last step wrote into x: if it did not, the next gets x itself and no copy
    for i, (t, t_next) in enumerate(pairwise(times)):
        frame = coordinates_first(x.shape, x) if frames is None else frames[i]
        z = _fill_normal(frame, generator) if given is None else _fill_given(frame, given, i, len(times) - 1)
        lent = x.clone() if writes else x.data  # of the same points, but it counts how often it is written to by itself
        before = _writes(lent)
        after = step(sde, score_at, lent, t, t_next, z)
        if not isinstance(after, Tensor) or after.shape != x.shape:
            shape = tuple(after.shape) if isinstance(after, Tensor) else type(after).__name__
            raise ValueError(f"the step from t = {t:g} to {t_next:g} returned {shape}; it must return a tensor {tuple(x.shape)}")
        if not writes and _writes(lent) != before:
            raise RuntimeError(f"the step from t = {t:g} to {t_next:g} wrote into x, which it must leave as it is")
        writes = before is None or _writes(lent) != before
        x = after.detach()
        if frames is not None and after is not frame:
            frame.copy_(x)
        yield x


def _check_times(times: Sequence[float]) -> None:
    if len(times) < 2 or not all(1 >= t >= t_next >= 0 for t, t_next in pairwise(times)):
        raise ValueError(f"times are {[*times[:5]]}...; there must be two or more, they must not rise and must lie in [0, 1]")


def _writes(x: Tensor) -> int | None:
    """How often a tensor was written to; None where torch does not count, in inference mode."""
    return None if x.is_inference() else x._version


def _fill_given(out: Tensor, noise: Iterator[Tensor], i: int, steps: int) -> Tensor:
    """Copy the noise of step i, which a step may overwrite."""
    z = next(noise, None)
    if z is None:
        raise ValueError(f"the noise ended after {i} of {steps} steps; it must have one (N, D) for each")
    if z.shape != out.shape:
        raise ValueError(f"the noise of step {i + 1} has shape {tuple(z.shape)}; it must be {tuple(out.shape)}")
    return out.copy_(z)


@torch.no_grad()
def sample(
    sde: SDE,
    score_fn: ScoreFn,
    n: int,
    *,
    steps: int = 200,
    step: str | Sampler | Step = euler_maruyama,
    prior: GaussianMixture | None = None,
    t_min: float = 1e-3,
    denoise: bool = False,
    generator: torch.Generator | None = None,
    trajectory: bool = False,
    times: Sequence[float] | None = None,
    start: Tensor | None = None,
    noise: Iterable[Tensor] | None = None,
) -> Trajectory:
    """Draw n samples by running a sampler from the prior at t = 1 down to t_min.

    `sample(...).end` are the samples. Memory: the points kept, one more frame in the first step, and a working set of 2 MB that
    does not grow with n.

    Args:
        sde: the forward diffusion.
        score_fn: the score, exact or learned.
        n: how many samples.
        steps: even steps from 1 to t_min.
        step: a name in SAMPLERS, such as "ddim"; a Sampler; or one step. A name or a Sampler adds its corrector's visits to the
            times.
        prior: the distribution of x at t = 1; by default `zero_mean_prior` in the score's dimension.
        t_min: where the run stops, in (0, 1).
        denoise: end with the Tweedie step to E[x_0 | x_t], a last frame at time 0.
        generator: draws the initial points and the noise.
        trajectory: keep the points at every time, not only the last.
        times: a falling grid from 1 in place of `steps` and `t_min`; it may begin later where there is a `start`.
        start: x at the first time, (n, D), in place of a draw from the prior.
        noise: (T - 1, n, D), or an iterator of (n, D), in place of draws at each step, so that two samplers can run on the same
            numbers.

    Returns:
        The last time and points alone, (1, n, D); with `trajectory` all T times, a corrector's visits among them, and points
            (T, n, D), one more with `denoise`.

    Raises:
        ValueError: for n or steps below 1, t_min outside (0, 1), times that rise, or begin below 1 without a start, shapes that
            disagree, or no prior for a score that does not know its dimension.
        TypeError, RuntimeError: see `rollout`, as for any other ValueError.
    """
    check_sde_and_score(sde, score_fn)
    sampler = sampler_of(step)
    times = tuple(sampler.times(uniform_times(steps, t_min) if times is None else times))
    _check_times(times)
    if start is None and times[0] != 1:
        raise ValueError(
            f"times begin at {times[0]:g}, but the prior is the distribution at t = 1; pass points at that time as start"
        )
    x = _draw_start(sde, score_fn, n, prior, generator) if start is None else start
    x = x.to(_device_of(score_fn, x))
    if isinstance(score_fn, ExactScore) and score_fn.mixture.needs_float64:
        x = x.double()
    if x.ndim != 2 or len(x) != n:
        raise ValueError(f"start has shape {tuple(x.shape)}; it must be (n, D) with n = {n}")
    kept = (*times, 0.0) if denoise else times
    path = coordinates_first((len(kept) if trajectory else 1, *x.shape), x)
    x = path[0].copy_(x)
    storage = path[1 : len(times)] if trajectory else None
    with one_thread(_fits_one_core(score_fn, x)):
        for state in _steps(sde, score_fn, x, times, sampler.make_step(), generator, storage, noise):
            x = state
        if denoise:
            x = path[-1].copy_(tweedie(sde, score_fn, x, times[-1]))
    return Trajectory(kept, path) if trajectory else Trajectory(kept[-1:], x[None])


def _draw_start(sde: SDE, score_fn: ScoreFn, n: int, prior: GaussianMixture | None, generator: torch.Generator | None) -> Tensor:
    if prior is None:
        dim = _dim_of(score_fn)
        if dim is None:
            raise ValueError("this score does not say its dimension; pass prior=zero_mean_prior(sde, dim)")
        prior = zero_mean_prior(sde, dim)
    return prior.sample(n, generator)


def coarsen(noise: Tensor, factor: int) -> Tensor:
    """The noise of an even grid with `factor` times fewer steps along the same Brownian path.

    Increments add up:

        z = (z_1 + ... + z_factor) / sqrt(factor)

    Args:
        noise: standard normal draws, one for each step, (T, N, D).
        factor: how many steps become one.

    Returns:
        Standard normal draws, (T / factor, N, D).

    Raises:
        ValueError: unless factor divides T.
    """
    if factor < 1 or len(noise) % factor:
        raise ValueError(f"factor is {factor}; it must divide the {len(noise)} steps of the noise")
    return noise.unflatten(0, (-1, factor)).sum(1) / math.sqrt(factor)


def coordinates_first(shape: Sequence[int], like: Tensor) -> Tensor:
    """An empty (..., N, D) tensor whose coordinates lie apart in memory: each step then runs over contiguous points.

    Args:
        shape: (..., N, D).
        like: a tensor with the wanted type and device.
    """
    *lead, n, dim = shape
    return like.new_empty(*lead, dim, n).mT


def _fill_normal(out: Tensor, generator: torch.Generator | None) -> Tensor:
    rows = out.mT
    if generator is None or generator.device == out.device:
        rows.normal_(generator=generator)
    else:
        rows.copy_(torch.randn(rows.shape, generator=generator, device=generator.device, dtype=out.dtype))
    return out


def _dim_of(score_fn: ScoreFn) -> int | None:
    """D of a score that says it."""
    return _dim_of(score_fn.score_fn) if isinstance(score_fn, CountedScore) else getattr(score_fn, "dim", None)


def _fits_one_core(score_fn: ScoreFn, x: Tensor) -> bool:
    """Exact scores are computed in blocks that fit one core; a network is slower in several threads where points are few."""
    if isinstance(score_fn, CountedScore):
        return _fits_one_core(score_fn.score_fn, x)
    return isinstance(score_fn, ExactScore | GridScore) or x.numel() <= FEW_NUMBERS


def _device_of(score_fn: ScoreFn, x: Tensor) -> torch.device:
    """A network's points live with its weights; any other score takes them where they are."""
    if isinstance(score_fn, CountedScore):
        return _device_of(score_fn.score_fn, x)
    if isinstance(score_fn, torch.nn.Module):
        return next((weights.device for weights in score_fn.parameters()), x.device)
    return x.device


@torch.no_grad()
def forward_paths(sde: SDE, x0: Tensor, times: Sequence[float], generator: torch.Generator | None = None) -> Tensor:
    """Paths of the forward SDE through given times, by its exact transitions.

    x_t = (alpha_t / alpha_s) x_s + sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2) z from each time s to the next t,
    starting at the data (s = 0), so every frame has exactly the distribution p_t and a frame at t = 0 is the data.

    Args:
        sde: the forward diffusion.
        x0: the data, (N, D).
        times: T numbers in [0, 1] that do not fall.
        generator: draws the noise.

    Returns:
        The points at each time, (T, N, D).

    Raises:
        TypeError: the first argument is no SDE.
        ValueError: for times out of order or range.
    """
    check_is_sde(sde)
    times = [float(t) for t in times]
    if not times or not all(0 <= t <= 1 for t in times) or any(t < s for s, t in pairwise(times)):
        raise ValueError(f"times are {times[:5]}...; they must not fall and must lie in [0, 1]")
    path = x0.new_empty(len(times), *x0.shape)
    device = generator.device if generator is not None else x0.device
    x, s = x0, 0.0
    for i, t in enumerate(times):
        if t > s:
            x = _forward(sde, x, s, t, torch.randn(x0.shape, generator=generator, device=device, dtype=x0.dtype).to(x0.device))
            s = t
        path[i] = x
    return path


def _forward(sde: SDE, x: Tensor, s: float, t: float, noise: Tensor) -> Tensor:
    """x at s to x at a later t, by the exact transition."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = sde.scales(t), sde.scales(s)
    ratio = alpha_t / alpha_s
    variance = sigma_t**2 - (ratio * sigma_s) ** 2
    return (ratio * x).add_(noise, alpha=math.sqrt(max(variance, 0.0)))
