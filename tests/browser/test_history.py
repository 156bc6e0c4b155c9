"""The browser's Back and Forward: the address and the controls say the same."""

import re
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from tests.browser.common import arrive, be_still, visit

MOST = 4  # entries that Streamlit may leave between two pages


def back_to(page: Page, path: str, title: str) -> None:
    """Press Back until the address has this path; Streamlit keeps two entries for each change of page."""
    for _ in range(MOST):
        page.evaluate("history.back()")
        page.wait_for_timeout(300)
        if f"/{path}" in page.url:
            break
    arrive(page, title)


def test_back_restores_a_number_and_a_choice_and_keeps_the_experiment(page, app_url):
    page.goto(f"{app_url}/training?recipe=custom&lam=7&batch=32")
    arrive(page, "Training")
    rate = page.get_by_role("slider", name=re.compile("noise rate"))
    for forgetful in (False, True):
        if forgetful:  # Streamlit may leave an entry of this page without its parameters when it changes the page
            page.evaluate("history.pushState({}, '', location.pathname)")
        visit(page, "The maths")
        back_to(page, "training", "Training")
        expect(page.get_by_role("radio", name="Custom")).to_be_checked()
        expect(page.get_by_label("Batch", exact=True)).to_have_value("32")
        expect(rate).to_have_value("7")
        page.wait_for_url(re.compile("recipe=custom", re.IGNORECASE))
        assert "lam=7" in page.url and "batch=32" in page.url

    for entry, batch, lam in (("", "32", "7"), ("?recipe=custom&batch=64&lam=3", "64", "3"), ("?lam=5", "64", "5")):
        page.evaluate("entry => history.pushState({}, '', location.pathname + entry)", entry)
        page.evaluate("history.pushState({}, '', location.pathname)")
        page.evaluate("history.back()")  # on the same page: what the address says counts, and the rest keeps its value
        expect(page.get_by_role("radio", name="Custom")).to_be_checked()
        expect(page.get_by_label("Batch", exact=True)).to_have_value(batch)
        expect(rate).to_have_value(lam)
        page.wait_for_url(re.compile(rf"(?=.*recipe=custom)(?=.*batch={batch})(?=.*lam={lam}\b)", re.IGNORECASE))
        be_still(page)

    visit(page, "The maths")  # an entry without parameters before the one of the page itself: a slow reader's Back stops at it
    page.evaluate("history.replaceState(history.state, '', '/maths'); history.pushState({}, '', '/maths?lam=5')")
    page.evaluate("history.back()")
    page.wait_for_url(re.compile(r"/maths\?lam=5$"))  # set again by the page
    arrive(page, "The maths")
    expect(rate).to_have_value("5")


def test_text_from_a_link_is_plain_text(page, app_url):
    values = {"target": "own", "mixture": "$x$", "seed": "$\\rule{9999em}{9999em}$", "lam": "[x](//host/)"}
    page.goto(f"{app_url}/?{urlencode(values)}")
    arrive(page, "Home")
    notices = page.get_by_test_id("stAlert")
    for shown in ("'$', is neither", "“$\\rule{9999em}{9999em}$” is not a number", "“[x](//host/)” is not a number"):
        expect(notices.filter(has_text=shown)).to_be_visible()
    assert notices.locator("a, .katex, strong, em, code").count() == 0
