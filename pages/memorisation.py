"""Memorisation: what the score of N training points gives back, and from which N on a network makes points of its own."""

import streamlit as st

from scoredm.memory_charts import EMPIRICAL, NETWORK, TRUE
from scoredm.ui import memory_view, remembering, runs, shell

experiment = shell.header("memorisation")

with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
    points = memory_view.choose_points(experiment)
    recipe = memory_view.choose_network(experiment, points)
memory_view.mismatch(experiment)

run = runs.current(recipe) if recipe is not None else None
rested = memory_view.finished(recipe)
with st.spinner("Sampling with each score"):
    drawn = {
        TRUE: remembering.by_true_score(experiment, points),
        EMPIRICAL: remembering.by_empirical_score(experiment, points),
        NETWORK: remembering.by_network(recipe, rested.trainer.step, rested) if recipe is not None and rested else None,
    }
    remembering.collapse(experiment, points)
    alike = remembering.alike(experiment, points)

st.markdown(memory_view.sentence(len(points), drawn, alike))
live = run is not None and not run.parked
missing = memory_view.invitation(recipe, run, experiment.dim)
columns = st.columns(3)
for column, (name, found) in zip(columns, drawn.items(), strict=True):
    with column:
        memory_view.panel(experiment, points, name, found, missing)
with columns[0]:
    memory_view.distances(experiment, points, drawn)
with columns[1]:
    memory_view.collapse(experiment, points)
with columns[2]:
    st.fragment(memory_view.watch, run_every=memory_view.POLL_SECONDS if live else None)(experiment, points, recipe, live)

memory_view.download(experiment, points, drawn)
shell.sections("memorisation")
