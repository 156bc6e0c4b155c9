"""What a stranger can send is shown as text, checked where it enters, bounded, and seen by nobody else. SECURITY.md says how."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import streamlit as st
from markdown_it import MarkdownIt
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.testing.v1 import AppTest
from websockets.exceptions import ConnectionClosedError

from scoredm.address import PAGES, TABLE, parameters
from scoredm.markdown import as_text
from scoredm.parameters import Parameter, Text
from scoredm.ui import controls, received
from tests.browser.conftest import running
from tests.visitor import Change, Visitor, visiting

ROOT = Path(__file__).parents[1]
APP = ROOT / "app.py"

# Text from outside is plain text

PAYLOADS = (
    "![x](//evil.example/a.png)",
    r"$\rule{9999em}{9999em}$",
    "[go](//evil.example)",
    "<img src=//evil.example onerror=x>",
    "https://evil.example www.evil.example",
    "a\n\n# evil.example\n\n| a |\n|--|\n| b |",
    ":material/home: :red[evil.example] `x`",
    "\u202eevil.example\u2066\u200b\x00\x1b[31m",
    "e" + "\u0336\u030d" * 20,
)
PARSER = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])
SPECIAL = re.compile(r"https?://|\bwww\.|:\w+:|:material/|:red\[|[\u0000-\u0008\u000e-\u001f\u200b\u202a-\u202e\u2066-\u2069]")
PARAGRAPH = ("paragraph_open", "inline", "paragraph_close")
HARMLESS = ("text", "text_special", "softbreak", "hardbreak", "em_open", "em_close", "strong_open", "strong_close")
EVERY = list({parameter.name: parameter for table in TABLE.values() for parameter in table.values()}.values())


def live(markdown: str) -> list[str]:
    """What Markdown finds besides text, emphasised or not, and what Streamlit finds besides Markdown."""
    inline = [child for token in PARSER.parse(markdown) for child in token.children or []]
    blocks = [token.type for token in PARSER.parse(markdown)]
    found = [token.type for token in inline if token.type not in HARMLESS] + [kind for kind in blocks if kind not in PARAGRAPH]
    found += re.findall(r"(?<!\\)\$", markdown)
    return found + SPECIAL.findall(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_is_live_until_it_is_escaped(payload):
    assert live(payload) or payload.startswith("e"), "the test would see nothing"
    assert not live(as_text(payload))


def test_what_cannot_be_seen_is_left_out_and_marks_do_not_pile_up():
    assert as_text("a\u202eb\u200bc\x00d\u2029e\ue000") == "abcd e"
    assert as_text("e\u0301\u200d\u0302\u0303\u0304f\u0301") == "e\u0301\u0302f\u0301"
    assert as_text("naïve Łódź 東京 λ") == "naïve Łódź 東京 λ"


@pytest.mark.parametrize("parameter", EVERY, ids=lambda parameter: parameter.name)
def test_the_notice_of_any_bad_value_is_plain_text(parameter: Parameter):
    for payload in PAYLOADS:
        for texts in ([payload], [payload, payload], [f"{payload},{payload}"]):
            value, complaint = parameter.read_all(texts)
            assert parameter.accepts(value)
            if complaint is None:
                assert isinstance(parameter, Text)
                complaint = str(value)
            said = controls.notice(parameter, complaint, parameter.write(value))
            assert not live(said), said


def bodies(at: AppTest) -> list[str]:
    """What a page says in Markdown, without its own prose."""
    return [part.value for part in [*at.warning, *at.error, *at.info, *at.caption, *at.success]]


@pytest.mark.parametrize("page", ["forward", "practice", "memorisation"])
def test_a_page_whose_link_is_all_payloads_shows_text(page: str):
    at = AppTest.from_file(APP, default_timeout=60)
    names = [parameter.name for parameter in parameters(page, page) if parameter.name not in ("lang", "lesson")]
    for i, name in enumerate(["target", "mixture", *names]):
        at.query_params[name] = PAYLOADS[i % len(PAYLOADS)]
    at.query_params["target"], at.query_params["code"] = "own", PAYLOADS[1] * 100
    at.switch_page(f"pages/{page}.py").run()
    assert not at.exception
    said = [text for text in bodies(at) if "evil" in text or "rule" in text]
    assert said
    for text in said:
        assert not live(text), text


def test_the_name_and_the_cells_of_a_file_are_text():
    at = AppTest.from_file(APP, default_timeout=60)
    at.switch_page("pages/memorisation.py").run()
    cells = f"x\n{PAYLOADS[1]}\n".encode()
    for payload, content in zip(PAYLOADS, (b"x\n1\n2\n", cells, b"\xff\xfe", b"1\n" * 600_000), strict=False):
        at.file_uploader[0].set_value((f"{payload}.csv", content, "text/csv")).run()
        assert not at.exception
        said = [text for text in [*bodies(at), *(part.value for part in at.markdown)] if "evil" in text or "rule" in text]
        assert said and not [found for text in said for found in live(text)]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_mixture_that_a_button_replaced_is_text(payload: str):
    assert not live(controls._value_in_words("mixture", payload))


# What a browser sends is checked


def setting(name: str, *values: Any) -> Change:
    """What sets a field of a message: to its value, or to its values where it holds several."""

    def change(message: WidgetState) -> None:
        part = getattr(message, name)
        if name.endswith("array_value"):
            part.SetInParent()
            part.data.extend(values)
        elif name == "file_uploader_state_value":
            part.SetInParent()
            for value in values:
                part.uploaded_file_info.add(file_id=value, name=value, size=3)
        else:
            setattr(message, name, *values)

    return change


NAN, INFINITY = float("nan"), float("inf")
HOSTILE: dict[str, Change] = {
    "true": setting("bool_value", True),
    "nan": setting("double_value", NAN),
    "infinity": setting("double_value", INFINITY),
    "huge number": setting("double_value", 1e308),
    "huge whole number": setting("int_value", -(2**62)),
    "text": setting("string_value", r"[x](//evil.example) $\rule{9em}{9em}$"),
    "long text": setting("string_value", "x" * 9000),
    "no texts": setting("string_array_value"),
    "texts": setting("string_array_value", "a", "b"),
    "numbers with nan": setting("double_array_value", NAN),
    "no numbers": setting("double_array_value"),
    "too many numbers": setting("double_array_value", 1.0, 2.0),
    "whole numbers": setting("int_array_value", 5, 6),
    "broken json": setting("json_value", "{"),
    "json with nan": setting("json_value", '{"probe": [NaN, 1e999], "text": NaN, "check": {"exercise": 5, "text": []}}'),
    "deep json": setting("json_value", "[" * 5000),
    "json of huge numbers": setting("json_value", f'{{"probe": [{"9" * 400}, 1]}}'),
    "json of a number too long": setting("json_value", f'{{"probe": [{"9" * 5000}, 1]}}'),
    "json of other names": setting("json_value", '{"value": {"value": 5}, "get": 1, "keys": 2, "probe": {"a": []}}'),
    "json of nonsense": setting("json_value", json.dumps({"check": {"exercise": "sigma", "text": "(" * 3000}})),
    "broken event": setting("json_trigger_value", "{{{"),
    "event": setting("json_trigger_value", '[{"event": "probe", "value": NaN}, 5, null]'),
    "bytes": setting("bytes_value", b"\x80abc"),
    "a file that is not there": setting("file_uploader_state_value", "a.csv", "b"),
}
REFUSED = "Your browser sent a value that no control of this page can have."


class Server:
    """A server of the app: its address, and what it has logged."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log = url, log

    def faults(self) -> str:
        """What it logged from the first traceback on."""
        text = self.log.read_text(encoding="utf-8")
        return text[max(0, text.index("Traceback") - 500) :] if "Traceback" in text else ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with running(APP, log) as url:
        yield Server(url, log)


