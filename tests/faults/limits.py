"""The bounds that no text may exceed: seconds of this process's time, and bytes of its memory at any moment."""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

SECONDS = 2.0
BYTES = 500e6

Result = TypeVar("Result")


def within_limits(function: Callable[[], Result]) -> Result:
    """What a function returns, after checking what it took.

    Args:
        function: reads a text.

    Raises:
        AssertionError: it took more than SECONDS of the processor, or more than BYTES at any moment.
    """
    before = _memory("VmRSS")
    _forget_peak()
    began = time.process_time()
    result = function()
    seconds = time.process_time() - began
    grown = _memory("VmHWM") - before
    assert seconds <= SECONDS, f"it took {seconds:.1f} s"
    assert grown <= BYTES, f"it took {grown / 1e6:.0f} MB"
    return result


def _forget_peak() -> None:
    """Let the largest memory so far be that of now, where the system can; elsewhere memory is not looked at."""
    gc.collect(0)
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        peak.write_text("5", encoding="ascii")


def _memory(name: str) -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text(encoding="ascii", errors="replace").splitlines() if line.startswith(name))
    return 1024 * float(line.split()[1])
