"""Arrays to charts: a training run over steps and over time, and the learned score beside the exact one."""

from functools import cache
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from scoredm.charts import palette
from scoredm.charts.common import DASHED, SOLID, TIME, Spec, colours, finish, log_axis

if TYPE_CHECKING:
    from scoredm.learning import ErrorsOverTime, TrainingCurves

# Series of the live chart: colour and dash. What is learned keeps its colour, solid on training points, dashed on fresh ones.
LOSS, FLOOR, TRAIN, FRESH = "loss (DSM)", "its floor", "error, training points", "error, fresh points"
NOTEBOOK, PERFECT = "the tutorial’s metric", "a perfect model on it"


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


def training_table(curves: "TrainingCurves | None", steps: int, floor: float, perfect: float | None = None) -> pd.DataFrame:
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


PRESENT = "t of the map"
HEIGHT = 190


@cache
def over_time_spec(mode: str, log: bool) -> Spec:
    """Loss, floor and error at each time in the colours of the chart over steps, which has the legend; a rule at one time."""
    looks = {
        LOSS: (palette.SAMPLES[mode], SOLID),
        FLOOR: (palette.INK[mode], DASHED),
        FRESH: (palette.LEARNED, SOLID),
    }
    ranges = zip(*looks.values(), strict=True)
    shades, dashes = (alt.Scale(domain=list(looks), range=list(values)) for values in ranges)
    base = alt.Chart().encode(x=TIME)
    lines = base.mark_line(strokeWidth=2).encode(
        y=log_axis("value:Q", "") if log else alt.Y("value:Q", title="", axis=alt.Axis(tickCount=4)),
        color=alt.Color("series:N", scale=shades, legend=None),
        strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=None),
    )
    rule = base.mark_rule(strokeWidth=1.5, color=palette.MUTED[mode])
    layers = lines.transform_filter(alt.datum.series != PRESENT) + rule.transform_filter(alt.datum.series == PRESENT)
    return finish(layers, HEIGHT) | {"title": "loss, its floor and the error at each t"}


def over_time_table(times: np.ndarray, floor: np.ndarray, found: "ErrorsOverTime | None", t: float) -> pd.DataFrame:
    """Rows of over_time_spec, with the rule at t; times, floor: (T,), found: None before there is a model."""
    parts = [(FLOOR, times, floor), (PRESENT, [t], [float("nan")])]
    if found is not None:
        parts += [(LOSS, times, found.loss), (FRESH, times, found.error)]
    return pd.concat([pd.DataFrame({"series": name, "t": x, "value": y}) for name, x, y in parts], ignore_index=True)