def identity(visitor: Visitor, key: str) -> str:
    """The identity of the widget with a key."""
    return next(name for name in visitor.widgets if name.endswith(f"-{key}"))


def some_of_it() -> list[list[Change]]:
    """What the widgets of a page send in turn, each time: every widget some of it."""
    kinds = list(HOSTILE.values())
    return [kinds[first:] + kinds[:first] for first in range(0, len(kinds), 5)]


def each_of_it() -> list[list[Change]]:
    """The same, every widget each of it; some three minutes for all pages."""
    return [[kind] for kind in (*HOSTILE.values(), setting("trigger_value", True))]


@pytest.mark.parametrize(
    ("page", "rounds"),
    [
        *(pytest.param(page, some_of_it, id=page) for page in ("score", "practice", "memorisation")),
        *(pytest.param(page, each_of_it, id=f"{page}-all", marks=pytest.mark.thorough) for page in PAGES),
    ],
)
def test_no_value_of_a_widget_breaks_a_page(server: Server, page: str, rounds: Callable[[], list[list[Change]]]):
    with visiting(server.url) as visitor:
        visitor.open(page, "seed=7")
        known = dict(visitor.widgets)
        for changes in rounds():
            visitor.send(dict(zip([*known, *visitor.widgets], cycle(changes), strict=False)), "seed=7")
            assert not visitor.exceptions
            assert any(REFUSED in text for text in visitor.texts)
        visitor.open(page, "seed=7")
        visitor.send({identity(visitor, "seed"): setting("int_value", 8)}, "seed=7")
        assert any("seed 8" in text for text in visitor.texts), "the page answers"
        assert not any(REFUSED in text for text in visitor.texts)
    assert not server.faults()


