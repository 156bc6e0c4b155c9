"""The loss of one point: a clean point, its noise, the guess of the noise, and a second origin of the same noisy point."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from scoredm import address, fields
from scoredm.experiment import Experiment
from scoredm.frames import LEARNED, Frames, cell_centres
from scoredm.losses import dsm_floor, dsm_loss_at
from scoredm.mixture import GaussianMixture
from scoredm.score import ScoreFn
from scoredm.streams import generator

RISE, GUESS, REST = 25, 16, 8  # frames: the noise grows, the guess is made, the error is shown
POINTS = int(address.POINT.high)
CELLS = 96  # of a picture along each side
ROOM = 0.08  # of the time, before 0 and after t, on the line
CLOSE = 3.0  # a window that is wider than so many times the points are apart shows less
EDGE = 1.15  # the window reaches so much further than the farthest point


@dataclass(frozen=True)
class Settings:
    """The point that is shown; the bounds are in the address table.

    Attributes:
        t: the time.
        point: the number of the clean point and its noise.
        second: whether a second origin is shown.

    Raises:
        ValueError: a value is out of bounds.
    """

    t: float = address.default("training", "t")
    point: int = address.default("training", "point")
    second: bool = address.default("training", "second")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("training", self)


@dataclass(frozen=True, eq=False)
class Origin:
    """A clean point and the noise that together make the noisy point.

    Attributes:
        clean: x_0, (D,).
        noise: z, (D,).
        component: that the clean point comes from.
        loss: the squared error of the guess, || sigma_t s + z ||^2.
    """

    clean: np.ndarray
    noise: np.ndarray
    component: int
    loss: float


@dataclass(frozen=True, eq=False)
class Result:
    """The loss of one point.

    Attributes:
        t: the time.
        alpha: alpha_t.
        sigma: sigma_t.
        noisy: x_t, (D,).
        guess: of the noise, -sigma_t s(x_t, t), (D,).
        clean_guess: of the clean point, (x_t - sigma_t times the guess) / alpha_t, (D,).
        first: the origin that made the noisy point.
        second: another, drawn from all that could have made it; None where it is not shown.
        average: of both losses; None without a second origin.
        mean: the mean loss of this guess over all origins of this noisy point.
        least: the lowest mean loss that any guess has at this noisy point.
        floor: the mean of `least` over all noisy points of time t.
        frames: the animation.
    """

    t: float
    alpha: float
    sigma: float
    noisy: np.ndarray
    guess: np.ndarray
    clean_guess: np.ndarray
    first: Origin
    second: Origin | None
    average: float | None
    mean: float
    least: float
    floor: float
    frames: Frames = field(repr=False)


def lowest_loss(experiment: Experiment, t: float) -> float:
    """The floor of the loss at a time.

    Args:
        experiment: target, SDE and seed.
        t: the time.
    """
    return dsm_floor(experiment.mixture, experiment.sde, t)


def run(
    experiment: Experiment,
    settings: Settings,
    model: ScoreFn | None = None,
    floor: Callable[[Experiment, float], float] = lowest_loss,
) -> Result:
    """Add noise to one clean point, guess the noise, and measure the loss; then find a second origin of the noisy point.

    Args:
        experiment: target, SDE and seed.
        settings: the time, or a little earlier where nothing is left of the data, and which point.
        model: the learned score, on the CPU; None for the exact score, whose guess is the best.
        floor: `lowest_loss`, or a function that remembers its results.
    """
    mixture, sde = experiment.mixture, experiment.sde
    t = float(sde.with_signal(settings.t))
    alpha, sigma = sde.scales(t)
    draws, i = generator(experiment, "data"), settings.point - 1
    points, components = mixture.sample_labelled(POINTS, draws)
    noises = torch.randn(points.shape, generator=draws, dtype=torch.float64)
    noisy = alpha * points[i].double() + sigma * noises[i]
    with torch.no_grad():
        score = (model or experiment.score)(noisy[None].to(points if model else noisy), t)[0].double()
    guess = -sigma * score
    first = _origin(points[i], int(components[i]), noisy, guess, (alpha, sigma))
    second = _second(experiment.score.posterior(noisy, t), draws, i, noisy, guess, (alpha, sigma)) if settings.second else None
    clean_guess = ((noisy - sigma * guess) / alpha).numpy()
    origins = [first] if second is None else [first, second]
    return Result(
        t=t,
        alpha=alpha,
        sigma=sigma,
        noisy=noisy.numpy(),
        guess=guess.numpy(),
        clean_guess=clean_guess,
        first=first,
        second=second,
        average=None if second is None else (first.loss + second.loss) / 2,
        mean=dsm_loss_at(mixture, sde, model or experiment.score, noisy.to(points if model else noisy), t),
        least=dsm_loss_at(mixture, sde, experiment.score, noisy, t),
        floor=floor(experiment, t),
        frames=_animate(experiment, t, (noisy.numpy(), clean_guess), origins, LEARNED if model else -1),
    )


Scales = tuple[float, float]  # alpha_t and sigma_t


def _origin(clean: Tensor, component: int, noisy: Tensor, guess: Tensor, scales: Scales) -> Origin:
    alpha, sigma = scales
    noise = (noisy - alpha * clean.double()) / sigma
    return Origin(clean.double().numpy(), noise.numpy(), component, float((guess - noise).square().sum()))


def _second(posterior: GaussianMixture, draws: torch.Generator, i: int, noisy: Tensor, guess: Tensor, scales: Scales) -> Origin:
    """A draw from the distribution of the clean point given the noisy one."""
    points, components = posterior.sample_labelled(POINTS, draws)
    return _origin(points[i], int(components[i]), noisy, guess, scales)


def _animate(
    experiment: Experiment, t: float, noisy_and_guess: tuple[np.ndarray, np.ndarray], origins: list[Origin], label: int
) -> Frames:
    """The clean points move to the noisy point, the guess, with its label, leads back, and the errors of the guess appear."""
    noisy, guess = noisy_and_guess
    sde, dim, still = experiment.sde, experiment.dim, GUESS + REST
    rise = np.linspace(0, t, RISE)
    times = np.concatenate([rise, np.full(still, t)])
    alpha, sigma = (np.array([float(scale(s)) for s in rise])[:, None, None] for scale in (sde.alpha, sde.sigma))
    ends = np.stack([one.clean for one in origins])  # (N, D)
    moving = alpha * ends + sigma * np.stack([one.noise for one in origins])
    paths = np.concatenate([moving, np.broadcast_to(noisy, (still, *ends.shape))])
    staying = np.broadcast_to(ends, paths.shape)
    anchors, arrows = _arrows(t, noisy, guess, ends)
    labels = np.array([one.component for one in origins])
    window, image = (_in_the_plane if dim == 2 else _on_the_line)(
        experiment, rise, np.concatenate([ends, noisy[None], guess[None]])
    )
    return Frames(
        times=times,
        windows=np.tile(window, (len(times), 1)),
        particles=np.concatenate([_placed(0.0, staying), _placed(times[:, None], paths)], 1),
        labels=np.tile(labels, 2),
        image=image if len(image) == 1 else np.concatenate([image, np.repeat(image[-1:], still, 0)]),
        anchors=anchors,
        arrows=arrows,
        arrow_labels=np.array([label, *labels]),
    )


def _placed(time: "np.ndarray | float", points: np.ndarray) -> np.ndarray:
    """Points (..., D) as the stage draws them: in the plane as they are, on the line over the time."""
    return points if points.shape[-1] == 2 else np.stack(np.broadcast_arrays(time, points[..., 0]), -1)


def _arrows(t: float, noisy: np.ndarray, guess: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tails and arrows of every frame: one grows from the noisy point to the guess, then one leads from there to each origin."""
    tails = np.stack([noisy, *[guess] * len(ends)])
    tips = np.stack([guess, *ends])
    began = np.array([t, *[0.0] * len(ends)])  # the time of each tail; every tip is at 0
    share = np.full((RISE + GUESS + REST, len(tips)), np.nan)
    share[RISE:, 0] = np.minimum(np.arange(1, GUESS + REST + 1) / GUESS, 1)
    share[RISE + GUESS :, 1:] = 1
    anchors = np.broadcast_to(_placed(began, tails), (len(share), len(tips), 2))
    return anchors, share[:, :, None] * (_placed(0.0, tips) - _placed(began, tails))


