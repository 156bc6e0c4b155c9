"""Practice: six exercises to be solved by a line of code, a verdict that names the slip, and what the line does."""

import streamlit as st

from scoredm import screens
from scoredm.language import _
from scoredm.ui import attempts, cache, controls, practice, shell

experiment = shell.header("practice")
name = controls.choose("practice", "exercise", label_visibility="collapsed")
practice.take_link(name)

practice.task(name)

work, picture = st.columns(2, gap="medium")
with work:
    practice.write(name)
    said = st.container()
    practice.aid(name)

with picture:
    drawn = st.container()
    t = controls.choose("practice", "t") if name in screens.practice.TIMED else 0.2

checked = attempts.attempt(name).checked
if checked is None:
    drawn.info(_("Press **Check**: here you will see what your line does, beside the right one."))
else:
    with drawn, st.spinner(_("Trying your line…")):
        found = cache.practice(experiment, screens.practice.Settings(name, checked or " ", t))
    with said:
        practice.verdict(found)
    with drawn:
        practice.effect(found, t)

with st.container(horizontal=True, vertical_alignment="center"):
    practice.notebooks(name)
    practice.progress()
shell.sections("practice")
