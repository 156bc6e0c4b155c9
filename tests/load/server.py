"""What a server costs: the memory and the processor time of its process and of all that it has started."""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil

MEGABYTE = 1e6


def listening(address: str) -> psutil.Process | None:
    """The process of this machine that answers at an address; None if there is none that can be seen.

    Args:
        address: such as http://localhost:8501.
    """
    port = urlsplit(address).port
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    return None


@dataclass
class Meter:
    """Follows a server while it works.

    Args:
        server: its process.
        every: seconds between two looks at its memory.

    Attributes:
        memory: (seconds since the start, megabytes): the proportional set size, which counts a page that processes share once.
    """

    server: psutil.Process
    every: float = 1.0
    memory: list[tuple[float, float]] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)
    _at_start: dict[int, float] = field(default_factory=dict)
    _now: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.look()
        self._at_start = dict(self._now)

    def look(self) -> None:
        """Read memory and processor time now."""
        total = 0
        for process in [self.server, *self.server.children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
                times = process.cpu_times()
            except psutil.NoSuchProcess:  # a child ended meanwhile; what it used until the last look counts
                continue
            self._now[process.pid] = times.user + times.system
        self.memory.append((time.perf_counter() - self._began, total / MEGABYTE))

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self.every)
            await asyncio.to_thread(self.look)

    @property
    def peak(self) -> float:
        """The most megabytes that were seen."""
        return max(megabytes for _seconds, megabytes in self.memory)

    @property
    def last(self) -> float:
        """Megabytes at the last look."""
        return self.memory[-1][1]

    def after(self, seconds: float) -> float | None:
        """Megabytes at the first look so many seconds after the start; None if there was none."""
        return next((megabytes for at, megabytes in self.memory if at >= seconds), None)

    @property
    def own_cpu(self) -> float:
        """Processor seconds of the server's own process since the start."""
        return self._used(self.server.pid)

    @property
    def children_cpu(self) -> float:
        """Processor seconds of all that the server has started, since the start."""
        return sum(self._used(pid) for pid in self._now if pid != self.server.pid)

    def _used(self, pid: int) -> float:
        return self._now[pid] - self._at_start.get(pid, 0.0)
