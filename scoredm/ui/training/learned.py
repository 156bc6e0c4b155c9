"""Cached computations of the training page: the learned score beside the exact one. A model is told by its weights.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.frames import Frames
from scoredm.streams import generator

if TYPE_CHECKING:
    import torch

    from scoredm.learning import ErrorsOverTime, ModelErrors, PairedSamples, ScoreComparison, TrainingPace
    from scoredm.networks import NotebookNet, ScoreNet
    from scoredm.training import TrainConfig

    Network = ScoreNet | NotebookNet

GAP_CELLS = 48  # cells a side of the picture of the difference
GAP_ARROWS = 14
GAP_FULL = 1.0  # the difference, in units of noise, from which the picture has its full colour
GAP_MARKS = ((0.0, "0"), (0.5, "¼"), (1.0, "1 unit of noise"))  # at the levels of the picture, which go like the root
FADING = 0.02, 0.0005  # the picture fades where less of p_t than this is rarer, and ends where it is less than that
ERROR_POINTS = 200
COMPARED, COMPARED_STEPS = 1000, 200  # particles and steps of the tutorial's comparison


def _weights(model: "Network") -> str:
    digest = hashlib.blake2b(model.parametrisation.encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


_BY_WEIGHTS: dict[str | type, Callable[[Any], Any]] = dict.fromkeys(
    ("scoredm.networks.ScoreNet", "scoredm.networks.NotebookNet"), _weights
)


def on_cpu(model: "Network") -> "Network":
    """The model itself, or a copy on the CPU of one that lives elsewhere."""
    return model if next(model.parameters()).device.type == "cpu" else copy.deepcopy(model).cpu()


@st.cache_data(max_entries=64, show_spinner=False)
def training_pace(config: "TrainConfig", dim: int) -> "TrainingPace":
    """Seconds a step and an evaluation of this recipe take on this machine."""
    from scoredm.learning import measure_training_pace

    return measure_training_pace(config, dim)


def training_seconds(config: "TrainConfig", dim: int) -> float:
    """About how long a run of this recipe takes here."""
    alike = replace(config, seed=0, steps=1, eval_every=1, learning_rate=1e-3, schedule="constant")
    return training_pace(alike, dim).seconds(config)


@st.cache_data(max_entries=64, show_spinner=False)
def perfect_notebook_error(experiment: Experiment, eps: float) -> float:
    """What the exact score scores on the tutorial's metric."""
    from scoredm import learning

    return learning.perfect_notebook_error(experiment.mixture, experiment.sde, eps, generator(experiment, "metric"))


@dataclass(frozen=True)
class ScoreGap:
    """Learned minus exact score at one time: a picture of it in the plane, or the two curves on the line.

    largest: the largest difference, in units of noise, among the cells where the picture does not fade.
    """

    gap: "ScoreComparison"
    frames: Frames | None = None  # in the plane
    largest: float = float("nan")  # in the plane
    density: np.ndarray | None = None  # (N,), on the line


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=_BY_WEIGHTS)
def score_gap(experiment: Experiment, model: "Network", t: float) -> ScoreGap:
    """Where p_t is, how far is the learned score from the exact one? In the plane size and arrows go like its square root."""
    import torch

    from scoredm import fields, learning

    mixture, sde = experiment.mixture, experiment.sde
    if mixture.dim == 1:
        distribution = experiment.distribution(t)
        x = np.linspace(*fields.windows_1d(distribution), 241)
        found = learning.compare_scores(model, mixture, sde, t, torch.tensor(x[:, None], dtype=torch.float32))
        return ScoreGap(found, density=fields.density_curves(mixture, sde, [t], x)[0])
    box, cells, tails = _gap_points(experiment, t)
    found = learning.compare_scores(model, mixture, sde, t, torch.cat([cells, tails]))
    difference = found.learned - found.exact
    size = np.nan_to_num(np.linalg.norm(difference, axis=1), nan=np.inf)
    strength, presence = np.minimum(size / GAP_FULL, 1) ** 0.5, _presence(experiment, t)
    length = np.where(presence > 0, strength, np.nan) * (box[0, 1] - box[0, 0]) / GAP_ARROWS
    arrows = difference * (length / np.maximum(size, 1e-12))[:, None]
    frames = Frames(
        times=np.array([t]),
        windows=box,
        image=(strength * presence)[: len(cells)].reshape(1, GAP_CELLS, GAP_CELLS),
        image_kind="error",
        anchors=tails.numpy()[None],
        arrows=arrows[None, len(cells) :],
        ellipses=fields.ellipses(mixture, sde, [t]),
    )
    return ScoreGap(found, frames, float(size[presence == presence.max()].max()))


def _gap_points(experiment: Experiment, t: float) -> "tuple[np.ndarray, torch.Tensor, torch.Tensor]":
    """The window of the picture (1, 4), the centres of its cells and the tails of its arrows."""
    from scoredm import fields

    box = fields.windows(experiment.mixture, experiment.sde, [t], True)
    return box, fields.grid_points(box[0].tolist(), GAP_CELLS), fields.grid_points(box[0].tolist(), GAP_ARROWS)


@st.cache_data(max_entries=64, show_spinner=False)
def _presence(experiment: Experiment, t: float) -> np.ndarray:
    """1 where p_t has mass, falling to 0 where it has none, at cells and tails."""
    import torch

    from scoredm import learning

    _, cells, tails = _gap_points(experiment, t)
    distribution = experiment.distribution(t)
    rarer = learning.tail_probability(distribution, torch.cat([cells, tails]), generator(experiment, "metric"))
    full, none = FADING
    return np.clip(np.log(np.maximum(rarer, none) / none) / np.log(full / none), 0, 1)


@st.cache_data(max_entries=64, show_spinner=False)
def floor_over_time(experiment: Experiment, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Times between eps and 1, and the DSM floor at each."""
    from scoredm.losses import dsm_floor
    from scoredm.training import quadrature_times

    times, _ = quadrature_times(eps)
    return times, dsm_floor(experiment.mixture, experiment.sde, times)


def training_floor(experiment: Experiment, eps: float) -> float:
    """The least mean loss, over t uniform on [eps, 1]."""
    from scoredm.training import quadrature_times

    return float(floor_over_time(experiment, eps)[1] @ quadrature_times(eps)[1])


@st.cache_resource(max_entries=64, show_spinner=False)
def _model_errors(experiment: Experiment, eps: float) -> "ModelErrors":
    """What measures any model of an experiment at the times of floor_over_time."""
    from scoredm.learning import ModelErrors

    draws = generator(experiment, "metric")
    return ModelErrors(experiment.mixture, experiment.sde, *floor_over_time(experiment, eps), ERROR_POINTS, draws)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=_BY_WEIGHTS)
def over_time(experiment: Experiment, model: "Network", eps: float) -> "ErrorsOverTime":
    """Loss and error of a model at the times of floor_over_time."""
    return _model_errors(experiment, eps)(model)


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=_BY_WEIGHTS)
def paired_samples(experiment: Experiment, model: "Network", eps: float) -> "PairedSamples":
    """Samples by the learned and by the exact score, on the same random numbers."""
    from scoredm import learning

    seed = generator(experiment, "reverse").initial_seed()
    return learning.paired_samples(model, experiment.mixture, experiment.sde, eps, COMPARED, COMPARED_STEPS, seed)
