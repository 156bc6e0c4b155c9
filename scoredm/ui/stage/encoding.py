"""What a stage shows, and its form on the wire: integer columns over ranges that travel beside them.

A coordinate v in [low, high] is sent as the 16-bit integer q = round((v - low) / step) - 32767 with
step = (high - low) / 65534, and read back as low + (q + 32767) step: off by at most step / 2. -32768 stands for
"not a number", which the stage does not draw.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from scoredm import palette

QUANTA = 32767
MISSING = -32768

# Beyond this many window widths outside the window nothing is ever seen, so nothing finer than "out there" is sent.
_REACH = 3.0

Layer = Literal["particles", "image", "arrows", "ellipses", "margin"]


class Encoded(NamedTuple):
    """The columns of each layer, and the sizes and ranges needed to read them."""

    columns: dict[str, pa.Table]
    layout: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Frames:
    """Everything a stage can show, as arrays; T frames in playing order.

    times: (T,) diffusion time of each frame, rising or falling.
    windows: (T, 4) x_min, x_max, y_min, y_max in data units, the camera of each frame.
    particles: (T, N, 2) in data units; points that are not finite are left out.
    labels: (N,) component of each particle; None draws all in one colour.
    image: (T or 1, H, W) in [0, 1], row 0 at y_min, each value at the centre of its cell of the frame's window.
    anchors, arrows: (T, M, 2) tails and vectors in data units; arrow_labels: (M,) component of each, -1 or None for ink.
    ellipses: (T, K, 5) centre x, y, semi-axes a, b of one standard deviation, angle of a in radians.
    margin: (T, G) exact density along y at the centres of G equal cells of the window's y range.

    Raises ValueError naming the array, its shape and what was expected.
    """

    times: np.ndarray
    windows: np.ndarray
    particles: np.ndarray | None = None
    labels: np.ndarray | None = None
    image: np.ndarray | None = None
    image_kind: Literal["density", "error"] = "density"
    anchors: np.ndarray | None = None
    arrows: np.ndarray | None = None
    arrow_labels: np.ndarray | None = None
    ellipses: np.ndarray | None = None
    margin: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_camera(self)
        _check_particles(self)
        _check_image(self)
        _check_arrows(self)
        _check_curves(self)

    @cached_property
    def encoded(self) -> Encoded:
        """The wire form, computed once for this object."""
        return encode(self)


def cell_centres(low: float, high: float, n: int) -> np.ndarray:
    """Centres of n equal cells of [low, high], (n,): where `Frames.image` and `Frames.margin` expect their values."""
    return low + (np.arange(n) + 0.5) * (high - low) / n


def encode(frames: Frames) -> Encoded:
    """Turn frames into Arrow columns and the layout that reads them; each layer that is there becomes one table."""
    columns = {"camera": _camera_table(frames)}
    layout: dict[str, Any] = {"frames": len(frames.times)}
    for name, layer in (
        ("particles", _particle_layer),
        ("image", _image_layer),
        ("arrows", _arrow_layer),
        ("ellipses", _ellipse_layer),
        ("margin", _margin_layer),
    ):
        if getattr(frames, name) is not None:
            tables, layout[name] = layer(frames)
            columns |= tables
    return Encoded(columns, layout)


def quantise(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """16-bit integers for values (any shape) over [low, high], clipped to it; MISSING where a value is not finite."""
    step = quantum(low, high)
    finite = np.isfinite(values)
    clipped = np.clip(np.where(finite, values, low), low, high)
    return np.where(finite, np.rint((clipped - low) / step) - QUANTA, MISSING).astype(np.int16)


def quantum(low: float, high: float) -> float:
    """The step between neighbouring 16-bit values over [low, high]."""
    return (high - low) / (2 * QUANTA)


def _xy_table(points: np.ndarray, ranges: list[tuple[float, float]]) -> tuple[pa.Table, dict[str, Any]]:
    table = pa.table({name: quantise(points[..., i], *ranges[i]).ravel() for i, name in enumerate("xy")})
    return table, {"low": [low for low, _ in ranges], "step": [quantum(low, high) for low, high in ranges]}


def _span(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The part of [low, high] that the finite values use, never empty."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return low, high
    bottom, top = (float(np.clip(edge, low, high)) for edge in (finite.min(), finite.max()))
    return (bottom, top) if top > bottom else (low, high)


def _by_colour(labels: np.ndarray | None, n: int) -> tuple[np.ndarray, list[list[int]]]:
    """An order that puts equal colours side by side, and the runs [colour, first, count] it makes; colour -1 is plain."""
    if labels is None:
        return np.arange(n), [[-1, 0, n]]
    colours = np.where(labels < 0, -1, labels % len(palette.COMPONENTS))
    order = np.argsort(colours, kind="stable")
    found, first, count = np.unique(colours[order], return_index=True, return_counts=True)
    return order, np.stack([found, first, count], axis=1).tolist()


def _camera_table(frames: Frames) -> pa.Table:
    columns = {"t": frames.times, **{f"w{i}": frames.windows[:, i] for i in range(4)}}
    return pa.table({name: np.ascontiguousarray(column, dtype=np.float64) for name, column in columns.items()})


def _particle_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    points, windows = _given(frames.particles).astype(np.float64), frames.windows
    order, runs = _by_colour(frames.labels, points.shape[1])
    ranges = []
    for axis in range(2):
        low, high = float(windows[:, 2 * axis].min()), float(windows[:, 2 * axis + 1].max())
        reach = _REACH * (high - low)
        ranges.append(_span(points[..., axis], low - reach, high + reach))
    table, scale = _xy_table(points[:, order], ranges)
    return {"particles": table}, {"count": points.shape[1], "runs": runs, **scale}


def _image_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    image = _given(frames.image)
    levels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    count, height, width = image.shape
    layout = {"count": count, "height": height, "width": width, "kind": frames.image_kind}
    return {"image": pa.table({"v": levels.ravel()})}, layout


def _arrow_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Tails and vectors as fractions of each frame's window, so that a following camera keeps its precision."""
    corner = frames.windows[:, None, [0, 2]]
    extent = frames.windows[:, None, [1, 3]] - corner
    order, runs = _by_colour(frames.arrow_labels, _given(frames.arrows).shape[1])
    tails = (_given(frames.anchors)[:, order] - corner) / extent
    vectors = _given(frames.arrows)[:, order] / extent
    moving = bool(np.isfinite(tails).all() and np.abs(tails - tails[:1]).max(initial=0) < 1e-6)
    tails = tails[:1] if moving else tails
    anchors, anchor_scale = _xy_table(tails, [_span(tails[..., axis], -_REACH, 1 + _REACH) for axis in range(2)])
    length = max(1e-9, *(max(abs(edge) for edge in _span(vectors[..., axis], -_REACH, _REACH)) for axis in range(2)))
    arrows, arrow_scale = _xy_table(vectors, [(-length, length)] * 2)
    layout = {"count": len(order), "runs": runs, "anchors": {"once": moving, **anchor_scale}, **arrow_scale}
    return {"anchors": anchors, "arrows": arrows}, layout


