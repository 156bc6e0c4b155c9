"""Arrays to charts: a sample over exact lines, in the plane or on the line, two samples' estimates over them, and weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scoredm.charts import palette
from scoredm.charts.common import Spec, colours, finish

PANEL = 228  # pixels a side: a square window on a square, whatever the width of the page
POINTS = 1000  # drawn of a sample at most


@dataclass(frozen=True, eq=False)
class Panel:
    """A sample over exact lines.

    Args:
        title: in the reader's language.
        points: (N, D), D = 1 or 2.
        box: the window, (2 D,).
        lines: (M, 2) each: contours, or on the line the density.
        colour: of the sample.
        frame: another window, drawn dashed in the plane.
    """

    title: str
    points: np.ndarray
    box: np.ndarray
    lines: Sequence[np.ndarray]
    colour: str
    frame: np.ndarray | None = None

    @property
    def plane(self) -> bool:
        """Whether it is drawn in the plane, and not on the line."""
        return self.points.shape[1] == 2


def panel_spec(mode: str, panel: Panel) -> Spec:
    """A panel without its data: points over contours with equal aspect, or a histogram under a curve."""
    return (_cloud_spec if panel.plane else _bars_spec)(mode, panel.colour) | {"title": panel.title}


def panel_table(panel: Panel) -> pd.DataFrame:
    """Rows of panel_spec; what lies outside the window, or is not finite, is left out."""
    return _cloud_table(panel) if panel.plane else _bars_table(panel)


@cache
def _cloud_spec(mode: str, colour: str) -> Spec:
    base = alt.Chart().encode(x=alt.X("x:Q", title="x₁", scale=_window()), y=alt.Y("y:Q", title="x₂", scale=_window()))
    points = base.mark_circle(size=12, opacity=0.7, color=colour, clip=True).transform_filter("datum.kind == 'point'")
    line = base.mark_line(strokeWidth=1.2, color=palette.INK[mode]).encode(detail="line:N", order="order:Q")
    contours = line.transform_filter("datum.kind == 'contour'")
    framed = line.transform_filter("datum.kind == 'frame'")
    edge = framed.mark_line(strokeWidth=5, color=palette.PAPER[mode])
    frame = framed.mark_line(strokeWidth=2.5, strokeDash=[5, 3], color=palette.INK[mode])
    corners = base.mark_point(opacity=0).transform_filter("datum.kind == 'corner'")
    return _square(points + contours + edge + frame + corners)


def _cloud_table(panel: Panel) -> pd.DataFrame:
    few, box = panel.points[:POINTS], panel.box
    inside = (few >= box[[0, 2]]).all(1) & (few <= box[[1, 3]]).all(1)
    parts = [_polyline("point", few[inside], 0), _polyline("corner", box.reshape(2, 2).T, 0)]
    parts += [_polyline("contour", line, i) for i, line in enumerate(panel.lines)]
    if panel.frame is not None:
        parts.append(_polyline("frame", panel.frame[[[0, 2], [1, 2], [1, 3], [0, 3], [0, 2]]], 0))
    return pd.concat(parts, ignore_index=True)


def _polyline(kind: str, points: np.ndarray, line: int) -> pd.DataFrame:
    xy = points.astype(np.float32)
    return pd.DataFrame({"kind": kind, "x": xy[:, 0], "y": xy[:, 1], "line": line, "order": np.arange(len(xy))})


def _window() -> alt.Scale:
    return alt.Scale(zero=False, nice=False, padding=0)


def _square(chart: Any) -> Spec:
    return chart.properties(width=PANEL, height=PANEL, autosize=alt.AutoSizeParams(type="pad")).to_dict()


@cache
def _bars_spec(mode: str, colour: str) -> Spec:
    x = alt.X("x:Q", title="x", scale=_window())
    base = alt.Chart().encode(x=x, y=alt.Y("y:Q", title="density"))
    bars = (
        base.mark_rect(opacity=0.55, color=colour).encode(x2="right:Q", y2=alt.datum(0)).transform_filter("datum.kind == 'bar'")
    )
    curve = base.mark_line(strokeWidth=1.6, color=palette.INK[mode]).transform_filter("datum.kind == 'curve'")
    return _square(bars + curve)


def _bars_table(panel: Panel, bins: int = 48) -> pd.DataFrame:
    """Densities over the whole sample."""
    values, (curve,) = panel.points[:, 0], panel.lines
    edges = np.linspace(panel.box[0], panel.box[1], bins + 1)
    height = np.histogram(values[np.isfinite(values)], edges)[0] / (len(values) * np.diff(edges))
    bars = pd.DataFrame({"kind": "bar", "x": edges[:-1], "right": edges[1:], "y": height})
    exact = pd.DataFrame({"kind": "curve", "x": curve[:, 0], "right": curve[:, 0], "y": curve[:, 1]})
    return pd.concat([bars, exact], ignore_index=True)


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
    """Several densities in one window without the data: contours with equal aspect, or curves."""
    looks = tuple((one.name, one.colour, one.dash) for one in series)
    return _overlay_spec(looks, plane) | {"title": title}


@cache
def _overlay_spec(looks: tuple[tuple[str, str, tuple[int, ...]], ...], plane: bool) -> Spec:
    names, hues, dashes = zip(*looks, strict=True)
    legend = alt.Legend(orient="bottom", direction="vertical", title=None, labelLimit=PANEL, symbolSize=300)
    x, y = ("x₁", "x₂") if plane else ("x", "density")
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
    """Rows of overlay_spec; box: the window, (2 D,)."""
    parts = [_polyline("corner", box.reshape(2, 2).T, 0).assign(series=series[0].name)] if len(box) == 4 else []
    for one in series:
        parts += [_polyline("line", line, i).assign(series=one.name) for i, line in enumerate(one.lines)]
    return pd.concat(parts, ignore_index=True)


@cache
def weights_spec(mode: str) -> Spec:
    """Component weights: found as bars with two standard errors, exact as ticks; without the data."""
    series = colours({"exact": palette.INK[mode], "found": palette.SAMPLES[mode]})
    base = alt.Chart().encode(
        x=alt.X("component:O", title="component", axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=6))
    )
    weight = alt.Y("weight:Q", title="weight")
    found = base.mark_bar(opacity=0.6).encode(y=weight, color=series).transform_filter("datum.series == 'found'")
    exact = base.mark_tick(thickness=2).encode(y=weight, color=series).transform_filter("datum.series == 'exact'")
    error = base.mark_rule(color=palette.INK[mode]).encode(y="low:Q", y2="high:Q").transform_filter("datum.series == 'found'")
    return finish(found + error + exact, 150)


def weights_table(exact: np.ndarray, found: np.ndarray, error: np.ndarray) -> pd.DataFrame:
    """Rows of weights_spec; arrays (K,)."""
    component = np.arange(1, len(exact) + 1)
    bars = {"low": found - 2 * error, "high": found + 2 * error}
    parts = [
        pd.DataFrame({"component": component, "weight": found, "series": "found", **bars}),
        pd.DataFrame({"component": component, "weight": exact, "series": "exact", "low": exact, "high": exact}),
    ]
    return pd.concat(parts, ignore_index=True)
