"""The charts of the maths page: specs built once, and the tables they draw."""

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.charts.common import Spec, colours, finish, rows, time_axis
from scoredm.language import N_, _, cache

if TYPE_CHECKING:
    from scoredm.screens.maths import DsmSides

NOISY, FLOW = N_("with noise"), N_("without noise: probability flow")
DSM, ESM, RIGHT, CHOSEN = N_("DSM, simulated"), N_("ESM"), N_("ESM + constant"), "chosen"
FLOOR, SPREAD = "D − σ² E‖∇log p‖²", N_("spread of x₀, simulated")
WEIGHTINGS = {
    "tutorial": N_("tutorial, σ²"),
    "likelihood": N_("likelihood, g²"),
    "truncation": N_("soft truncation"),
    "edm": N_("Karras et al."),
}
DASHES = {"tutorial": [1, 0], "likelihood": [8, 4], "truncation": [2, 2], "edm": [12, 3, 2, 3]}


@cache
def paths_spec(mode: str) -> Spec:
    """The first coordinate of reverse paths over time, with noise and without noise.

    Args:
        mode: "light" or "dark".
    """
    line = (
        alt.Chart()
        .mark_line(strokeWidth=1.4, opacity=0.9)
        .encode(
            x=time_axis(),
            y=alt.Y("x:Q", title=_("first coordinate of x")),
            detail="path:N",
            color=colours({_(NOISY): palette.SAMPLES[mode], _(FLOW): palette.INK[mode]}),
        )
    )
    return finish(line, 300)


def paths_table(times: np.ndarray, noisy: np.ndarray, flow: np.ndarray) -> pa.Table:
    """Rows of paths_spec.

    Args:
        times: (T,).
        noisy: paths with noise, (T, N).
        flow: paths without noise, (T, N).
    """
    first, parts = 0, []
    for series, paths in ((NOISY, noisy), (FLOW, flow)):
        count = paths.shape[1]
        number = np.repeat(np.arange(first, first + count, dtype=np.int16), len(times))
        t = np.tile(times.astype(np.float32), count)  # short numbers: there are many rows
        parts.append({"t": t, "x": paths.T.ravel(), "path": number, "series": _(series)})
        first += count
    return rows(*parts)


@cache
def sides_spec(mode: str) -> Spec:
    """Both losses against the share of the exact score: two parabolas a constant apart, with a rule at the chosen share.

    Args:
        mode: "light" or "dark".
    """
    series = colours({_(DSM): palette.SAMPLES[mode], _(RIGHT): palette.INK[mode], _(ESM): palette.MUTED[mode]})
    base = alt.Chart().encode(
        x=alt.X("share:Q", title=_("share c of the exact score"), scale=alt.Scale(nice=False)),
        y=alt.Y("loss:Q", title=_("σ²-weighted loss")),
        color=series,
    )
    lines = base.mark_line(strokeWidth=2).transform_filter(alt.FieldOneOfPredicate("series", [_(RIGHT), _(ESM)]))
    dots = base.mark_point(filled=True, size=55, opacity=1).transform_filter(alt.datum.series == _(DSM))
    rule = (
        alt.Chart()
        .mark_rule(strokeWidth=1.5, strokeDash=[4, 3], color=palette.MUTED[mode])
        .encode(x=alt.X("share:Q", title=_("share c of the exact score")))
    )
    return finish(lines + dots + rule.transform_filter(alt.datum.series == CHOSEN), 270)


def sides_table(found: "DsmSides") -> pa.Table:
    """Rows of sides_spec.

    Args:
        found: both losses at every share.
    """
    sides = found.sides
    columns = {_(RIGHT): sides.esm + sides.floor, _(ESM): sides.esm, _(DSM): sides.dsm}
    parts = [{"share": sides.shares, "loss": loss, "series": name} for name, loss in columns.items()]
    return rows(*parts, {"share": found.share, "loss": None, "series": CHOSEN})


@cache
def floor_spec(mode: str) -> Spec:
    """The floor over time: by quadrature as a line, by random draws as points with error bars of two standard errors.

    Args:
        mode: "light" or "dark".
    """
    base = alt.Chart().encode(x=time_axis(), color=colours({FLOOR: palette.INK[mode], _(SPREAD): palette.SAMPLES[mode]}))
    y = alt.Y("floor:Q", title=_("least possible loss"), axis=alt.Axis(format=".3~g"))
    line = base.mark_line(strokeWidth=2).encode(y=y).transform_filter(alt.datum.series == FLOOR)
    drawn = base.transform_filter(alt.datum.series == _(SPREAD))
    bars = drawn.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=_("least possible loss")), y2="high:Q")
    return finish(line + bars + drawn.mark_point(filled=True, size=40, opacity=1).encode(y=y), 300)


def floor_table(times: np.ndarray, floor: np.ndarray, at: np.ndarray, spread: np.ndarray, error: np.ndarray) -> pa.Table:
    """Rows of floor_spec.

    Args:
        times: (T,).
        floor: by quadrature, (T,).
        at: the times of the random draws, (M,).
        spread: the floor by random draws, (M,).
        error: the standard error of `spread`, (M,).
    """
    drawn = {"t": at, "floor": spread, "low": spread - 2 * error, "high": spread + 2 * error, "series": _(SPREAD)}
    return rows({"t": times, "floor": floor, "series": FLOOR}, drawn)


@cache
def weightings_spec(mode: str) -> Spec:
    """Four weightings of the error of the predicted noise, against the noise level.

    Args:
        mode: "light" or "dark".
    """
    names = [_(title) for title in WEIGHTINGS.values()]
    dash = alt.Scale(domain=names, range=[DASHES[name] for name in WEIGHTINGS])
    legend = alt.Legend(orient="top", columns=2, labelLimit=260, symbolSize=300)
    line = (
        alt.Chart()
        .mark_line(strokeWidth=2, color=palette.INK[mode])
        .encode(
            x=alt.X(
                "level:Q", title=_("noise σ / α, in standard deviations of the data"), scale=alt.Scale(type="log", nice=False)
            ),
            y=alt.Y("share:Q", title=_("weighting, per unit of ln(σ / α)")),
            strokeDash=alt.StrokeDash("series:N", title=None, scale=dash, legend=legend),
        )
    )
    return finish(line, 300)


def weightings_table(level: np.ndarray, shares: dict[str, np.ndarray]) -> pa.Table:
    """Rows of weightings_spec.

    Args:
        level: the noise level, (T,).
        shares: each weighting by its name, (T,).
    """
    return rows(*({"level": level, "share": share, "series": _(WEIGHTINGS[name])} for name, share in shares.items()))
