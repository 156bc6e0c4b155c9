"""Charts of the training page: a run over steps and over time, and both scores on the line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.charts.common import DASHED, SOLID, Spec, colours, finish, log_axis, rows, time_axis
from scoredm.language import N_, _, cache

if TYPE_CHECKING:
    from scoredm.learning import ErrorsOverTime, TrainingCurves

# Series of the charts. What is learned keeps its colour, solid on training points, dashed on fresh ones.
LOSS, FLOOR, TRAIN, FRESH = N_("loss (DSM)"), N_("floor of the loss"), N_("error, training points"), N_("error, fresh points")
NOTEBOOK, PERFECT = N_("the tutorial’s metric"), N_("the exact score on it")
PRESENT = "t of the scores"
LEARNED, EXACT, DENSITY = N_("learned"), N_("exact"), "density"
HEIGHT = 190  # pixels


def _styles(looks: Mapping[str, tuple[str, list[int]]], legend: alt.Legend | None) -> dict[str, Any]:
    """The channels of lines that differ in colour and dash, {series: (colour, dash)}."""
    names, (shades, dashes) = [_(name) for name in looks], zip(*looks.values(), strict=True)
    return {
        "color": alt.Color("series:N", scale=alt.Scale(domain=names, range=list(shades)), title=None, legend=legend),
        "strokeDash": alt.StrokeDash("series:N", scale=alt.Scale(domain=names, range=list(dashes)), title=None, legend=legend),
    }


@cache
def training_spec(mode: str, log: bool, notebook: bool) -> Spec:
    """Loss, floor and errors over steps; notebook: the tutorial's metric too.

    Args:
        mode: "light" or "dark".
        log: whether the vertical axis is logarithmic.
        notebook: whether the tutorial's metric is drawn too.
    """
    looks = {
        LOSS: (palette.SAMPLES[mode], SOLID),
        FLOOR: (palette.INK[mode], DASHED),
        TRAIN: (palette.LEARNED, SOLID),
        FRESH: (palette.LEARNED, DASHED),
    }
    if notebook:
        looks |= {NOTEBOOK: (palette.MUTED[mode], SOLID), PERFECT: (palette.MUTED[mode], DASHED)}
    title = _("loss or error")
    line = (
        alt.Chart()
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title=_("step"), scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=5)),
            y=log_axis("value:Q", title) if log else alt.Y("value:Q", title=title),
            **_styles(looks, alt.Legend(orient="top", columns=2, labelLimit=200, symbolSize=300)),
        )
    )
    return finish(line, 350)


def training_table(curves: "TrainingCurves | None", steps: int, floor: float, perfect: float | None = None) -> pa.Table:
    """Rows of training_spec.

    Args:
        curves: None before the first step.
        steps: of the whole run.
        floor: the lowest possible loss.
        perfect: the exact score on the tutorial's metric, if that is shown.
    """
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
    return rows(*({"series": _(name), "step": x, "value": y} for name, x, y in parts))


@cache
def over_time_spec(mode: str, log: bool) -> Spec:
    """Loss, floor and error at each time in the colours of the chart over steps, which has the legend; a rule at one time.

    Args:
        mode: "light" or "dark".
        log: whether the vertical axis is logarithmic.
    """
    looks = {LOSS: (palette.SAMPLES[mode], SOLID), FLOOR: (palette.INK[mode], DASHED), FRESH: (palette.LEARNED, SOLID)}
    base = alt.Chart().encode(x=time_axis())
    lines = base.mark_line(strokeWidth=2).encode(
        y=log_axis("value:Q", "") if log else alt.Y("value:Q", title="", axis=alt.Axis(tickCount=4)), **_styles(looks, None)
    )
    rule = base.mark_rule(strokeWidth=1.5, color=palette.MUTED[mode])
    layers = lines.transform_filter(alt.datum.series != PRESENT) + rule.transform_filter(alt.datum.series == PRESENT)
    return finish(layers, HEIGHT) | {"title": _("Loss, floor and error at each t")}


def over_time_table(times: np.ndarray, floor: np.ndarray, found: "ErrorsOverTime | None", t: float) -> pa.Table:
    """Rows of over_time_spec, with the rule at t.

    Args:
        times: (T,).
        floor: the lowest possible loss at each time, (T,).
        found: None before there is a model.
        t: where the rule stands.
    """
    parts = [(_(FLOOR), times, floor), (PRESENT, t, None)]
    if found is not None:
        parts += [(_(LOSS), times, found.loss), (_(FRESH), times, found.error)]
    return rows(*({"series": name, "t": x, "value": y} for name, x, y in parts))


@cache
def score_curves_spec(mode: str) -> Spec:
    """Learned and exact score on the line, over the density, which has a scale of its own.

    Args:
        mode: "light" or "dark".
    """
    base = alt.Chart().encode(x=alt.X("x:Q", title="x", scale=alt.Scale(zero=False, nice=False)))
    hidden = alt.Y("value:Q", axis=None, scale=alt.Scale(domain=[0, 2.5]))
    area = base.mark_area(opacity=0.25, color=palette.MUTED[mode]).encode(y=hidden)
    lines = base.mark_line(strokeWidth=2).encode(
        y=alt.Y("value:Q", title=_("σₜ × score")), color=colours({_(EXACT): palette.INK[mode], _(LEARNED): palette.LEARNED})
    )
    layers = area.transform_filter(alt.datum.series == DENSITY) + lines.transform_filter(alt.datum.series != DENSITY)
    return finish(layers.resolve_scale(y="independent"), 300)


def score_curves_table(x: np.ndarray, exact: np.ndarray, learned: np.ndarray | None, density: np.ndarray) -> pa.Table:
    """Rows of score_curves_spec.

    Args:
        x: rising, (N,).
        exact: score, (N,).
        learned: score, (N,); None before training.
        density: relative to its highest point, (N,).
    """
    parts = [(DENSITY, density), (_(EXACT), exact)] + ([] if learned is None else [(_(LEARNED), learned)])
    return rows(*({"series": name, "x": x, "value": y} for name, y in parts))
