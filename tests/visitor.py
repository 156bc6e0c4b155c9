"""A hand-written client: it speaks Streamlit's websocket, and sends whatever it is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect

PATIENCE = 120.0  # seconds before a test gives up waiting

Change = Callable[[WidgetState], None]  # sets the value of a message


@dataclass
class Visitor:
    """A visit to the app.

    Attributes:
        socket: its websocket.
        widgets: the identity of each widget that was drawn -> its kind, such as "slider".
        page: the hash of the page that is shown.
        session: the name of the visit.
        texts: what the last run said in its texts and messages.
        sent: all that the server has sent, byte for byte.
        exceptions: what the server has reported as exceptions.
    """

    socket: ClientConnection
    widgets: dict[str, str] = field(default_factory=dict)
    page: str = ""
    session: str = ""
    texts: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)

    def open(self, page: str, query: str = "", changes: dict[str, Change] | None = None) -> None:
        """Follow a link; pages that were open before are left."""
        self.widgets.clear()
        self._run(BackMsg(), page, query, changes or {})

    def send(self, changes: dict[str, Change], query: str = "") -> None:
        """Send messages of widgets, {identity: what sets the value}, and wait until the page is whole again."""
        self._run(BackMsg(), "", query, changes)

    def _run(self, message: BackMsg, page: str, query: str, changes: dict[str, Change]) -> None:
        run = message.rerun_script
        run.query_string, run.page_name = query, page
        run.page_script_hash = "" if page else self.page
        for identity, change in changes.items():
            state = run.widget_states.widgets.add(id=identity)
            change(state)
        self.socket.send(message.SerializeToString())
        self.texts.clear()
        started = False
        for answer in self.answers():
            if answer.WhichOneof("type") == "new_session":
                started = True
                self.session = answer.new_session.initialize.session_id
            elif answer.WhichOneof("type") == "navigation":
                self.page = answer.navigation.page_script_hash
            elif started and answer.WhichOneof("type") == "script_finished":
                started = answer.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
                if not started:
                    return

    def answers(self) -> Iterator[ForwardMsg]:
        """What the server sends, as it comes."""
        while True:
            content = self.socket.recv(timeout=PATIENCE)
            assert isinstance(content, bytes)
            self.sent.append(content)
            answer = ForwardMsg.FromString(content)
            self._note(answer)
            yield answer

    def _note(self, answer: ForwardMsg) -> None:
        """Keep the widgets, the texts and the exceptions of an answer."""
        if answer.WhichOneof("type") != "delta":
            return
        if answer.delta.WhichOneof("type") == "add_block":
            block = answer.delta.add_block
            kind = block.WhichOneof("type")
        else:
            block = answer.delta.new_element
            kind = block.WhichOneof("type")
        part: Any = getattr(block, kind) if kind else None
        if identity := getattr(part, "id", ""):
            self.widgets[identity] = str(kind)
        if kind in ("markdown", "alert"):
            self.texts.append(part.body)
        if kind == "exception":
            self.exceptions.append(part.message)


@contextmanager
def visiting(url: str) -> Iterator[Visitor]:
    """A visit to the app at this address, until the end of the block."""
    with connect(f"{url.replace('http', 'ws')}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as socket:  # pyrefly: ignore
        yield Visitor(socket)
