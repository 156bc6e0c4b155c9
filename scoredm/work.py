"""Long work that many readers share: it is done in small units, by one pool of threads, for as long as somebody watches.

Pages are interrupted and rerun at any moment, so long work cannot live in them. A `Work` hands out units: a slice of a training
run, one job of a study, one check. A `Pool` of threads takes the next unit from the work that has had least time so far, so all
work shares the cores fairly, however long its units are; the many short calls of one reader count together. Work goes on while
some viewer's lease on it is alive, so that what nobody watches stops by itself. Each thread has a `Worker` that computes its
units, in a process beside that of the pages.

One lock, the pool's, guards who waits, who watches and what is handed out. It is held for moments only, never during a unit.
"""

import atexit
import math
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import final
from weakref import WeakSet

from scoredm.workers import GivenUp, Here, Worker

LEASE_SECONDS = 4.0
LOOK_SECONDS = 0.5  # how often a viewer looks at work that goes on; in a crowd less often
MOST_LOOKS = 8  # of all viewers together, in a second
SLICE_SECONDS = 0.1  # how long a unit takes that can be cut anywhere
MAX_THREADS = 8
LONG_SECONDS = 0.5  # a unit that takes longer keeps others waiting
LOOKS_OF_A_LEASE = 4
MARKS = 40  # the pace is measured over so many units
IDLE_SECONDS = 60.0  # a worker that has nothing to do for so long gives back what it holds

Unit = Callable[[Worker], None]


class Work(ABC):
    """Long work that is done one unit at a time while somebody watches.

    Attributes:
        pool: whose threads do it.
        error: why it cannot go on, in plain words; None while nothing went wrong.
    """

    at_once = 1  # units that may be under way at the same time
    sliced = False  # whether its units are cut after SLICE_SECONDS
    urgent = False  # whether it is done before other work: short, and a page waits for it
    polled = True  # whether its viewers look at it now and then; a page's script that waits for a call is no such viewer
    reader = ""  # whose time it takes, where one reader alone asks for it; "" for work that readers share

    def __init__(self, pool: "Pool") -> None:
        """Wait for a viewer.

        Args:
            pool: whose threads do the work.
        """
        self.pool = pool
        self.error: str | None = None
        self.used = 0.0  # seconds of the pool's threads
        self.under_way = 0
        self._unit_seconds: float | None = None
        self._leases: dict[str, float] = {}
        self._marks: deque[tuple[float, float]] = deque(maxlen=MARKS)
        self._pace: float | None = None
        self._dependants: WeakSet[Work] = WeakSet()

    @abstractmethod
    def take(self) -> Unit | None:
        """The next unit, or None where nothing can be done now; called with the pool's lock, so it must be quick."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether nothing is left to do."""

    @property
    @abstractmethod
    def share(self) -> float:
        """How much of the work is done, from 0 to 1, counted in the time that it takes."""

    @property
    def needs(self) -> "Iterable[Work]":
        """Other work that must be done first; whoever watches this watches that too."""
        return ()

    @property
    def ended(self) -> bool:
        """Whether it is done or cannot go on."""
        return self.done or self.error is not None

    @property
    def watched(self) -> bool:
        """Whether some viewer's lease is alive."""
        now = time.monotonic()
        return any(end > now for end in tuple(self._leases.values()))

    def wanted(self) -> bool:
        """Whether a unit that is under way is to go on."""
        return self.watched and not self.pool.stopping

    @property
    def running(self) -> bool:
        """Whether somebody watches and something is left to do."""
        return self.watched and not self.ended

    @property
    def resting(self) -> bool:
        """Whether no thread has a unit of it or is about to take one."""
        return not self.under_way and not self.pool.has(self)

    @property
    def has_long_units(self) -> bool:
        """Whether its units take long, as far as is known: one thread is kept free of such, so that short ones do not wait."""
        return not (self.sliced or self.urgent) and (self._unit_seconds is None or self._unit_seconds > LONG_SECONDS)

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at the pace measured last, with the cores shared as they were; None before it is known."""
        return None if self._pace is None else (1 - self.share) * self._pace

    def renew(self, viewer: str) -> None:
        """Note that a viewer wants the work to go on until the next looks, LEASE_SECONDS at least.

        Args:
            viewer: a name of the viewer's own.
        """
        for other in self.needs:
            other.renew(viewer)
        with self.pool.lock:
            self._leases[viewer] = time.monotonic() + (self.pool.note(viewer) if self.polled else LEASE_SECONDS)
        self.pool.enqueue(self)

    def insist(self) -> None:
        """Have the work done though nobody watches."""
        with self.pool.lock:
            self._leases[""] = math.inf
        self.pool.enqueue(self)

    def release(self, viewer: str) -> None:
        """Note that a viewer no longer asks for progress; unless others do, the work stops after the units under way.

        Args:
            viewer: the name that was given to `renew`.
        """
        with self.pool.lock:
            self._leases.pop(viewer, None)
        for other in self.needs:
            other.release(viewer)

    def wake(self, dependant: "Work") -> None:
        """Remember other work that can go on once this has ended.

        Args:
            dependant: the other work.
        """
        self._dependants.add(dependant)

    def begin(self) -> None:
        """Count a unit that was taken; the pool's business, with its lock."""
        self.under_way += 1
        self.used += SLICE_SECONDS

    def finish(self, seconds: float) -> list["Work"]:
        """Count a unit that has ended and measure the pace; the pool's business, with its lock.

        The pace is that from the end of the first unit on: the first may be slow, as it loads what the others find loaded.

        Args:
            seconds: that the unit took.

        Returns:
            The work that waited for the end of this.
        """
        self.under_way -= 1
        self.used += seconds - SLICE_SECONDS
        self._unit_seconds = seconds
        self._marks.append((time.monotonic(), self.share))
        (began, before), (now, after) = self._marks[0], self._marks[-1]
        if after > before:
            self._pace = (now - began) / (after - before)
        if not self.running and not self.under_way:
            self._marks.clear()
            self._leases = {viewer: end for viewer, end in self._leases.items() if end > now}
        return list(self._dependants) if self.ended else []


