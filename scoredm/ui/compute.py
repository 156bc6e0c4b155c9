"""Cached computations: a frozen config in, arrays out. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load. Results are
shared between readers and never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.ui.experiment import Experiment
from scoredm.ui.stage import Frames

if TYPE_CHECKING:
    import torch

    from scoredm.figures import Field
    from scoredm.mixture import GaussianMixture
    from scoredm.parts import Parts
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


# Reverse SDE

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

    from scoredm.grids import uniform_times
    from scoredm.samplers import sample
    from scoredm.score import denoise

    sde, score, steps, t_min = experiment.sde, experiment.score, settings.steps, settings.t_min
    path = sample(
        sde,
        score,
        settings.particles,
        steps=steps,
        prior=starting_law(experiment, settings.prior),
        t_min=t_min,
        generator=generator(experiment, "reverse"),
        trajectory=True,
    )
    times, walk = uniform_times(steps, t_min), path[:, 0]
    scores = score(walk, torch.tensor(times, dtype=torch.float64))
    if settings.denoise:
        path, times = torch.cat([path, denoise(score, sde, path[-1], t_min)[None]]), [*times, 0.0]
    return ReverseRun(
        frames=_reverse_frames(experiment, settings, np.array(times), path.numpy()),
        times=np.array(times),
        start=path[0].contiguous().numpy().copy(),
        end=path[-1].contiguous().numpy().copy(),
        walk=walk.numpy().copy(),
        scores=scores.numpy(),
    )


def starting_law(experiment: Experiment, prior: str) -> "GaussianMixture":
    """The law of x at t = 1 by its name on the reverse page."""
    from scoredm import samplers

    if prior == "zero":
        return samplers.zero_mean_prior(experiment.sde, experiment.dim)
    make = {"matched": samplers.moment_matched_prior, "exact": samplers.exact_prior}[prior]
    return make(experiment.sde, experiment.mixture)


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
    draw = _frames_1d if mixture.dim == 1 else _frames_2d
    frames = draw(mixture, sde, times, drawn, labels, settings.follow)
    return frames if mixture.dim == 1 else _with_score_arrows(experiment, frames)


def _with_score_arrows(experiment: Experiment, frames: Frames) -> Frames:
    import torch

    from scoredm import fields

    points = torch.stack([fields.grid_points(box, ARROWS) for box in frames.windows])
    prepared = experiment.score.on_grid(frames.times.tolist(), points)
    spacing = (frames.windows[:, 1] - frames.windows[:, 0]) / ARROWS
    vectors = fields.score_on(prepared, frames.times, points)
    return replace(frames, anchors=points.numpy(), arrows=fields.arrow_lengths(vectors, spacing))


@st.cache_resource(max_entries=64, show_spinner=False)
def portrait(target: str) -> "Portrait":
    """The target itself, small: for the sidebar and the home page."""
    from scoredm.story import portray

    return portray(Experiment(target).mixture)


# The score.

SCORE_SAMPLES = 5000  # drawn always, shown as many as are asked for: more of them never moves the others
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


def score_mixture(experiment: Experiment, t: float) -> "GaussianMixture":
    """p_t."""
    return experiment.mixture.diffuse(float(experiment.sde.alpha(t)), float(experiment.sde.sigma(t)))


def probe(experiment: Experiment, t: float, x: Sequence[float]) -> "Parts":
    """The score of p_t at one point, taken apart into the components most responsible for it and the rest."""
    from scoredm import parts

    p_t = score_mixture(experiment, t)
    return parts.take_apart(p_t, [x], parts.most_responsible(p_t, x, PROBE_PARTS))


@st.cache_resource(max_entries=32, show_spinner=False)
def score_samples(experiment: Experiment, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples of p_t, (N, D), and the component that each came from, (N,): the same data and noise at every t."""
    import torch

    x0, labels = experiment.mixture.sample_labelled(SCORE_SAMPLES, generator(experiment, "data"))
    noise = torch.randn(x0.shape, generator=generator(experiment, "field"))
    return experiment.sde.perturb(x0, t, noise).numpy(), labels.numpy()


