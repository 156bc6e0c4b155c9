"""Cached computations: a frozen config in, arrays out. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load. Results are
shared between readers and never changed.
"""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.frames import Frames
from scoredm.ui.experiment import Experiment

if TYPE_CHECKING:
    import torch

    from scoredm.mixture import GaussianMixture
    from scoredm.sde import SDE
    from scoredm.story import Portrait

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


def thinned(frames: Frames, count: int) -> str:
    """A sentence that says so where not all of a run's frames are drawn."""
    drawn = len(frames.times)
    return f" {drawn} of {count} frames are drawn." if drawn < count else ""


def frames_2d(
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


def frames_1d(
    mixture: "GaussianMixture", sde: "SDE", times: np.ndarray, paths: np.ndarray, labels: np.ndarray | None, _follow: bool
) -> Frames:
    """Paths x(t) over p_t as a heat map, with p_t itself in the margin."""
    from scoredm import fields

    at = kept(len(times))
    low, high = fields.span(mixture, sde)
    cells = np.linspace(low, high, 129)
    columns = np.linspace(0, 1, 201)
    heat = fields.cell_densities(mixture, sde, (columns[:-1] + columns[1:]) / 2, cells)
    along = np.broadcast_to(times[at, None], paths[at, :, 0].shape)
    return Frames(
        times=times[at],
        windows=np.tile([0.0, 1.0, low, high], (len(at), 1)),
        particles=np.stack([along, paths[at, :, 0]], -1),
        labels=labels,
        image=np.sqrt(heat / heat.max(axis=1, keepdims=True)).T[None],
        margin=fields.cell_densities(mixture, sde, times[at], cells),
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def portrait(target: str) -> "Portrait":
    """The target itself, small."""
    from scoredm.story import portray

    return portray(Experiment(target).mixture)


@st.cache_resource(max_entries=128, show_spinner=False)
def thumbnail(target: str, mode: str) -> str:
    """The portrait as a picture, for the sidebar and the home page."""
    from scoredm.charts import pictures

    return pictures.portrait(portrait(target), mode)
