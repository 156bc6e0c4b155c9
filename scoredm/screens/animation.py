"""Frames of the stage that several screens share: particles over p_t in the plane, and paths over p_t on the line."""

import numpy as np

from scoredm import fields
from scoredm.frames import Frames
from scoredm.mixture import GaussianMixture
from scoredm.sde import SDE

MOST_FRAMES = 61  # the stage fills in between them
ROWS, COLUMNS = 128, 200  # cells of the heat map on the line


def kept(count: int) -> np.ndarray:
    """Indices of at most MOST_FRAMES of `count` frames, evenly spread, first and last among them.

    Args:
        count: the number of frames there are.

    Returns:
        Rising indices.
    """
    return np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(int))


def animate(
    mixture: GaussianMixture, sde: SDE, times: np.ndarray, paths: np.ndarray, labels: np.ndarray | None, *, follow: bool
) -> Frames:
    """Particles over the exact density p_t, as the stage shows them.

    Args:
        mixture: p_0, in one dimension or two.
        sde: the forward diffusion.
        times: (T,), rising or falling.
        paths: (T, N, D).
        labels: (N,) the component that each particle is coloured by, or None.
        follow: in the plane, whether the window follows the spread of p_t.

    Returns:
        At most MOST_FRAMES frames: in the plane over p_t, which the stage draws; on the line over a heat map of p_t,
            which is in the margin too.
    """
    at = kept(len(times))
    draw = _on_the_line if mixture.dim == 1 else _in_the_plane
    return draw(mixture, sde, times[at], paths[at], labels, follow)


def _in_the_plane(
    mixture: GaussianMixture, sde: SDE, times: np.ndarray, paths: np.ndarray, labels: np.ndarray | None, follow: bool
) -> Frames:
    windows = fields.windows(mixture, sde, times.tolist(), follow)
    density = fields.density(mixture, sde, times.tolist())
    return Frames(times=times, windows=windows, particles=paths, labels=labels, density=density)


def _on_the_line(
    mixture: GaussianMixture, sde: SDE, times: np.ndarray, paths: np.ndarray, labels: np.ndarray | None, _follow: bool
) -> Frames:
    low, high = fields.span(mixture, sde)
    cells = np.linspace(low, high, ROWS + 1)
    columns = np.linspace(0, 1, COLUMNS + 1)
    heat = fields.cell_densities(mixture, sde, (columns[:-1] + columns[1:]) / 2, cells)
    along = np.broadcast_to(times[:, None], paths[..., 0].shape)
    return Frames(
        times=times,
        windows=np.tile([0.0, 1.0, low, high], (len(times), 1)),
        particles=np.stack([along, paths[..., 0]], -1),
        labels=labels,
        image=np.sqrt(heat / heat.max(axis=1, keepdims=True)).T[None],
        margin=fields.cell_densities(mixture, sde, times, cells),
    )
