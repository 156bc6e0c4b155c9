"""The reverse page's cached computations: a run from noise to data, and one update of it with its numbers. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.frames import Frames
from scoredm.screens.animation import animate
from scoredm.streams import generator

DRAWN = {1: 250, 2: 1500}  # particles on the stage at most, by dimension: more would hide the density
ARROWS = 13  # score arrows a side


@dataclass(frozen=True)
class Reverse:
    """Controls of the reverse page; prior: "zero", "matched" or "exact"."""

    particles: int
    steps: int
    prior: str
    t_min: float
    denoise: bool
    follow: bool
    by_component: bool


@dataclass(frozen=True)
class ReverseRun:
    """A run from noise to data: frames for the stage, both ends of it, and one particle's way."""

    frames: Frames
    times: np.ndarray  # (T,), falling from 1; with the Tweedie step the last is 0
    start: np.ndarray  # (N, D)
    end: np.ndarray  # (N, D)
    walk: np.ndarray  # (steps + 1, D), the first particle's way
    scores: np.ndarray  # (steps + 1, D), the score along it


@dataclass(frozen=True)
class ReverseStep:
    """One update of the first particle, x_next = (1 - f dt) x + g^2 score dt + g sqrt(dt) noise."""

    t: float
    dt: float
    f: float
    g: float
    x: np.ndarray  # (D,)
    score: np.ndarray  # (D,)
    noise: np.ndarray  # (D,)
    x_next: np.ndarray  # (D,)


@st.cache_resource(max_entries=16, show_spinner=False)
def reverse(experiment: Experiment, settings: Reverse) -> ReverseRun:
    """Run the reverse SDE with the exact score."""
    import torch

    from scoredm.samplers import initial_distribution
    from scoredm.simulation import sample

    run = sample(
        experiment.sde,
        experiment.score,
        settings.particles,
        steps=settings.steps,
        prior=initial_distribution(settings.prior, experiment.sde, experiment.mixture),
        t_min=settings.t_min,
        denoise=settings.denoise,
        generator=generator(experiment, "reverse"),
        trajectory=True,
    )
    times, walk = np.array(run.times), run.points[: settings.steps + 1, 0]
    scores = experiment.score(walk, torch.tensor(times[: len(walk)], dtype=torch.float64))
    return ReverseRun(
        frames=_reverse_frames(experiment, settings, times, run.points.numpy()),
        times=times,
        start=run.points[0].contiguous().numpy().copy(),
        end=run.end.contiguous().numpy().copy(),
        walk=walk.numpy().copy(),
        scores=scores.numpy(),
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def from_exact_start(experiment: Experiment, settings: Reverse) -> np.ndarray:
    """Where the same run ends, on the same noise, if it starts from p_1 itself, (N, D)."""
    from scoredm.samplers import exact_prior
    from scoredm.simulation import sample

    run = sample(
        experiment.sde,
        experiment.score,
        settings.particles,
        steps=settings.steps,
        prior=exact_prior(experiment.sde, experiment.mixture),
        t_min=settings.t_min,
        denoise=settings.denoise,
        generator=generator(experiment, "reverse"),
    )
    return run.end.contiguous().numpy()


def reverse_step(experiment: Experiment, run: ReverseRun, t: float) -> ReverseStep:
    """The update under way at time t: the first particle's, from the last time of the grid that is not below t."""
    times = run.times[: len(run.walk)]
    i = int(np.clip(np.searchsorted(-times, -t, side="right") - 1, 0, len(times) - 2))
    t, dt = float(times[i]), float(times[i] - times[i + 1])
    f, g = float(experiment.sde.drift_rate(t)), float(experiment.sde.diffusion(t))
    x, score, x_next = run.walk[i], run.scores[i], run.walk[i + 1]
    noise = (x_next - (1 - f * dt) * x - g**2 * score * dt) / (g * np.sqrt(dt))
    return ReverseStep(t, dt, f, g, x, score, noise, x_next)


def _reverse_frames(experiment: Experiment, settings: Reverse, times: np.ndarray, path: np.ndarray) -> Frames:
    """Particles on their way to the data, with score arrows in the plane."""
    mixture, sde = experiment.mixture, experiment.sde
    drawn = path[:, : DRAWN[mixture.dim]]
    labels = None
    if settings.by_component:
        labels = mixture.responsibilities(drawn[-1].astype(np.float64)).argmax(-1).numpy()
    frames = animate(mixture, sde, times, drawn, labels, follow=settings.follow)
    return frames if mixture.dim == 1 else _with_score_arrows(experiment, frames)


def _with_score_arrows(experiment: Experiment, frames: Frames) -> Frames:
    import torch

    from scoredm import fields

    points = torch.stack([fields.grid_points(box, ARROWS) for box in frames.windows])
    prepared = experiment.score.on_grid(frames.times.tolist(), points)
    spacing = (frames.windows[:, 1] - frames.windows[:, 0]) / ARROWS
    vectors = fields.score_on(prepared, frames.times, points)
    return replace(frames, anchors=points.numpy(), arrows=fields.arrow_lengths(vectors, spacing))
