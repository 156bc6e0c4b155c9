"""What a server needs before it can show a page, and how its process ends."""

import atexit
import gc
import logging
import math
import os
import sys
import threading
import time
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit import runtime

from scoredm.language import _

GARBAGE = 10_000  # objects that are made before Python looks for garbage among them; its own 700 is for small programs
LEAST_BYTES = 3e9  # of address space: torch reserves more than it uses
LEAVE_SECONDS = 3.0  # so long may the last computations go on after the server has stopped
SCRIPTS = "ScriptRunner"  # how Streamlit's threads that run pages are called
LIMITS = Path("/proc/self/limits")
OPTIMISED = sys.flags.optimize  # 2 where Python was started with -OO


def begin() -> None:
    """Begin a run: where the app cannot work at all, say why in place of the page, and go no further."""
    _end_in_time()
    reason = _reason()
    if reason:
        logging.getLogger(__name__).error(reason)
        st.error(reason)
        st.stop()


@cache
def settle() -> None:
    """Take what the first page of this server has loaded out of the search for garbage, once.

    It stays as long as the server. A search through it stops all pages for 0.1 to 0.2 s, and in a class there are many.
    """
    if not _serves():
        return
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])


def _reason() -> str:
    """What is missing, in words; "" where nothing is."""
    if OPTIMISED > 1:
        return _("Python was started with -OO, which leaves out texts that charts are made from. Start it without -OO.")
    most = _address_space()
    if most < LEAST_BYTES:
        words = _("The server may use {given:.1f} GB of address space and needs {least:.0f}. Raise the limit: ulimit -v {kb}")
        return words.format(given=most / 1e9, least=LEAST_BYTES / 1e9, kb=int(LEAST_BYTES / 1024))
    return ""


def _address_space() -> float:
    """The bytes of address space that this process may use; infinite where nobody bounds it."""
    if not LIMITS.is_file():
        return math.inf
    lines = LIMITS.read_text(encoding="ascii").splitlines()
    soft = next(line.split()[3] for line in lines if line.startswith("Max address space"))
    return math.inf if soft == "unlimited" else float(soft)


@cache
def _end_in_time() -> None:
    """See to it that the process ends soon after its server has stopped, whatever still computes; once.

    Streamlit runs pages in daemon threads. One that is inside torch when the interpreter goes down aborts the process. So the
    interpreter waits for them, and a process that waits too long ends without going down.
    """
    if not _serves():
        return
    atexit.register(_wait_for_scripts)
    threading.Thread(target=_end, name="end", daemon=True).start()


def _serves() -> bool:
    """Whether this process is a server: a test runs pages too, in a process that is not ours."""
    return type(runtime.get_instance()) is runtime.Runtime


def _wait_for_scripts() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith(SCRIPTS):
            thread.join()


def _end() -> None:
    threading.main_thread().join()
    time.sleep(LEAVE_SECONDS)
    os._exit(0)  # a worker process ends when this one is gone
