"""Milliseconds from a move of the λ slider to the stage's next picture, to the last change of the page, and to rest.

Run as `python -m tests.benchmarks.slider [ADDRESS ...]`: without an address it serves the app of this folder; with several, such
as of two versions, they take turns, in the other order in every second round. Each round has a Chromium of its own, and each
figure is the median over rounds of the median of a round's moves. At rest, the answer is whole: on *Samplers* λ changes one word
that comes early. A stage that draws by itself has a picture before the server has answered. A screen that does not exist at an
address is left out there.
"""

import shutil
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.browser.conftest import FLAGS, ROOT, running

SCREENS = ("", "forward", "score?t=0.5", "reverse", "training", "samplers", "memorisation", "maths", "practice", "verified")
ROUNDS = 5
MOVES = 12
WARM = 3  # moves that are not counted: both values of λ are computed, and the browser has compiled what it runs often
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


def milliseconds(page: Page, key: str) -> list[float]:
    """From the key that moves the slider to the stage's picture (NaN without a stage), the page's last change, and its rest."""
    page.keyboard.press(key)
    page.wait_for_function(ANSWERED, timeout=60_000)
    return page.evaluate("[window.drawn ?? NaN, window.changed, window.rested].map((time) => time - window.moved)")


def measured(playwright: Playwright, address: str, screen: str) -> list[float] | None:
    """The medians of one round, or None where there is no such screen."""
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
    page = opened(browser, address, screen)
    if page is None:
        browser.close()
        return None
    times = [milliseconds(page, "ArrowLeft" if move % 2 else "ArrowRight") for move in range(MOVES)]
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
