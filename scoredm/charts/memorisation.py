"""The charts of the memorisation page: specs built once, and the tables they draw."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from scoredm.charts import palette
from scoredm.charts.common import DASHED, SOLID, Spec, finish

if TYPE_CHECKING:
    from scoredm.learning import TrainingCurves
    from scoredm.memorisation import Collapse

PANEL = 244  # pixels a side, as much as leaves the charts below in sight at 1280 x 800
HEIGHT = 168  # pixels of the charts below the panels
MARKED = 60  # training points beyond which they are dots, and below the samples
DRAWN = 1000  # samples and training points drawn at most, in the plane
TICKS = 500  # training points drawn at most, on the line
RANKS = 160  # points of a curve of shares
NEAREST = 1e-2  # distances shown, in units of the distance of a copy; what is nearer stands at the edge

FRESH, TRUE, EMPIRICAL, NETWORK = "fresh data", "true score", "empirical score", "network"
TRAIN, TEST = "training loss", "test loss"
TRAIN_FLOOR, TEST_FLOOR = "least, training", "least, test"
COLLAPSE, NEIGHBOURS = "collapse", "σₜ/αₜ = distance of neighbours"
LEAST_LOSS = 1e-3  # shown
ROOM = 1.4  # factor between the losses and the ends of their axis
# Names of a panel's axes inside it, where they take no room.
BELOW_RIGHT: Spec = {"titleX": PANEL - 6, "titleY": -6, "titleAlign": "right", "titleBaseline": "bottom"}
ABOVE_LEFT: Spec = {"titleX": 6, "titleY": 4, "titleAlign": "left", "titleBaseline": "top", "titleAngle": 0}
POWERS = [10.0**k for k in range(-9, 7)]
LOSSES = [digit * power for power in POWERS for digit in (1, 1.5, 2, 3, 5, 7)]


def shades(mode: str) -> dict[str, str]:
    """The colour of each score's samples, and of fresh data."""
    return {
        FRESH: palette.INK[mode],
        TRUE: palette.SAMPLES[mode],
        EMPIRICAL: palette.EMPIRICAL[mode],
        NETWORK: palette.LEARNED,
    }


# Samples over the training points


@cache
def cloud_spec(mode: str, source: str, few: bool) -> Spec:
    """Samples in the plane, the training points, and exact contours; few: the points are rings, above the samples."""
    window, ink = alt.Scale(zero=False, nice=False, padding=0), palette.INK[mode]
    across, up = alt.Axis(tickCount=5, **BELOW_RIGHT), alt.Axis(tickCount=5, **ABOVE_LEFT)
    base = alt.Chart().encode(
        x=alt.X("x:Q", title="x₁", scale=window, axis=across), y=alt.Y("y:Q", title="x₂", scale=window, axis=up)
    )
    drawn = {kind: base.transform_filter(alt.datum.kind == kind) for kind in ("sample", "point", "contour", "corner")}
    contours = drawn["contour"].mark_line(strokeWidth=1, opacity=0.7, color=palette.MUTED[mode])
    samples = drawn["sample"].mark_circle(size=12, opacity=0.45, color=shades(mode)[source], clip=True)
    layers = [contours.encode(detail="line:N", order="order:Q"), samples]
    if few:  # with a halo of paper under each: in a dense cloud a ring alone is lost
        strokes = ((4, palette.PAPER[mode]), (1.8, ink))
        layers += [drawn["point"].mark_point(size=110, strokeWidth=w, opacity=1, color=c, clip=True) for w, c in strokes]
    else:
        layers.insert(0, drawn["point"].mark_circle(size=7, opacity=0.45, color=ink, clip=True))
    return _panel(alt.layer(*layers, drawn["corner"].mark_point(opacity=0)))


def cloud_table(samples: np.ndarray, points: np.ndarray, box: np.ndarray, lines: Sequence[np.ndarray]) -> pd.DataFrame:
    """Rows of cloud_spec, what lies outside the window left out; samples: (M, 2), points: (N, 2), box: (4,), lines: (K, 2)."""
    parts = [_rows("sample", _inside(samples[:DRAWN], box)), _rows("point", _inside(points[:DRAWN], box))]
    parts += [_rows("contour", line, i) for i, line in enumerate(lines)]
    return pd.concat([*parts, _rows("corner", box.reshape(2, 2).T)], ignore_index=True)


def _inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    return points[(points >= box[0::2]).all(1) & (points <= box[1::2]).all(1)]


