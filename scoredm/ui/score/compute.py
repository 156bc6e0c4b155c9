"""The score page's cached computations: the field of p_t in the plane, its curves on the line, and the probe. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.charts import palette
from scoredm.experiment import Experiment
from scoredm.frames import Frames
from scoredm.streams import generator

if TYPE_CHECKING:
    from scoredm.charts.figures import Field
    from scoredm.decomposition import Decomposition

SCORE_SAMPLES = 5000  # drawn always, shown as many as are asked for: more of them never moves the others
COLOURED = 1000  # samples in the colours of their components at most: more are grey, or they would hide the probe's arrows
GREY = len(palette.COMPONENTS) - 1  # the label that has this colour
ARROW_SAMPLES = 200
PROBE_PARTS = 4
ARROW_PARTS = 3
CURVE_PARTS = 8


@dataclass(frozen=True)
class ScoreField:
    """Controls of the score page: what is drawn at which t, and of which component (counted from 0)."""

    t: float = 0.0
    view: str = "mixture"  # or "component", "weighted"
    component: int = 0
    picture: str = "log"  # or "root"
    arrows: str = "grid"  # or "samples", "off"
    samples: int = 0
    follow: bool = True


def probe(experiment: Experiment, t: float, x: Sequence[float]) -> "Decomposition":
    """The score of p_t at one point, taken apart into the components most responsible for it and the rest."""
    from scoredm import decomposition

    p_t = experiment.distribution(t)
    return decomposition.decompose(p_t, [x], decomposition.most_responsible(p_t, x, PROBE_PARTS))


def alone(experiment: Experiment, t: float, x: Sequence[float], k: int) -> "Decomposition":
    """The score of component k of p_t by itself at one point."""
    from scoredm import decomposition

    return replace(
        decomposition.decompose(decomposition.component(experiment.distribution(t), k), [x], np.array([0])),
        components=np.array([k]),
    )


@st.cache_resource(max_entries=32, show_spinner=False)
def score_samples(experiment: Experiment, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples of p_t, (N, D), and the component that each came from, (N,): the same data and noise at every t."""
    import torch

    x0, labels = experiment.mixture.sample_labelled(SCORE_SAMPLES, generator(experiment, "data"))
    noise = torch.randn(x0.shape, generator=generator(experiment, "field"))
    return experiment.sde.perturb(x0, t, noise).numpy(), labels.numpy()


@st.cache_resource(max_entries=64, show_spinner=False)
def score_curves(experiment: Experiment, t: float, follow: bool, component: int | None) -> "Decomposition":
    """The score of a one-dimensional p_t along its axis, taken apart into one component, or the heaviest, and the rest."""
    from scoredm import decomposition, fields

    p_t = experiment.distribution(t)
    low, high = fields.windows_1d(p_t) if follow else fields.span(experiment.mixture, experiment.sde)
    components = decomposition.heaviest(p_t, CURVE_PARTS) if component is None else np.array([component])
    return decomposition.decompose(p_t, fields.line_points(p_t, low, high, 241)[:, None], components)


@st.cache_resource(max_entries=64, show_spinner=False)
def score_field(experiment: Experiment, settings: ScoreField) -> Frames:
    """The score of p_t over the plane as one frame: density in steps, arrows, samples, and the outlines of components."""
    from scoredm import decomposition, fields

    mixture, sde, times = experiment.mixture, experiment.sde, [settings.t]
    shown = decomposition.component(mixture, settings.component) if settings.view == "component" else mixture
    window = _score_window(experiment, settings)
    cells = 256 if shown.n_components <= 16 else 128
    scale, steps = ("log", 12) if settings.picture == "log" else ("root", 10)
    picture = fields.density_pictures(shown, sde, times, window, cells, scale)
    frames = Frames(np.array(times), window, image=fields.bands(picture, steps))
    if settings.view == "component" or (settings.view == "weighted" and mixture.n_components <= CURVE_PARTS):
        frames = replace(frames, ellipses=_score_outlines(experiment, settings))
    if settings.samples:
        x, labels = score_samples(experiment, settings.t)
        labels = np.full(settings.samples, GREY) if settings.samples > COLOURED else labels[: settings.samples]
        frames = replace(frames, particles=x[None, : settings.samples], labels=labels)
    if settings.arrows == "off":
        return frames
    anchors, arrows, owners = _score_bundles(experiment, settings)
    return replace(frames, anchors=anchors[None], arrows=arrows[None], arrow_labels=owners)


def _score_outlines(experiment: Experiment, settings: ScoreField) -> np.ndarray:
    """The components' ellipses, (1, K, 5); where one is chosen, the others are out of sight and without size."""
    from scoredm import fields

    shapes = fields.ellipses(experiment.mixture, experiment.sde, [settings.t])
    if settings.view == "component":
        others = np.arange(shapes.shape[1]) != settings.component
        left, right = _score_window(experiment, settings)[0, :2]
        shapes[:, others] = [left - 10 * (right - left), 0.0, 0.0, 0.0, 0.0]
    return shapes


def _score_window(experiment: Experiment, settings: ScoreField) -> np.ndarray:
    from scoredm import fields

    times = [settings.t] if settings.follow else [0.0, 1.0]
    return fields.windows(experiment.mixture, experiment.sde, times, settings.follow)[:1]


def _score_bundles(experiment: Experiment, settings: ScoreField) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors (M, 2), arrows (M, 2) and owners (M,) on a grid, or at the first samples; few where each is a bundle."""
    import torch

    from scoredm import decomposition, fields

    p_t, window = experiment.distribution(settings.t), _score_window(experiment, settings)[0]
    few = settings.view == "weighted"
    across = 10 if few else 16
    points = fields.grid_points(window, across)
    if settings.arrows == "samples":
        points = torch.tensor(score_samples(experiment, settings.t)[0][: ARROW_SAMPLES // (3 if few else 1)])
    if settings.view == "component":
        vectors = p_t.component_scores(points)[:, [settings.component]].numpy()
        owners = np.full((len(points), 1), -1)
    else:
        vectors, owners = decomposition.largest_contributions(p_t, points, ARROW_PARTS if few else 0)
    vectors, _full = fields.bundle_lengths(vectors, float(window[1] - window[0]) / across)
    return np.repeat(points.numpy(), owners.shape[1], axis=0), vectors.reshape(-1, 2), owners.ravel()


def score_fields(experiment: Experiment, settings: ScoreField) -> "list[Field]":
    """Panels to print: the mixture's score, its weighted parts, and the scores of up to four components."""
    from scoredm import decomposition

    few = decomposition.heaviest(experiment.mixture, 4).tolist()
    alone = {f"score of component {k + 1}": replace(settings, view="component", component=k) for k in few}
    panels = {
        "score of the mixture": replace(settings, view="mixture"),
        "weighted component scores": replace(settings, view="weighted"),
    }
    return [_printed_field(experiment, chosen, title) for title, chosen in (panels | alone).items()]


def _printed_field(experiment: Experiment, settings: ScoreField, title: str) -> "Field":
    from scoredm import decomposition, fields
    from scoredm.charts import figures

    mixture = experiment.mixture
    shown = decomposition.component(mixture, settings.component) if settings.view == "component" else mixture
    window = _score_window(experiment, settings)
    density = fields.density_pictures(shown, experiment.sde, [settings.t], window, 160, "log")[0]
    x, labels = score_samples(experiment, settings.t)
    arrows = _score_bundles(experiment, settings)
    return figures.Field(title, window[0], density, *arrows, x[: settings.samples], labels[: settings.samples])