@st.cache_resource(max_entries=64, show_spinner=False)
def score_curves(experiment: Experiment, t: float, follow: bool, component: int | None) -> "Parts":
    """The score of a one-dimensional p_t along its axis, taken apart into one component, or the weightiest, and the rest."""
    from scoredm import fields, parts

    p_t = score_mixture(experiment, t)
    low, high = fields.windows_1d(p_t) if follow else fields.span(experiment.mixture, experiment.sde)
    components = parts.weightiest(p_t, CURVE_PARTS) if component is None else np.array([component])
    return parts.take_apart(p_t, np.linspace(low, high, 241)[:, None], components)


@st.cache_resource(max_entries=64, show_spinner=False)
def score_field(experiment: Experiment, settings: ScoreField) -> Frames:
    """The score of p_t over the plane as one frame: density in steps, arrows, samples, and the outlines of components."""
    from scoredm import fields, parts

    mixture, sde, times = experiment.mixture, experiment.sde, [settings.t]
    shown = parts.component(mixture, settings.component) if settings.view == "component" else mixture
    window = _score_window(experiment, settings)
    cells = 256 if shown.n_components <= 16 else 128
    scale, steps = ("log", 12) if settings.picture == "log" else ("root", 10)
    picture = fields.density_pictures(shown, sde, times, window, cells, scale)
    frames = Frames(np.array(times), window, image=fields.bands(picture, steps))
    if settings.view == "component" or (settings.view == "weighted" and mixture.n_components <= CURVE_PARTS):
        frames = replace(frames, ellipses=_score_outlines(experiment, settings))
    if settings.samples:
        x, labels = score_samples(experiment, settings.t)
        frames = replace(frames, particles=x[None, : settings.samples], labels=labels[: settings.samples])
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

    from scoredm import fields, parts

    p_t, window = score_mixture(experiment, settings.t), _score_window(experiment, settings)[0]
    few = settings.view == "weighted"
    across = 10 if few else 16
    points = fields.grid_points(window, across)
    if settings.arrows == "samples":
        points = torch.tensor(score_samples(experiment, settings.t)[0][: ARROW_SAMPLES // (3 if few else 1)])
    if settings.view == "component":
        vectors = p_t.component_scores(points)[:, [settings.component]].numpy()
        owners = np.full((len(points), 1), -1)
    else:
        vectors, owners = parts.contributions(p_t, points, ARROW_PARTS if few else 0)
    vectors = fields.bundle_lengths(vectors, float(window[1] - window[0]) / across)
    return np.repeat(points.numpy(), owners.shape[1], axis=0), vectors.reshape(-1, 2), owners.ravel()


def score_fields(experiment: Experiment, settings: ScoreField) -> "list[Field]":
    """Panels to print: the mixture's score, its weighted parts, and the scores of up to four components."""
    from scoredm import parts

    few = parts.weightiest(experiment.mixture, 4).tolist()
    alone = {f"score of component {k + 1}": replace(settings, view="component", component=k) for k in few}
    panels = {
        "score of the mixture": replace(settings, view="mixture"),
        "weighted component scores": replace(settings, view="weighted"),
    }
    return [_printed_field(experiment, chosen, title) for title, chosen in (panels | alone).items()]


def _printed_field(experiment: Experiment, settings: ScoreField, title: str) -> "Field":
    from scoredm import fields, figures, parts

    mixture = experiment.mixture
    shown = parts.component(mixture, settings.component) if settings.view == "component" else mixture
    window = _score_window(experiment, settings)
    density = fields.density_pictures(shown, experiment.sde, [settings.t], window, 160, "log")[0]
    x, labels = score_samples(experiment, settings.t)
    arrows = _score_bundles(experiment, settings)
    return figures.Field(title, window[0], density, *arrows, x[: settings.samples], labels[: settings.samples])
