"""Arrays to charts: Altair specs built once, and the tidy tables they draw.

Each chart is a pair: a cached spec without data, and a function from arrays to the table it reads. Only the table travels
when a control moves, so the chart changes in place.
"""

from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scoredm import palette

Spec = dict[str, Any]

TIME = alt.X("t:Q", title="time t", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5))


def log_axis(field: str, title: str) -> alt.Y:
    """A vertical log axis with a few labelled lines."""
    return alt.Y(field, title=title, scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=4, format="~g"))


def colours(meanings: dict[str, str], title: str | None = None) -> alt.Color:
    """A colour channel for the column `series`, {name: colour}, with its legend above the chart."""
    scale = alt.Scale(domain=list(meanings), range=list(meanings.values()))
    return alt.Color("series:N", scale=scale, title=title, legend=alt.Legend(orient="top", labelLimit=260))


@cache
def look(mode: str) -> Spec:
    """The Vega-Lite config of every chart: small margins, quiet grid, the colours of the theme."""
    ink, muted = palette.INK[mode], palette.MUTED[mode]
    grid = f"{muted}40"
    return {
        "background": "transparent",
        "font": "Source Sans, sans-serif",
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 2, "right": 8, "top": 2, "bottom": 2},
        "view": {"stroke": grid},
        "axis": {
            "labelColor": muted,
            "titleColor": ink,
            "labelFontSize": 12,
            "titleFontSize": 13,
            "titleFontWeight": "normal",
            "titlePadding": 6,
            "gridColor": grid,
            "domainColor": muted,
            "tickColor": muted,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "offset": 4,
            "symbolStrokeWidth": 2,
        },
        "title": {"color": ink, "fontSize": 13, "fontWeight": "normal", "anchor": "start"},
        "header": {"labelColor": ink, "titleColor": ink, "labelFontSize": 13},
    }


def finish(chart: Any, height: int) -> Spec:
    """The spec of a chart that fills its column."""
    return chart.properties(width="container", height=height).to_dict()


@cache
def variance_spec(mode: str) -> Spec:
    """Variance over time on a log axis: exact as lines, found as points."""
    series = colours({"exact": palette.INK[mode], "particles": palette.SAMPLES})
    base = alt.Chart().encode(x=TIME, y=log_axis("variance:Q", "variance"))
    exact = base.mark_line(strokeWidth=2).encode(color=series, detail="coordinate:N").transform_filter("datum.series == 'exact'")
    found = base.mark_point(filled=True, size=28).encode(color=series).transform_filter("datum.series == 'particles'")
    return finish(exact + found, 200)


