"""Home: the steps forward, score, reverse and learn as arrays for one small picture each, and the experiment at a glance."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scoredm import address, fields
from scoredm.experiment import Experiment
from scoredm.mixture import GaussianMixture
from scoredm.modes import merge_time
from scoredm.priors import exact_prior
from scoredm.score import exact_score
from scoredm.sde import SDE, VESDE
from scoredm.simulation import forward_paths, sample
from scoredm.streams import generator

TILES = 1 - np.arange(4)[::-1] / 3  # times shown side by side where the data are in the plane
STEPS = 120  # of the reverse sampler
SCORE_TIME = 0.2
BLUR = 0.5  # noise of the denoising picture, in standard deviations of the data
CELLS = 48
ARROWS = 9  # along an axis
CLOSER = 0.7  # the denoising picture against the usual window


@dataclass(frozen=True)
class Noisy:
    """Clean points, the same with noise, and the best guess of the clean from the noisy, at one time."""

    t: float
    clean: np.ndarray  # (N, D)
    noisy: np.ndarray  # (N, D), in the plane divided by alpha_t
    guess: np.ndarray  # (N, D), E[x_0 | x_t]
    labels: np.ndarray  # (N,)
    window: np.ndarray  # (4,), of the picture; on the line its axes are x_t and x_0
    density: np.ndarray  # (n, n) in [0, 1]
    curve: np.ndarray  # (M, 2), on the line: E[x_0 | x_t] against x_t; empty in the plane


@dataclass(frozen=True)
class Story:
    """What the home page's four pictures show.

    In the plane times are TILES and there is one density and window a tile; on the line there is one picture of p_t(x) over
    time, and paths have many frames.
    """

    dim: int
    times: np.ndarray  # (F,)
    windows: np.ndarray  # (tiles, 4)
    densities: np.ndarray  # (tiles, n, m) in [0, 1]
    forward: np.ndarray  # (F, N, D)
    labels: np.ndarray  # (N,)
    reverse: np.ndarray  # (F, N, D), frame i at times[i]: data first
    score_window: np.ndarray  # (4,)
    score_density: np.ndarray  # (n, n), or (M, 2) on the line: x and p(x), highest point 1
    score_starts: np.ndarray  # (A, 2)
    score_vectors: np.ndarray  # (A, 2), as they are drawn
    noisy: Noisy


@dataclass(frozen=True)
class Settings:
    """The home screen has no choices of its own."""

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("home", self)


@dataclass(frozen=True, eq=False)
class Result:
    """What the home screen shows.

    Args:
        components: of the target.
        mean: (D,) of the data.
        covariance: (D, D) of the data.
        alpha: alpha_1, the factor on the data at t = 1.
        sigma: sigma_1, the standard deviation of the noise at t = 1.
        noise_to_data: sigma_1 in units of the standard deviation of the data that is left, alpha_1 times theirs.
        merge_time: from when on p_t has one mode; None where modes are not counted; see `modes.merge_time`.
        story: the arrays of the four pictures.
    """

    components: int
    mean: np.ndarray
    covariance: np.ndarray
    alpha: float
    sigma: float
    noise_to_data: float
    merge_time: float | None
    story: Story


def run(experiment: Experiment, settings: Settings) -> Result:
    """Compute the four pictures' arrays and the experiment's main numbers.

    Args:
        experiment: target, SDE and seed.
        settings: there are none.
    """
    del settings
    mixture, sde = experiment.mixture, experiment.sde
    alpha, sigma = sde.scales(1.0)
    spread = float(mixture.covariance.diagonal().mean()) ** 0.5
    return Result(
        components=mixture.n_components,
        mean=mixture.mean.numpy(),
        covariance=mixture.covariance.numpy(),
        alpha=alpha,
        sigma=sigma,
        noise_to_data=sigma / (alpha * spread) if alpha > 0 else np.inf,
        merge_time=merge_time(mixture, sde),
        story=tell(mixture, sde, generator(experiment, "data"), generator(experiment, "reverse")),
    )


def tell(mixture: GaussianMixture, sde: SDE, forward_draws: torch.Generator, reverse_draws: torch.Generator) -> Story:
    """Compute the story of a mixture in one or two dimensions.

    Args:
        mixture: the target, D at most 2.
        sde: the forward diffusion.
        forward_draws: of the data and the forward paths.
        reverse_draws: of the reverse paths.
    """
    plane = mixture.dim == 2
    times = TILES if plane else np.linspace(0, 1, 61)
    x0, labels = mixture.sample_labelled(60 if plane else 40, forward_draws)
    forward = forward_paths(sde, x0, times.tolist(), forward_draws).numpy()
    if plane:
        windows = fields.windows(mixture, sde, times, True)
        densities = fields.density_pictures(mixture, sde, times, windows, CELLS)
    else:
        windows, densities = _heat(mixture, sde)
    window, density, starts, vectors = (_score_plane if plane else _score_line)(mixture, sde)
    return Story(
        dim=mixture.dim,
        times=times,
        windows=windows,
        densities=densities,
        forward=forward,
        labels=labels.numpy(),
        reverse=_reverse(mixture, sde, len(x0), times, reverse_draws),
        score_window=window,
        score_density=density,
        score_starts=starts,
        score_vectors=vectors,
        noisy=_noisy(mixture, sde, forward_draws),
    )


def _reverse(mixture: GaussianMixture, sde: SDE, n: int, times: np.ndarray, generator: torch.Generator) -> np.ndarray:
    run = sample(
        sde,
        exact_score(mixture, sde),
        n,
        steps=STEPS,
        prior=exact_prior(mixture, sde),
        denoise=True,
        generator=generator,
        trajectory=True,
    )
    grid = np.array(run.times)
    return run.points.numpy()[[int(np.abs(grid - t).argmin()) for t in times]]


def _heat(mixture: GaussianMixture, sde: SDE) -> tuple[np.ndarray, np.ndarray]:
    """p_t(x) on the line over time, each column relative to its highest point."""
    low, high = fields.span(mixture, sde)
    edges = np.linspace(low, high, 2 * CELLS + 1)
    columns = (np.arange(CELLS) + 0.5) / CELLS
    heat = fields.cell_densities(mixture, sde, columns, edges)
    picture = np.sqrt(heat / heat.max(axis=1, keepdims=True)).T
    return np.array([[0.0, 1.0, low, high]]), picture[None]


def _score_plane(mixture: GaussianMixture, sde: SDE) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    window = fields.windows(mixture, sde, [SCORE_TIME], True)
    density = fields.density_pictures(mixture, sde, [SCORE_TIME], window, CELLS)[0]
    points = fields.grid_points(window[0], ARROWS)
    vectors = fields.score_on(exact_score(mixture, sde), [SCORE_TIME], points[None])
    spacing = (window[0, 1] - window[0, 0]) / ARROWS
    return window[0], density, points.numpy(), fields.arrow_lengths(vectors, np.array([spacing]))[0]


def _score_line(mixture: GaussianMixture, sde: SDE) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The density as a hill above y = 0, the score as arrows below it."""
    p_t = mixture.at(sde, SCORE_TIME)
    low, high = fields.windows_1d(p_t)
    x = fields.line_points(p_t, low, high, 121)
    height = fields.density_curves(mixture, sde, [SCORE_TIME], x)[0]
    starts = np.linspace(low, high, 2 * ARROWS + 2)[1:-1]
    score = p_t.score(torch.tensor(starts[:, None])).numpy()
    length = fields.arrow_lengths(score[None], np.array([0.9 * (starts[1] - starts[0])]))[0]
    below = np.stack([starts, np.full_like(starts, -0.15)], -1)
    window = np.array([low, high, -0.3, 1.25])
    return window, np.stack([x, height / height.max()], -1), below, np.concatenate([length, np.zeros_like(length)], 1)


