"""A reader's checks: they run one at a time in threads that all readers share.

The library is imported inside the functions, so that the page's frame is on screen before torch loads.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, final

import streamlit as st

from scoredm.experiment import Experiment

if TYPE_CHECKING:
    from scoredm.checks.finding import Finding

THREADS = 2


class Key(NamedTuple):
    """One check of one experiment; None for a known figure, which asks for none."""

    name: str
    experiment: Experiment | None


@dataclass(frozen=True)
class Result:
    """What a check came to, and how long it took; finding is None where it broke off, and reason says why."""

    seconds: float
    finding: "Finding | None"
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the claim holds here."""
        return self.finding is not None and self.finding.passed


def perform(key: Key) -> Result:
    """Run one check; whatever goes wrong is said in words."""
    from scoredm.checks import CHECKS
    from scoredm.checks.finding import Case

    began = time.perf_counter()
    try:
        experiment = key.experiment or Experiment()
        check = next(check for check in CHECKS if check.name == key.name)
        finding = check(Case(experiment.mixture, experiment.sde, experiment.seed))
    except Exception as error:  # noqa: BLE001 - a check that breaks off is one that fails
        return Result(time.perf_counter() - began, None, str(error) or type(error).__name__)
    return Result(time.perf_counter() - began, finding)


@final
class Bench:
    """One reader's checks: those that wait, the one that runs, and the results so far.

    After each check the next goes to the back of the executor's queue, so that readers take turns.
    """

    def __init__(self, executor: Executor) -> None:
        """Nothing asked for yet."""
        self.results: dict[Key, Result] = {}
        self.current: Key | None = None
        self.asked = 0  # checks of this round
        self._waiting: deque[Key] = deque()
        self._executor = executor
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a check runs."""
        return self.current is not None

    @property
    def done(self) -> int:
        """Checks of this round that have ended."""
        return self.asked - len(self._waiting) - self.busy

    def waits(self, key: Key) -> bool:
        """Whether a check is still to run."""
        return key in self._waiting

    def ask(self, keys: Sequence[Key]) -> None:
        """Run these checks, anew where they have run before, after those that wait already."""
        with self._lock:
            fresh = [key for key in keys if key not in self._waiting and key != self.current]
            for key in fresh:
                self.results.pop(key, None)
            self.asked = len(fresh) + (self.asked if self.busy else 0)
            self._waiting.extend(fresh)
            if not self.busy:
                self._take_next()

    def stop(self) -> None:
        """Drop what waits; the check that runs still ends, and counts."""
        with self._lock:
            self.asked -= len(self._waiting)
            self._waiting.clear()

    def keep(self, experiment: Experiment) -> None:
        """Drop what waits for another experiment than this."""
        with self._lock:
            kept = [key for key in self._waiting if key.experiment in (experiment, None)]
            self.asked -= len(self._waiting) - len(kept)
            self._waiting = deque(kept)

    def _take_next(self) -> None:
        self.current = self._waiting.popleft() if self._waiting else None
        if self.current is not None:
            self._executor.submit(self._run, self.current)

    def _run(self, key: Key) -> None:
        result = perform(key)
        with self._lock:
            self.results[key] = result
            self._take_next()


@st.cache_resource(show_spinner=False)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="check")


def bench() -> Bench:
    """This reader's checks, kept for the visit."""
    if "_verified" not in st.session_state:
        st.session_state["_verified"] = Bench(_threads())
    return st.session_state["_verified"]
