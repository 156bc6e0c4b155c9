"""Memorisation: what the score of N training points gives back, and from which N on a network makes points of its own."""

import streamlit as st

from scoredm.charts.memorisation import EMPIRICAL, NETWORK, TRUE
from scoredm.ui import shell
from scoredm.ui.memorisation import compute, view
from scoredm.ui.training import runs

experiment = shell.header("memorisation")

with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
    points = view.choose_points(experiment)
    recipe = view.choose_network(experiment, points)
view.mismatch(experiment)

run = runs.current(recipe) if recipe is not None else None
rested = view.finished(recipe)
with st.spinner("Sampling with each score"):
    drawn = {
        TRUE: compute.by_true_score(experiment, points),
        EMPIRICAL: compute.by_empirical_score(experiment, points),
        NETWORK: compute.by_network(recipe, rested.trainer.step, rested) if recipe is not None and rested else None,
    }
    compute.collapse(experiment, points)
    alike = compute.alike(experiment, points)

st.markdown(view.sentence(len(points), drawn, alike))
live = run is not None and not run.parked
missing = view.invitation(recipe, run, experiment.dim)
for column, (name, found) in zip(st.columns(3), drawn.items(), strict=True):
    with column:
        view.panel(experiment, points, name, found, missing)
nearest, certainty, losses = st.columns(3)
with nearest:
    view.distances(experiment, points, drawn)
with certainty:
    view.collapse(experiment, points)
with losses:
    st.fragment(view.watch, run_every=view.POLL_SECONDS if live else None)(experiment, points, recipe, live)

view.download(experiment, points, drawn)
shell.sections("memorisation")
