"""The maths: each formula, its derivation in steps that unfold, and both its sides for the current experiment."""

import streamlit as st

from scoredm.language import _
from scoredm.ui import controls, maths, prose, shell

experiment = shell.header("maths")
topic = controls.choose("maths", "topic", label_visibility="collapsed")
words, draw = prose.read(f"maths/{topic}"), maths.TOPICS.get(topic)

formulas, live = st.columns([6, 5], gap="medium") if draw else (st.container(), st.container())
with formulas:
    prose.write(words.lead)
    prose.fold_until_opened(words.sections)
if draw:
    with live, st.spinner(_("Computing both sides for this experiment…")):
        draw(experiment)

shell.sections("maths")
