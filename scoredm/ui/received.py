"""What a browser sends, checked before it reaches a page: a hand-written client can send anything for any widget.

Streamlit keeps the messages of a visit's widgets in its `WStates`, and makes a value of a message when somebody asks for it: to
see which widgets have changed, before any callback runs, and when a widget is drawn. `Received` stands in its place. A message
that no widget of ours would have sent is dropped there: the widget keeps its value, no callback runs, and the page says so.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from streamlit.errors import Error as StreamlitError
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.state.common import WidgetMetadata, unpack_widget_state_value, user_key_from_element_id
from streamlit.runtime.state.session_state import Serialized, Value, WStates
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from scoredm.address import TABLE
from scoredm.parameters import Choice, Number, Parameter

UPLOADED_BYTES = 2 << 20  # of all files of a visit
UPLOADED_FILES = 3  # of a visit

# What Streamlit's own code raises where it makes a value of a message that none of its widgets would send.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, StreamlitError)

ALIKE = {"int_value": "double_value", "int_array_value": "double_array_value"}  # a whole number may come as either

BOUND = {parameter.name: parameter for table in TABLE.values() for parameter in table.values()}


class Received(WStates):
    """The messages of a visit's widgets, of which only those become values that one of our widgets could have sent.

    Attributes:
        refused: how many messages were dropped since the page last said so.
    """

    def __init__(self, before: WStates) -> None:
        """Take the place of Streamlit's own object.

        Args:
            before: whose messages and widgets are taken over.
        """
        super().__init__(before.states, before.widget_metadata)
        self.refused = 0

    def __iter__(self) -> Iterator[str]:
        """The widgets that have sent something, as they are now: one whose message is refused meanwhile is dropped."""
        return iter(list(self.states))

    def clear(self) -> None:
        """Forget all messages, also those of widgets that are not known."""
        self.states.clear()

    def set_widget_from_proto(self, widget_state: WidgetState) -> None:
        """Take a message; for a widget that was drawn before, make a value of it at once."""
        super().set_widget_from_proto(widget_state)
        self.get(widget_state.id)

    def __getitem__(self, k: str) -> Any:
        """The value that a widget sent.

        Raises:
            KeyError: it sent none, or none that it could have sent.
        """
        state, metadata = self.states.get(k), self.widget_metadata.get(k)
        if not isinstance(state, Serialized) or metadata is None:
            return super().__getitem__(k)
        try:
            value = _read(state.value, metadata)
        except UNREADABLE as error:
            del self.states[k]
            self.refused += 1
            raise KeyError(k) from error
        self.states[k] = Value(value)
        return value


def _read(message: WidgetState, metadata: WidgetMetadata[Any]) -> Any:
    """The value of a message.

    Raises:
        ValueError: it has another type than the widget, or a value outside its parameter's range.
    """
    kind = message.WhichOneof("value")
    if kind is not None and ALIKE.get(kind, kind) != ALIKE.get(metadata.value_type, metadata.value_type):
        raise ValueError(f"a {kind} was sent where a {metadata.value_type} belongs")
    sent = unpack_widget_state_value(message)
    parameter = BOUND.get(user_key_from_element_id(message.id) or "") if metadata.bind else None
    if kind is not None and not _could_send(parameter, sent):
        raise ValueError(f"{message.id} cannot be what was sent for it")
    return metadata.deserializer(sent)


def _could_send(parameter: Parameter | None, sent: Any) -> bool:
    """Whether a widget could have sent this, the widget of a parameter if one is given."""
    numbers = [number for number in _each(sent) if isinstance(number, float)]
    if not all(map(math.isfinite, numbers)):
        return False
    match parameter:
        case Number(low=low, high=high):
            return all(low <= number <= high for number in _each(sent))
        case Choice():
            return bool(sent)
    return True


def _each(sent: Any) -> list[Any]:
    """The parts of what was sent: of several values each, and else the one."""
    return list(sent) if isinstance(sent, Iterable) and not isinstance(sent, str | bytes | dict) else [sent]


def check_messages() -> None:
    """Have what this visit's browser sends checked from now on; every run of a page calls it first."""
    state = _session_state()
    if state is not None and not isinstance(state._new_widget_state, Received):
        state._new_widget_state = Received(state._new_widget_state)


def take_refused() -> int:
    """How many messages were dropped since this was last asked."""
    state = _session_state()
    if state is None or not isinstance(state._new_widget_state, Received):
        return 0
    refused, state._new_widget_state.refused = state._new_widget_state.refused, 0
    return refused


def _session_state() -> Any:
    """Streamlit's own session state of this visit; None in a thread that draws no page."""
    context = get_script_run_ctx(suppress_warning=True)
    return None if context is None else context.session_state._state


# What a browser can ask of the server besides


def _add_file(self: MemoryUploadedFileManager, session_id: str, file: UploadedFileRec) -> None:
    """Keep a visit's newest files: the oldest go where all together are too large or too many."""
    _add_any_file(self, session_id, file)
    files = dict(self.file_storage[session_id])
    for name in list(files):
        if len(files) <= UPLOADED_FILES and sum(len(one.data) for one in files.values()) <= UPLOADED_BYTES:
            return
        if name != file.file_id:
            self.remove_file(session_id, name)
            del files[name]


_add_any_file = MemoryUploadedFileManager.add_file

# Streamlit lets any browser empty the caches of all visits, and ask for the state of the server's Git repository. It offers no
# setting against either, and none for the files of a visit together.
AppSession._handle_clear_cache_request = lambda self: None  # noqa: ARG005
AppSession._handle_git_information_request = lambda self: None  # noqa: ARG005
MemoryUploadedFileManager.add_file = _add_file