def _rows(kind: str, points: np.ndarray, line: int = 0) -> pd.DataFrame:
    xy = points.astype(np.float32)
    return pd.DataFrame({"kind": kind, "x": xy[:, 0], "y": xy[:, 1], "line": line, "order": np.arange(len(xy))})


@cache
def bars_spec(mode: str, source: str) -> Spec:
    """Samples on the line as bars, the exact density as a curve, and the training points as ticks below."""
    window = alt.Scale(zero=False, nice=False, padding=0)
    across, up = alt.Axis(tickCount=5, **BELOW_RIGHT), alt.Axis(tickCount=4, **ABOVE_LEFT)
    base = alt.Chart().encode(x=alt.X("x:Q", title="x", scale=window, axis=across), y=alt.Y("y:Q", title="density", axis=up))
    bars = base.mark_rect(opacity=0.6, color=shades(mode)[source]).encode(x2="right:Q", y2=alt.datum(0))
    curve = base.mark_line(strokeWidth=1.5, color=palette.INK[mode])
    ticks = base.mark_rule(strokeWidth=1.2, opacity=0.8, color=palette.INK[mode]).encode(y2="low:Q")
    kinds = {"bar": bars, "curve": curve, "point": ticks}
    return _panel(alt.layer(*(layer.transform_filter(alt.datum.kind == kind) for kind, layer in kinds.items())))


def bars_table(samples: np.ndarray, points: np.ndarray, box: np.ndarray, curve: np.ndarray, bins: int = 64) -> pd.DataFrame:
    """Rows of bars_spec, densities over the whole sample; samples: (M,), points: (N,), box: (2,), curve: (K, 2)."""
    edges = np.linspace(box[0], box[1], bins + 1)
    finite = samples[np.isfinite(samples)]
    height = np.histogram(finite, edges)[0] / (len(samples) * np.diff(edges))
    inside = points[(points >= box[0]) & (points <= box[1])][:TICKS]
    low = -0.08 * max(height.max(), curve[:, 1].max())
    parts = [
        pd.DataFrame({"kind": "bar", "x": edges[:-1], "right": edges[1:], "y": height}),
        pd.DataFrame({"kind": "curve", "x": curve[:, 0], "y": curve[:, 1]}),
        pd.DataFrame({"kind": "point", "x": inside, "y": 0.3 * low, "low": low}),
    ]
    return pd.concat(parts, ignore_index=True)


def _panel(chart: Any) -> Spec:
    pad = {"left": 2, "right": 6, "top": 2, "bottom": 6}
    return chart.properties(width=PANEL, height=PANEL, padding=pad, autosize=alt.AutoSizeParams(type="pad")).to_dict()


# Distance to the nearest training point


@cache
def distances_spec(mode: str) -> Spec:
    """The share of each sample within a distance of the training points, and the distance below which a point is a copy."""
    meanings = shades(mode)
    legend = alt.Legend(orient="top", columns=2, labelLimit=150, symbolSize=200)
    dash = alt.Scale(domain=list(meanings), range=[DASHED if name == FRESH else SOLID for name in meanings])
    axis = alt.Axis(values=POWERS, format="~g")
    base = alt.Chart().encode(
        x=alt.X("distance:Q", title="distance to a training point", scale=alt.Scale(type="log", nice=False), axis=axis)
    )
    lines = base.mark_line(strokeWidth=2, interpolate="step-after", clip=True).encode(
        y=alt.Y("share:Q", title="share nearer", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=3)),
        color=alt.Color(
            "series:N", title=None, legend=legend, scale=alt.Scale(domain=list(meanings), range=list(meanings.values()))
        ),
        strokeDash=alt.StrokeDash("series:N", title=None, legend=legend, scale=dash),
    )
    rule = base.mark_rule(strokeWidth=1.2, strokeDash=[2, 2], color=palette.MUTED[mode])
    return finish(rule.transform_filter("!isValid(datum.series)") + lines.transform_filter("isValid(datum.series)"), HEIGHT)


