"""What the maths page shows beside its formulas: both sides of each, for the experiment."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm import charts, screens
from scoredm.experiment import Experiment
from scoredm.language import N_, _
from scoredm.ui import cache, controls, predict, show
from scoredm.ui.show import fixed, number

if TYPE_CHECKING:
    from scoredm.identities import Parametrisation

PARAMETRISATION_ROWS = {
    "α": "alpha",
    "σ": "sigma",
    N_("noisy x"): "x",
    N_("score s"): "score",
    N_("noise ẑ = −σ s"): "noise",
    N_("clean x̂₀, by Tweedie's formula"): "clean",
    "v = α ẑ − σ x̂₀": "velocity",
}


def reverse(experiment: Experiment) -> None:
    """Draw reverse paths with and without noise, and their moments at the end."""
    eta = controls.choose("maths", "eta")
    paths = cache.reverse_paths(experiment, eta)
    table = charts.maths.paths_table(paths.times, paths.noisy, paths.flow)
    alt = _("Reverse paths with and without noise from the same initial points")
    show.chart(charts.maths.paths_spec(show.mode()), table, key="paths", alt=alt)
    asked = screens.predictions.TWICE_THE_NOISE
    predict.ask(asked, paths, lambda: cache.reverse_paths(experiment, screens.predictions.TWICE), about=experiment)
    words = _(
        "What to look for: the paths with noise and without noise differ, but at each t both sets have the same distribution. "
        "Read from right (noise) to left (data). Heun's method solves the flow; for other η Euler steps are used, so near η = "
        "0 their error shows. The run stops at t = {t_min:g}, so the exact variance contains a little noise."
    )
    st.caption(words.format(t_min=paths.t_min))
    names = {"mean": _("Mean x₁, {process}"), "variance": _("Var x₁, {process}")}
    process = {True: _("probability flow"), False: f"η = {eta:g}"}
    show.exact_and_found(
        [(names[row.moment].format(process=process[row.flow]), row.exact, row.found, row.error) for row in paths.rows]
    )


def dsm(experiment: Experiment) -> None:
    """Draw both sides of DSM = ESM + constant, with a mark at the chosen share."""
    wrong = controls.choose("maths", "wrong")
    with st.container(horizontal=True):
        share, t = controls.choose("maths", "share"), controls.choose("maths", "t")
    found = screens.maths.at_share(cache.dsm_sides(experiment, wrong, t), share)
    alt = _("DSM and ESM against the share c, with a rule at c = {share:g}").format(share=share)
    show.chart(charts.maths.sides_spec(show.mode()), charts.maths.sides_table(found), key="sides", alt=alt)
    st.caption(
        _("What to look for: the two curves are one parabola at two heights, C apart. Both are lowest at c = 1, the exact score.")
    )
    left = f"{number(found.dsm)} ± {number(found.dsm_error, 2)}"
    esm, constant, right = (fixed(value, 3) for value in (found.esm, found.constant, found.esm_and_constant))
    rows = [(_("J_DSM, simulated"), left), (_("J_ESM + C"), f"{right} = {esm} + {constant}")]
    st.markdown("\n".join([f"| σ² × | c = {share:g} |", "|:--|:--|", *(f"| {name} | {value} |" for name, value in rows)]))


def floor(experiment: Experiment) -> None:
    """Draw the floor over time by two formulas."""
    curve = cache.floor_curve(experiment)
    table = charts.maths.floor_table(curve.times, curve.floor, curve.at, curve.spread, curve.error)
    alt = _("The least possible loss over time, computed in two ways")
    show.chart(charts.maths.floor_spec(show.mode()), table, key="floor", alt=alt)
    if curve.near_dim:
        words = _(
            "What to look for: the floor starts near D = {dim}, because a little noise on wide data cannot be predicted, and "
            "falls as the noise becomes larger than the data. The line and the points come from two different formulas."
        )
    else:
        words = _(
            "What to look for: the floor starts at {floor}, not near D = {dim}, because at t = {t:g} the noise is already "
            "larger than these narrow data. The line and the points come from two different formulas."
        )
    st.caption(words.format(dim=experiment.dim, floor=number(float(curve.floor[0])), t=curve.times[0]))


def weightings(experiment: Experiment) -> None:
    """Draw four weightings over the noise level."""
    found = cache.weightings(experiment)
    table = charts.maths.weightings_table(found.level, found.shares)
    alt = _("Four weightings of the loss against the noise level")
    show.chart(charts.maths.weightings_spec(show.mode()), table, key="weightings", alt=alt)
    st.caption(
        _(
            "What to look for: each curve says how much an error of the predicted noise counts at each noise level. The area "
            "under each curve is 1. The exact score is best under all four."
        )
    )


def parametrisations(experiment: Experiment) -> None:
    """Show one noisy point in two parametrisations, as a table."""
    found = cache.parametrisations(experiment, controls.choose("maths", "t"))
    both = found.exploding, found.preserving
    heads = [_("quantity"), _("exploding"), _("preserving")]
    lines = [f"| {' | '.join(heads)} |", "|:--|--:|--:|"]
    lines += [_row(_(name), *(_value(side, field) for side in both)) for name, field in PARAMETRISATION_ROWS.items()]
    lines.append(_row(_("E[x₀ given x], by Bayes"), found.bayes, found.bayes))
    st.markdown("\n".join(lines))
    st.caption(
        _(
            "What to look for: both columns describe one noisy point, drawn with your seed. They give the same predicted noise "
            "and the same predicted clean point. The last row computes the clean point by Bayes' rule over the components, "
            "without the score."
        )
    )


def _value(side: "Parametrisation", field: str) -> float | np.ndarray:
    return getattr(side, field)


def _row(name: str, *values: float | np.ndarray) -> str:
    return f"| {name} | {' | '.join(_shown(value) for value in values)} |"


def _shown(value: float | np.ndarray) -> str:
    numbers = ", ".join(number(float(v)) for v in np.atleast_1d(value))
    return numbers if np.size(value) == 1 else f"({numbers})"


# Topic -> what is drawn beside its formulas; the summary has only prose.
TOPICS: dict[str, Callable[[Experiment], None]] = {
    "reverse": reverse,
    "dsm": dsm,
    "floor": floor,
    "weightings": weightings,
    "parametrisations": parametrisations,
}
