"""Arrays to charts: Altair specs built once, and the tidy tables they draw.

Each chart is a pair: a cached spec without data, and a function from arrays to the table it reads. Only the table travels
when a control moves, so the chart changes in place.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from scoredm import palette

if TYPE_CHECKING:
    from scoredm.learning import Curves

if TYPE_CHECKING:
    from scoredm.parts import Parts

Spec = dict[str, Any]

PADDING = {"left": 2, "right": 8, "top": 4, "bottom": 2}
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
    """The spec of a chart that fills its column; without a padding of its own Streamlit adds one below."""
    return chart.properties(width="container", height=height, padding=PADDING).to_dict()


@cache
def variance_spec(mode: str) -> Spec:
    """Variance over time on a log axis: exact as lines, found as points."""
    series = colours({"exact": palette.INK[mode], "particles": palette.SAMPLES[mode]})
    base = alt.Chart().encode(x=TIME, y=log_axis("variance:Q", "variance"))
    exact = base.mark_line(strokeWidth=2).encode(color=series, detail="coordinate:N").transform_filter("datum.series == 'exact'")
    found = base.mark_point(filled=True, size=28).encode(color=series).transform_filter("datum.series == 'particles'")
    return finish(exact + found, 150)


def variance_table(times: np.ndarray, exact: np.ndarray, found: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Rows of variance_spec; exact, found: (T, D), names: D coordinate names."""
    few = np.unique(np.linspace(0, len(times) - 1, 26).round().astype(int))
    parts = [
        pd.DataFrame({"t": times[at], "variance": values[at, d], "series": series, "coordinate": name})
        for d, name in enumerate(names)
        for series, values, at in (("exact", exact, slice(None)), ("particles", found, few))
    ]
    return pd.concat(parts, ignore_index=True)


SCHEDULE = {"αₜ": [1, 0], "σₜ": [6, 3], "g(t)": [2, 2]}  # its series and their dashes
MERGER, SCHEDULE_HEIGHT = "merger", 165


@cache
def schedule_spec(mode: str) -> Spec:
    """alpha_t, sigma_t and g(t) over time on a log axis, with a rule where modes merge."""
    scale = alt.Scale(domain=list(SCHEDULE), range=list(SCHEDULE.values()))
    dash = alt.StrokeDash("series:N", title=None, scale=scale, legend=alt.Legend(orient="top", symbolSize=200, columnPadding=6))
    return _with_mergers(mode, log_axis("value:Q", ""), strokeDash=dash)


@cache
def log_snr_spec(mode: str) -> Spec:
    """The logarithm of the signal-to-noise ratio over time, with a rule where modes merge."""
    return _with_mergers(mode, alt.Y("value:Q", title="", axis=alt.Axis(tickCount=5))) | {"title": "log-SNR = 2 ln(αₜ / σₜ)"}


def _with_mergers(mode: str, y: alt.Y, **channels: Any) -> Spec:
    base = alt.Chart().encode(x=alt.X("t:Q", title="time t", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 0.5, 1])))
    line = base.mark_line(strokeWidth=2, color=palette.INK[mode]).encode(y=y, **channels)
    rule = base.mark_rule(strokeWidth=1.5, strokeDash=[4, 3], color=palette.MUTED[mode])
    return finish(
        line.transform_filter(alt.datum.series != MERGER) + rule.transform_filter(alt.datum.series == MERGER), SCHEDULE_HEIGHT
    )


