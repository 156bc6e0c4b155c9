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
