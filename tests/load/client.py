"""One visitor of a Streamlit app without a browser: it speaks the websocket as Streamlit's page does.

    async with Visitor(address, "forward?lam=5") as visitor:
        await visitor.opened()
        seconds = await visitor.move("λ", 7.0)

It follows the parts of a page that ask to be drawn again and again (`AutoRerun`), and sends the values that it has set with every
request, as a browser does. It keeps no message for later, so that the server sends everything in full.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

KEPT = ("slider", "button", "progress", "markdown", "alert", "exception")  # kinds of elements that a visitor looks at
WHOLE = ForwardMsg.FINISHED_SUCCESSFULLY
PART = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


@dataclass
class _Shown:
    """An element of the page: the run that sent it, and the fragment that draws it ("" for none)."""

    element: Element
    run: str
    fragment: str


@dataclass
class Sight:
    """Words that a visitor looks out for, and when the page first said them; None if it has not yet."""

    words: str
    at: float | None = None


@dataclass
class _Request:
    """What was asked for, and the runs that answer it: the first that draws it, and those after it, should its end be lost."""

    fragment: str
    sent: float = field(default_factory=time.perf_counter)
    runs: list[str] = field(default_factory=list)
    answered: float | None = None
    event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def seconds(self) -> float:
        """From sending to the answer, or until now."""
        return (self.answered or time.perf_counter()) - self.sent


class Visitor:
    """A browser tab at one link of an app.

    Args:
        address: of the server, such as http://localhost:8501.
        link: a page and its parameters, such as `forward?lam=5`; empty for the home page.

    Attributes:
        polls: the seconds from each request of a fragment that is drawn again and again to its end.
        received: bytes that came over the websocket.
        exceptions: messages of exceptions that the page showed.
        ends_lost: how often Streamlit did not say that a whole page was drawn. It drops the last messages of a run when a poll
            arrives just after its end; the page is then at rest when that poll is answered.
    """

    def __init__(self, address: str, link: str = "") -> None:
        self.address, parts = address.rstrip("/"), urlsplit(link)
        self.polls: list[float] = []
        self.received = 0
        self.exceptions: list[str] = []
        self.ends_lost = 0
        self._page, self._query = parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
        self._script = ""  # the hash of the page's script, once the server has said it
        self._run = ""
        self._shown: dict[tuple[int, ...], _Shown] = {}
        self._states: dict[str, WidgetState] = {}
        self._pending: list[_Request] = []
        self._asked: dict[str, float] = {}  # fragment -> when its first unanswered poll was sent
        self._drawing: dict[str, float] = {}  # the same for those that the server is drawing
        self._timers: dict[str, tuple[float, asyncio.Task[None]]] = {}
        self._sights: list[Sight] = []
        self._changed = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._opening: _Request | None = None

    async def __aenter__(self) -> "Visitor":
        origin = self.address.replace("http", "ws", 1)
        socket = await connect(f"{origin}/_stcore/stream", subprotocols=[Subprotocol("streamlit")], max_size=None)
        self._socket = socket
        self._reader = asyncio.create_task(self._read(socket))
        self._opening = await self._rerun()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._socket is not None and self._reader is not None
        self._stop_timers()
        self._reader.cancel()
        with suppress(asyncio.CancelledError, ConnectionClosed):  # those who wait have been told of a closed connection
            await self._reader
        await self._socket.close()

    # What a visitor does

    async def opened(self) -> float:
        """Wait until the page is whole, and return the seconds it took.

        Raises:
            ConnectionClosed: the server closed the connection.
        """
        assert self._opening is not None
        return await self._answer(self._opening)

    async def move(self, label: str, value: float) -> float:
        """Move a slider, wait until the page is whole again, and return the seconds it took.

        Args:
            label: how the slider's label begins.
            value: on the slider.

        Raises:
            LookupError: the page has no such slider.
            ConnectionClosed: the server closed the connection.
        """
        shown = self._slider(label)
        slider = shown.element.slider
        state = WidgetState(id=slider.id)
        state.double_array_value.data.append(value)
        self._states[slider.id] = state
        if slider.query_param_key:
            self._bind(slider, value)
        return await self._answer(await self._rerun(shown.fragment))

    async def press(self, label: str) -> float:
        """Press a button, wait until the page is whole again, and return the seconds it took.

        Args:
            label: of the button.

        Raises:
            LookupError: the page has no such button that can be pressed.
            ConnectionClosed: the server closed the connection.
        """
        shown = self._button(label)
        if shown is None:
            raise LookupError(f"{self._page or 'home'} has no button {label!r}")
        pressed = WidgetState(id=shown.element.button.id, trigger_value=True)
        return await self._answer(await self._rerun(shown.fragment, pressed))

    def can_press(self, label: str) -> bool:
        """Whether the page has a button of this label, and it is not grey."""
        return self._button(label) is not None

    def range(self, label: str) -> tuple[float, float, float]:
        """The ends of a slider, and its step.

        Args:
            label: how the slider's label begins.

        Raises:
            LookupError: the page has no such slider.
        """
        slider = self._slider(label).element.slider
        return slider.min, slider.max, slider.step

    @property
    def text(self) -> str:
        """The sentences of the page, a line each."""
        return "\n".join(filter(None, (_words(shown.element) for shown in self._shown.values())))

    @property
    def share(self) -> float | None:
        """How far the page's first bar of progress is, from 0 to 1; None without one."""
        bars = (shown.element.progress for shown in self._shown.values() if shown.element.WhichOneof("type") == "progress")
        return next((bar.value / 100 for bar in bars), None)

    @property
    def polling(self) -> bool:
        """Whether a part of the page asks to be drawn again and again."""
        return bool(self._timers)

    @property
    def waiting(self) -> float | None:
        """For how many seconds the visitor has waited for an answer; None if nothing is asked."""
        return max((request.seconds for request in self._pending), default=None)

    def look_out(self, words: str) -> Sight:
        """Note when the page says something from now on.

        Args:
            words: a part of a sentence, in Markdown as the page has it.
        """
        sight = Sight(words)
        self._sights.append(sight)
        self._look()
        return sight

    async def sees(self, sight: Sight) -> None:
        """Wait until the page says something.

        Raises:
            ConnectionClosed: the server closed the connection.
        """
        while sight.at is None:
            self._changed.clear()
            await self._unless_closed(self._changed.wait())

    async def stay(self, seconds: float) -> None:
        """Look at the page for a while.

        Raises:
            ConnectionClosed: the server closed the connection.
        """
        await self._unless_closed(asyncio.sleep(seconds))

    # Requests

    def _button(self, label: str) -> _Shown | None:
        for shown in self._shown.values():
            button = shown.element.button
            if shown.element.WhichOneof("type") == "button" and button.label == label and not button.disabled:
                return shown
        return None

    def _slider(self, label: str) -> _Shown:
        for shown in self._shown.values():
            slider = shown.element.slider
            if shown.element.WhichOneof("type") == "slider" and slider.label.startswith(label) and not slider.disabled:
                return shown
        raise LookupError(f"{self._page or 'home'} has no slider {label!r}")

    def _bind(self, slider: Slider, value: float) -> None:
        """Write a value into the address, as a browser does; a default is left out."""
        self._query.pop(slider.query_param_key, None)
        if [value] != list(slider.default):
            self._query[slider.query_param_key] = f"{value:.12g}"

    async def _rerun(self, fragment: str = "", pressed: WidgetState | None = None) -> _Request:
        request = _Request(fragment)
        self._pending.append(request)
        await self._send(fragment, pressed)
        return request

    async def _send(self, fragment: str, pressed: WidgetState | None = None, *, poll: bool = False) -> None:
        assert self._socket is not None
        message = BackMsg()
        state = message.rerun_script
        state.query_string = urlencode(self._query)
        state.page_script_hash = self._script
        state.page_name = "" if self._script else self._page
        state.fragment_id = fragment
        state.is_auto_rerun = poll
        state.context_info.url = f"{self.address}/{self._page}"
        state.context_info.locale = "en-US"
        state.context_info.timezone = "Etc/UTC"
        state.context_info.color_scheme = "light"
        states = self._states if pressed is None else {**self._states, pressed.id: pressed}
        state.widget_states.widgets.extend(states.values())
        await self._socket.send(message.SerializeToString())

    async def _answer(self, request: _Request) -> float:
        await self._unless_closed(request.event.wait())
        return request.seconds

    async def _unless_closed(self, wait: Coroutine[Any, Any, Any]) -> None:
        """Wait for something, or raise what ended the connection."""
        assert self._reader is not None
        task = asyncio.ensure_future(wait)
        try:
            await asyncio.wait((task, self._reader), return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
        if self._reader.done():
            self._reader.result()

    # Polling

    def _start_timer(self, fragment: str, interval: float) -> None:
        if fragment in self._timers and self._timers[fragment][0] == interval:
            return
        self._stop_timer(fragment)
        self._timers[fragment] = interval, asyncio.create_task(self._poll(fragment, interval))

    async def _poll(self, fragment: str, interval: float) -> None:
        due = time.perf_counter()
        while True:
            due += interval
            await asyncio.sleep(due - time.perf_counter())
            self._asked.setdefault(fragment, time.perf_counter())
            with suppress(ConnectionClosed):  # the reader says so
                await self._send(fragment, poll=True)

    def _stop_timer(self, fragment: str) -> None:
        if fragment in self._timers:
            self._timers.pop(fragment)[1].cancel()

    def _stop_timers(self) -> None:
        for fragment in list(self._timers):
            self._stop_timer(fragment)
        self._asked.clear()
        self._drawing.clear()

    # What the server says

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            data = await socket.recv(decode=False)
            self.received += len(data)
            message = ForwardMsg()
            message.ParseFromString(data)
            self._take(message)

    def _take(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session":
                self._begin(message)
            case "delta":
                self._draw(tuple(message.metadata.delta_path), message.delta)
            case "script_finished":
                self._end(message)
            case "auto_rerun":
                self._start_timer(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            case "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self._stop_timer(fragment)
            case "navigation":
                self._script = message.navigation.page_script_hash
            case "page_info_changed":
                self._query = dict(parse_qsl(message.page_info_changed.query_string, keep_blank_values=True))
            case "session_event" if message.session_event.HasField("script_compilation_exception"):
                self.exceptions.append(message.session_event.script_compilation_exception.message)

    def _begin(self, message: ForwardMsg) -> None:
        run = message.metadata.run
        self._run, self._script = run.script_run_id, message.new_session.page_script_hash
        fragments = set(run.fragment_ids)
        for fragment in fragments & self._asked.keys():
            self._drawing.setdefault(fragment, self._asked.pop(fragment))
        if not fragments:
            self._stop_timers()
        for request in self._pending:
            if not fragments or request.fragment in fragments or request.runs:
                request.runs.append(run.script_run_id)

    def _draw(self, path: tuple[int, ...], delta: Delta) -> None:
        kind = delta.WhichOneof("type")
        if kind == "add_block" or (kind == "new_element" and delta.new_element.WhichOneof("type") not in KEPT):
            self._shown.pop(path, None)
        elif kind == "new_element":
            element = delta.new_element
            self._shown[path] = _Shown(element, self._run, delta.fragment_id)
            if element.WhichOneof("type") == "exception":
                self.exceptions.append(f"{element.exception.type}: {element.exception.message}")
            self._follow(element)

    def _follow(self, element: Element) -> None:
        """Where the server has set a slider, its value is the server's from now on."""
        if element.WhichOneof("type") == "slider" and element.slider.set_value and element.slider.id in self._states:
            self._states[element.slider.id].double_array_value.data[:] = element.slider.value

    def _end(self, message: ForwardMsg) -> None:
        run, status = message.metadata.run, message.script_finished
        if status not in (WHOLE, PART):  # another run follows at once
            return
        now = time.perf_counter()
        for fragment in run.fragment_ids:
            if fragment in self._drawing:
                self.polls.append(now - self._drawing.pop(fragment))
        self._drop_old(run.script_run_id, set(run.fragment_ids))
        for request in [one for one in self._pending if run.script_run_id in one.runs]:
            self.ends_lost += request.fragment == "" and bool(run.fragment_ids)
            request.answered = now
            request.event.set()
            self._pending.remove(request)
        self._look()
        self._changed.set()

    def _look(self) -> None:
        text = self.text if self._sights else ""
        for sight in [one for one in self._sights if one.words in text]:
            sight.at = time.perf_counter()
            self._sights.remove(sight)

    def _drop_old(self, run: str, fragments: set[str]) -> None:
        """Forget what a whole run, or one of some fragments, has not drawn again."""
        self._shown = {
            path: shown
            for path, shown in self._shown.items()
            if shown.run == run or (fragments and shown.fragment not in fragments)
        }


def _words(element: Element) -> str:
    match element.WhichOneof("type"):
        case "progress":
            return element.progress.text
        case "markdown":
            return element.markdown.body
        case "alert":
            return element.alert.body
    return ""
