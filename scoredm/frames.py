"""What a stage shows, as arrays: an animation of particles, arrows and an image in the plane."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEARNED = -2  # the label of arrows that belong to a learned score

Layer = Literal["particles", "image", "density", "draws", "arrows", "ellipses", "margin"]


@dataclass(frozen=True)
class ArrowScale:
    """How long arrows are drawn, shown to readers as a reference arrow with a text beside it.

    Attributes:
        size: length of the vector that the reference arrow stands for, in the vector's own unit.
        length: how long the reference arrow is drawn, as a share of the window's width.
        text: what stands beside the reference arrow, such as "‖s‖ = 2".

    Raises:
        ValueError: If the size is not positive and finite, or the length is not in (0, 1].
    """

    size: float
    length: float
    text: str

    def __post_init__(self) -> None:
        if not 0 < self.size < math.inf:
            raise ValueError(f"size is {self.size}, expected a positive number")
        if not 0 < self.length <= 1:
            raise ValueError(f"length is {self.length}, expected a share in (0, 1]")


def round_size(lengths: Iterable[float]) -> float | None:
    """The largest of 1, 2 and 5 times a power of ten that does not exceed the longest of some lengths.

    Args:
        lengths: of the vectors to be drawn; those that are not finite are ignored.

    Returns:
        A size for the reference arrow of an `ArrowScale`, or None if no length is positive.
    """
    longest = max((length for length in lengths if math.isfinite(length)), default=0.0)
    if longest <= 0:
        return None
    power = math.floor(math.log10(longest))
    sizes = [float(f"{digit}e{exponent}") for exponent in (power - 1, power, power + 1) for digit in (1, 2, 5)]
    return max(size for size in sizes if size <= longest)


@dataclass(frozen=True, eq=False)
class Density:
    """p_t of a mixture in the plane, as the stage draws it: relative to its highest cell, no component narrower than a cell.

    Attributes:
        weights: (K,).
        means: (K, 2) of the data.
        variances: (K, 2) of the data, along the axis of each component and across it.
        angles: (K,) of these axes, in radians.
        alpha: (T,) the factor on the data at each frame.
        sigma: (T,) the standard deviation of the noise at each frame.
        cells: along each side of the window.
        scale: "root" shows sqrt(p / max p), "log" the logarithm over its top 12 nats.
        steps: the number of flat steps in which it is shown; 0 for none.
        alone: the only component that is drawn, or -1 for all.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    angles: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray
    cells: int = 64
    scale: Literal["root", "log"] = "root"
    steps: int = 0
    alone: int = -1


@dataclass(frozen=True, eq=False)
class Draws:
    """Samples of p_t at every t: alpha_t data + sigma_t noise.

    Attributes:
        data: clean, (N, 2); the first of them are the particles.
        noise: standard, (N, 2).
    """

    data: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True, eq=False)
class Frames:
    """Everything a stage can show, as arrays: T frames in playing order.

    Attributes:
        times: (T,) diffusion time of each frame, rising or falling.
        windows: (T, 4) x_min, x_max, y_min, y_max of each frame's camera, in data units.
        particles: (T, N, 2) in data units; points that are not finite are left out.
        labels: (N,) component of each particle; None draws all in one colour.
        image: (T or 1, H, W) in [0, 1], row 0 at y_min, each value at the centre of its cell of the frame's window.
        image_kind: what the image shows, which decides its colours.
        density: p_t of a mixture instead of an image: the stage draws it from its components.
        draws: what the particles of a single frame are made of, so that the stage can show them at other times.
        anchors: (T, M, 2) tails of arrows in data units.
        arrows: (T, M, 2) arrows as they are drawn, in data units.
        arrow_labels: (M,) component of each arrow; -1, or None for all, draws in the colour of text, LEARNED in that of what is
            learned, under the others.
        ellipses: (T, K, 5) centre x, y, semi-axes a, b of one standard deviation, angle of a in radians.
        margin: (T, G) exact density along y at the centres of G equal cells of the window's y range.

    Raises:
        ValueError: If an array does not fit; it names the array, its shape and what was expected.
    """

    times: np.ndarray
    windows: np.ndarray
    particles: np.ndarray | None = None
    labels: np.ndarray | None = None
    image: np.ndarray | None = None
    image_kind: Literal["density", "error"] = "density"
    density: Density | None = None
    draws: Draws | None = None
    anchors: np.ndarray | None = None
    arrows: np.ndarray | None = None
    arrow_labels: np.ndarray | None = None
    ellipses: np.ndarray | None = None
    margin: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_camera(self)
        _check_particles(self)
        _check_image(self)
        _check_density(self)
        _check_arrows(self)
        _check_curves(self)


