"""Arrays to charts: a sample over exact lines and marked points, two samples' estimates over them, and component weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scoredm.charts import palette
from scoredm.charts.common import Spec, colours, finish, histogram
from scoredm.language import _, cache

PANEL = 240  # pixels a side: a square window on a square, whatever the width of the page
POINTS = 1000  # drawn at most, of a sample and of the marked points
TICKS = 500  # marked points drawn at most, on the line
BARS = 60
# Marked points are rings up to so many, of this area and width; of more, each is a dot.
RINGS = ((60, 110, 1.8), (500, 26, 1.4))
DOT = 7  # area
# Names of the axes inside the panel, where they take no room.
BELOW_RIGHT: Spec = {"titleX": PANEL - 6, "titleY": -6, "titleAlign": "right", "titleBaseline": "bottom"}
ABOVE_LEFT: Spec = {"titleX": 6, "titleY": 4, "titleAlign": "left", "titleBaseline": "top", "titleAngle": 0}


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
    def ring(self) -> tuple[int, float] | None:
        """Area and width of the rings around marked points; None where they are dots."""
        count = 0 if self.marked is None else len(self.marked)
        return next(((area, width) for most, area, width in RINGS if count <= most), None)


def panel_spec(mode: str, panel: Panel) -> Spec:
    """A panel without its data: points over contours with equal aspect, or a histogram under a curve.

    Args:
        mode: "light" or "dark".
        panel: what is drawn.
    """
    spec = (
        _cloud_spec(mode, panel.colour, panel.marked is not None, panel.ring) if panel.plane else _bars_spec(mode, panel.colour)
    )
    return spec | {"title": panel.title} if panel.title else spec


def panel_table(panel: Panel) -> pd.DataFrame:
    """Rows of panel_spec; what lies outside the window, or is not finite, is left out.

    Args:
        panel: what is drawn.
    """
    return _cloud_table(panel) if panel.plane else _bars_table(panel)


@cache
def _cloud_spec(mode: str, colour: str, marked: bool, ring: tuple[int, float] | None) -> Spec:
    across, up = alt.Axis(tickCount=5, **BELOW_RIGHT), alt.Axis(tickCount=5, **ABOVE_LEFT)
    x, y = alt.X("x:Q", title="x₁", scale=_window(), axis=across), alt.Y("y:Q", title="x₂", scale=_window(), axis=up)
    base = alt.Chart().encode(x=x, y=y)
    kinds = {kind: base.transform_filter(f"datum.kind == '{kind}'") for kind in ("point", "mark", "contour", "frame", "corner")}
    points = kinds["point"].mark_circle(size=12, opacity=0.55, color=colour, clip=True)
    contours, framed = (kinds[kind].encode(detail="line:N", order="order:Q") for kind in ("contour", "frame"))
    edge = framed.mark_line(strokeWidth=5, color=palette.PAPER[mode])
    frame = framed.mark_line(strokeWidth=2.5, strokeDash=[5, 3], color=palette.INK[mode])
    lines = contours.mark_line(strokeWidth=1.2, color=(palette.MUTED if marked else palette.INK)[mode])
    marks = _marks(mode, kinds["mark"], ring) if marked else []
    return _square(alt.layer(points, lines, edge, frame, *marks, kinds["corner"].mark_point(opacity=0)))


def _marks(mode: str, base: Any, ring: tuple[int, float] | None) -> list[Any]:
    """Marked points on a halo of paper: in a dense cloud they would be lost without it."""
    ink, paper = palette.INK[mode], palette.PAPER[mode]
    if ring is None:
        return [base.mark_circle(size=size, opacity=1, color=c, clip=True) for size, c in ((2.2 * DOT, paper), (DOT, ink))]
    area, width = ring
    strokes = ((width + 2, paper), (width, ink))
    return [base.mark_point(size=area, strokeWidth=w, opacity=1, color=c, clip=True) for w, c in strokes]


def _cloud_table(panel: Panel) -> pd.DataFrame:
    box = panel.box
    parts = [_polyline("point", inside(panel.points, box), 0), _polyline("corner", box.reshape(2, 2).T, 0)]
    parts += [_polyline("contour", line, i) for i, line in enumerate(panel.lines)]
    if panel.frame is not None:
        parts.append(_polyline("frame", panel.frame[[[0, 2], [1, 2], [1, 3], [0, 3], [0, 2]]], 0))
    if panel.marked is not None:
        parts.append(_polyline("mark", inside(panel.marked, box), 0))
    return pd.concat(parts, ignore_index=True)


def inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The first POINTS points of a sample, without those outside a window.

    Args:
        points: the sample, (N, D).
        box: the window, (2 D,).
    """
    few = points[:POINTS]
    return few[(few >= box[0::2]).all(1) & (few <= box[1::2]).all(1)]


def _polyline(kind: str, points: np.ndarray, line: int) -> pd.DataFrame:
    xy = points.astype(np.float32)
    return pd.DataFrame({"kind": kind, "x": xy[:, 0], "y": xy[:, 1], "line": line, "order": np.arange(len(xy))})


def _window() -> alt.Scale:
    return alt.Scale(zero=False, nice=False, padding=0)