def distances_table(distances: Mapping[str, np.ndarray], copy: float) -> pd.DataFrame:
    """Rows of distances_spec; distances: series -> (M,), copy: where the rule stands. What lies beyond is at the ends."""
    share = np.linspace(0, 1, RANKS)
    every = np.concatenate(list(distances.values()))
    low, high = NEAREST * copy, float(np.quantile(every[np.isfinite(every)], 0.999))
    parts = [
        pd.DataFrame({"series": name, "distance": np.clip(np.quantile(d, share, method="lower"), low, high), "share": share})
        for name, d in distances.items()
    ]
    edges = [pd.DataFrame({"series": name, "distance": [high], "share": [1.0]}) for name in distances]
    rule = pd.DataFrame({"series": [None], "distance": [copy], "share": [np.nan]})
    return pd.concat([*parts, *edges, rule], ignore_index=True)


# Collapse


@cache
def collapse_spec(mode: str) -> Spec:
    """How sure the empirical score is of a single point, over t on a log axis, and two times."""
    x = alt.X("t:Q", title="time t", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(values=POWERS, format="~g"))
    base = alt.Chart().encode(x=x)
    line = base.mark_line(strokeWidth=2, color=palette.EMPIRICAL[mode], interpolate="monotone").encode(
        y=alt.Y("largest:Q", title="largest responsibility", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 0.5, 1]))
    )
    dash = alt.Scale(domain=[COLLAPSE, NEIGHBOURS], range=[SOLID, [3, 3]])
    rules = base.mark_rule(strokeWidth=1.5, color=palette.INK[mode]).encode(
        strokeDash=alt.StrokeDash(
            "series:N", title=None, scale=dash, legend=alt.Legend(orient="top", columns=1, labelLimit=260, symbolSize=200)
        )
    )
    return finish(line.transform_filter("!isValid(datum.series)") + rules.transform_filter("isValid(datum.series)"), HEIGHT)


def collapse_table(found: "Collapse", guide: float | None) -> pd.DataFrame:
    """Rows of collapse_spec; guide: the time at which sigma_t / alpha_t is the distance of neighbours, if there is one."""
    marks = {COLLAPSE: found.time if found.time < 1 else None, NEIGHBOURS: guide}
    shown = {name: t for name, t in marks.items() if t is not None and t >= found.times[0]}
    curve = pd.DataFrame({"t": found.times, "largest": found.largest, "series": None})
    return pd.concat([curve, pd.DataFrame({"t": list(shown.values()), "series": list(shown)})], ignore_index=True)


# Training


@cache
def losses_spec(mode: str) -> Spec:
    """Loss on training points and on fresh ones over steps, each with the least that any score can have."""
    looks = {
        TRAIN: (palette.LEARNED, SOLID),
        TEST: (palette.LEARNED, DASHED),
        TRAIN_FLOOR: (palette.EMPIRICAL[mode], SOLID),
        TEST_FLOOR: (palette.INK[mode], DASHED),
    }
    legend = alt.Legend(orient="top", columns=2, labelLimit=150, symbolSize=250)
    shade, dash = (alt.Scale(domain=list(looks), range=list(values)) for values in zip(*looks.values(), strict=True))
    scale = alt.Scale(type="log", nice=False)
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="step", scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=4)),
        y=alt.Y("loss:Q", title="loss (DSM)", scale=scale, axis=alt.Axis(values=LOSSES, format="~g", labelOverlap="greedy")),
    )
    lines = base.mark_line(strokeWidth=2).encode(
        color=alt.Color("series:N", scale=shade, title=None, legend=legend),
        strokeDash=alt.StrokeDash("series:N", scale=dash, title=None, legend=legend),
    )
    edges = base.mark_point(opacity=0).transform_filter("!isValid(datum.series)")
    return finish(lines.transform_filter("isValid(datum.series)") + edges, HEIGHT)


def losses_table(curves: "TrainingCurves | None", steps: int, train_floor: float, test_floor: float) -> pd.DataFrame:
    """Rows of losses_spec: the test loss is its floor plus the score error on fresh points; what is nearly 0 is left out."""
    parts = [(TEST_FLOOR, [0, steps], [test_floor, test_floor]), (TRAIN_FLOOR, [0, steps], [train_floor, train_floor])]
    if curves is not None:
        parts += [(TRAIN, curves.steps, curves.dsm), (TEST, curves.evaluated, test_floor + curves.test_error)]
    rows = pd.concat([pd.DataFrame({"series": name, "step": x, "loss": y}) for name, x, y in parts], ignore_index=True)
    rows = rows.query(f"loss > {LEAST_LOSS}")
    edges = pd.DataFrame({"series": None, "step": 0, "loss": [rows["loss"].min() / ROOM, rows["loss"].max() * ROOM]})
    return pd.concat([rows, edges], ignore_index=True)
