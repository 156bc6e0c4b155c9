"""The charts of the practice page: specs built once, and the tables they draw."""

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pyarrow as pa

from scoredm.charts import palette
from scoredm.charts.common import DASHED, SOLID, Spec, colours, finish, rows
from scoredm.language import N_, _, cache

if TYPE_CHECKING:
    from scoredm.screens.practice import Curves

FOUND, RIGHT, EXACT = N_("your line"), N_("right line"), N_("floor, exact")
DOTTED = [2, 3]
ROOM = 1.5  # how far a wrong curve may leave the right one, in heights of the right one

# Exercise -> titles of the axes.
AXES = {
    "sigma": (N_("time t"), "σₜ²"),
    "mixture-score": ("x", N_("score")),
    "tweedie": (N_("noisy x"), N_("mean clean point")),
    "dsm-loss": (N_("time t"), N_("loss")),
}


@cache
def curves_spec(mode: str, exercise: str) -> Spec:
    """The reader's answer, dashed, over the right one; for the loss also its floor.

    Args:
        mode: "light" or "dark".
        exercise: a key of AXES.
    """
    across, up = (_(title) for title in AXES[exercise])
    looks = {RIGHT: (palette.INK[mode], SOLID), FOUND: (palette.LEARNED, DASHED)}
    if exercise == "dsm-loss":
        looks[EXACT] = (palette.MUTED[mode], DOTTED)
    names = [_(name) for name in looks]
    dash = alt.Scale(domain=names, range=[dash for _colour, dash in looks.values()])
    width = alt.Scale(domain=names, range=[3 if name == RIGHT else 2.5 for name in looks])
    line = (
        alt.Chart()
        .mark_line()
        .encode(
            x=alt.X("x:Q", title=across, scale=alt.Scale(nice=False)),
            y=alt.Y("y:Q", title=up, axis=alt.Axis(format=".3~g")),
            color=colours({_(name): colour for name, (colour, _dash) in looks.items()}),
            strokeDash=alt.StrokeDash("series:N", scale=dash, title=None),
            strokeWidth=alt.StrokeWidth("series:N", scale=width, legend=None),
        )
    )
    return finish(line, 320)


def curves_table(found: "Curves") -> pa.Table:
    """Rows of curves_spec.

    Args:
        found: both answers along the axis; what leaves the picture is drawn at its edge.
    """
    low, high = limits(found.right)
    columns = {RIGHT: found.right, FOUND: np.clip(found.found, low, high)}
    if found.exact is not None:
        columns[EXACT] = found.exact
    return rows(*({"x": found.x, "y": values, "series": _(name)} for name, values in columns.items()))


def leaves(found: "Curves") -> bool:
    """Whether the reader's curve leaves the picture somewhere.

    Args:
        found: both answers along the axis.
    """
    low, high = limits(found.right)
    return not bool(np.all((found.found >= low) & (found.found <= high)))


def limits(right: np.ndarray) -> tuple[float, float]:
    """How far down and up a picture of these right values reaches.

    Args:
        right: the right answer, (M,).
    """
    low, high = float(right.min()), float(right.max())
    room = ROOM * max(high - low, 1e-9)
    return low - room, high + room
