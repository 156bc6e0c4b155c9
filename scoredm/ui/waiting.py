"""What takes a page seconds: a worker process computes it, and the page's script waits, for as long as its reader does."""

import threading
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from scoredm.tasks import Workshop

READER = "_waiting"  # session state: the name under which the pool knows this reader
LOOK_SECONDS = 0.2  # how often a waiting script looks whether its reader has left or asked for something else

_here = threading.Lock()  # held by the one script that computes in this process while the workers start


def for_values(shop: "Workshop", *calls: "partial[Any]", urgent: bool = False) -> list[Any]:
    """The values of calls, computed by worker processes at the same time where there are any, and otherwise here.

    Args:
        shop: whose workers compute them.
        calls: of functions of a module.
        urgent: whether each takes some tenths of a second at most; they then go before other work.

    Returns:
        Their values. Where the reader leaves or moves on before they are there, Streamlit ends the script, and nothing is
        computed further unless somebody else waits.
    """
    if not shop.processes:
        return [call() for call in calls]
    reader = st.session_state.setdefault(READER, uuid.uuid4().hex)
    asked = [shop.compute(call.func, *call.args, urgent=urgent, reader=reader) for call in calls]
    viewer = uuid.uuid4().hex
    try:
        while waiting := [one for one in asked if not one.ended]:
            for one in waiting:
                one.renew(viewer)
            waiting[0].over.wait(LOOK_SECONDS)
            _let_go()
    finally:
        for one in asked:
            one.release(viewer)
    return [one.value for one in asked]


def here_or_for_values(shop: "Workshop", *calls: "partial[Any]", urgent: bool = False) -> list[Any]:
    """The values of calls, computed here as long as the workers are not ready, by one script at a time.

    The first reader of a server does not wait for its workers. Many who come with that reader would stop each other, as they
    share one interpreter: they stand in line here, until the workers take over.

    Args:
        shop: whose workers compute them.
        calls: of functions of a module.
        urgent: see `for_values`.
    """
    while shop.processes and not shop.ready:
        if _here.acquire(timeout=LOOK_SECONDS):
            try:
                return [call() for call in calls]
            finally:
                _here.release()
        _let_go()
    return for_values(shop, *calls, urgent=urgent)


def _let_go() -> None:
    """End the script here if it is to end: Streamlit looks at each access to the session's state."""
    READER in st.session_state  # noqa: B015 - the access is all
