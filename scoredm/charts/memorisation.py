"""The charts of the memorisation page: specs built once, and the tables they draw."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.charts.common import DASHED, SOLID, Spec, finish, rows
from scoredm.language import N_, _, cache

if TYPE_CHECKING:
    from scoredm.learning import TrainingCurves
    from scoredm.screens.memorisation import Collapse

HEIGHT = 168  # pixels of a chart: they stay in sight below the panels at 1280 x 800
RANKS = 160  # points of a curve of shares
NEAREST = 1e-2  # distances shown, in units of the distance of a copy; what is nearer stands at the edge

SOURCES = {
    "fresh": N_("fresh data"),
    "true": N_("true score"),
    "empirical": N_("empirical score"),
    "network": N_("network"),
}
TRAIN, TEST = N_("training loss"), N_("test loss")
TRAIN_FLOOR, TEST_FLOOR = N_("training, lowest"), N_("test, lowest")
COLLAPSE, NEIGHBOURS = N_("collapse"), N_("σₜ/αₜ = distance to the nearest neighbour")
LEAST_LOSS = 1e-3  # shown
ROOM = 1.4  # factor between the losses and the ends of their axis
POWERS = [10.0**k for k in range(-9, 7)]
LOSSES = [digit * power for power in POWERS for digit in (1, 1.5, 2, 3, 5, 7)]


def shades(mode: str) -> dict[str, str]:
    """The colour of each score's samples, and of fresh data.

    Args:
        mode: "light" or "dark".
    """
    return {
        "fresh": palette.INK[mode],
        "true": palette.SAMPLES[mode],
        "empirical": palette.EMPIRICAL[mode],
        "network": palette.LEARNED,
    }


# Distance to the nearest training point


@cache
def distances_spec(mode: str) -> Spec:
    """The share of each sample within a distance of the training points, and the distance below which a point is a copy.

    Args:
        mode: "light" or "dark".
    """
    meanings = {_(SOURCES[source]): shade for source, shade in shades(mode).items()}
    legend = alt.Legend(orient="top", columns=2, labelLimit=150, symbolSize=200)
    dash = alt.Scale(domain=list(meanings), range=[DASHED, *[SOLID] * (len(meanings) - 1)])
    axis = alt.Axis(values=POWERS, format="~g")
    base = alt.Chart().encode(
        x=alt.X(
            "distance:Q", title=_("distance to the nearest training point"), scale=alt.Scale(type="log", nice=False), axis=axis
        )
    )
    lines = base.mark_line(strokeWidth=2, interpolate="step-after", clip=True).encode(
        y=alt.Y("share:Q", title=_("share nearer"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=3)),
        color=alt.Color(
            "series:N", title=None, legend=legend, scale=alt.Scale(domain=list(meanings), range=list(meanings.values()))
        ),
        strokeDash=alt.StrokeDash("series:N", title=None, legend=legend, scale=dash),
    )
    rule = base.mark_rule(strokeWidth=1.2, strokeDash=[2, 2], color=palette.MUTED[mode])
    return finish(rule.transform_filter("!isValid(datum.series)") + lines.transform_filter("isValid(datum.series)"), HEIGHT)


def distances_table(distances: Mapping[str, np.ndarray], copy: float) -> pa.Table:
    """Rows of distances_spec; what lies beyond the axis is at its ends.

    Args:
        distances: from the nearest training point, (M,) for each series.
        copy: the distance below which a point is a copy, where the rule stands.
    """
    share = np.linspace(0, 1, RANKS)
    every = np.concatenate(list(distances.values()))
    low, high = NEAREST * copy, float(np.quantile(every[np.isfinite(every)], 0.999))
    parts = [
        {"series": _(SOURCES[name]), "distance": np.clip(np.quantile(d, share, method="lower"), low, high), "share": share}
        for name, d in distances.items()
    ]
    edges = [{"series": _(SOURCES[name]), "distance": high, "share": 1.0} for name in distances]
    return rows(*parts, *edges, {"series": None, "distance": copy, "share": None})


# Collapse


@cache
def collapse_spec(mode: str) -> Spec:
    """How sure the empirical score is of a single point, over t on a log axis, and two times.

    Args:
        mode: "light" or "dark".
    """
    x = alt.X("t:Q", title=_("time t"), scale=alt.Scale(type="log", nice=False), axis=alt.Axis(values=POWERS, format="~g"))
    base = alt.Chart().encode(x=x)
    line = base.mark_line(strokeWidth=2, color=palette.EMPIRICAL[mode], interpolate="monotone").encode(
        y=alt.Y(
            "largest:Q", title=_("mean largest responsibility"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 0.5, 1])
        )
    )
    dash = alt.Scale(domain=[_(COLLAPSE), _(NEIGHBOURS)], range=[SOLID, [3, 3]])
    rules = base.mark_rule(strokeWidth=1.5, color=palette.INK[mode]).encode(
        strokeDash=alt.StrokeDash(
            "series:N", title=None, scale=dash, legend=alt.Legend(orient="top", columns=1, labelLimit=260, symbolSize=200)
        )
    )
    return finish(line.transform_filter("!isValid(datum.series)") + rules.transform_filter("isValid(datum.series)"), HEIGHT)


def collapse_table(found: "Collapse") -> pa.Table:
    """Rows of collapse_spec.

    Args:
        found: the curve and the two times.
    """
    curve = found.curve
    marks = {COLLAPSE: curve.time if found.cause == "time" else None, NEIGHBOURS: found.neighbour_time}
    shown = {_(name): t for name, t in marks.items() if t is not None and t >= curve.times[0]}
    marked = [{"t": t, "series": name} for name, t in shown.items()]
    return rows({"t": curve.times, "largest": curve.largest, "series": None}, *marked)


# Training


@cache
def losses_spec(mode: str) -> Spec:
    """Loss on training points and on fresh ones over steps, each with the least that any score can have.

    Args:
        mode: "light" or "dark".
    """
    looks = {
        _(TRAIN): (palette.LEARNED, SOLID),
        _(TEST): (palette.LEARNED, DASHED),
        _(TRAIN_FLOOR): (palette.EMPIRICAL[mode], SOLID),
        _(TEST_FLOOR): (palette.INK[mode], DASHED),
    }
    legend = alt.Legend(orient="top", columns=2, labelLimit=150, symbolSize=250)
    shade, dash = (alt.Scale(domain=list(looks), range=list(values)) for values in zip(*looks.values(), strict=True))
    scale = alt.Scale(type="log", nice=False)
    base = alt.Chart().encode(
        x=alt.X("step:Q", title=_("step"), scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=4)),
        y=alt.Y("loss:Q", title=_("loss (DSM)"), scale=scale, axis=alt.Axis(values=LOSSES, format="~g", labelOverlap="greedy")),
    )
    lines = base.mark_line(strokeWidth=2).encode(
        color=alt.Color("series:N", scale=shade, title=None, legend=legend),
        strokeDash=alt.StrokeDash("series:N", scale=dash, title=None, legend=legend),
    )
    edges = base.mark_point(opacity=0).transform_filter("!isValid(datum.series)")
    return finish(lines.transform_filter("isValid(datum.series)") + edges, HEIGHT)


def losses_table(curves: "TrainingCurves | None", steps: int, train_floor: float, test_floor: float) -> pa.Table:
    """Rows of losses_spec: the test loss is its floor plus the score error on fresh points; what is nearly 0 is left out.

    Args:
        curves: None before the first step.
        steps: of the whole run.
        train_floor: the lowest possible training loss.
        test_floor: the lowest possible test loss.
    """
    ends, twice = np.array([0, steps]), np.ones(2)
    parts = [(_(TEST_FLOOR), ends, test_floor * twice), (_(TRAIN_FLOOR), ends, train_floor * twice)]
    if curves is not None:
        parts += [(_(TRAIN), curves.steps, curves.dsm), (_(TEST), curves.evaluated, test_floor + curves.test_error)]
    seen = [(name, at[loss > LEAST_LOSS], loss[loss > LEAST_LOSS]) for name, at, loss in parts]
    every = np.concatenate([loss for _name, _at, loss in seen])
    low, high = (every.min(), every.max()) if len(every) else (LEAST_LOSS, 1.0)
    edges = {"series": None, "step": 0, "loss": [low / ROOM, high * ROOM]}
    return rows(*({"series": name, "step": at, "loss": loss} for name, at, loss in seen), edges)
