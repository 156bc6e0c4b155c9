"""Every page in its main states, in light and dark, by axe-core: `python -m tests.accessibility [page ...]`."""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from scoredm.address import PAGES
from tests.accessibility.axe import Finding, come_to_rest, findings, never_met, ours, switch_theme
from tests.accessibility.states import STATES, State
from tests.browser.common import WHOLE, arrive
from tests.browser.conftest import FLAGS, NAMES, ROOT, running

MODES = ("light", "dark")


def examine(page: Page, url: str, state: State) -> list[Finding]:
    """Open a state and look at it in both themes; print what is found."""
    page.emulate_media(color_scheme="light")
    page.goto(f"{url}/{'' if state.page == 'home' else state.page}?{state.query}")
    arrive(page, PAGES[state.page].title)
    if state.act is not None:
        state.act(page)
    found = []
    for mode in MODES:
        switch_theme(page, mode)
        come_to_rest(page)
        here = findings(page)
        found += here
        print(f"{state.page}?{state.query} {mode}: {len(ours(here))} to mend", *ours(here), sep="\n", flush=True)
    return found


def main(names: list[str]) -> int:
    """Look at the states of the named pages, or of all; return 1 if anything is to be mended."""
    states = [state for state in (*map(State, PAGES), *STATES) if not names or state.page in names]
    found: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=next(filter(None, map(shutil.which, NAMES))), args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(WHOLE)
        with running(ROOT / "app.py", Path(folder) / "log.txt") as url:
            for state in states:
                found += examine(page, url, state)
        browser.close()
    for entry in never_met(found):
        print(f"No longer found, so no longer to be accepted: {entry}")
    return int(bool(ours(found) or never_met(found)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
