"""Training: a network learns the score by denoising, beside the exact score and the loss that no network can beat."""

import streamlit as st

from scoredm.ui import background, controls, shell
from scoredm.ui.training import recipe, resume, view

experiment = shell.header("training")
top = st.container(horizontal=True, vertical_alignment="bottom")
custom = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall")
notices = st.container()
with top:
    chosen = recipe.choose(custom)
task = view.task(experiment, chosen)
run = resume.follow(task, notices)
with top:
    view.buttons(task, run)
controls.part(lambda: view.draw(experiment, chosen, run))
# A run that ends from here on has the page drawn again.
if run is not None and run.step and run.error is None and not background.moving(run):
    view.samples(experiment, chosen, run)
shell.sections("training")
