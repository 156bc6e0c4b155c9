"""How many threads torch uses: one, where the work is cut to fit one core."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


def one_thread(wanted: bool = True) -> AbstractContextManager[None]:
    """Let torch compute in one thread, and put back what was set before.

    Each operation of an exact score, a small network or a metric takes microseconds. Threads that share it wait for each other
    longer than they save, many times longer on a busy machine. Cores are used by processes or jobs beside each other instead.

    Args:
        wanted: False leaves the threads as they are.

    Returns:
        A context manager.
    """
    before = torch.get_num_threads()
    return _one_thread(before) if wanted and before > 1 else nullcontext()


@contextmanager
def _one_thread(before: int) -> Iterator[None]:
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
