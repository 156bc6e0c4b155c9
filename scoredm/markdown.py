"""Text from outside, such as a value in a link, as plain text in Markdown.

Streamlit's Markdown knows formulas, coloured words, icons, links and tables; none of it may come from a link.
"""

import re
import unicodedata

MARKS = re.compile(r"([\\`*_{}\[\]()<>#+!|~$&:])")  # mean something anywhere in a line
FIRST = re.compile(r"^(\d*)([-=.])(?=[-=\s]|$)")  # mean something at its beginning
STARTS = re.compile(r"([:@]|\bwww)", re.IGNORECASE)  # of addresses, icons and emoji, which are found in spite of a backslash
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")  # categories of characters that show nothing; some turn the text after them round
STACKED = ("Mn", "Me")  # marks over and under the letter before; a pile of them covers other lines
MOST_STACKED = 2
JOINER = "\u2060"  # has no width; what follows it no longer belongs to an address


def as_text(text: str) -> str:
    r"""Escape a text, so that Markdown shows it as it is, in one line, without characters that cannot be seen.

        >>> as_text("[x](//host/)")
        '\\[x\\]\\(//host/\\)'

    Args:
        text: any text.

    Returns:
        Markdown.
    """
    line = _visible(" ".join(text.split()))
    return FIRST.sub(r"\1\\\2", MARKS.sub(r"\\\1", STARTS.sub(rf"\1{JOINER}", line)))


def _visible(line: str) -> str:
    """A line without what cannot be seen, and without piles of marks."""
    if line.isascii() and line.isprintable():
        return line
    shown, marks = [], 0
    for character in line:
        category = unicodedata.category(character)
        if category in UNSEEN:
            continue
        marks = marks + 1 if category in STACKED else 0
        if marks <= MOST_STACKED:
            shown.append(character)
    return "".join(shown)
