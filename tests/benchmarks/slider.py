"""Milliseconds from a move of the λ slider to the last change on each screen, in headless Chromium; prints one line per screen.

Run as `python -m tests.benchmarks.slider [ADDRESS ...]`: without an address it serves the app of this folder; with several, such
as of two versions, they take turns, move by move. A screen that does not exist at an address is left out there.
"""

import shutil
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS, ROOT, running

SCREENS = ("", "forward", "score?t=0.5", "reverse", "training", "samplers", "memorisation", "maths", "practice", "verified")
MOVES = 9  # the first is not counted
WATCH = """() => {
    window.changed = null;
    const note = () => { if (window.moved) window.changed = performance.now(); };
    new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
    window.addEventListener('keydown', () => { window.moved = performance.now(); window.changed = null; }, true);
}"""
QUIET = 1000  # milliseconds without a change: the answer was whole
ANSWERED = f"""() => document.querySelector('[data-test-script-state="notRunning"]') && window.changed
    && performance.now() - window.changed > {QUIET}"""


def opened(browser: Browser, address: str, screen: str) -> Page | None:
    """A screen at rest with its slider in focus, or None where there is no such screen."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{address}/{screen}")
    page.get_by_text("Your feedback").wait_for(state="attached", timeout=60_000)
    page.wait_for_timeout(2000)
    if page.get_by_text("Page not found").count():
        return None
    page.evaluate(WATCH)
    page.get_by_role("slider", name="λ").first.focus()
    return page


def milliseconds(page: Page, key: str) -> float:
    """From the key that moves the slider to the last change of the page."""
    page.keyboard.press(key)
    page.wait_for_function(ANSWERED, timeout=60_000)
    return page.evaluate("window.changed - window.moved")


def main(addresses: list[str]) -> None:
    """Serve the app if need be, and measure screen by screen."""
    with ExitStack() as stack:
        if not addresses:
            log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log.txt"
            addresses = [stack.enter_context(running(ROOT / "app.py", log))]
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for screen in SCREENS:
            pages = [opened(browser, address, screen) for address in addresses]
            found: list[list[float]] = [[] for _ in pages]
            for move in range(MOVES):
                for page, times in zip(pages, found, strict=True):
                    if page is not None:
                        times.append(milliseconds(page, "ArrowLeft" if move % 2 else "ArrowRight"))
            medians = [f"{statistics.median(times[1:]):5.0f} ms" if times else "    –   " for times in found]
            print(f"{screen or 'home':13} {'  '.join(medians)}", flush=True)
            for page in filter(None, pages):
                page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
