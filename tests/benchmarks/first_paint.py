"""Seconds from opening a link on a fresh server to the page's title and to the whole page, in headless Chromium; a line per page.

Run as `python -m tests.benchmarks.first_paint [FOLDER ...]`, each folder a checkout of the app; without one it measures this
folder. With several they take turns, page by page and round by round. Each figure is the median of the rounds.
"""

import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.benchmarks.browsing import Arrival, first_visit, launch
from tests.browser.conftest import ROOT

PAGES = ("", "forward", "score", "reverse", "training", "maths", "practice", "samplers", "memorisation", "verified")
ROUNDS = 3


def main(folders: list[str]) -> None:
    """Measure page by page, the folders in turn."""
    checkouts = [Path(folder).absolute() for folder in folders] or [ROOT]
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for page_name in PAGES:
            found: list[list[Arrival]] = [[] for _checkout in checkouts]
            for _round in range(ROUNDS):
                for checkout, arrivals in zip(checkouts, found, strict=True):
                    arrivals.append(first_visit(browser, checkout / "app.py", page_name))
            cells = []
            for arrivals in found:
                title, ready = (statistics.median(getattr(one, name) for one in arrivals) for name in ("title", "ready"))
                cells.append(f"title {title:5.2f} s, whole page {ready:5.2f} s")
            print(f"{page_name or 'home':13} {'   |   '.join(cells)}", flush=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
