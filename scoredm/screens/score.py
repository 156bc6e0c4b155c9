"""The score of p_t: its field over the plane or its curves along the line, and what each component contributes at one point."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from scoredm import address, decomposition, fields
from scoredm.decomposition import Decomposition
from scoredm.experiment import Experiment
from scoredm.frames import Density, Draws, Frames
from scoredm.mixture import GaussianMixture
from scoredm.streams import generator
from scoredm.targets import format_mixture, parse_mixture

SAMPLES = 5000  # always drawn, and shown as many as are asked for: more of them never moves the others
COLOURED = 1000  # more samples than these are grey, or they would hide the probe's arrows
GREY = 7  # the label whose colour on the stage is grey
PROBE_COMPONENTS = 4  # listed one by one at the probe
BUNDLE = 3  # contributions drawn at each point of the view "weighted"
MOST_COMPONENTS = 8  # drawn one by one: there are as many colours
ARROW_SAMPLES = 200
ACROSS, ACROSS_FEW = 16, 10  # arrows along an axis; fewer where several start at each point
PRINTED_CELLS = 160
TIMES = np.linspace(0, 1, 21)  # at which the probe's arrows are measured for one scale


@dataclass(frozen=True)
class Settings:
    """The choices of the score screen; their bounds are in the address table.

    `component` counts from 1; where the mixture has fewer components, its last one is meant.

    Raises:
        ValueError: a value is out of bounds.
    """

    t: float = address.default("score", "t")
    view: str = address.default("score", "view")
    component: int = address.default("score", "component")
    picture: str = address.default("score", "picture")
    arrows: str = address.default("score", "arrows")
    samples: int = address.default("score", "samples")
    camera: str = address.default("score", "camera")
    x: float = address.default("score", "x")
    y: float = address.default("score", "y")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("score", self)

    @property
    def without_probe(self) -> "Settings":
        """The same with the probe at its default, on which neither the field nor the curves depend."""
        return replace(self, x=address.default("score", "x"), y=address.default("score", "y"))

    @property
    def without_time(self) -> "Settings":
        """The same at the default t, on which `longest_arrow` does not depend."""
        return replace(self, t=address.default("score", "t"))


@dataclass(frozen=True, eq=False)
class Alone:
    """One component of p_t by itself at the probe.

    Args:
        component: its index, from 0.
        log_density: log N_k(x).
        score: s_k(x), (D,).
    """

    component: int
    log_density: float
    score: np.ndarray


@dataclass(frozen=True, eq=False)
class Probe:
    """p_t and its score at one point, with what each component contributes; M components are listed, the others added up.

    Args:
        t: the time.
        alpha: alpha_t, the factor on the data.
        sigma: sigma_t, the standard deviation of the noise.
        x: the point, (D,).
        inside: whether the point is inside the picture.
        log_density: log p_t(x).
        score: s(x, t), (D,).
        components: indices of the listed components in the mixture's own order, (M,).
        log_parts: log w_k N_k(x), (M,).
        responsibilities: r_k(x), (M,).
        component_scores: s_k(x), (M, D).
        contributions: r_k(x) s_k(x), (M, D).
        other_count: the number of components that are not listed.
        other_responsibility: of them together.
        other_contribution: of them together, (D,).
        total: the sum of all contributions, which is the score, (D,).
        alone: the chosen component by itself, in the view "component".
    """

    t: float
    alpha: float
    sigma: float
    x: np.ndarray
    inside: bool
    log_density: float
    score: np.ndarray
    components: np.ndarray
    log_parts: np.ndarray
    responsibilities: np.ndarray
    component_scores: np.ndarray
    contributions: np.ndarray
    other_count: int
    other_responsibility: float
    other_contribution: np.ndarray
    total: np.ndarray
    alone: Alone | None


@dataclass(frozen=True, eq=False)
class Field:
    """The score over the plane.

    Args:
        window: x_min, x_max, y_min, y_max.
        anchors: (M, 2) where arrows start; none where they are switched off.
        arrows: (M, 2) as they are drawn, in data units.
        owners: (M,) the component of each arrow, -1 for the score of the mixture.
        full_length: of a vector; it is drawn as long as `spacing`, and so is every longer one.
        spacing: of the points where arrows start, as a share of the window's width.
        outlined: indices of the components with an outline.
        samples: (N, 2) of p_t.
        labels: (N,) the component that each sample comes from.
        frames: one frame for the stage.
    """

    window: np.ndarray
    anchors: np.ndarray
    arrows: np.ndarray
    owners: np.ndarray
    full_length: float
    spacing: float
    outlined: np.ndarray
    samples: np.ndarray
    labels: np.ndarray
    frames: Frames


@dataclass(frozen=True, eq=False)
class Curves:
    """The score along the line.

    Args:
        along: density, score and contributions at rising points x.
        samples: (N,) of p_t.
    """

    along: Decomposition
    samples: np.ndarray


@dataclass(frozen=True, eq=False)
class Result:
    """What the score screen shows.

    Args:
        probe: the numbers at the probe.
        longest_arrow: the longest arrow that the probe has at any t.
        field: in the plane.
        curves: on the line.
    """

    probe: Probe
    longest_arrow: float
    field: Field | None
    curves: Curves | None


@dataclass(frozen=True, eq=False)
class PrintedField:
    """One panel of the figure to download.

    Args:
        view: what the arrows are.
        component: the chosen component, from 0, in the view "component".
        field: its arrows and samples.
        log_density: (n, n), row 0 at the lower edge, 1 at its highest point and 0 at 12 nats below.
        ellipses: (K, 5) of the outlined components: centre, standard deviations a >= b, angle of a.
    """

    view: str
    component: int
    field: Field
    log_density: np.ndarray
    ellipses: np.ndarray


def run(experiment: Experiment, settings: Settings) -> Result:
    """Compute the score of p_t over the plane or along the line, and take it apart at the probe.

    Args:
        experiment: target, SDE and seed.
        settings: time, view, layers and probe.
    """
    plane = experiment.dim == 2
    return Result(
        probe=probe(experiment, settings),
        longest_arrow=longest_arrow(experiment, settings),
        field=field(experiment, settings) if plane else None,
        curves=None if plane else curves(experiment, settings),
    )


def probe(experiment: Experiment, settings: Settings) -> Probe:
    """Take the score of p_t at the probe apart into the components most responsible for it and the rest.

    Args:
        experiment: target, SDE and seed.
        settings: time, view and probe.
    """
    p_t, x = experiment.distribution(settings.t), _point(experiment, settings)
    alpha, sigma = experiment.sde.scales(settings.t)
    found = decomposition.decompose(p_t, [x], np.sort(decomposition.most_responsible(p_t, x, PROBE_COMPONENTS)))
    r, log_density = found.responsibilities[0], float(found.log_density[0])
    with np.errstate(divide="ignore"):
        log_parts = log_density + np.log(r)
    return Probe(
        t=settings.t,
        alpha=float(alpha),
        sigma=float(sigma),
        x=np.array(x),
        inside=_is_inside(experiment, settings, x),
        log_density=log_density,
        score=found.score[0],
        components=found.components,
        log_parts=log_parts,
        responsibilities=r,
        component_scores=found.component_scores[0],
        contributions=found.contributions[0],
        other_count=found.other_count,
        other_responsibility=float(found.other_responsibility[0]),
        other_contribution=found.other_contribution[0],
        total=found.total[0],
        alone=_alone(p_t, x, _chosen(experiment, settings)) if settings.view == "component" else None,
    )


def _point(experiment: Experiment, settings: Settings) -> tuple[float, ...]:
    return (settings.x, settings.y)[: experiment.dim]


def _chosen(experiment: Experiment, settings: Settings) -> int:
    """The chosen component, from 0."""
    return min(settings.component, experiment.mixture.n_components) - 1


def _is_inside(experiment: Experiment, settings: Settings, x: Sequence[float]) -> bool:
    box = _window(experiment, settings) if experiment.dim == 2 else _interval(experiment, settings)
    return all(low <= value <= high for value, low, high in zip(x, box[::2], box[1::2], strict=True))


def _alone(p_t: GaussianMixture, x: Sequence[float], k: int) -> Alone:
    one, at = decomposition.component(p_t, k), torch.tensor(x, dtype=torch.float64)
    return Alone(k, float(one.log_prob(at)), one.score(at).numpy())


def longest_arrow(experiment: Experiment, settings: Settings) -> float:
    """The length of the longest arrow that the probe has at any time of TIMES, so that one scale serves every t.

    Args:
        experiment: target and SDE.
        settings: the probe and the view, which says what its arrows are; t plays no part.
    """
    r, component_scores = _over_time(experiment, _point(experiment, settings))
    if settings.view == "component":
        vectors = component_scores[:, [_chosen(experiment, settings)]]
    else:
        listed = np.argsort(-r, axis=1, kind="stable")[:, :PROBE_COMPONENTS, None]
        vectors = component_scores if settings.view == "components" else r[..., None] * component_scores
        vectors = np.take_along_axis(vectors, listed, axis=1)
    return float(np.linalg.norm(vectors, axis=-1).max())


def _over_time(experiment: Experiment, x: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Responsibilities (T, K) and scores (T, K, D) of the components of p_t at a point, at every time of TIMES at once."""
    mixture, times = experiment.mixture, torch.from_numpy(TIMES)
    means, _, weights = (value.numpy() for value in mixture.parameters)
    variances, axes = (value.numpy() for value in mixture.principal_axes)
    alpha, sigma = (torch.as_tensor(f(times)).numpy()[:, None, None] for f in (experiment.sde.alpha, experiment.sde.sigma))
    spread = alpha**2 * variances + sigma**2
    along = np.einsum("tkd,kde->tke", np.array(x) - alpha * means, axes)
    with np.errstate(divide="ignore"):
        logits = np.log(weights) - (np.log(spread) + along**2 / spread).sum(-1) / 2
    r = np.exp(logits - logits.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True), np.einsum("tke,kde->tkd", -along / spread, axes)


