"""Long work on a page: training runs, studies and checks, what each reader wants of them, and the view that follows them.

The work itself is in `scoredm.tasks`: readers who ask for the same share it. A session remembers which work its reader has
started; while a page of that reader is open, `watch` draws it again and again and so keeps the work going. Work that no page
watches stops by itself a few seconds later.

    run = background.training(task)             # None before anybody trained it
    st.button("Train", on_click=background.train, args=(task,))
    background.watch(lambda: draw(run), run)
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

from scoredm.ui import cache

if TYPE_CHECKING:
    from collections.abc import Hashable

    from scoredm.studies import Job
    from scoredm.tasks import Checks, Study, Training, TrainingTask
    from scoredm.work import Work

STOP_SECONDS = 0.4  # Stop waits so long for the units under way
HELD = 6  # training runs kept for one session, though others' may have pushed them out of the common store

Key = TypeVar("Key", bound="Hashable")
Outcome = TypeVar("Outcome")


@dataclass
class _Reader:
    """One browser tab: the work it wants to go on, and the training runs on its screen (None: set back to nothing)."""

    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    wanted: "set[Work]" = field(default_factory=set)
    runs: "dict[TrainingTask, Training | None]" = field(default_factory=dict)
    checks: "Checks[Any, Any] | None" = None

    def hold(self, task: "TrainingTask", run: "Training | None") -> None:
        """Put a run on the screen, and keep the latest others."""
        self.runs.pop(task, None)
        self.runs[task] = run
        while len(self.runs) > HELD:
            self.wanted.discard(self.runs.pop(next(iter(self.runs))))


def _reader() -> _Reader:
    return st.session_state.setdefault("_background", _Reader())


def prepare() -> None:
    """Start what computes long work, once the first page of this server has been drawn."""
    cache.workshop().prepare()


# What a reader wants


def start(work: "Work") -> None:
    """This reader wants the work to go on."""
    reader = _reader()
    shown = reader.runs.values()
    reader.wanted = {other for other in reader.wanted if not other.ended or other in shown} | {work}
    work.renew(reader.name)


def stop(work: "Work") -> None:
    """This reader wants it no longer; unless another does, it stops after the units under way."""
    reader = _reader()
    reader.wanted.discard(work)
    work.release(reader.name)
    end = time.monotonic() + STOP_SECONDS
    while not (work.resting or work.watched) and time.monotonic() < end:
        time.sleep(0.01)


def wants(work: "Work | None") -> bool:
    """Whether this reader has started the work and not stopped it since; it may have ended."""
    return work in _reader().wanted


def moving(work: "Work | None") -> bool:
    """Whether the work is to go on: somebody wants it, and it has not ended."""
    return work is not None and not work.ended and (wants(work) or work.watched)


def watch(draw: Callable[[], None], *works: "Work | None") -> None:
    """Draw something that shows long work, and draw it again and again while the work is to go on; in a crowd less often.

    Whether it is polled depends on what readers want, and not on whether a thread has the work at this moment: a lease that ran
    out while the page was computed is renewed here. When work starts, and once all has ended or stopped and the units under way
    have ended too, the whole page is drawn again, so that all of it shows the same state.

    Args:
        draw: draws the work as it is now.
        works: what is shown; None for work that does not exist yet.
    """
    live = _changing(works)
    seconds = _look_seconds() if live else None

    def look() -> None:
        reader = _reader()
        for work in works:
            if work is not None and wants(work) and not work.ended:
                work.renew(reader.name)
        if live != _changing(works):  # it ended, or a button in what is drawn here started it
            st.rerun()
        if seconds is not None and not 0.5 < _look_seconds() / seconds < 2:  # many have come or gone
            st.rerun()
        try:
            draw()
        except StreamlitInvalidLayoutContextError:
            st.empty()  # a look that a run of the whole page has overtaken ends here: that run has made the places outside anew
            raise

    st.fragment(look, run_every=seconds)()


def _look_seconds() -> float:
    return cache.workshop().pool.look_seconds


def _changing(works: "Sequence[Work | None]") -> bool:
    return any(moving(work) or (work is not None and not work.resting) for work in works)


# Training runs


def training(task: "TrainingTask") -> "Training | None":
    """The run of a task that is on this reader's screen; None before anybody trained it, and after Reset."""
    reader = _reader()
    if task not in reader.runs:
        found = cache.workshop().networks.find(task)
        if found is None:
            return None
        reader.hold(task, found)
    run = reader.runs[task]
    if run is not None and wants(run):
        run.renew(reader.name)
    return run


def train(task: "TrainingTask") -> None:
    """Start or continue the run of a task, which this reader wants from now on; after Reset, one from the start."""
    reader, networks = _reader(), cache.workshop().networks
    was_reset = task in reader.runs and reader.runs[task] is None
    run = networks.repeat(task) if was_reset else reader.runs.get(task) or networks.get(task)
    reader.hold(task, run)
    start(run)


def train_again(task: "TrainingTask") -> None:
    """Train from the start, though it has been done here before; others keep the run that they have on screen."""
    run = cache.workshop().networks.repeat(task)
    _reader().hold(task, run)
    start(run)


def reset(task: "TrainingTask") -> None:
    """Take a run from this reader's screen; it stays where it is for others."""
    run = training(task)
    if run is not None:
        stop(run)
    _reader().hold(task, None)


# Studies and checks


def study(jobs: "Sequence[Job]") -> "Study":
    """The study of these different jobs, the same for every reader; it goes on if this reader wants it to."""
    found = cache.workshop().study(jobs)
    if wants(found):
        found.renew(_reader().name)
    return found


def checks(perform: "Callable[[Key], Outcome]") -> "Checks[Key, Outcome]":
    """This reader's list of checks, kept for the visit.

    Args:
        perform: runs a check and says what came of it, whatever goes wrong.
    """
    reader = _reader()
    listed = reader.checks or cache.workshop().checks(perform)
    reader.checks = listed
    if wants(listed):
        listed.renew(reader.name)
    return listed


def run_checks(listed: "Checks[Key, Any]", keys: "Sequence[Key]") -> None:
    """Add checks to this reader's list and start it."""
    listed.ask(keys)
    start(listed)
