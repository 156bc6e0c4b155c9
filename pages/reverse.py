"""Reverse SDE: noise turns back into data along the exact score, and the truth stands beside what comes out."""

import streamlit as st

from scoredm.charts import figures, samples as charts
from scoredm.ui import cache, controls, shell, show
from scoredm.ui.reverse import compute, view
from scoredm.ui.stage import stage

TUTORIAL = {"target": "tutorial", "sde": "ve", "lam": 10.0}
EXERCISE = {**TUTORIAL, "rn": 2500, "rsteps": 200, "prior": "zero", "tmin": 0.005, "denoise": False}
PRESETS = {
    "Exercise 1.3": (EXERCISE, "The tutorial: 2500 particles, λ = 10, 200 steps"),
    "Comparison": (EXERCISE | {"rn": 1000, "lam": 25.0}, "The tutorial: 1000 particles, λ = 25, 200 steps"),
    "Prior's cost": (EXERCISE | {"lam": 5.0, "tmin": 0.001}, "λ = 5: too little noise to forget where the data are"),
}

experiment = shell.header("reverse")

plane = experiment.dim == 2
picture, side = st.columns([3, 2])

with side:
    with st.container(horizontal=True):
        n = controls.choose("reverse", "particles")
        steps = controls.choose("reverse", "steps")
    with st.container(horizontal=True):
        prior = controls.choose("reverse", "prior", "selectbox")
        t_min = controls.choose("reverse", "t_min")
    with st.container(horizontal=True, vertical_alignment="center"):
        tweedie = controls.choose("reverse", "denoise")
        with st.popover("Layers"):
            camera = controls.camera("reverse", disabled=not plane)
            colour = controls.choose("reverse", "colour")
            arrows = controls.choose("reverse", "arrows", disabled=not plane)
        with st.popover("Try"):
            for label, (values, words) in PRESETS.items():
                controls.preset(label, values, help=words, width="stretch")

settings = compute.Reverse(n, steps, prior, t_min, tweedie, camera == "follow", colour == "component")
with side, st.spinner("Sampling"):
    run = compute.reverse(experiment, settings)
    beside = cache.compare(experiment, run.end)

with picture:
    drawn = min(n, compute.DRAWN[experiment.dim])
    stage(
        run.frames,
        key=f"reverse-{experiment.dim}d",
        alt=f"{drawn} particles run from noise at t = 1 to data, over the exact density p_t.",
        height=430,
        start="last",
        layers_hidden=() if arrows else ("arrows",),
        x_label="x₁" if plane else "time t",
        y_label="x₂" if plane else "x",
        equal_aspect=plane,
        trails=len(run.times) if not plane else 4 if drawn <= 500 else 0,
    )
    st.caption(
        "What to look for: the particles start as noise and gather where the grey density pₜ is, and part where its modes part."
        + (f" {drawn} of {n} particles are drawn." if drawn < n else "")
        + f" {show.frames_drawn(run.frames, len(run.times))}"
    )
with side:
    st.markdown(view.verdict(experiment, settings, beside))
    show.exact_and_found(view.table(beside))
    st.markdown(view.distance(beside, n))
    if len(beside.weights.exact) > view.FEW:
        table = charts.weights_table(beside.weights.exact, beside.weights.found, beside.weights.error)
        show.chart(charts.weights_spec(show.mode()), table, key="weights", alt="Weight of each component, exact and found")

st.subheader("Before and after", anchor=False)
contours = "The exact contours hold 25, 50, 75 and 95 % of p₁ and of the data; dashed: the window of the other two."
show.panels(view.panels(experiment, run, show.mode()), "panel")
st.caption(f"What to look for: the last two should look alike. {contours if plane else 'The curves are exact.'}")

st.subheader("The update", anchor=False)
control, equation = st.columns([1, 3], vertical_alignment="center")
with control:
    step = compute.reverse_step(experiment, run, controls.choose("reverse", "moment"))
    drift = f", f(t) = −{show.number(-step.f)}" if step.f else ""
    st.caption(
        f"t = {step.t:.3f}, Δt = {show.number(step.dt)}, g(t) = {show.number(step.g)}{drift}. "
        "The numbers are the first particle's."
    )
equation.latex(view.update(step))

show.download(
    "before-after", lambda: figures.samples(view.panels(experiment, run, "light"), cache.outline(experiment, 0.0).shares)
)
shell.sections("reverse")
