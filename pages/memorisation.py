"""Memorisation: samples by the score of N training points, and from which N on a network generates new points."""

import streamlit as st

from scoredm import screens
from scoredm.language import _
from scoredm.ui import cache, memorisation, predict, shell

experiment = shell.header("memorisation")

with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
    points = memorisation.choose_points(experiment)
    task = memorisation.choose_network(experiment, points)
memorisation.mismatch(experiment)

with st.spinner(_("Sampling with each score")):
    drawn = memorisation.samples(experiment, points, task)
exact = cache.exact_scores(experiment, points)

memorisation.result(experiment, points, drawn)
trained = screens.predictions.Trained(len(points), drawn["network"])
predict.ask(screens.predictions.COPIES, trained, lambda: trained, about=experiment, act=memorisation.train_on_many)
memorisation.panels(experiment, points, task, drawn)
nearest, collapse, losses = st.columns(3)
with nearest:
    memorisation.distances(exact, drawn)
with collapse:
    memorisation.collapse(exact.collapse)
with losses:
    memorisation.losses(experiment, points, task, drawn)

memorisation.download(experiment, points, drawn)
shell.sections("memorisation")
