"""Cached computations: a frozen config in, arrays out. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load. Results are
shared between readers and never changed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from scoredm.ui.experiment import Experiment
from scoredm.ui.stage import Frames

if TYPE_CHECKING:
    import torch

    from scoredm.mixture import GaussianMixture
    from scoredm.sde import SDE

FRAMES = 61  # frames sent to the stage at most: it fills in between them

# Streams of random numbers: one seed, independent draws for each purpose.
STREAMS = {"data": 0, "paths": 1, "reverse": 2, "reference": 3, "metric": 4, "field": 5}


def generator(experiment: Experiment, stream: str) -> "torch.Generator":
    """The random numbers of one purpose: the same seed gives the same draws, whatever else is computed."""
    import torch

    return torch.Generator().manual_seed(experiment.seed * len(STREAMS) + STREAMS[stream])


def kept(count: int) -> np.ndarray:
    """Indices of at most FRAMES of `count` frames, evenly spread, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, FRAMES)).round().astype(int))


@dataclass(frozen=True)
class Forward:
    """Controls of the forward page."""

    particles: int
    steps: int
    follow: bool


@dataclass(frozen=True)
class ForwardRun:
    """Forward paths beside the exact law: frames for the stage, and variances per coordinate over time."""

    frames: Frames
    times: np.ndarray  # (T,)
    paths: np.ndarray  # (T, N, D)
    labels: np.ndarray  # (N,)
    mean: np.ndarray  # (T, D), exact
    variance: np.ndarray  # (T, D), exact
    found: np.ndarray  # (T, D), of the particles
    error: np.ndarray  # (T, D), standard error of found
    sigma: np.ndarray  # (T,)
    diffusion: np.ndarray  # (T,)


@st.cache_resource(max_entries=32, show_spinner=False)
def forward(experiment: Experiment, settings: Forward) -> ForwardRun:
    """Simulate forward paths on an even grid of times and set them beside the exact p_t."""
    from scoredm.samplers import forward_paths

    mixture, sde = experiment.mixture, experiment.sde
    times = np.linspace(0, 1, settings.steps + 1)
    x0, labels = mixture.sample_labelled(settings.particles, generator(experiment, "data"))
    paths = forward_paths(sde, x0, times.tolist(), generator(experiment, "paths")).numpy()
    laws = [mixture.diffuse(float(sde.alpha(t)), float(sde.sigma(t))) for t in times.tolist()]
    found = paths.var(axis=1, ddof=1)
    draw = _frames_1d if mixture.dim == 1 else _frames_2d
    return ForwardRun(
        frames=draw(mixture, sde, times, paths, labels.numpy(), settings.follow),
        times=times,
        paths=paths,
        labels=labels.numpy(),
        mean=np.stack([p.mean.numpy() for p in laws]),
        variance=np.stack([p.covariance.diagonal().numpy() for p in laws]),
        found=found,
        error=((paths - paths.mean(axis=1, keepdims=True)) ** 2).std(axis=1) / np.sqrt(paths.shape[1]),
        sigma=np.array([float(sde.sigma(t)) for t in times.tolist()]),
        diffusion=np.array([float(sde.diffusion(t)) for t in times.tolist()]),
    )


def _frames_2d(
    mixture: "GaussianMixture", sde: "SDE", times: np.ndarray, paths: np.ndarray, labels: np.ndarray | None, follow: bool
) -> Frames:
    """Particles over p_t in the plane."""
    from scoredm import fields

    at = kept(len(times))
    boxes = fields.windows(mixture, sde, times[at].tolist(), follow)
    return Frames(
        times=times[at],
        windows=boxes,
        particles=paths[at],
        labels=labels,
        image=fields.density_pictures(mixture, sde, times[at].tolist(), boxes),
    )


def _frames_1d(
    mixture: "GaussianMixture", sde: "SDE", times: np.ndarray, paths: np.ndarray, labels: np.ndarray | None, _follow: bool
) -> Frames:
    """Paths x(t) over p_t as a heat map, with p_t itself in the margin."""
    from scoredm import fields

    at = kept(len(times))
    low, high = fields.span(mixture, sde)
    cells = np.linspace(low, high, 129)
    y = (cells[:-1] + cells[1:]) / 2
    columns = np.linspace(0, 1, 201)
    heat = fields.density_curves(mixture, sde, (columns[:-1] + columns[1:]) / 2, y)
    along = np.broadcast_to(times[at, None], paths[at, :, 0].shape)
    return Frames(
        times=times[at],
        windows=np.tile([0.0, 1.0, low, high], (len(at), 1)),
        particles=np.stack([along, paths[at, :, 0]], -1),
        labels=labels,
        image=np.sqrt(heat / heat.max(axis=1, keepdims=True)).T[None],
        margin=fields.density_curves(mixture, sde, times[at], y),
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def thumbnail(target: str) -> np.ndarray:
    """A small grey picture of a target's density, (64, 64) uint8 with 0 for none: for the sidebar and the home page."""
    from scoredm import fields
    from scoredm.sde import VESDE

    experiment = Experiment(target)
    if experiment.dim == 2:
        box = fields.windows(experiment.mixture, VESDE(), [0.0], True)
        return (255 * fields.density_pictures(experiment.mixture, VESDE(), [0.0], box)[0][::-1]).astype(np.uint8)
    box = fields.windows_1d(experiment.mixture)
    curve = fields.density_curves(experiment.mixture, VESDE(), [0.0], np.linspace(*box, 64))[0]
    rows = np.arange(64)[::-1, None] / 60
    return np.where(rows < curve / curve.max(), 200, 0).astype(np.uint8)


def figure_bytes(draw: Any, file_format: str) -> bytes:
    """A matplotlib figure as a file; `draw` is called with nothing and returns the figure."""
    from scoredm.figures import as_bytes

    return as_bytes(draw(), file_format)
