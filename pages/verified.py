"""Verified: the mathematics behind the app, checked again on the reader's own machine."""

import streamlit as st

from scoredm.ui import controls, shell
from scoredm.ui.verified import view
from scoredm.ui.verified.bench import bench

POLL_SECONDS = 0.5
FOLLOW = {
    True: "These are of the tutorial's experiment, whatever the sidebar says.",
    False: "These are of your experiment: change the target, the SDE or the seed in the sidebar and run them again.",
}

experiment = shell.header("verified")
group = controls.choose("verified", "group", label_visibility="collapsed")
mine = bench()
live = mine.busy
st.fragment(view.watch, run_every=POLL_SECONDS if live else None)(mine, experiment, group, live)
st.caption(
    "What to look for: found is expected, within the tolerance. "
    + FOLLOW[group in ("values", "notebook")]
    + " The source is behind each question mark."
)
st.download_button(
    "Download table",
    lambda: view.table(mine, experiment),
    file_name="scoredm-verified.csv",
    mime="text/csv",
    icon=":material/download:",
    on_click="ignore",
)
shell.sections("verified")
