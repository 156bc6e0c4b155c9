"""A small pool of threads that trains models while somebody watches.

Pages are interrupted and rerun at any moment, so training cannot live in them. Here a run advances for a slice of time and goes
to the back of the queue, so that all runs share the cores; it advances while some viewer's lease on it is alive, so that an
abandoned one stops by itself.
"""

import atexit
import copy
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import final

from scoredm.networks import NotebookNet, ScoreNet
from scoredm.training import Trainer

LEASE_SECONDS = 5.0
SLICE_SECONDS = 0.05
MAX_THREADS = 8
SLICES_TIMED = 40  # the pace of a run is taken over its last slices, about two seconds of them


@final
class Run:
    """One training run, shared by everybody who asked for the same recipe.

    trainer: the trainer, whose history only grows and may be read at any time; error: what went wrong, in plain words.
    Made by `Pool.submit`; it starts with its first `renew`.
    """

    def __init__(self, trainer: Trainer, enqueue: Callable[["Run"], None]) -> None:
        """Wait, parked, for a viewer."""
        self.trainer = trainer
        self.error: str | None = None
        self._enqueue = enqueue
        self._lock = threading.Lock()
        self._leases: dict[str, float] = {}
        self._queued = False
        self._pace: deque[tuple[float, int]] = deque(maxlen=SLICES_TIMED)
        self._published = _frozen_copy(trainer)

    @property
    def running(self) -> bool:
        """Whether somebody watches and there is something left to do."""
        return self.wanted and not self.trainer.done and self.error is None

    @property
    def wanted(self) -> bool:
        """Whether some viewer's lease is alive."""
        now = time.monotonic()
        return any(end > now for end in tuple(self._leases.values()))

    @property
    def parked(self) -> bool:
        """Whether no worker has it or is about to take it up; `snapshot` is then the model after the last step."""
        return not self._queued

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at the present pace, cores shared as they are now; None before the pace is known."""
        pace = tuple(self._pace)
        if len(pace) < 2 or pace[-1][1] == pace[0][1]:
            return None
        steps_left = self.trainer.config.steps - self.trainer.step
        return steps_left * (pace[-1][0] - pace[0][0]) / (pace[-1][1] - pace[0][1])

    def renew(self, viewer: str) -> None:
        """Say that this viewer watches and wants the run to go on, for the next LEASE_SECONDS."""
        with self._lock:
            self._leases[viewer] = time.monotonic() + LEASE_SECONDS
            if self._queued or not self.running:
                return
            self._queued = True
        self._enqueue(self)

    def release(self, viewer: str) -> None:
        """Say that this viewer no longer asks for progress; unless others do, the run pauses after the step it is in."""
        with self._lock:
            self._leases.pop(viewer, None)

    def snapshot(self) -> ScoreNet | NotebookNet:
        """The learned score as of the last slice that went well: a copy that never changes, without gradients."""
        return self._published

    def advance(self) -> None:
        """Train for one slice; a worker's business. A failure is kept in `error`."""
        end = time.monotonic() + SLICE_SECONDS
        self._pace.append((time.monotonic(), self.trainer.step))
        try:
            while self.running and time.monotonic() < end:
                next(self.trainer)
            self._published = _frozen_copy(self.trainer)
        except Exception as error:  # noqa: BLE001 - whatever fails, the worker goes on and the viewers are told
            self.error = str(error) or type(error).__name__

    def requeue(self) -> None:
        """Go to the back of the queue, or park; a worker's business."""
        with self._lock:
            self._queued = self.running
            if not self._queued:
                self._pace.clear()
                self._leases = {viewer: end for viewer, end in self._leases.items() if end > time.monotonic()}
                return
        self._enqueue(self)


def _frozen_copy(trainer: Trainer) -> ScoreNet | NotebookNet:
    network = copy.deepcopy(trainer.score_fn)
    return network.requires_grad_(False).eval()


@final
class Pool:
    """Daemon threads, one per core and at most 8, that advance whichever runs are wanted."""

    def __init__(self, threads: int | None = None) -> None:
        """Start the threads; they end with `shutdown`, at the latest when the process exits."""
        self._queue: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        count = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self._threads = [threading.Thread(target=self._work, name=f"training-{i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()
        # A thread still inside torch when the interpreter goes down aborts the process.
        atexit.register(self.shutdown)

    def submit(self, trainer: Trainer) -> Run:
        """A run of this trainer, which from now on belongs to the pool; it starts with the run's first `renew`."""
        return Run(trainer, self._queue.put)

    def shutdown(self) -> None:
        """Stop all threads after the slice they are in, and wait for them; runs stay where they are."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        atexit.unregister(self.shutdown)

    def _work(self) -> None:
        while not self._stopping.is_set():
            run = self._queue.get()
            if run is None:
                return
            run.advance()
            run.requeue()