def variance_table(times: np.ndarray, exact: np.ndarray, found: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Rows of variance_spec; exact, found: (T, D), names: D coordinate names."""
    few = np.unique(np.linspace(0, len(times) - 1, 26).round().astype(int))
    parts = [
        pd.DataFrame({"t": times[at], "variance": values[at, d], "series": series, "coordinate": name})
        for d, name in enumerate(names)
        for series, values, at in (("exact", exact, slice(None)), ("particles", found, few))
    ]
    return pd.concat(parts, ignore_index=True)


@cache
def noise_spec(mode: str) -> Spec:
    """sigma_t and g(t) over time, on a log axis."""
    line = (
        alt.Chart()
        .mark_line(strokeWidth=2)
        .encode(
            x=TIME,
            y=log_axis("value:Q", "σₜ and g(t)"),
            strokeDash=alt.StrokeDash(
                "series:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=["σₜ", "g(t)"], range=[[1, 0], [4, 4]]),
            ),
            color=alt.value(palette.INK[mode]),
        )
    )
    return finish(line, 170)


def noise_table(times: np.ndarray, sigma: np.ndarray, diffusion: np.ndarray) -> pd.DataFrame:
    """Rows of noise_spec; arrays (T,). sigma is 0 at t = 0, which a log axis cannot show, so that row is left out."""
    parts = [
        pd.DataFrame({"t": times[1:], "value": values[1:], "series": series})
        for series, values in (("σₜ", sigma), ("g(t)", diffusion))
    ]
    return pd.concat(parts, ignore_index=True)


# Reverse SDE: a sample over exact lines, and component weights

PANEL = 236  # pixels a side: a square window on a square, whatever the width of the page
POINTS = 1000  # drawn of a sample at most


@cache
def cloud_spec(mode: str, title: str, exact: bool) -> Spec:
    """Points in the plane over exact contours, equal aspect; exact: the points too are the truth. A dashed frame if given."""
    base = alt.Chart().encode(x=alt.X("x:Q", title="x₁", scale=_window()), y=alt.Y("y:Q", title="x₂", scale=_window()))
    colour = palette.MUTED[mode] if exact else palette.SAMPLES
    points = base.mark_circle(size=11, opacity=0.55, color=colour, clip=True).transform_filter("datum.kind == 'point'")
    line = base.mark_line(strokeWidth=1.2, color=palette.INK[mode]).encode(detail="line:N", order="order:Q")
    contours = line.transform_filter("datum.kind == 'contour'")
    frame = line.mark_line(strokeWidth=1.2, strokeDash=[4, 3], color=palette.MUTED[mode]).transform_filter("datum.kind == 'frame'")
    corners = base.mark_point(opacity=0).transform_filter("datum.kind == 'corner'")
    return _panel(points + contours + frame + corners, title)


def cloud_table(points: np.ndarray, box: np.ndarray, lines: list[np.ndarray], frame: np.ndarray | None = None) -> pd.DataFrame:
    """Rows of cloud_spec, what lies outside the window left out; points: (N, 2), box, frame: (4,), lines: each (M, 2)."""
    few = points[:POINTS]
    inside = (few >= box[[0, 2]]).all(1) & (few <= box[[1, 3]]).all(1)
    parts = [_polyline("point", few[inside], 0), _polyline("corner", box.reshape(2, 2).T, 0)]
    parts += [_polyline("contour", line, i) for i, line in enumerate(lines)]
    if frame is not None:
        parts.append(_polyline("frame", frame[[[0, 2], [1, 2], [1, 3], [0, 3], [0, 2]]], 0))
    return pd.concat(parts, ignore_index=True)


def _polyline(kind: str, points: np.ndarray, line: int) -> pd.DataFrame:
    xy = points.astype(np.float32)
    return pd.DataFrame({"kind": kind, "x": xy[:, 0], "y": xy[:, 1], "line": line, "order": np.arange(len(xy))})


def _window() -> alt.Scale:
    return alt.Scale(zero=False, nice=False, padding=0)


def _panel(chart: Any, title: str) -> Spec:
    spec = chart.properties(width=PANEL, height=PANEL, title=title).to_dict()
    return spec | {"autosize": {"type": "pad"}}


@cache
def bars_spec(mode: str, title: str, exact: bool) -> Spec:
    """A histogram on the line and the exact density as a curve; exact: the sample too is the truth."""
    x = alt.X("x:Q", title="x", scale=_window())
    base = alt.Chart().encode(x=x, y=alt.Y("y:Q", title="density"))
    colour = palette.MUTED[mode] if exact else palette.SAMPLES
    bars = base.mark_rect(opacity=0.55, color=colour).encode(x2="right:Q", y2=alt.datum(0)).transform_filter("datum.kind == 'bar'")
    curve = base.mark_line(strokeWidth=1.6, color=palette.INK[mode]).transform_filter("datum.kind == 'curve'")
    return _panel(bars + curve, title)


def bars_table(values: np.ndarray, box: np.ndarray, curve: np.ndarray, bins: int = 48) -> pd.DataFrame:
    """Rows of bars_spec, densities over the whole sample; values: (N,), box: (2,), curve: (M, 2)."""
    edges = np.linspace(box[0], box[1], bins + 1)
    height = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
    bars = pd.DataFrame({"kind": "bar", "x": edges[:-1], "right": edges[1:], "y": height})
    exact = pd.DataFrame({"kind": "curve", "x": curve[:, 0], "right": curve[:, 0], "y": curve[:, 1]})
    return pd.concat([bars, exact], ignore_index=True)


@cache
def weights_spec(mode: str) -> Spec:
    """Component weights: found as bars with two standard errors, exact as ticks."""
    series = colours({"exact": palette.INK[mode], "found": palette.SAMPLES})
    base = alt.Chart().encode(x=alt.X("component:O", title="component", axis=alt.Axis(labelAngle=0, labelOverlap="greedy")))
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
