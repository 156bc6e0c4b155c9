"""What the benchmarks in headless Chromium share: the screens, opening a page, and timing what follows a move of a control."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

from tests.browser.conftest import FLAGS, running

LAST = "Your feedback"  # the last words of a page
WATCH = """() => {
    window.changed = null;
    const note = () => { if (window.moved) window.changed = performance.now(); };
    new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
    new MutationObserver(() => { window.rested = performance.now(); })
      .observe(document.querySelector('.stApp'), {attributeFilter: ['data-test-script-state']});
    const drew = new MutationObserver(() => { window.drawn ??= performance.now(); });
    const look = (root) => root.querySelectorAll('*').forEach((element) => {
        if (element.shadowRoot) look(element.shadowRoot);
        if (element.matches('canvas[data-frame]')) drew.observe(element, {attributeFilter: ['data-frame', 'data-drawn']});
    });
    look(document);
    window.addEventListener('keydown', () => { window.moved = performance.now(); window.changed = window.drawn = null; }, true);
}"""
QUIET = 400  # milliseconds without a change: the answer was whole
ANSWERED = f"""() => document.querySelector('[data-test-script-state="notRunning"]') && window.changed
    && performance.now() - window.changed > {QUIET}"""


def launch(playwright: Playwright) -> Browser:
    """A Chromium of the benchmark's own."""
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)


@dataclass(frozen=True)
class Arrival:
    """Seconds from opening a link to the page's title, and to its last element."""

    title: float
    ready: float


def arrive(page: Page, url: str, last: str = LAST) -> Arrival:
    """Go to a page and wait until it is whole.

    Args:
        page: of a browser.
        url: to go to.
        last: the words that come last on the page.
    """
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.get_by_test_id("stMain").get_by_role("heading").first.wait_for(timeout=120_000)
    title = time.perf_counter() - began
    page.get_by_text(last).first.wait_for(state="attached", timeout=120_000)
    return Arrival(title, time.perf_counter() - began)


def tab(browser: Browser) -> Page:
    """A new tab of the size for which the screens are made."""
    return browser.new_page(viewport={"width": 1280, "height": 800})


def first_visit(browser: Browser, script: Path, link: str, *args: str, last: str = LAST) -> Arrival:
    """Start a server of an app, open a page as its first visitor, and stop the server.

    Args:
        browser: that visits.
        script: of the app.
        link: to a page of it.
        args: of the script.
        last: the words that come last on the page.
    """
    with tempfile.TemporaryDirectory() as log, running(script, Path(log) / "log.txt", *args) as address:
        page = tab(browser)
        arrival = arrive(page, f"{address}/{link}", last)
        page.close()
    return arrival


def watch(page: Page) -> None:
    """Have a page at rest note when it changes after a key."""
    page.wait_for_timeout(2000)
    page.evaluate(WATCH)


@dataclass(frozen=True)
class Answer:
    """Milliseconds from a key to the stage's picture (NaN without a stage), the page's last change, and its rest."""

    drawn: float
    changed: float
    rested: float

    @property
    def picture(self) -> float:
        """To the updated picture: the stage's, or else the last change."""
        return self.changed if self.drawn != self.drawn else self.drawn


def press(page: Page, key: str) -> Answer:
    """Press a key that moves the control in focus, and wait until the page is whole again.

    Args:
        page: that `watch` has prepared.
        key: such as ArrowRight.
    """
    page.keyboard.press(key)
    page.wait_for_function(ANSWERED, timeout=60_000)
    times = page.evaluate("[window.drawn ?? NaN, window.changed, window.rested].map((time) => time - window.moved)")
    return Answer(*times)
