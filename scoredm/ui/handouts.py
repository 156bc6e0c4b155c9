"""What a teacher prints: the formula sheet and the notes, as pages that any browser prints."""

import streamlit as st

from scoredm import charts, language
from scoredm.language import N_, _, bound

# Name of its file -> its title, and the columns of its text.
SHEETS = {"formulas": (N_("Formula sheet"), 2), "teacher": (N_("Teacher's notes"), 1)}


def offer() -> None:
    """Offer each sheet as an HTML file; it is made only when it is asked for."""
    for name, (title, columns) in SHEETS.items():
        path, words = language.prose_file(f"handouts/{name}"), _("To print: open the file in a browser and press Ctrl+P.")
        st.download_button(
            _(title),
            bound(lambda path=path, columns=columns: charts.handouts.page(path.read_text(encoding="utf-8"), columns)),
            file_name=f"scoredm-{name}.html",
            mime="text/html",
            key=f"handout-{name}",
            help=words,
            icon=":material/print:",
            on_click="ignore",
            type="tertiary",
        )
