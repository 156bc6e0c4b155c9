"""Arrays to pictures: a sample over exact lines and marked points, several densities in one window, and component weights.

The first two are SVG text: drawn as charts they took more than half of the time in which *Reverse* follows its λ slider.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette, pictures
from scoredm.charts.common import Spec, colours, finish, histogram, rows
from scoredm.language import _, cache

SIDE = 240  # pixels: a square window on a square, whatever the width of the page
LEFT, TOP, RIGHT, BELOW = 36, 22, 8, 22  # pixels around it: labels of the axes, the title, half a label
POINTS = 1000  # drawn at most, of a sample and of the marked points
TICKS = 500  # marked points drawn at most, on the line
BARS = 60
# Marked points are rings up to so many, of this radius and width in pixels; of more, each is a dot.
RINGS = ((60, 5.9, 1.8), (500, 2.9, 1.4))
DOT = 1.5  # radius
LEGEND_LINE = 20  # pixels


@dataclass(frozen=True, eq=False)
class Panel:
    """A sample over exact lines.

    Args:
        title: above the panel; "" for none.
        points: the sample, (N, D), D = 1 or 2.
        box: the window, (2 D,).
        lines: contours, or on the line the density, each (M, 2).
        colour: of the sample.
        frame: another window, drawn dashed in the plane.
        marked: points that are drawn above the sample, such as training points, (K, D).
    """

    title: str
    points: np.ndarray
    box: np.ndarray
    lines: Sequence[np.ndarray]
    colour: str
    frame: np.ndarray | None = None
    marked: np.ndarray | None = None

    @property
    def plane(self) -> bool:
        """Whether it is drawn in the plane, and not on the line."""
        return self.points.shape[1] == 2

    @property
    def ring(self) -> tuple[float, float] | None:
        """Radius and width of the rings around marked points; None where they are dots."""
        count = 0 if self.marked is None else len(self.marked)
        return next(((radius, width) for most, radius, width in RINGS if count <= most), None)


def panel(mode: str, shown: Panel) -> str:
    """A panel as SVG: points over contours with equal aspect, or a histogram under a curve.

    What lies outside the window, or is not finite, is left out.

    Args:
        mode: "light" or "dark".
        shown: what is drawn.
    """
    return _cloud(mode, shown) if shown.plane else _bars(mode, shown)


def _square(mode: str, title: str, window: np.ndarray, names: tuple[str, str], below: int = 0) -> pictures.Panel:
    """An empty window with its title and axes."""
    top = TOP if title else 4
    picture = pictures.Picture(LEFT + SIDE + RIGHT, top + SIDE + BELOW + below, mode)
    if title:
        picture.write(title, LEFT, 14)
    drawn = picture.panel(window, (LEFT, top, SIDE, SIDE))
    drawn.axes(*names)
    return drawn


def _cloud(mode: str, shown: Panel) -> str:
    drawn = _square(mode, shown.title, shown.box, ("x₁", "x₂"))
    drawn.cloud(inside(shown.points, shown.box), shown.colour, 2.0, 0.55)
    ink, paper, muted = palette.INK[mode], palette.PAPER[mode], palette.MUTED[mode]
    lines = muted if shown.marked is not None else ink
    drawn.lines(shown.lines, [lines] * len(shown.lines), 1.2)
    if shown.frame is not None:
        corners = [shown.frame[[[0, 2], [1, 2], [1, 3], [0, 3], [0, 2]]]]
        drawn.lines(corners, [paper], 5)
        drawn.lines(corners, [ink], 2.5, dash=(5, 3))
    if shown.marked is not None:
        _mark(drawn, inside(shown.marked, shown.box), shown.ring, ink, paper)
    return drawn.picture.svg


def _mark(drawn: pictures.Panel, points: np.ndarray, ring: tuple[float, float] | None, ink: str, paper: str) -> None:
    """Marked points on a halo of paper: in a dense cloud they would be lost without it."""
    if ring is None:
        drawn.cloud(points, paper, 1.5 * DOT)
        drawn.cloud(points, ink, DOT)
        return
    radius, width = ring
    drawn.rings(points, [paper] * len(points), radius, width + 2)
    drawn.rings(points, [ink] * len(points), radius, width)


def inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The first POINTS points of a sample, without those outside a window.

    Args:
        points: the sample, (N, D).
        box: the window, (2 D,).
    """
    few = points[:POINTS]
    return few[(few >= box[0::2]).all(1) & (few <= box[1::2]).all(1)]