def test_no_first_message_breaks_a_visit(server: Server):
    with visiting(server.url) as visitor:
        visitor.open("score")
        known = list(visitor.widgets)
    for change in list(HOSTILE.values())[::4]:
        with visiting(server.url) as visitor:
            visitor.open("score", "", dict.fromkeys(known, change))
            assert not visitor.exceptions
    assert not server.faults()


@pytest.mark.parametrize(
    "query", ["px=1&px=2", "n=5&target=own&mixture=%00", "%ff=%fe&px=%ed%a0%80", "a" * 50_000, "&=" * 20_000]
)
def test_no_address_that_changes_under_way_breaks_a_page(server: Server, query: str):
    with visiting(server.url) as visitor:
        visitor.open("score", "px=3&k=4")
        visitor.send({}, query)
        visitor.open("forward", query)
        visitor.send({}, query)
        assert not visitor.exceptions
    assert not server.faults()


def test_a_refused_value_leaves_the_last_good_one(server: Server):
    with visiting(server.url) as visitor:
        visitor.open("score")
        seed = identity(visitor, "seed")
        visitor.send({seed: setting("double_value", 12.0)})
        for change in (HOSTILE["nan"], HOSTILE["text"], HOSTILE["huge number"]):
            visitor.send({seed: change})
            assert any("seed 12" in text for text in visitor.texts)


def test_a_message_that_is_too_large_ends_its_visit_alone(server: Server):
    with visiting(server.url) as other:
        other.open("home")
        with visiting(server.url) as visitor:
            visitor.open("home")
            visitor.socket.send(b"\x00" * 1_100_000)
            with pytest.raises(ConnectionClosedError, match="1009"):
                list(visitor.answers())
        other.send({})
        assert not other.exceptions


# Limits


def test_the_files_of_a_visit_are_bounded_together():
    files = MemoryUploadedFileManager("/upload")
    for i in range(20):
        files.add_file("visit", UploadedFileRec(f"{i}", "a.csv", "text/csv", b"x" * 900_000))
        assert f"{i}" in files.file_storage["visit"], "the newest is kept"
    held = files.file_storage["visit"].values()
    assert sum(len(one.data) for one in held) <= received.UPLOADED_BYTES
    for i in range(20):
        files.add_file("visit", UploadedFileRec(f"small-{i}", "a.csv", "text/csv", b"x"))
    assert len(files.file_storage["visit"]) == received.UPLOADED_FILES
    files.add_file("other", UploadedFileRec("0", "a.csv", "text/csv", b"x"))
    assert len(files.file_storage["visit"]) == received.UPLOADED_FILES, "another visit's files count for that visit"


@pytest.mark.parametrize("size,answer", [(900_000, 204), (1_100_000, 413)])
def test_the_server_itself_refuses_a_large_file(server: Server, size: int, answer: int):
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\n\r\n' + b"1" * size + b"\r\n--b--\r\n"
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request("GET", "/_stcore/health")
    health = connection.getresponse()
    cookie = (health.getheader("Set-Cookie") or "").partition(";")[0]
    health.read()
    with visiting(server.url) as visitor:
        visitor.open("home")
        connection.putrequest("PUT", f"/_stcore/upload_file/{visitor.session}/1")
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Cookie": cookie, "X-Xsrftoken": cookie.partition("=")[2]}
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            connection.putheader(name, value)
        connection.endheaders()
        if answer == 204:  # a file that is too large is refused before it is sent
            connection.send(body)
        assert connection.getresponse().status == answer
    connection.close()


# What no visitor may ask for, and what no visitor sees


def test_a_visitor_cannot_empty_the_caches_of_all():
    @st.cache_data(max_entries=1)
    def drawn() -> float:
        made.append(1)
        return 1.0

    made: list[int] = []
    drawn()
    AppSession._handle_clear_cache_request(None)  # pyrefly: ignore[bad-argument-type]
    drawn()
    assert made == [1]


def test_a_visitor_learns_nothing_of_the_servers_files(server: Server):
    assert AppSession._handle_git_information_request.__module__ == received.__name__  # Streamlit's own would answer
    with visiting(server.url) as visitor:
        visitor.open("home")
        for name in ("load_git_info", "clear_cache", "debug_shutdown_runtime"):
            message = BackMsg()
            setattr(message, name, True)
            visitor.socket.send(message.SerializeToString())
        visitor.send({})
        assert not visitor.exceptions
        assert "git_info_changed" not in {ForwardMsg.FromString(content).WhichOneof("type") for content in visitor.sent}
    assert not server.faults()


