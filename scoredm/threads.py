"""How many threads torch uses: one, where the work is cut to fit one core."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import final

import torch

FEW_NUMBERS = 20_000  # coordinates of points; with fewer, a network of usual width is quicker in one thread


@final
class _Counted:
    """One thread for torch in each block that asks for it; its end puts back the number from before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._before = 1

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._lock:
            if not self._wanted:
                self._before = torch.get_num_threads()
            self._wanted += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                torch.set_num_threads(self._before)


_counted = _Counted()


def one_thread_for_a_job() -> AbstractContextManager[None]:
    """Let torch compute in one thread, and put back what was set before, in a thread that was started meanwhile too.

    Each operation of an exact score, a small network or a metric takes microseconds. Threads that share it wait for each other
    longer than they save, many times longer on a busy machine. Cores are used by processes or jobs beside each other instead.

    Returns:
        A context manager.
    """
    return _counted.one()


def one_thread(wanted: bool = True) -> AbstractContextManager[None]:
    """The same for a short call, which costs nothing where there is one thread already.

    Args:
        wanted: False leaves the threads as they are.

    Returns:
        A context manager.
    """
    return _counted.one() if wanted and torch.get_num_threads() > 1 else nullcontext()
