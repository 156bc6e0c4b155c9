"""Text from outside, such as a value in a link, as plain text in Markdown.

Streamlit's Markdown knows formulas, coloured words, icons, links and tables; none of it may come from a link.
"""

import re

MARKS = re.compile(r"([\\`*_{}\[\]()<>#+!|~$&:])")  # mean something anywhere in a line
FIRST = re.compile(r"^(\d*)([-=.])(?=[-=\s]|$)")  # mean something at its beginning
STARTS = re.compile(r"([:@]|\bwww)", re.IGNORECASE)  # of addresses, icons and emoji, which are found in spite of a backslash
JOINER = "\u2060"  # has no width; what follows it no longer belongs to an address


def as_text(text: str) -> str:
    r"""Escape a text, so that Markdown shows it as it is, in one line.

        >>> as_text("[x](//host/)")
        '\\[x\\]\\(//host/\\)'

    Args:
        text: any text.

    Returns:
        Markdown.
    """
    line = " ".join(text.split())
    return FIRST.sub(r"\1\\\2", MARKS.sub(r"\\\1", STARTS.sub(rf"\1{JOINER}", line)))
