"""The frames of a stage as integer columns, the form in which they are sent to the browser.

A coordinate v in [low, high] is sent as the 16-bit integer q = round((v - low) / step) - 32767 with
step = (high - low) / 65534, and read back as low + (q + 32767) step: off by at most step / 2. -32768 stands for
"not a number", which the stage does not draw.
"""

from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.frames import Frames

QUANTA = 32767
MISSING = -32768

# Particles further outside the window than this many of its widths are never seen, so they are moved in to this distance,
# which keeps the steps between 16-bit values small.
_REACH = 3.0


Present = TypeVar("Present")


class Encoded(NamedTuple):
    """The columns of each layer, and the sizes and ranges needed to read them."""

    columns: dict[str, pa.Table]
    layout: dict[str, Any]


_ENCODED: WeakKeyDictionary[Frames, Encoded] = WeakKeyDictionary()


def encode(frames: Frames) -> Encoded:
    """Turn frames into Arrow columns and the layout needed to read them; each layer that is not None becomes one table.

    The result is computed once for each object and forgotten with it, because pages send the same cached frames often.

    Args:
        frames: of the stage.
    """
    if frames not in _ENCODED:
        _ENCODED[frames] = _encode(frames)
    return _ENCODED[frames]


def _encode(frames: Frames) -> Encoded:
    columns = {"camera": _camera_table(frames)}
    layout: dict[str, Any] = {"frames": len(frames.times)}
    for name, layer in (
        ("particles", _particle_layer),
        ("image", _image_layer),
        ("density", _density_layer),
        ("draws", _draws_layer),
        ("arrows", _arrow_layer),
        ("ellipses", _ellipse_layer),
        ("margin", _margin_layer),
    ):
        if getattr(frames, name) is not None:
            tables, layout[name] = layer(frames)
            columns |= tables
    return Encoded(columns, layout)


def quantise(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Turn values (any shape), clipped to [low, high], into 16-bit integers; MISSING where a value is not finite.

    Args:
        values: of any shape.
        low: the value that becomes the smallest integer.
        high: the value that becomes the largest.

    Returns:
        Integers of the same shape.
    """
    step = quantum(low, high)
    finite = np.isfinite(values)
    clipped = np.clip(np.where(finite, values, low), low, high)
    return np.where(finite, np.rint((clipped - low) / step) - QUANTA, MISSING).astype(np.int16)


def quantum(low: float, high: float) -> float:
    """The step between neighbouring 16-bit values over [low, high].

    Args:
        low: the lower end of the range.
        high: its upper end.
    """
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
    """An order that puts equal colours side by side, and the runs [colour, first, count] it makes; no component is below 0."""
    if labels is None:
        return np.arange(n), [[-1, 0, n]]
    colours = np.where(labels < 0, labels, labels % len(palette.COMPONENTS))
    order = np.argsort(colours, kind="stable")
    found, first, count = np.unique(colours[order], return_index=True, return_counts=True)
    return order, np.stack([found, first, count], axis=1).tolist()


def _camera_table(frames: Frames) -> pa.Table:
    return _plain_table({"t": frames.times, **{f"w{i}": frames.windows[:, i] for i in range(4)}})


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


def _density_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    shown = _given(frames.density)
    columns = {"weight": shown.weights, "x": shown.means[:, 0], "y": shown.means[:, 1], "angle": shown.angles}
    columns |= {"along": shown.variances[:, 0], "across": shown.variances[:, 1]}
    tables = {"density": _plain_table(columns), "scales": _plain_table({"alpha": shown.alpha, "sigma": shown.sigma})}
    size = {"count": len(frames.times), "width": shown.cells, "height": shown.cells, "cells": shown.cells, "kind": "density"}
    return tables, {**size, "scale": shown.scale, "steps": shown.steps, "alone": shown.alone}


def _plain_table(columns: dict[str, np.ndarray]) -> pa.Table:
    return pa.table({name: np.ascontiguousarray(column, dtype=np.float64) for name, column in columns.items()})


def _draws_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Data and noise of samples as 16-bit integers, and the places of the particles among them."""
    draws, shown = _given(frames.draws), 0 if frames.particles is None else frames.particles.shape[1]
    columns = dict(zip("xyuv", np.concatenate([draws.data, draws.noise], 1).T, strict=True))
    ranges = [_span(column, -np.inf, np.inf) for column in columns.values()]
    coded = {name: quantise(column, *at) for (name, column), at in zip(columns.items(), ranges, strict=True)}
    order = _by_colour(frames.labels, shown)[0]
    layout = {"low": [low for low, _ in ranges], "step": [quantum(*at) for at in ranges], "order": order.tolist()}
    return {"draws": pa.table(coded)}, layout


def _arrow_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Tails and vectors as fractions of each frame's window, so that a following camera keeps its precision."""
    corner = frames.windows[:, None, [0, 2]]
    extent = frames.windows[:, None, [1, 3]] - corner
    order, runs = _by_colour(frames.arrow_labels, _given(frames.arrows).shape[1])
    tails = (_given(frames.anchors)[:, order] - corner) / extent
    vectors = _given(frames.arrows)[:, order] / extent
    still = bool(np.isfinite(tails).all() and np.abs(tails - tails[:1]).max(initial=0) < 1e-6)
    tails = tails[:1] if still else tails
    anchors, anchor_scale = _xy_table(tails, [_span(tails[..., axis], -_REACH, 1 + _REACH) for axis in range(2)])
    length = max(1e-9, *(max(abs(edge) for edge in _span(vectors[..., axis], -_REACH, _REACH)) for axis in range(2)))
    arrows, arrow_scale = _xy_table(vectors, [(-length, length)] * 2)
    layout = {"count": len(order), "runs": runs, "anchors": {"once": still, **anchor_scale}, **arrow_scale}
    return {"anchors": anchors, "arrows": arrows}, layout


def _ellipse_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    ellipses = _given(frames.ellipses)
    table = pa.table({"v": ellipses.astype(np.float32).ravel()})
    return {"ellipses": table}, {"count": ellipses.shape[1]}


def _margin_layer(frames: Frames) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    margin = _given(frames.margin)
    return {"margin": pa.table({"v": margin.astype(np.float32).ravel()})}, {"count": margin.shape[1]}


def _given(layer: Present | None) -> Present:
    if layer is None:
        raise ValueError("this layer is not there")
    return layer
