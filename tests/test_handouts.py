"""Handouts: Markdown becomes a page of its own, formulas become pictures, and the numbers on the sheet are the library's."""

import re

import pytest

from scoredm import VESDE, dsm_floor, language, targets
from scoredm.charts import handouts
from scoredm.modes import merge_time


def body(text: str) -> str:
    return handouts.page(text).partition("<body>")[2]


def test_blocks_and_words():
    found = body(
        "# Title\n\nA **bold** and an *italic* word, `x < y` & a [link](./).\nThe same paragraph.\n\n- one\n- two\n\n1. first\n"
    )
    assert found.startswith("<h1>Title</h1>")
    assert (
        "<p>A <strong>bold</strong> and an <em>italic</em> word, <code>x &lt; y</code> &amp; a link. The same paragraph.</p>"
        in found
    )
    assert "<ul><li>one</li><li>two</li></ul>" in found and "<ol><li>first</li></ol>" in found


def test_a_table_keeps_its_head_only_where_it_has_words():
    with_head = body("| a | b |\n|:--|--:|\n| 1 | 2 |\n")
    assert "<tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr>" in with_head
    without = body("| | |\n|:--|:--|\n| 1 | 2 |\n")
    assert "<table><tr><td>1</td><td>2</td></tr></table>" in without


def test_a_formula_stands_on_the_line_and_can_be_read_aloud():
    deep, flat = handouts.formula("x_t"), handouts.formula("x")
    assert 'aria-label="x_t"' in deep and "<path d=" in deep
    lowered = [float(re.findall(r"vertical-align:(-[\d.]+)pt", picture)[0]) for picture in (deep, flat)]
    assert lowered[0] < lowered[1]
    widths = [float(re.findall(r'width="([\d.]+)pt"', handouts.formula(latex))[0]) for latex in ("x", "xx", "xxxx")]
    assert widths[2] - widths[1] == pytest.approx(2 * (widths[1] - widths[0]), abs=2.1)  # boxes are whole points wide
    assert r"\dfrac" in body("$$\\frac{1}{2}$$\n") and r"\dfrac" not in body("$\\frac{1}{2}$\n")


def test_a_formula_that_cannot_be_set_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        handouts.formula(r"\nonsense{x}")


@pytest.mark.parametrize("name", ["formulas", "teacher"])
def test_nothing_of_a_handout_is_left_as_markdown_and_nothing_comes_from_elsewhere(name):
    page = handouts.page(language.prose_file(f"handouts/{name}").read_text(encoding="utf-8"))
    words = re.sub(r"<[^>]+>", "", page.partition("<body>")[2])
    assert not re.search(r"[$#|`]|\*\*", words)
    assert "http" not in page and "src=" not in page


def test_the_numbers_of_the_sheet():
    text = language.prose_file("handouts/formulas").read_text(encoding="utf-8")
    sde, mixture = VESDE(25.0), targets.mixture("tutorial")
    sigma = float(sde.sigma(1.0))
    assert rf"$\sigma_1^2 = {sigma**2:.1f}$, $\sigma_1 = {sigma:.2f}$" in text
    assert f"$t = {merge_time(targets.mixture('two-modes'), sde):.3f}$" in text
    times = [0.01 + 0.99 * (i + 0.5) / 24 for i in range(24)]
    mean = sum(float(dsm_floor(mixture, sde, t)) for t in times) / len(times)
    (told,) = re.findall(r"is (0\.\d+)\.$", text.strip())
    assert float(told) == pytest.approx(mean, abs=0.003)
