"""The memorisation page's cached computations, and the reader's own points, which the session keeps.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.streams import generator
from scoredm.ui.training.runs import Recipe

if TYPE_CHECKING:
    import torch

    from scoredm.memorisation import Collapse, Copies, Points
    from scoredm.score import ScoreFn
    from scoredm.training import TrainConfig
    from scoredm.ui.training.workers import Run

SAMPLES, STEPS = 1000, 80  # drawn with each score, along so many steps
FRESH = 20_000  # fresh points of the target, which say how near is a copy
T_MIN = 1e-4
EVALUATIONS = 40  # of the test loss during a run
UNLIKE = 2.0  # times the largest distance between samples of the target: points farther from it are no draws of it
OWN = "_own_points"  # session state: the reader's last file that could be read
REFUSED = "_own_refused"  # session state: what was wrong with a later one
UPLOADS = "_own_uploads"  # session state: how often the uploader was emptied


@dataclass(frozen=True)
class Drawn:
    """Samples by one score, (M, D), and how far they are from the training points."""

    samples: np.ndarray
    distances: np.ndarray  # (M,)
    copies: "Copies"


@dataclass(frozen=True)
class Target:
    """What the samples are drawn over: fresh data's distances to the training points, and a window with exact lines."""

    fresh: np.ndarray  # (FRESH,)
    within: float  # nearer than this is a copy
    box: np.ndarray  # (4,), or (2,) on the line
    lines: list[np.ndarray]  # each (K, 2)


# Training points


@dataclass(frozen=True)
class Own:
    """The reader's own points and the name of their file."""

    name: str
    points: "Points"


def take(name: str, content: bytes) -> None:
    """Keep the points of a file for this session; where it cannot be read, keep the last ones and what was wrong."""
    from scoredm.memorisation import Points, read_points

    try:
        points = Points.of(read_points(content.decode("utf-8")))
    except UnicodeDecodeError:
        st.session_state[REFUSED] = f"{name} is not a text file. Save your table as CSV (UTF-8)"
    except ValueError as error:
        st.session_state[REFUSED] = f"{name}: {error}"
    else:
        st.session_state[OWN] = Own(name, points)
        st.session_state.pop(REFUSED, None)


def own() -> Own | None:
    """The reader's own points, if a file could be read."""
    return st.session_state.get(OWN)


def refused() -> str | None:
    """What was wrong with the reader's last file."""
    return st.session_state.get(REFUSED)


def excuse() -> None:
    """Say no more about the file that was refused."""
    st.session_state.pop(REFUSED, None)


def forget() -> None:
    """Go back to points drawn from the target, and empty the uploader."""
    st.session_state.pop(OWN, None)
    excuse()
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1


def uploader() -> str:
    """The uploader's key: a fresh one empties it."""
    return f"mfile{st.session_state.get(UPLOADS, 0)}"


@st.cache_resource(max_entries=64, show_spinner=False)
def drawn_points(experiment: Experiment, count: int) -> "Points":
    """The first `count` draws from the target: more points keep those that were there."""
    from scoredm.memorisation import MAX_POINTS, Points

    return Points.of(experiment.mixture.sample(MAX_POINTS, generator(experiment, "data"))[:count])


def alike(experiment: Experiment, points: "Points") -> bool:
    """Whether the reader's own points look like draws of the target: as near to one as other draws are, within a factor of 2."""
    given = own()
    if given is None or given.points != points or len(points) < 2:
        return True
    from scoredm.ui.cache import compare

    beside = compare(experiment, points.array())
    return beside.distance <= UNLIKE * beside.fresh_distances.max()


# The three scores


@st.cache_resource(max_entries=32, show_spinner=False)
def target(experiment: Experiment, points: "Points") -> Target:
    """How far fresh data are from the training points, and where to look."""
    from scoredm.memorisation import copy_distance, nearest_distances
    from scoredm.ui.cache import outline

    fresh = nearest_distances(experiment.mixture.sample(FRESH, generator(experiment, "reference")), points.array())
    lines = outline(experiment, 0.0)
    return Target(fresh, copy_distance(fresh), _around(lines.box, points.array()), lines.lines)


def _around(box: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The window, widened where training points lie outside it; it stays square in the plane."""
    low, high = np.minimum(box[0::2], points.min(0)), np.maximum(box[1::2], points.max(0))
    half = (high - low).max() / 2
    return np.stack([(low + high) / 2 - half, (low + high) / 2 + half], 1).ravel()


@st.cache_resource(max_entries=16, show_spinner=False)
def _noise(experiment: Experiment) -> "tuple[torch.Tensor, torch.Tensor]":
    """Starts at t = 1, draws of the exact p_1, and the noise of every step: the same for all three scores."""
    import torch

    from scoredm.samplers import exact_prior

    draws = generator(experiment, "reverse")
    start = exact_prior(experiment.sde, experiment.mixture).sample(SAMPLES, draws)
    return start, torch.randn(STEPS, SAMPLES, experiment.dim, generator=draws)


@st.cache_resource(max_entries=32, show_spinner=False)
def by_true_score(experiment: Experiment, points: "Points") -> Drawn:
    """Samples by the score of the target."""
    return _draw(experiment, points, experiment.score)


@st.cache_resource(max_entries=32, show_spinner=False)
def by_empirical_score(experiment: Experiment, points: "Points") -> Drawn:
    """Samples by the score of the training points."""
    from scoredm.memorisation import EmpiricalScore

    return _draw(experiment, points, EmpiricalScore(points.tensor(), experiment.sde))


@st.cache_resource(max_entries=32, show_spinner=False)
def by_network(recipe: Recipe, step: int, _run: "Run") -> Drawn:
    """Samples by a network at rest after so many steps: recipe and step say which weights it has."""
    from scoredm.ui.training.learned import on_cpu

    del step
    assert recipe.points is not None
    return _draw(recipe.experiment, recipe.points, on_cpu(_run.snapshot()))


def _draw(experiment: Experiment, points: "Points", score: "ScoreFn") -> Drawn:
    from scoredm.memorisation import copies, nearest_distances, sample_with_noise

    samples = sample_with_noise(experiment.sde, score, *_noise(experiment), T_MIN)
    distances = nearest_distances(samples, points.array())
    return Drawn(samples.numpy(), distances, copies(distances, target(experiment, points).within))


@st.cache_resource(max_entries=32, show_spinner=False)
def collapse(experiment: Experiment, points: "Points") -> "Collapse":
    """When the empirical score falls onto single points, and the least training loss."""
    from scoredm import memorisation

    empirical = memorisation.EmpiricalScore(points.tensor(), experiment.sde)
    return memorisation.collapse(empirical, T_MIN, generator(experiment, "metric"))


def guide(experiment: Experiment, found: "Collapse") -> float | None:
    """The t at which sigma_t / alpha_t is the distance between neighbours."""
    from scoredm.memorisation import time_of_distance

    return time_of_distance(experiment.sde, found.neighbours)


def config(steps: int, seed: int) -> "TrainConfig":
    """Our recipe with so many steps."""
    from scoredm.training import TrainConfig

    return TrainConfig(steps=steps, eps=T_MIN, seed=seed, eval_every=max(1, steps // EVALUATIONS))


def recipe(experiment: Experiment, points: "Points", steps: int) -> Recipe:
    """Our recipe on these points and no others."""
    return Recipe(experiment, config(steps, experiment.seed), points)
