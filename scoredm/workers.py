"""Processes that compute for the app, so that the process of the pages stays free to answer.

A `Worker` computes one call after another. It keeps nothing from one call to the next, so that it can be ended at any moment: a
call that nobody waits for any longer is given up by ending its process, and the next call starts another.

    worker = Process()
    worker.compute(lambda: True, perform, job)
"""

import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, final

import torch

MOST_WORKERS = 8
LEAST_MEMORY = 1.5e9  # bytes; a machine with less has no room for further processes
LOOK_SECONDS = 0.1  # how often a call is asked whether it is still wanted
GRACE_SECONDS = 1.0  # a call that ends so soon after the last who wanted it is not given up
LESS_URGENT = 10  # on Unix's scale of niceness: pages come first
TRIES = 2  # a call whose process is lost is computed again, once
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container on Linux
PRELOADED = ("torch", "scoredm.tasks")

_main_hidden = threading.Lock()  # held by whoever has hidden the main module: threads that start processes take turns

Value = TypeVar("Value")


class GivenUp(Exception):  # noqa: N818 - no error, but the end of what nobody wants
    """A call that ended without a value, because nobody wanted it any longer."""


class Worker(ABC):
    """Computes calls, one at a time."""

    @abstractmethod
    def compute(self, wanted: Callable[[], bool], function: Callable[..., Value], *args: Any) -> Value:
        """The value of a function.

        Args:
            wanted: whether somebody still waits for it.
            function: of a module.
            args: what it is given.

        Raises:
            GivenUp: Nobody wanted the value any longer.
        """

    @abstractmethod
    def end(self) -> None:
        """Give back what it holds; the next call takes it up again."""


@final
class Here(Worker):
    """A worker that has no process of its own: it computes on the thread that asks, and gives nothing up."""

    def compute(self, wanted: Callable[[], bool], function: Callable[..., Value], *args: Any) -> Value:
        """See Worker."""
        del wanted
        return function(*args)

    def end(self) -> None:
        """It holds nothing."""


@final
class Process(Worker):
    """A worker with a process of its own, which starts with the first call.

    Function, arguments and value travel as pickles; a tensor travels as an array, and is on its device again afterwards.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._lock = threading.Lock()
        self._process: Any = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """The number of its process; None while it has none."""
        return None if self._process is None else self._process.pid

    def compute(self, wanted: Callable[[], bool], function: Callable[..., Value], *args: Any) -> Value:
        """See Worker; what the function raises is raised here.

        Raises:
            GivenUp: Nobody wanted the value any longer.
            RuntimeError: The process was lost twice while it computed.
        """
        request = packed((function, args))
        for _ in range(TRIES):
            try:
                succeeded, value = self._answer(wanted, request)
            except (EOFError, OSError):  # killed from outside, such as for lack of memory, or because the server ends
                self.end()
                if not wanted():
                    raise GivenUp from None
                continue
            if not succeeded:
                raise value
            return value
        raise RuntimeError("the process that computed this was ended twice, perhaps because the machine has too little memory")

    def _answer(self, wanted: Callable[[], bool], request: bytes) -> tuple[bool, Any]:
        connection = self._connection or self._start()
        connection.send_bytes(request)
        last_wanted = time.monotonic()
        while not connection.poll(LOOK_SECONDS):
            now = time.monotonic()
            if wanted():
                last_wanted = now
            elif now - last_wanted > GRACE_SECONDS:
                self.end()
                raise GivenUp
        return unpacked(connection.recv_bytes())

    def _start(self) -> Connection:
        context = _context()
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name="scoredm-worker", daemon=True)
        with _hidden_main():
            process.start()
        theirs.close()
        with self._lock:
            self._process, self._connection = process, ours
        return ours

    def end(self) -> None:
        """End the process, in the middle of a call too."""
        with self._lock:
            process, self._process = self._process, None
            connection, self._connection = self._connection, None
        if process is not None:
            process.kill()
            process.join()
        if connection is not None:
            connection.close()


def suggested() -> int:
    """How many processes suit this machine: one a core, and none where there is little memory.

    The environment's SCOREDM_WORKERS says otherwise.

    Raises:
        ValueError: SCOREDM_WORKERS is no whole number from 0 on.
    """
    asked = os.environ.get("SCOREDM_WORKERS", "")
    if asked:
        if not asked.isdecimal():
            raise ValueError(f"SCOREDM_WORKERS is {asked!r}; it must be a whole number, 0 or more")
        return int(asked)
    return min(MOST_WORKERS, os.cpu_count() or 1) if memory() >= LEAST_MEMORY else 0


def memory() -> float:
    """Bytes of memory that this process may use: the machine's, or the limit of its container; infinite where unknown."""
    limits = [Path(name).read_text(encoding="ascii").strip() for name in MEMORY_LIMITS if Path(name).is_file()]
    found = [float(limit) for limit in limits if limit.isdecimal()]
    if hasattr(os, "sysconf"):
        found.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=float("inf"))


