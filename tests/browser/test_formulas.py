"""Formulas on every page: all are rendered, with every section open."""

import pytest
from playwright.sync_api import Page, expect

from scoredm.address import PAGES, TABLE, VIEWS
from scoredm.parameters import Choice

TOPIC = TABLE["maths"]["topic"]
assert isinstance(TOPIC, Choice)
WHOLE = 150_000  # milliseconds: the first request to a fresh server loads torch
LINKS = [
    *(name for name in PAGES if name not in ("maths", "samplers")),
    *(f"maths?topic={topic}" for topic in TOPIC.titles),
    *(f"samplers?show={view}" for view in VIEWS),
]
RAW = r"""() => {
  const walker = document.createTreeWalker(document.querySelector('[data-testid="stMain"]'), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.closest('.katex, code, pre, script, style') && /\$\$|\\[a-zA-Z]{2,}/.test(node.textContent))
      found.push(node.textContent);
  }
  return found;
}"""


def open_every_section(page: Page) -> None:
    """Unfold what is folded until nothing is: a section may hold others."""
    for _ in range(3):
        folded = page.locator('[data-testid="stMain"] details:not([open]) > summary')
        if folded.count() == 0:
            return
        folded.evaluate_all("all => all.forEach(summary => summary.click())")
        page.wait_for_timeout(500)
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WHOLE)


@pytest.mark.parametrize("link", LINKS)
def test_every_formula_is_rendered(page, app_url, link):
    name = link.partition("?")[0]
    page.goto(f"{app_url}/{'' if name == 'home' else link}")
    expect(page.get_by_role("heading", name=PAGES[name].title, exact=True)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=WHOLE)
    open_every_section(page)
    assert page.locator(".katex-error").all_inner_texts() == []
    assert page.evaluate(RAW) == []
