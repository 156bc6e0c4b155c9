"""Servers that tests kill: started on a port of their own choice, in an environment of their own choice."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
APP = ROOT / "app.py"
START_SECONDS = 90.0


def free_port() -> int:
    """A port that nobody listens to now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """The app, served by a process of its own.

    Attributes:
        url: its address.
        log: the file of what it prints.
    """

    def __init__(
        self, log: Path, port: int, *, script: Path = APP, folder: Path = ROOT, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it, and wait until it answers.

        Args:
            log: a file for what it prints.
            port: where it listens.
            script: what it serves.
            folder: where it is started.
            environment: variables beside those of this process.

        Raises:
            RuntimeError: it ended, or did not answer in time.
        """
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless=true", f"--server.port={port}"]
        command += ["--server.address=127.0.0.1", "--server.fileWatcherType=none"]
        inherited = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        with log.open("a", encoding="utf-8") as output:
            self.process = subprocess.Popen(command, cwd=folder, env=inherited, stdout=output, stderr=subprocess.STDOUT)
        self._wait_until_healthy()

    def _wait_until_healthy(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            if self.healthy():
                return
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.words()}")

    def healthy(self) -> bool:
        """Whether it says that it is well."""
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def words(self) -> str:
        """What it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def terminate(self, patience: float = 30.0) -> tuple[int, float]:
        """Ask it to end, as an operating system does.

        Args:
            patience: seconds until it is killed.

        Returns:
            Its exit code, and the seconds that it took.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.process.returncode
        return code, time.monotonic() - began

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def served(log: Path, port: int | None = None, **options: Any) -> Iterator[Server]:
    """A server that is killed at the end, if it is still there."""
    server = Server(log, port or free_port(), **options)
    try:
        yield server
    finally:
        server.kill()
