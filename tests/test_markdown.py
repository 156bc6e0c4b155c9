"""Text from outside stays plain text: whatever it holds, Markdown's own parser finds nothing in it."""

import doctest
import re

import pytest
from markdown_it import MarkdownIt

from scoredm import markdown
from scoredm.markdown import as_text

HOSTILE = (
    r"$\rule{9999em}{9999em}$",
    "[x](//host/)",
    "![x](//host/x.png)",
    "<script>alert(1)</script>",
    "**bold** _slanted_ ~~gone~~ `code`",
    "# title",
    "a\n\n# title\n\n- item\n\n    code",
    "| a | b |\n|--|--|\n| 1 | 2 |",
    "&lt;b&gt; \\* \\",
    ":red[text] :material/home: :smile:",
    "1. one",
    "- one",
    "=====",
    "---",
    "https://host.org/path www.host.org someone@host.org",
)
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_finds_only_text(text):
    tokens = PARSER.parse(f"Before {as_text(text)} after")
    inline = [child for token in tokens for child in token.children or []]
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {token.type for token in inline} <= {"text", "text_special"}
    read = "".join(token.content for token in inline).replace(markdown.JOINER, "")
    assert read == f"Before {' '.join(text.split())} after"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_may_begin_a_paragraph(text):
    tokens = PARSER.parse(as_text(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_left_for_streamlit_to_replace(text):
    written = as_text(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*\$", written)  # every dollar sign follows a backslash of its own
    read = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", written)  # as it is after the parser
    assert not re.search(r"https?://|www\.|[\w.]@\w|:\w+:|:material/|:red\[", read)


def test_the_example():
    assert doctest.testmod(markdown).failed == 0
