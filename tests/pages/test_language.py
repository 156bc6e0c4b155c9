"""The reader's language: chosen for a visit, the same in every part of a page, and with English for what is not translated."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from scoredm import language
from scoredm.ui import reader
from tests.pages.conftest import APP

PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=2; plural=n != 1;\\n"

msgid "The score"
msgstr "Der Score"

msgid "Seed"
msgstr "Startwert"

msgid "Run all"
msgstr "Alle prüfen"

msgid "time t"
msgstr "Zeit t"
"""


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Prose of one page and a catalogue of four messages, beside the English prose."""
    prose, catalogues = tmp_path / "pages", tmp_path / "locale"
    (prose / "de").mkdir(parents=True)
    (prose / "de" / "score.md").write_text("Der Score zeigt bergauf.\n\n## Mehr\n\nText.\n", encoding="utf-8")
    (prose / "en").symlink_to(language.PROSE / "en")
    messages = catalogues / "de" / "LC_MESSAGES"
    messages.mkdir(parents=True)
    (messages / "scoredm.po").write_text(PO, encoding="utf-8")
    compiled = [sys.executable, "-m", "babel.messages.frontend", "compile", "-d", str(catalogues), "-D", "scoredm"]
    subprocess.run(compiled, check=True, capture_output=True)
    monkeypatch.setattr(language, "PROSE", prose)
    monkeypatch.setattr(language, "CATALOGUES", catalogues)
    language.load.cache_clear()
    yield
    language.load.cache_clear()


def lead(at: AppTest) -> str:
    return at.main.markdown[0].value


def test_a_link_chooses_the_language_for_the_whole_visit(german, open_page):
    at = open_page("score", lang="de")
    assert at.title[0].value == "Der Score" and "zeigt bergauf." in lead(at)
    assert [e.label for e in at.expander if e.label == "Mehr"] and at.number_input(key="seed").label == "Startwert"
    assert at.query_params["lang"] == "de"
    at.switch_page("pages/forward.py").run()
    assert at.number_input(key="seed").label == "Startwert" and at.title[0].value == "Forward diffusion"
    assert "is added to the data" in lead(at), "prose without a translation is English"
    assert at.query_params["lang"] == "de", "another page's address says it too"
    assert not at.exception


def test_nothing_of_it_reaches_another_reader(german, open_page):
    def axes(at: AppTest) -> str:
        return at.get("vega_lite_chart")[0].proto.spec

    first, second = open_page("forward", lang="de"), open_page("forward")
    assert "Zeit t" in axes(first) and "Zeit t" not in axes(second)
    assert second.number_input(key="seed").label == "Seed" and "lang" not in second.query_params
    assert "Zeit t" in axes(first.run()), "and the first reader keeps it"


def test_a_part_of_a_page_that_is_drawn_again_keeps_the_language(german, monkeypatch, open_page):
    drawn = []
    fragment = st.fragment

    def watched(draw: Callable[[], None], *, run_every: float | None) -> Callable[[], None]:
        def look() -> None:
            drawn.append(language._("Run all"))
            draw()

        return fragment(look, run_every=run_every)

    monkeypatch.setattr(st, "fragment", watched)
    at = open_page("verified", lang="de")
    assert drawn == ["Alle prüfen"] and at.button(key="run-all").label == "Alle prüfen"
    at.query_params.clear()
    at.run()
    assert at.button(key="run-all").label == "Alle prüfen" and drawn == ["Alle prüfen"] * 2


@pytest.mark.parametrize(
    "locale,expected", [("de-AT", "de"), ("de", "de"), ("en-GB", "en"), ("fr-FR", "en"), ("", "en"), ("../en", "en")]
)
def test_without_a_link_the_browser_chooses(german, locale, expected):
    assert reader.available(locale) == expected


def test_the_browser_is_asked(german, monkeypatch, open_page):
    monkeypatch.setattr(type(st.context), "locale", property(lambda _context: "de-CH"))
    at = open_page("score")
    assert at.title[0].value == "Der Score" and "lang" not in at.query_params
    assert open_page("score", lang="en").title[0].value == "The score"
    assert open_page("score", lang="xx").title[0].value == "Der Score", "a language that does not exist is not asked for"


def test_a_thread_that_draws_no_page_says_it_in_english_unless_it_is_bound_to_a_reader(german, monkeypatch):
    assert reader.language() == "en" and language._("Seed") == "Seed"
    monkeypatch.setattr(language, "_ask", [lambda: "de"])
    later = language.bound(lambda: language._("Seed"))
    monkeypatch.setattr(language, "_ask", [lambda: "en"])
    assert later() == "Startwert" and language._("Seed") == "Seed"


def test_today_there_is_only_english_and_no_choice_on_screen(open_page):
    assert language.languages() == ["en"]
    at = open_page("home")
    assert "lang" not in at.query_params
    shown = [*at.selectbox, *at.radio, *at.button, *at.get("button_group")]
    assert not any("language" in element.proto.label.lower() for element in shown)
    assert APP.is_file()