def saddle(experiment: Experiment, settings: Settings) -> np.ndarray | None:
    """The saddle of p_t between the two components most responsible for the probe, (D,), or None where there is none.

    Args:
        experiment: target, SDE and seed.
        settings: time and probe.
    """
    return decomposition.saddle(experiment.distribution(settings.t), _point(experiment, settings))


def field(experiment: Experiment, settings: Settings) -> Field:
    """Compute the score of p_t over the plane; the probe plays no part.

    Args:
        experiment: a target in the plane, SDE and seed.
        settings: time, view and layers.
    """
    window = _window(experiment, settings)
    draws, labels = _draws(experiment)
    samples = _noisy(experiment, draws, settings.t)
    x, labels = samples[: settings.samples], labels[: settings.samples]
    anchors, arrows, owners, full_length = _arrows(experiment, settings, window, samples)
    outlined = _outlined(experiment, settings)
    frames = Frames(np.array([settings.t]), window[None], density=_density(experiment, settings))
    if len(outlined):
        frames = replace(frames, ellipses=_ellipses(experiment, settings, outlined, window))
    if len(x):
        frames = replace(frames, particles=x[None], labels=np.full(len(x), GREY) if len(x) > COLOURED else labels)
    if needed := max(len(x), arrow_samples(settings)):
        frames = replace(frames, draws=Draws(draws.data[:needed], draws.noise[:needed]))
    if len(anchors):
        frames = replace(frames, anchors=anchors[None], arrows=arrows[None], arrow_labels=owners)
    return Field(window, anchors, arrows, owners, full_length, 1 / across(settings), outlined, x, labels, frames)