Picture = tuple[np.ndarray, np.ndarray]  # the window, (4,), and p_t over it, one frame or one for each time


def _in_the_plane(experiment: Experiment, times: np.ndarray, points: np.ndarray) -> Picture:
    box = fields.windows(experiment.mixture, experiment.sde, times[[0, -1]], follow=False)[0]
    middle, half = _reach(box.reshape(2, 2).mean(1), float(np.ptp(box.reshape(2, 2), 1).max()) / 2, points)
    window = np.array([middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half])
    windows = np.tile(window, (len(times), 1))
    return window, fields.density_pictures(experiment.mixture, experiment.sde, times, windows)


def _on_the_line(experiment: Experiment, times: np.ndarray, points: np.ndarray) -> Picture:
    ends = np.array([fields.windows_1d(experiment.distribution(float(t))) for t in times[[0, -1]]])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    middle, half = _reach(np.array([(low + high) / 2]), (high - low) / 2, points)
    window = np.array([-ROOM * times[-1], (1 + ROOM) * times[-1], middle[0] - half, middle[0] + half])
    across = cell_centres(window[0], window[1], CELLS)
    there = (across >= 0) & (across <= times[-1])
    heat = np.zeros((CELLS, CELLS))
    edges = np.linspace(window[2], window[3], CELLS + 1)
    heat[there] = fields.cell_densities(experiment.mixture, experiment.sde, across[there], edges)
    return window, np.sqrt(heat / np.maximum(heat.max(1, keepdims=True), 1e-300)).T[None]


def _reach(middle: np.ndarray, half: float, points: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle and half the width of a window that holds some points, and all of p_t unless they are too close together."""
    centre = (points.min(0) + points.max(0)) / 2
    extent = float(np.abs(points - centre).max())
    if CLOSE * extent < half:
        return centre, CLOSE * extent
    return middle, max(half, EDGE * float(np.abs(points - middle).max()))
