"""The prose of the pages: read in the reader's language, and drawn with explained terms and links that keep the experiment."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import streamlit as st

from scoredm import glossary, language
from scoredm.address import TABLE, extend_link
from scoredm.ui import controls

EXERCISE = re.compile(r"(.*)\[([^\]]+)\]\(practice\?exercise=([\w-]+)\)(.*)")  # a paragraph of its own
LINK = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
EXPLAINED: ContextVar[frozenset[str]] = ContextVar("explained", default=frozenset())  # terms, on the page that is being drawn


@dataclass(frozen=True)
class Prose:
    """A page's words: the lead, and the sections that unfold."""

    lead: str
    sections: Mapping[str, str]


def read(name: str) -> Prose:
    """Read pages/<language>/<name>.md: what stands before the first `##` is the lead, each `##` starts a section.

    Read again when the file changes, so that a lecturer sees an edit at the next click.
    """
    path = language.prose_file(name)
    return _parse(path, path.stat().st_mtime_ns)


@cache
def _parse(path: Path, _modified: int) -> Prose:
    lead, *rest = re.split(r"^## +(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return Prose(lead.strip(), {h.strip(): body.strip() for h, body in zip(rest[::2], rest[1::2], strict=True)})


def begin() -> None:
    """Start a page: none of its terms is explained yet."""
    EXPLAINED.set(frozenset())


def write(text: str) -> None:
    """Draw prose: a term of the glossary is explained at its first use on the page, a link to a page keeps the experiment.

    Args:
        text: Markdown.
    """
    explained, terms = glossary.explain(text, read("glossary").lead, EXPLAINED.get())
    EXPLAINED.set(terms)
    query = controls.shared_query()
    for part in _parts(explained):
        _write_part(part, query)


def _write_part(part: str, query: str) -> None:
    exercise = EXERCISE.fullmatch(part)
    if exercise is None:
        st.markdown(_linked(part, query), unsafe_allow_html=True)
        return
    before, words, name, after = exercise.groups()
    link_to_exercise(re.sub("<[^>]*>", "", f"{before}{words}{after}"), name)


def link_to_exercise(words: str, name: str, key: str = "") -> None:
    """A button that leads to an exercise within this visit; a link would open a new tab, which knows nothing of the visit.

    Args:
        words: on the button.
        name: of the exercise.
        key: of the button, where the page has another one for this exercise.
    """
    values = {TABLE["practice"]["exercise"].name: name}
    st.button(words, icon=":material/edit_note:", key=key or f"exercise-{name}", on_click=controls.go, args=("practice", values))


def _parts(text: str) -> list[str]:
    """A text cut before and after each paragraph with a link to a page, which alone is drawn anew when the experiment changes.

    A paragraph that leads to an exercise is a part of its own.
    """
    paragraphs = groupby(text.split("\n\n"), _kind)
    return ["\n\n".join(group) for _key, group in paragraphs]


def _kind(paragraph: str) -> str:
    """What a paragraph is drawn as: itself where it leads to an exercise, else the same word for all with or without a link."""
    if EXERCISE.fullmatch(paragraph):
        return paragraph
    return "linked" if _linked(paragraph, "seed=0") != paragraph else "plain"


def _linked(text: str, query: str) -> str:
    """A text whose links to pages keep the experiment of a query."""
    return LINK.sub(lambda link: extend_link(link.group(), query), text)


def fold_until_opened(sections: Mapping[str, str]) -> None:
    """Draw the headings of sections, and send a section when it is opened: what nobody sees would slow each move of a control."""
    for heading, text in sections.items():
        place = st.expander(heading, key=section_key(controls.page(), heading), on_change="rerun")
        if place.open:
            with place:
                write(text)


def section_key(page: str, heading: str) -> str:
    """Where the session keeps whether a section of a page is open."""
    return f"section-{page}-{heading}"
