"""Verified: the mathematics behind the app, checked again on the reader's own machine."""

import streamlit as st

from scoredm.language import _
from scoredm.ui import background, controls, shell, verified

KNOWN = ("values", "notebook")  # groups whose checks belong to the tutorial's experiment

experiment = shell.header("verified")
group = controls.choose("verified", "group", label_visibility="collapsed")
listed = verified.mine()
background.watch(lambda: verified.draw(listed, experiment, group), listed)
if group in KNOWN:
    words = _(
        "What to look for: “found” should equal “expected” to within the tolerance. These checks belong to the tutorial's "
        "experiment, whatever the sidebar says. The source is behind each question mark."
    )
else:
    words = _(
        "What to look for: “found” should equal “expected” to within the tolerance. These checks belong to your experiment: "
        "change the target, the SDE or the seed in the sidebar and run them again. The source is behind each question mark."
    )
st.caption(words)
st.download_button(
    _("Download table"),
    lambda: verified.table(listed, experiment),
    file_name="scoredm-verified.csv",
    mime="text/csv",
    icon=":material/download:",
    on_click="ignore",
)
shell.sections("verified")