def schedule_tables(
    times: np.ndarray,
    alpha: np.ndarray,
    sigma: np.ndarray,
    diffusion: np.ndarray,
    log_snr: np.ndarray,
    mergers: Sequence[float],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of schedule_spec and of log_snr_spec; arrays (T,) at times above 0, mergers: the times of the rules."""
    rules = pd.DataFrame({"t": np.array(mergers, dtype=float), "value": np.nan, "series": MERGER})
    named = zip(SCHEDULE, (alpha, sigma, diffusion), strict=True)
    three = [pd.DataFrame({"t": times, "value": values, "series": series}) for series, values in named]
    one = pd.DataFrame({"t": times, "value": log_snr, "series": "log-SNR"})
    return pd.concat([*three, rules], ignore_index=True), pd.concat([one, rules], ignore_index=True)


# Reverse SDE: a sample over exact lines, and component weights

PANEL = 228  # pixels a side: a square window on a square, whatever the width of the page
POINTS = 1000  # drawn of a sample at most


@cache
def cloud_spec(mode: str, exact: bool) -> Spec:
    """Points in the plane over exact contours, equal aspect; exact: the points too are the truth. A dashed frame if given."""
    base = alt.Chart().encode(x=alt.X("x:Q", title="x₁", scale=_window()), y=alt.Y("y:Q", title="x₂", scale=_window()))
    colour = palette.MUTED[mode] if exact else palette.SAMPLES[mode]
    points = base.mark_circle(size=12, opacity=0.7, color=colour, clip=True).transform_filter("datum.kind == 'point'")
    line = base.mark_line(strokeWidth=1.2, color=palette.INK[mode]).encode(detail="line:N", order="order:Q")
    contours = line.transform_filter("datum.kind == 'contour'")
    frame = line.mark_line(strokeWidth=1.2, strokeDash=[4, 3], color=palette.MUTED[mode]).transform_filter(
        "datum.kind == 'frame'"
    )
    corners = base.mark_point(opacity=0).transform_filter("datum.kind == 'corner'")
    return _panel(points + contours + frame + corners)


def cloud_table(
    points: np.ndarray, box: np.ndarray, lines: Sequence[np.ndarray], frame: np.ndarray | None = None
) -> pd.DataFrame:
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


def _panel(chart: Any) -> Spec:
    return chart.properties(width=PANEL, height=PANEL, autosize=alt.AutoSizeParams(type="pad")).to_dict()


@cache
def bars_spec(mode: str, exact: bool) -> Spec:
    """A histogram on the line and the exact density as a curve; exact: the sample too is the truth."""
    x = alt.X("x:Q", title="x", scale=_window())
    base = alt.Chart().encode(x=x, y=alt.Y("y:Q", title="density"))
    colour = palette.MUTED[mode] if exact else palette.SAMPLES[mode]
    bars = (
        base.mark_rect(opacity=0.55, color=colour).encode(x2="right:Q", y2=alt.datum(0)).transform_filter("datum.kind == 'bar'")
    )
    curve = base.mark_line(strokeWidth=1.6, color=palette.INK[mode]).transform_filter("datum.kind == 'curve'")
    return _panel(bars + curve)


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


# The score in one dimension: charts stacked over one x axis, so their left edges must agree.

EDGE = 48  # pixels kept for the labels of the y axis
LOG_DEPTH = 12.0  # nats below the highest point at which curves of log densities leave the frame


@cache
def curves_spec(mode: str, y_title: str, components: tuple[int, ...], height: int, nice: bool = True) -> Spec:
    """Curves over x, the mixture in ink and components in their colours; samples as a histogram, the probe as a rule.

    nice: the frame ends at round numbers, and otherwise where the curves do.
    """
    base, colour = _curve_parts(mode, components, lowest=False)
    y = alt.Y("y:Q", title=y_title, scale=alt.Scale(zero=False, nice=nice), axis=_edge())
    bars = base.mark_rect(opacity=0.5, clip=True, color=palette.SAMPLES[mode]).encode(y=y, x2="right:Q", y2=alt.datum(0))
    thin = base.mark_line(strokeWidth=1.8, clip=True).encode(y=y, color=colour).transform_filter("isValid(datum.component)")
    thick = (
        base.mark_line(strokeWidth=2.4, clip=True, color=palette.INK[mode])
        .encode(y=y)
        .transform_filter("datum.series == 'mixture'")
    )
    layers = bars.transform_filter("datum.series == 'samples'") + thick + thin + _probe_rule(mode, base)
    return _stacked(layers, height)


@cache
def shares_spec(mode: str, components: tuple[int, ...], height: int) -> Spec:
    """Responsibilities over x as areas that add up to 1, the rest in grey; the probe as a rule."""
    base, colour = _curve_parts(mode, components, lowest=True)
    y = alt.Y("y:Q", title="rₖ", stack="zero", scale=alt.Scale(domain=[0, 1]), axis=_edge())
    areas = base.mark_area(opacity=0.85).encode(y=y, color=colour).transform_filter("datum.series != 'probe'")
    return _stacked(areas + _probe_rule(mode, base), height)


def _stacked(chart: Any, height: int) -> Spec:
    """Without the room that Streamlit keeps below a chart whose spec does not say."""
    return finish(chart, height)


def _curve_parts(mode: str, components: tuple[int, ...], lowest: bool) -> tuple[Any, alt.Color]:
    axis = alt.Axis() if lowest else alt.Axis(labels=False, ticks=False)
    x = alt.X("x:Q", title="x" if lowest else None, scale=alt.Scale(zero=False, nice=False), axis=axis)
    names = [*map(_component_name, components), "rest"]
    shades = [*map(palette.component_colour, components), palette.MUTED[mode]]
    return alt.Chart().encode(x=x), alt.Color("component:N", scale=alt.Scale(domain=names, range=shades), legend=None)


def _edge() -> alt.Axis:
    return alt.Axis(minExtent=EDGE, maxExtent=EDGE, tickCount=3, format=".4~r")


def _probe_rule(mode: str, base: Any) -> Any:
    rule = base.mark_rule(strokeDash=[4, 3], strokeWidth=1.5, color=palette.INK[mode])
    return rule.transform_filter("datum.series == 'probe'")


def _component_name(k: int) -> str:
    return f"component {k + 1}"


def score_tables(found: "Parts", probe: float, view: str, samples: np.ndarray | None = None) -> dict[str, pd.DataFrame]:
    """Rows of curves_spec, for "density", "log" and "score", and of shares_spec, for "shares".

    view: "mixture" alone, or with each component's w_k N_k, its logarithm, and its score s_k ("component") or r_k s_k
    ("weighted"), as far as the range of the mixture's score; samples: (N,), for the histogram.
    """
    x, log_p = found.x[:, 0], found.log_density
    shown = 0 if view == "mixture" else len(found.components)
    names = [_component_name(int(k)) for k in found.components]
    r, few = found.responsibilities[:, :shown], ["mixture", *names[:shown]]
    pulls = (found.weighted if view == "weighted" else found.component_scores)[:, :shown, 0]
    edge = 1.2 * np.abs(found.score).max()
    with np.errstate(divide="ignore"):
        logs = np.column_stack([log_p, log_p[:, None] + np.log(r)])
    density = np.exp(logs)
    score = np.column_stack([found.score, np.where(np.abs(pulls) <= edge, pulls, np.nan)])
    shares = np.column_stack([found.responsibilities, found.rest_responsibility])
    tables = {"density": (density, few), "log": (logs, few), "score": (score, few), "shares": (shares, [*names, "rest"])}
    floor = {"log": float(log_p.max()) - LOG_DEPTH}
    drawn = {name: _curve_rows(x, *table, probe, floor.get(name, -np.inf)) for name, table in tables.items()}
    if samples is not None:
        drawn["density"] = pd.concat([drawn["density"], _histogram_rows(samples, x)], ignore_index=True)
    return drawn


def _curve_rows(x: np.ndarray, values: np.ndarray, names: list[str], probe: float, floor: float) -> pd.DataFrame:
    parts = [
        pd.DataFrame(_down_to(floor, x, y) | {"right": np.nan, "series": name, "component": None if name == "mixture" else name})
        for name, y in zip(names, values.T, strict=True)
    ]
    if x[0] <= probe <= x[-1]:
        parts.append(pd.DataFrame({"x": [probe], "y": [np.nan], "right": [np.nan], "series": "probe", "component": None}))
    return pd.concat(parts, ignore_index=True)


def _down_to(floor: float, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The pieces of a curve (N,) above a floor, parted by NaN, with the points where they meet it."""
    if not (y < floor).any():
        return {"x": x, "y": y}
    y = np.maximum(y, -1e300)
    i = np.flatnonzero((y[:-1] < floor) != (y[1:] < floor))
    meeting = x[i] + (floor - y[i]) / (y[i + 1] - y[i]) * (x[i + 1] - x[i])
    places = np.concatenate([x, meeting])
    order = np.argsort(places, kind="stable")
    heights = np.concatenate([np.where(y < floor, np.nan, y), np.full(len(i), floor)])
    return {"x": places[order], "y": heights[order]}


def _histogram_rows(values: np.ndarray, x: np.ndarray, bins: int = 60) -> pd.DataFrame:
    edges = np.linspace(x[0], x[-1], bins + 1)
    height = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
    return pd.DataFrame({"x": edges[:-1], "y": height, "right": edges[1:], "series": "samples", "component": None})


# Training

# Series of the live chart: colour and dash. What is learned keeps its colour, solid on training points, dashed on fresh ones.
LOSS, FLOOR, TRAIN, FRESH = "loss (DSM)", "its floor", "error, training points", "error, fresh points"
NOTEBOOK, PERFECT = "the tutorial’s metric", "a perfect model on it"
SOLID, DASHED = [1, 0], [6, 4]


@cache
def training_spec(mode: str, log: bool, notebook: bool) -> Spec:
    """Loss, floor and errors over steps; notebook: the tutorial's metric too."""
    looks = {
        LOSS: (palette.SAMPLES[mode], SOLID),
        FLOOR: (palette.INK[mode], DASHED),
        TRAIN: (palette.LEARNED, SOLID),
        FRESH: (palette.LEARNED, DASHED),
    }
    if notebook:
        looks |= {NOTEBOOK: (palette.MUTED[mode], SOLID), PERFECT: (palette.MUTED[mode], DASHED)}
    legend = alt.Legend(orient="top", columns=2, labelLimit=200, symbolSize=300)
    ranges = zip(*looks.values(), strict=True)
    shades, dashes = (alt.Scale(domain=list(looks), range=list(values)) for values in ranges)
    line = (
        alt.Chart()
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="step", scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=5)),
            y=log_axis("value:Q", "loss or error") if log else alt.Y("value:Q", title="loss or error"),
            color=alt.Color("series:N", scale=shades, title=None, legend=legend),
            strokeDash=alt.StrokeDash("series:N", scale=dashes, title=None, legend=legend),
        )
    )
    return finish(line, 350)