@final
class _TimeUsed:
    """How newcomers stand beside work that has had time already; the pool's business, with its lock.

    A newcomer has no claim to what was before it came: it begins with what the work taken up last has used. The next call of a
    reader begins with what that reader's calls have used, if that is more, so that many short calls in a row are not all
    newcomers, before which long work never has a turn.
    """

    def __init__(self) -> None:
        self._latest = 0.0
        self._readers: dict[str, float] = {}  # of those who have used more than that

    def admit(self, work: Work) -> None:
        """Let work begin, or begin again after a rest."""
        work.used = max(work.used, self._latest, self._readers.get(work.reader, 0.0))

    def note(self, work: Work) -> None:
        """Remember what the work that is taken up now has used."""
        self._latest = max(self._latest, work.used)

    def charge(self, work: Work) -> None:
        """Count the time of a unit that has ended as its reader's."""
        if work.reader:
            self._readers[work.reader] = max(work.used, self._readers.get(work.reader, 0.0))
        self._readers = {reader: used for reader, used in self._readers.items() if used > self._latest}


@final
class Pool:
    """Daemon threads, one per core and at most MAX_THREADS, that do the units of whatever work is watched.

    Attributes:
        lock: guards the queue, and what work hands out and takes back.
        size: number of threads.
        workers: what computes the units of each thread.
        stopping: whether it was told to shut down.
    """

    def __init__(self, threads: int | None = None, make_worker: Callable[[], Worker] = Here) -> None:
        """Start the threads; they end with `shutdown`, at the latest when the process exits.

        Args:
            threads: how many; by default one per core and at most MAX_THREADS.
            make_worker: makes the worker of a thread; by default the thread itself computes.
        """
        self.lock = threading.RLock()
        self.size = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self.workers = [make_worker() for _ in range(self.size)]
        self.stopping = False
        self._changed = threading.Condition(self.lock)
        self._queue: list[Work] = []
        self._viewers: dict[str, float] = {}  # until when each is expected to look again
        self._long = 0  # long units under way
        self._urgent = 0  # urgent units under way
        self._used = {urgent: _TimeUsed() for urgent in (False, True)}
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), name=f"work-{i}", daemon=True)
            for i, worker in enumerate(self.workers)
        ]
        for thread in self._threads:
            thread.start()
        # A thread still inside torch when the interpreter goes down aborts the process.
        atexit.register(self.shutdown)

    @property
    def look_seconds(self) -> float:
        """How often a viewer should look: so often that all together look at most MOST_LOOKS times a second."""
        now = time.monotonic()
        with self.lock:
            self._viewers = {viewer: end for viewer, end in self._viewers.items() if end > now}
            return max(LOOK_SECONDS, len(self._viewers) / MOST_LOOKS)

    def note(self, viewer: str) -> float:
        """Count a viewer, and say for how many seconds a lease should last: long enough for some looks.

        Args:
            viewer: a name of the viewer's own.
        """
        with self.lock:
            seconds = max(LEASE_SECONDS, LOOKS_OF_A_LEASE * self.look_seconds)
            self._viewers[viewer] = time.monotonic() + seconds
            return seconds

    def has(self, work: Work) -> bool:
        """Whether work waits for a thread.

        Args:
            work: any work of this pool.
        """
        with self.lock:
            return work in self._queue

    def enqueue(self, work: Work) -> None:
        """Put work at the back of the queue, unless it is there already, has enough units under way, or is not to go on.

        Args:
            work: any work of this pool.
        """
        with self._changed:
            if work in self._queue or work.under_way >= work.at_once or not work.running:
                return
            if not work.under_way:
                self._used[work.urgent].admit(work)
            self._queue.append(work)
            self._changed.notify()

    def shutdown(self) -> None:
        """Stop all threads and wait for them; the work stays as it is.

        A unit that another process computes is given up; one that a thread of this process computes ends first.
        """
        with self._changed:
            self.stopping = True
            self._changed.notify_all()
        for worker in self.workers:
            worker.end()
        for thread in self._threads:
            thread.join()
        for worker in self.workers:
            worker.end()  # a thread may have started a process in the meantime
        atexit.unregister(self.shutdown)

    def _work(self, worker: Worker) -> None:
        while (taken := self._next(worker)) is not None:
            work, unit, is_long = taken
            began = time.monotonic()
            try:
                unit(worker)
            except GivenUp:
                pass  # nobody watches: whoever does later has it begun again
            except Exception as error:  # noqa: BLE001 - whatever fails, the thread goes on and the viewers are told
                work.error = str(error) or type(error).__name__
            with self._changed:
                waiting = work.finish(time.monotonic() - began)
                self._used[work.urgent].charge(work)
                self._long -= is_long
                self._urgent -= work.urgent
                self._changed.notify_all()
            for other in [work, *waiting]:
                self.enqueue(other)

    def _next(self, worker: Worker) -> tuple[Work, Unit, bool] | None:
        """Wait for a unit, and say whether it may take long; None when the threads are to stop."""
        with self._changed:
            while True:
                if not self._changed.wait_for(lambda: self._possible() or self.stopping, IDLE_SECONDS):
                    worker.end()
                    continue
                if self.stopping:
                    return None
                work = min(self._possible(), key=lambda waiting: (not waiting.urgent, waiting.used))
                self._queue.remove(work)
                unit = work.take() if work.running else None
                if unit is not None:
                    self._used[work.urgent].note(work)
                    is_long = work.has_long_units
                    self._long += is_long
                    self._urgent += work.urgent
                    work.begin()
                    self.enqueue(work)
                    return work, unit, is_long

    def _possible(self) -> list[Work]:
        """The work of the queue that may be taken up now.

        Of several threads one is kept free of long units, and while other work waits one is kept free of urgent units, so that
        many pages together do not bring it to a halt.
        """
        most = max(1, self.size - 1)
        possible = [work for work in self._queue if not (self._long >= most and work.has_long_units)]
        if self.size > 1 and self._urgent >= most:
            return [work for work in possible if not work.urgent] or possible
        return possible
