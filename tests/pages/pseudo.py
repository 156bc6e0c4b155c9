"""A language in which every translated word stands between marks, so that a word outside them was never given to a translator.

The catalogue knows what Babel extracts from the source and nothing else. Places such as {n} stay outside the marks: what is put
there is a sentence of its own, a name or a number.
"""

import base64
import io
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from babel.messages.extract import extract_from_dir
from google.protobuf.message import Message
from matplotlib.figure import Figure
from matplotlib.text import Text
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.Image_pb2 import Image
from streamlit.testing.v1 import AppTest

from scoredm.checks import CHECKS

ROOT = Path(__file__).parents[2]
LANGUAGE = "xx"
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
PLACE = re.compile(r"(\$[^$]+\$|\{[^{}]*\})")  # of something that a translator leaves as it is
STRUCTURE = re.compile(r"^(\s*(?:#+ |[-+] |\d+\. |(?:audience|question|answer|teacher): |\| *)?)(.*?)( *\|?)$")
KEPT_FIELDS = ("link:", "minutes:", "think:", "talk:", "hide:")  # of a lesson, which have no words
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.DOTALL)


@cache
def messages() -> frozenset[str]:
    """Everything that Babel finds in the source to be translated."""
    found = set()
    for folder in ("scoredm", "pages"):
        for _file, _line, message, _comments, _context in extract_from_dir(
            ROOT / folder, [("**.py", "python")], keywords=KEYWORDS
        ):
            found |= set(message) if isinstance(message, tuple) else {message}
    return frozenset(found)


class Catalogue(NullTranslations):
    """Marks the messages that were extracted."""

    def gettext(self, message: str) -> str:
        """The message between marks, its places outside them; as it is where no translator would have got it."""
        return mark(message) if message in messages() else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """One of both forms, marked."""
        return self.gettext(msgid1 if n == 1 else msgid2)


def mark(text: str) -> str:
    """A text with marks around everything between its places."""
    return "".join(part if PLACE.fullmatch(part) or not part else f"⟦{part}⟧" for part in PLACE.split(text))


def write_prose(folder: Path, source: str = "pages") -> None:
    """All prose of the app, marked line by line, into folder/xx; terms of the glossary and names of parts stay as they are.

    Args:
        folder: where to write.
        source: the folder of the repository that has the prose by its languages.
    """
    english = ROOT / source / "en"
    for path in english.rglob("*.md"):
        lines, code = [], False
        for line in path.read_text(encoding="utf-8").splitlines():
            code ^= line.startswith("```")
            kept = (
                code
                or not line.strip()
                or line.startswith(("```", "$$", "|:--", *KEPT_FIELDS))
                or (path.stem == "steps" and line[0] == "#")
            )
            lines.append(line if kept else _marked_line(line, glossary=path.stem == "glossary"))
        target = folder / LANGUAGE / path.relative_to(english)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines), encoding="utf-8")


def _marked_line(line: str, *, glossary: bool) -> str:
    if glossary:
        term, _colon, words = line.partition("**: ")
        return f"{term}**: ⟦{words}⟧"
    if line.startswith("|"):
        return "|".join(f"⟦{cell}⟧" if cell.strip() else cell for cell in line.split("|"))
    found = STRUCTURE.fullmatch(line)
    assert found is not None
    start, words, end = found.groups()
    return f"{start}⟦{words}⟧{end}"


# What a reader meets

# Fields of Streamlit's messages that no reader sees.
UNSEEN = {
    *(
        "id",
        "tag",
        "key",
        "format",
        "query_param_key",
        "component_name",
        "js_content",
        "css_content",
        "html_content",
        "icon",
        "type",
    ),
    *("page", "page_script_hash", "url", "file_name", "name", "form_id", "deferred_file_id", "js_source_path", "css_source_path"),
    *("element_id", "column_order", "columns", "default", "value", "fragment_id", "data", "arrow_blobs", "link", "language"),
    *("selection_mode", "raw_text_value", "raw_value", "raw_values", "accept_file", "mime_type", "string_value", "mimetype"),
}
SHOWN_CHANNELS = {"x": "axis", "y": "axis", "color": "legend", "strokeDash": "legend", "shape": "legend"}


def texts(at: AppTest) -> Iterator[tuple[str, str]]:
    """(where, text) of every text on a page, and of what appears on hover or is read to readers who do not see."""
    yield from _of_block(at._tree)


def _of_block(block: Any) -> Iterator[tuple[str, str]]:
    for child in block.children.values():
        if isinstance(child.proto, Message):
            yield from _of_message(child.proto, type(child.proto).__name__)
        if hasattr(child, "children"):
            yield from _of_block(child)


def _of_message(message: Message, where: str) -> Iterator[tuple[str, str]]:
    name = type(message).__name__
    shows_nothing = isinstance(message, BidiComponent) and message.component_name.endswith(("code", "theme"))
    if name == "Html" or shows_nothing:
        return
    if name == "VegaLiteChart":
        yield from _of_chart(message, where)
    if name == "Dataframe":
        yield from _of_table(message)
        return
    if isinstance(message, BidiComponent):
        content = json.loads(message.mixed.json or message.json)
        if message.component_name.endswith("editor"):
            yield from _of_editor(content)
        else:
            yield from _of_timer(content["view"]) if "phases" in content["view"] else _of_stage(content["view"])
        return
    if isinstance(message, Image):
        yield from _of_picture(message.url)
    for field, value in message.ListFields():
        if field.name in UNSEEN or (name == "VegaLiteChart" and field.name in ("spec", "datasets")):
            continue
        values = value if field.is_repeated else [value]
        for one in values:
            if isinstance(one, Message):
                yield from _of_message(one, f"{where}.{field.name}")
            elif isinstance(one, str) and name != "Code":
                yield f"{where}.{field.name}", one