def _bars(mode: str, shown: Panel) -> str:
    """Densities over the whole sample; marked points are ticks below the axis."""
    (curve,) = shown.lines
    bars = histogram(shown.points[:, 0], np.linspace(shown.box[0], shown.box[1], BARS + 1))
    high = max(bars["y"].max(), curve[:, 1].max())
    low = -0.1 * high if shown.marked is not None else 0.0
    drawn = _square(mode, shown.title, np.array([*shown.box, low, 1.05 * high]), ("x", _("density")))
    drawn.bars(bars["x"], bars["right"], bars["y"], shown.colour, 0.55)
    drawn.lines([curve], [palette.INK[mode]], 1.6)
    if shown.marked is not None:
        at = inside(shown.marked, shown.box)[:TICKS, 0]
        ends = np.stack([np.stack([at, np.full_like(at, y)], -1) for y in (0.3 * low, 0.8 * low)], 1)
        drawn.lines(ends, [palette.INK[mode]] * len(ends), 1.2, 0.8)
    return drawn.picture.svg


@dataclass(frozen=True, eq=False)
class Series:
    """Lines of one kind in an overlay.

    Args:
        name: in the legend, in the reader's language.
        lines: (M, 2) each: contours, or on the line one curve.
        colour: of the lines.
        dash: lengths of strokes and gaps, in pixels; none for a whole line.
    """

    name: str
    lines: Sequence[np.ndarray]
    colour: str
    dash: tuple[int, ...] = ()


def overlay(mode: str, series: Sequence[Series], box: np.ndarray, title: str = "") -> str:
    """Several densities in one window as SVG: contours with equal aspect, or curves.

    Args:
        mode: "light" or "dark".
        series: each with its colour.
        box: the window, (2 D,).
        title: above the picture; "" for none.
    """
    plane = len(box) == 4
    high = 0.0 if plane else 1.05 * max(line[:, 1].max() for one in series for line in one.lines)
    window = box if plane else np.array([*box, 0.0, high])
    drawn = _square(mode, title, window, ("x₁", "x₂") if plane else ("x", _("density")), LEGEND_LINE * len(series))
    for i, one in enumerate(series):
        drawn.lines(one.lines, [one.colour] * len(one.lines), 1.8, dash=one.dash)
        drawn.picture.legend(one.name, one.colour, one.dash, LEFT, drawn.box[1] + SIDE + BELOW + LEGEND_LINE * i + 10)
    return drawn.picture.svg


@cache
def weights_spec(mode: str) -> Spec:
    """Component weights: found as bars with two standard errors, exact as ticks; without the data.

    Args:
        mode: "light" or "dark".
    """
    series = colours({_("exact"): palette.INK[mode], _("found"): palette.SAMPLES[mode]})
    base = alt.Chart().encode(
        x=alt.X("component:O", title=_("component"), axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=6))
    )
    weight = alt.Y("weight:Q", title=_("weight"))
    found = base.mark_bar(opacity=0.6).encode(y=weight, color=series).transform_filter(alt.datum.series == _("found"))
    exact = base.mark_tick(thickness=2).encode(y=weight, color=series).transform_filter(alt.datum.series == _("exact"))
    error = (
        base.mark_rule(color=palette.INK[mode])
        .encode(y=alt.Y("low:Q", title=_("weight")), y2="high:Q")
        .transform_filter(alt.datum.series == _("found"))
    )
    return finish(found + error + exact, 150)


def weights_table(exact: np.ndarray, found: np.ndarray, error: np.ndarray) -> pa.Table:
    """Rows of weights_spec.

    Args:
        exact: (K,).
        found: (K,).
        error: the standard error of `found`, (K,).
    """
    component = np.arange(1, len(exact) + 1)
    bars = {"low": found - 2 * error, "high": found + 2 * error}
    return rows(
        {"component": component, "weight": found, "series": _("found"), **bars},
        {"component": component, "weight": exact, "series": _("exact"), "low": exact, "high": exact},
    )
