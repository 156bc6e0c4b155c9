"""Arrays to charts: the learned score beside the exact one, over time."""

from functools import cache
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from scoredm import palette
from scoredm.charts import DASHED, FLOOR, FRESH, LOSS, SOLID, TIME, Spec, finish, log_axis

if TYPE_CHECKING:
    from scoredm.learning import OverTime

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


def over_time_table(times: np.ndarray, floor: np.ndarray, found: "OverTime | None", t: float) -> pd.DataFrame:
    """Rows of over_time_spec, with the rule at t; times, floor: (T,), found: None before there is a model."""
    parts = [(FLOOR, times, floor), (PRESENT, [t], [float("nan")])]
    if found is not None:
        parts += [(LOSS, times, found.loss), (FRESH, times, found.error)]
    return pd.concat([pd.DataFrame({"series": name, "t": x, "value": y}) for name, x, y in parts], ignore_index=True)
