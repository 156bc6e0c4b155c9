"""Pages to print: Markdown as one HTML file that needs no other, its formulas drawn as small pictures.

Of Markdown it knows what handouts need: headings, paragraphs, lists, tables, bold, italic, code, and formulas that matplotlib can
set. Links lead nowhere on paper, so only their words are kept.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from scoredm import language

SIZE = 12.0  # points, of formulas: in the size of the words they would look smaller
ROOM = 0.6  # points around a formula, for what reaches over the edge of its box
LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
STYLE = """@page {size: A4; margin: 12mm 13mm}
body {font: 10.5pt/1.4 system-ui, "Helvetica Neue", Arial, sans-serif; color: #000; background: #fff}
body {max-width: 184mm; margin: auto}
main {columns: COLUMNS; column-gap: 8mm}
h1 {font-size: 15pt; margin: 0 0 2mm}
h2 {font-size: 12.5pt; margin: 3mm 0 1mm; border-bottom: 0.3mm solid #888; break-after: avoid}
h3 {font-size: 10.8pt; margin: 2mm 0 0.5mm; break-after: avoid}
p, ul, ol, table {margin: 0.8mm 0 1.4mm}
ul, ol {padding-left: 5mm}
li, tr, p, section {break-inside: avoid}
table {border-collapse: collapse}
td, th {padding: 0.5mm 2mm 0.5mm 0; text-align: left; vertical-align: top}
td:first-child {white-space: nowrap}
.shown {text-align: center; margin: 1.6mm 0}
svg {overflow: visible}"""
INLINE = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*([^*]+)\*"), r"<em>\1</em>"),
)
KINDS = ((r"#{1,3} ", "heading"), (r"- ", "ul"), (r"\d+\. ", "ol"), (r"\|", "table"), (r"\$\$", "shown"), (r"\s*$", "empty"))


def page(text: str, columns: int = 1) -> str:
    """A text as an HTML page for A4 paper.

    Args:
        text: Markdown; its first heading is the title.
        columns: of the text.
    """
    title = re.search(r"^# +(.+)$", text, flags=re.MULTILINE)
    body = "\n".join(_blocks(text))
    heading, body = body.split("</h1>", 1) if "</h1>" in body else ("", body)
    first, *sections = body.split("<h2>")
    body = first + "".join(f"<section><h2>{section}</section>" for section in sections)
    return (
        f'<!doctype html>\n<html lang="{language.reader()}"><head><meta charset="utf-8">'
        f"<title>{html.escape(title[1]) if title else 'scoredm'}</title>\n"
        f"<style>{STYLE.replace('COLUMNS', str(columns))}</style></head>\n"
        f"<body>{heading}{'</h1>' if heading else ''}\n<main>{body}</main></body></html>\n"
    )


@lru_cache(maxsize=512)
def formula(latex: str) -> str:
    """A formula as an SVG picture that stands on the line of the text.

    Args:
        latex: without dollar signs.

    Raises:
        ValueError: matplotlib cannot set it.
    """
    font = FontProperties(size=SIZE, math_fontfamily="cm")
    width, height, depth, *_glyphs = MathTextParser("path").parse(f"${latex}$", dpi=72, prop=font)
    path = TextPath((0, 0), f"${latex}$", size=SIZE, prop=font)
    box = f"{-ROOM:.2f} {-height + depth - ROOM:.2f} {width + 2 * ROOM:.2f} {height + 2 * ROOM:.2f}"
    size = f'width="{width + 2 * ROOM:.2f}pt" height="{height + 2 * ROOM:.2f}pt"'
    words = html.escape(latex, quote=True)
    return (
        f'<svg role="img" aria-label="{words}" {size} viewBox="{box}" style="vertical-align:{-depth - ROOM:.2f}pt">'
        f'<path d="{_outline(path)}"/></svg>'
    )


def _outline(path: Path) -> str:
    """A path in the language of SVG, where y grows downwards."""
    parts = []
    for points, code in path.iter_segments(simplify=False):
        turned = [value if i % 2 == 0 else -value for i, value in enumerate(points)] if code != Path.CLOSEPOLY else []
        parts.append(LETTERS[code] + " ".join(f"{value:.2f}" for value in turned))
    return "".join(parts)


def _kind(line: str) -> str:
    return next((kind for pattern, kind in KINDS if re.match(pattern, line)), "paragraph")


def _blocks(text: str) -> Iterator[str]:
    """The text's blocks as HTML, in order."""
    for kind, lines in groupby(text.splitlines(), _kind):
        if kind == "heading":
            for line in lines:
                marks, words = line.split(" ", 1)
                yield f"<h{len(marks)}>{_inline(words)}</h{len(marks)}>"
        elif kind in ("ul", "ol"):
            items = "".join(f"<li>{_inline(line.split(' ', 1)[1])}</li>" for line in lines)
            yield f"<{kind}>{items}</{kind}>"
        elif kind == "table":
            yield _table([line.strip().strip("|").split("|") for line in lines])
        elif kind == "shown":
            yield "\n".join(f'<div class="shown">{formula(_large(line.strip().strip("$")))}</div>' for line in lines)
        elif kind == "paragraph":
            yield f"<p>{_inline(' '.join(lines))}</p>"


def _large(latex: str) -> str:
    """A formula with fractions of full size."""
    return latex.replace(r"\frac", r"\dfrac")


def _table(rows: list[list[str]]) -> str:
    """A table without its line of dashes; a head without words is left out."""
    written = [[_inline(cell.strip()) for cell in row] for row in rows if not re.fullmatch(r"(:?-+:?\|?)+", "|".join(row))]
    has_head = len(written) < len(rows)
    lines = []
    for i, row in enumerate(written):
        tag = "th" if has_head and i == 0 else "td"
        if tag == "td" or any(row):
            lines.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _inline(text: str) -> str:
    """A line of Markdown as HTML."""
    parts = re.split(r"\$([^$]+)\$", text)
    return "".join(formula(part) if i % 2 else _words(part) for i, part in enumerate(parts))


def _words(text: str) -> str:
    written = html.escape(text, quote=False)
    for pattern, tag in INLINE:
        written = pattern.sub(tag, written)
    return written
