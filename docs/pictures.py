"""Take the pictures of the README: `python -m docs.pictures [folder] [screen ...] [--phone] [--dark]`, by default all into docs.

Each screen is opened at its defaults, and what takes longer (training, a race, checks) runs to its end first.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from scoredm.address import PAGES
from tests.browser.conftest import FLAGS, NAMES, running

ROOT = Path(__file__).parents[1]
LAPTOP, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
PATIENCE = 600_000  # milliseconds: every check is run before the picture of *Verified*


def _press(label: str, done: str) -> Callable[[Page], None]:
    """Press a button, and wait for the words that stand there when its work is done."""

    def prepare(page: Page) -> None:
        page.get_by_role("button", name=label, exact=True).click()
        expect(page.get_by_test_id("stMain")).to_contain_text(done, timeout=PATIENCE)

    return prepare


def _to_the_data(page: Page) -> None:
    """Go to the frame of the data."""
    page.locator("canvas[data-drawn]").first.press("Home")


def _write_a_slip(page: Page) -> None:
    """Answer an exercise with a wrong line."""
    page.get_by_role("radio", name="One step of the reverse SDE").click()
    editor = page.get_by_role("textbox", name="Your line")
    expect(editor).to_have_value("x_next = x + ...", timeout=PATIENCE)
    editor.fill("x_next = x + g(t)**2 * score(x, t) * dt + g(t) * dt * z")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_test_id("stMain")).to_contain_text("Slip: dt-for-sqrt-dt", timeout=PATIENCE)


PREPARE: dict[str, Callable[[Page], None]] = {
    "reverse": _to_the_data,
    "training": _press("Train", "Fresh exact samples"),
    "practice": _write_a_slip,
    "samplers": _press("Start", "End points"),
    "verified": _press("Run all", "pass on this machine"),
}


def take(browser: Browser, url: str, name: str, file: Path, *, phone: bool, dark: bool) -> None:
    """Take the picture of one screen.

    Args:
        browser: a Chromium.
        url: of a running server.
        name: the screen, a key of `PAGES`.
        file: the PNG to write.
        phone: whether the window is as narrow as a phone's, and the picture as long as the page.
        dark: whether the theme is the dark one.
    """
    scheme = "dark" if dark else "light"
    page = browser.new_page(viewport=PHONE if phone else LAPTOP, color_scheme=scheme, reduced_motion="reduce")
    page.set_default_timeout(PATIENCE)
    page.goto(f"{url}/{'' if name == 'home' else name}")
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=PATIENCE)
    if name in PREPARE:
        PREPARE[name](page)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PATIENCE)
    page.mouse.move(640, 10)  # away from what explains itself on hover
    if phone:
        length = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
        page.set_viewport_size({"width": PHONE["width"], "height": min(length + 10, 6000)})
    else:
        page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 0)")
    page.wait_for_timeout(1500)  # until charts have their new size
    page.screenshot(path=file)
    page.close()


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m docs.pictures", description="Take the pictures of the README.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs")
    parser.add_argument("screens", nargs="*", metavar="screen", help=", ".join(PAGES))
    parser.add_argument("--phone", action="store_true", help="a phone's width, and the whole page")
    parser.add_argument("--dark", action="store_true", help="the dark theme")
    asked = parser.parse_args()
    unknown = sorted(set(asked.screens) - set(PAGES))
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such screen; expected some of {', '.join(PAGES)}")
    asked.folder.mkdir(parents=True, exist_ok=True)
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(running(ROOT / "app.py", logs / "server.txt"))
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=executable, args=FLAGS)
        for name in asked.screens or PAGES:
            take(browser, url, name, asked.folder / f"{name}.png", phone=asked.phone, dark=asked.dark)
        browser.close()


if __name__ == "__main__":
    main()
