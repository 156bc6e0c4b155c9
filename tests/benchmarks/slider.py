"""Milliseconds from a move of the λ slider to the stage's next picture, to the last change of the page, and to rest.

Run as `python -m tests.benchmarks.slider [ADDRESS ...]`: without an address it serves the app of this folder; with several, such
as of two versions, they take turns, in the other order in every second round. Each round has a Chromium of its own, and each
figure is the median over rounds of the median of a round's moves. At rest, the answer is whole: on *Samplers* λ changes one word
that comes early. A stage that draws by itself has a picture before the server has answered. A screen that does not exist at an
address is left out there.
"""

import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import astuple
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.benchmarks.browsing import arrive, launch, press, tab, watch
from tests.browser.conftest import ROOT, running

SCREENS = ("", "forward", "score?t=0.5", "reverse", "training", "samplers", "memorisation", "maths", "practice", "verified")
ROUNDS = 5
MOVES = 12
WARM = 3  # moves that are not counted: both values of λ are computed, and the browser has compiled what it runs often


def opened(browser: Browser, address: str, screen: str) -> Page | None:
    """A screen at rest with its slider in focus, or None where there is no such screen."""
    page = tab(browser)
    arrive(page, f"{address}/{screen}")
    watch(page)
    if page.get_by_text("Page not found").count():
        return None
    page.get_by_role("slider", name="λ").first.focus()
    return page


def measured(playwright: Playwright, address: str, screen: str) -> list[float] | None:
    """The medians of one round, or None where there is no such screen."""
    browser = launch(playwright)
    page = opened(browser, address, screen)
    if page is None:
        browser.close()
        return None
    times = [astuple(press(page, "ArrowLeft" if move % 2 else "ArrowRight")) for move in range(MOVES)]
    browser.close()
    return [statistics.median(column) for column in zip(*times[WARM:], strict=True)]


def main(addresses: list[str]) -> None:
    """Serve the app if need be, and measure screen by screen."""
    with ExitStack() as stack:
        if not addresses:
            log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log.txt"
            addresses = [stack.enter_context(running(ROOT / "app.py", log))]
        playwright = stack.enter_context(sync_playwright())
        for screen in SCREENS:
            found: dict[str, list[list[float]]] = {address: [] for address in addresses}
            for turn in range(ROUNDS):
                for address in addresses[:: -1 if turn % 2 else 1]:
                    times = measured(playwright, address, screen)
                    if times is not None:
                        found[address].append(times)
            medians = [[statistics.median(column) for column in zip(*times, strict=True)] for times in found.values()]
            words = "picture {:4.0f} ms, last change {:4.0f}, at rest {:4.0f}"
            cells = [words.format(*times) if times else "–" for times in medians]
            print(f"{screen or 'home':13} {'   |   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
