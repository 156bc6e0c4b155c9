"""The score: which way, and how steeply, log p_t rises, and what each component adds to it."""

import streamlit as st

from scoredm import screens
from scoredm.language import _
from scoredm.ui import controls, score, shell, show
from scoredm.ui.score import form, probe

TUTORIAL = {"target": "tutorial", "t": 0.0, "view": "mixture", "arrows": "samples", "dots": 5000, "picture": "log"}
ONE_DIMENSION = {"target": "two-modes", "view": "mixture"}

experiment = shell.header("score")
plane = experiment.dim == 2
picture, side = st.columns([3, 2])

with side:
    t = controls.choose("score", "t")
    view = controls.choose("score", "view")
    component = probe.choose_component(experiment.mixture.n_components) if view == "component" else 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.popover(_("Layers"), icon=":material/layers:"):
            density = controls.choose("score", "picture", disabled=not plane)
            arrows = controls.choose("score", "arrows", disabled=not plane)
            samples = controls.choose("score", "samples")
            camera = controls.camera("score")
            fitted = controls.choose("score", "probe_scale", disabled=not plane) == "fitted"
        about = _("Add one, at the probe or elsewhere, or remove the last")
        adding = st.popover(_("Component"), icon=":material/add:", help=about, key="adding", on_change="rerun")
        controls.preset(_("Tutorial"), TUTORIAL, help=_("The tutorial's own view: 5000 samples, and the score at 200 of them"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = probe.choose_point(experiment.dim)
        settings = screens.score.Settings(t, view, component, density, arrows, samples, camera, *x)
        probe.saddle_button(experiment, settings)
    probe.show_problem()
    if adding.open:
        with adding:
            form.add_component(experiment, x)
    else:
        form.keep(x)
    found = screens.score.probe(experiment, settings)
    probe.table(found)

scale = score.probe_scale(experiment, settings, found, fitted) if plane else None
with picture:
    if plane:
        score.plane(experiment, settings, found, scale)
    else:
        score.line(experiment, settings, found)

# Below both columns: on a narrow screen the controls then follow the picture at once.
score.predict_at(experiment, settings, found)
if plane:
    score.caption(experiment, settings, found, scale)
else:
    score.line_caption(found)
with st.container(horizontal=True, vertical_alignment="center"):
    if plane:
        see = _("Density, log density, score and responsibilities of *Two modes* as four curves")
        controls.preset(_("See it in one dimension"), ONE_DIMENSION, icon=":material/show_chart:", help=see)
    show.download("score-field", lambda: score.printed(experiment, settings))
score.equation(found)
shell.sections("score")
