"""Arrays to charts: the score in one dimension, stacked over one x axis, so that left edges must agree."""

from functools import cache
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.charts.common import Spec, finish, histogram, rows

if TYPE_CHECKING:
    from scoredm.decomposition import Decomposition

EDGE = 48  # pixels kept for the labels of the y axis
LOG_DEPTH = 12.0  # nats below the highest point at which curves of log densities leave the frame


@cache
def curves_spec(mode: str, y_title: str, components: tuple[int, ...], height: int, nice: bool = True) -> Spec:
    """Curves over x, the mixture in ink and components in their colours; samples as a histogram, the probe as a rule.

    Args:
        mode: "light" or "dark".
        y_title: of the vertical axis.
        components: indices of the components that are drawn.
        height: in pixels.
        nice: whether the frame ends at round numbers; otherwise it ends where the curves do.
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
    return finish(layers, height)


@cache
def shares_spec(mode: str, components: tuple[int, ...], height: int) -> Spec:
    """Responsibilities over x as areas that add up to 1, the rest in grey; the probe as a rule.

    Args:
        mode: "light" or "dark".
        components: indices of the components that are drawn.
        height: in pixels.
    """
    base, colour = _curve_parts(mode, components, lowest=True)
    y = alt.Y("y:Q", title="rₖ", stack="zero", scale=alt.Scale(domain=[0, 1]), axis=_edge())
    areas = base.mark_area(opacity=0.85).encode(y=y, color=colour).transform_filter("datum.series != 'probe'")
    return finish(areas + _probe_rule(mode, base), height)


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


def score_tables(along: "Decomposition", probe: float, view: str, samples: np.ndarray | None = None) -> dict[str, pa.Table]:
    """The tables of the four charts: "density", "log" and "score" for `curves_spec`, "shares" for `shares_spec`.

    Args:
        along: the mixture and its components at rising points.
        probe: where the probe stands.
        view: "mixture" alone, or with the components: their w_k N_k, the logarithms of these, and as far as the mixture's score
            reaches their scores s_k ("component", "components") or contributions r_k s_k ("weighted").
        samples: (N,), drawn as a histogram.
    """
    x, log_p = along.x[:, 0], along.log_density
    shown = 0 if view == "mixture" else len(along.components)
    names = [_component_name(int(k)) for k in along.components]
    r, few = along.responsibilities[:, :shown], ["mixture", *names[:shown]]
    scores = (along.contributions if view == "weighted" else along.component_scores)[:, :shown, 0]
    edge = 1.2 * np.abs(along.score).max()
    with np.errstate(divide="ignore"):
        logs = np.column_stack([log_p, log_p[:, None] + np.log(r)])
    density = np.exp(logs)
    score = np.column_stack([along.score, np.where(np.abs(scores) <= edge, scores, np.nan)])
    shares = np.column_stack([along.responsibilities, along.other_responsibility])
    tables = {"density": (density, few), "log": (logs, few), "score": (score, few), "shares": (shares, [*names, "rest"])}
    floor = {"log": float(log_p.max()) - LOG_DEPTH}
    drawn = {name: _curve_rows(x, *table, probe, floor.get(name, -np.inf)) for name, table in tables.items()}
    if samples is not None:
        drawn["density"].append(_histogram_rows(samples, x))
    return {name: rows(*parts) for name, parts in drawn.items()}


def _curve_rows(x: np.ndarray, values: np.ndarray, names: list[str], probe: float, floor: float) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {**_down_to(floor, x, y), "right": None, "series": name, "component": None if name == "mixture" else name}
        for name, y in zip(names, values.T, strict=True)
    ]
    if x[0] <= probe <= x[-1]:
        parts.append({"x": probe, "y": None, "right": None, "series": "probe", "component": None})
    return parts


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


def _histogram_rows(values: np.ndarray, x: np.ndarray, bins: int = 60) -> dict[str, Any]:
    return {**histogram(values, np.linspace(x[0], x[-1], bins + 1)), "series": "samples", "component": None}