def training_table(curves: "Curves | None", steps: int, floor: float, perfect: float | None = None) -> pd.DataFrame:
    """Rows of training_spec; steps: of the whole run, perfect: what a perfect model scores on the tutorial's metric, if shown."""
    parts = [(FLOOR, [0, steps], [floor, floor])]
    if perfect is not None:
        parts.append((PERFECT, [0, steps], [perfect, perfect]))
    if curves is not None:
        parts += [
            (LOSS, curves.steps, curves.dsm),
            (TRAIN, curves.evaluated, curves.train_error),
            (FRESH, curves.evaluated, curves.test_error),
        ]
        if perfect is not None:
            parts.append((NOTEBOOK, curves.evaluated, curves.notebook_error))
    return pd.concat([pd.DataFrame({"series": name, "step": x, "value": y}) for name, x, y in parts], ignore_index=True)


@cache
def learned_curves_spec(mode: str) -> Spec:
    """Learned and exact score on the line, over the density, which has a scale of its own."""
    base = alt.Chart().encode(x=alt.X("x:Q", title="x", scale=alt.Scale(zero=False, nice=False)))
    hidden = alt.Y("value:Q", axis=None, scale=alt.Scale(domain=[0, 2.5]))
    area = base.mark_area(opacity=0.25, color=palette.MUTED[mode]).encode(y=hidden).transform_filter("datum.series == 'density'")
    shades = colours({"exact": palette.INK[mode], "learned": palette.LEARNED})
    lines = base.mark_line(strokeWidth=2).encode(y=alt.Y("value:Q", title="σₜ × score"), color=shades)
    return finish((area + lines.transform_filter("datum.series != 'density'")).resolve_scale(y="independent"), 300)


def learned_curves_table(x: np.ndarray, exact: np.ndarray, learned: np.ndarray, density: np.ndarray) -> pd.DataFrame:
    """Rows of learned_curves_spec; arrays (N,), the density relative to its highest point."""
    parts = (("density", density / density.max()), ("exact", exact), ("learned", learned))
    return pd.concat([pd.DataFrame({"series": name, "x": x, "value": y}) for name, y in parts], ignore_index=True)


@cache
def sample_spec(mode: str, dim: int, colour: str) -> Spec:
    """cloud_spec in the plane or bars_spec on the line, with the sample in a colour."""
    return _recoloured((cloud_spec if dim == 2 else bars_spec)(mode, False), palette.SAMPLES[mode], colour)


def _recoloured(spec: Any, before: str, colour: str) -> Any:
    if isinstance(spec, dict):
        return {name: _recoloured(value, before, colour) for name, value in spec.items()}
    if isinstance(spec, list):
        return [_recoloured(value, before, colour) for value in spec]
    return colour if spec == before else spec