def test_no_visitor_sees_what_another_wrote(server: Server):
    marks = ["7.4321567", "harmless-mark-in-code", "harmless-mark-in-words"]
    with visiting(server.url) as one, visiting(server.url) as other:
        one.open("practice", f"target=own&mixture=m {marks[0]},0 s 1")
        place = identity(one, "feedback-place-practice")
        code = {"text": {"exercise": "sigma", "text": marks[1]}}
        changes = {identity(one, "editor"): setting("json_value", json.dumps(code)), place: setting("bool_value", True)}
        one.send(changes, f"target=own&mixture=m {marks[0]},0 s 1")
        words = {identity(one, "words-practice"): setting("string_value", marks[2])}
        one.send(changes | words, f"target=own&mixture=m {marks[0]},0 s 1")
        kept = {identity(one, "keep-practice"): setting("trigger_value", True)}
        one.send(changes | words | kept, f"target=own&mixture=m {marks[0]},0 s 1")
        assert "Kept for this visit." in one.texts
        assert all(any(mark.encode() in content for content in one.sent) for mark in marks[:2]), "the test would see nothing"
        for page in ("home", "score", "memorisation"):
            other.open(page)
        other.open("practice")
        other.send({identity(other, "feedback-place-practice"): setting("bool_value", True)})
        seen = b"".join(other.sent)
        assert b"Your feedback" in seen and not [mark for mark in (*marks, "Download my feedback") if mark.encode() in seen]


def test_no_visitor_sees_anothers_points():
    one, other = (AppTest.from_file(APP, default_timeout=60).switch_page("pages/memorisation.py").run() for _visit in range(2))
    one.file_uploader[0].set_value(("mine.csv", b"0,0\n1,1\n2,3\n", "text/csv")).run()
    other.run()
    own, theirs = ([text.value for text in [*at.markdown, *at.info]] for at in (one, other))
    assert any("mine" in text for text in own) and not any("mine.csv" in text or "mine\\.csv" in text for text in theirs)
    assert not one.exception and other.number_input(key="mn").disabled is False and one.number_input(key="mn").disabled is True


# Nothing that is sent can become code, or HTML

# Looked at one by one.
LOOKED_AT = {
    "scoredm/ui/lesson/__init__.py": {"st.html"},  # styles
    "scoredm/ui/prose.py": {"st.markdown"},  # prose and lessons, which lie beside the code
    "scoredm/ui/score/probe.py": {"st.markdown"},  # numbers in a table
    "scoredm/ui/shell.py": {"st.html", "st.markdown"},  # styles, and the experiment: names of ours, and numbers
    "scoredm/ui/verified.py": {"st.html", "row.html"},  # styles with words of a catalogue, and numbers, escaped
    "scoredm/canonical.py": {"pickle"},  # its error alone
    "scoredm/workers.py": {"pickle"},  # what the server's own processes send each other
}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}


def dangers(source: str) -> list[str]:
    """What in a program could turn data into code or HTML; ruff's rules in pyproject.toml know some of it too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [alias.name for alias in names if alias.name.partition(".")[0] in MODULES]
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
                found.append(module)
            case ast.Call(func=func, keywords=keywords):
                options = {one.arg: ast.unparse(one.value) for one in keywords}
                called = ast.unparse(func)
                if called in CALLS or called.endswith(".html") or options.get("shell", "False") != "False":
                    found.append(called)
                if called == "torch.load" and options.get("weights_only") != "True":
                    found.append(called)
                if options.get("allow_pickle", "False") != "False" or options.get("unsafe_allow_html", "False") != "False":
                    found.append(called)
    return found


def test_no_data_becomes_code_or_html():
    files = sorted(path for folder in ("scoredm", "pages") for path in (ROOT / folder).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): set(dangers(path.read_text(encoding="utf-8"))) for path in files}
    assert {name: kinds for name, kinds in found.items() if kinds} == LOOKED_AT


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "exec(text)",
        "import pickle",
        "from marshal import loads",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "np.load(file, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "st.html(text)",
        "place.html(text)",
        "place.markdown(text, unsafe_allow_html=allowed)",
    ],
)
def test_the_rule_sees_a_danger(source: str):
    assert len(dangers(source)) == 1


def test_the_rule_lets_harmless_calls_pass():
    assert (
        dangers("torch.load(file, weights_only=True)\nsubprocess.run(words, shell=False)\nst.markdown(text)\nre.compile(x)") == []
    )