def cell_centres(low: float, high: float, n: int) -> np.ndarray:
    """Centres of equal cells, where `Frames.image` and `Frames.margin` expect their values.

    Args:
        low: the left end of the first cell.
        high: the right end of the last cell.
        n: the number of cells.

    Returns:
        (n,).
    """
    return low + (np.arange(n) + 0.5) * (high - low) / n


def _check_shape(name: str, array: np.ndarray, expected: tuple[int | str, ...]) -> None:
    """Letters in the expected shape stand for any length of at least 1."""
    fits = array.ndim == len(expected) and all(
        found >= 1 if isinstance(wanted, str) else found == wanted for found, wanted in zip(array.shape, expected, strict=False)
    )
    if not fits:
        wanted = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        raise ValueError(f"{name} has shape {array.shape}, expected ({wanted})")


def _check_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{name} of shape {array.shape} must be finite, but {int((~np.isfinite(array)).sum())} are not")


def _check_labels(name: str, labels: np.ndarray, expected: int, lowest: int = 0) -> None:
    _check_shape(name, labels, (expected,))
    if not np.issubdtype(labels.dtype, np.integer) or (labels < lowest).any():
        raise ValueError(f"{name} of shape {labels.shape} must be integers from {lowest}, got dtype {labels.dtype}")


def _check_camera(frames: Frames) -> None:
    _check_shape("times", frames.times, ("T",))
    _check_finite("times", frames.times)
    _check_shape("windows", frames.windows, (len(frames.times), 4))
    _check_finite("windows", frames.windows)
    empty = (frames.windows[:, 0] >= frames.windows[:, 1]) | (frames.windows[:, 2] >= frames.windows[:, 3])
    if empty.any():
        worst = int(np.argmax(empty))
        raise ValueError(f"windows[{worst}] is {frames.windows[worst].tolist()}, expected x_min < x_max, y_min < y_max")


def _check_particles(frames: Frames) -> None:
    if frames.particles is not None:
        _check_shape("particles", frames.particles, (len(frames.times), "N", 2))
    if frames.labels is not None:
        if frames.particles is None:
            raise ValueError(f"labels has shape {frames.labels.shape}, but there are no particles")
        _check_labels("labels", frames.labels, frames.particles.shape[1])


def _check_image(frames: Frames) -> None:
    if frames.image is None:
        return
    several = frames.image.ndim > 0 and frames.image.shape[0] != 1
    _check_shape("image", frames.image, (len(frames.times) if several else 1, "H", "W"))
    if not ((frames.image >= -1e-6) & (frames.image <= 1 + 1e-6)).all():
        low, high = np.min(frames.image), np.max(frames.image)
        raise ValueError(f"image of shape {frames.image.shape} has values in [{low}, {high}], expected [0, 1]")


def _check_density(frames: Frames) -> None:
    if frames.density is not None:
        if frames.image is not None:
            raise ValueError("image and density cannot both be drawn: give one of them")
        _check_shape("density.alpha", frames.density.alpha, (len(frames.times),))
        _check_shape("density.sigma", frames.density.sigma, (len(frames.times),))


def _check_arrows(frames: Frames) -> None:
    if (frames.anchors is None) != (frames.arrows is None):
        raise ValueError("anchors and arrows belong together: give both, of shape (T, M, 2), or neither")
    if frames.anchors is not None and frames.arrows is not None:
        _check_shape("anchors", frames.anchors, (len(frames.times), "M", 2))
        _check_shape("arrows", frames.arrows, frames.anchors.shape)
    if frames.arrow_labels is not None:
        if frames.arrows is None:
            raise ValueError(f"arrow_labels has shape {frames.arrow_labels.shape}, but there are no arrows")
        _check_labels("arrow_labels", frames.arrow_labels, frames.arrows.shape[1], lowest=LEARNED)


def _check_curves(frames: Frames) -> None:
    if frames.ellipses is not None:
        _check_shape("ellipses", frames.ellipses, (len(frames.times), "K", 5))
        _check_finite("ellipses", frames.ellipses)
        if (frames.ellipses[..., 2:4] < 0).any():
            raise ValueError(f"ellipses of shape {frames.ellipses.shape} has a negative semi-axis")
    if frames.margin is not None:
        _check_shape("margin", frames.margin, (len(frames.times), "G"))
        _check_finite("margin", frames.margin)
