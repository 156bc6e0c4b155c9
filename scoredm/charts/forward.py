"""Arrays to charts: variances over time, and the SDE itself with the times at which modes merge."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.charts.common import Spec, finish, log_axis, rows, time_axis
from scoredm.language import N_, _, cache


@cache
def variance_spec(mode: str, names: tuple[str, ...]) -> Spec:
    """Variance over time on a log axis: exact as lines, dashed for the second coordinate, and found as points.

    Args:
        mode: "light" or "dark".
        names: of the coordinates, D of them.
    """
    base = alt.Chart().encode(x=time_axis(), y=log_axis("variance:Q", _("variance")))
    exact = base.mark_line(strokeWidth=2, color=palette.INK[mode]).transform_filter("datum.series == 'exact'")
    found = base.mark_point(filled=True, size=28, color=palette.SAMPLES[mode]).transform_filter("datum.series == 'particles'")
    if len(names) == 1:
        return finish(exact + found, 150) | {"title": _(MARKS)}
    legend = alt.Legend(orient="top", symbolSize=200, titleOrient="left", titlePadding=14)
    dashes = alt.StrokeDash("coordinate:N", title=_(MARKS), scale=alt.Scale(domain=list(names), range=DASHES), legend=legend)
    return finish(exact.encode(strokeDash=dashes) + found.encode(detail="coordinate:N"), 150)


def variance_table(times: np.ndarray, exact: np.ndarray, found: np.ndarray, names: tuple[str, ...]) -> pa.Table:
    """Rows of variance_spec.

    Args:
        times: (T,).
        exact: variances, (T, D).
        found: variances of the particles, (T, D).
        names: of the coordinates, D of them.
    """
    few = np.unique(np.linspace(0, len(times) - 1, 26).round().astype(int))
    parts = [
        {"t": times[at], "variance": values[at, d], "series": series, "coordinate": name}
        for d, name in enumerate(names)
        for series, values, at in (("exact", exact, slice(None)), ("particles", found, few))
    ]
    return rows(*parts)


MARKS = N_("lines: exact, dots: particles")
DASHES = [[1, 0], [5, 3]]  # of the two coordinates
SCHEDULE = {"αₜ": [1, 0], "σₜ": [6, 3], "g(t)": [2, 2]}  # its series and their dashes
MERGER, SCHEDULE_HEIGHT = "merger", 165


@cache
def schedule_spec(mode: str) -> Spec:
    """alpha_t, sigma_t and g(t) over time on a log axis, with a rule where modes merge.

    Args:
        mode: "light" or "dark".
    """
    scale = alt.Scale(domain=list(SCHEDULE), range=list(SCHEDULE.values()))
    dash = alt.StrokeDash("series:N", title=None, scale=scale, legend=alt.Legend(orient="top", symbolSize=200, columnPadding=6))
    return _with_mergers(mode, log_axis("value:Q", ""), strokeDash=dash)


@cache
def log_snr_spec(mode: str) -> Spec:
    """The logarithm of the signal-to-noise ratio over time, with a rule where modes merge.

    Args:
        mode: "light" or "dark".
    """
    return _with_mergers(mode, alt.Y("value:Q", title="", axis=alt.Axis(tickCount=5))) | {"title": "log-SNR = 2 ln(αₜ / σₜ)"}


def _with_mergers(mode: str, y: alt.Y, **channels: Any) -> Spec:
    base = alt.Chart().encode(
        x=alt.X("t:Q", title=_("time t"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 0.5, 1]))
    )
    line = base.mark_line(strokeWidth=2, color=palette.INK[mode]).encode(y=y, **channels)
    rule = base.mark_rule(strokeWidth=1.5, strokeDash=[4, 3], color=palette.MUTED[mode])
    return finish(
        line.transform_filter(alt.datum.series != MERGER) + rule.transform_filter(alt.datum.series == MERGER), SCHEDULE_HEIGHT
    )


def schedule_tables(
    times: np.ndarray,
    alpha: np.ndarray,
    sigma: np.ndarray,
    diffusion: np.ndarray,
    log_snr: np.ndarray,
    mergers: Sequence[float],
) -> tuple[pa.Table, pa.Table]:
    """Rows of schedule_spec and of log_snr_spec.

    Args:
        times: above 0, (T,).
        alpha: (T,).
        sigma: (T,).
        diffusion: g, (T,).
        log_snr: (T,).
        mergers: the times of the rules.
    """
    rules = {"t": np.array(mergers, dtype=float), "value": None, "series": MERGER}
    named = zip((*SCHEDULE, "log-SNR"), (alpha, sigma, diffusion, log_snr), strict=True)
    # Where alpha is 0, its logarithm, g and the log-SNR are infinite: the lines end before.
    *three, last = ({"t": times, "value": np.where(alpha > 0, values, np.nan), "series": series} for series, values in named)
    return rows(*three, rules), rows(last, rules)