def _ellipse_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    ellipses = _given(frames.ellipses)
    table = pa.table({"v": ellipses.astype(np.float32).ravel()})
    return {"ellipses": table}, {"count": ellipses.shape[1]}


def _margin_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    margin = _given(frames.margin)
    return {"margin": pa.table({"v": margin.astype(np.float32).ravel()})}, {"count": margin.shape[1]}


def _given(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise ValueError("this layer has no array")
    return array


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


def _check_arrows(frames: Frames) -> None:
    if (frames.anchors is None) != (frames.arrows is None):
        raise ValueError("anchors and arrows belong together: give both, of shape (T, M, 2), or neither")
    if frames.anchors is not None and frames.arrows is not None:
        _check_shape("anchors", frames.anchors, (len(frames.times), "M", 2))
        _check_shape("arrows", frames.arrows, frames.anchors.shape)
    if frames.arrow_labels is not None:
        if frames.arrows is None:
            raise ValueError(f"arrow_labels has shape {frames.arrow_labels.shape}, but there are no arrows")
        _check_labels("arrow_labels", frames.arrow_labels, frames.arrows.shape[1], lowest=-1)


def _check_curves(frames: Frames) -> None:
    if frames.ellipses is not None:
        _check_shape("ellipses", frames.ellipses, (len(frames.times), "K", 5))
        _check_finite("ellipses", frames.ellipses)
        if (frames.ellipses[..., 2:4] < 0).any():
            raise ValueError(f"ellipses of shape {frames.ellipses.shape} has a negative semi-axis")
    if frames.margin is not None:
        _check_shape("margin", frames.margin, (len(frames.times), "G"))
        _check_finite("margin", frames.margin)
