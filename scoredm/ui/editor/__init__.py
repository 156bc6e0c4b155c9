"""A small editor of code: monospace, Tab indents, and its text reaches Python when the reader pauses or checks."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import streamlit as st
from streamlit.components.v2 import component

from scoredm.language import _

_HERE = Path(__file__).parent

_component = component(
    "scoredm_editor",
    css=(_HERE / "editor.css").read_text(encoding="utf-8"),
    js=(_HERE / "editor.js").read_text(encoding="utf-8"),
)


class Written(NamedTuple):
    """What a reader wrote, and the exercise that it answers."""

    exercise: str
    text: str


def editor(
    text: str,
    *,
    key: str,
    exercise: str,
    revision: str,
    label: str,
    longest: int,
    on_text: Callable[[], None],
    on_check: Callable[[], None],
) -> None:
    """Show the editor, with its button *Check*.

    Args:
        text: what it shows when it appears, or when the revision is another.
        key: the name of this editor.
        exercise: what the text answers.
        revision: changes when the text shall be replaced; what is typed in between stays.
        label: what stands above it.
        longest: the most characters that can be typed.
        on_text: called after the text has changed, when `written(key, "text")` is what it is now.
        on_check: called when the reader checks it, when `written(key, "check")` is what is checked.
    """
    data = {
        "text": text,
        "exercise": exercise,
        "revision": revision,
        "label": label,
        "button": _("Check"),
        "keys": _("Ctrl+Enter checks. Tab indents; to leave the editor by keyboard, press Esc and then Tab."),
        "leave": _("The next Tab leaves the editor."),
        "most": longest,
    }
    _component(key=key, data=data, on_text_change=on_text, on_check_change=on_check)


def written(key: str, name: str) -> Written | None:
    """What a browser sent, or None for anything that it should not have sent.

    Args:
        key: of the editor.
        name: "text" or "check".
    """
    state = st.session_state.get(key)
    value = state.get(name) if state else None
    if not isinstance(value, dict) or not all(isinstance(value.get(part), str) for part in Written._fields):
        return None
    return Written(value["exercise"], value["text"])