def _noisy(mixture: GaussianMixture, sde: SDE, generator: torch.Generator) -> Noisy:
    std = float(mixture.covariance.diagonal().mean()) ** 0.5
    grid = np.linspace(0.01, float(sde.with_signal(1.0)), 200)
    levels = np.array([float(sde.sigma(t)) / float(sde.alpha(t)) for t in grid.tolist()])
    t = float(grid[np.abs(levels - BLUR * std).argmin()])
    clean, labels = mixture.sample_labelled(14 if mixture.dim == 2 else 60, generator)
    noisy = sde.perturb(clean, t, torch.randn(clean.shape, generator=generator))
    window, density, curve = (_blurred_plane if mixture.dim == 2 else _joint_line)(mixture, sde, t)
    guess = mixture.posterior_mean(noisy, *sde.scales(t))
    if mixture.dim == 2:  # from x / alpha the way to the guess is along the score: E[x_0] - x / alpha = sigma^2 s / alpha
        noisy, window = noisy / float(sde.alpha(t)), window / float(sde.alpha(t))
    return Noisy(t, clean.numpy(), noisy.numpy(), guess.numpy(), labels.numpy(), window, density, curve)


def _blurred_plane(mixture: GaussianMixture, sde: SDE, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    window = fields.windows(mixture, sde, [t], True)
    centre = window.reshape(1, 2, 2).mean(-1, keepdims=True).repeat(2, -1).reshape(1, 4)
    window = centre + CLOSER * (window - centre)
    return window[0], fields.density_pictures(mixture, sde, [t], window, CELLS)[0], np.empty((0, 2))


def _joint_line(mixture: GaussianMixture, sde: SDE, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The joint density of x_t (across) and x_0 (up), and the best guess of x_0 for each x_t."""
    alpha, sigma = sde.scales(t)
    across, up = fields.windows_1d(mixture.diffuse(alpha, sigma)), fields.windows_1d(mixture)
    x, y = (low + (high - low) * (np.arange(CELLS) + 0.5) / CELLS for low, high in (across, up))
    with np.errstate(divide="ignore"):
        prior = np.log(fields.cell_densities(mixture, VESDE(1.0), [0.0], np.linspace(*up, CELLS + 1))[0])
    joint = prior[:, None] - (x[None, :] - alpha * y[:, None]) ** 2 / (2 * sigma**2)
    fine: Tensor = torch.linspace(across[0], across[1], 121, dtype=torch.float64)[:, None]
    curve = torch.cat([fine, mixture.posterior_mean(fine, *sde.scales(t))], 1).numpy()
    return np.array([*across, *up]), np.exp((joint - joint.max()) / 2), curve


@dataclass(frozen=True)
class Portrait:
    """A target alone: its density and the outline of each component at one standard deviation."""

    window: np.ndarray  # (4,)
    density: np.ndarray  # (n, n) in [0, 1], or (M, 2) on the line: x and p(x), highest point 1
    outlines: np.ndarray  # (K, 5) in the plane: centre, half axes, angle
    parts: np.ndarray  # (K, M) on the line: w_k N(x; mu_k, s_k^2) on the scale of the density


def portray(mixture: GaussianMixture) -> Portrait:
    """Compute the portrait of a mixture in one or two dimensions.

    Args:
        mixture: the target, D at most 2.
    """
    still = VESDE(1.0)
    if mixture.dim == 2:
        window = fields.windows(mixture, still, [0.0], True)
        density = fields.density_pictures(mixture, still, [0.0], window, 96)[0]
        return Portrait(window[0], density, fields.ellipses(mixture, still, [0.0])[0], np.empty((0, 0)))
    low, high = fields.windows_1d(mixture)
    x = torch.tensor(fields.line_points(mixture, low, high, 241))[:, None]
    parts = (mixture.component_log_prob(x).exp() * mixture.weights).numpy().T
    top = parts.sum(0).max()
    curve = np.stack([x[:, 0].numpy(), parts.sum(0) / top], -1)
    return Portrait(np.array([low, high, 0.0, 1.1]), curve, np.empty((0, 5)), parts / top)