def _square(chart: Any) -> Spec:
    pad = {"left": 2, "right": 6, "top": 2, "bottom": 6}
    return chart.properties(width=PANEL, height=PANEL, padding=pad, autosize=alt.AutoSizeParams(type="pad")).to_dict()


@cache
def _bars_spec(mode: str, colour: str) -> Spec:
    across, up = alt.Axis(tickCount=5, **BELOW_RIGHT), alt.Axis(tickCount=4, **ABOVE_LEFT)
    y = alt.Y("y:Q", title=_("density"), axis=up)
    base = alt.Chart().encode(x=alt.X("x:Q", title="x", scale=_window(), axis=across), y=y)
    bars = base.mark_rect(opacity=0.55, color=colour).encode(x2="right:Q", y2=alt.datum(0))
    curve = base.mark_line(strokeWidth=1.6, color=palette.INK[mode])
    ticks = base.mark_rule(strokeWidth=1.2, opacity=0.8, color=palette.INK[mode]).encode(y2="right:Q")
    kinds = {"bar": bars, "curve": curve, "mark": ticks}
    return _square(alt.layer(*(layer.transform_filter(f"datum.kind == '{kind}'") for kind, layer in kinds.items())))


def _bars_table(panel: Panel) -> pd.DataFrame:
    """Densities over the whole sample; marked points are ticks from `y` to `right` below the axis."""
    (curve,) = panel.lines
    bars = histogram(panel.points[:, 0], np.linspace(panel.box[0], panel.box[1], BARS + 1)).assign(kind="bar")
    exact = pd.DataFrame({"kind": "curve", "x": curve[:, 0], "right": curve[:, 0], "y": curve[:, 1]})
    parts = [bars, exact]
    if panel.marked is not None:
        low = -0.08 * max(bars["y"].max(), curve[:, 1].max())
        at = inside(panel.marked, panel.box)[:TICKS, 0]
        parts.append(pd.DataFrame({"kind": "mark", "x": at, "right": low, "y": 0.3 * low}))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Series:
    """Lines of one kind in an overlay.

    Args:
        name: in the legend, in the reader's language.
        lines: (M, 2) each: contours, or on the line one curve.
        colour: of the lines.
        dash: lengths of strokes and gaps.
    """

    name: str
    lines: Sequence[np.ndarray]
    colour: str
    dash: tuple[int, ...] = (1, 0)


def overlay_spec(series: Sequence[Series], title: str, *, plane: bool) -> Spec:
    """Several densities in one window without the data: contours with equal aspect, or curves.

    Args:
        series: each with its colour.
        title: above the chart.
        plane: whether it is drawn in the plane, and not on the line.
    """
    looks = tuple((one.name, one.colour, one.dash) for one in series)
    return _overlay_spec(looks, plane) | {"title": title}


@cache
def _overlay_spec(looks: tuple[tuple[str, str, tuple[int, ...]], ...], plane: bool) -> Spec:
    names, hues, dashes = zip(*looks, strict=True)
    legend = alt.Legend(orient="bottom", direction="vertical", title=None, labelLimit=PANEL, symbolSize=300)
    x, y = ("x₁", "x₂") if plane else ("x", _("density"))
    base = alt.Chart().encode(
        x=alt.X("x:Q", title=x, scale=_window()),
        y=alt.Y("y:Q", title=y, scale=_window() if plane else alt.Undefined),
    )
    lines = base.mark_line(strokeWidth=1.8, clip=True).encode(
        color=alt.Color("series:N", scale=alt.Scale(domain=names, range=hues), legend=legend),
        strokeDash=alt.StrokeDash(
            "series:N", scale=alt.Scale(domain=names, range=[list(dash) for dash in dashes]), legend=legend
        ),
        detail="line:N",
        order="order:Q",
    )
    corners = base.mark_point(opacity=0).transform_filter("datum.kind == 'corner'")
    drawn = lines.transform_filter("datum.kind == 'line'")
    return _square(drawn + corners if plane else drawn)


def overlay_table(series: Sequence[Series], box: np.ndarray) -> pd.DataFrame:
    """Rows of overlay_spec; what lies outside the window is moved to its edge, so that the window is the same for all samples.

    Args:
        series: each with its lines.
        box: the window, (2 D,).
    """
    plane = len(box) == 4
    parts = [_polyline("corner", box.reshape(2, 2).T, 0).assign(series=series[0].name)] if plane else []
    for one in series:
        for i, line in enumerate(one.lines):
            x = np.clip(line[:, 0], *box[:2])
            y = np.clip(line[:, 1], *box[2:]) if plane else line[:, 1]
            parts.append(_polyline("line", np.stack([x, y], axis=1), i).assign(series=one.name))
    return pd.concat(parts, ignore_index=True)


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


def weights_table(exact: np.ndarray, found: np.ndarray, error: np.ndarray) -> pd.DataFrame:
    """Rows of weights_spec.

    Args:
        exact: (K,).
        found: (K,).
        error: the standard error of `found`, (K,).
    """
    component = np.arange(1, len(exact) + 1)
    bars = {"low": found - 2 * error, "high": found + 2 * error}
    parts = [
        pd.DataFrame({"component": component, "weight": found, "series": _("found"), **bars}),
        pd.DataFrame({"component": component, "weight": exact, "series": _("exact"), "low": exact, "high": exact}),
    ]
    return pd.concat(parts, ignore_index=True)
