"""Home: the story in four live pictures, and the experiment at a glance."""

import streamlit as st

from scoredm.charts import pictures
from scoredm.ui import compute, home, shell, show

# Page -> its picture, and what the picture shows where the data are in the plane and on the line.
STEPS = {
    "forward": (
        pictures.forward_step,
        "The density at four times from data to noise, with points coloured by their origin",
        "Paths fan out over the density of x, from data on the left to noise on the right",
    ),
    "score": (
        pictures.score_step,
        "The density at t = 0.2, and arrows that point uphill",
        "The density at t = 0.2 as a hill, and arrows below it that point uphill",
    ),
    "reverse": (
        pictures.reverse_step,
        "Points at four times from noise to data, filling the exact density",
        "Paths gather from noise on the right into data on the left",
    ),
    "training": (
        pictures.learn_step,
        "Noisy points joined to the clean points they came from, with arrows to the best guess",
        "Clean against noisy values, with the best guess of the clean as a curve",
    ),
}

experiment = shell.header("home")
mode = show.mode()
with st.spinner("Computing the pictures of this experiment…"):
    story = home.story(experiment)
    glance = home.glance(experiment)
words = shell.prose("home/steps").sections

for number, (column, (name, (draw, *alts))) in enumerate(zip(st.columns(4), STEPS.items(), strict=True), start=1):
    with column, st.container(border=True, height="stretch", gap="small"):
        title, icon = shell.PAGES[name]
        st.page_link(shell.page(name), label=f"**{number} · {title}**", icon=icon)
        st.image(draw(story, mode), width="stretch", alt=alts[experiment.dim == 1])
        st.markdown(words.get(f"{name}, in the plane", words[name]) if experiment.dim == 2 else words[name])

picture, facts, links = st.columns([1.1, 2.2, 1.5], vertical_alignment="center")
with picture:
    alt = "The target's density with an outline of each component"
    st.image(compute.thumbnail(experiment.target, mode), width="stretch", alt=alt)
with facts:
    st.markdown("**Your experiment**, set in the sidebar")
    st.markdown(home.facts(glance))
with links:
    st.markdown(shell.prose("home/links").lead)

shell.sections("home")
