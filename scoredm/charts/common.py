"""Arrays to charts: Altair specs built once, and the tidy tables they draw.

Each chart is a pair: a cached spec without data, and a function from arrays to the table it reads. Only the table travels
when a control moves, so the chart changes in place.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas  # noqa: F401 - pyarrow loads it for the first rows, and altair, drawing in another thread, would meet half of it
import pyarrow as pa

from scoredm.charts import palette
from scoredm.language import _

Spec = dict[str, Any]

# Whether specs are compared with Vega-Lite's schema, which takes longer than to make them; tests do it.
CHECKED: bool = False

SOLID, DASHED = [1, 0], [6, 4]  # strokes
PADDING = {"left": 2, "right": 8, "top": 4, "bottom": 2}


def time_axis() -> alt.X:
    """The horizontal axis of the time, from 0 to 1."""
    return alt.X("t:Q", title=_("time t"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5))


def log_axis(field: str, title: str) -> alt.Y:
    """A vertical log axis with a few labelled lines.

    Args:
        field: the column, with its type as Altair writes it.
        title: of the axis.
    """
    return alt.Y(field, title=title, scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=4, format="~g"))


def colours(meanings: dict[str, str], title: str | None = None) -> alt.Color:
    """A colour channel for the column `series`, {name: colour}, with its legend above the chart.

    Args:
        meanings: what each colour stands for, {name: colour in CSS}.
        title: of the legend; None for none.
    """
    scale = alt.Scale(domain=list(meanings), range=list(meanings.values()))
    return alt.Color("series:N", scale=scale, title=title, legend=alt.Legend(orient="top", labelLimit=260))


def rows(*parts: Mapping[str, Any]) -> pa.Table:
    """Rows of a chart, part below part, as they travel to a browser; by way of pandas they would take ten times as long.

    Args:
        parts: {column: values}; a single value stands in every row of its part. A column that a part has not, a value of None,
            and what is not a number are empty cells.
    """
    lengths = [max((len(values) for values in part.values() if np.ndim(values)), default=1) for part in parts]
    names = dict.fromkeys(name for part in parts for name in part)
    return pa.table({name: _column([part.get(name) for part in parts], lengths) for name in names})


def _column(values: Sequence[Any], lengths: Sequence[int]) -> pa.Array:
    """One column, part below part."""
    if any(value is not None and np.asarray(value).dtype.kind in "UO" for value in values):
        return pa.concat_arrays([_words(value, n) for value, n in zip(values, lengths, strict=True)])
    each = [np.broadcast_to(np.nan if v is None else v, n) for v, n in zip(values, lengths, strict=True)]
    return pa.array(np.concatenate(each), from_pandas=True)


def _words(values: Any, length: int) -> pa.Array:
    if values is None:
        return pa.nulls(length, pa.string())
    return pa.repeat(values, length) if isinstance(values, str) else pa.array(values, pa.string())


@cache
def look(mode: str) -> Spec:
    """The Vega-Lite config of every chart: small margins, quiet grid, the colours of the theme.

    Args:
        mode: "light" or "dark".
    """
    ink, muted = palette.INK[mode], palette.MUTED[mode]
    grid = f"{muted}40"
    return {
        "background": "transparent",
        "font": "Source Sans, sans-serif",
        "autosize": {"type": "fit", "contains": "padding"},
        "view": {"stroke": grid},
        "mark": {"aria": False},  # a screen reader would read every single point; the axes and the legend keep their descriptions
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
    """The spec of a chart that fills its column; without a padding of its own Streamlit adds one below.

    Args:
        chart: any Altair chart.
        height: in pixels.
    """
    spec = chart.properties(width="container", height=height, padding=PADDING).to_dict(validate=CHECKED)
    del spec["datasets"]  # an empty one, which Streamlit would take through pandas each time: the data come with the chart
    for part in (spec, *spec.get("layer", ())):
        part.pop("data", None)
    return spec


def histogram(values: np.ndarray, edges: np.ndarray) -> dict[str, np.ndarray]:
    """Bars of a sample between given edges; the height is the density over the whole sample.

    Values outside the edges, and values that are not finite, are in no bar; the bars then sum to less than 1.

    Args:
        values: the sample, (N,).
        edges: rising, (B + 1,).

    Returns:
        The columns x, right and y of a table, (B,) each.
    """
    height = np.histogram(values[np.isfinite(values)], edges)[0] / (len(values) * np.diff(edges))
    return {"x": edges[:-1], "right": edges[1:], "y": height}
