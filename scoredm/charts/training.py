"""Charts of the training page: a run over steps and over time, both scores on the line, and three samples in one picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from scoredm.charts import palette
from scoredm.charts.common import DASHED, SOLID, Spec, colours, finish, log_axis, time_axis
from scoredm.language import N_, _, cache

if TYPE_CHECKING:
    from scoredm.learning import ErrorsOverTime, TrainingCurves

# Series of the charts. What is learned keeps its colour, solid on training points, dashed on fresh ones.
LOSS, FLOOR, TRAIN, FRESH = N_("loss (DSM)"), N_("floor of the loss"), N_("error, training points"), N_("error, fresh points")
NOTEBOOK, PERFECT = N_("the tutorial’s metric"), N_("the exact score on it")
PRESENT = "t of the scores"
LEARNED, EXACT, DENSITY = N_("learned"), N_("exact"), "density"
SAMPLES = {"learned": N_("by the learned score"), "exact": N_("by the exact score"), "mixture": N_("of the mixture")}
TRUTH = N_("exact density")
HEIGHT, SIDE = 190, 300  # pixels


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


def training_table(curves: "TrainingCurves | None", steps: int, floor: float, perfect: float | None = None) -> pd.DataFrame:
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
    return pd.concat([pd.DataFrame({"series": _(name), "step": x, "value": y}) for name, x, y in parts], ignore_index=True)


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


def over_time_table(times: np.ndarray, floor: np.ndarray, found: "ErrorsOverTime | None", t: float) -> pd.DataFrame:
    """Rows of over_time_spec, with the rule at t.

    Args:
        times: (T,).
        floor: the lowest possible loss at each time, (T,).
        found: None before there is a model.
        t: where the rule stands.
    """
    parts = [(_(FLOOR), times, floor), (PRESENT, [t], [float("nan")])]
    if found is not None:
        parts += [(_(LOSS), times, found.loss), (_(FRESH), times, found.error)]
    return pd.concat([pd.DataFrame({"series": name, "t": x, "value": y}) for name, x, y in parts], ignore_index=True)


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


def score_curves_table(x: np.ndarray, exact: np.ndarray, learned: np.ndarray | None, density: np.ndarray) -> pd.DataFrame:
    """Rows of score_curves_spec.

    Args:
        x: rising, (N,).
        exact: score, (N,).
        learned: score, (N,); None before training.
        density: relative to its highest point, (N,).
    """
    parts = [(DENSITY, density), (_(EXACT), exact)] + ([] if learned is None else [(_(LEARNED), learned)])
    return pd.concat([pd.DataFrame({"series": name, "x": x, "value": y}) for name, y in parts], ignore_index=True)


@cache
def overlay_spec(mode: str, plane: bool) -> Spec:
    """Density estimates of three samples over the exact density: contours in the plane, curves on the line.

    Args:
        mode: "light" or "dark".
        plane: whether it is drawn in the plane, and not on the line.
    """
    looks = {
        TRUTH: (palette.INK[mode], SOLID),
        SAMPLES["mixture"]: (palette.MUTED[mode], DASHED),
        SAMPLES["exact"]: (palette.SAMPLES[mode], SOLID),
        SAMPLES["learned"]: (palette.LEARNED, SOLID),
    }
    scale = alt.Scale(zero=False, nice=False, padding=0)
    y = alt.Y("y:Q", title="x₂", scale=scale) if plane else alt.Y("y:Q", title=_("density"))
    legend = alt.Legend(orient="top", columns=2, symbolSize=200, labelLimit=200)
    line = (
        alt.Chart()
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=alt.X("x:Q", title="x₁" if plane else "x", scale=scale),
            y=y,
            detail="line:N",
            order="order:Q",
            **_styles(looks, legend),
        )
    )
    return line.properties(width=SIDE, height=SIDE, autosize=alt.AutoSizeParams(type="pad")).to_dict()


def overlay_table(exact: Sequence[np.ndarray], estimates: Mapping[str, Sequence[np.ndarray]], box: np.ndarray) -> pd.DataFrame:
    """Rows of overlay_spec; what lies outside the window is moved to its edge, so that every sample is drawn over the same
    window.

    Args:
        exact: polylines of the exact density, each (M, 2).
        estimates: polylines of the samples' densities, by the names in SAMPLES.
        box: the window, (2 D,).
    """
    plane = len(box) == 4
    sets = [(TRUTH, exact)] + [(SAMPLES[name], lines) for name, lines in estimates.items()]
    parts = []
    for series, lines in sets:
        for i, line in enumerate(lines):
            y = np.clip(line[:, 1], *box[2:]) if plane else line[:, 1]
            xy = {"x": np.clip(line[:, 0], *box[:2]), "y": y}
            parts.append(pd.DataFrame({"series": _(series), "line": f"{series} {i}", "order": np.arange(len(line)), **xy}))
    if plane:  # corners in no series keep the window, whatever is drawn
        parts.append(pd.DataFrame({"series": None, "line": "corner", "order": [0, 1], "x": box[:2], "y": box[2:]}))
    return pd.concat(parts, ignore_index=True)
