"""Studies on a page: their jobs run in threads that all readers share, a few at a time, for as long as somebody looks.

A study moves on only when a page that wants it draws, so one whose tab was closed stops by itself, and keeps what it has.
"""

import os
import threading
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, final

import streamlit as st

if TYPE_CHECKING:
    from scoredm.studies import Job, Row

STUDIES = 16  # kept for everybody
THREADS = min(8, os.cpu_count() or 1)
AHEAD = 2  # jobs handed in per thread: enough to keep it busy until the page draws again
GOING = "_studies_going"  # session state: the studies that this reader wants to go on


@final
class Study:
    """One study under way, shared by everybody who asked for the same jobs."""

    def __init__(self, jobs: "tuple[Job, ...]", executor: Executor) -> None:
        """Wait; nothing runs before the first `advance`."""
        self.jobs = jobs
        self.rows: list[Row] = []
        self._executor = executor
        self._left = deque(jobs)
        self._running: dict[Future[Row], Job] = {}
        self._lock = threading.Lock()

    @property
    def done(self) -> bool:
        """Whether every job has its row."""
        return len(self.rows) == len(self.jobs)

    def advance(self) -> None:
        """Take in the rows that have arrived, and hand in the next few jobs."""
        from scoredm.studies import perform

        with self._lock:
            self._take_in()
            while self._left and len(self._running) < THREADS * AHEAD:
                job = self._left.popleft()
                self._running[self._executor.submit(perform, job)] = job

    def stop(self) -> None:
        """Take back the jobs that have not begun; those under way still end, and count."""
        with self._lock:
            for future, job in reversed(list(self._running.items())):
                if future.cancel():
                    del self._running[future]
                    self._left.appendleft(job)

    def _take_in(self) -> None:
        from scoredm.studies import collect

        for future in [future for future in self._running if future.done()]:
            self.rows.append(collect(future, self._running.pop(future)))


@st.cache_resource(show_spinner=False)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="study")


@st.cache_resource(max_entries=STUDIES, show_spinner=False, hash_funcs={"scoredm.studies.Job": lambda job: job.key})
def study(jobs: "tuple[Job, ...]") -> Study:
    """The study of these jobs, the same for every reader."""
    return Study(jobs, _threads())


def going(asked: Study) -> bool:
    """Whether this reader wants the study to go on; if so, it moves on."""
    if asked.done or id(asked) not in st.session_state.get(GOING, ()):
        return False
    asked.advance()
    return not asked.done


def start(asked: Study) -> None:
    """This reader wants the study to go on."""
    st.session_state.setdefault(GOING, set()).add(id(asked))


def stop(asked: Study) -> None:
    """This reader wants it no longer; what has arrived stays."""
    st.session_state.get(GOING, set()).discard(id(asked))
    asked.stop()
