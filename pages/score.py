"""The score: which way, and how steeply, log p_t rises, and what each component adds to it."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm.charts import figures, score as charts
from scoredm.ui import controls, shell, show
from scoredm.ui.score import compute, probe
from scoredm.ui.stage import stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGE = "score-stage"
TUTORIAL = {"target": "tutorial", "t": 0.0, "view": "mixture", "arrows": "samples", "dots": 5000, "picture": "log"}
LOOK = {
    "mixture": "the arrows run straight up the slope, across the steps of grey, and are long where the steps are narrow.",
    "component": "every arrow leads towards this component's mean, bent by its shape, and grows with the distance from it.",
    "weighted": "the coloured arrows rₖ sₖ (the three longest) add up to the uncoloured one; where one covers it, it is alone.",
}

experiment = shell.header("score")
plane = experiment.dim == 2
picture, side = st.columns([3, 2])

with side:
    view = controls.choose("score", "view", label_visibility="collapsed")
    with st.container(horizontal=True):
        t = controls.choose("score", "t")
        component = probe.choose_component(experiment.mixture.n_components) if view == "component" else 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.popover("Layers", icon=":material/layers:"):
            scale = controls.choose("score", "picture", disabled=not plane)
            arrows = controls.choose("score", "arrows", disabled=not plane)
            samples = controls.choose("score", "samples")
            follow = controls.camera("score") == "follow"
        adding = st.popover("Component", icon=":material/add:", help="Add one, at the probe or elsewhere, or remove the last")
        controls.preset("Tutorial", TUTORIAL, help="The tutorial's own view: 5000 samples, and the score at 200 of them")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = probe.choose_point(experiment.dim)
        probe.saddle_button(experiment, t, x)
    probe.show_problem()
    with adding:
        probe.add_component(experiment, x)
    found = compute.probe(experiment, t, x)
    alone = compute.alone(experiment, t, x, component) if view == "component" else None
    probe.table(found, alone)

settings = compute.ScoreField(t, view, component, scale, arrows, samples, follow)


def draw_plane() -> None:
    frames = compute.score_field(experiment, settings)
    stage(
        frames,
        key=STAGE,
        alt=f"The score of p_t at t = {t:g} as arrows over its density, with the probe at ({x[0]:g}, {x[1]:g}).",
        height=460,
        probe=True,
        probe_at=(x[0], x[1]),
        probe_arrows=probe.arrows(alone)[:1] if alone else probe.arrows(found),
        on_probe=lambda: probe.put_where_clicked(STAGE),
    )
    nat = "Each step of grey is one nat." if scale == "log" else ""
    large = "Its arrow, drawn large, is this component's sₖ." if alone else "Its arrows, drawn large, are those of the table."
    st.caption(f"What to look for: {LOOK[view]} {nat} Click to move the probe. {large}")


def draw_line() -> None:
    curves = compute.score_curves(experiment, t, follow, component if alone else None)
    dots = compute.score_samples(experiment, t)[0][:samples, 0] if samples else None
    tables = charts.score_tables(curves, x[0], view, dots)
    mode, names = show.mode(), tuple(curves.components.tolist())
    for name, title, height in (("density", "density", 105), ("log", "log density", 105), ("score", "score", 135)):
        alt = f"The {title} of p_t over x at t = {t:g}"
        spec = charts.curves_spec(mode, title, names, height, nice=name != "log")
        show.chart(spec, tables[name], key=f"score-{name}", alt=alt)
    show.chart(charts.shares_spec(mode, names, 95), tables["shares"], key="score-shares", alt="Responsibilities over x")
    st.caption(
        "What to look for: the score is the slope of the log density, zero at every peak and in every dip; "
        "where one component has all the responsibility, it is that component's straight line. Dashed: the probe."
    )


with picture:
    (draw_plane if plane else draw_line)()
    alpha, sigma = (show.number(float(value)) for value in (experiment.sde.alpha(t), experiment.sde.sigma(t)))
    part = r"\mathcal N(\alpha_t \mu_k,\ \alpha_t^2 S_k + \sigma_t^2 I)"
    law = rf"\mathcal N_k = {part}, \quad k = {component + 1}" if alone else rf"p_t = \sum_k w_k\, {part}"
    st.markdown(rf"${law}, \quad \alpha_t = {alpha}, \quad \sigma_t = {sigma}$")


def printed() -> "Figure":
    title = f"The score of $p_t$ at t = {t:g}"
    if plane:
        return figures.score_fields(compute.score_fields(experiment, settings), title)
    return figures.score_curves(compute.score_curves(experiment, t, follow, component if alone else None), title, bool(alone))


show.download("score-field", printed)
shell.sections("score")
