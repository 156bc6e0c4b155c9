"""What takes a page seconds: a worker process computes it, and the page's script waits, for as long as its reader does."""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from scoredm.tasks import Workshop

Value = TypeVar("Value")

LOOK_SECONDS = 0.1  # how often a waiting script looks whether its reader has left or asked for something else


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
    reader = st.session_state.setdefault("_waiting", uuid.uuid4().hex)
    asked = shop.compute(function, *args, urgent=urgent, reader=reader)
    viewer = uuid.uuid4().hex
    try:
        while not asked.ended:
            asked.renew(viewer)
            asked.over.wait(LOOK_SECONDS)
            "waiting" in st.session_state  # noqa: B015 - where Streamlit looks whether the script is to end
    finally:
        asked.release(viewer)
    return asked.value
