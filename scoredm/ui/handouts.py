"""What a teacher prints: the formula sheet and the notes, as pages that any browser prints."""

import streamlit as st

from scoredm import charts, language
from scoredm.language import N_, _, bound

# Name of its file -> its title, and the columns of its text.
SHEETS = {"formulas": (N_("Formula sheet"), 2), "teacher": (N_("Teacher's notes"), 1)}


def offer() -> None:
    """Offer each sheet as an HTML file; it is made only when it is asked for."""
    label = _("Formula sheet, notes")
    place = st.popover(label, icon=":material/print:", type="tertiary", key="handouts", on_change="rerun")
    if not place.open:  # buttons that nobody sees would cost every rerun
        return
    with place:
        st.caption(_("To print: open the file in a browser and press Ctrl+P."))
        for name, (title, columns) in SHEETS.items():
            path = language.prose_file(f"handouts/{name}")
            st.download_button(
                _(title),
                bound(lambda path=path, columns=columns: charts.handouts.page(path.read_text(encoding="utf-8"), columns)),
                file_name=f"scoredm-{name}.html",
                mime="text/html",
                key=f"handout-{name}",
                icon=":material/download:",
                on_click="ignore",
                width="stretch",
            )
