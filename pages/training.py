"""Training: a network learns the score by denoising, beside the exact score and the loss that no network can beat."""

import streamlit as st

from scoredm import screens
from scoredm.ui import background, cache, controls, predict, shell
from scoredm.ui.training import onepoint, recipe, resume, view

experiment = shell.header("training")
top = st.container(horizontal=True, vertical_alignment="bottom")
custom = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall")
status = st.container()
curves, beside, numbers = st.columns([7, 5, 5])
with beside:
    pair = controls.choose("training", "pair", disabled=experiment.dim == 1, label_visibility="collapsed")
    scores = st.container()
    t = controls.choose("training", "t")
with curves:
    chart = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        smoothing = controls.choose("training", "smoothing")
        log = controls.choose("training", "log")
        notebook = controls.choose("training", "notebook")
with top:
    settings = recipe.choose(t, smoothing, custom)
task = view.task(experiment, settings)
run = resume.follow(task, status)
with top:
    view.buttons(task, run)

# A run that ends from here on has the page drawn again.
ready = run is not None and run.step and run.error is None and not background.moving(run)
places = view.Places(chart, scores, beside, numbers)
seen = cache.training_look(experiment, settings, run)
with numbers:
    floor = predict.ask(screens.predictions.LOSS, seen, lambda: seen, about=experiment)
look = view.View(log, notebook, pair, floor)
with status:
    background.watch(lambda: view.draw(experiment, settings, run, look, places), run)

onepoint.draw(experiment, t, run)
if run is not None and ready:
    view.samples(experiment, settings, run)
shell.sections("training")
