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
from scoredm.address import extend_link
from scoredm.ui import controls

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


def write(text: str, end: str = "") -> None:
    """Draw prose: a term of the glossary is explained at its first use on the page, a link to a page keeps the experiment.

    Args:
        text: Markdown.
        end: what follows as it is, Markdown or HTML.
    """
    explained, terms = glossary.explain(text, read("glossary").lead, EXPLAINED.get())
    EXPLAINED.set(terms)
    query = controls.shared_query()
    *parts, last = _parts(explained)
    for part in parts:
        st.markdown(_linked(part, query), unsafe_allow_html=True)
    st.markdown(_linked(last, query) + end, unsafe_allow_html=True)


def _parts(text: str) -> list[str]:
    """A text cut before and after each paragraph with a link to a page, which alone is drawn anew when the experiment changes."""
    paragraphs = groupby(text.split("\n\n"), lambda paragraph: _linked(paragraph, "seed=0") != paragraph)
    return ["\n\n".join(group) for _has_link, group in paragraphs]


def _linked(text: str, query: str) -> str:
    """A text whose links to pages keep the experiment of a query."""
    return LINK.sub(lambda link: extend_link(link.group(), query), text)


def fold(sections: Mapping[str, str]) -> None:
    """Draw sections, each folded under its heading."""
    for heading, text in sections.items():
        with st.expander(heading):
            write(text)
