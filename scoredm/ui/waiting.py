"""What takes a page seconds: a worker process computes it, and the page's script waits, for as long as its reader does."""

import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from scoredm.tasks import Workshop

Value = TypeVar("Value")

READER = "_waiting"  # session state: the name under which the pool knows this reader
LOOK_SECONDS = 0.2  # how often a waiting script looks whether its reader has left or asked for something else

_here = threading.Lock()  # held by the one script that computes in this process while the workers start


def for_value(shop: "Workshop", function: Callable[..., Value], *args: object, urgent: bool = False) -> Value:
    """The value of a function, computed by a worker process where there are any, and otherwise here.

    Args:
        shop: whose workers compute it.
        function: of a module.
        args: what it is given.
        urgent: whether it takes some tenths of a second at most; it then goes before other work.

    Returns:
        Its value. Where the reader leaves or moves on before it is there, Streamlit ends the script, and nothing is computed
        further unless somebody else waits.
    """
    if not shop.processes:
        return function(*args)
    reader = st.session_state.setdefault(READER, uuid.uuid4().hex)
    asked = shop.compute(function, *args, urgent=urgent, reader=reader)
    viewer = uuid.uuid4().hex
    try:
        while not asked.ended:
            asked.renew(viewer)
            asked.over.wait(LOOK_SECONDS)
            _let_go()
    finally:
        asked.release(viewer)
    return asked.value


def here_or_for_value(shop: "Workshop", function: Callable[..., Value], *args: object, urgent: bool) -> Value:
    """The value of a function, computed here as long as the workers are not ready, by one script at a time.

    The first reader of a server does not wait for its workers. Many who come with that reader would stop each other, as they
    share one interpreter: they stand in line here, until the workers take over.

    Args:
        shop: whose workers compute it.
        function: of a module.
        args: what it is given.
        urgent: see `for_value`.
    """
    while shop.processes and not shop.ready:
        if _here.acquire(timeout=LOOK_SECONDS):
            try:
                return function(*args)
            finally:
                _here.release()
        _let_go()
    return for_value(shop, function, *args, urgent=urgent)


def _let_go() -> None:
    """End the script here if it is to end: Streamlit looks at each access to the session's state."""
    READER in st.session_state  # noqa: B015 - the access is all
