"""Links in the prose: they keep the reader's experiment, except for what they set themselves."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from scoredm.address import PAGES, extend_link
from scoredm.ui import prose

LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(at) -> list[str]:
    """The links to pages of the app in the prose of a page."""
    found = [link for element in at.main.markdown for link in LINK.findall(element.value)]
    return [link for link in found if not urlsplit(link).netloc]


@pytest.mark.parametrize("name", ["training", "reverse"])
def test_a_link_in_the_prose_keeps_the_experiment(open_whole_page, name):
    assert not any("=5" in link for link in links(open_whole_page(name))), "by default there is nothing to keep"
    at = open_whole_page(name, target="two-modes", lam=5, seed=7, rn=100)
    kept = {"target": ["two-modes"], "lam": ["5"], "seed": ["7"]}
    found = links(at)
    assert found
    for link in found:
        assert kept.items() <= parse_qs(urlsplit(link).query).items(), link
        assert "rn" not in parse_qs(urlsplit(link).query), "a setting of the page is not part of the experiment"
    topics = [link for link in found if "topic" in link]
    assert all(parse_qs(urlsplit(link).query)["topic"] for link in topics) and (topics or name != "training")


@pytest.mark.parametrize("name", ["forward", "score", "training", "reverse"])
def test_another_experiment_draws_only_the_paragraphs_with_links_anew(open_whole_page, name):
    """The browser typesets the formulas of a text again whenever the text changes."""
    at = open_whole_page(name)
    before = [element.value for element in at.main.markdown]
    at.slider(key="lam").set_value(7.0).run()
    changed = {element.value for element in at.main.markdown} - set(before)
    linked = [text for text in changed if any("lam=7" in link for link in LINK.findall(text))]
    assert linked and not any("\n\n" in text for text in linked)


def test_a_folded_section_is_sent_once_it_is_opened_and_stays_open(open_page):
    heading, text = next(iter(prose.read("score").sections.items()))
    first = prose._parts(text)[0][:40]
    at = open_page("score")
    assert heading in [expander.label for expander in at.expander]
    assert not any(first in element.value for element in at.markdown)
    at.session_state[prose.section_key("score", heading)] = True
    at.run()
    at.slider(key="lam").set_value(7.0).run()
    assert any(first in element.value for element in at.markdown)


def test_a_text_that_is_cut_loses_nothing():
    for name in PAGES:
        for text in (prose.read(name).lead, *prose.read(name).sections.values()):
            assert "\n\n".join(prose._parts(text)) == text


def test_what_a_link_sets_itself_wins(open_page, monkeypatch):
    text = prose.Prose("See [it](score?target=needle&t=0.5) and [theirs](https://example.org/?seed=1).", {})
    read = prose.read
    monkeypatch.setattr(prose, "read", lambda name: text if name == "forward" else read(name))
    first, *_rest = links(open_page("forward", target="two-modes", seed=7))
    assert parse_qs(urlsplit(first).query) == {"target": ["needle"], "t": ["0.5"], "seed": ["7"]}


@pytest.mark.parametrize("link", ["https://osf.io/j89qg/", "mailto:a@b.c", "#part", "other/page", "//host/score"])
def test_a_link_to_another_place_stays_as_it_is(link):
    assert extend_link(link, "seed=5") == link


@pytest.mark.parametrize("name", PAGES)
def test_a_link_to_any_page_is_extended(name):
    link = f"/{'' if name == 'home' else name}"
    assert extend_link(link, "seed=5&lam=2") == f"{link}?seed=5&lam=2"
    assert extend_link(f"{link}?seed=1#part", "seed=5") == f"{link}?seed=1#part"
