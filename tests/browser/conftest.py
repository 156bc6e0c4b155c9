"""A real Chromium, Streamlit servers on free ports, and pages that remember what the console complained about."""

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).parents[2]
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the first starts and draws fastest
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A test's page lives for seconds: to compile its scripts a second time, for speed, takes longer than that saves.
QUICK_TO_COMPILE = "--js-flags=--no-opt --no-maglev --no-concurrent-recompilation"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@contextmanager
def running(script: Path, log: Path, *args: str) -> Generator[str]:
    """A Streamlit server for one script, from the root of the script's checkout; yields its address and stops it at the end."""
    root = next((folder for folder in script.absolute().parents if (folder / "scoredm").is_dir()), ROOT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true"]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port), "--server.fileWatcherType", "none"]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {name: value for name, value in os.environ.items() if name != "SCOREDM_WORKERS"}
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [*command, "--", *args],
            cwd=root,
            env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=2)  # it would wait longer for the pages that are still open
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_healthy(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server at {url} did not start:\n{log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of the whole session; without one, tests are skipped, or fail where CI is "true"."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        reason = f"no browser: none of {', '.join(NAMES)} is on PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS, QUICK_TO_COMPILE])
        yield browser
        browser.close()


@contextmanager
def functions_of(browser: Browser, source: str) -> Generator[Callable[..., Any]]:
    """Yields js(body, *arguments): the value of a function body that sees a module as S and the arguments as a."""
    page = browser.new_page()
    address = "data:text/javascript;base64," + base64.b64encode(source.encode()).decode()
    page.evaluate("async address => { window.S = await import(address) }", address)
    yield lambda body, *arguments: page.evaluate(f"a => {{ {body} }}", list(arguments))
    page.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """serve(script, *args) -> address of a fresh server; all of them stop at the end of the module."""
    with ExitStack() as servers:

        def start(script: Path | str, *args: str) -> str:
            log = tmp_path_factory.mktemp("server") / "log.txt"
            return servers.enter_context(running(Path(script), log, *args))

        yield start


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the real app, served once for the session."""
    with running(ROOT / "app.py", tmp_path_factory.mktemp("app") / "log.txt") as url:
        yield url


@pytest.fixture
def console_errors() -> list[str]:
    """What the pages of this test reported as errors, in order."""
    return []


@pytest.fixture
def motion() -> str:
    """Stages stand still, which leaves a core to the tests; those of what moves ask for "no-preference"."""
    return "reduce"


@pytest.fixture
def new_page(chromium: Browser, console_errors: list[str], motion: str) -> Iterator[Callable[..., Page]]:
    """new_page(**context options) -> a page of its own context, 1280 x 800 unless told."""
    contexts: list[BrowserContext] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and _is_ours(message.location.get("url", "")):
            console_errors.append(message.text)

    def open_page(**options: Any) -> Page:
        asked: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": motion, **options}
        context = chromium.new_context(**asked)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", note)
        page.on("pageerror", lambda error: console_errors.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page at 1280 x 800; `console_errors` holds what its console reports."""
    return new_page()


def _is_ours(url: str) -> bool:
    """Whether a message comes from our own pages and not from a host that a test machine may not reach."""
    return not url.startswith("http") or url.startswith("http://127.0.0.1")