def draw_samples(experiment: Experiment, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples of p_t, (SAMPLES, D), and the component that each comes from: the same data and noise at every t.

    Args:
        experiment: target, SDE and seed.
        t: the time, in [0, 1].
    """
    draws, labels = _draws(experiment)
    return _noisy(experiment, draws, t), labels


def _draws(experiment: Experiment) -> tuple[Draws, np.ndarray]:
    """Data and noise of SAMPLES samples, and the component that each comes from."""
    data, labels = experiment.mixture.sample_labelled(SAMPLES, generator(experiment, "data"))
    noise = torch.randn(data.shape, generator=generator(experiment, "field"))
    return Draws(data.numpy(), noise.numpy()), labels.numpy()


def _noisy(experiment: Experiment, draws: Draws, t: float) -> np.ndarray:
    return experiment.sde.perturb(torch.from_numpy(draws.data), t, torch.from_numpy(draws.noise)).numpy()


def arrow_samples(settings: Settings) -> int:
    """The number of samples at which arrows start; 0 where they start on a grid, or there are none.

    Args:
        settings: the view and the arrows.
    """
    if settings.arrows != "samples":
        return 0
    return ARROW_SAMPLES if across(settings) == ACROSS else ARROW_SAMPLES // 3


def _window(experiment: Experiment, settings: Settings) -> np.ndarray:
    follow = settings.camera == "follow"
    return fields.windows(experiment.mixture, experiment.sde, [settings.t] if follow else [0.0, 1.0], follow)[0]


def _density(experiment: Experiment, settings: Settings) -> Density:
    """p_t, or the chosen component alone, in flat steps: of the log density each step is one nat."""
    mixture, alone = experiment.mixture, settings.view == "component"
    cells = 256 if alone or mixture.n_components <= 16 else 128
    chosen = _chosen(experiment, settings) if alone else -1
    if settings.picture == "log":
        return fields.density(mixture, experiment.sde, [settings.t], cells, "log", int(fields.LOG_RANGE), chosen)
    return fields.density(mixture, experiment.sde, [settings.t], cells, "root", 10, chosen)


def _outlined(experiment: Experiment, settings: Settings) -> np.ndarray:
    mixture = experiment.mixture
    match settings.view:
        case "component":
            return np.array([_chosen(experiment, settings)])
        case "components":
            return decomposition.heaviest(mixture, MOST_COMPONENTS)
        case "weighted" if mixture.n_components <= MOST_COMPONENTS:
            return np.arange(mixture.n_components)
        case _:
            return np.array([], dtype=int)


def _ellipses(experiment: Experiment, settings: Settings, outlined: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Every component's ellipse, (1, K, 5); those without an outline are out of sight, because a place decides a colour."""
    shapes = fields.ellipses(experiment.mixture, experiment.sde, [settings.t])
    left, right = window[:2]
    shapes[:, np.setdiff1d(np.arange(shapes.shape[1]), outlined)] = [left - 10 * (right - left), 0.0, 0.0, 0.0, 0.0]
    return shapes


def across(settings: Settings) -> int:
    """The number of arrows along an axis of the window.

    Args:
        settings: the view.
    """
    return ACROSS_FEW if settings.view in ("weighted", "components") else ACROSS


def _arrows(
    experiment: Experiment, settings: Settings, window: np.ndarray, samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Anchors (M, 2), arrows (M, 2), owners (M,) and the length drawn in full."""
    if settings.arrows == "off":
        return np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, dtype=int), 0.0
    points = fields.grid_points(window.tolist(), across(settings))
    if settings.arrows == "samples":
        points = torch.tensor(samples[: arrow_samples(settings)])
    vectors, owners = _vectors(experiment, settings, points)
    spacing = float(window[1] - window[0]) / across(settings)
    if settings.view == "components":  # nothing is added up: each arrow has a length of its own
        flat = vectors.reshape(1, -1, 2)
        drawn, full_length = fields.arrow_lengths(flat, np.array([spacing]))[0], float(fields.full_lengths(flat)[0])
    else:
        drawn, full_length = fields.bundle_lengths(vectors, spacing)
    return np.repeat(points.numpy(), owners.shape[1], axis=0), drawn.reshape(-1, 2), owners.ravel(), full_length


def _vectors(experiment: Experiment, settings: Settings, points: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The vectors that the view shows at points (N, 2), in bundles (N, B, 2), and their owners (N, B)."""
    p_t = experiment.distribution(settings.t)
    if settings.view in ("component", "components"):
        shown = _outlined(experiment, settings)
        plain = settings.view == "component"  # one component needs no colour
        owners = np.broadcast_to(np.array([-1]) if plain else shown, (len(points), len(shown)))
        return p_t.component_scores(points)[:, torch.from_numpy(shown)].numpy(), owners
    return decomposition.largest_contributions(p_t, points, BUNDLE if settings.view == "weighted" else 0)


def curves(experiment: Experiment, settings: Settings) -> Curves:
    """Take the score of a one-dimensional p_t apart along its axis, into one component or the heaviest, and the rest.

    Args:
        experiment: a target on the line, SDE and seed.
        settings: time, view and samples; the probe plays no part.
    """
    p_t = experiment.distribution(settings.t)
    one = settings.view == "component"
    components = np.array([_chosen(experiment, settings)]) if one else decomposition.heaviest(p_t, MOST_COMPONENTS)
    points = fields.line_points(p_t, *_interval(experiment, settings), 241)
    samples = draw_samples(experiment, settings.t)[0][: settings.samples, 0]
    return Curves(decomposition.decompose(p_t, points[:, None], components), samples)


def _interval(experiment: Experiment, settings: Settings) -> tuple[float, float]:
    if settings.camera == "follow":
        return fields.windows_1d(experiment.distribution(settings.t))
    return fields.span(experiment.mixture, experiment.sde)


def printed_fields(experiment: Experiment, settings: Settings) -> tuple[PrintedField, ...]:
    """The panels to print: the score, all components' scores, and the weighted parts; the chosen component where one is.

    Args:
        experiment: a target in the plane, SDE and seed.
        settings: of the screen; arrows that are switched off are printed on a grid.
    """
    views = ["mixture", "components", "weighted", *(["component"] if settings.view == "component" else [])]
    arrows = "grid" if settings.arrows == "off" else settings.arrows
    return tuple(_print(experiment, replace(settings, view=view, arrows=arrows)) for view in views)


def _print(experiment: Experiment, settings: Settings) -> PrintedField:
    found, mixture = field(experiment, settings), experiment.mixture
    shown = decomposition.component(mixture, _chosen(experiment, settings)) if settings.view == "component" else mixture
    log_density = fields.density_pictures(shown, experiment.sde, [settings.t], found.window[None], PRINTED_CELLS, "log")[0]
    shapes = fields.ellipses(experiment.mixture, experiment.sde, [settings.t])[0, found.outlined]
    return PrintedField(settings.view, _chosen(experiment, settings), found, log_density, shapes)


def add_component(experiment: Experiment, mean: Sequence[float], stds: Sequence[float], correlation: float, weight: float) -> str:
    """The text of the target with one more component.

    Args:
        experiment: its target is the mixture to begin with.
        mean: (D,).
        stds: (D,) standard deviations.
        correlation: of the two coordinates; it plays no part on the line.
        weight: as a share of the weights that are there already.

    Raises:
        ValueError: there is no such mixture, or it has too many components; the message says why.
    """
    sizes = np.array(stds, dtype=float)
    correlations = np.full((len(sizes), len(sizes)), float(correlation))
    np.fill_diagonal(correlations, 1.0)
    return _text(experiment.mixture.add(list(mean), correlations * np.outer(sizes, sizes), weight))


def remove_component(experiment: Experiment) -> str:
    """The text of the target without its last component.

    Args:
        experiment: its target is the mixture to begin with.

    Returns:
        The text.

    Raises:
        ValueError: nothing would be left.
    """
    return _text(GaussianMixture(*(values[:-1] for values in experiment.mixture.parameters)))


def _text(mixture: GaussianMixture) -> str:
    """The text of a mixture that a link may hold."""
    text = format_mixture(mixture)
    parse_mixture(text)
    return text
