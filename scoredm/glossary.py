"""The glossary: its terms, and the first use of each in a text, where a reader needs the explanation.

The file has one entry a line, `- **term**: explanation`. In a text a term is explained where it first stands in plain words:
not in a heading, a formula, a link, code or a title, and not as a part of a longer term.
"""

import html
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

ENTRY = re.compile(r"^- \*\*(?P<term>[^*]+)\*\*: (?P<words>[^\n]+)$", re.MULTILINE)
SKIPPED = (
    r"^```.*?^```",  # code
    r"^#+ .*?$",  # headings
    r"\$\$.+?\$\$",
    r"`[^`]+`",
    r"\$[^$]+\$",
    r"!?\[[^\]]*\]\([^)]*\)",
    r"<[^>]+>",
)


def entries(text: str) -> dict[str, str]:
    """The terms of a glossary in the order of its file, each with its explanation.

    Args:
        text: of the file.
    """
    return {entry["term"]: entry["words"] for entry in ENTRY.finditer(text)}


def first_uses(text: str, terms: Mapping[str, str]) -> Iterator[tuple[str, re.Match[str]]]:
    """Every term that a text uses, in the order of the text, with the place of its first use.

    Args:
        text: Markdown.
        terms: {term: explanation}.
    """
    seen = set()
    if not terms:
        return
    for found in _pattern(tuple(terms)).finditer(text):
        term = next((term for i, term in enumerate(terms) if found.lastgroup == f"term{i}"), None)
        if term is not None and term not in seen:
            seen.add(term)
            yield term, found


@lru_cache(maxsize=512)
def explain(text: str, glossary: str, explained: frozenset[str]) -> tuple[str, frozenset[str]]:
    """Put the explanation of each term beside its first use, for readers who point at it, tap it or come to it with the Tab key.

    Args:
        text: Markdown.
        glossary: the text of its file.
        explained: terms that were explained further up on the page.

    Returns:
        The text, with terms as HTML; and the terms that are explained now.
    """
    terms = entries(glossary)
    parts, end = [], 0
    for term, found in first_uses(text, terms):
        if term not in explained:
            words = html.escape(terms[term])
            parts += [text[end : found.start()], f'<span class="term" tabindex="0" title="{words}">{found.group()}</span>']
            end = found.end()
            explained |= {term}
    return "".join([*parts, text[end:]]), explained


@lru_cache(maxsize=8)
def _pattern(terms: tuple[str, ...]) -> re.Pattern[str]:
    """What is skipped, or one of the terms, the longer before the shorter."""
    longest_first = sorted(enumerate(terms), key=lambda item: -len(item[1]))
    forms = "|".join(_any_form(term) for term in terms)
    title = rf"(?<![^\s(“|])\*{{1,2}}(?!(?:{forms})\*)[^\s*][^*]*\*{{1,2}}"  # emphasised, and not just a term: a button, a book
    named = [rf"(?P<term{i}>(?<![\w-])(?:{_any_form(term)})(?![\w-]))" for i, term in longest_first]
    return re.compile("|".join([*SKIPPED, title, *named]), re.MULTILINE | re.DOTALL)


def _any_form(term: str) -> str:
    """A pattern of a term at the start of a sentence or within it, in one line or two, singular or plural."""
    first, rest = re.escape(term[0]), r"\s+".join(re.escape(part) for part in term[1:].split(" "))
    first = f"[{term[0]}{term[0].upper()}]" if term[0].islower() else first
    rest = rest.removesuffix("y") + "(?:y|ies)" if rest.endswith("y") else rest + "s?"
    return (first + rest).replace("'", "['’]")
