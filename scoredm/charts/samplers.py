"""The charts of the samplers page: specs built once, and the tables they draw."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.charts.common import Spec, finish, rows
from scoredm.grids import GRIDS
from scoredm.language import N_, _, cache
from scoredm.samplers import SAMPLERS

if TYPE_CHECKING:
    from scoredm.budget import Budget
    from scoredm.metrics import NoiseFloor
    from scoredm.studies import Curve

# Race: a sampler has a colour and a point shape, a grid has a dash: its own, or the next of these by its place in the registry.
# There are more shapes than colours, so that samplers after the last colour differ in shape, and after the last of either in one.
HUES = tuple(palette.COMPONENTS[i] for i in (6, 7, 1, 0, 4, 2, 3, 5))
BOW_TIE = "M-0.8,-0.8L0.8,-0.8L-0.8,0.8L0.8,0.8Z"
FALLEN_BOW_TIE = "M-0.8,-0.8L-0.8,0.8L0.8,-0.8L0.8,0.8Z"
SALTIRE = "M-0.9,-0.5L-0.5,-0.9L0,-0.4L0.5,-0.9L0.9,-0.5L0.4,0L0.9,0.5L0.5,0.9L0,0.4L-0.5,0.9L-0.9,0.5L-0.4,0Z"
STAR = "M0,-1.1L0.3,-0.35L1.05,-0.34L0.45,0.15L0.65,0.9L0,0.45L-0.65,0.9L-0.45,0.15L-1.05,-0.34L-0.3,-0.35Z"
HALF_DISC = "M-0.9,0.45A0.9,0.9 0 0 1 0.9,0.45Z"
BAR = "M-1,-0.35L1,-0.35L1,0.35L-1,0.35Z"
SHAPES = (
    "circle",
    "square",
    "cross",
    BOW_TIE,
    "diamond",
    "triangle-left",
    "triangle-up",
    "triangle-down",
    "triangle-right",
    STAR,
    SALTIRE,
    FALLEN_BOW_TIE,
    HALF_DISC,
    BAR,
    "wedge",
)
DASHES = ((1, 0), (7, 4), (2, 3), (8, 3, 2, 3), (12, 3), (4, 2))
EMPTY = (1e-3, 1.0)  # the axis of a race without a noise floor before its first run
BAND = N_("noise floor: perfect samples lie here")


def _place(key: str, registry: "Mapping[str, object]") -> int:
    """Where a key stands in its registry; what is not in it stands behind."""
    return [*registry, key].index(key)


def colour(sampler: str, mode: str) -> str:
    """The colour of a sampler, by its key in SAMPLERS.

    Args:
        sampler: its key.
        mode: "light" or "dark".
    """
    place = _place(sampler, SAMPLERS)
    own = SAMPLERS[sampler].colour if sampler in SAMPLERS else None
    return own or (HUES[(place - 1) % len(HUES)] if place else palette.SAMPLES[mode])


def shape(sampler: str) -> str:
    """The shape of a sampler's points, a name or path of Vega-Lite, by its key in SAMPLERS.

    Args:
        sampler: its key.
    """
    own = SAMPLERS[sampler].shape if sampler in SAMPLERS else None
    return own or SHAPES[_place(sampler, SAMPLERS) % len(SHAPES)]


def dash(grid: str) -> list[int]:
    """The dashes of a grid's lines, by its key in GRIDS.

    Args:
        grid: its key.
    """
    own = GRIDS[grid].dash if grid in GRIDS else None
    return list(own or DASHES[_place(grid, GRIDS) % len(DASHES)])


@cache
def race_spec(mode: str, samplers: tuple[tuple[str, str], ...], grids: tuple[tuple[str, str], ...], quality: str) -> Spec:
    """Quality against evaluations, a line for each sampler and grid, over the band of the noise floor, where there is one.

    Args:
        mode: "light" or "dark".
        samplers: (key, title) pairs.
        grids: (key, title) pairs.
        quality: the title of the vertical axis.
    """
    ink, muted = palette.INK[mode], palette.MUTED[mode]
    titles = [title for _, title in samplers]
    few = alt.Legend(orient="top", columns=2, labelLimit=160, symbolSize=90, symbolStrokeWidth=2)
    shades = alt.Scale(domain=titles, range=[colour(key, mode) for key, _ in samplers])
    shapes = alt.Scale(domain=titles, range=[shape(key) for key, _ in samplers])
    dashes = alt.Scale(domain=[title for _, title in grids], range=[dash(key) for key, _ in grids])
    y_axis = alt.Axis(tickCount=5, format="~g")
    y = alt.Y("value:Q", title=quality, scale=alt.Scale(type="log", nice=False, padding=8), axis=y_axis)
    x = alt.X(
        "nfe:Q",
        title=_("evaluations of the score (NFE)"),
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(tickCount=6, format="~g"),
    )
    base = alt.Chart()
    band = base.mark_rect(opacity=0.25, color=muted).encode(y=alt.Y("low:Q", title=quality), y2="high:Q")
    at = {"x": alt.value(0), "y": alt.Y("low:Q", title=quality), "text": alt.value(_(BAND))}
    place: dict[str, Any] = {"align": "left", "baseline": "bottom", "dx": 6, "dy": -4, "fontSize": 12}
    edge = base.mark_text(**place, color=palette.PAPER[mode], stroke=palette.PAPER[mode], strokeWidth=4).encode(**at)
    words = base.mark_text(**place, color=ink).encode(**at)  # over lines that pass through the band
    series = {
        "x": x,
        "color": alt.Color("sampler:N", title=None, scale=shades, legend=few),
        "detail": "grid:N",
    }
    strokes = alt.StrokeDash(
        "grid:N", title=None, scale=dashes, legend=alt.Legend(orient="bottom", symbolSize=300) if len(grids) > 1 else None
    )
    line = base.mark_line(strokeWidth=2).encode(y=y, strokeDash=strokes, **series)
    bars = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=quality), y2="high:Q", **series)
    marks = alt.Shape("sampler:N", title=None, scale=shapes, legend=few)
    titles_of_tips = {"sampler:N": _("sampler"), "grid:N": _("time grid"), "steps:Q": _("steps"), "nfe:Q": _("NFE")}
    tips = [alt.Tooltip(name, title=title) for name, title in titles_of_tips.items()]
    tips.append(alt.Tooltip("value:Q", title=quality, format=".3~g"))
    points = base.mark_point(filled=True, size=70, opacity=1, stroke=ink, strokeWidth=0.4).encode(
        y=y, shape=marks, tooltip=tips, **series
    )
    floor, runs = "datum.kind == 'floor'", "datum.kind == 'run'"
    layers = band.transform_filter(floor) + line.transform_filter(runs) + bars.transform_filter(runs)
    corners = base.mark_point(opacity=0).encode(x=x, y=y).transform_filter("datum.kind == 'corner'")
    named = edge.transform_filter(floor) + words.transform_filter(floor)
    return finish(layers + points.transform_filter(runs) + named + corners, 330)


def race_table(
    curves: "Sequence[Curve]", floor: "NoiseFloor", samplers: Mapping[str, str], grids: Mapping[str, str], costs: tuple[int, int]
) -> pa.Table:
    """Rows of race_spec.

    Args:
        curves: of the race.
        floor: the noise floor of the metric; one at 0 has no place on a logarithmic axis, and no band.
        samplers: titles by key.
        grids: titles by key.
        costs: the least and the most NFE to make room for.
    """
    found = [value for curve in curves for value in curve.value.tolist()]
    low = min([value for value in (floor.low, *found) if value > 0], default=EMPTY[0])
    high = max(low, *found) if found else 10 * floor.high or EMPTY[1]
    parts: list[dict[str, Any]] = [{"kind": "corner", "nfe": costs, "value": [low, high]}]
    if floor.high > 0:
        parts.append({"kind": "floor", "low": max(floor.low, low), "high": max(floor.high, low)})
    for curve in curves:
        error = np.nan_to_num(curve.error)
        parts.append(
            {
                "kind": "run",
                "sampler": samplers[curve.sampler],
                "grid": grids[curve.grid],
                "steps": curve.steps,
                "nfe": curve.nfe,
                "value": np.maximum(curve.value, low),
                "low": np.maximum(curve.value - error, low),
                "high": np.maximum(curve.value + error, low),
            }
        )
    return rows(*parts)


# Error budget: bars that hang from one another, from the whole down to the noise floor.

TOTAL, REMAINDER, FLOOR, ALONE = N_("This run"), N_("Remainder"), N_("Noise floor"), N_("made exact alone")


@cache
def budget_spec(mode: str, parts: tuple[str, ...], quality: str) -> Spec:
    """A bar for the whole, one for each part, which begins where the one above ends, and one for the noise floor.

    Args:
        mode: "light" or "dark".
        parts: the names of the parts, from the top down.
        quality: the title of the axis.
    """
    ink, muted = palette.INK[mode], palette.MUTED[mode]
    total, remainder, floor, alone_name = (_(name) for name in (TOTAL, REMAINDER, FLOOR, ALONE))
    names = [total, *parts, remainder, floor]
    shades = (
        {total: ink} | dict.fromkeys(parts, palette.SAMPLES[mode]) | {parts[-1]: palette.LEARNED, remainder: muted, floor: muted}
    )
    y = alt.Y("part:N", title=None, sort=names, scale=alt.Scale(domain=names), axis=alt.Axis(labelFontSize=13, labelLimit=180))
    base = alt.Chart().encode(y=y)
    x = alt.X("start:Q", title=quality, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=8))
    bars = base.mark_bar(height=alt.RelativeBandSize(0.62)).encode(
        x=x,
        x2="end:Q",
        color=alt.Color("part:N", scale=alt.Scale(domain=list(shades), range=list(shades.values())), legend=None),
        opacity=alt.condition(f"datum.part == {json.dumps(floor)}", alt.value(0.45), alt.value(0.9)),
        tooltip=[
            alt.Tooltip("part:N", title=_("cause")),
            alt.Tooltip("amount:Q", title=quality, format=".3~g"),
            alt.Tooltip("error:Q", title=_("standard error"), format=".2~g"),
        ],
    )
    errors = base.mark_rule(strokeWidth=2, color=ink).encode(x=alt.X("low:Q", title=quality), x2="high:Q")
    errors = errors.transform_filter("isValid(datum.low)")
    joins = base.mark_tick(thickness=1.5, color=muted, bandSize=30).encode(x=alt.X("end:Q", title=quality))
    alone = (
        base.mark_point(filled=False, shape="diamond", size=110, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X("alone:Q", title=quality),
            color=alt.Color("marker:N", title=None, scale=_only(alone_name, ink), legend=alt.Legend(orient="top")),
        )
        .transform_filter("isValid(datum.alone)")
    )
    layers = alt.layer(bars, joins, errors, alone).resolve_scale(color="independent")
    return finish(layers, 265)


def _only(name: str, shade: str) -> alt.Scale:
    return alt.Scale(domain=[name], range=[shade])


def budget_table(budget: "Budget", names: Mapping[str, str]) -> pa.Table:
    """Rows of budget_spec.

    Args:
        budget: the amounts.
        names: what each part is called.

    Returns:
        A row for each bar; `alone` is where the bar would end if its cause were the only one that is made exact.
    """
    bars, level = [_bar(_(TOTAL), budget.total.value, 0.0, budget.total.value, budget.total.error)], budget.total.value
    for part, amount in budget.parts.items():
        bar = _bar(names[part], amount.value, level, level - amount.value, amount.error)
        bars.append(bar | {"alone": level - budget.alone[part].value, "marker": _(ALONE)})
        level -= amount.value
    rest = budget.remainder
    bars.append(_bar(_(REMAINDER), rest.value, level, level - rest.value, rest.error))
    floor = budget.noise_floor
    bars.append(
        _bar(_(FLOOR), floor.mean.value, 0.0, floor.mean.value, floor.mean.error) | {"low": floor.low, "high": floor.high}
    )
    return rows(*bars)


def _bar(part: str, amount: float, start: float, end: float, error: float) -> dict[str, object]:
    """A bar from start to end, and its standard error about where it ends."""
    return {"part": part, "amount": amount, "start": start, "end": end, "error": error, "low": end - error, "high": end + error}


# Likelihood: the model's log density beside the exact one.

LOW, HIGH = "#0072B2", "#D55E00"  # too little density, too much
CURVES = (N_("exact"), N_("model"))


def rounded_up(value: float) -> float:
    """The least of 1, 2, 5, 10, 20, ... times a power of ten that is not below a value; 1 where there is none.

    Args:
        value: any number.
    """
    if not (np.isfinite(value) and value > 0):
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


@cache
def difference_spec(mode: str, most: float) -> Spec:
    """Model minus exact log density over the plane, in full colour from `most` on either side, under exact contours.

    Args:
        mode: "light" or "dark".
        most: the difference of full colour, in nats.
    """
    window = alt.Scale(zero=False, nice=False, padding=0)
    x, y = alt.X("x:Q", title="x₁", scale=window), alt.Y("y:Q", title="x₂", scale=window)
    base = alt.Chart()
    shades = alt.Scale(domain=[-most, 0, most], range=[LOW, palette.PAPER[mode], HIGH], clamp=True, interpolate="rgb")
    legend = alt.Legend(
        orient="top",
        title=_("log density: model minus exact, in nats"),
        titleLimit=320,
        gradientLength=300,
        gradientThickness=12,
        values=[-most, 0, most],
        labelExpr=_ends(most),
        labelLimit=140,
    )
    cells = base.mark_rect().encode(
        x=x,
        x2="right:Q",
        y=y,
        y2="top:Q",
        color=alt.Color("difference:Q", scale=shades, legend=legend),
        opacity=alt.Opacity("mass:Q", scale=alt.Scale(domain=[0, 0.6], range=[0, 1], clamp=True), legend=None),
        tooltip=[alt.Tooltip("difference:Q", title=_("model minus exact"), format=".3~g")],
    )
    line = base.mark_line(strokeWidth=1.2, color=palette.INK[mode]).encode(x=x, y=y, detail="line:N", order="order:Q")
    return finish(cells.transform_filter("datum.kind == 'cell'") + line.transform_filter("datum.kind == 'contour'"), 460)


def _ends(most: float) -> str:
    """A Vega expression for the labels of the scale of colours: what its two ends mean."""
    low, high = _("−{most:g}: too little"), _("+{most:g}: too much")
    low, high = (json.dumps(words.format(most=most), ensure_ascii=False) for words in (low, high))
    return f"datum.value < 0 ? {low} : datum.value > 0 ? {high} : '0'"


def difference_table(
    x: np.ndarray, difference: np.ndarray, mass: np.ndarray, lines: Sequence[np.ndarray], most: float
) -> pa.Table:
    """Rows of difference_spec.

    Args:
        x: the centres of cells of a square window, row by row, (M, 2).
        difference: model minus exact log density, (M,).
        mass: how much each place counts, from 0 to 1, (M,).
        lines: exact contours, each (L, 2).
        most: the difference of full colour, in nats.
    """
    half = np.abs(np.diff(x[:2, 0])).item() / 2
    clipped = np.nan_to_num(np.clip(difference, -most, most)).astype(np.float32)
    corners = {"x": x[:, 0] - half, "right": x[:, 0] + half, "y": x[:, 1] - half, "top": x[:, 1] + half}
    cells = {"kind": "cell", **corners, "difference": clipped, "mass": mass.astype(np.float32)}
    contours = [
        {"kind": "contour", "x": line[:, 0], "y": line[:, 1], "line": i, "order": np.arange(len(line))}
        for i, line in enumerate(lines)
    ]
    return rows(cells, *contours)


@cache
def log_curves_spec(mode: str) -> Spec:
    """Log densities over the line, exact in ink and the model's dashed.

    Args:
        mode: "light" or "dark".
    """
    names = [_(name) for name in CURVES]
    shades = alt.Scale(domain=names, range=[palette.INK[mode], palette.LEARNED])
    dashes = alt.Scale(domain=names, range=[[1, 0], [6, 4]])
    legend = alt.Legend(orient="top", symbolSize=300)
    line = (
        alt.Chart()
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("x:Q", title="x", scale=alt.Scale(zero=False, nice=False)),
            y=alt.Y("value:Q", title=_("log density, in nats"), scale=alt.Scale(zero=False)),
            color=alt.Color("series:N", title=None, scale=shades, legend=legend),
            strokeDash=alt.StrokeDash("series:N", title=None, scale=dashes, legend=legend),
        )
    )
    return finish(line, 430)


def log_curves_table(x: np.ndarray, exact: np.ndarray, model: np.ndarray, mass: np.ndarray) -> pa.Table:
    """Rows of log_curves_spec where there is mass, from the first such place to the last.

    Args:
        x: rising, (M,).
        exact: log density, (M,).
        model: log density, (M,).
        mass: how much each place counts, from 0 to 1, (M,).
    """
    there = np.flatnonzero(mass > 0)
    x, exact, model, mass = (values[there[0] : there[-1] + 1] for values in (x, exact, model, mass))
    named = zip(CURVES, (exact, model), strict=True)
    return rows(*({"x": x, "value": np.where(mass > 0, y, np.nan), "series": _(name)} for name, y in named))


@cache
def scatter_spec(mode: str) -> Spec:
    """The model's log density against the exact one, with the line on which they agree.

    Args:
        mode: "light" or "dark".
    """
    scale = alt.Scale(zero=False, nice=False, padding=6)
    axis = alt.Axis(tickCount=5)
    x = alt.X("exact:Q", title=_("exact log density"), scale=scale, axis=axis)
    y = alt.Y("model:Q", title=_("of the model"), scale=scale, axis=axis)
    base = alt.Chart().encode(x=x, y=y)
    dots = base.mark_circle(size=14, opacity=0.6, color=palette.SAMPLES[mode]).transform_filter("datum.kind == 'point'")
    line = base.mark_line(strokeWidth=1.2, color=palette.INK[mode]).transform_filter("datum.kind == 'line'")
    return finish(dots + line, 170)


def scatter_table(exact: np.ndarray, model: np.ndarray) -> pa.Table:
    """Rows of scatter_spec.

    Args:
        exact: log density, (N,).
        model: log density at the same points, (N,).
    """
    ends = [float(exact.min()), float(exact.max())]
    return rows({"kind": "point", "exact": exact, "model": model}, {"kind": "line", "exact": ends, "model": ends})
