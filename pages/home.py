"""Home: the story in four live pictures, and the experiment at a glance."""

import streamlit as st

from scoredm import screens
from scoredm.language import N_, _
from scoredm.ui import cache, controls, handouts, home, lesson, predict, prose, quiz, shell, show

# Page -> what its picture shows where the data are in the plane and on the line.
STEPS = {
    "forward": (
        N_("The density at four times from data to noise, with points coloured by their origin"),
        N_("Paths fan out over the density of x, from data on the left to noise on the right"),
    ),
    "score": (
        N_("The density at t = 0.2, and arrows that point uphill"),
        N_("The density at t = 0.2 as a hill, and arrows below it that point uphill"),
    ),
    "reverse": (
        N_("Points at four times from noise to data, filling the exact density"),
        N_("Paths gather from noise on the right into data on the left"),
    ),
    "training": (
        N_("Noisy points joined to the clean points they came from, with arrows to the best guess"),
        N_("Clean against noisy values, with the best guess of the clean as a curve"),
    ),
}

experiment = shell.header("home")
mode = show.mode()
with st.spinner(_("Computing the pictures of this experiment…")):
    result, pictures = cache.home(experiment, screens.home.Settings()), cache.step_pictures(experiment, mode)
words = prose.read("home/steps").sections

columns = st.columns(4, border=True)
for number, (column, (name, alts)) in enumerate(zip(columns, STEPS.items(), strict=True), start=1):
    with column:
        st.page_link(shell.page(name), label=f"**{number} · {shell.title(name)}**", icon=shell.icon(name))
        st.image(pictures[name], width="stretch", alt=_(alts[experiment.dim == 1]))
        prose.write(words.get(f"{name}, in the plane", words[name]) if experiment.dim == 2 else words[name])

st.markdown(lesson.offered())
with st.container(horizontal=True, vertical_alignment="center"):
    lesson.offer()
    quiz_wanted = controls.choose("home", "quiz")
    handouts.offer()
if quiz_wanted:
    quiz.show()

picture, facts, links = st.columns([1.1, 2.2, 1.5], vertical_alignment="center")
with picture:
    alt = _("The target's density with an outline of each component")
    st.image(cache.thumbnail(experiment.target, mode), width="stretch", alt=alt)
with facts:
    known = predict.ask(screens.predictions.NOISE_AT_THE_END, result, lambda: result, about=experiment)
    home.facts(experiment, result, noise=known)
with links:
    prose.write(prose.read("home/links").lead)

shell.sections("home")