def _of_table(message: Any) -> Iterator[tuple[str, str]]:
    """The headings of a table; what is in it are numbers and names."""
    configured = json.loads(message.columns)
    columns = pa.ipc.open_stream(io.BytesIO(message.arrow_data.data)).read_all().column_names
    yield from (("heading", configured.get(column, {}).get("label", column)) for column in columns)


def _of_picture(url: str) -> Iterator[tuple[str, str]]:
    if url.startswith("data:image/svg+xml;base64,"):
        drawn = base64.b64decode(url.partition(",")[2]).decode()
        yield from (("picture", re.sub(r"<[^>]+>", " ", text)) for text in re.findall(r"<text.*?</text>", drawn, re.DOTALL))


def _of_timer(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    texts = [*view["labels"].values(), *(phase["label"] for phase in view["phases"])]
    yield from (("timer", re.sub(r"\{\w+\}", "", text)) for text in texts)


def _of_stage(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    scales = [*(view.get("arrowScales") or []), view.get("probeScale")]
    labels = (re.sub(r"\{\w+\}", "", text) for text in view["labels"].values())
    yield from (("stage", text) for text in [view["alt"], view["xLabel"], view["yLabel"], *labels])
    yield from (("stage", scale["text"]) for scale in scales if scale)
    yield from (("stage", text) for _level, text in view["marks"])


def _of_editor(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (("editor", data[name]) for name in ("label", "button", "keys", "leave"))


def _of_chart(chart: Any, where: str) -> Iterator[tuple[str, str]]:
    blob = chart.data.data or chart.datasets[0].data.data
    rows = pa.ipc.open_stream(io.BytesIO(blob)).read_pandas()
    yield from ((f"{where}.spec", text) for text in _of_spec(json.loads(chart.spec), rows))


def _of_spec(spec: dict[str, Any], rows: pd.DataFrame) -> Iterator[str]:
    """Titles, names in legends and on axes, and tooltips of a Vega-Lite spec."""
    title = spec.get("title")
    if title:
        yield title if isinstance(title, str) else title["text"]
    for layer in spec.get("layer", spec.get("hconcat", spec.get("vconcat", []))):
        yield from _of_spec(layer, rows)
    for channel, encoded in spec.get("encoding", {}).items():
        yield from _of_channel(channel, encoded, rows)


def _of_channel(channel: str, encoded: Any, rows: pd.DataFrame) -> Iterator[str]:
    if channel == "tooltip":
        for one in encoded if isinstance(encoded, list) else [encoded]:
            yield one.get("title", one["field"])
            yield from _nominal(one, rows)
        return
    guide = SHOWN_CHANNELS.get(channel)
    if guide is None or "field" not in encoded or encoded.get(guide, {}) is None:
        return
    looks = encoded.get(guide, {})
    titled = next((place["title"] for place in (looks, encoded) if "title" in place), encoded["field"])
    if titled:
        yield titled
    if "labelExpr" in looks:
        yield " ".join(re.findall(r'"([^"]*)"', looks["labelExpr"]))
    elif looks.get("labels", True):
        yield from _nominal(encoded, rows)


def _nominal(encoded: dict[str, Any], rows: pd.DataFrame) -> Iterable[str]:
    """The names that a channel shows: those of its scale, or else those in the data."""
    if encoded.get("type") not in ("nominal", "ordinal"):
        return []
    domain = encoded.get("scale", {}).get("domain")
    values = domain if isinstance(domain, list) else [*rows[encoded["field"]]] if encoded["field"] in rows else []
    return {value for value in values if isinstance(value, str)}


def of_figure(figure: Figure) -> Iterator[tuple[str, str]]:
    """Every text of a printed figure."""
    yield from (("figure", text.get_text()) for text in figure.findobj(Text) if text.get_visible())


# Words outside the marks

# Citations, which are the same in every language.
CITATIONS = sorted({check.source for check in CHECKS if re.search(r"\d{4}|Neuromatch", check.source)}, key=len, reverse=True)
NAMES = {
    *("scoredm", "CUDA", "CPU", "MPS", "GPU", "CSV", "csv", "PNG", "SVG", "PDF", "Parquet", "ScoreNet"),
}
SYMBOLS = {"NFE", "SNR", "ln", "log"}


def unmarked(text: str) -> str:
    """What is left of a text without what is marked, formulas, code, icons, HTML, addresses and names: words or nothing."""
    for citation in CITATIONS:
        text = text.replace(citation, " ")
    text = re.sub(r"^- \*\*[^*]+\*\*: (?=⟦)", "", text, flags=re.MULTILINE)  # an entry of the glossary
    explained = " ".join(re.findall(r'title="([^"]*)"', text))
    text = re.sub(r"^```.*?^```", " ", text, flags=re.DOTALL | re.MULTILINE)
    text = f"{re.sub(r'<[^>]*>', ' ', text)} {explained}"
    before = ""
    while before != text:
        before, text = text, re.sub(r"⟦[^⟦⟧]*⟧", " ", text)
    text = FORMULA.sub(" ", text)
    text = re.sub(r"`[^`]*`|:material/\w+:|https?://\S+|:(?:\w+)(?=\[)|\\\w+", " ", text)
    return " ".join(word for word in re.findall("[A-Za-z]{2,}", text) if word not in NAMES | SYMBOLS)
