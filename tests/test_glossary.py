"""The glossary in the prose: each term is explained once on a page, where it first stands in plain words."""

import html
import re
from pathlib import Path

import pytest

from scoredm import glossary
from scoredm.address import PAGES, TABLE
from scoredm.parameters import Choice

PROSE = Path(__file__).parents[1] / "pages" / "en"
GLOSSARY = (PROSE / "glossary.md").read_text(encoding="utf-8")
TERMS = glossary.entries(GLOSSARY)
MARK = re.compile(r'<span class="term" tabindex="0" title="([^"]*)">([^<]*)</span>')
IN_FORMULAS = {"Wₜ": r"W_t\b"}  # terms that are symbols stand in formulas, which nobody can point at


def read(name: str) -> str:
    return (PROSE / f"{name}.md").read_text(encoding="utf-8")


def pages() -> list[list[str]]:
    """The files of prose that a reader can meet on one page, in its order."""
    topic = TABLE["maths"]["topic"]
    assert isinstance(topic, Choice)
    plain = [[name] for name in PAGES if name not in ("home", "maths")]
    return [["home", "home/steps", "home/links"], *plain, *(["maths", f"maths/{name}"] for name in topic.titles)]


def explained(files: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """The prose of a page with its explanations, and (words, explanation) of each."""
    texts, known = [], frozenset()
    for name in files:
        text, known = glossary.explain(read(name), GLOSSARY, known)
        texts.append(text)
    whole = "\n\n".join(texts)
    return whole, [(words, html.unescape(said)) for said, words in MARK.findall(whole)]


@pytest.mark.parametrize("files", pages(), ids=lambda files: files[-1])
def test_a_term_is_explained_once_and_at_its_first_use(files):
    whole, marks = explained(files)
    plain = "\n\n".join(read(name) for name in files)
    assert MARK.sub(r"\2", whole) == plain, "nothing else is changed"
    said = [explanation for _words, explanation in marks]
    assert len(set(said)) == len(said) > 2
    assert said == [TERMS[term] for term, _place in glossary.first_uses(plain, TERMS)]


def test_every_term_is_used():
    used = {term for files in pages() for name in files for term, _place in glossary.first_uses(read(name), TERMS)}
    formulas = "\n".join(path.read_text(encoding="utf-8") for path in PROSE.rglob("*.md") if path.stem != "glossary")
    used |= {term for term, pattern in IN_FORMULAS.items() if re.search(pattern, formulas)}
    assert set(TERMS) - used == set()


@pytest.mark.parametrize(
    "text,marked",
    [
        ("The score. A score.", ["score"]),
        ("Scores of two\nmixtures of Gaussians: densities.", ["Scores", "densities"]),
        ("## The score\n\n$score$ `score` [the score](x) <b title='score'>x</b>\n\n```\nscore\n```\n$$\nscore\n$$", []),
        ("The empirical score, then the score.", ["empirical score", "score"]),
        ("A *score-based* score", ["score"]),
        ("**score** and *The score* and **Press the drift**", ["score"]),
        ("code, ODE", ["ODE"]),
        ("Bayes’ rule", ["Bayes’ rule"]),
    ],
)
def test_what_is_a_use_of_a_term(text, marked):
    found, known = glossary.explain(text, GLOSSARY, frozenset())
    assert [words for _said, words in MARK.findall(found)] == marked
    assert glossary.explain(text, GLOSSARY, known) == (text, known), "further down it is not explained again"


def test_an_explanation_cannot_break_out_of_its_place():
    text, _known = glossary.explain("a drift", '- **drift**: Less than "<b>".', frozenset())
    assert text == 'a <span class="term" tabindex="0" title="Less than &quot;&lt;b&gt;&quot;.">drift</span>'
