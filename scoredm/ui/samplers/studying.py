"""Studies on a page: their jobs run in threads that all readers share, a few at a time, for as long as somebody looks.

A study goes on for a little while after a page that wants it has drawn, so one whose tab was closed stops by itself. What has
been found is kept by job, so a study that shares jobs with an earlier one begins with their rows.
"""

import os
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, final

import streamlit as st

if TYPE_CHECKING:
    from scoredm.studies import Job, Record

STUDIES = 32  # kept for everybody
ROWS = 20_000  # kept for everybody
THREADS = min(8, os.cpu_count() or 1)
LEASE_SECONDS = 3.0
GOING = "_studies_going"  # session state: names of the studies that this reader wants to go on


@final
class Found:
    """The latest rows of all studies, by the key of their job; rows of failed jobs are not kept."""

    def __init__(self, most: int = ROWS) -> None:
        """Nothing yet; most: rows kept."""
        self._most = most
        self._rows: dict[str, Record] = {}
        self._lock = threading.Lock()

    def row(self, job: "Job") -> "Record | None":
        """The row of a job, if it has one."""
        return self._rows.get(job.key)

    def keep(self, row: "Record") -> None:
        """Keep a row, and let the oldest go."""
        with self._lock:
            if not row["error"]:
                self._rows[row["key"]] = row
            while len(self._rows) > self._most:
                del self._rows[next(iter(self._rows))]


@final
class Study:
    """One study under way, shared by everybody who asked for the same jobs; rows: those that have arrived."""

    def __init__(self, jobs: "tuple[Job, ...]", executor: Executor, found: Found) -> None:
        """Take the rows that are known already, and wait; nothing runs before the first `advance`."""
        known = {job: found.row(job) for job in jobs}
        self.jobs = jobs
        self.name = hash(tuple(job.key for job in jobs))
        self.rows: list[Record] = [row for row in known.values() if row is not None]
        self._found = found
        self._executor = executor
        self._left = deque(job for job, row in known.items() if row is None)
        self._running: dict[Future[Record], Job] = {}
        self._until = 0.0
        self._lock = threading.RLock()

    @property
    def done(self) -> bool:
        """Whether every job has its row."""
        return len(self.rows) == len(self.jobs)

    def advance(self) -> None:
        """Go on for LEASE_SECONDS."""
        with self._lock:
            self._until = time.monotonic() + LEASE_SECONDS
            self._hand_in()

    def stop(self) -> None:
        """Take back the jobs that have not begun; those under way still end, and count."""
        with self._lock:
            self._until = 0.0
            for future in reversed(list(self._running)):
                future.cancel()

    def _hand_in(self) -> None:
        """A job to each thread: the next follows as one ends, and takes its place behind those of other studies."""
        from scoredm.studies import perform

        while self._left and len(self._running) < THREADS and time.monotonic() < self._until:
            job = self._left.popleft()
            future = self._executor.submit(perform, job)
            self._running[future] = job
            future.add_done_callback(self._arrived)

    def _arrived(self, future: "Future[Record]") -> None:
        from scoredm.studies import collect

        with self._lock:
            job = self._running.pop(future)
            if future.cancelled():
                self._left.appendleft(job)
                return
            row = collect(future, job)
            self._found.keep(row)
            self.rows.append(row)
            self._hand_in()


@st.cache_resource(show_spinner=False)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="study")


@st.cache_resource(show_spinner=False)
def _found() -> Found:
    return Found()


@st.cache_resource(max_entries=STUDIES, show_spinner=False, hash_funcs={"scoredm.studies.Job": lambda job: job.key})
def study(jobs: "tuple[Job, ...]") -> Study:
    """The study of these different jobs, the same for every reader."""
    return Study(jobs, _threads(), _found())


def wanted(asked: Study) -> bool:
    """Whether this reader wants the study to go on, and there is something left of it."""
    return not asked.done and asked.name in st.session_state.get(GOING, ())


def going(asked: Study) -> bool:
    """Whether this reader wants the study to go on; if so, it goes on."""
    if not wanted(asked):
        return False
    asked.advance()
    return True


def start(asked: Study) -> None:
    """This reader wants the study to go on."""
    st.session_state.setdefault(GOING, set()).add(asked.name)


def stop(asked: Study) -> None:
    """This reader wants it no longer; what has arrived stays."""
    st.session_state.get(GOING, set()).discard(asked.name)
    asked.stop()
