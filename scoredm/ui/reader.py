"""The reader's language: what the link asks for, or else what the browser asks for, if the app has it; kept for the visit."""

import threading
from typing import NamedTuple

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from scoredm.address import TABLE
from scoredm.language import ENGLISH, languages

PARAMETER = TABLE["reader"]["language"]
LESSON, STOP = TABLE["reader"]["lesson"], TABLE["reader"]["stop"]
KEPT = "_visit"  # session state: the visit

_known = threading.local()  # the run of this thread, and its reader's language


class Visit(NamedTuple):
    """What a reader's first link asked for, and the language of all that the reader sees."""

    asked: str
    language: str


def visit() -> Visit:
    """The present reader's visit."""
    if KEPT not in st.session_state:
        asked = st.query_params.get(PARAMETER.name)
        found = asked if asked in languages() else None  # not read by the parameter, whose complaint would need a language
        st.session_state[KEPT] = Visit(found or PARAMETER.default, found or available(st.context.locale or ""))
    return st.session_state[KEPT]


def names() -> set[str]:
    """What a link may say of the reader, by its names in a link."""
    return {parameter.name for parameter in TABLE["reader"].values()}


def language() -> str:
    """The language of the reader whose page the present thread draws; English in a thread that draws no page.

    Every sentence asks for it, so a run looks it up once.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return ENGLISH
    if getattr(_known, "context", None) is not context:
        _known.context, _known.language = context, visit().language
    return _known.language


def available(locale: str) -> str:
    """The language of the app that is nearest to a browser's, such as "de" for "de-AT"; English where there is none."""
    whole = locale.replace("-", "_")
    return next((name for name in (whole, whole.partition("_")[0]) if name in languages()), ENGLISH)
