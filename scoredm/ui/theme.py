"""Whether the reader's page is dark: Streamlit does not run a page again when that changes, so the browser asks for it."""

from pathlib import Path

from streamlit.components.v2 import component

from scoredm.ui import show

_component = component("scoredm_theme", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"))


def follow() -> None:
    """Have the page drawn again when the reader's system or browser changes between light and dark.

    Pictures and charts are drawn in the colours of one theme: those of the other would hardly be seen on its background.
    """
    _component(key="theme", data={"mode": show.mode()}, on_mode_change=_keep)


def _keep() -> None:
    """Do nothing: the rerun itself does the work."""
