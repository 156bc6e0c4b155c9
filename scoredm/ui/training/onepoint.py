"""The loss of one point on the training page: the animation, a table of its numbers, and a second origin."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm import screens
from scoredm.address import POINT
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.ui import cache, controls, show
from scoredm.ui.show import number
from scoredm.ui.stage import stage

if TYPE_CHECKING:
    from scoredm.screens.onepoint import Result
    from scoredm.tasks import Training


def draw(experiment: Experiment, t: float, run: "Training | None") -> None:
    """Draw a switch that opens the section, and the section where it is open; closed, it costs nothing."""
    if not controls.choose("training", "show_loss"):
        return
    picture, side = st.columns([5, 6], gap="medium")
    with side:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            point = controls.choose("training", "point", "input", width=140)
            following = point % screens.onepoint.POINTS + 1
            controls.preset(_("Another point"), {POINT.name: following}, icon=":material/casino:")
        second = controls.choose("training", "second")
    result = cache.one_point(experiment, screens.onepoint.Settings(t, point, second), run)
    step = run.look().step if run is not None else 0
    with side:
        st.markdown(_table(result, learned=step > 0))
        st.caption(_words(result, step))
    with picture:
        plane = experiment.dim == 2
        stage(
            result.frames,
            key=f"one-point-{experiment.dim}d-{point}-{second}",
            alt=_(
                "A clean point moves to its noisy point; an arrow leads from there to the guess, and others to the clean point."
            ),
            height=400,
            start="last",
            x_label="x₁" if plane else _("time t"),
            y_label="x₂" if plane else "x",
            equal_aspect=plane,
            trails=len(result.frames.times),
        )
        st.caption(
            _(
                "What to look for: the noise moves the clean point to xₜ. The arrow from xₜ leads to the guess of the clean "
                "point, which knows xₜ alone. The last arrow is its error."
            )
        )


def _table(result: "Result", *, learned: bool) -> str:
    """The points, their noises and losses, and the means beside them."""
    heads = [f"t = {result.t:g}, σₜ = {number(result.sigma)}", "x₀", "z", "‖ẑ − z‖²"]
    rows = [(_("Guess, from xₜ = {x}").format(x=_vector(result.noisy)), _vector(result.clean_guess), _vector(result.guess), "")]
    rows.append((_("The clean point"), _vector(result.first.clean), _vector(result.first.noise), number(result.first.loss)))
    if result.second is not None and result.average is not None:
        rows.append((_("Another origin"), _vector(result.second.clean), _vector(result.second.noise), number(result.second.loss)))
        rows.append((_("Mean of both"), "", "", number(result.average)))
    rows += [
        (_("Mean over all origins of this xₜ"), "", "", number(result.mean)),
        *([(_("The same for the best guess"), "", "", number(result.least))] if learned else []),
        (_("Floor: the best guess, all xₜ"), "", "", number(result.floor)),
    ]
    lines = [f"| {' | '.join(heads)} |", "|:--|--:|--:|--:|", *(f"| {' | '.join(cells)} |" for cells in rows)]
    return "\n".join(lines)


def _vector(values: np.ndarray) -> str:
    """A point with two decimals."""
    return (
        "({})".format(", ".join(show.fixed(float(value), 2) for value in values))
        if len(values) > 1
        else show.fixed(float(values[0]), 2)
    )


def _words(result: "Result", step: int) -> str:
    if step:
        who = _("The guess is the network's, after {step} steps.").format(step=step)
    else:
        who = _("The guess is the best one, from the exact score. After **Train** it is the network's.")
    loss = _("The loss of the point is the squared error of the guessed noise.")
    if result.second is None:
        return f"{who} {loss} " + _("Could another clean point have made the same xₜ?")
    why = _(
        "The other origin is drawn from all clean points that could have made this xₜ. No guess is right for both, so the mean "
        "loss stays above 0."
    )
    return f"{who} {loss} {why}"
