"""Training: a network learns the score by denoising, beside the exact score and the loss that no network can beat."""

import streamlit as st

from scoredm.ui import controls, shell, show
from scoredm.ui.training import learned, progress, recipe, runs

POLL_SECONDS = 0.5

experiment = shell.header("training")
row = st.container(horizontal=True, vertical_alignment="bottom")
chosen = recipe.choose(experiment, row)
run = runs.current(chosen)
with row:
    progress.buttons(chosen, run)
status = st.container()
curves, beside, numbers = st.columns([7, 5, 5])
with beside:
    gap = st.container()
    t = controls.choose("training", "t")
places = progress.Places(curves, gap, beside, numbers)
with st.container(horizontal=True, vertical_alignment="bottom"):
    smoothing = controls.choose("training", "smoothing")
    log = controls.choose("training", "log")
    notebook = controls.choose("training", "notebook")
view = progress.View(t, int(smoothing), log, notebook)

live = run is not None and not run.parked
with status:
    st.fragment(progress.watch, run_every=POLL_SECONDS if live else None)(chosen, view, places, live)
if notebook:
    perfect = show.number(learned.perfect_notebook_error(experiment, chosen.config.eps))
    st.caption(
        f"What is wrong with the tutorial’s metric: it judges the score at every t by the data and the scores of t = 0, so a "
        f"perfect model scores {perfect} here (from 2000 draws) and not 0."
    )

if run is not None and not live and run.trainer.step and run.error is None:
    progress.inside(chosen, run)
shell.sections("training")