def _context() -> Any:
    """How processes start: on Linux as copies of one that has loaded torch, at once and with its memory shared."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


@contextmanager
def _hidden_main() -> Generator[None]:
    """Hide the main module, which under Streamlit is the page that runs: a new process would run it too."""
    with _main_hidden:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _serve(connection: Connection) -> None:
    """Answer calls until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    if hasattr(os, "nice"):
        os.nice(LESS_URGENT)
    torch.set_num_threads(1)
    with suppress(EOFError, OSError):  # the server is gone
        while True:
            connection.send_bytes(_outcome(connection.recv_bytes()))


def _outcome(request: bytes) -> bytes:
    """(True, value) or (False, exception)."""
    try:
        function, args = unpacked(request)
        return packed((True, function(*args)))
    except Exception as error:  # noqa: BLE001 - whatever fails, the process goes on and the caller is told
        return packed((False, _portable(error)))


def _portable(error: Exception) -> Exception:
    """The error itself, or one with the same words where it cannot travel."""
    try:
        unpacked(packed(error))
    except Exception:  # noqa: BLE001 - an exception of any library may refuse
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


# Pickles between our own processes: torch's own way of pickling a tensor takes many times as long.


def packed(value: object) -> bytes:
    """A value as bytes, for another process of ours.

    Args:
        value: whatever can be pickled; tensors and random generators too.
    """
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def check_can_be_sent(name: str, shown: str, value: object) -> None:
    """Check that another process can be sent a value.

    Args:
        name: what the value is for its caller.
        shown: the value, as an error shows it.
        value: of whatever type.

    Raises:
        ValueError: It cannot be sent.
    """
    try:
        packed(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{name} is {shown}, which cannot be sent to a process: {error}; define it with def or class at the top level of a "
            "module, or use threads"
        ) from error


def unpacked(data: bytes) -> Any:
    """The value of bytes that `packed` made; never of bytes that came from elsewhere.

    Args:
        data: from a process of ours.
    """
    return pickle.loads(data)  # noqa: S301 - of our own making


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            leaf = value.requires_grad and value.is_leaf
            return _tensor, (value.detach().cpu().numpy(), str(value.device), isinstance(value, torch.nn.Parameter), leaf)
        if isinstance(value, torch.Generator):
            return _generator, (str(value.device), value.get_state().numpy())
        return NotImplemented


def _tensor(array: Any, device: str, parameter: bool, requires_grad: bool) -> torch.Tensor:  # noqa: FBT001 - a pickle's arguments
    tensor = torch.from_numpy(array.copy() if not array.flags.writeable else array).to(device)
    return torch.nn.Parameter(tensor, requires_grad) if parameter else tensor.requires_grad_(requires_grad)


def _generator(device: str, state: Any) -> torch.Generator:
    generator = torch.Generator(device)
    generator.set_state(torch.from_numpy(state))
    return generator
