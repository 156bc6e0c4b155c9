"""Seconds from opening a link on a fresh server to the page's title and to the whole page, in headless Chromium; a line per page.

Run as `python -m tests.benchmarks.first_paint [FOLDER ...]`, each folder a checkout of the app; without one it measures this
folder. With several they take turns, page by page and round by round. Each figure is the median of the rounds.
"""

import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import FLAGS, ROOT, running

PAGES = ("", "forward", "score", "reverse", "training", "maths", "practice", "samplers", "memorisation", "verified")
ROUNDS = 3


def seconds(browser: Browser, folder: Path, page_name: str) -> tuple[float, float]:
    """Start a server of the app in a folder, open a page as its first visitor, and stop the server.

    Returns:
        Seconds to the title, and to the last element of the page.
    """
    with tempfile.TemporaryDirectory() as log, running(folder / "app.py", Path(log) / "log.txt") as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        began = time.perf_counter()
        page.goto(f"{address}/{page_name}", wait_until="commit")
        page.get_by_test_id("stMain").get_by_role("heading").first.wait_for(timeout=120_000)
        title = time.perf_counter() - began
        page.get_by_text("Your feedback").wait_for(state="attached", timeout=120_000)
        ready = time.perf_counter() - began
        page.close()
    return title, ready


def main(folders: list[str]) -> None:
    """Measure page by page, the folders in turn."""
    checkouts = [Path(folder).absolute() for folder in folders] or [ROOT]
    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for page_name in PAGES:
            found: list[list[tuple[float, float]]] = [[] for _checkout in checkouts]
            for _round in range(ROUNDS):
                for checkout, times in zip(checkouts, found, strict=True):
                    times.append(seconds(browser, checkout, page_name))
            medians = [[statistics.median(column) for column in zip(*times, strict=True)] for times in found]
            cells = [f"title {title:5.2f} s, whole page {ready:5.2f} s" for title, ready in medians]
            print(f"{page_name or 'home':13} {'   |   '.join(cells)}", flush=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
