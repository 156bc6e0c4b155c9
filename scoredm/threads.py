"""How many threads torch uses: one, where the work is cut to fit one core."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Let torch compute in one thread, and put back what was set before.

    Each operation of an exact score, a small network or a metric takes microseconds. Threads that share it wait for each other
    longer than they save, many times longer on a busy machine. Cores are used by processes or jobs beside each other instead.

    Args:
        wanted: False leaves the threads as they are.
    """
    before = torch.get_num_threads()
    if not wanted or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
