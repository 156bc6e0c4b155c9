"""What axe-core finds on a page, and what of it is Streamlit's own."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import axe_playwright_python
from playwright.sync_api import Page

from tests.browser.common import WHOLE

LEVEL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")  # tags of the rules: all of WCAG 2.2 AA
BEYOND = ("heading-order", "page-has-heading-one", "empty-heading")  # rules outside that level

_SOURCE = Path(axe_playwright_python.__file__).with_name("axe.min.js")

# Axe sees a colour as it is at that moment: nothing may be fading in, out or from one theme to the other. Charts come late.
_AT_REST = """() => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'
  && !document.querySelector('[data-stale="true"], .stVegaLiteChart:not(:has(svg))')
  && document.getAnimations().every(({ playState, effect }) =>
       playState !== 'running' || effect.getComputedTiming().iterations === Infinity)"""

# The seen half of a formula has many parts, all in the colour of its text; the half that is heard is looked at.
_RUN = """async ([tags, beyond, accepted]) => {
  const values = [...axe.getRules(tags).map(({ ruleId }) => ruleId), ...beyond]
  const options = { runOnly: { type: 'rule', values }, resultTypes: ['violations'], elementRef: true }
  const found = await axe.run({ exclude: ['.katex-html'] }, options)
  const isAccepted = (rule, element) => accepted.findIndex(([name, selector]) => name === rule && element.matches(selector))
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ element, target, failureSummary }) =>
    [id, target.flat().join(' '), element.outerHTML.slice(0, 200), failureSummary, isAccepted(id, element)]))
}"""


class Accepted(NamedTuple):
    """A violation inside a widget of Streamlit's, which the app cannot reach."""

    rule: str
    selector: str
    why: str


class Finding(NamedTuple):
    """An element that breaks a rule; accepted is its entry in `ACCEPTED`, or None."""

    rule: str
    target: str
    html: str
    summary: str
    accepted: Accepted | None


ACCEPTED = (
    Accepted("list", '[data-testid="stSidebarNavItems"]', "the titles of the navigation's groups are children of its list"),
    Accepted("listitem", '[data-testid="stSidebarNavItems"] > * > li', "its entries are children of a group, not of the list"),
)


def come_to_rest(page: Page) -> None:
    """Wait until the server has answered and nothing fades."""
    page.wait_for_function(_AT_REST, timeout=WHOLE)


def switch_theme(page: Page, mode: str) -> None:
    """Change the reader's system to light or dark, and wait until the page is drawn in it.

    Args:
        page: an open page of the app.
        mode: "light" or "dark".
    """
    page.emulate_media(color_scheme=mode)  # pyrefly: ignore[bad-argument-type]
    page.wait_for_function("mode => getComputedStyle(document.querySelector('.stApp')).colorScheme === mode", arg=mode)
    page.wait_for_timeout(300)  # until the server knows it
    come_to_rest(page)


def findings(page: Page) -> list[Finding]:
    """Everything that axe-core finds on a page by the rules of `LEVEL` and `BEYOND`.

    Args:
        page: at rest.
    """
    if page.evaluate("() => !window.axe"):
        page.evaluate(_SOURCE.read_text(encoding="utf-8"))
    found = page.evaluate(_RUN, [LEVEL, BEYOND, [entry[:2] for entry in ACCEPTED]])
    return [
        Finding(rule, target, html, summary, ACCEPTED[entry] if entry >= 0 else None)
        for rule, target, html, summary, entry in found
    ]


def ours(found: Iterable[Finding]) -> list[str]:
    """The findings that are not accepted, in words."""
    return [f"{one.rule}: {one.target}\n  {one.html}\n  {one.summary}" for one in found if one.accepted is None]


def never_met(found: Collection[Finding]) -> list[Accepted]:
    """What is accepted and was not found: Streamlit has mended it, so its entry must go."""
    return [entry for entry in ACCEPTED if all(one.accepted != entry for one in found)]
