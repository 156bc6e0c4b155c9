"""Reverse SDE: noise turns back into data along the exact score, and the exact answer stands beside what comes out."""

import streamlit as st

from scoredm import screens
from scoredm.language import N_, _
from scoredm.ui import cache, controls, predict, reverse, shell, show, whatif
from scoredm.ui.stage import stage

TUTORIAL = {"target": "tutorial", "sde": "ve", "lam": 10.0}
EXERCISE = TUTORIAL | {
    "rn": 2500,
    "rsteps": 200,
    "process": "sde",
    "prior": "zero",
    "tmin": 0.005,
    "denoise": False,
}
PRESETS = {
    N_("Exercise 1.3"): (EXERCISE, N_("The settings of the tutorial's exercise: 2500 particles, λ = 10, 200 steps.")),
    N_("Comparison"): (
        EXERCISE | {"rn": 1000, "lam": 25.0},
        N_("The settings of the tutorial's comparison: 1000 particles, λ = 25, 200 steps."),
    ),
    N_("Prior's cost"): (
        EXERCISE | {"lam": 5.0, "tmin": 0.001},
        N_("λ = 5: there is too little noise to forget where the data are."),
    ),
}
PROCESSES = {
    "sde": N_("Each step adds fresh noise, so the paths are rough."),
    "flow": N_("No step adds noise, so each particle follows a smooth path; all together have the same density pₜ."),
}

experiment = shell.header("reverse")
plane = experiment.dim == 2
picture, side = st.columns([3, 2])

with side:
    with st.container(horizontal=True):
        particles = controls.choose("reverse", "particles")
        steps = controls.choose("reverse", "steps")
    with st.container(horizontal=True):
        prior = controls.choose("reverse", "prior", "selectbox")
        t_min = controls.choose("reverse", "t_min")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        process = controls.choose("reverse", "process")
        with st.popover(_("Load settings")):
            for label, (values, words) in PRESETS.items():
                controls.preset(_(label), values, help=_(words), width="stretch")
    with st.container(horizontal=True, vertical_alignment="center"):
        denoise = controls.choose("reverse", "denoise")
        with st.popover(_("Layers")):
            camera = controls.camera("reverse", unavailable="" if plane else _("In one dimension the axes do not move."))
            colour = controls.choose("reverse", "colour")
            why = "" if plane else _("In one dimension there is no room for arrows: the axes are time and x.")
            arrows = controls.choose("reverse", "arrows", unavailable=why)
    numbers = st.container()

with st.expander(_("The update, with the numbers of one particle")):
    control, shown = st.columns([1, 3], vertical_alignment="center")
    with control:
        moment = controls.choose("reverse", "moment")

settings = screens.reverse.Settings(particles, steps, process, prior, t_min, denoise, camera, colour, arrows, moment)
with numbers, st.spinner(_("Sampling…")):
    result = cache.reverse(experiment, settings)

with picture:
    frames, drawn = result.animation.frames, result.run.shown.shape[1]
    alt = _("{n} particles move from noise at t = 1 to data at t = {end}, over the exact density, in {steps} steps with {sde}.")
    stage(
        frames,
        key=f"reverse-{experiment.dim}d",
        alt=alt.format(n=drawn, end=f"{frames.times[-1]:.3g}", steps=steps, sde=experiment.sde_label),
        height=430,
        start="last",
        arrow_scale=reverse.arrow_scales(result.animation),
        x_label="x₁" if plane else _("time t"),
        y_label="x₂" if plane else "x",
        equal_aspect=plane,
        trails=len(frames.times) if not plane else 4 if drawn <= 500 else 0,
    )
    one_start = experiment, settings
    predict.ask(screens.predictions.SPREAD, one_start, lambda: one_start, about=(experiment, process))
    some = _("{drawn} of {n} particles are drawn.").format(drawn=drawn, n=particles) if drawn < particles else ""
    look = _(
        "What to look for: the particles start as noise, gather where the grey density pₜ is, and split where its modes split."
    )
    st.caption(f"{look} {_(PROCESSES[process])} {some} {show.frames_drawn(frames, len(result.run.times))}")
with numbers:
    reverse.numbers(result, settings)
with shown:
    reverse.update(result.update)

st.header(_("Before and after"), anchor=False)
reverse.before_and_after(result)

show.download("before-after", lambda: reverse.figure(result))
whatif.draw(experiment)
shell.sections("reverse")
